"""Sites that hydrogen and deuterium share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class DeuteriumSites:
    """Hydrogens whose part of deuterium is refined; they scatter as deuterium of a changed weight.

    Attributes:
        atom: (s,) int: their places among the atoms; start: (s,) fractions that the model came with; labels: (s,).
        hydrogen: scattering length of hydrogen by that of deuterium (−3.739/6.671).
    """

    atom: NDArray[np.intp]
    start: NDArray[np.float64]
    labels: tuple[str, ...]
    hydrogen: float

    def __len__(self) -> int:
        return len(self.atom)

    def weight(self, fraction: NDArray[np.float64]) -> NDArray[np.float64]:
        """((1 − f) b_H + f b_D)/b_D (s,) of fractions f (s,)."""
        return np.asarray(self.hydrogen + (1.0 - self.hydrogen) * fraction)


@dataclass(frozen=True, slots=True, eq=False)
class DeuteriumResult:
    """Refined fractions ``values`` (s,) of ``sites``."""

    sites: DeuteriumSites
    values: NDArray[np.float64]
