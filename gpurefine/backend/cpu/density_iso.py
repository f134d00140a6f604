"""Isotropic atoms: spreading onto and gathering from the grid (method 1 and 2)."""

from __future__ import annotations

import math

import numba as nb
import numpy as np

from .gaussian_rows import LOG2_E, density_row, derivative_rows
from .rows import LANES, MAX_ROW, Array, add_row, row_span, slab_lists, take_row, wrapped


@nb.njit
def plane_ranges(fractional: Array, radius: Array, reciprocal: float, n: int) -> tuple[Array, Array]:
    """First and last (not wrapped) plane of one axis that each atom's sphere touches."""
    first = np.empty(len(radius), np.int64)
    last = np.empty(len(radius), np.int64)
    for a in range(len(radius)):
        extent = radius[a] * reciprocal * n
        first[a] = math.ceil(fractional[a] * n - extent)
        last[a] = math.floor(fractional[a] * n + extent)
    return first, last


@nb.njit(parallel=True, cache=True)
def spread(
    grid: Array, orth: Array, fractional: Array, reciprocal: Array, amplitude: Array, alpha: Array, radius: Array,
    slab_size: int
) -> None:
    """Add Σ_g A_g exp(−α_g r²) of every atom to grid (nu, nv, nw) float32; slabs are independent."""
    nu, nv, nw = grid.shape
    first, last = plane_ranges(fractional[:, 0], radius, reciprocal[0], nu)
    n_slab = (nu + slab_size - 1) // slab_size
    start, atom = slab_lists(first, last, nu, slab_size, n_slab)
    wx, wy, wz = orth[0, 2] / nw, orth[1, 2] / nw, orth[2, 2] / nw
    ww = wx * wx + wy * wy + wz * wz
    for slab in nb.prange(n_slab):
        buffer = np.empty(MAX_ROW + LANES, np.float32)
        amp = np.empty(amplitude.shape[1], np.float32)
        rate = np.empty(amplitude.shape[1], np.float32)
        for entry in range(start[slab], start[slab + 1]):
            a = atom[entry]
            r2 = radius[a] * radius[a]
            for g in range(len(amp)):
                amp[g] = amplitude[a, g]
                rate[g] = -alpha[a, g] * LOG2_E
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
                    k1, k2 = row_span(px, py, pz, wx, wy, wz, ww, r2)
                    n = k2 - k1 + 1
                    if n <= 0:
                        continue
                    qx, qy, qz = px + k1 * wx, py + k1 * wy, pz + k1 * wz
                    c0 = np.float32(qx * qx + qy * qy + qz * qz)
                    c1 = np.float32(2.0 * (qx * wx + qy * wy + qz * wz))
                    padded = (n + LANES - 1) // LANES * LANES
                    row = buffer[:padded]
                    density_row(c0, c1, np.float32(ww), amp, rate, row)
                    add_row(grid, u, wrapped(j, nv), k1, n, row)


@nb.njit(parallel=True, cache=True)
def spread_tangent(
    grid: Array, orth: Array, fractional: Array, reciprocal: Array, amplitude: Array, alpha: Array, radius: Array,
    slab_size: int, v_xyz: Array, v_b: Array, v_q: Array
) -> None:
    """Add the density change for shifts v_xyz (m, 3), v_b (m,), v_q (m,; relative occupancy) to grid."""
    nu, nv, nw = grid.shape
    first, last = plane_ranges(fractional[:, 0], radius, reciprocal[0], nu)
    n_slab = (nu + slab_size - 1) // slab_size
    start, atom = slab_lists(first, last, nu, slab_size, n_slab)
    wx, wy, wz = orth[0, 2] / nw, orth[1, 2] / nw, orth[2, 2] / nw
    ww = wx * wx + wy * wy + wz * wz
    for slab in nb.prange(n_slab):
        radial_buffer = np.empty(MAX_ROW + LANES, np.float32)
        thermal_buffer = np.empty(MAX_ROW + LANES, np.float32)
        plain_buffer = np.empty(MAX_ROW + LANES, np.float32)
        amp = np.empty(amplitude.shape[1], np.float32)
        rate = np.empty(amplitude.shape[1], np.float32)
        for entry in range(start[slab], start[slab + 1]):
            a = atom[entry]
            r2 = radius[a] * radius[a]
            for g in range(len(amp)):
                amp[g] = amplitude[a, g]
                rate[g] = -alpha[a, g] * LOG2_E
            vx, vy, vz = v_xyz[a, 0], v_xyz[a, 1], v_xyz[a, 2]
            vw = np.float32(vx * wx + vy * wy + vz * wz)
            vb, vq = np.float32(v_b[a]), np.float32(v_q[a])
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
                    k1, k2 = row_span(px, py, pz, wx, wy, wz, ww, r2)
                    n = k2 - k1 + 1
                    if n <= 0:
                        continue
                    qx, qy, qz = px + k1 * wx, py + k1 * wy, pz + k1 * wz
                    c0 = np.float32(qx * qx + qy * qy + qz * qz)
                    c1 = np.float32(2.0 * (qx * wx + qy * wy + qz * wz))
                    padded = (n + LANES - 1) // LANES * LANES
                    radial, thermal = radial_buffer[:padded], thermal_buffer[:padded]
                    plain = plain_buffer[:padded]
                    derivative_rows(c0, c1, np.float32(ww), amp, rate, radial, thermal)
                    density_row(c0, c1, np.float32(ww), amp, rate, plain)
                    base = np.float32(qx * vx + qy * vy + qz * vz)
                    for t in range(padded):
                        plain[t] = radial[t] * (base + np.float32(t) * vw) + thermal[t] * vb + plain[t] * vq
                    add_row(grid, u, wrapped(j, nv), k1, n, plain)


