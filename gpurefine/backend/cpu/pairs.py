"""Repulsion of overlapping pairs and divergence of displacement parameters, compiled by numba."""

from __future__ import annotations

import math

from numba import prange

from ..ops_restraints import F64, I32
from .jit import njit

TINY = 1e-8


@njit(cache=True, error_model="numpy")
def image_of(
    xyz: F64, j: int, g: int, shift: I32, rotation: F64, translation: F64, orth: F64
) -> tuple[float, float, float]:
    """Position of atom j under operation g and ``shift`` (3,) cells."""
    x, y, z = xyz[j, 0], xyz[j, 1], xyz[j, 2]
    s0, s1, s2 = shift[0], shift[1], shift[2]
    if g == 0 and s0 == 0 and s1 == 0 and s2 == 0:
        return x, y, z
    r, t = rotation[g], translation[g]
    return (
        r[0, 0] * x + r[0, 1] * y + r[0, 2] * z + t[0] + orth[0, 0] * s0 + orth[0, 1] * s1 + orth[0, 2] * s2,
        r[1, 0] * x + r[1, 1] * y + r[1, 2] * z + t[1] + orth[1, 0] * s0 + orth[1, 1] * s1 + orth[1, 2] * s2,
        r[2, 0] * x + r[2, 1] * y + r[2, 2] * z + t[2] + orth[2, 0] * s0 + orth[2, 1] * s1 + orth[2, 2] * s2,
    )


@njit(cache=True, parallel=True, error_model="numpy")
def overlaps(
    xyz: F64, first: I32, second: I32, op: I32, shift: I32, critical: F64, sigma: F64, rotation: F64, translation: F64,
    orth: F64, z: F64,
) -> None:
    """z (k,) = max(0, (critical − d)/σ)."""
    for k in prange(len(first)):
        i = first[k]
        x, y, w = image_of(xyz, second[k], op[k], shift[k], rotation, translation, orth)
        dx, dy, dw = xyz[i, 0] - x, xyz[i, 1] - y, xyz[i, 2] - w
        d2 = dx * dx + dy * dy + dw * dw
        c = critical[k]
        z[k] = (c - math.sqrt(d2)) / sigma[k] if d2 < c * c else 0.0


@njit(cache=True, error_model="numpy")
def overlap_derivatives(
    xyz: F64, first: I32, second: I32, op: I32, shift: I32, critical: F64, sigma: F64, rotation: F64, translation: F64,
    orth: F64, active: I32, owner: I32, gradient: F64, curvature: bool, slot: I32, diagonal: F64, off: F64,
) -> None:
    """Add z J̃ and J̃ J̃ᵀ of the pairs ``active``; one thread, because the pairs are few and share atoms."""
    for q in range(len(active)):
        k = active[q]
        i, j, g = first[k], second[k], op[k]
        x, y, w = image_of(xyz, j, g, shift[k], rotation, translation, orth)
        dx, dy, dw = xyz[i, 0] - x, xyz[i, 1] - y, xyz[i, 2] - w
        d = math.sqrt(dx * dx + dy * dy + dw * dw)
        z = (critical[k] - d) / sigma[k]
        f = -1.0 / (max(d, TINY) * sigma[k])
        dx, dy, dw = dx * f, dy * f, dw * f
        r = rotation[g]
        ex = -(r[0, 0] * dx + r[1, 0] * dy + r[2, 0] * dw)
        ey = -(r[0, 1] * dx + r[1, 1] * dy + r[2, 1] * dw)
        ew = -(r[0, 2] * dx + r[1, 2] * dy + r[2, 2] * dw)
        a, b = owner[i], owner[j]
        gradient[a, 0] += z * dx
        gradient[a, 1] += z * dy
        gradient[a, 2] += z * dw
        gradient[b, 0] += z * ex
        gradient[b, 1] += z * ey
        gradient[b, 2] += z * ew
        if not curvature:
            continue
        if a == b:
            _outer(diagonal, a, dx + ex, dy + ey, dw + ew, dx + ex, dy + ey, dw + ew)
            continue
        _outer(diagonal, a, dx, dy, dw, dx, dy, dw)
        _outer(diagonal, b, ex, ey, ew, ex, ey, ew)
        if a < b:
            _outer(off, slot[q], dx, dy, dw, ex, ey, ew)
        else:
            _outer(off, slot[q], ex, ey, ew, dx, dy, dw)


@njit(cache=True, error_model="numpy")
def _outer(block: F64, k: int, x: float, y: float, z: float, u: float, v: float, w: float) -> None:
    block[k, 0, 0] += x * u
    block[k, 0, 1] += x * v
    block[k, 0, 2] += x * w
    block[k, 1, 0] += y * u
    block[k, 1, 1] += y * v
    block[k, 1, 2] += y * w
    block[k, 2, 0] += z * u
    block[k, 2, 1] += z * v
    block[k, 2, 2] += z * w


@njit(cache=True, error_model="numpy")
def divergence(
    first: I32, second: I32, weight: F64, b_iso: F64, want_gradient: bool, gradient: F64, want_blocks: bool,
    diagonal: F64, off: F64,
) -> float:
    """½ Σ w δ², δ = (B₁ − B₂)/√(B₁B₂), with its gradient and Gauss–Newton blocks."""
    total = 0.0
    for k in range(len(first)):
        i, j = first[k], second[k]
        p, q = b_iso[i], b_iso[j]
        inverse = 1.0 / (p * q)
        w = weight[k]
        difference = p - q
        total += w * difference * difference * inverse
        if want_gradient:
            common = 0.5 * w * difference * (p + q) * inverse
            gradient[i] += common / p
            gradient[j] -= common / q
        if want_blocks:
            half = 0.25 * w * (p + q) * (p + q) * inverse
            diagonal[i, 0, 0] += half / (p * p)
            diagonal[j, 0, 0] += half / (q * q)
            off[k, 0, 0] -= half * inverse
    return 0.5 * total
