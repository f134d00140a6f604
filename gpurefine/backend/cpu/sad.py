"""The cpu backend's likelihood of Friedel pairs.

One mate's phase is integrated in closed form, which leaves, for the other (2) with the mean m₁ of the first (1) given
z₂ = |F₂| exp(iφ) on a circle about g = μ₁ − ρ μ₂, ρ = C₁₂/C₂₂, v = det C/C₂₂,

    P = |F₂|/(π C₂₂) ∫ dφ exp(−|z₂ − μ₂|²/C₂₂) Rice(|F₁|; |m₁(φ)|, v),   m₁ = g + ρ z₂.

With ψ = φ − arg g the logarithm of the integrand is κ cos(ψ − β), κ = 2|F₂ μ₂|/C₂₂, plus a concave function of
cos ψ.  On the half circle where sin ψ has the sign of sin β it is therefore concave in cos ψ: one maximum, found by
its derivative's sign, and a window about it that holds all but exp(−DROP).  The other half mirrors it, never larger.
At each end of the window the integrand has either vanished or is even about the end, so that the trapezoid rule
converges exponentially, however sharp or bimodal the phase is.
"""

from __future__ import annotations

import math

import numba as nb

from ..information import TABLE_END
from .bessel import log_cosh, log_i0_and_ratio
from .bessel_table import quick_log_i0e_and_ratio
from .jit import njit
from .rows import Array

DROP = 34.0
"""Logarithm by which the integrand has fallen at the ends of its window."""
INTERVALS = 36
TINY = 1e-30
NOWHERE = 40.0
"""Logarithm by which the mirrored half is below the other where it is left out."""


@njit()
def _height(
    psi: float, kappa: float, beta: float, g: float, r: float, a: float, v: float
) -> tuple[float, float, float, float]:
    """Log integrand, its derivative, |m₁| and I₁/I₀ at ψ; circle of radius r about g; amplitude a, variance v."""
    m = math.sqrt((g - r) ** 2 + 4.0 * g * r * math.cos(0.5 * psi) ** 2)
    log_i0e, ratio = quick_log_i0e_and_ratio(2.0 * a * m / v)
    half = math.sin(0.5 * (psi - beta))
    value = -2.0 * kappa * half * half - (a - m) ** 2 / v + log_i0e
    pull = a * ratio / m - 1.0 if m > TINY else a * a / v - 1.0
    slope = -2.0 * kappa * half * math.cos(0.5 * (psi - beta)) - 2.0 / v * pull * g * r * math.sin(psi)
    return value, slope, m, ratio


@njit()
def _window(
    kappa: float, beta: float, g: float, r: float, a: float, v: float, drop: float
) -> tuple[float, float, float]:
    """Maximum of the log integrand on 0 ≤ ψ ≤ π and the ends of the window about it."""
    low, high = 0.0, math.pi
    slope_low, slope_high = 0.0, 0.0
    # at ψ = 0 = β the slope vanishes, be it the top or, where the amplitudes contradict the means, the bottom
    psi, stiffness = max(beta, 1e-9), 1.0
    for turn in range(60):
        _, slope, _, _ = _height(psi, kappa, beta, g, r, a, v)
        if slope > 0.0:
            low, slope_low = psi, slope
        else:
            high, slope_high = psi, slope
        if slope_low > 0.0 and slope_high < 0.0:
            stiffness = max((slope_low - slope_high) / (high - low), 1.0)
            # within a tenth of the peak's width of its top
            if (high - low) * math.sqrt(stiffness) < 0.3 or slope * slope < 0.01 * stiffness:
                break
        if high - low < 1e-12:
            break
        psi = 0.5 * (low + high)
        if slope_low > 0.0 and slope_high < 0.0 and turn % 3 != 2:
            psi = low + (high - low) * slope_low / (slope_low - slope_high)
            psi = min(max(psi, low + 0.05 * (high - low)), high - 0.05 * (high - low))
    psi = min(max(psi, 0.0), math.pi)
    top, _, _, _ = _height(psi, kappa, beta, g, r, a, v)
    start = 1.3 * math.sqrt(2.0 * drop / stiffness)
    left = psi - _reach(-1.0, psi, top, start, kappa, beta, g, r, a, v, drop)
    right = psi + _reach(1.0, psi, top, start, kappa, beta, g, r, a, v, drop)
    return top, left, right


