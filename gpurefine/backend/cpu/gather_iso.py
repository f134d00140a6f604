"""Isotropic atoms: derivatives gathered from a map (method 2), the transpose of :mod:`.density_iso`."""

from __future__ import annotations

import math

import numba as nb
import numpy as np

from .exponential import LOG2_E
from .jit import njit
from .lanes import FLOAT, collect3, collect5, copy_one, dot3, dot5, weigh, weigh_twice
from .rows import LANES, Array, wrapped
from .sphere import (
    FOR_ATOM,
    FOR_ROW,
    GAUSSIANS,
    QUARTER_PI2,
    fill_table,
    grid_metric,
    row_points,
    row_range,
    table_width,
)


@njit(fastmath=True)
def _flush(sums: Array, width: int, begin: float) -> tuple[float, float, float, float]:
    """Σ D R, Σ dj D R, Σ k D R and Σ D S r² of what was collected, which is then set to zero; k = begin + t."""
    s0, sj, sk, sb = 0.0, 0.0, 0.0, 0.0
    for t in range(width):
        value = np.float64(sums[t])
        s0 += value
        sk += value * t
        sj += np.float64(sums[width + t])
        sb += np.float64(sums[2 * width + t])
    sums[: 3 * width] = np.float32(0.0)
    return s0, sj, sk + begin * s0, sb


@njit(parallel=True, cache=True)
def gather(
    grid: Array, orth: Array, fractional: Array, reciprocal: Array, amplitude: Array, alpha: Array, radius: Array,
    scratch: Array, want_q: bool, out_xyz: Array, out_b: Array, out_q: Array
) -> None:
    """Σ_r D(r) ∂ρ_atom(r)/∂(x, B, relative q) of every atom from the derivative map ``grid`` float32.

    With R = Σ α_g A_g e_g and S = Σ α_g² A_g e_g the derivatives of ρ are 2 R r and (S r² − 3/2 R)/4π².
    """
    nu, nv, nw = grid.shape
    gaa, g2, gbb, ww, sa, sb, use = grid_metric(orth, nu, nv, nw)
    inverse = 1.0 / ww
    n_gauss = amplitude.shape[1]
    three = n_gauss == 3
    width = table_width(radius.max(), ww)
    stride, n_atom, n_part = FLOAT * width, len(radius), len(scratch)
    for part in nb.prange(n_part):
        room = scratch[part]
        room[:] = np.float32(0.0)
        amp, rate = room[:GAUSSIANS], room[GAUSSIANS : 2 * GAUSSIANS]
        first, exponent = room[2 * GAUSSIANS : 3 * GAUSSIANS], room[3 * GAUSSIANS : 4 * GAUSSIANS]
        at_amp = scratch.ctypes.data + FLOAT * part * scratch.shape[1]
        at_rate, at_first = at_amp + FLOAT * GAUSSIANS, at_amp + FLOAT * 2 * GAUSSIANS
        at_exponent, weights = at_amp + FLOAT * 3 * GAUSSIANS, at_amp + FLOAT * 4 * GAUSSIANS
        begin = 6 * GAUSSIANS
        sums, squares = room[begin : begin + 3 * width], room[begin + 3 * width : begin + 4 * width]
        plain = room[begin + 4 * width : begin + 5 * width]
        at_sums = at_amp + FLOAT * begin
        at_squares, at_plain = at_sums + 3 * stride, at_sums + 4 * stride
        buffer, table = at_sums + 5 * stride, at_sums + 6 * stride
        for a in range(part * n_atom // n_part, (part + 1) * n_atom // n_part):
            for g in range(n_gauss):
                amp[g] = amplitude[a, g]
                first[g] = alpha[a, g] * amplitude[a, g]
                exponent[g] = alpha[a, g]
                rate[g] = -alpha[a, g] * LOG2_E
            r2 = radius[a] * radius[a]
            edge, filled = radius[a] / math.sqrt(ww), table_width(radius[a], ww)
            fu, fv, fw = fractional[a, 0] * nu, fractional[a, 1] * nv, fractional[a, 2] * nw
            i1 = math.ceil(fu - radius[a] * reciprocal[0] * nu)
            i2 = math.floor(fu + radius[a] * reciprocal[0] * nu)
            ga, gb, gw, g0, gt = 0.0, 0.0, 0.0, 0.0, 0.0
            middle, base, fresh = fw, 0, True
            for i in range(i1, i2 + 1):
                di = i - fu
                plane = wrapped(i, nu) * nv
                fresh = fresh or use != FOR_ATOM
                j1, j2 = row_range(r2 - (gaa - 0.25 * g2 * g2 / gbb) * di * di, g2, gbb, di, fv)
                for j in range(j1, j2 + 1):
                    dj = j - fv
                    rho2 = gaa * di * di + (g2 * di + gbb * dj) * dj
                    if fresh or use == FOR_ROW:
                        fresh = False
                        middle = fw - sa * di - sb * dj
                        base = math.ceil(middle - edge)
                        fill_table(table, stride, n_gauss, rate, ww, base - middle, filled)
                        for t in range(filled):
                            squares[t] = np.float32(ww * (base - middle + t) ** 2)
                    k1, n = row_points(middle, base, r2 - rho2, inverse)
                    if n <= 0:
                        continue
                    x, v = np.float32(max(rho2, 0.0)), np.float32(dj)
                    weigh_twice(weights, at_first, at_exponent, at_rate, x)
                    row, skip = grid.ctypes.data + FLOAT * (plane + wrapped(j, nv)) * nw, FLOAT * (k1 - base)
                    values = row + FLOAT * k1
                    if k1 < 0 or k1 + (n + LANES - 1) // LANES * LANES > nw:
                        values = buffer
                        k = wrapped(k1, nw)
                        for m in range(n):
                            copy_one(buffer + FLOAT * m, row + FLOAT * k)
                            k += 1
                            if k == nw:
                                k = 0
                    for m in range(0, n, LANES):
                        d, t, left = values + FLOAT * m, skip + FLOAT * m, n - m
                        if three:
                            collect3(at_sums + t, d, left, table + t, stride, weights, at_squares + t, v, x)
                        else:
                            collect5(at_sums + t, d, left, table + t, stride, weights, at_squares + t, v, x)
                    if want_q:
                        weigh(weights, at_amp, at_rate, x)
                        for m in range(0, n, LANES):
                            d, t, left = values + FLOAT * m, skip + FLOAT * m, n - m
                            if three:
                                dot3(at_plain + t, d, left, table + t, stride, weights)
                            else:
                                dot5(at_plain + t, d, left, table + t, stride, weights)
                    if use == FOR_ROW:
                        s0, sj, sk, st = _flush(sums, width, base - fw)
                        ga, gb, gw, g0, gt = ga + di * s0, gb + sj, gw + sk, g0 + s0, gt + st
                if use != FOR_ROW:
                    s0, sj, sk, st = _flush(sums, width, base - fw)
                    ga, gb, gw, g0, gt = ga + di * s0, gb + sj, gw + sk, g0 + s0, gt + st
            for c in range(3):
                out_xyz[a, c] = 2.0 * (ga * orth[c, 0] / nu + gb * orth[c, 1] / nv + gw * orth[c, 2] / nw)
            out_b[a] = QUARTER_PI2 * (gt - 1.5 * g0)
            out_q[a] = np.sum(plain)
            plain[:] = np.float32(0.0)
