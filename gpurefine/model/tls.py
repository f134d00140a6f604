"""Groups of atoms that move as rigid bodies about their rest position: translation, libration, screw.

A small rigid motion moves the atom at r (from the group's origin) by t + λ × r = t + A λ, so that its mean-square
displacement is U = T + A L Aᵀ + A S + Sᵀ Aᵀ with T = ⟨t tᵀ⟩, L = ⟨λ λᵀ⟩, S = ⟨λ tᵀ⟩ (Schomaker & Trueblood 1968, Acta
Cryst. B24, 63–76).  The trace of S has no effect and is taken to be zero, which leaves twenty numbers a group: T and L
as 11 22 33 12 13 23, S as S22−S11, S11−S33, S12, S13, S23, S21, S31, S32.  Units inside the program: Å², rad², Å rad.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..backend.gaussians import full_tensors
from ..constants import VOIGT

F64 = NDArray[np.float64]

N_TLS = 20
"""Parameters of one group."""

S_ORDER = ((0, 1), (0, 2), (1, 2), (1, 0), (2, 0), (2, 1))
"""Rows and columns of the off-diagonal elements of S, in the order of the parameters."""


def _symmetric_basis() -> F64:
    out = np.zeros((6, 3, 3))
    for k, (i, j) in enumerate(VOIGT):
        out[k, i, j] = out[k, j, i] = 1.0
    return out


def _screw_basis() -> F64:
    out = np.zeros((8, 3, 3))
    out[0] = np.diag([-1.0, 2.0, -1.0]) / 3.0
    out[1] = np.diag([1.0, 1.0, -2.0]) / 3.0
    for k, (i, j) in enumerate(S_ORDER):
        out[k + 2, i, j] = 1.0
    return out


SYMMETRIC = _symmetric_basis()
"""(6, 3, 3): what one parameter of T or L adds to the tensor."""

SCREW = _screw_basis()
"""(8, 3, 3): what one parameter of S adds to the tensor."""


@dataclass(frozen=True, slots=True)
class ResidueRange:
    """Residues ``first`` to ``last`` of ``chain``, both included, as "12" or, with an insertion code, "12A"."""

    chain: str
    first: str
    last: str

    def __str__(self) -> str:
        return f"{self.chain} {self.first}–{self.last}" if self.first != self.last else f"{self.chain} {self.first}"


@dataclass(frozen=True, slots=True, eq=False)
class TlsGroups:
    """Which atoms belong to which group, and the tensors they start with.

    Attributes:
        names: g texts for people.
        ranges: the residues of each group.
        member: (n,) int32 group of every atom, riding hydrogens included, −1 for atoms of no group.
        origin: (g, 3) Å.
        start: (g, 20) Å², rad², Å rad.
        total_given: the B and U of the model as read already hold the groups' motion ``start``.
    """

    names: tuple[str, ...]
    ranges: tuple[tuple[ResidueRange, ...], ...]
    member: NDArray[np.int32]
    origin: F64
    start: F64
    total_given: bool = False

    def __len__(self) -> int:
        return len(self.names)

    @property
    def inside(self) -> NDArray[np.bool_]:
        """(n,) bool: the atom belongs to a group."""
        return np.asarray(self.member >= 0)

    def design(self, xyz: F64) -> F64:
        """∂U/∂parameters (n, 6, 20) of all atoms at ``xyz`` (n, 3) Å by their own group; zero outside groups."""
        out = np.zeros((len(xyz), 6, N_TLS))
        inside = self.inside
        out[inside] = design(xyz[inside] - self.origin[self.member[inside]])
        return out

    def displacement(self, xyz: F64, values: F64) -> F64:
        """U (n, 6) Å² of the groups' motion ``values`` (g, 20) at ``xyz`` (n, 3) Å; zero outside groups."""
        out = np.zeros((len(xyz), 6))
        inside = self.inside
        own = self.member[inside]
        out[inside] = np.einsum("aij,aj->ai", design(xyz[inside] - self.origin[own]), values[own])
        return out


def cross_matrix(offset: F64) -> F64:
    """A (n, 3, 3) with A λ = λ × r for ``offset`` r (n, 3)."""
    out = np.zeros((len(offset), 3, 3))
    x, y, z = offset.T
    out[:, 0, 1], out[:, 0, 2], out[:, 1, 2] = z, -y, x
    out[:, 1, 0], out[:, 2, 0], out[:, 2, 1] = -z, y, -x
    return out