@njit()
def _reach(
    sign: float, psi: float, top: float, start: float, kappa: float, beta: float, g: float, r: float, a: float,
    v: float, drop: float,
) -> float:
    """Distance from ψ at which the log integrand has fallen by drop to 1.5 drop, or that of the half circle's end."""
    limit = psi if sign < 0.0 else math.pi - psi
    near, far = 0.0, limit
    value, _, _, _ = _height(psi + sign * limit, kappa, beta, g, r, a, v)
    if top - value < drop:
        return limit
    step = min(start, 0.5 * limit)
    for _ in range(60):
        value, _, _, _ = _height(psi + sign * step, kappa, beta, g, r, a, v)
        if top - value < drop:
            near = step
            step = min(1.6 * step, 0.5 * (step + far))
        elif top - value > 1.5 * drop:
            far = step
            step = max(math.sqrt(1.25 * drop / (top - value)) * step, 0.5 * (near + step))
        else:
            break
        if far - near < 1e-14:
            break
    return step


@njit()
def table_at(values: Array, x: float) -> float:
    """Linear interpolation in an information table; constant beyond its end."""
    t = x * ((len(values) - 1) / TABLE_END)
    if t >= len(values) - 1:
        return values[len(values) - 1]
    i = int(t)
    return values[i] + (t - i) * (values[i + 1] - values[i])


@njit()
def sad_pair(
    n: int, a1: float, a2: float, mu1: complex, mu2: complex, shared: float, own1: float, own2: float,
    intervals: int, drop: float, out: Array, complex_out: Array,
) -> None:
    """One acentric pair: −LL and ⟨u uᵀ⟩ into ``out`` (4, n), u = C⁻¹(⟨z⟩ − μ) and ⟨z⟩ into ``complex_out`` (4, n).

    ``shared``: C₁₂; ``own1``, ``own2``: C₁₁ − C₁₂ and C₂₂ − C₁₂; ``intervals`` of a window that ends ``drop`` below the
    top of the log integrand.  Rows of ``out``: −LL, ⟨|u₁|²⟩, ⟨|u₂|²⟩, Re⟨u₁u₂*⟩;
    of ``complex_out``: ⟨u₁⟩, ⟨u₂⟩, ⟨z₁⟩, ⟨z₂⟩.
    """
    c22 = shared + own2
    v = (shared * (own1 + own2) + own1 * own2) / c22
    rho = shared / c22
    centre = mu1 - rho * mu2
    g, r = abs(centre), rho * a2
    size2 = abs(mu2)
    unit = centre / g if g > 0.0 else complex(1.0, 0.0)
    kappa = 2.0 * a2 * size2 / c22
    turned = mu2 * unit.conjugate()
    beta = math.atan2(turned.imag, turned.real)
    hand = 1.0 if beta >= 0.0 else -1.0
    beta = abs(beta)
    top, left, right = _window(kappa, beta, g, r, a1, v, drop)
    step = (right - left) / intervals
    mirror = 2.0 * kappa * math.sin(beta)
    total = 0.0
    z1 = complex(0.0, 0.0)
    z2 = complex(0.0, 0.0)
    lack1 = complex(0.0, 0.0)
    square1, square2 = 0.0, 0.0
    cross = complex(0.0, 0.0)
    # the half angle, turned from node to node
    c, s = math.cos(0.5 * left), math.sin(0.5 * left)
    turn_c, turn_s = math.cos(0.5 * step), math.sin(0.5 * step)
    beta_c, beta_s = math.cos(0.5 * beta), math.sin(0.5 * beta)
    for k in range(intervals + 1):
        if k > 0:
            c, s = c * turn_c - s * turn_s, s * turn_c + c * turn_s
        half = s * beta_c - c * beta_s
        m = math.sqrt((g - r) ** 2 + 4.0 * g * r * c * c)
        log_i0e, ratio = quick_log_i0e_and_ratio(2.0 * a1 * m / v)
        weight = math.exp(log_i0e - 2.0 * kappa * half * half - (a1 - m) ** 2 / v - top)
        if k == 0 or k == intervals:
            weight *= 0.5
        sine, cosine = 2.0 * s * c, c * c - s * s
        mirrored = mirror * sine < NOWHERE
        other = weight * math.exp(-mirror * sine) if mirrored else 0.0
        pull = a1 * ratio / m - 1.0 if m > TINY else a1 * a1 / v - 1.0
        square1 += (weight + other) * ((a1 - m) ** 2 + 2.0 * a1 * m * (1.0 - ratio))
        for side in range(2 if mirrored else 1):
            w = weight if side == 0 else other
            turn = complex(cosine, hand * sine if side == 0 else -hand * sine)
            m1 = g + r * turn
            e2 = a2 * turn - turned
            total += w
            z2 += w * turn
            z1 += w * (pull + 1.0) * m1
            lack1 += w * pull * m1
            square2 += w * (e2.real * e2.real + e2.imag * e2.imag)
            cross += w * pull * m1 * e2.conjugate()
    inverse = 1.0 / total
    e2_mean = z2 * inverse * a2 - turned
    lack1 *= inverse
    u1 = lack1 / v
    u2 = e2_mean / c22 - rho * u1
    q1, q2, q12 = square1 * inverse / (v * v), square2 * inverse / (c22 * c22), cross.real * inverse / (v * c22)
    log_p = math.log(2.0 * max(a1, TINY) / v) + math.log(max(a2, TINY) / (math.pi * c22)) + math.log(total * step)
    out[0, n] = -(log_p + top - (a2 - size2) ** 2 / c22)
    out[1, n] = q1
    out[2, n] = q2 - 2.0 * rho * q12 + rho * rho * q1
    out[3, n] = q12 - rho * q1
    complex_out[0, n] = u1 * unit
    complex_out[1, n] = u2 * unit
    complex_out[2, n] = z1 * inverse * unit
    complex_out[3, n] = z2 * inverse * a2 * unit


