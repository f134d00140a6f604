"""Isotropic atoms: spreading onto the grid and its tangent (method 1 and 2), with the tables of :mod:`.sphere`.

Spreading, its tangent and :mod:`gathering <.gather_iso>` visit the same points, so that they are exact transposes.
"""

from __future__ import annotations

import math

import numba as nb
import numpy as np

from .exponential import LOG2_E
from .jit import njit
from .lanes import FLOAT, add3, add5, add_one, clear, weigh
from .rows import LANES, Array, wrapped
from .slabs import atoms_of_slabs, plane_ranges, scattered, share_planes
from .sphere import (
    FOR_ATOM,
    FOR_PLANE,
    FOR_ROW,
    GAUSSIANS,
    QUARTER_PI2,
    fill_table,
    grid_metric,
    row_points,
    row_range,
    table_width,
)


@njit()
def _add_row(
    row: int, nw: int, k1: int, n: int, table: int, stride: int, weights: int, buffer: int, three: bool
) -> None:
    """Add Σ_g weights[g] table_g to ``n`` points from k1 on of a grid row; addresses and bytes."""
    inside = k1 >= 0 and k1 + (n + LANES - 1) // LANES * LANES <= nw
    target = row + FLOAT * k1 if inside else buffer
    for m in range(0, n, LANES):
        b = FLOAT * m
        if not inside:
            clear(target + b)
        if three:
            add3(target + b, n - m, table + b, stride, weights)
        else:
            add5(target + b, n - m, table + b, stride, weights)
    if not inside:
        k = wrapped(k1, nw)
        for m in range(n):
            add_one(row + FLOAT * k, buffer + FLOAT * m)
            k += 1
            if k == nw:
                k = 0


@njit(parallel=True, cache=True)
def spread(
    grid: Array, orth: Array, fractional: Array, reciprocal: Array, amplitude: Array, alpha: Array, radius: Array,
    scratch: Array
) -> None:
    """Write the sum over atoms of Σ_g A_g exp(−α_g r²) to grid (nu, nv, nw) float32; slabs are independent.

    The thread that adds to a slab is the one that clears it, so that no other core has it in its cache.

    ``scratch`` (n_slab, …) float32 holds the Gaussians and their tables, a row for each slab.
    """
    nu, nv, nw = grid.shape
    gaa, g2, gbb, ww, sa, sb, use = grid_metric(orth, nu, nv, nw)
    inverse = 1.0 / ww
    first, last = plane_ranges(fractional[:, 0], radius, reciprocal[0], nu)
    bounds = share_planes(first, last, nu, len(scratch))
    start, atom = atoms_of_slabs(first, last, nu, bounds)
    n_gauss = amplitude.shape[1]
    three = n_gauss == 3
    width = table_width(radius.max(), ww)
    stride = FLOAT * width
    for turn in nb.prange(len(scratch)):
        slab = scattered(turn, len(scratch))
        amp, rate = scratch[slab, :GAUSSIANS], scratch[slab, GAUSSIANS : 2 * GAUSSIANS]
        at_amp = scratch.ctypes.data + FLOAT * slab * scratch.shape[1]
        at_rate, weights = at_amp + FLOAT * GAUSSIANS, at_amp + FLOAT * 2 * GAUSSIANS
        buffer = at_amp + FLOAT * 4 * GAUSSIANS
        table = buffer + stride
        low, high = bounds[slab], bounds[slab + 1]
        grid[low:high] = 0.0
        amp[:] = 0.0
        rate[:] = 0.0
        for entry in range(start[slab], start[slab + 1]):
            a = atom[entry]
            for g in range(n_gauss):
                amp[g] = amplitude[a, g]
                rate[g] = -alpha[a, g] * LOG2_E
            r2 = radius[a] * radius[a]
            edge, filled = radius[a] / math.sqrt(ww), table_width(radius[a], ww)
            fu, fv, fw = fractional[a, 0] * nu, fractional[a, 1] * nv, fractional[a, 2] * nw
            middle, base = fw, math.ceil(fw - edge)
            if use == FOR_ATOM:
                fill_table(table, stride, n_gauss, rate, ww, base - middle, filled)
            for i in range(first[a], last[a] + 1):
                u = wrapped(i, nu)
                if u < low or u >= high:
                    continue
                di = i - fu
                if use == FOR_PLANE:
                    middle = fw - sa * di
                    base = math.ceil(middle - edge)
                    fill_table(table, stride, n_gauss, rate, ww, base - middle, filled)
                j1, j2 = row_range(r2 - (gaa - 0.25 * g2 * g2 / gbb) * di * di, g2, gbb, di, fv)
                for j in range(j1, j2 + 1):
                    dj = j - fv
                    rho2 = gaa * di * di + (g2 * di + gbb * dj) * dj
                    if use == FOR_ROW:
                        middle = fw - sa * di - sb * dj
                        base = math.ceil(middle - edge)
                        fill_table(table, stride, n_gauss, rate, ww, base - middle, filled)
                    k1, n = row_points(middle, base, r2 - rho2, inverse)
                    if n > 0:
                        weigh(weights, at_amp, at_rate, np.float32(max(rho2, 0.0)))
                        row = grid.ctypes.data + FLOAT * (u * nv + wrapped(j, nv)) * nw
                        _add_row(row, nw, k1, n, table + FLOAT * (k1 - base), stride, weights, buffer, three)