def design(offset: F64) -> F64:
    """∂U/∂parameters (n, 6, 20) of atoms at ``offset`` (n, 3) Å from the origin; U as 11 22 33 12 13 23."""
    a = cross_matrix(offset)
    full = np.empty((len(offset), 3, 3, N_TLS))
    full[..., :6] = np.moveaxis(SYMMETRIC, 0, -1)
    full[..., 6:12] = np.einsum("nij,kjl,nml->nimk", a, SYMMETRIC, a)
    half = np.einsum("nij,kjm->nimk", a, SCREW)
    full[..., 12:] = half + np.swapaxes(half, 1, 2)
    rows, columns = np.array(VOIGT).T
    return np.ascontiguousarray(full[:, rows, columns])


@dataclass(frozen=True, slots=True, eq=False)
class Tensors:
    """T (g, 3, 3) Å², L (g, 3, 3) rad² and S (g, 3, 3) Å rad of g groups."""

    t: F64
    l: F64  # noqa: E741
    s: F64

    @staticmethod
    def of(values: F64) -> Tensors:
        """The tensors of parameters (g, 20)."""
        return Tensors(
            np.einsum("gk,kij->gij", values[:, :6], SYMMETRIC),
            np.einsum("gk,kij->gij", values[:, 6:12], SYMMETRIC),
            np.einsum("gk,kij->gij", values[:, 12:], SCREW),
        )

    def values(self) -> F64:
        """The parameters (g, 20); the trace of S is dropped."""
        rows, columns = np.array(VOIGT).T
        s_rows, s_columns = np.array(S_ORDER).T
        s = self.s
        diagonal = np.stack([s[:, 1, 1] - s[:, 0, 0], s[:, 0, 0] - s[:, 2, 2]], axis=1)
        return np.concatenate(
            [self.t[:, rows, columns], self.l[:, rows, columns], diagonal, s[:, s_rows, s_columns]], axis=1
        )

    def turned(self, turn: F64) -> Tensors:
        """The motion of groups that have been turned about their origins by ``turn`` (g, 3, 3)."""
        back = np.swapaxes(turn, 1, 2)
        return Tensors(turn @ self.t @ back, turn @ self.l @ back, turn @ self.s @ back)

    def moved(self, shift: F64) -> Tensors:
        """The same motion about origins shifted by ``shift`` (g, 3) Å."""
        d = cross_matrix(shift)
        back = np.swapaxes(d, 1, 2)
        screw = d @ self.s
        t = self.t + d @ self.l @ back + screw + np.swapaxes(screw, 1, 2)
        return Tensors(t, self.l, self.s + self.l @ back)


def by_position(groups: TlsGroups, values: F64, xyz: F64, slope_u: F64) -> F64:
    """Slope (n, 3) per Å that comes from U of the groups' motion ``values`` (g, 20) changing with position.

    Args:
        slope_u: (n, 6) dL/dU with both off-diagonal elements moved together.
    """
    out = np.zeros_like(xyz)
    inside = groups.inside
    own = groups.member[inside]
    tensors = Tensors.of(values)
    libration, screw = tensors.l[own], tensors.s[own]
    a = cross_matrix(xyz[inside] - groups.origin[own])
    weight = full_tensors(slope_u[inside]) * (0.5 + 0.5 * np.eye(3))  # Σ_ij w_ij U_ij with w symmetric
    # U = … + A (L Aᵀ + S) + its transpose: dU = dA M + Mᵀ dAᵀ with M = L Aᵀ + S, and w is symmetric
    half = libration @ np.swapaxes(a, 1, 2) + screw
    by_a = 2.0 * weight @ np.swapaxes(half, 1, 2)
    out[inside] = np.stack(
        [by_a[:, 1, 2] - by_a[:, 2, 1], by_a[:, 2, 0] - by_a[:, 0, 2], by_a[:, 0, 1] - by_a[:, 1, 0]], axis=1
    )
    return out


@dataclass(frozen=True, slots=True, eq=False)
class TlsResult:
    """Refined motion: ``values`` (g, 20) of ``groups``.

    ``mean_b`` (g,) Å² equivalent B of the motion averaged over each group's atoms; ``residual``: the model is written
    without it; ``cycles`` that refined it.
    """

    groups: TlsGroups
    values: F64
    mean_b: F64
    residual: bool
    cycles: int
