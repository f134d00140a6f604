"""Two reflections related by a twin law: the integral over both true amplitudes, by nested quadrature.

In units of √Σ_k the amplitudes are f₁, f₂ and t = f².  Measured intensities, divided by their uncertainties, are
y_j = b_j1 t₁ + b_j2 t₂ plus unit noise.  For a given t₁ they say of t₂ what one measurement of precision p₂ at
c₂(t₁) = g₀ + g₁ t₁ would say, and of t₁ alone (e₀ + e₁ t₁)²/2: the inner integral is that of a single intensity.  The
member about which the data say more is the inner one.
"""

from __future__ import annotations

import math

import numpy as np

from ..quadrature import DROP
from .amplitude_integral import log_prior_derivatives, log_slope, peak, prior_weight, window
from .jit import njit
from .rows import Array

MOST_NODES = 480
"""Most outer nodes, and inner nodes kept for all outer ones; where more were needed each outer node has its own."""

N_MOMENTS = 12
"""Log of the integral; ⟨f⟩, ⟨f²⟩, ⟨fm⟩, ⟨m⟩ of both; ⟨t₁²⟩, ⟨t₁t₂⟩, ⟨t₂²⟩."""


@njit(error_model="numpy")
def midpoint_step(low: float, middle: float, high: float, second: float) -> float:
    """Step of the midpoint rule for an integrand with this window and second derivative at its maximum.

    Where both ends vanish the rule converges as for a normal distribution.  At 0 the integrand of a centric reflection
    is even, so that nothing is lost there; that of an acentric one is odd and gets end corrections.
    """
    if low > 0.0:
        even = 0.7 * (middle - low) < high - middle < 1.45 * (middle - low)
        return (high - low) / (13.0 if even else 20.0)
    width = 0.9 / math.sqrt(second) if second > 0.0 else high
    return min(width, high / 13.0)


@njit(error_model="numpy")
def node_count(length: float, step: float) -> int:
    """Nodes in a window; what rounding alone lifts over a whole number counts as that, on every device."""
    return math.ceil(min(length / step, 1e6) * (1.0 - 1e-12))


@njit(error_model="numpy")
def _profile(
    table: Array, f: float, x1: float, centric1: bool, x2: float, centric2: bool, p2: float, g0: float, g1: float,
    e0: float, e1: float
) -> tuple[float, float, float]:
    """−ln of the outer integrand with the inner integral replaced by its maximum, and two derivatives."""
    t1 = f * f
    value, first, second = log_prior_derivatives(table, f, x1, centric1)
    c2 = g0 + g1 * t1
    f2, second2 = peak(table, c2, p2, x2, centric2)
    inner, _, _ = log_prior_derivatives(table, f2, x2, centric2)
    t2 = f2 * f2
    residual = e0 + e1 * t1
    value += 0.5 * residual * residual + inner + 0.5 * p2 * (t2 - c2) ** 2
    by_t = residual * e1 - p2 * (t2 - c2) * g1
    stiff = e1 * e1 + p2 * g1 * g1 * max(0.0, 1.0 - 4.0 * t2 * p2 / second2)
    return value, first + 2.0 * f * by_t, second + 2.0 * by_t + 4.0 * t1 * stiff


