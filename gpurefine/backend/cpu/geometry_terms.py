"""Residuals z and their derivatives J̃ of bonds, angles, torsions and chirals, compiled by numba.

Each function does the terms ``begin`` … ``end`` − 1; :mod:`.covalent` shares them out.  Formulas:
:mod:`gpurefine.backend.reference.bonds_angles` and ``torsions_chirals``.
"""

from __future__ import annotations

import math

from ..ops_restraints import F64, I32, Flags
from .jit import njit

TINY = 1e-8
TINY2 = TINY * TINY
CROSS2_MIN = 1e-4


@njit(error_model="numpy")
def bond_terms(
    begin: int, end: int, xyz: F64, atoms: I32, ideal: F64, sigma: F64, op: I32, shift: I32, rotation: F64,
    translation: F64, orth: F64, z: F64, jacobian: F64, row: int, derivative: bool,
) -> None:
    """z (m,) = (|x₁ − x₂| − ideal)/σ and, if ``derivative``, two rows a bond from ``row`` on."""
    for t in range(begin, end):
        i, j = atoms[t, 0], atoms[t, 1]
        own = op[t] == 0 and shift[t, 0] == 0 and shift[t, 1] == 0 and shift[t, 2] == 0
        x, y, w = xyz[j, 0], xyz[j, 1], xyz[j, 2]
        if not own:
            r = rotation[op[t]]
            s0, s1, s2 = shift[t, 0], shift[t, 1], shift[t, 2]
            p, q, u = x, y, w
            x = r[0, 0] * p + r[0, 1] * q + r[0, 2] * u + translation[op[t], 0]
            y = r[1, 0] * p + r[1, 1] * q + r[1, 2] * u + translation[op[t], 1]
            w = r[2, 0] * p + r[2, 1] * q + r[2, 2] * u + translation[op[t], 2]
            x += orth[0, 0] * s0 + orth[0, 1] * s1 + orth[0, 2] * s2
            y += orth[1, 0] * s0 + orth[1, 1] * s1 + orth[1, 2] * s2
            w += orth[2, 0] * s0 + orth[2, 1] * s1 + orth[2, 2] * s2
        dx, dy, dw = xyz[i, 0] - x, xyz[i, 1] - y, xyz[i, 2] - w
        d = math.sqrt(dx * dx + dy * dy + dw * dw)
        z[t] = (d - ideal[t]) / sigma[t]
        if derivative:
            f = 1.0 / (max(d, TINY) * sigma[t])
            dx, dy, dw = dx * f, dy * f, dw * f
            a = row + 2 * t
            jacobian[a, 0], jacobian[a, 1], jacobian[a, 2] = dx, dy, dw
            if own:
                jacobian[a + 1, 0], jacobian[a + 1, 1], jacobian[a + 1, 2] = -dx, -dy, -dw
            else:
                r = rotation[op[t]]
                for c in range(3):
                    jacobian[a + 1, c] = -(r[0, c] * dx + r[1, c] * dy + r[2, c] * dw)


@njit(error_model="numpy")
def bent_terms(
    begin: int, end: int, xyz: F64, atoms: I32, ideal: F64, sigma: F64, bent: I32, z: F64, jacobian: F64, row: int,
    derivative: bool,
) -> None:
    """z (m,) = (angle − ideal)/σ and three rows an angle."""
    for k in range(begin, end):
        t = bent[k]
        i, j, m = atoms[t, 0], atoms[t, 1], atoms[t, 2]
        ax, ay, az = xyz[i, 0] - xyz[j, 0], xyz[i, 1] - xyz[j, 1], xyz[i, 2] - xyz[j, 2]
        bx, by, bz = xyz[m, 0] - xyz[j, 0], xyz[m, 1] - xyz[j, 1], xyz[m, 2] - xyz[j, 2]
        cx, cy, cz = ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx
        cross = math.sqrt(cx * cx + cy * cy + cz * cz)
        dot = ax * bx + ay * by + az * bz
        z[k] = (math.atan2(cross, dot) - ideal[t]) / sigma[t]
        if derivative:
            aa = max(ax * ax + ay * ay + az * az, TINY2)
            bb = max(bx * bx + by * by + bz * bz, TINY2)
            f = 1.0 / (max(cross, TINY) * sigma[t])
            p, q = dot / aa, dot / bb
            gx, gy, gz = (ax * p - bx) * f, (ay * p - by) * f, (az * p - bz) * f
            hx, hy, hz = (bx * q - ax) * f, (by * q - ay) * f, (bz * q - az) * f
            r = row + 3 * k
            jacobian[r, 0], jacobian[r, 1], jacobian[r, 2] = gx, gy, gz
            jacobian[r + 1, 0], jacobian[r + 1, 1], jacobian[r + 1, 2] = -gx - hx, -gy - hy, -gz - hz
            jacobian[r + 2, 0], jacobian[r + 2, 1], jacobian[r + 2, 2] = hx, hy, hz


@njit(error_model="numpy")
def linear_terms(
    begin: int, end: int, xyz: F64, atoms: I32, sigma: F64, linear: I32, z: F64, jacobian: F64, row: int,
    derivative: bool,
) -> None:
    """z (3 m,) = (v̂₁ + v̂₂)/σ and three rows for each of its components."""
    for k in range(begin, end):
        t = linear[k]
        i, j, m = atoms[t, 0], atoms[t, 1], atoms[t, 2]
        ax, ay, az = xyz[i, 0] - xyz[j, 0], xyz[i, 1] - xyz[j, 1], xyz[i, 2] - xyz[j, 2]
        bx, by, bz = xyz[m, 0] - xyz[j, 0], xyz[m, 1] - xyz[j, 1], xyz[m, 2] - xyz[j, 2]
        an = max(math.sqrt(ax * ax + ay * ay + az * az), TINY)
        bn = max(math.sqrt(bx * bx + by * by + bz * bz), TINY)
        a, b = (ax / an, ay / an, az / an), (bx / bn, by / bn, bz / bn)
        for c in range(3):
            z[3 * k + c] = (a[c] + b[c]) / sigma[t]
            if derivative:
                r = row + 3 * (3 * k + c)
                for e in range(3):
                    unit = 1.0 if c == e else 0.0
                    g = (unit - a[c] * a[e]) / (an * sigma[t])
                    h = (unit - b[c] * b[e]) / (bn * sigma[t])
                    jacobian[r, e], jacobian[r + 1, e], jacobian[r + 2, e] = g, -g - h, h


