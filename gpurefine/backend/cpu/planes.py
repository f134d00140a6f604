"""Least-squares planes, compiled by numba.

With p_j = x_j − centroid, A = Σ p_j p_jᵀ and its eigenvectors n (smallest eigenvalue λ₀), e₁, e₂, the
distances are δ_j = n·p_j.  First-order perturbation of n gives, for the derivative of δ_j by x_l,

    J_jl = (δ_jl − 1/N) n + Σ_m c_mj q_ml,   c_mj = e_m·p_j,   q_ml = (δ_l e_m + c_ml n)/(λ₀ − λ_m),

and because Σ_j c_mj = 0 and Σ_j c_mj c_m'j = λ_m δ_mm' the Gauss–Newton block needs no sum over the atoms:

    Σ_j J_jl J_jkᵀ = (δ_lk − 1/N) n nᵀ + Σ_m (c_ml n q_mkᵀ + c_mk q_ml nᵀ + λ_m q_ml q_mkᵀ).

The gradient of ½ Σ δ_j² is δ_l n exactly.
"""

from __future__ import annotations

import math

import numpy as np

from ..ops_restraints import F64, I32
from .jit import njit

GAP_MIN = 1e-6


@njit(error_model="numpy")
def eigen3(a: F64, v: F64) -> None:
    """Jacobi: eigenvalues (left on the diagonal of ``a``) and eigenvectors (columns of ``v``) of a symmetric (3, 3)."""
    for i in range(3):
        for j in range(3):
            v[i, j] = 1.0 if i == j else 0.0
    for _sweep in range(30):
        off = a[0, 1] * a[0, 1] + a[0, 2] * a[0, 2] + a[1, 2] * a[1, 2]
        trace = a[0, 0] + a[1, 1] + a[2, 2]
        if off <= 1e-34 * trace * trace:
            break
        for p in range(2):
            for q in range(p + 1, 3):
                apq = a[p, q]
                if apq == 0.0:
                    continue
                theta = 0.5 * (a[q, q] - a[p, p]) / apq
                t = 1.0 / (abs(theta) + math.sqrt(theta * theta + 1.0))
                if theta < 0.0:
                    t = -t
                c = 1.0 / math.sqrt(t * t + 1.0)
                s = t * c
                r = 3 - p - q
                a[p, p] -= t * apq
                a[q, q] += t * apq
                a[p, q] = 0.0
                a[q, p] = 0.0
                arp, arq = a[r, p], a[r, q]
                a[r, p] = c * arp - s * arq
                a[p, r] = a[r, p]
                a[r, q] = s * arp + c * arq
                a[q, r] = a[r, q]
                for k in range(3):
                    vp, vq = v[k, p], v[k, q]
                    v[k, p] = c * vp - s * vq
                    v[k, q] = s * vp + c * vq


@njit(error_model="numpy")
def plane_frames(
    first_plane: int, last_plane: int, xyz: F64, start: I32, atoms: I32, sigma: F64, frame: F64, member: F64
) -> None:
    """Fill ``frame`` (n_plane, 16): n, e₁, e₂, 1/(λ₀ − λ_m), λ_m, 1/σ², 1/N, ½ Σ δ²/σ² and ``member``: δ, c₁, c₂.

    Does the planes ``first_plane`` … ``last_plane`` − 1.
    """
    a, v = np.empty((3, 3)), np.empty((3, 3))
    for p in range(first_plane, last_plane):
        begin, end = start[p], start[p + 1]
        count = end - begin
        cx, cy, cz = 0.0, 0.0, 0.0
        for k in range(begin, end):
            cx += xyz[atoms[k], 0]
            cy += xyz[atoms[k], 1]
            cz += xyz[atoms[k], 2]
        cx, cy, cz = cx / count, cy / count, cz / count
        for c in range(3):
            for d in range(c, 3):
                a[c, d] = 0.0
        for k in range(begin, end):
            x, y, z = xyz[atoms[k], 0] - cx, xyz[atoms[k], 1] - cy, xyz[atoms[k], 2] - cz
            a[0, 0] += x * x
            a[1, 1] += y * y
            a[2, 2] += z * z
            a[0, 1] += x * y
            a[0, 2] += x * z
            a[1, 2] += y * z
        a[1, 0], a[2, 0], a[2, 1] = a[0, 1], a[0, 2], a[1, 2]
        eigen3(a, v)
        low = 0
        for c in range(1, 3):
            if a[c, c] < a[low, low]:
                low = c
        one, two = (low + 1) % 3, (low + 2) % 3
        for c in range(3):
            frame[p, c], frame[p, 3 + c], frame[p, 6 + c] = v[c, low], v[c, one], v[c, two]
        frame[p, 9] = 1.0 / min(a[low, low] - a[one, one], -GAP_MIN)
        frame[p, 10] = 1.0 / min(a[low, low] - a[two, two], -GAP_MIN)
        frame[p, 11], frame[p, 12] = a[one, one], a[two, two]
        w = 1.0 / (sigma[p] * sigma[p])
        frame[p, 13] = w
        frame[p, 14] = 1.0 / count
        total = 0.0
        for k in range(begin, end):
            x, y, z = xyz[atoms[k], 0] - cx, xyz[atoms[k], 1] - cy, xyz[atoms[k], 2] - cz
            delta = v[0, low] * x + v[1, low] * y + v[2, low] * z
            member[k, 0] = delta
            member[k, 1] = v[0, one] * x + v[1, one] * y + v[2, one] * z
            member[k, 2] = v[0, two] * x + v[1, two] * y + v[2, two] * z
            total += delta * delta
        frame[p, 15] = 0.5 * w * total


@njit(error_model="numpy")
def add_plane_gradient(
    i: int, start: I32, order: I32, member_plane: I32, frame: F64, member: F64, gradient: F64
) -> None:
    """Add δ n/σ² of the members that atom ``i`` owns to its row of ``gradient`` (n, 3)."""
    for e in range(start[i], start[i + 1]):
        k = order[e]
        p = member_plane[k]
        f = frame[p, 13] * member[k, 0]
        gradient[i, 0] += f * frame[p, 0]
        gradient[i, 1] += f * frame[p, 1]
        gradient[i, 2] += f * frame[p, 2]


@njit(error_model="numpy")
def add_plane_block(
    b: int, start: I32, members: I32, member_plane: I32, frame: F64, member: F64, block: F64
) -> None:
    """Add what the member pairs of block ``b`` make of it to ``block`` (3, 3)."""
    for e in range(start[b], start[b + 1]):
        row, col = members[e, 0], members[e, 1]
        p = member_plane[row]
        w = frame[p, 13]
        base = w * ((1.0 if row == col else 0.0) - frame[p, 14])
        for r in range(3):
            for c in range(3):
                block[r, c] += base * frame[p, r] * frame[p, c]
        for m in range(2):
            g, lam = frame[p, 9 + m], w * frame[p, 11 + m]
            cl, ck = member[row, 1 + m], member[col, 1 + m]
            for r in range(3):
                nr = frame[p, r]
                ql = g * (member[row, 0] * frame[p, 3 + 3 * m + r] + cl * nr)
                left = w * cl * nr + lam * ql
                right = w * ck * ql
                for c in range(3):
                    qk = g * (member[col, 0] * frame[p, 3 + 3 * m + c] + ck * frame[p, c])
                    block[r, c] += left * qk + right * frame[p, c]
