"""The grid rows of an atom's sphere, and Gaussians that factorise on them.

Let di, dj and k be grid steps along a, b and c from the atom.  The row (i, j) passes the atom at the distance ρ, at the
(not whole) step k*, and there r² = ρ² + |w|² (k − k*)² with w one step along c.  Hence exp(−αr²) is a number of the row
times a table over k, and no exponential is left for the points.  k* = k_atom − s_a di − s_b dj, and in most cells c is
normal to b (s_b = 0), often to a as well: the table then serves a plane or the whole atom.
"""

from __future__ import annotations

import math

import numpy as np

from .jit import njit
from .lanes import FLOAT, powers
from .rows import LANES, Array

QUARTER_PI2 = 1.0 / (4.0 * math.pi**2)

SIZES = (3, 5)
"""Numbers of Gaussians that the loops are written for; form factors are padded with Gaussians of no weight."""

GAUSSIANS = 8
"""Room for the Gaussians of an atom in the arrays that hold one number for each: a vector's lanes."""

FOR_ATOM, FOR_PLANE, FOR_ROW = 0, 1, 2
"""How long a table over k serves."""


@njit()
def grid_metric(orth: Array, nu: int, nv: int, nw: int) -> tuple[float, float, float, float, float, float, int]:
    """(g_aa, 2 g_ab, g_bb, |w|², s_a, s_b, use): ρ² = g_aa di² + 2 g_ab di dj + g_bb dj²; ``use`` of the table."""
    a, b, w = orth[:, 0] / nu, orth[:, 1] / nv, orth[:, 2] / nw
    aw, bw, ww = 0.0, 0.0, 0.0
    aa, ab, bb = 0.0, 0.0, 0.0
    for x in range(3):
        aw += a[x] * w[x]
        bw += b[x] * w[x]
        ww += w[x] * w[x]
        aa += a[x] * a[x]
        ab += a[x] * b[x]
        bb += b[x] * b[x]
    use = FOR_ATOM
    if abs(aw) > 1e-9 * math.sqrt(aa * ww):
        use = FOR_PLANE
    if abs(bw) > 1e-9 * math.sqrt(bb * ww):
        use = FOR_ROW
    return aa - aw * aw / ww, 2.0 * (ab - aw * bw / ww), bb - bw * bw / ww, ww, aw / ww, bw / ww, use


@njit()
def table_width(radius: float, ww: float) -> int:
    """Entries of a table over k that vectors may read anywhere in a sphere of this radius."""
    points = int(2.0 * radius / math.sqrt(ww)) + 2
    return (points + LANES - 1) // LANES * LANES + LANES


@njit()
def fill_table(table: int, stride: int, n: int, rate: Array, ww: float, begin: float, width: int) -> None:
    """table[g stride + t] = 2^(rate_g |w|² (begin + t)²) for n Gaussians and t < width; address and stride in bytes."""
    for g in range(n):
        scale = np.float32(rate[g] * ww)
        for t in range(0, width, LANES):
            powers(table + g * stride + FLOAT * t, scale, np.float32(begin + t))


@njit()
def row_range(rest: float, g2: float, gbb: float, di: float, fv: float) -> tuple[int, int]:
    """First and last j of a plane that has ``rest`` = r² − min ρ² left of the sphere (last < first: none)."""
    if rest < 0.0:
        return 0, -1
    centre = fv - 0.5 * g2 / gbb * di
    half = math.sqrt(rest / gbb)
    return math.ceil(centre - half), math.floor(centre + half)


@njit()
def row_points(middle: float, base: int, rest: float, inverse: float) -> tuple[int, int]:
    """First k, not before the table's ``base``, and number of points of a row; rest = r² − ρ², inverse = 1/|w|²."""
    half = math.sqrt(max(rest, 0.0) * inverse)
    k1 = max(math.ceil(middle - half), base)
    return k1, math.floor(middle + half) - k1 + 1
