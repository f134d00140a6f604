"""Sampling of the unit cell."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .crystal import Crystal


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """A regular grid over one unit cell.

    Attributes:
        shape: points along a, b, c (c varies fastest in memory).
        orth: (3, 3) float64 fractional to Cartesian of the cell.
    """

    shape: tuple[int, int, int]
    orth: NDArray[np.float64]

    @property
    def volume(self) -> float:
        """Cell volume, Å³."""
        return float(abs(np.linalg.det(self.orth)))


def smooth_number(minimum: int, factor: int) -> int:
    """Smallest multiple of ``factor`` ≥ ``minimum`` whose prime factors are 2, 3, 5 and 7 (fast FFTs)."""
    n = max(factor, -(-minimum // factor) * factor)
    while True:
        rest = n
        for prime in (2, 3, 5, 7):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return n
        n += factor


def symmetry_factors(crystal: Crystal) -> tuple[int, int, int]:
    """Numbers that the grid sizes must be multiples of, so that every operation maps grid points onto grid points."""
    factors = [1, 1, 1]
    for translation in crystal.translations:
        for axis in range(3):
            for denominator in (1, 2, 3, 4, 6, 8, 12, 24):
                if abs(translation[axis] * denominator - round(translation[axis] * denominator)) < 1e-6:
                    factors[axis] = int(np.lcm(factors[axis], denominator))
                    break
    return factors[0], factors[1], factors[2]


def tied_axes(crystal: Crystal) -> list[list[int]]:
    """Groups of axes that some operation mixes and which must have the same number of points."""
    group = [0, 1, 2]
    for rotation in crystal.rotations:
        for i in range(3):
            for j in range(3):
                if i != j and rotation[i, j] != 0:
                    low, high = sorted((group[i], group[j]))
                    group = [low if g == high else g for g in group]
    return [[axis for axis in range(3) if group[axis] == g] for g in sorted(set(group))]


def choose_grid(crystal: Crystal, spacing: float) -> Grid:
    """A grid with spacing at most ``spacing`` (Å) between lattice planes that the space group maps onto itself."""
    # |row of frac| is the reciprocal length; points needed along an axis = 1 / (|a*| spacing)
    reciprocal = np.linalg.norm(crystal.frac, axis=1)
    wanted = np.ceil(1.0 / (reciprocal * spacing) - 1e-9).astype(int)
    factors = symmetry_factors(crystal)
    shape = [0, 0, 0]
    for axes in tied_axes(crystal):
        factor = int(np.lcm.reduce([factors[a] for a in axes]))
        if 2 in axes and factor % 2:
            factor *= 2  # the half-complex axis must be even
        size = smooth_number(int(max(wanted[a] for a in axes)), factor)
        for a in axes:
            shape[a] = size
    return Grid(shape=(shape[0], shape[1], shape[2]), orth=crystal.orth)
