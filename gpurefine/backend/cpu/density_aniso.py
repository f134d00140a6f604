"""Anisotropic atoms: spreading onto and gathering from the grid (method 1 and 2).

Each Gaussian has its own quadratic form, ρ(r) = Σ_g A_g exp(−½ rᵀ S_g r) with S = Σ⁻¹.  In grid units, r = M x with
x = (i − f_u, j − f_v, k − f_w), it is 2^(xᵀ Q x), and along a grid row a polynomial of second degree in k.

Rows are about ten points long, so what is done per row and Gaussian matters as much as the exponentials.  Sums over
an atom's sphere are therefore kept as vectors along the row, and summed once a plane of rows is done.
"""

from __future__ import annotations

import math

import numba as nb
import numpy as np
from numpy.typing import NDArray

from .exponential import LOG2_E, exp2_negative
from .jit import njit
from .rows import LANES, MAX_ROW, Array, add_row, slab_lists, take_row, wrapped
from .slabs import plane_ranges

LN_2 = math.log(2.0)

WIDTH = MAX_ROW + 2 * LANES
"""Distance between the parts of :func:`gather`'s buffer; a constant, so that the compiler knows that they are apart."""


def grid_forms(inverse: NDArray[np.float64], per_step: NDArray[np.float64]) -> NDArray[np.float64]:
    """Q (m, 6, 8) with ½ rᵀ S r = −xᵀ Q x ln 2 from S (m, g, 3, 3) and M (3, 3) Å a grid step.

    The six are what x₀², x₁², x₂², x₀x₁, x₀x₂ and x₁x₂ are multiplied by; zeros follow the g Gaussians.
    """
    form = -0.5 * float(LOG2_E) * np.einsum("ki,mgkl,lj->mgij", per_step, inverse, per_step, optimize=True)
    out = np.zeros((len(form), 6, LANES))
    for k, (i, j, factor) in enumerate(((0, 0, 1.0), (1, 1, 1.0), (2, 2, 1.0), (0, 1, 2.0), (0, 2, 2.0), (1, 2, 2.0))):
        out[:, k, : form.shape[1]] = factor * form[..., i, j]
    return out


@njit()
def row_metric(orth: Array, nu: int, nv: int, nw: int) -> tuple[float, float, float, float, float, float]:
    """What :func:`row_points` needs: |x|² across the rows as a form of x₀ and x₁, and where on a row it is smallest.

    g₀₀, g₀₁, g₁₁ of the first; −k* = s₀ x₀ + s₁ x₁ of the second; 1/|w|², w being one step along a row.
    """
    u, v, w = orth[:, 0] / nu, orth[:, 1] / nv, orth[:, 2] / nw
    uu, uv, vv, uw, vw, ww = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for i in range(3):
        uu += u[i] * u[i]
        uv += u[i] * v[i]
        vv += v[i] * v[i]
        uw += u[i] * w[i]
        vw += v[i] * w[i]
        ww += w[i] * w[i]
    return uu - uw * uw / ww, 2.0 * (uv - uw * vw / ww), vv - vw * vw / ww, uw / ww, vw / ww, 1.0 / ww


@njit(inline="always")
def row_points(
    metric: tuple[float, float, float, float, float, float], x0: float, x1: float, centre: float, radius2: float
) -> tuple[int, int, float]:
    """First k and number of the points of a row inside the sphere about ``centre``, and the row's distance² from it."""
    off_axis = metric[0] * x0 * x0 + (metric[1] * x0 + metric[2] * x1) * x1
    if off_axis > radius2:
        return 0, 0, off_axis
    half = math.sqrt((radius2 - off_axis) * metric[5])
    middle = centre - metric[3] * x0 - metric[4] * x1
    first = math.ceil(middle - half)
    return first, math.floor(middle + half) - first + 1, off_axis


@njit()
def _row_polynomials(form: Array, x0: float, x1: float, x2: float, out: Array) -> None:
    """out[:, g] = c0, c1, c2 of the exponent c0 + c1 t + c2 t² on the row that starts at (x0, x1, x2)."""
    y0, y1, y2 = x0 * x0, x1 * x1, x0 * x1
    for g in range(LANES):
        along, curve = form[4, g] * x0 + form[5, g] * x1, form[2, g] * x2
        out[0, g] = form[0, g] * y0 + form[1, g] * y1 + form[3, g] * y2 + (along + curve) * x2
        out[1, g] = along + 2.0 * curve
        out[2, g] = form[2, g]


