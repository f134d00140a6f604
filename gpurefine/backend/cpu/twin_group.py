"""Three or more related reflections: expectation propagation (Minka 2001; Rasmussen & Williams 2006, 3.6).

In units of Σ_k the unknowns are t_k = f_k², each with its own density q_k, and what was measured is one normal
distribution of all of them, exp(−|y − Bt|²/2).  Each q_k is replaced by a normal factor exp(ν_k t − τ_k t²/2) such that
the normal distribution (mean m, covariance S) they make with the measurements agrees, in mean and variance
of every t_k, with q_k times what all the others say of t_k.  Then

    ln p(y) = −|y − Bm|²/2 + ½ ln det S + Σ_k [ln Z_k − ½ ln S_kk],
    Z_k = ∫ q_k(t) exp(g_k (t − m_k) − ½ p_k (t − m_k)²) dt,     p_k = 1/S_kk − τ_k,  g_k = m_k τ_k − ν_k

and its derivatives by the parameters of q_k are means over the integrand of Z_k, those by B over the normal
distribution.  It is exact where the laws' fractions or the information vanish.
"""

from __future__ import annotations

import math

import numpy as np

from .amplitude_integral import log_slope, prior_weight, window
from .jit import njit
from .rows import Array
from .twin_pair import end_corrections, midpoint_step, node_count

SWEEPS = 60
CONVERGED = 1e-5
"""Change of a mean in units of its uncertainty, and of the logarithm of a variance, that ends the iteration."""
LEAST_PRECISION = 1e-8
"""Of what the others say of one t_k, in units of 1/S_kk; factors of centric reflections can make it negative."""


@njit(error_model="numpy")
def _tilted(
    table: Array, p: float, g: float, m: float, x: float, centric: bool, out: Array
) -> None:
    """Z and the means over its integrand: ln Z, ⟨f⟩, ⟨t⟩, ⟨fm⟩, ⟨m⟩, ⟨t²⟩ − ⟨t⟩²."""
    i = m + g / p
    low, middle, high = window(table, i, p, x, centric)
    _, second = log_slope(table, middle, i, p, x, centric)
    size = node_count(high - low, midpoint_step(low, middle, high, second))
    step = (high - low) / size
    near = middle * middle  # differences from it: the variance is far less than ⟨t²⟩
    least, s0, s1, s2, s3, s4, s5 = 1e300, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for k in range(-1 if low == 0.0 else 0, size):
        f = low + (k + 0.5) * step if k >= 0 else 0.0
        delta = f * f - m
        exponent, factor, cosine = prior_weight(table, f, x, centric)
        exponent += delta * (0.5 * p * delta - g)
        if exponent < least:
            scale = math.exp(max(exponent - least, -700.0))
            s0, s1, s2, s3, s4, s5 = s0 * scale, s1 * scale, s2 * scale, s3 * scale, s4 * scale, s5 * scale
            least = exponent
        if exponent - least > 40.0:
            continue
        if k < 0:
            c0, c1, c2, cm = end_corrections(math.exp(least - exponent), p * i, p, x, centric, step)
            if centric:
                s1 += c0
                s4 += x * cm
            else:
                s0 += c0
                s2 += c1 - near * c0
                s3 += x * cm
                s5 += c2 - 2.0 * near * c1 + near * near * c0
            continue
        w = step * factor * math.exp(least - exponent)
        s0 += w
        s1 += w * f
        s2 += w * (f * f - near)
        s3 += w * f * cosine
        s4 += w * cosine
        s5 += w * (f * f - near) ** 2
    out[0] = math.log(s0) - least
    out[1], out[2], out[3], out[4] = s1 / s0, near + s2 / s0, s3 / s0, s4 / s0
    out[5] = s5 / s0 - (s2 / s0) ** 2


@njit(error_model="numpy")
def _covariance(precision: Array, covariance: Array) -> float:
    """Inverse of a symmetric matrix by its Cholesky factor; returns ½ ln det of it, or NaN if not positive definite."""
    n = len(precision)
    lower = np.zeros((n, n))
    half = 0.0
    for i in range(n):
        for j in range(i + 1):
            value = precision[i, j]
            for k in range(j):
                value -= lower[i, k] * lower[j, k]
            if i == j:
                if not value > 1e-14 * precision[i, i]:
                    return math.nan
                lower[i, i] = math.sqrt(value)
                half -= math.log(lower[i, i])
            else:
                lower[i, j] = value / lower[j, j]
    for i in range(n):  # the inverse of the factor, in its place
        lower[i, i] = 1.0 / lower[i, i]
        for j in range(i):
            value = 0.0
            for k in range(j, i):
                value -= lower[i, k] * lower[k, j]
            lower[i, j] = value * lower[i, i]
    for i in range(n):
        for j in range(i + 1):
            value = 0.0
            for k in range(i, n):
                value += lower[k, i] * lower[k, j]
            covariance[i, j] = value
            covariance[j, i] = value
    return half


