"""The cpu backend's likelihood of a native amplitude with the Friedel pair of a derivative.

Given the native structure factor z_N, the pair is distributed as in :mod:`gpurefine.backend.cpu.sad`, with the means
shifted by k (z_N − μ_N), k = C_N1/C_NN, and the common variance reduced by C_N1²/C_NN.  The phase of z_N is integrated
by the trapezoid rule on the circle, halving its step, where the integrand is not negligible, until two steps agree;
its error is then the square of their difference.
"""

from __future__ import annotations

import math

import numba as nb
import numpy as np

from .jit import njit
from .rows import Array
from .sad import DROP, INTERVALS, sad_pair

INNER_INTERVALS = 20
INNER_DROP = 21.0
FIRST_NODES = 16
MOST_NODES = 4096
AGREE = 1e-3
NEGLIGIBLE = 18.0
"""Nodes whose neighbours' logarithms are this far below the top are left out."""


@njit()
def _add_node(
    n: int, angle: float, a_n: float, a1: float, a2: float, mu_n: complex, mu1: complex, mu2: complex, c_nn: float,
    k: float, shared: float, own1: float, own2: float, top: float, work: Array, work_complex: Array, out: Array,
    complex_out: Array,
) -> tuple[float, float]:
    """Add the node at ``angle`` from arg μ_N to the sums, which are relative to exp(top); its logarithm and the top.

    Rows of ``out``: weight, then weighted ⟨|u₁|²⟩, ⟨|u₂|²⟩, Re⟨u₁u₂*⟩, |e_N|², Re e_N u₁*, Re e_N u₂*; of
    ``complex_out``: weighted u₁, u₂, z₁, z₂, e_N, z_N.
    """
    size = abs(mu_n)
    unit = mu_n / size if size > 0.0 else complex(1.0, 0.0)
    half = math.sin(0.5 * angle)
    turn = complex(math.cos(angle), math.sin(angle)) * unit
    z_n = a_n * turn
    e_n = z_n - mu_n
    shift = k * e_n
    sad_pair(
        n, a1, a2, mu1 + shift, mu2 + shift, shared, own1, own2, INNER_INTERVALS, INNER_DROP, work, work_complex
    )
    value = -((a_n - size) ** 2 + 4.0 * a_n * size * half * half) / c_nn - work[0, n]
    if value > top:
        shrink = math.exp(top - value)
        for i in range(7):
            out[i, n] *= shrink
        for i in range(6):
            complex_out[i, n] *= shrink
        top = value
    weight = math.exp(value - top)
    u1, u2 = work_complex[0, n], work_complex[1, n]
    out[0, n] += weight
    out[1, n] += weight * work[1, n]
    out[2, n] += weight * work[2, n]
    out[3, n] += weight * work[3, n]
    out[4, n] += weight * (e_n.real * e_n.real + e_n.imag * e_n.imag)
    out[5, n] += weight * (e_n * u1.conjugate()).real
    out[6, n] += weight * (e_n * u2.conjugate()).real
    complex_out[0, n] += weight * u1
    complex_out[1, n] += weight * u2
    complex_out[2, n] += weight * work_complex[2, n]
    complex_out[3, n] += weight * work_complex[3, n]
    complex_out[4, n] += weight * e_n
    complex_out[5, n] += weight * z_n
    return value, top


