"""What the likelihood integrals of compiled backends share: tables of Bessel functions and fixed nodes.

The true amplitude f = F/√Σ of a reflection has, given the model's x = D|F_c|/√Σ, the density

    acentric  2 f exp(−(f − x)²) ĩ₀(2fx),           ĩ₀(y) = exp(−y) I₀(y)
    centric   √(2/π) exp(−(f − x)²/2) (1 + exp(−2fx))/2

and what was measured multiplies it by exp(−p (f² − i)²/2).  The product has one maximum, so that Gauss–Legendre
quadrature over the interval in which it exceeds exp(−DROP) of that maximum needs few nodes.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]

DROP = 18.0
"""The quadrature ends where the integrand has fallen by exp(−18): what lies beyond is under 1e-8 of the whole."""

NODES = 24
"""Gauss–Legendre nodes: relative error of the integral below 1e-7 (tests/backend/test_intensity.py)."""

BESSEL_END = 32.0
BESSEL_STEPS = 1024
"""Cubic interpolation in steps of 1/32 is good to 3e-9; beyond the end the asymptotic series is."""


@lru_cache(maxsize=1)
def bessel_table() -> F64:
    """(BESSEL_STEPS + 2, 4): ĩ₀, h dĩ₀/dy, m = I₁/I₀ and h dm/dy at y = k h, h = BESSEL_END/BESSEL_STEPS."""
    from scipy.special import i0e, i1e  # loaded only where there are intensities

    h = BESSEL_END / BESSEL_STEPS
    y = h * np.arange(BESSEL_STEPS + 2)
    zero, one = i0e(y), i1e(y)
    m = one / zero
    over = np.full(len(y), 0.5)
    np.divide(m, y, out=over, where=y > 0.0)
    return np.stack([zero, h * (one - zero), m, h * (1.0 - over - m * m)], axis=1)


@lru_cache(maxsize=4)
def unit_nodes(n: int = NODES) -> tuple[F64, F64]:
    """Gauss–Legendre nodes and weights (n,) on 0 … 1."""
    node, weight = np.polynomial.legendre.leggauss(n)
    return 0.5 * (node + 1.0), 0.5 * weight