@njit(error_model="numpy")
def _outer_window(
    table: Array, x1: float, centric1: bool, x2: float, centric2: bool, p2: float, g0: float, g1: float, e0: float,
    e1: float, start: float
) -> tuple[float, float, float]:
    """Low end, maximum and high end of the outer amplitude."""
    f, low, high = start, 0.0, 1e150
    value, second = 0.0, 1.0
    for _ in range(60):
        value, first, second = _profile(table, f, x1, centric1, x2, centric2, p2, g0, g1, e0, e1)
        if second > 0.0 and first * first < 1e-2 * second:
            break
        if first > 0.0:
            high = f
        else:
            low = f
        trial = f - first / second if second > 0.0 else -1.0
        if not low < trial < high:
            trial = 0.5 * (low + high) if high < 1e149 else 2.0 * f
        if centric1 and trial < 1e-2 and trial * trial * second < 1e-4:
            f = 0.0
            value, first, second = _profile(table, f, x1, centric1, x2, centric2, p2, g0, g1, e0, e1)
            break
        f = trial
    second = max(second, 0.1 / (1.0 + x1 * x1))
    limit, reach = value + DROP, math.sqrt(2.0 * DROP / second)
    high = f + reach
    for _ in range(8):
        value, first, _ = _profile(table, high, x1, centric1, x2, centric2, p2, g0, g1, e0, e1)
        excess = value - limit
        if 0.0 <= excess < 6.0:
            break
        move = excess / first if first > 0.0 else -1e300
        high -= max(min(move, 0.7 * (high - f)), -2.0 * (high - f))
    low = f - reach
    for _ in range(8):
        if low <= 0.02 * f:
            break
        value, first, _ = _profile(table, low, x1, centric1, x2, centric2, p2, g0, g1, e0, e1)
        excess = value - limit
        if 0.0 <= excess < 6.0:
            break
        move = excess / first if first < 0.0 else 1e300
        low -= min(max(move, -0.7 * (f - low)), 2.0 * (f - low))
    return (low if low > 0.02 * f else 0.0), f, high


@njit(error_model="numpy")
def _fill(table: Array, low: float, step: float, size: int, x: float, centric: bool, inner: Array) -> None:
    """Midpoint nodes of the inner amplitude: rows f, t, exponent of the density, its factor with the weight, m."""
    for k in range(size):
        f = low + (k + 0.5) * step
        exponent, factor, m = prior_weight(table, f, x, centric)
        inner[0, k], inner[1, k], inner[2, k], inner[3, k], inner[4, k] = f, f * f, exponent, factor * step, m


@njit(error_model="numpy")
def _inner_sums(
    inner: Array, size: int, low: float, step: float, c2: float, p2: float, x2: float, centric2: bool, work: Array,
    sums: Array
) -> float:
    """Sums over the inner nodes of the integrand times 1, f, t, fm, m, t²; returns the exponent taken out."""
    least = 1e300
    for k in range(size):
        delta = inner[1, k] - c2
        work[k] = inner[2, k] + 0.5 * p2 * delta * delta
        least = min(least, work[k])
    s0, s1, s2, s3, s4, s5 = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for k in range(size):
        above = work[k] - least
        if above > 30.0:
            continue
        w = inner[3, k] * math.exp(-above)
        f, t, m = inner[0, k], inner[1, k], inner[4, k]
        s0 += w
        s1 += w * f
        s2 += w * t
        s3 += w * f * m
        s4 += w * m
        s5 += w * t * t
    if low == 0.0:
        above = (0.5 if centric2 else 1.0) * x2 * x2 + 0.5 * p2 * c2 * c2 - least
        if above < 30.0:
            c0, c1, c2, cm = end_corrections(math.exp(-above), p2 * c2, p2, x2, centric2, step)
            if centric2:
                s1 += c0
                s4 += x2 * cm
            else:
                s0 += c0
                s2 += c1
                s3 += x2 * cm
                s5 += c2
    sums[0], sums[1], sums[2], sums[3], sums[4], sums[5] = s0, s1, s2, s3, s4, s5
    return least


@njit(error_model="numpy")
def end_corrections(
    value: float, by_t: float, curve: float, x: float, centric: bool, step: float
) -> tuple[float, float, float, float]:
    """What the midpoint rule from 0 lacks (Euler–Maclaurin), for the density of f times exp(by_t t − curve t²/2).

    Acentric: of the integral itself, of that times t, t² and f m/x.  Centric, where the integrand is even: of that
    times f (twice), nothing, and m/x.  ``value`` is the exponential part of the integrand at 0.
    """
    h2, x2 = step * step, x * x
    if centric:
        value *= math.sqrt(2.0 / math.pi)
        a = by_t - 0.5 + 0.5 * x2
        b = 0.5 * (a * a - curve) - x2 * x2 / 12.0
    else:
        value *= 2.0
        a = by_t - 1.0 + x2
        b = 0.5 * (a * a - curve) - 0.25 * x2 * x2
    # f (1 + a f² + b f⁴ …) and f³ (1 + a f² …)
    second, fourth, sixth = value * h2 / 24.0, value * h2 * h2 * 7.0 / 960.0, value * h2 * h2 * h2 * 31.0 / 8064.0
    whole, by_f3 = -second + fourth * a - sixth * b, fourth - sixth * a
    if centric:
        # m = x f (1 − x² f²/3 + 2 x⁴ f⁴/15 …)
        by_m = -second + fourth * (a - x2 / 3.0) - sixth * (b - a * x2 / 3.0 + x2 * x2 / 7.5)
        return whole, whole, 0.0, by_m
    return whole, by_f3, -sixth, fourth - sixth * (a - 0.5 * x2)  # m = x f (1 − x² f²/2 …)


