"""Motion of rigid groups as parameters: twenty a group (method 6; Winn, Isupov & Murshudov 2001, Acta Cryst. D57,
122–133).

The tensors add to what each atom has of its own, U = u + T + A L Aᵀ + A S + Sᵀ Aᵀ, with A made of the atom's present
position, so that positions, residual displacement and tensors can move in any order.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..backend.plans import AtomInformation, DensityGradient
from ..constants import B_MAX, B_MIN, DEGREE, EIGHT_PI2
from ..errors import NumericalError
from ..model.tensors import TRACE, smallest_and_largest
from ..model.tls import N_TLS, TlsGroups
from .tensors import tensors_of
from .tls_valid import LIBRATION, valid_shift
from .values import AtomTangent, AtomValues

F64 = NDArray[np.float64]

UNIT = np.concatenate([np.full(6, 0.05), np.full(6, DEGREE**2), np.full(8, 0.05 * DEGREE)])
"""(20,) what one unit of a shift is: 0.05 Å² of T, 1 deg² of L, 0.05 Å deg of S change U of a domain about alike."""

SMALLEST_U = B_MIN / EIGHT_PI2
"""Å²: the total U of no atom may fall below this in any direction."""

SLACK = 1e-5
"""Of L: how negative rounding may leave it, an order below what is told."""

HALVINGS = 12
"""Times a group's shift is halved to keep its atoms' U positive definite before it is given up."""

@dataclass(frozen=True, slots=True, eq=False)
class TlsMotion:
    """Tensors of all groups: shifts (g, 20) in units of :data:`UNIT`.

    Attributes:
        groups: which atoms move together.
        is_aniso: (n,) bool, atoms whose own displacement is ``u_aniso`` and not ``b_iso``.
    """

    groups: TlsGroups
    is_aniso: NDArray[np.bool_]
    name: str = "TLS"
    limit: float = 10.0
    by_occupancy: bool = False

    @property
    def shape(self) -> tuple[int, int]:
        """(g, 20)."""
        return len(self.groups), N_TLS

    def move(self, values: AtomValues, shift: F64) -> AtomValues:
        """New tensors; a group's shift is halved until the U of all its atoms are positive definite, and L is as far
        from negative as it was, or not negative.

        What the atoms' own displacement must give up for that (:meth:`settled`) leaves the total U as it is.
        """
        inside = self.groups.inside
        member = self.groups.member[inside]
        rows = self.groups.design(values.xyz)[inside]
        own = tensors_of(values, self.is_aniso)[inside] + np.einsum("aij,aj->ai", rows, values.tls[member])
        change = np.einsum("aij,aj->ai", rows, (shift * UNIT)[member])
        floor = self._smallest(own, member) - 1e-9
        length = np.ones(len(self.groups))
        libration, turned = values.tls[:, LIBRATION], (shift * UNIT)[:, LIBRATION]
        least = np.minimum(smallest_and_largest(libration)[0], 0.0) - SLACK * np.abs(libration + turned).sum(axis=1)
        for _ in range(HALVINGS):
            low = self._smallest(own + length[member, None] * change, member)
            bad = low < np.minimum(SMALLEST_U, floor)
            bad |= smallest_and_largest(libration + length[:, None] * turned)[0] < least
            if not bad.any():
                break
            length[bad] *= 0.5
        else:
            length[bad] = 0.0
        return self.settled(replace(values, tls=values.tls + length[:, None] * shift * UNIT))

    def tangent(self, values: AtomValues, shift: F64) -> AtomTangent:
        """Change of the total U of every atom."""
        inside = self.groups.inside
        out = np.zeros((len(inside), 6))
        rows = self.groups.design(values.xyz)[inside]
        out[inside] = np.einsum("aij,aj->ai", rows, (shift * UNIT)[self.groups.member[inside]])
        return replace(AtomTangent.zero(len(inside)), u_aniso=out)

    def pull(self, values: AtomValues, slope: DensityGradient) -> F64:
        """Σ over the atoms of a group of (∂U/∂parameter)ᵀ dL/dU."""
        inside = self.groups.inside
        each = np.einsum("aij,ai->aj", self.groups.design(values.xyz)[inside], slope.u_aniso[inside]) * UNIT
        return self._summed(each)

    def pull_blocks(self, values: AtomValues, information: AtomInformation) -> F64:
        """Σ over the atoms of a group of (∂U/∂parameter)ᵀ I_U ∂U/∂parameter."""
        inside = self.groups.inside
        rows = self.groups.design(values.xyz)[inside] * UNIT
        if information.u_aniso is None:
            raise NumericalError("The information about the displacement of TLS groups is missing.")
        each = np.swapaxes(rows, 1, 2) @ information.u_aniso[inside] @ rows
        return self._summed(each)

    def constrain(self, gradient: F64) -> F64:
        """All directions are refined."""
        return gradient

    def within(self, values: AtomValues, gradient: F64, blocks: F64) -> F64:
        """The gradient (g, 20) with which a full step ends at valid L: −H x for the shifts x of :func:`valid_shift`."""
        each = zip(values.tls, gradient, blocks, strict=True)
        shift = np.stack([valid_shift(own, UNIT, slope, block) for own, slope, block in each])
        return np.asarray(-np.einsum("gij,gj->gi", blocks, shift))

    def settled(self, values: AtomValues) -> AtomValues:
        """The same total U, with isotropic displacement moved between T and the atoms until T and the group's motion at
        all of its atoms have no negative direction and one of them none to spare, as far as the atoms' own B allow.

        The data tell only the sum.  What T could spare would otherwise be a floor under the total B of its atoms, and
        hold those that ought to lie lower.
        """
        groups = self.groups
        inside = groups.inside
        member = groups.member[inside]
        motion = groups.displacement(values.xyz, values.tls)[inside]
        smallest = np.minimum(self._smallest(motion, member), smallest_and_largest(values.tls[:, :6])[0])
        own = self._smallest(tensors_of(values, self.is_aniso)[inside], member)
        most = np.zeros(len(groups))
        np.maximum.at(most, member, values.b_iso[inside] / EIGHT_PI2)
        room = np.maximum(B_MAX / EIGHT_PI2 - most, 0.0)
        moved = np.clip(-smallest, -room, own - SMALLEST_U)
        tls = values.tls.copy()
        tls[:, :3] += moved[:, None]
        per_atom = np.zeros(len(inside))
        per_atom[inside] = moved[member]
        u_aniso = np.where(self.is_aniso[:, None], values.u_aniso - per_atom[:, None] * TRACE, values.u_aniso)
        return replace(values, tls=tls, b_iso=values.b_iso - EIGHT_PI2 * per_atom, u_aniso=u_aniso)

    def _smallest(self, u: F64, member: NDArray[np.int32]) -> F64:
        """Smallest eigenvalue (g,) of U (m, 6) among the atoms of each group."""
        out = np.full(len(self.groups), np.inf)
        np.minimum.at(out, member, smallest_and_largest(u)[0])
        return out

    def _summed(self, each: F64) -> F64:
        """Rows of the atoms inside groups summed by group, in a fixed order."""
        member = self.groups.member[self.groups.inside]
        flat = each.reshape(len(each), -1)
        out = np.stack([np.bincount(member, column, minlength=len(self.groups)) for column in flat.T], axis=1)
        return out.reshape((len(self.groups), *each.shape[1:]))


def validity(groups: TlsGroups, values: F64) -> list[str]:
    """Sentences on groups whose T or L ``values`` (g, 20) no motion of a rigid body can have."""
    told = []
    for tensor, columns, scale, unit in (
        ("T", slice(0, 6), 1.0, "Å²"), ("L", slice(6, 12), DEGREE**-2, "deg²")
    ):
        low = smallest_and_largest(values[:, columns])[0] * scale
        size = np.abs(values[:, columns][:, :3]).sum(axis=1) * scale
        told += [
            f"TLS group {name}: {tensor} has the negative principal value {value:.3g} {unit}, which no motion of a "
            "rigid body has; the group may be too small or not rigid."
            for name, value, scale_of in zip(groups.names, low, size, strict=True)
            if value < -1e-4 * max(scale_of, 1e-3)
        ]
    return told