@njit(parallel=True, cache=True)
def spread_tangent(
    grid: Array, orth: Array, fractional: Array, reciprocal: Array, amplitude: Array, alpha: Array, radius: Array,
    scratch: Array, v_xyz: Array, v_b: Array, v_q: Array
) -> None:
    """Add the density change for shifts v_xyz (m, 3), v_b (m,), v_q (m,; relative occupancy) to grid.

    That is Σ_g A_g e_g [2α_g r·v + v_B (α_g/4π²)(α_g r² − 3/2) + v_q]; on a row, a sum over the table, over the table
    times k − k_atom, and over the table times |w|² (k − k*)².
    """
    nu, nv, nw = grid.shape
    gaa, g2, gbb, ww, sa, sb, use = grid_metric(orth, nu, nv, nw)
    inverse = 1.0 / ww
    first, last = plane_ranges(fractional[:, 0], radius, reciprocal[0], nu)
    bounds = share_planes(first, last, nu, len(scratch))
    start, atom = atoms_of_slabs(first, last, nu, bounds)
    n_gauss = amplitude.shape[1]
    three = n_gauss == 3
    width = table_width(radius.max(), ww)
    stride, part = FLOAT * width, FLOAT * width * n_gauss
    for turn in nb.prange(len(scratch)):
        slab = scattered(turn, len(scratch))
        amp, rate = scratch[slab, :GAUSSIANS], scratch[slab, GAUSSIANS : 2 * GAUSSIANS]
        weight, scaled = scratch[slab, 2 * GAUSSIANS : 3 * GAUSSIANS], scratch[slab, 3 * GAUSSIANS : 4 * GAUSSIANS]
        entries = scratch[slab, 4 * GAUSSIANS + width :]
        at_amp = scratch.ctypes.data + FLOAT * slab * scratch.shape[1]
        at_rate, weights = at_amp + FLOAT * GAUSSIANS, at_amp + FLOAT * 2 * GAUSSIANS
        at_scaled, buffer = at_amp + FLOAT * 3 * GAUSSIANS, at_amp + FLOAT * 4 * GAUSSIANS
        table = buffer + stride
        low, high = bounds[slab], bounds[slab + 1]
        amp[:] = 0.0
        rate[:] = 0.0
        for entry in range(start[slab], start[slab + 1]):
            a = atom[entry]
            for g in range(n_gauss):
                amp[g] = amplitude[a, g]
                rate[g] = -alpha[a, g] * LOG2_E
            va, vb, vw, vt = 0.0, 0.0, 0.0, v_b[a] * QUARTER_PI2
            for x in range(3):
                va += v_xyz[a, x] * orth[x, 0] / nu
                vb += v_xyz[a, x] * orth[x, 1] / nv
                vw += v_xyz[a, x] * orth[x, 2] / nw
            r2 = radius[a] * radius[a]
            edge, filled = radius[a] / math.sqrt(ww), table_width(radius[a], ww)
            fu, fv, fw = fractional[a, 0] * nu, fractional[a, 1] * nv, fractional[a, 2] * nw
            middle, base, fresh = 0.0, 0, True
            for i in range(first[a], last[a] + 1):
                u = wrapped(i, nu)
                if u < low or u >= high:
                    continue
                di = i - fu
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
                        for g in range(n_gauss):
                            for t in range(filled):
                                e, k = entries[g * width + t], base + t
                                entries[(n_gauss + g) * width + t] = e * np.float32(k - fw)
                                entries[(2 * n_gauss + g) * width + t] = e * np.float32(ww * (k - middle) ** 2)
                    k1, n = row_points(middle, base, r2 - rho2, inverse)
                    if n <= 0:
                        continue
                    row = grid.ctypes.data + FLOAT * (u * nv + wrapped(j, nv)) * nw
                    at = table + FLOAT * (k1 - base)
                    weigh(weights, at_amp, at_rate, np.float32(max(rho2, 0.0)))
                    for g in range(n_gauss):
                        s = alpha[a, g]
                        change = 2.0 * s * (va * di + vb * dj) + vt * s * (s * rho2 - 1.5) + v_q[a]
                        scaled[g] = weight[g] * change
                    _add_row(row, nw, k1, n, at, stride, at_scaled, buffer, three)
                    for g in range(n_gauss):
                        scaled[g] = weight[g] * 2.0 * alpha[a, g] * vw
                    _add_row(row, nw, k1, n, at + part, stride, at_scaled, buffer, three)
                    for g in range(n_gauss):
                        scaled[g] = weight[g] * vt * alpha[a, g] ** 2
                    _add_row(row, nw, k1, n, at + 2 * part, stride, at_scaled, buffer, three)