@njit(fastmath=True)
def _density_row(c: Array, amp: Array, reach2: Array, off_axis: float, padded: int, row: Array) -> None:
    """row[t] = Σ_g amp_g 2^(c0 + c1 t + c2 t²) over the Gaussians that reach the row."""
    for t in range(padded):
        row[t] = np.float32(0.0)
    for g in range(len(amp)):
        if off_axis > reach2[g]:
            continue
        p, q, r, a = c[0, g], c[1, g], c[2, g], amp[g]
        for t in range(padded):
            k = np.float32(t)
            row[t] += a * exp2_negative(p + k * (q + k * r))


@njit(parallel=True, cache=True)
def spread(
    grid: Array, orth: Array, fractional: Array, reciprocal: Array, amplitude: Array, form: Array, radius: Array,
    reach2: Array, slab_size: int
) -> None:
    """Add Σ_g A_g 2^(xᵀ Q_g x) of every atom to grid (nu, nv, nw) float32; slabs are independent.

    ``reach2`` (m, g) Å²: rows farther than this from the atom do without the Gaussian.
    """
    nu, nv, nw = grid.shape
    first, last = plane_ranges(fractional[:, 0], radius, reciprocal[0], nu)
    n_slab = (nu + slab_size - 1) // slab_size
    start, atom = slab_lists(first, last, nu, slab_size, n_slab)
    metric = row_metric(orth, nu, nv, nw)
    for slab in nb.prange(n_slab):
        buffer = np.empty(MAX_ROW + LANES, np.float32)
        polynomial = np.empty((3, LANES), np.float32)
        for entry in range(start[slab], start[slab + 1]):
            a = atom[entry]
            edge, r2 = radius[a], radius[a] ** 2
            fu, fv, fw = fractional[a, 0] * nu, fractional[a, 1] * nv, fractional[a, 2] * nw
            j1 = math.ceil(fv - edge * reciprocal[1] * nv)
            j2 = math.floor(fv + edge * reciprocal[1] * nv)
            for i in range(first[a], last[a] + 1):
                u = wrapped(i, nu)
                if u // slab_size != slab:
                    continue
                for j in range(j1, j2 + 1):
                    k1, n, off_axis = row_points(metric, i - fu, j - fv, fw, r2)
                    if n <= 0:
                        continue
                    _row_polynomials(form[a], i - fu, j - fv, k1 - fw, polynomial)
                    padded = (n + LANES - 1) // LANES * LANES
                    _density_row(polynomial, amplitude[a], reach2[a], off_axis, padded, buffer)
                    add_row(grid, u, wrapped(j, nv), k1, n, buffer)


@njit(fastmath=True)
def _add_moments(c: Array, x1: float, reach2: Array, off_axis: float, padded: int, part: Array) -> None:
    """Add e D, x1 e D, x1² e D of each Gaussian to its three parts of ``part``, whose first part holds D.

    Every part begins WIDTH after the one before.
    """
    y = np.float32(x1)
    for g in range(len(reach2)):
        if off_axis > reach2[g]:
            continue
        p, q, r = c[0, g], c[1, g], c[2, g]
        first = part[(1 + 3 * g) * WIDTH :]
        for t in range(padded):
            k = np.float32(t)
            d = part[t] * exp2_negative(p + k * (q + k * r))
            first[t] += d
            first[t + WIDTH] += y * d
            first[t + 2 * WIDTH] += y * (y * d)


@njit(fastmath=True)
def _plane_moments(part: Array, n_gauss: int, length: int, x0: float, x2: float, moment: Array) -> None:
    """Add Σ D e times 1, x₀, x₁, x₂, x₀², x₁², x₂², x₀x₁, x₀x₂, x₁x₂ over a plane to moment (g, 10); clear ``part``."""
    for g in range(n_gauss):
        here = part[(1 + 3 * g) * WIDTH :]
        s00, s01, s02 = np.float32(0.0), np.float32(0.0), np.float32(0.0)
        s10, s11, s20 = np.float32(0.0), np.float32(0.0), np.float32(0.0)
        for t in range(length):
            x = np.float32(x2) + np.float32(t)
            a, b = here[t], here[t + WIDTH]
            s00 += a
            s01 += x * a
            s02 += x * (x * a)
            s10 += b
            s11 += x * b
            s20 += here[t + 2 * WIDTH]
        for t in range(length):
            here[t] = np.float32(0.0)
            here[t + WIDTH] = np.float32(0.0)
            here[t + 2 * WIDTH] = np.float32(0.0)
        m = moment[g]
        m[0] += s00
        m[1] += x0 * s00
        m[2] += s10
        m[3] += s01
        m[4] += x0 * x0 * s00
        m[5] += s20
        m[6] += s02
        m[7] += x0 * s10
        m[8] += x0 * s01
        m[9] += s11


