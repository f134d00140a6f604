"""Three or more related reflections: Gauss–Hermite quadrature about the maximum, Laplace's approximation for many.

The variables are v_k = f_k^{2/3}, the cube roots of t, in which even the exponential distribution of a weak intensity
looks like a normal one (Wilson & Hilferty 1931).  The maximum is found by Newton's method with a growing ridge, nodes
are placed along the Cholesky factor of the second derivatives there: 7, 5, 3, 3 a variable for groups of 3, 4, 5, 6,
and one (Laplace's approximation) for larger ones.
"""

from __future__ import annotations

import math

import numpy as np

from .amplitude_integral import log_prior_derivatives, prior_weight
from .jit import njit
from .rows import Array

ITERATIONS = 60


@njit(error_model="numpy")
def _energy(
    table: Array, v: Array, b: Array, y: Array, x: Array, centric: Array, gradient: Array, hessian: Array,
    derivatives: bool
) -> float:
    """−ln of the integrand in v, up to a constant, and its derivatives."""
    n = len(v)
    total = 0.0
    residual = np.empty(len(y))
    for j in range(len(y)):
        residual[j] = -y[j]
        for k in range(n):
            residual[j] += b[j, k] * v[k] ** 3
        total += 0.5 * residual[j] ** 2
    for k in range(n):
        root = math.sqrt(v[k])
        value, first, second = log_prior_derivatives(table, v[k] * root, x[k], centric[k])
        total += value - math.log(root)
        if not derivatives:
            continue
        pull = 0.0
        for j in range(len(y)):
            pull += b[j, k] * residual[j]
        by_f, by_t = 1.5 * root, 3.0 * v[k] * v[k]
        gradient[k] = by_f * first - 0.5 / v[k] + by_t * pull
        for q in range(n):
            product = 0.0
            for j in range(len(y)):
                product += b[j, k] * b[j, q]
            hessian[k, q] = by_t * 3.0 * v[q] * v[q] * product
        hessian[k, k] += by_f * by_f * second + 0.75 * first / root + 0.5 / (v[k] * v[k]) + 6.0 * v[k] * pull
    return total


@njit(error_model="numpy")
def _cholesky(matrix: Array, ridge: float, lower: Array) -> bool:
    """Lower factor of matrix + ridge; False where that is not positive definite."""
    n = len(matrix)
    for i in range(n):
        for j in range(i + 1):
            value = matrix[i, j] + (ridge if i == j else 0.0)
            for k in range(j):
                value -= lower[i, k] * lower[j, k]
            if i == j:
                if not value > 1e-12:
                    return False
                lower[i, i] = math.sqrt(value)
            else:
                lower[i, j] = value / lower[j, j]
    return True


@njit(error_model="numpy")
def _maximum(
    table: Array, v: Array, b: Array, y: Array, x: Array, centric: Array, gradient: Array, hessian: Array, lower: Array
) -> float:
    """Moves ``v`` to the maximum; leaves the Cholesky factor of the second derivatives in ``lower``."""
    n = len(v)
    trial, step = np.empty(n), np.empty(n)
    ridge = 0.0
    value = _energy(table, v, b, y, x, centric, gradient, hessian, True)
    for _ in range(ITERATIONS):
        while not _cholesky(hessian, ridge, lower):
            ridge = max(2.0 * ridge, 0.5)
        for i in range(n):
            step[i] = -gradient[i]
            for k in range(i):
                step[i] -= lower[i, k] * step[k]
            step[i] /= lower[i, i]
        size, shrink = 0.0, 1.0
        for i in range(n - 1, -1, -1):
            for k in range(i + 1, n):
                step[i] -= lower[k, i] * step[k]
            step[i] /= lower[i, i]
            size = max(size, abs(step[i]))
            if step[i] < -0.7 * v[i]:
                shrink = min(shrink, -0.7 * v[i] / step[i])
        for k in range(n):
            trial[k] = v[k] + shrink * step[k]
        found = _energy(table, trial, b, y, x, centric, gradient, hessian, False)
        if found <= value + 1e-9 * abs(value):
            v[:] = trial
            value = _energy(table, v, b, y, x, centric, gradient, hessian, True)
            if size < 1e-4 and ridge == 0.0:
                break
            ridge = 0.0 if ridge < 0.3 else 0.25 * ridge
        else:
            ridge = max(4.0 * ridge, 0.5)
            if ridge > 1e12:
                break
    ridge = 0.0
    while not _cholesky(hessian, ridge, lower):
        ridge = max(2.0 * ridge, 1e-3)
    return value


@njit(error_model="numpy")
def group_integral(
    table: Array, node: Array, log_weight: Array, b: Array, y: Array, x: Array, centric: Array, means: Array,
    products: Array
) -> float:
    """Log of the integral over all amplitudes of a group.

    ``node``, ``log_weight``: Gauss–Hermite nodes z and ln(w exp(z²)); ``b`` (n, n), ``y`` (n,), ``x`` (n,) as in
    :func:`twin_pair.pair_integral`; ``means`` (4, n) gets ⟨f⟩, ⟨f²⟩, ⟨fm⟩, ⟨m⟩, ``products`` (n, n) gets ⟨t_k t_l⟩.
    """
    n = len(x)
    v, gradient, hessian, lower = np.empty(n), np.empty(n), np.empty((n, n)), np.zeros((n, n))
    for k in range(n):
        weight = 1.0 if centric[k] else 2.0
        v[k] = (0.5 * (x[k] + math.sqrt(x[k] * x[k] + 2.0 / weight))) ** (2.0 / 3.0)
    _maximum(table, v, b, y, x, centric, gradient, hessian, lower)
    log_volume = 0.5 * n * math.log(2.0)
    for k in range(n):
        log_volume -= math.log(lower[k, k])
    order = len(node)
    digits, shift, f, cosine, t = np.zeros(n, np.int64), np.empty(n), np.empty(n), np.empty(n), np.empty(n)
    means[:] = 0.0
    products[:] = 0.0
    total, base = 0.0, -1e300
    for _ in range(order**n):
        log_p = log_volume
        for k in range(n - 1, -1, -1):
            shift[k] = math.sqrt(2.0) * node[digits[k]]
            log_p += log_weight[digits[k]]
            for q in range(k + 1, n):
                shift[k] -= lower[q, k] * shift[q]
            shift[k] /= lower[k, k]
        for k in range(n):
            root = math.sqrt(max(v[k] + shift[k], 0.0))
            f[k] = root**3
            t[k] = f[k] * f[k]
            exponent, factor, cosine[k] = prior_weight(table, f[k], x[k], centric[k])
            log_p += math.log(1.5 * factor * root + 1e-300) - exponent
        for j in range(len(y)):
            residual = -y[j]
            for k in range(n):
                residual += b[j, k] * t[k]
            log_p -= 0.5 * residual * residual
        if log_p > base:
            scale = math.exp(max(base - log_p, -700.0))
            total *= scale
            means *= scale
            products *= scale
            base = log_p
        w = math.exp(max(log_p - base, -700.0))
        total += w
        for k in range(n):
            means[0, k] += w * f[k]
            means[1, k] += w * t[k]
            means[2, k] += w * f[k] * cosine[k]
            means[3, k] += w * cosine[k]
            for q in range(n):
                products[k, q] += w * t[k] * t[q]
        for k in range(n):  # the next node
            digits[k] += 1
            if digits[k] < order:
                break
            digits[k] = 0
    means /= total
    products /= total
    return base + math.log(total)