@njit(parallel=True, cache=True)
def sad_kernel(
    f_obs: Array, sigma: Array, f_calc: Array, d: Array, s: Array, epsilon: Array, centric: Array, table_a: Array,
    table_c: Array, errors: Array, work: Array, work_complex: Array, minus_ll: Array, gradient: Array, info: Array,
    phased: Array, slope: Array, bound: Array,
) -> None:
    """See :meth:`gpurefine.backend.ops_anomalous.AnomalousOps.sad`; the last six are the result, zeros at first.

    ``errors`` (draws, 3, n) complex normal numbers of the shared and the own errors for the expected information.
    """
    for n in nb.prange(f_obs.shape[1]):
        first = not math.isnan(f_obs[0, n])
        second = not math.isnan(f_obs[1, n])
        if not (first or second):
            continue
        main, anomalous = f_calc[0, n], 1j * f_calc[1, n]
        shared, each = epsilon[n] * s[0, n], epsilon[n] * s[1, n]
        d0, d1 = d[0, n], d[1, n]
        if centric[n] or not (first and second):
            row = 0 if first else 1
            sign = 1.0 if first else -1.0
            a = f_obs[row, n]
            mu = d0 * main + sign * d1 * anomalous
            mean = abs(mu)
            unit = mu / mean if mean > 0.0 else complex(1.0, 0.0)
            if centric[n]:
                total = sigma[row, n] ** 2 + shared + each
                x = a * mean / total
                m = math.tanh(x)
                half = 0.5
                minus_ll[n] = 0.5 * math.log(0.5 * math.pi * total) + 0.5 * (a * a + mean * mean) / total - log_cosh(x)
                known = table_at(table_c, mean / math.sqrt(total)) / total
                part0 = (d0 * abs(main) / mean) ** 2 if mean > 0.0 else 0.0
                part1 = (d1 * abs(anomalous) / mean) ** 2 if mean > 0.0 else 0.0
                info[0, n] = d0 * d0 * known * min(part0, 1.0)
                info[1, n] = d1 * d1 * known * min(part1, 1.0)
            else:
                total = 2.0 * sigma[row, n] ** 2 + shared + each
                x = 2.0 * a * mean / total
                log_i0, m = log_i0_and_ratio(x)
                half = 1.0
                minus_ll[n] = (
                    math.log(total) - math.log(2.0 * max(a, TINY)) + (a * a + mean * mean) / total - log_i0
                )
                known = 4.0 * table_at(table_a, mean / math.sqrt(total)) / total
                info[0, n] = d0 * d0 * known
                info[1, n] = d1 * d1 * known
            g = unit * (2.0 * half * (mean - m * a) / total)
            phased[row, n] = m * a * unit
            gradient[0, n] = d0 * g
            gradient[1, n] = sign * d1 * (-1j) * g
            misfit = half * (1.0 - (a * a + mean * mean - 2.0 * m * a * mean) / total) / total
            slope[0, n] = (main.conjugate() * g).real
            slope[1, n] = sign * (anomalous.conjugate() * g).real
            slope[2, n] = shared * misfit
            slope[3, n] = each * misfit
            bound[0, n] = half * 2.0 * abs(main) ** 2 / total
            bound[1, n] = half * 2.0 * abs(anomalous) ** 2 / total
            bound[2, n] = half * (shared / total) ** 2
            bound[3, n] = half * (each / total) ** 2
            continue
        own1 = each + 2.0 * sigma[0, n] ** 2
        own2 = each + 2.0 * sigma[1, n] ** 2
        c11, c22 = shared + own1, shared + own2
        det = shared * (own1 + own2) + own1 * own2
        mu1, mu2 = d0 * main + d1 * anomalous, d0 * main - d1 * anomalous
        sad_pair(n, f_obs[0, n], f_obs[1, n], mu1, mu2, shared, own1, own2, INTERVALS, DROP, work, work_complex)
        minus_ll[n] = work[0, n]
        u1, u2 = work_complex[0, n], work_complex[1, n]
        phased[0, n], phased[1, n] = work_complex[2, n], work_complex[3, n]
        gradient[0, n] = -2.0 * d0 * (u1 + u2)
        gradient[1, n] = 2j * d1 * (u1 - u2)
        # C⁻¹ summed over all elements, and with the sign of the anomalous part
        common, difference = (own1 + own2) / det, (c11 + c22 + 2.0 * shared) / det
        p, r, q = c22 / det, c11 / det, -shared / det
        slope[0, n] = -2.0 * (main.conjugate() * (u1 + u2)).real
        slope[1, n] = -2.0 * (anomalous.conjugate() * (u1 - u2)).real
        slope[2, n] = shared * (common - work[1, n] - work[2, n] - 2.0 * work[3, n])
        slope[3, n] = each * (p + r - work[1, n] - work[2, n])
        bound[0, n] = 2.0 * abs(main) ** 2 * common
        bound[1, n] = 2.0 * abs(anomalous) ** 2 * difference
        bound[2, n] = (shared * common) ** 2
        bound[3, n] = each * each * (p * p + r * r + 2.0 * q * q)
        for k in range(errors.shape[0]):
            x = mu1 + math.sqrt(shared) * errors[k, 0, n] + math.sqrt(own1) * errors[k, 1, n]
            y = mu2 + math.sqrt(shared) * errors[k, 0, n] + math.sqrt(own2) * errors[k, 2, n]
            sad_pair(n, abs(x), abs(y), mu1, mu2, shared, own1, own2, INTERVALS, DROP, work, work_complex)
            u1, u2 = work_complex[0, n], work_complex[1, n]
            info[0, n] += 4.0 / errors.shape[0] * (d0 * abs(u1 + u2)) ** 2
            info[1, n] += 4.0 / errors.shape[0] * (d1 * abs(u1 - u2)) ** 2
