"""Gaussians of isotropic atoms as the density loops take them, compiled by numba."""

from __future__ import annotations

import math

from numba import prange

from ...constants import FOUR_PI2
from .jit import njit
from .rows import Array


@njit(parallel=True, cache=True)
def isotropic(
    index: Array, xyz: Array, b_iso: Array, weight: Array, kind: Array, gauss_a: Array, gauss_b: Array, frac: Array,
    blur: float, cutoff: float, fractional: Array, amplitude: Array, alpha: Array, radius: Array,
) -> None:
    """:func:`gpurefine.backend.gaussians.isotropic_gaussians` of the atoms ``index`` (m,).

    Written are fractional positions (m, 3) in the first cell, ``amplitude`` and ``alpha`` (m, at least g; the rest is
    left as it is) and ``radius`` (m,).
    """
    for m in prange(len(index)):
        i = index[m]
        row = kind[i]
        for x in range(3):
            value = frac[x, 0] * xyz[i, 0] + frac[x, 1] * xyz[i, 1] + frac[x, 2] * xyz[i, 2]
            fractional[m, x] = value - math.floor(value)
        farthest = 0.0
        for g in range(gauss_a.shape[1]):
            exponent = FOUR_PI2 / (gauss_b[row, g] + b_iso[i] + blur)
            height = gauss_a[row, g] * (exponent / math.pi) ** 1.5
            alpha[m, g], amplitude[m, g] = exponent, weight[i] * height
            farthest = max(farthest, math.log(max(abs(height) / cutoff, 1.0)) / exponent)
        radius[m] = math.sqrt(farthest)
