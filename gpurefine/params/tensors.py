"""Displacement tensors of atoms: anisotropic where an atom is, isotropic for the others."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..backend.plans import AtomInformation, DensityGradient
from ..constants import B_MAX, B_MIN, EIGHT_PI2
from ..model.special import SpecialPositions
from ..model.tensors import TRACE, TWICE, smallest_and_largest
from .atomic import sum_by_owner
from .values import AtomTangent, AtomValues

F64 = NDArray[np.float64]

B_PER_TRACE = EIGHT_PI2 / 3.0
"""Equivalent B of a tensor is this times its trace."""

SHRINK = 0.25
"""No principal displacement falls below this part of itself in one step."""

TRIES = 8
"""Halvings of one atom's shift before it stays."""


def tensors_of(values: AtomValues, is_aniso: NDArray[np.bool_]) -> F64:
    """U (n, 6) Å² of all atoms, those of isotropic ones B/8π² times unity."""
    return np.where(is_aniso[:, None], values.u_aniso, (values.b_iso / EIGHT_PI2)[:, None] * TRACE)


def safe_lengths(u: F64, shift: F64) -> F64:
    """(m,) the largest of 1, ½, ¼ … 0 by which each shift (m, 6) may be multiplied.

    No principal value of u + shift may fall below :data:`SHRINK` times the smallest before, below B_MIN/8π², or
    rise above B_MAX/8π² (where it is not beyond already).
    """
    low, high = smallest_and_largest(u)
    floor = np.maximum(SHRINK * low, np.minimum(low, B_MIN / EIGHT_PI2))
    ceiling = np.maximum(high, B_MAX / EIGHT_PI2)
    length, open_ = np.ones(len(u)), np.arange(len(u))
    for _ in range(TRIES):
        new_low, new_high = smallest_and_largest(u[open_] + length[open_, None] * shift[open_])
        open_ = open_[(new_low < floor[open_]) | (new_high > ceiling[open_])]
        if len(open_) == 0:
            return length
        length[open_] *= 0.5
    length[open_] = 0.0
    return length


@dataclass(frozen=True, slots=True, eq=False)
class DisplacementTensors:
    """U of every atom: shifts (n, 6) Å², 11 22 33 12 13 23.

    An isotropic atom has one direction only, that of the unit tensor; an atom on a special position those that its
    site's symmetry leaves.  Riding hydrogens are isotropic and follow the equivalent B of their parents.  A shift that
    would make a tensor lose its positive definiteness is shortened, for that atom alone.

    Attributes:
        owner: (n,) int32 the atom whose parameters move this one.
        is_aniso: (n,) bool, none of them riding.
        space: (n, 6, 6) projection onto the directions in which each atom's tensor may move.
    """

    owner: NDArray[np.int32]
    is_aniso: NDArray[np.bool_]
    space: F64
    name: str = "U"
    limit: float = 0.25
    by_occupancy: bool = False

    @staticmethod
    def of(
        owner: NDArray[np.int32], is_aniso: NDArray[np.bool_], special: SpecialPositions
    ) -> DisplacementTensors:
        """The parameters of a model's atoms."""
        isotropic = np.outer(TRACE, TRACE) / 3.0
        space = np.where(is_aniso[:, None, None], np.eye(6), isotropic)
        for atom, projector in zip(special.atom, special.tensor_projectors(), strict=True):
            if is_aniso[atom]:
                space[atom] = projector
        return DisplacementTensors(owner, is_aniso, space)

    @property
    def shape(self) -> tuple[int, int]:
        """(n, 6)."""
        return len(self.owner), 6

    def move(self, values: AtomValues, shift: F64) -> AtomValues:
        """New tensors, and the equivalent B that belong to them."""
        u = tensors_of(values, self.is_aniso)
        own = self.owner == np.arange(len(self.owner))
        allowed = np.zeros_like(u)
        allowed[own] = np.einsum("nij,nj->ni", self.space[own], shift[own])
        allowed[own] *= safe_lengths(u[own], allowed[own])[:, None]
        change = B_PER_TRACE * (allowed @ TRACE)
        b_iso = np.where(
            self.is_aniso, B_PER_TRACE * ((u + allowed) @ TRACE),
            np.where(own, values.b_iso + change, np.clip(values.b_iso + change[self.owner], B_MIN, B_MAX)),
        )
        return replace(values, b_iso=b_iso, u_aniso=np.where(self.is_aniso[:, None], u + allowed, values.u_aniso))

    def tangent(self, values: AtomValues, shift: F64) -> AtomTangent:
        """Tensors move in their spaces, riding atoms with the equivalent B of their owners."""
        allowed = np.einsum("nij,nj->ni", self.space, shift)[self.owner]
        zero = AtomTangent.zero(len(self.owner))
        b_iso = B_PER_TRACE * (allowed @ TRACE)
        return replace(zero, b_iso=b_iso, u_aniso=np.where(self.is_aniso[:, None], allowed, 0.0))

    def pull(self, values: AtomValues, slope: DensityGradient) -> F64:
        """Slopes of tensors, and of B along the unit tensor, summed onto the owners."""
        by_b = np.where(self.is_aniso, 0.0, B_PER_TRACE * slope.b_iso)
        per_atom = by_b[:, None] * TRACE
        per_atom[self.is_aniso] = slope.u_aniso[self.is_aniso]
        return self.constrain(sum_by_owner(self.owner, per_atom))

    def pull_blocks(self, values: AtomValues, information: AtomInformation) -> F64:
        """Blocks summed onto the owners, stiff where a tensor must not move."""
        by_b = np.where(self.is_aniso, 0.0, B_PER_TRACE**2 * information.b_iso)
        blocks = sum_by_owner(self.owner, by_b)[:, None, None] * np.outer(TRACE, TRACE)
        if information.u_aniso is not None:
            blocks[self.is_aniso] += information.u_aniso[self.is_aniso]
        narrow = np.flatnonzero(~np.isclose(np.trace(self.space, axis1=1, axis2=2), 6.0))
        p, h = self.space[narrow], blocks[narrow]
        outside = np.eye(6) - p
        scale = np.trace(h, axis1=1, axis2=2)[:, None, None] / 6.0
        turned, forbidden = np.swapaxes(p, 1, 2), np.swapaxes(outside, 1, 2)
        blocks[narrow] = turned @ h @ p + scale * (forbidden @ (TWICE[:, None] * outside))
        return blocks

    def constrain(self, gradient: F64) -> F64:
        """Without the directions in which a tensor must not move."""
        return np.asarray(np.einsum("nji,nj->ni", self.space, gradient))
