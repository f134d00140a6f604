"""Parts of deuterium that are alike: sites of one crystal saw the same solvent."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..backend.blocks import BlockMatrix, BlockPattern

F64 = NDArray[np.float64]


class FractionRestraints:
    """Σ ½ (f − ⟨f⟩)²/σ² over the sites, ⟨f⟩ being their present mean."""

    def __init__(self, n_sites: int, sigma: float) -> None:
        """Restrain ``n_sites`` fractions to within ``sigma`` of their mean."""
        self.sigma, self._n = sigma, n_sites
        nobody = np.zeros(0, np.int32)
        self._pattern = BlockPattern.from_pairs(n_sites, nobody, nobody)

    def value(self, fraction: F64) -> float:
        """The restraints' value at fractions (s,)."""
        return float(0.5 * np.sum((fraction - fraction.mean()) ** 2) / self.sigma**2)

    def gradient(self, fraction: F64) -> F64:
        """(s,): a change of the mean adds nothing, because differences from it add up to 0."""
        return np.asarray((fraction - fraction.mean()) / self.sigma**2)

    def curvature(self) -> BlockMatrix:
        """The diagonal, with the mean held."""
        n = self._n
        return BlockMatrix(self._pattern, np.full((n, 1, 1), 1.0 / self.sigma**2), np.zeros((0, 1, 1)))
