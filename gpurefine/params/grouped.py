"""One shift of B a group of atoms (method 6), for data too few for a B an atom."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..backend.blocks import BlockMatrix, coupled
from ..backend.ops_restraints import RestraintOps
from ..backend.plans import AtomInformation, DensityGradient
from ..constants import B_MAX, B_MIN
from .atomic import AT_BOUND
from .values import AtomTangent, AtomValues

F64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class GroupedB:
    """Isotropic B of groups: shifts (g, 1) Å², the same for all atoms of a group, whose differences stay.

    Attributes:
        member: (n,) int32 group of every atom, riding hydrogens with their parents, −1 for atoms whose B stays.
        count: g.
    """

    member: NDArray[np.int32]
    count: int
    name: str = "grouped B"
    limit: float = 30.0
    by_occupancy: bool = False

    @property
    def shape(self) -> tuple[int, int]:
        """(g, 1)."""
        return self.count, 1

    def move(self, values: AtomValues, shift: F64) -> AtomValues:
        """New B; no group goes farther than all of its atoms can."""
        inside = self.member >= 0
        low, high = self._extremes(values)
        allowed = np.clip(shift[:, 0], np.minimum(B_MIN - low, 0.0), np.maximum(B_MAX - high, 0.0))
        moved = values.b_iso.copy()
        moved[inside] += allowed[self.member[inside]]
        return replace(values, b_iso=moved)

    def held(self, values: AtomValues, gradient: F64) -> NDArray[np.bool_]:
        """(g,) which groups have an atom at a bound and would go beyond it downhill of ``gradient`` (g, 1)."""
        low, high = self._extremes(values)
        slope = gradient[:, 0]
        return ((slope > 0.0) & (low <= B_MIN + AT_BOUND)) | ((slope < 0.0) & (high >= B_MAX - AT_BOUND))

    def _extremes(self, values: AtomValues) -> tuple[F64, F64]:
        """Lowest and highest B (g,) of the atoms of each group."""
        inside = self.member >= 0
        own, b_iso = self.member[inside], values.b_iso[inside]
        low, high = np.full(self.count, B_MAX), np.full(self.count, B_MIN)
        np.minimum.at(low, own, b_iso)
        np.maximum.at(high, own, b_iso)
        return low, high

    def tangent(self, values: AtomValues, shift: F64) -> AtomTangent:
        """Every atom goes with its group."""
        zero = AtomTangent.zero(len(self.member))
        return replace(zero, b_iso=np.where(self.member >= 0, shift[self.member, 0], 0.0))

    def pull(self, values: AtomValues, slope: DensityGradient) -> F64:
        """Slopes summed by group."""
        return self.summed(slope.b_iso)[:, None]

    def pull_blocks(self, values: AtomValues, information: AtomInformation) -> F64:
        """Curvature summed by group."""
        return self.summed(information.b_iso)[:, None, None]

    def constrain(self, gradient: F64) -> F64:
        """Restraints on groups have all directions."""
        return gradient

    def matrix(self, matrix: BlockMatrix, backend: RestraintOps) -> BlockMatrix:
        """Curvature by groups from that by atoms (side 1)."""
        own = self.member[matrix.pattern.pairs]
        inside = (own >= 0).all(axis=1)
        diagonal = self.summed(backend.host_blocks(matrix.diagonal)[:, 0, 0])[:, None, None]
        return coupled(diagonal, own[inside], backend.host_blocks(matrix.off)[inside])

    def summed(self, per_atom: F64) -> F64:
        """Numbers (n,) of atoms summed by group (g,)."""
        inside = self.member >= 0
        return np.asarray(np.bincount(self.member[inside], per_atom[inside], minlength=self.count))