@nb.njit(fastmath=True)
def _row_sums(values: Array, radial: Array, thermal: Array) -> tuple[np.float32, np.float32, np.float32]:
    """Σ D radial, Σ t D radial, Σ D thermal over a row."""
    s0 = np.float32(0.0)
    s1 = np.float32(0.0)
    s2 = np.float32(0.0)
    for t in range(len(values)):
        d = values[t] * radial[t]
        s0 += d
        s1 += np.float32(t) * d
        s2 += values[t] * thermal[t]
    return s0, s1, s2


@nb.njit(fastmath=True)
def _row_product(values: Array, plain: Array) -> np.float32:
    s = np.float32(0.0)
    for t in range(len(values)):
        s += values[t] * plain[t]
    return s


@nb.njit(parallel=True, cache=True)
def gather(
    grid: Array, orth: Array, fractional: Array, reciprocal: Array, amplitude: Array, alpha: Array, radius: Array,
    want_q: bool, out_xyz: Array, out_b: Array, out_q: Array
) -> None:
    """Σ_r D(r) ∂ρ_atom(r)/∂(x, B, relative q) of every atom from the derivative map ``grid`` float32."""
    nu, nv, nw = grid.shape
    wx, wy, wz = orth[0, 2] / nw, orth[1, 2] / nw, orth[2, 2] / nw
    ww = wx * wx + wy * wy + wz * wz
    for a in nb.prange(len(radius)):
        values_buffer = np.empty(MAX_ROW + LANES, np.float32)
        radial_buffer = np.empty(MAX_ROW + LANES, np.float32)
        thermal_buffer = np.empty(MAX_ROW + LANES, np.float32)
        amp = np.empty(amplitude.shape[1], np.float32)
        rate = np.empty(amplitude.shape[1], np.float32)
        for g in range(len(amp)):
            amp[g] = amplitude[a, g]
            rate[g] = -alpha[a, g] * LOG2_E
        r2 = radius[a] * radius[a]
        fu, fv, fw = fractional[a, 0] * nu, fractional[a, 1] * nv, fractional[a, 2] * nw
        i1 = math.ceil(fu - radius[a] * reciprocal[0] * nu)
        i2 = math.floor(fu + radius[a] * reciprocal[0] * nu)
        j1 = math.ceil(fv - radius[a] * reciprocal[1] * nv)
        j2 = math.floor(fv + radius[a] * reciprocal[1] * nv)
        gx, gy, gz, gb, gq = 0.0, 0.0, 0.0, 0.0, 0.0
        for i in range(i1, i2 + 1):
            du = (i - fu) / nu
            for j in range(j1, j2 + 1):
                dv = (j - fv) / nv
                dw = -fw / nw
                px = orth[0, 0] * du + orth[0, 1] * dv + orth[0, 2] * dw
                py = orth[1, 1] * dv + orth[1, 2] * dw
                pz = orth[2, 2] * dw
                k1, k2 = row_span(px, py, pz, wx, wy, wz, ww, r2)
                n = k2 - k1 + 1
                if n <= 0:
                    continue
                qx, qy, qz = px + k1 * wx, py + k1 * wy, pz + k1 * wz
                c0 = np.float32(qx * qx + qy * qy + qz * qz)
                c1 = np.float32(2.0 * (qx * wx + qy * wy + qz * wz))
                padded = (n + LANES - 1) // LANES * LANES
                values = values_buffer[:padded]
                radial, thermal = radial_buffer[:padded], thermal_buffer[:padded]
                take_row(grid, wrapped(i, nu), wrapped(j, nv), k1, n, padded, values)
                derivative_rows(c0, c1, np.float32(ww), amp, rate, radial, thermal)
                s0, s1, s2 = _row_sums(values, radial, thermal)
                gx += qx * s0 + wx * s1
                gy += qy * s0 + wy * s1
                gz += qz * s0 + wz * s1
                gb += s2
                if want_q:
                    density_row(c0, c1, np.float32(ww), amp, rate, radial)
                    gq += _row_product(values, radial)
        out_xyz[a, 0] = gx
        out_xyz[a, 1] = gy
        out_xyz[a, 2] = gz
        out_b[a] = gb
        out_q[a] = gq
