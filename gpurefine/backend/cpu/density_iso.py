"""Isotropic atoms: spreading onto and gathering from the grid (method 1 and 2)."""

from __future__ import annotations

import math

import numba as nb
import numpy as np

from .exponential import exp2_negative
from .rows import LANES, MAX_ROW, Array, add_row, row_span, slab_lists, take_row, wrapped

LOG2_E = np.float32(1.4426950408889634)
N_GAUSS = 5
"""Form factors are padded to this many Gaussians (four and a constant for IT92) so that the loops unroll."""

# rate = −α log₂e and x = rate·A·e, hence 2αAe = −2 x/log₂e, and with ρ_B = A (αr² − 3/2) (α/4π²) e:
# ρ_B = (rate·x r² + (3/2) log₂e x) / (4π² log₂e²)
RADIAL = np.float32(-2.0 / 1.4426950408889634)
THERMAL = np.float32(1.0 / (4.0 * math.pi**2 * 1.4426950408889634**2))
MINUS_LOG = np.float32(1.5 * 1.4426950408889634)


@nb.njit(fastmath=True)
def _density_row(c0: float, c1: float, c2: float, amp: Array, rate: Array, row: Array) -> None:
    """row[t] = Σ_g amp_g 2^(rate_g r²) with r² = c0 + c1 t + c2 t²; five Gaussians."""
    a0, a1, a2, a3, a4 = amp[0], amp[1], amp[2], amp[3], amp[4]
    b0, b1, b2, b3, b4 = rate[0], rate[1], rate[2], rate[3], rate[4]
    for t in range(len(row)):
        k = np.float32(t)
        r2 = c0 + k * (c1 + k * c2)
        value = a0 * exp2_negative(b0 * r2) + a1 * exp2_negative(b1 * r2) + a2 * exp2_negative(b2 * r2)
        row[t] = value + a3 * exp2_negative(b3 * r2) + a4 * exp2_negative(b4 * r2)


@nb.njit(fastmath=True)
def _derivative_rows(c0: float, c1: float, c2: float, amp: Array, rate: Array, radial: Array, thermal: Array) -> None:
    """radial = Σ 2 α A e, thermal = Σ A (α r² − 3/2) (α/4π²) e, with e = exp(−α r²); five Gaussians."""
    a0, a1, a2, a3, a4 = amp[0], amp[1], amp[2], amp[3], amp[4]
    b0, b1, b2, b3, b4 = rate[0], rate[1], rate[2], rate[3], rate[4]
    for t in range(len(radial)):
        k = np.float32(t)
        r2 = c0 + k * (c1 + k * c2)
        # x = α A e log2(e) of each Gaussian, with the sign of rate (negative)
        x0 = b0 * a0 * exp2_negative(b0 * r2)
        x1 = b1 * a1 * exp2_negative(b1 * r2)
        x2 = b2 * a2 * exp2_negative(b2 * r2)
        x3 = b3 * a3 * exp2_negative(b3 * r2)
        x4 = b4 * a4 * exp2_negative(b4 * r2)
        total = x0 + x1 + x2 + x3 + x4
        second = b0 * x0 + b1 * x1 + b2 * x2 + b3 * x3 + b4 * x4
        radial[t] = RADIAL * total
        thermal[t] = THERMAL * (second * r2 + MINUS_LOG * total)


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
                    _density_row(c0, c1, np.float32(ww), amp, rate, row)
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
                    _derivative_rows(c0, c1, np.float32(ww), amp, rate, radial, thermal)
                    _density_row(c0, c1, np.float32(ww), amp, rate, plain)
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
                _derivative_rows(c0, c1, np.float32(ww), amp, rate, radial, thermal)
                s0, s1, s2 = _row_sums(values, radial, thermal)
                gx += qx * s0 + wx * s1
                gy += qy * s0 + wy * s1
                gz += qz * s0 + wz * s1
                gb += s2
                if want_q:
                    _density_row(c0, c1, np.float32(ww), amp, rate, radial)
                    gq += _row_product(values, radial)
        out_xyz[a, 0] = gx
        out_xyz[a, 1] = gy
        out_xyz[a, 2] = gz
        out_b[a] = gb
        out_q[a] = gq