@njit(error_model="numpy")
def _inner_plan(
    table: Array, low: float, middle: float, high: float, x2: float, centric2: bool, p2: float, g0: float, g1: float
) -> tuple[float, float, float]:
    """Limits and step of one set of inner nodes for every outer amplitude between ``low`` and ``high``."""
    bottom, top, step = 1e300, 0.0, 1e300
    for k in range(3):
        f = low if k == 0 else middle if k == 1 else high
        a, b, c = window(table, g0 + g1 * f * f, p2, x2, centric2)
        _, second = log_slope(table, b, g0 + g1 * f * f, p2, x2, centric2)
        bottom, top, step = min(bottom, a), max(top, c), min(step, midpoint_step(a, b, c, second))
    return bottom, top, step


@njit(error_model="numpy")
def pair_integral(
    table: Array, b: Array, y: Array, x: Array, centric: Array, inner: Array, work: Array, out: Array
) -> None:
    """Log of the integral over two true amplitudes, and posterior means.

    ``b`` (2, 2) response of each measurement (rows; zero for a missing one) to t₁, t₂; ``y`` (2,) measurements in units
    of their uncertainty; ``x`` (2,) D|F_c|/√Σ; ``inner`` (5, MOST_NODES) and ``work`` (MOST_NODES,) working memory;
    ``out`` (N_MOMENTS,).
    """
    i, o = 1, 0
    if b[0, 0] ** 2 + b[1, 0] ** 2 > b[0, 1] ** 2 + b[1, 1] ** 2:
        i, o = 0, 1
    p2 = b[0, i] ** 2 + b[1, i] ** 2
    g0 = (b[0, i] * y[0] + b[1, i] * y[1]) / p2
    g1 = -(b[0, i] * b[0, o] + b[1, i] * b[1, o]) / p2
    root = math.sqrt(p2)
    e0 = (b[1, i] * y[0] - b[0, i] * y[1]) / root
    e1 = -(b[1, i] * b[0, o] - b[0, i] * b[1, o]) / root
    x1, x2, centric1, centric2 = x[o], x[i], centric[o], centric[i]
    start = 0.5 * (x1 + math.sqrt(x1 * x1 + (2.0 if centric1 else 1.0)))
    low, middle, high = _outer_window(table, x1, centric1, x2, centric2, p2, g0, g1, e0, e1, start)
    _, _, second = _profile(table, middle, x1, centric1, x2, centric2, p2, g0, g1, e0, e1)
    step = midpoint_step(low, middle, high, second)
    if g1 < 0.0:
        # where the inner amplitude is driven to 0 the outer integrand falls within 1/√p₂ of c₂, steepest at the end
        first = math.sqrt(max(0.0, (g0 - 6.0 / root) / -g1))
        last = math.sqrt(max(0.0, (g0 + 6.0 / root) / -g1))
        if first < high and low < last:
            step = min(step, 1.0 / (-2.0 * g1 * root * min(last, high)))
    count = min(node_count(high - low, step), MOST_NODES)
    step = (high - low) / count
    bottom, top, narrow = _inner_plan(table, low, middle, high, x2, centric2, p2, g0, g1)
    size = node_count(top - bottom, narrow)
    shared = size <= MOST_NODES
    narrow = (top - bottom) / size
    if shared:
        _fill(table, bottom, narrow, size, x2, centric2, inner)
    sums, at_zero = np.empty(6), np.empty(6)
    inside = (0, 1 + 4 * i, 2 + 4 * i, 3 + 4 * i, 4 + 4 * i, 9 + 2 * i)
    least, slope_weight, slope_exponent = 1e300, 0.0, 0.0
    out[:] = 0.0
    for k in range(-1 if low == 0.0 else 0, count):
        f = low + (k + 0.5) * step if k >= 0 else 0.0
        t = f * f
        c2 = g0 + g1 * t
        if not shared:
            bottom, m, top = window(table, c2, p2, x2, centric2)
            _, second = log_slope(table, m, c2, p2, x2, centric2)
            size = min(node_count(top - bottom, midpoint_step(bottom, m, top, second)), MOST_NODES)
            narrow = (top - bottom) / size
            _fill(table, bottom, narrow, size, x2, centric2, inner)
        exponent = _inner_sums(inner, size, bottom, narrow, c2, p2, x2, centric2, work, sums)
        prior, factor, m = prior_weight(table, f, x1, centric1)
        exponent += prior + 0.5 * (e0 + e1 * t) ** 2
        if exponent < least:
            out *= math.exp(max(exponent - least, -700.0))
            least = exponent
        if exponent - least > 30.0:
            continue
        w = math.exp(least - exponent)
        if k < 0:
            mean = sums[2] / sums[0]
            by_t = p2 * g1 * (mean - c2) - e0 * e1
            curve = e1 * e1 + p2 * g1 * g1 * (1.0 - p2 * (sums[5] / sums[0] - mean * mean))
            c0, c1, c2, cm = end_corrections(w * sums[0], by_t, curve, x1, centric1, step)
            if centric1:
                out[1 + 4 * o] += c0
                out[4 + 4 * o] += x1 * cm
                continue
            out[0] += c0
            out[2 + 4 * o] += c1
            out[3 + 4 * o] += x1 * cm
            out[9 + 2 * o] += c2
            for q in range(1, 6):
                at_zero[q] = sums[q] / sums[0]
                out[inside[q]] += c0 * at_zero[q]
            out[10] += c1 * mean
            slope_weight, slope_exponent = c1, least
            continue
        if k == 0 and slope_weight != 0.0:
            # the means of the inner amplitude change with t₁, which the corrections at 0 feel too
            share = slope_weight * math.exp(max(least - slope_exponent, -700.0)) / t
            for q in range(1, 6):
                out[inside[q]] += share * (sums[q] / sums[0] - at_zero[q])
        w *= step * factor
        total = w * sums[0]
        out[0] += total
        out[1 + 4 * o] += total * f
        out[2 + 4 * o] += total * t
        out[3 + 4 * o] += total * f * m
        out[4 + 4 * o] += total * m
        for q in range(4):
            out[1 + q + 4 * i] += w * sums[1 + q]
        out[9 + 2 * o] += total * t * t
        out[10] += w * t * sums[2]
        out[9 + 2 * i] += w * sums[5]
    scale = 1.0 / out[0]
    out[0] = math.log(out[0]) - least
    out[1:] *= scale


@njit(error_model="numpy")
def single_integral(
    table: Array, b: float, y: float, x: float, centric: bool, inner: Array, work: Array, out: Array
) -> None:
    """The same for a reflection that is its own mate: entries 0 to 4 and 9 (⟨t²⟩) of ``out``."""
    p, c = b * b, y / b
    low, middle, high = window(table, c, p, x, centric)
    _, second = log_slope(table, middle, c, p, x, centric)
    size = min(node_count(high - low, midpoint_step(low, middle, high, second)), MOST_NODES)
    step = (high - low) / size
    _fill(table, low, step, size, x, centric, inner)
    sums = np.empty(6)
    least = _inner_sums(inner, size, low, step, c, p, x, centric, work, sums)
    out[0] = math.log(sums[0]) - least
    out[1:5] = sums[1:5] / sums[0]
    out[9] = sums[5] / sums[0]
