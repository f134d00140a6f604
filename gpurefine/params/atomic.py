"""Positions and isotropic B of the atoms that have their own; riding atoms follow their parent."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..constants import B_MAX, B_MIN
from ..model.special import SpecialPositions

F64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class AtomicParameters:
    """The map between shifts of refined atoms and all atoms.

    A riding hydrogen keeps its offset from the parent and takes its parent's B within a cycle, so the chain rule is a
    sum over the atoms that ride.

    Attributes:
        owner: (n,) int32 the atom whose parameters move this one.
        special: sites that symmetry holds.
        refine_xyz, refine_b: which kinds are refined.
        b_fixed: (n,) bool, atoms whose B stays (anisotropic atoms that are kept as given).
    """

    owner: NDArray[np.int32]
    special: SpecialPositions
    refine_xyz: bool
    refine_b: bool
    b_fixed: NDArray[np.bool_]

    def pull_vectors(self, per_atom: F64) -> F64:
        """Vectors of all atoms (n, 3) summed onto their owners; forbidden directions removed."""
        n = len(self.owner)
        out = np.empty((n, 3))
        for i in range(3):
            out[:, i] = np.bincount(self.owner, per_atom[:, i], minlength=n)
        return self.special.project_vectors(out)

    def pull_scalars(self, per_atom: F64) -> F64:
        """Scalars of all atoms (n,) summed onto their owners, zero where B stays."""
        out = np.bincount(self.owner, per_atom, minlength=len(self.owner)).astype(np.float64)
        out[self.b_fixed] = 0.0
        return out

    def pull_blocks(self, blocks: F64) -> F64:
        """Diagonal blocks (n, 3, 3) of all atoms summed onto their owners, special positions made stiff."""
        n = len(self.owner)
        flat = blocks.reshape(n, 9)
        out = np.empty((n, 9))
        for i in range(9):
            out[:, i] = np.bincount(self.owner, flat[:, i], minlength=n)
        return self.special.project_blocks(out.reshape(n, 3, 3))

    def move(self, xyz: F64, b_iso: F64, shift_xyz: F64, shift_b: F64) -> tuple[F64, F64]:
        """New positions (n, 3) and B (n,), the latter kept positive."""
        new_xyz = xyz + self.special.project_vectors(shift_xyz)[self.owner]
        new_b = np.where(self.b_fixed, b_iso, np.clip(b_iso + shift_b[self.owner], B_MIN, B_MAX))
        return new_xyz, new_b