@njit(error_model="numpy")
def _joint(b: Array, y: Array, tau: Array, nu: Array, least: Array, mean: Array, covariance: Array) -> float:
    """Mean and covariance of the normal distribution; returns ½ ln det S.  ``mean`` comes in near its value."""
    n = len(mean)
    precision, pull = np.zeros((n, n)), np.zeros(n)
    half = math.nan
    for attempt in range(2):
        for k in range(n):
            for q in range(k + 1):
                value = 0.0
                for j in range(len(y)):
                    value += b[j, k] * b[j, q]
                precision[k, q] = value
                precision[q, k] = value
            if attempt == 1:
                tau[k] = max(tau[k], least[k])
            precision[k, k] += tau[k]
        half = _covariance(precision, covariance)
        if not math.isnan(half):
            break
    for _ in range(2):  # by residuals: products of large y would lose digits
        for k in range(n):
            pull[k] = nu[k] - tau[k] * mean[k]
        for j in range(len(y)):
            residual = y[j]
            for k in range(n):
                residual -= b[j, k] * mean[k]
            for k in range(n):
                pull[k] += b[j, k] * residual
        for k in range(n):
            for q in range(n):
                mean[k] += covariance[k, q] * pull[q]
    return half


@njit(error_model="numpy")
def group_integral(
    table: Array, b: Array, y: Array, x: Array, centric: Array, means: Array, mean: Array, covariance: Array
) -> float:
    """Log of the integral over all amplitudes of a group.

    ``b`` (n, n), ``y`` (n,), ``x`` (n,) as in :func:`twin_pair.pair_integral`; ``means`` (4, n) gets ⟨f⟩, ⟨f²⟩, ⟨fm⟩,
    ⟨m⟩, ``mean`` (n,) and ``covariance`` (n, n) the normal distribution of t.
    """
    n = len(x)
    tau, nu, least, out = np.empty(n), np.empty(n), np.empty(n), np.empty(6)
    for k in range(n):
        mean[k] = x[k] * x[k] + 1.0
        tau[k] = 1.0 / ((2.0 if centric[k] else 1.0) * (2.0 * x[k] * x[k] + 1.0))
        nu[k] = tau[k] * mean[k]
        least[k] = 1e-6 * tau[k]
    half = _joint(b, y, tau, nu, least, mean, covariance)
    damping, before = 1.0, 1e300
    for sweep in range(SWEEPS):
        change = 0.0
        for k in range(n):
            own, m = covariance[k, k], mean[k]
            p, g = 1.0 / own - tau[k], tau[k] * m - nu[k]
            p = max(p, LEAST_PRECISION / own)
            _tilted(table, p, g, m, x[k], centric[k], out)
            variance = out[5]
            change = max(change, abs(out[2] - m) / math.sqrt(own), abs(math.log(variance / own)))
            new_tau = 1.0 / variance - p
            by_tau = damping * (new_tau - tau[k])
            by_nu = damping * (out[2] / variance - (g + p * m) - nu[k])
            tau[k] += by_tau
            nu[k] += by_nu
            shrink = 1.0 / (1.0 + by_tau * own)
            shift = (by_nu - by_tau * m) * shrink
            column = covariance[:, k].copy()
            for i in range(n):
                mean[i] += column[i] * shift
                for j in range(n):
                    covariance[i, j] -= by_tau * shrink * column[i] * column[j]
        half = _joint(b, y, tau, nu, least, mean, covariance)
        if change < CONVERGED:
            break
        if sweep > 5 and change > 0.7 * before:
            damping = max(0.7 * damping, 0.2)
        before = change
    log_p = half
    for j in range(len(y)):
        residual = -y[j]
        for k in range(n):
            residual += b[j, k] * mean[k]
        log_p -= 0.5 * residual * residual
    for k in range(n):
        own, m = covariance[k, k], mean[k]
        p = max(1.0 / own - tau[k], LEAST_PRECISION / own)
        _tilted(table, p, tau[k] * m - nu[k], m, x[k], centric[k], out)
        log_p += out[0] - 0.5 * math.log(own)
        means[0, k], means[1, k], means[2, k], means[3, k] = out[1], out[2], out[3], out[4]
    return log_p
