"""Modified Bessel functions of order 0 and 1 for the likelihood loops."""

from __future__ import annotations

import math

from .jit import njit

_SWITCH = 18.0
"""Below: ascending series; above: asymptotic series, whose smallest term there is under 1e-15."""


@njit()
def _asymptotic(x: float) -> tuple[float, float]:
    """ln(I₀(x) exp(−x)) and I₁(x)/I₀(x) for large x."""
    inverse = 1.0 / (8.0 * x)
    s0, s1 = 1.0, 1.0
    t0, t1 = 1.0, 1.0
    for k in range(1, 40):
        odd = (2.0 * k - 1.0) ** 2
        next0 = t0 * odd * inverse / k
        next1 = t1 * (odd - 4.0) * inverse / k
        if next0 > t0 or next0 < 1e-17:
            break
        t0, t1 = next0, next1
        s0 += t0
        s1 += t1
    return math.log(s0) - 0.5 * math.log(2.0 * math.pi * x), s1 / s0


@njit()
def log_i0_and_ratio(x: float) -> tuple[float, float]:
    """ln I₀(x) and I₁(x)/I₀(x) for x ≥ 0, to about 1e-14 relative."""
    if x < _SWITCH:
        q = 0.25 * x * x
        term = 1.0
        i0 = 1.0
        i1 = 1.0
        k = 1.0
        while True:
            term *= q / (k * k)
            i0 += term
            i1 += term / (k + 1.0)
            if term < 1e-17 * i0:
                break
            k += 1.0
        return math.log(i0), 0.5 * x * i1 / i0
    log_i0e, ratio = _asymptotic(x)
    return x + log_i0e, ratio


@njit()
def log_i0e_and_ratio(x: float) -> tuple[float, float]:
    """ln(I₀(x) exp(−x)) and I₁(x)/I₀(x) for x ≥ 0: nothing of the size of x cancels."""
    if x < _SWITCH:
        log_i0, ratio = log_i0_and_ratio(x)
        return log_i0 - x, ratio
    return _asymptotic(x)


@njit()
def log_cosh(x: float) -> float:
    """ln cosh x without overflow."""
    a = abs(x)
    return a + math.log1p(math.exp(-2.0 * a)) - math.log(2.0)
