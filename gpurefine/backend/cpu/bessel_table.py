"""ln I₀ and I₁/I₀ from piecewise polynomials, for likelihoods, which need them at very many points.

Up to END each interval has a polynomial through Chebyshev's points; beyond, both are polynomials in END/x but for the
leading −½ ln 2πx.  The error is below 1e-14; the series of :mod:`gpurefine.backend.cpu.bessel` are good to the last
digit and take ten times as long.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ..information import scaled_bessel
from .jit import njit

END = 32.0
PIECES = 256
DEGREE = 7
FAR_DEGREE = 9


def _pieces() -> NDArray[np.float64]:
    """(PIECES, 2, DEGREE + 1): coefficients of ln(I₀ exp(−x)) and I₁/(x I₀), the highest power of −1 … 1 first.

    The second is divided by x so that small ratios are good to the last digit too.  What is fitted is the difference
    from a value within the interval, for the sake of the last digits.
    """
    node = np.cos(np.pi * (np.arange(DEGREE + 1) + 0.5) / (DEGREE + 1))
    width = END / PIECES
    x = width * (np.arange(PIECES)[:, None] + 0.5 + 0.5 * node)
    inverse = np.linalg.inv(np.vander(node))
    zero, one = scaled_bessel(x)
    found = []
    for value in (np.log(zero), one / (x * zero)):
        middle = value[:, DEGREE // 2]
        found.append((value - middle[:, None]) @ inverse.T)
        found[-1][:, -1] += middle
    return np.ascontiguousarray(np.stack(found, axis=1))


def _far() -> NDArray[np.float64]:
    """(2, FAR_DEGREE + 1): the same in y = 2 END/x − 1, of ln(I₀ exp(−x) √(2πx)) and x (1 − I₁/I₀)."""
    node = np.cos(np.pi * (np.arange(FAR_DEGREE + 1) + 0.5) / (FAR_DEGREE + 1))
    x = 2.0 * END / (node + 1.0)
    inverse = np.linalg.inv(np.vander(node))
    # Hankel's series; at x ≥ END its terms are negligible before they grow
    zero, one = np.ones_like(x), np.ones_like(x)
    term0, term1 = zero, one
    for k in range(1, 25):
        odd = (2.0 * k - 1.0) ** 2
        term0, term1 = term0 * odd / (8.0 * k * x), term1 * (odd - 4.0) / (8.0 * k * x)
        zero, one = zero + term0, one + term1
    return np.stack([inverse @ np.log(zero), inverse @ (x * (zero - one) / zero)])


_PIECES = _pieces()
_FAR = _far()


@njit(inline="always")
def quick_log_i0e_and_ratio(x: float) -> tuple[float, float]:
    """ln(I₀(x) exp(−x)) and I₁(x)/I₀(x) for x ≥ 0, to 1e-14."""
    if x < END:
        at = x * (PIECES / END)
        k = int(at)
        y = 2.0 * (at - k) - 1.0
        value, ratio = 0.0, 0.0
        for i in range(DEGREE + 1):
            value = value * y + _PIECES[k, 0, i]
            ratio = ratio * y + _PIECES[k, 1, i]
        return value, ratio * x
    y = 2.0 * END / x - 1.0
    value, ratio = 0.0, 0.0
    for i in range(FAR_DEGREE + 1):
        value = value * y + _FAR[0, i]
        ratio = ratio * y + _FAR[1, i]
    return value - 0.5 * math.log(2.0 * math.pi * x), 1.0 - ratio / x
