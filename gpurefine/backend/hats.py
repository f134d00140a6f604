"""Piecewise linear functions by their values on knots."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def hat_weights(x: NDArray[np.float64], knots: NDArray[np.float64]) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Left knot (n,) and weight of the right one (n,) for linear interpolation, constant outside the knots."""
    left = np.clip(np.searchsorted(knots, x, side="right") - 1, 0, max(len(knots) - 2, 0))
    if len(knots) == 1:
        return left, np.zeros(len(x))
    weight = (x - knots[left]) / (knots[left + 1] - knots[left])
    return left, np.clip(weight, 0.0, 1.0)


def hat_matrix(x: NDArray[np.float64], knots: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, n_knot): the interpolated function is this matrix times the knot values."""
    left, weight = hat_weights(x, knots)
    out = np.zeros((len(x), len(knots)))
    row = np.arange(len(x))
    out[row, left] = 1.0 - weight
    if len(knots) > 1:
        out[row, left + 1] += weight
    return out
