"""Friedel mates measured apart, on the unique reflections of a crystal."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class FriedelPairs:
    """Amplitudes of both mates, aligned with a list of unique reflections.

    ``plus`` belongs to the listed index hkl itself and ``minus`` to −h −k −l, whatever indices the file had.  A mate
    that was not measured is NaN, value and uncertainty.  Of a centric reflection the mates are equivalent by
    symmetry: all that was measured of it is averaged into ``plus``, and ``minus`` is NaN.

    Attributes:
        plus, sigma_plus, minus, sigma_minus: (n,) float64, in the units of the mean amplitudes.
        labels: columns they were read from.
    """

    plus: F64
    sigma_plus: F64
    minus: F64
    sigma_minus: F64
    labels: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.plus)

    @property
    def both(self) -> NDArray[np.bool_]:
        """(n,) bool: both mates were measured (never true of a centric reflection)."""
        return np.isfinite(self.plus) & np.isfinite(self.minus)

    @property
    def some(self) -> NDArray[np.bool_]:
        """(n,) bool: at least one mate was measured."""
        return np.isfinite(self.plus) | np.isfinite(self.minus)

    @property
    def difference(self) -> float:
        """Σ|F₊ − F₋| / Σ(F₊ + F₋)/2 over pairs with both mates; NaN where there is none."""
        at = self.both
        if not at.any():
            return float("nan")
        return float(2.0 * np.abs(self.plus - self.minus)[at].sum() / (self.plus + self.minus)[at].sum())

    @property
    def noise(self) -> float:
        """What the uncertainties alone would make of :attr:`difference`; NaN where there is no pair."""
        at = self.both
        if not at.any():
            return float("nan")
        spread = np.sqrt(self.sigma_plus[at] ** 2 + self.sigma_minus[at] ** 2)
        return float(np.sqrt(8.0 / np.pi) * spread.sum() / (self.plus + self.minus)[at].sum())
