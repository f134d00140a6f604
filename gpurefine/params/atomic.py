"""Positions and isotropic B of the atoms that have their own; riding atoms follow their parent."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..backend.plans import AtomInformation, DensityGradient
from ..constants import B_MAX, B_MIN, EIGHT_PI2
from ..model.special import SpecialPositions
from ..model.tensors import smallest_and_largest
from ..model.tls import TlsGroups
from .values import AtomTangent, AtomValues

F64 = NDArray[np.float64]


AT_BOUND = 0.05
"""Å²; an atom this near to a bound is at it (the bound moves a little with the atom's place in a TLS group)."""


def sum_by_owner(owner: NDArray[np.int32], per_atom: F64) -> F64:
    """Rows (n, …) of all atoms summed onto the atoms (n,) that own their parameters."""
    riders = np.flatnonzero(owner != np.arange(len(owner)))
    out = per_atom.astype(np.float64)
    if len(riders) == 0:
        return out
    out[riders] = 0.0
    theirs = owner[riders]
    if np.any(theirs[1:] < theirs[:-1]):  # hydrogens mostly follow their parents
        order = np.argsort(theirs, kind="stable")
        riders, theirs = riders[order], theirs[order]
    begin = np.flatnonzero(np.concatenate([[True], theirs[1:] != theirs[:-1]]))
    out[theirs[begin]] += np.add.reduceat(per_atom[riders], begin, axis=0)
    return out


@dataclass(frozen=True, slots=True, eq=False)
class Positions:
    """Coordinates: shifts (n, 3) Å.

    A riding hydrogen keeps its offset from the parent within a cycle, so the chain rule is a sum over the atoms that
    ride.

    Attributes:
        owner: (n,) int32 the atom whose parameters move this one.
        special: sites that symmetry holds.
    """

    owner: NDArray[np.int32]
    special: SpecialPositions
    name: str = "positions"
    limit: float = 1.0
    by_occupancy: bool = False

    @property
    def shape(self) -> tuple[int, int]:
        """(n, 3)."""
        return len(self.owner), 3

    def move(self, values: AtomValues, shift: F64) -> AtomValues:
        """The atoms at new positions."""
        return values.at(values.xyz + self.special.project_vectors(shift)[self.owner])

    def tangent(self, values: AtomValues, shift: F64) -> AtomTangent:
        """Every atom goes with its owner."""
        zero = AtomTangent.zero(len(self.owner))
        return replace(zero, xyz=self.special.project_vectors(shift)[self.owner])

    def pull(self, values: AtomValues, slope: DensityGradient) -> F64:
        """Slopes summed onto the owners; forbidden directions removed."""
        return self.special.project_vectors(sum_by_owner(self.owner, slope.xyz))

    def pull_blocks(self, values: AtomValues, information: AtomInformation) -> F64:
        """Blocks summed onto the owners, special positions made stiff."""
        return self.special.project_blocks(sum_by_owner(self.owner, information.xyz))

    def constrain(self, gradient: F64) -> F64:
        """Without what symmetry forbids."""
        return self.special.project_vectors(gradient)


@dataclass(frozen=True, slots=True, eq=False)
class IsotropicB:
    """Isotropic B: shifts (n, 1) Å²; a riding hydrogen takes its parent's.

    Attributes:
        owner: (n,) int32 the atom whose parameters move this one.
        fixed: (n,) bool, atoms whose B stays.
        tls: groups whose motion adds to the atoms' own B.
    """

    owner: NDArray[np.int32]
    fixed: NDArray[np.bool_]
    tls: TlsGroups | None = None
    name: str = "B"
    limit: float = 30.0
    by_occupancy: bool = False

    @property
    def shape(self) -> tuple[int, int]:
        """(n, 1)."""
        return len(self.owner), 1

    def move(self, values: AtomValues, shift: F64) -> AtomValues:
        """New B, kept between the bounds."""
        moved = np.clip(values.b_iso + shift[self.owner, 0], self._lowest(values), B_MAX)
        return replace(values, b_iso=np.where(self.fixed, values.b_iso, moved))

    def held(self, values: AtomValues, gradient: F64) -> NDArray[np.bool_]:
        """(n,) which atoms are at a bound and would go beyond it downhill of ``gradient`` (n, 1)."""
        slope = gradient[:, 0]
        low = values.b_iso <= self._lowest(values) + AT_BOUND
        return ((slope > 0.0) & low) | ((slope < 0.0) & (values.b_iso >= B_MAX - AT_BOUND))

    def _lowest(self, values: AtomValues) -> F64 | float:
        """What own B (n,) may fall to: the sum with a group's motion is to be positive, and not each for itself, for
        the data do not tell how much of an isotropic displacement is the group's."""
        if self.tls is None:
            return B_MIN
        motion = EIGHT_PI2 * smallest_and_largest(self.tls.displacement(values.xyz, values.tls))[0]
        least = np.full(len(motion), np.inf)
        np.minimum.at(least, self.owner, motion)
        return B_MIN - least[self.owner]

    def tangent(self, values: AtomValues, shift: F64) -> AtomTangent:
        """Every atom goes with its owner."""
        zero = AtomTangent.zero(len(self.owner))
        return replace(zero, b_iso=np.where(self.fixed, 0.0, shift[self.owner, 0]))

    def pull(self, values: AtomValues, slope: DensityGradient) -> F64:
        """Slopes summed onto the owners, zero where B stays."""
        return self.constrain(sum_by_owner(self.owner, slope.b_iso)[:, None])

    def pull_blocks(self, values: AtomValues, information: AtomInformation) -> F64:
        """Curvature summed onto the owners, zero where B stays."""
        return self.constrain(sum_by_owner(self.owner, information.b_iso)[:, None])[:, :, None]

    def constrain(self, gradient: F64) -> F64:
        """Zero where B stays."""
        out = gradient.copy()
        out[self.fixed] = 0.0
        return out