@njit(parallel=True, cache=True)
def gather(
    grid: Array, orth: Array, fractional: Array, reciprocal: Array, amplitude: Array, form: Array,
    radius: Array, reach2: Array, out_x: Array, out_u: Array, out_q: Array
) -> None:
    """Σ_r D(r) ∂ρ_atom(r)/∂(x, U, relative q) with x and U in grid units: (m, 3), (m, 3, 3) and (m,).

    With S' = −2 ln 2 Q of each Gaussian, ∂ρ/∂x = ρ S'x and ∂ρ/∂U = ½ ρ (S'x xᵀS' − S').
    """
    nu, nv, nw = grid.shape
    n_gauss = amplitude.shape[1]
    metric = row_metric(orth, nu, nv, nw)
    for a in nb.prange(len(radius)):
        part = np.zeros((1 + 3 * n_gauss) * WIDTH, np.float32)
        polynomial = np.empty((3, LANES), np.float32)
        moment = np.zeros((n_gauss, 10))
        s, second = np.empty((3, 3)), np.empty((3, 3))
        edge, r2 = radius[a], radius[a] ** 2
        fu, fv, fw = fractional[a, 0] * nu, fractional[a, 1] * nv, fractional[a, 2] * nw
        extent = edge * reciprocal[0] * nu
        i1, i2 = math.ceil(fu - extent), math.floor(fu + extent)
        extent = edge * reciprocal[1] * nv
        j1, j2 = math.ceil(fv - extent), math.floor(fv + extent)
        extent = edge * reciprocal[2] * nw
        lowest, highest = math.ceil(fw - extent), math.floor(fw + extent)
        length = highest - lowest + 1
        for i in range(i1, i2 + 1):
            for j in range(j1, j2 + 1):
                k1, n, off_axis = row_points(metric, i - fu, j - fv, fw, r2)
                if n <= 0:
                    continue
                offset = k1 - lowest
                padded = (n + LANES - 1) // LANES * LANES
                here = part[offset:]
                take_row(grid, wrapped(i, nu), wrapped(j, nv), k1, n, padded, here[:padded])
                _row_polynomials(form[a], i - fu, j - fv, k1 - fw, polynomial)
                _add_moments(polynomial, j - fv, reach2[a], off_axis, padded, here)
            _plane_moments(part, n_gauss, length, i - fu, lowest - fw, moment)
        for g in range(n_gauss):
            amp, m = amplitude[a, g], moment[g]
            for b in range(3):
                s[b, b] = -2.0 * LN_2 * form[a, b, g]
                second[b, b] = m[4 + b]
            for b, c, k in ((0, 1, 3), (0, 2, 4), (1, 2, 5)):
                s[b, c] = s[c, b] = -LN_2 * form[a, k, g]
                second[b, c] = second[c, b] = m[4 + k]
            out_q[a] += amp * m[0]
            for b in range(3):
                for c in range(3):
                    out_x[a, b] += amp * s[b, c] * m[1 + c]
                    total = -s[b, c] * m[0]
                    for d in range(3):
                        for e in range(3):
                            total += s[b, d] * second[d, e] * s[e, c]
                    out_u[a, b, c] += 0.5 * amp * total


def to_cartesian(
    by_x: NDArray[np.float64], by_u: NDArray[np.float64], per_step: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Slopes (m, 3) and (m, 6) per Å and Å² from those in grid units; U₁₂, U₁₃, U₂₃ move both symmetric elements."""
    steps = np.linalg.inv(per_step)
    full = steps.T @ by_u @ steps
    return by_x @ steps, full[:, (0, 1, 2, 0, 0, 1), (0, 1, 2, 1, 2, 2)] * np.array([1.0, 1.0, 1.0, 2.0, 2.0, 2.0])