@njit(error_model="numpy")
def torsion_terms(
    begin: int, end: int, xyz: F64, atoms: I32, ideal: F64, sigma: F64, period: I32, z: F64, jacobian: F64, row: int,
    derivative: bool,
) -> None:
    """z (m,) = (torsion − nearest ideal)/σ and four rows a torsion."""
    two_pi = 2.0 * math.pi
    for t in range(begin, end):
        i, j, k, m = atoms[t, 0], atoms[t, 1], atoms[t, 2], atoms[t, 3]
        fx, fy, fz = xyz[i, 0] - xyz[j, 0], xyz[i, 1] - xyz[j, 1], xyz[i, 2] - xyz[j, 2]
        gx, gy, gz = xyz[j, 0] - xyz[k, 0], xyz[j, 1] - xyz[k, 1], xyz[j, 2] - xyz[k, 2]
        hx, hy, hz = xyz[m, 0] - xyz[k, 0], xyz[m, 1] - xyz[k, 1], xyz[m, 2] - xyz[k, 2]
        ax, ay, az = fy * gz - fz * gy, fz * gx - fx * gz, fx * gy - fy * gx
        bx, by, bz = hy * gz - hz * gy, hz * gx - hx * gz, hx * gy - hy * gx
        gn = math.sqrt(gx * gx + gy * gy + gz * gz)
        # sin ∝ (b × a)·g / |g|, cos ∝ a·b
        sx, sy, sz = by * az - bz * ay, bz * ax - bx * az, bx * ay - by * ax
        sine = (sx * gx + sy * gy + sz * gz) / max(gn, TINY)
        angle = math.atan2(sine, ax * bx + ay * by + az * bz)
        turn = two_pi / period[t]
        delta = angle - ideal[t]
        delta -= turn * math.floor(delta / turn + 0.5)
        z[t] = delta / sigma[t]
        if derivative:
            aa = max(ax * ax + ay * ay + az * az, CROSS2_MIN)
            bb = max(bx * bx + by * by + bz * bz, CROSS2_MIN)
            p, q = gn / (aa * sigma[t]), gn / (bb * sigma[t])
            gg = max(gn * gn, TINY2)
            u = (fx * gx + fy * gy + fz * gz) / gg
            v = (hx * gx + hy * gy + hz * gz) / gg
            r = row + 4 * t
            for c in range(3):
                if c == 0:
                    first, last = -ax * p, bx * q
                elif c == 1:
                    first, last = -ay * p, by * q
                else:
                    first, last = -az * p, bz * q
                mixed = u * first + v * last
                jacobian[r, c] = first
                jacobian[r + 1, c] = -first + -mixed
                jacobian[r + 2, c] = -last + mixed
                jacobian[r + 3, c] = last


@njit(error_model="numpy")
def chiral_terms(
    begin: int, end: int, xyz: F64, atoms: I32, ideal: F64, sigma: F64, both: Flags, z: F64, jacobian: F64, row: int,
    derivative: bool,
) -> None:
    """z (m,) = (chiral volume − ideal)/σ and four rows a centre."""
    for t in range(begin, end):
        o, i, j, k = atoms[t, 0], atoms[t, 1], atoms[t, 2], atoms[t, 3]
        ax, ay, az = xyz[i, 0] - xyz[o, 0], xyz[i, 1] - xyz[o, 1], xyz[i, 2] - xyz[o, 2]
        bx, by, bz = xyz[j, 0] - xyz[o, 0], xyz[j, 1] - xyz[o, 1], xyz[j, 2] - xyz[o, 2]
        cx, cy, cz = xyz[k, 0] - xyz[o, 0], xyz[k, 1] - xyz[o, 1], xyz[k, 2] - xyz[o, 2]
        px, py, pz = by * cz - bz * cy, bz * cx - bx * cz, bx * cy - by * cx
        volume = ax * px + ay * py + az * pz
        target = ideal[t]
        if both[t]:
            target = abs(target) if volume >= 0.0 else -abs(target)
        z[t] = (volume - target) / sigma[t]
        if derivative:
            f = 1.0 / sigma[t]
            px, py, pz = px * f, py * f, pz * f
            qx, qy, qz = (cy * az - cz * ay) * f, (cz * ax - cx * az) * f, (cx * ay - cy * ax) * f
            sx, sy, sz = (ay * bz - az * by) * f, (az * bx - ax * bz) * f, (ax * by - ay * bx) * f
            r = row + 4 * t
            jacobian[r, 0], jacobian[r, 1], jacobian[r, 2] = -px - qx - sx, -py - qy - sy, -pz - qz - sz
            jacobian[r + 1, 0], jacobian[r + 1, 1], jacobian[r + 1, 2] = px, py, pz
            jacobian[r + 2, 0], jacobian[r + 2, 1], jacobian[r + 2, 2] = qx, qy, qz
            jacobian[r + 3, 0], jacobian[r + 3, 1], jacobian[r + 3, 2] = sx, sy, sz