@njit()
def siras_triple(
    n: int, a_n: float, a1: float, a2: float, mu_n: complex, mu1: complex, mu2: complex, c_nn: float, k: float,
    shared: float, own1: float, own2: float, heights: Array, work: Array, work_complex: Array, out: Array,
    complex_out: Array,
) -> float:
    """−LL of one acentric triple; means of what :func:`_add_node` sums in ``out`` (7, n) and ``complex_out`` (6, n).

    ``heights`` (MOST_NODES,): room for the logarithms at the nodes.
    """
    out[:, n] = 0.0
    complex_out[:, n] = 0.0
    count = FIRST_NODES
    top = -1e300
    for i in range(count):
        value, top = _add_node(
            n, 2.0 * math.pi * i / count, a_n, a1, a2, mu_n, mu1, mu2, c_nn, k, shared, own1, own2, top, work,
            work_complex, out, complex_out,
        )
        heights[i * (MOST_NODES // count)] = value
    while 2 * count <= MOST_NODES:
        before, before_top = out[0, n], top
        stride = MOST_NODES // count
        for i in range(count):
            left, right = heights[i * stride], heights[((i + 1) % count) * stride]
            at = i * stride + stride // 2
            if max(left, right) < top - NEGLIGIBLE - abs(left - right):
                heights[at] = max(left, right)
                continue
            value, top = _add_node(
                n, 2.0 * math.pi * (i + 0.5) / count, a_n, a1, a2, mu_n, mu1, mu2, c_nn, k, shared, own1, own2, top,
                work, work_complex, out, complex_out,
            )
            heights[at] = value
        count *= 2
        coarse = 2.0 * before * math.exp(before_top - top)
        if abs(out[0, n] - coarse) < AGREE * out[0, n]:
            break
    inverse = 1.0 / out[0, n]
    minus_ll = -(top + math.log(max(a_n, 1e-30) / (math.pi * c_nn)) + math.log(out[0, n] * 2.0 * math.pi / count))
    for i in range(1, 7):
        out[i, n] *= inverse
    for i in range(6):
        complex_out[i, n] *= inverse
    return minus_ll


@njit()
def _derivatives(
    n: int, d: Array, s: Array, f_calc: Array, epsilon: float, half: float, u: Array, uu: Array, inverse: Array,
    gradient: Array, slope: Array, bound: Array,
) -> None:
    """Slopes from ⟨u⟩ (3,) and Re⟨u uᵀ⟩ (3, 3), u = C⁻¹(z − μ), and C⁻¹ (3, 3); zero rows for what is missing."""
    native, main, anomalous = f_calc[0, n], f_calc[0, n] + f_calc[1, n], 1j * f_calc[2, n]
    both, apart = u[1] + u[2], u[1] - u[2]
    # F_N is a part of both means
    gradient[0, n] = -2.0 * half * (d[0, n] * u[0] + d[1, n] * both)
    gradient[1, n] = -2.0 * half * d[1, n] * both
    gradient[2, n] = 2j * half * d[2, n] * apart
    slope[0, n] = -2.0 * half * (native.conjugate() * u[0]).real
    slope[1, n] = -2.0 * half * (main.conjugate() * both).real
    slope[2, n] = -2.0 * half * (anomalous.conjugate() * apart).real
    bound[0, n] = 2.0 * half * abs(native) ** 2 * inverse[0, 0]
    bound[1, n] = 2.0 * half * abs(main) ** 2 * (inverse[1, 1] + inverse[2, 2] + 2.0 * inverse[1, 2])
    bound[2, n] = 2.0 * half * abs(anomalous) ** 2 * (inverse[1, 1] + inverse[2, 2] - 2.0 * inverse[1, 2])
    own_n, shared, each = epsilon * s[0, n], epsilon * s[1, n], epsilon * s[2, n]
    r = s[3, n]
    across = r * math.sqrt(own_n * shared)
    change = np.zeros((3, 3))
    for parameter in range(4):
        change[:] = 0.0
        if parameter == 0:
            change[0, 0] = own_n
            link = 0.5 * across
        elif parameter == 1:
            change[1:, 1:] = shared
            link = 0.5 * across
        elif parameter == 2:
            change[1, 1] = change[2, 2] = each
            link = 0.0
        else:
            link = across * (1.0 - r)
        change[0, 1] = change[0, 2] = change[1, 0] = change[2, 0] = link
        # a missing observation has a zero row of C⁻¹ and of u
        total, square = 0.0, 0.0
        for i in range(3):
            for j in range(3):
                total += change[i, j] * (inverse[i, j] - uu[i, j])
                for k in range(3):
                    for m in range(3):
                        square += inverse[i, j] * change[j, k] * inverse[k, m] * change[m, i]
        slope[3 + parameter, n] = half * total
        bound[3 + parameter, n] = half * square


@njit()
def _triple(
    n: int, a: Array, mu: Array, c_nn: float, across: float, shared: float, own1: float, own2: float, heights: Array,
    work: Array, work_complex: Array, sums: Array, complex_sums: Array, u: Array, uu: Array, z: Array, inverse: Array,
) -> float:
    """Acentric native with both mates: −LL, ⟨u⟩, Re⟨u uᵀ⟩, ⟨z⟩ and C⁻¹."""
    k = across / c_nn
    rest = max(shared - across * k, 0.0)
    minus_ll = siras_triple(
        n, a[0], a[1], a[2], mu[0], mu[1], mu[2], c_nn, k, rest, own1, own2, heights, work, work_complex, sums,
        complex_sums,
    )
    u1, u2 = complex_sums[0, n], complex_sums[1, n]
    u[1], u[2] = u1, u2
    u[0] = complex_sums[4, n] / c_nn - k * (u1 + u2)
    z[0], z[1], z[2] = complex_sums[5, n], complex_sums[2, n], complex_sums[3, n]
    q11, q22, q12 = sums[1, n], sums[2, n], sums[3, n]
    uu[1, 1], uu[2, 2] = q11, q22
    uu[1, 2] = uu[2, 1] = q12
    uu[0, 1] = uu[1, 0] = sums[5, n] / c_nn - k * (q11 + q12)
    uu[0, 2] = uu[2, 0] = sums[6, n] / c_nn - k * (q22 + q12)
    uu[0, 0] = sums[4, n] / c_nn**2 - 2.0 * k * (sums[5, n] + sums[6, n]) / c_nn + k * k * (q11 + q22 + 2.0 * q12)
    det = rest * (own1 + own2) + own1 * own2
    inverse[1, 1], inverse[2, 2] = (rest + own2) / det, (rest + own1) / det
    inverse[1, 2] = inverse[2, 1] = -rest / det
    inverse[0, 1] = inverse[1, 0] = -k * own2 / det
    inverse[0, 2] = inverse[2, 0] = -k * own1 / det
    inverse[0, 0] = 1.0 / c_nn + k * k * (own1 + own2) / det
    return minus_ll


@njit()
def _native_and_mate(
    n: int, row: int, a: Array, mu: Array, c_nn: float, c_dd: float, across: float, work: Array, work_complex: Array,
    u: Array, uu: Array, z: Array, inverse: Array,
) -> float:
    """Acentric native with the mate in ``row``: the same, from the integral over two phases."""
    sad_pair(
        n, a[row], a[0], mu[row], mu[0], across, c_dd - across, c_nn - across, INTERVALS, DROP, work, work_complex
    )
    u[row], u[0], z[row], z[0] = work_complex[0, n], work_complex[1, n], work_complex[2, n], work_complex[3, n]
    uu[row, row], uu[0, 0] = work[1, n], work[2, n]
    uu[0, row] = uu[row, 0] = work[3, n]
    det = c_nn * c_dd - across * across
    inverse[0, 0], inverse[row, row] = c_dd / det, c_nn / det
    inverse[0, row] = inverse[row, 0] = -across / det
    return work[0, n]


@njit()
def _centric(
    row: int, a: Array, mu: Array, c_nn: float, c_dd: float, across: float, u: Array, uu: Array, z: Array,
    inverse: Array,
) -> float:
    """Centric native and derivative: four combinations of signs of real Gaussian variables."""
    det = c_nn * c_dd - across * across
    inverse[0, 0], inverse[row, row] = c_dd / det, c_nn / det
    inverse[0, row] = inverse[row, 0] = -across / det
    mean_n, mean_d = abs(mu[0]), abs(mu[row])
    unit_n = mu[0] / mean_n if mean_n > 0.0 else complex(1.0, 0.0)
    unit_d = mu[row] / mean_d if mean_d > 0.0 else unit_n
    # the two lie on one line (but for F″): does the derivative's mean point the same way as the native's?
    side = 1.0 if (unit_n * unit_d.conjugate()).real >= 0.0 else -1.0
    top = -1e300
    for i in range(4):
        x = (a[0] if i < 2 else -a[0]) - mean_n
        y = side * ((a[row] if i % 2 == 0 else -a[row]) - mean_d)
        top = max(top, -0.5 * (inverse[0, 0] * x * x + inverse[row, row] * y * y + 2.0 * inverse[0, row] * x * y))
    total = 0.0
    for i in range(4):
        z_n, z_d = (a[0] if i < 2 else -a[0]), (a[row] if i % 2 == 0 else -a[row])
        x, y = z_n - mean_n, side * (z_d - mean_d)
        weight = math.exp(
            -0.5 * (inverse[0, 0] * x * x + inverse[row, row] * y * y + 2.0 * inverse[0, row] * x * y) - top
        )
        p = inverse[0, 0] * x + inverse[0, row] * y
        q = inverse[0, row] * x + inverse[row, row] * y
        total += weight
        u[0] += weight * p * unit_n
        u[row] += weight * side * q * unit_d
        z[0] += weight * z_n * unit_n
        z[row] += weight * z_d * unit_d
        uu[0, 0] += weight * p * p
        uu[row, row] += weight * q * q
        uu[0, row] += weight * p * q
    for i in (0, row):
        u[i] /= total
        z[i] /= total
        uu[i, i] /= total
    uu[0, row] /= total
    uu[row, 0] = uu[0, row]
    return -(top + math.log(total) - 0.5 * math.log(det) - math.log(2.0 * math.pi))


@njit(parallel=True, cache=True)
def siras_kernel(
    f_obs: Array, sigma: Array, f_calc: Array, d: Array, s: Array, epsilon: Array, centric: Array, errors: Array,
    work: Array, work_complex: Array, minus_ll: Array, gradient: Array, info: Array, phased: Array, slope: Array,
    bound: Array,
) -> None:
    """Native amplitudes with one or both mates; the last six are the result, zeros at first.

    ``errors`` (draws, 4, n): complex normal numbers for the native, the pair and either mate; ``work`` (11, n) and
    ``work_complex`` (10, n): room.
    """
    for n in nb.prange(f_obs.shape[1]):
        heights = np.empty(MOST_NODES)
        a, mu = np.empty(3), np.empty(3, np.complex128)
        own_n, shared, each = epsilon[n] * s[0, n], epsilon[n] * s[1, n], epsilon[n] * s[2, n]
        r = s[3, n]
        across = r * math.sqrt(own_n * shared)
        noise = 1.0 if centric[n] else 2.0
        c_nn = own_n + noise * sigma[0, n] ** 2
        own1, own2 = each + noise * sigma[1, n] ** 2, each + noise * sigma[2, n] ** 2
        part = 1j * d[2, n] * f_calc[2, n]
        main = d[1, n] * (f_calc[0, n] + f_calc[1, n])
        mu[0], mu[1], mu[2] = d[0, n] * f_calc[0, n], main + part, main - part
        both = not (centric[n] or math.isnan(f_obs[1, n]) or math.isnan(f_obs[2, n]))
        row = 2 if math.isnan(f_obs[1, n]) else 1
        c_dd = shared + (own1 if row == 1 else own2)
        half = 0.5 if centric[n] else 1.0
        for draw in range(-1, errors.shape[0]):
            u, z = np.zeros(3, np.complex128), np.zeros(3, np.complex128)
            uu, inverse = np.zeros((3, 3)), np.zeros((3, 3))
            if draw < 0:
                a[0], a[1], a[2] = f_obs[0, n], f_obs[1, n], f_obs[2, n]
            else:
                # the part of the pair's common error that the native does not share, and what it does
                x = math.sqrt(c_nn) * errors[draw, 0, n]
                y = across / c_nn * x + math.sqrt(max(shared - across * across / c_nn, 0.0)) * errors[draw, 1, n]
                e1, e2 = y + math.sqrt(own1) * errors[draw, 2, n], y + math.sqrt(own2) * errors[draw, 3, n]
                if centric[n]:
                    unit = mu[0] / abs(mu[0]) if abs(mu[0]) > 0.0 else complex(1.0, 0.0)
                    x, e1, e2 = math.sqrt(2.0) * x.real, math.sqrt(2.0) * e1.real, math.sqrt(2.0) * e2.real
                    a[0], a[1], a[2] = abs(mu[0] + x * unit), abs(mu[1] + e1 * unit), abs(mu[2] + e2 * unit)
                else:
                    a[0], a[1], a[2] = abs(mu[0] + x), abs(mu[1] + e1), abs(mu[2] + e2)
            if centric[n]:
                value = _centric(row, a, mu, c_nn, c_dd, across, u, uu, z, inverse)
            elif both:
                value = _triple(
                    n, a, mu, c_nn, across, shared, own1, own2, heights, work[:4], work_complex[:4], work[4:],
                    work_complex[4:], u, uu, z, inverse,
                )
            else:
                value = _native_and_mate(
                    n, row, a, mu, c_nn, c_dd, across, work[:4], work_complex[:4], u, uu, z, inverse
                )
            if draw < 0:
                minus_ll[n] = value
                phased[:, n] = z
                _derivatives(n, d, s, f_calc, epsilon[n], half, u, uu, inverse, gradient, slope, bound)
            else:
                share = 4.0 * half * half / errors.shape[0]
                info[0, n] += share * abs(d[0, n] * u[0] + d[1, n] * (u[1] + u[2])) ** 2
                info[1, n] += share * abs(d[1, n] * (u[1] + u[2])) ** 2
                info[2, n] += share * abs(d[2, n] * (u[1] - u[2])) ** 2
        if centric[n]:
            size = abs(mu[row]) ** 2
            if size > 0.0:
                info[1, n] *= min(abs(main) ** 2 / size, 1.0)
                info[2, n] *= min(abs(part) ** 2 / size, 1.0)
