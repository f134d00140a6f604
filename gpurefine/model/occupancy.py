"""Groups of atoms that share an occupancy, and sets of groups whose occupancies are tied to each other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class OccupancyGroups:
    """What is refined of occupancies.

    Attributes:
        names: g texts for people.
        member: (n,) int32 group of every atom, riding hydrogens included, −1 for atoms whose occupancy stays.
        sets: groups of each set: alternatives of one another; every group is in exactly one set.
        complete: one flag a set: the occupancies sum to one; else to one at most.
        residues: residues of each group as "A/12", in the order of the model.
    """

    names: tuple[str, ...]
    member: NDArray[np.int32]
    sets: tuple[tuple[int, ...], ...]
    complete: tuple[bool, ...]
    residues: tuple[tuple[str, ...], ...] = ()

    def __len__(self) -> int:
        return len(self.names)

    def occupancies(self, occ: NDArray[np.float64]) -> NDArray[np.float64]:
        """Mean (g,) of the atoms' occupancies ``occ`` (n,) by group."""
        inside = self.member >= 0
        own = self.member[inside]
        count = np.bincount(own, minlength=len(self))
        return np.asarray(np.bincount(own, occ[inside], minlength=len(self)) / np.maximum(count, 1))


@dataclass(frozen=True, slots=True, eq=False)
class OccupancyResult:
    """Refined occupancies ``values`` (g,) of ``groups``."""

    groups: OccupancyGroups
    values: NDArray[np.float64]
