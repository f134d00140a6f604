"""Anisotropic atoms: the change of their density along a direction (method 2).

Each Gaussian has its own quadratic form, ρ(r) = Σ_g A_g exp(−½ rᵀ S_g r) with S = Σ⁻¹, so that along a grid
row r = q + t w the exponent is a polynomial of second degree in t.
"""

from __future__ import annotations

import math

import numba as nb
import numpy as np

from .exponential import LOG2_E, exp2_negative
from .jit import njit
from .rows import LANES, MAX_ROW, Array, add_row, row_span, slab_lists, wrapped
from .slabs import plane_ranges


@njit()
def _quadratic(s: Array, q: Array, w: Array) -> tuple[float, float, float]:
    """½ rᵀ S r on r = q + t w as c0 + c1 t + c2 t²."""
    sqx = s[0, 0] * q[0] + s[0, 1] * q[1] + s[0, 2] * q[2]
    sqy = s[1, 0] * q[0] + s[1, 1] * q[1] + s[1, 2] * q[2]
    sqz = s[2, 0] * q[0] + s[2, 1] * q[1] + s[2, 2] * q[2]
    swx = s[0, 0] * w[0] + s[0, 1] * w[1] + s[0, 2] * w[2]
    swy = s[1, 0] * w[0] + s[1, 1] * w[1] + s[1, 2] * w[2]
    swz = s[2, 0] * w[0] + s[2, 1] * w[1] + s[2, 2] * w[2]
    c0 = 0.5 * (q[0] * sqx + q[1] * sqy + q[2] * sqz)
    c1 = w[0] * sqx + w[1] * sqy + w[2] * sqz
    c2 = 0.5 * (w[0] * swx + w[1] * swy + w[2] * swz)
    return c0, c1, c2


@njit(fastmath=True)
def _add_gaussian(c0: float, c1: float, c2: float, p0: float, p1: float, p2: float, row: Array) -> None:
    """row[t] += (p0 + p1 t + p2 t²) exp(−(c0 + c1 t + c2 t²)), all already times −log₂e where needed."""
    for t in range(len(row)):
        k = np.float32(t)
        row[t] += (p0 + k * (p1 + k * p2)) * exp2_negative(c0 + k * (c1 + k * c2))


@njit(parallel=True, cache=True)
def spread_tangent(
    grid: Array, orth: Array, fractional: Array, reciprocal: Array, amplitude: Array, inverse: Array, radius: Array,
    slab_size: int, v_xyz: Array, v_u: Array, v_q: Array
) -> None:
    """Add the density change for shifts v_xyz (m, 3), v_u (m, 6), v_q (m,; relative occupancy).

    That is ρ_g [v_q + rᵀ S v + ½ rᵀ S V S r − ½ tr(S V)]; v_q = 1 with no shifts is the density itself.
    """
    nu, nv, nw = grid.shape
    first, last = plane_ranges(fractional[:, 0], radius, reciprocal[0], nu)
    n_slab = (nu + slab_size - 1) // slab_size
    start, atom = slab_lists(first, last, nu, slab_size, n_slab)
    n_gauss = amplitude.shape[1]
    for slab in nb.prange(n_slab):
        buffer = np.empty(MAX_ROW + LANES, np.float32)
        w = np.array((orth[0, 2] / nw, orth[1, 2] / nw, orth[2, 2] / nw))
        q = np.empty(3)
        shift_tensor = np.empty((3, 3))
        quad = np.empty((n_gauss, 3, 3))
        linear = np.empty((n_gauss, 3))
        constant = np.empty(n_gauss)
        ww = w[0] * w[0] + w[1] * w[1] + w[2] * w[2]
        for entry in range(start[slab], start[slab + 1]):
            a = atom[entry]
            r2 = radius[a] * radius[a]
            shift_tensor[0, 0], shift_tensor[1, 1], shift_tensor[2, 2] = v_u[a, 0], v_u[a, 1], v_u[a, 2]
            shift_tensor[0, 1] = shift_tensor[1, 0] = v_u[a, 3]
            shift_tensor[0, 2] = shift_tensor[2, 0] = v_u[a, 4]
            shift_tensor[1, 2] = shift_tensor[2, 1] = v_u[a, 5]
            for g in range(n_gauss):
                s = inverse[a, g]
                trace = 0.0
                for i in range(3):
                    linear[g, i] = 0.0
                    for j in range(3):
                        linear[g, i] += s[i, j] * v_xyz[a, j]
                        trace += s[i, j] * shift_tensor[i, j]
                        total = 0.0
                        for m in range(3):
                            for n in range(3):
                                total += s[i, m] * shift_tensor[m, n] * s[n, j]
                        quad[g, i, j] = total
                constant[g] = v_q[a] - 0.5 * trace
            fv, fw = fractional[a, 1] * nv, fractional[a, 2] * nw
            j1 = math.ceil(fv - radius[a] * reciprocal[1] * nv)
            j2 = math.floor(fv + radius[a] * reciprocal[1] * nv)
            for i in range(first[a], last[a] + 1):
                u = wrapped(i, nu)
                if u // slab_size != slab:
                    continue
                du = i / nu - fractional[a, 0]
                for j in range(j1, j2 + 1):
                    dv = (j - fv) / nv
                    dw = -fw / nw
                    px = orth[0, 0] * du + orth[0, 1] * dv + orth[0, 2] * dw
                    py = orth[1, 1] * dv + orth[1, 2] * dw
                    pz = orth[2, 2] * dw
                    k1, k2 = row_span(px, py, pz, w[0], w[1], w[2], ww, r2)
                    n = k2 - k1 + 1
                    if n <= 0:
                        continue
                    q[0], q[1], q[2] = px + k1 * w[0], py + k1 * w[1], pz + k1 * w[2]
                    padded = (n + LANES - 1) // LANES * LANES
                    row = buffer[:padded]
                    row[:] = np.float32(0.0)
                    for g in range(n_gauss):
                        c0, c1, c2 = _quadratic(inverse[a, g], q, w)
                        d0, d1, d2 = _quadratic(quad[g], q, w)
                        lin = linear[g]
                        p0 = constant[g] + d0 + lin[0] * q[0] + lin[1] * q[1] + lin[2] * q[2]
                        p1 = d1 + lin[0] * w[0] + lin[1] * w[1] + lin[2] * w[2]
                        amp = amplitude[a, g]
                        _add_gaussian(
                            np.float32(-c0) * LOG2_E, np.float32(-c1) * LOG2_E, np.float32(-c2) * LOG2_E,
                            np.float32(amp * p0), np.float32(amp * p1), np.float32(amp * d2), row,
                        )
                    add_row(grid, u, wrapped(j, nv), k1, n, row)
