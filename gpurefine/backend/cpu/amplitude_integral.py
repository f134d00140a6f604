"""Integrals over one true amplitude f, shared by the likelihoods of intensities and of twins.

See :mod:`gpurefine.backend.quadrature` for the integrand.  p ≥ 0 is the precision of the measured i (0: nothing
measured).
"""

from __future__ import annotations

import math

from ..quadrature import BESSEL_END, BESSEL_STEPS, DROP
from .jit import njit
from .rows import Array

_SCALE = BESSEL_STEPS / BESSEL_END
_TWO_PI = 2.0 * math.pi


@njit(error_model="numpy")
def bessel(table: Array, y: float) -> tuple[float, float]:
    """exp(−y) I₀(y) and I₁(y)/I₀(y) for y ≥ 0."""
    if y >= BESSEL_END:
        v = 1.0 / y
        series = 1.0 + 0.125 * v * (1.0 + 0.5625 * v * (1.0 + 25.0 / 24.0 * v * (1.0 + 49.0 / 32.0 * v * (
            1.0 + 2.025 * v))))
        ratio = 1.0 - v * (0.5 + v * (0.125 + v * (0.125 + v * (25.0 / 128.0 + v * (0.40625 + v * 1.0478515625)))))
        return series / math.sqrt(_TWO_PI * y), ratio
    t = y * _SCALE
    k = int(t)
    t -= k
    u = 1.0 - t
    a, b = u * u * (1.0 + 2.0 * t), t * u * u
    c, d = t * t * (3.0 - 2.0 * t), -t * t * u
    zero = a * table[k, 0] + b * table[k, 1] + c * table[k + 1, 0] + d * table[k + 1, 1]
    ratio = a * table[k, 2] + b * table[k, 3] + c * table[k + 1, 2] + d * table[k + 1, 3]
    return zero, ratio


@njit(error_model="numpy")
def _energy(table: Array, f: float, i: float, p: float, x: float, centric: bool) -> float:
    """−ln of the integrand, up to a constant."""
    q = f * f - i
    if centric:
        return 0.5 * p * q * q + 0.5 * (f - x) ** 2 - math.log1p(math.exp(-2.0 * f * x))
    zero, _ = bessel(table, 2.0 * f * x)
    return 0.5 * p * q * q + (f - x) ** 2 - math.log(zero * f)


@njit(error_model="numpy")
def log_slope(table: Array, f: float, i: float, p: float, x: float, centric: bool) -> tuple[float, float]:
    """First and second derivative of the energy."""
    q = f * f - i
    if centric:
        m = math.tanh(f * x)
        return 2.0 * p * f * q + f - x * m, 2.0 * p * (q + 2.0 * f * f) + 1.0 - x * x * (1.0 - m * m)
    y = 2.0 * f * x
    _, m = bessel(table, y)
    curve = 1.0 - m * m - (m / y if y > 1e-4 else 0.5)
    first = 2.0 * p * f * q + 2.0 * (f - x * m) - 1.0 / f
    return first, 2.0 * p * (q + 2.0 * f * f) + 2.0 - 4.0 * x * x * curve + 1.0 / (f * f)


@njit(error_model="numpy")
def peak(table: Array, i: float, p: float, x: float, centric: bool) -> tuple[float, float]:
    """Place of the maximum of the integrand, to a small part of its width, and the second derivative there."""
    weight = 1.0 if centric else 2.0
    prior = 0.5 * (x + math.sqrt(x * x + 2.0 / weight))
    f = prior
    if p > 0.0:
        root = math.sqrt(i * i + 2.0 / p)
        t = 0.5 * (i + root) if i >= 0.0 else 1.0 / (p * (root - i))
        measured = math.sqrt(t)
        c = 2.0 * p * (3.0 * t - i) + 1.0 / t
        f = (c * measured + weight * prior) / (c + weight)
        low, high = 0.0, 2.0 * max(measured, prior) + 1e-300
    else:
        low, high = 0.0, 2.0 * prior
    second = 1.0
    for _ in range(60):
        first, second = log_slope(table, f, i, p, x, centric)
        if second > 0.0 and first * first < 2e-3 * second:
            f = max(f - first / second, 0.5 * f)
            break
        if first > 0.0:
            high = f
        else:
            low = f
        trial = f - first / second if second > 0.0 else -1.0
        if not low < trial < high:
            trial = 0.5 * (low + high)
        if centric and trial * trial * (1.0 + p * abs(i) + x * x) < 1e-4:
            f = 0.0  # the maximum is at 0, where the slope vanishes
            break
        f = trial
    floor = 0.1 * weight / (1.0 + x * x)
    return f, max(second, floor)


@njit(error_model="numpy")
def window(table: Array, i: float, p: float, x: float, centric: bool) -> tuple[float, float, float]:
    """Interval outside which the integrand is below exp(−DROP) of its maximum, and the place of that (the middle
    value); a little too wide is no harm."""
    f, second = peak(table, i, p, x, centric)
    limit = _energy(table, f, i, p, x, centric) + DROP
    reach = math.sqrt(2.0 * DROP / second)
    high = f + reach
    for _ in range(8):
        excess = _energy(table, high, i, p, x, centric) - limit
        if 0.0 <= excess < 5.0:
            break
        slope, _ = log_slope(table, high, i, p, x, centric)
        move = excess / slope if slope > 0.0 else -1e300
        high -= max(min(move, 0.7 * (high - f)), -2.0 * (high - f))
    low = f - reach
    for _ in range(8):
        if low <= 0.02 * f:
            low = 0.0
            break
        excess = _energy(table, low, i, p, x, centric) - limit
        if 0.0 <= excess < 5.0:
            break
        slope, _ = log_slope(table, low, i, p, x, centric)
        move = excess / slope if slope < 0.0 else 1e300
        low -= min(max(move, -0.7 * (f - low)), 2.0 * (f - low))
    if low <= 0.0:
        low = 0.0
    return low, f, high


@njit(error_model="numpy")
def log_prior_derivatives(table: Array, f: float, x: float, centric: bool) -> tuple[float, float, float]:
    """−ln of the density of f, up to a constant, and its two derivatives."""
    value = _energy(table, f, 0.0, 0.0, x, centric)
    first, second = log_slope(table, f, 0.0, 0.0, x, centric)
    return value, first, second


@njit(error_model="numpy")
def prior_weight(table: Array, f: float, x: float, centric: bool) -> tuple[float, float, float]:
    """Exponent and factor of the density of f, and the mean cosine m of its phase."""
    if centric:
        e = math.exp(-2.0 * f * x)
        return 0.5 * (f - x) ** 2, math.sqrt(0.5 / math.pi) * (1.0 + e), (1.0 - e) / (1.0 + e)
    zero, m = bessel(table, 2.0 * f * x)
    return (f - x) ** 2, 2.0 * f * zero, m
