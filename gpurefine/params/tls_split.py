"""A chain cut into rigid pieces by its displacement parameters.

The idea of TLSMD (Painter & Merritt 2006, Acta Cryst. D62, 439–450): every stretch of the chain is fitted by the
motion of one rigid group, and dynamic programming finds the cuts that leave the smallest residual for a given number of
pieces.  An isotropic B sees only the trace of U = T + A L Aᵀ + A S + Sᵀ Aᵀ, which is linear in ten numbers: tr T, L,
and the antisymmetric part of S.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]

N_ISOTROPIC = 10
SHORTEST = 10
"""Residues: shorter pieces are not looked for, since ten numbers would explain them whatever they are."""

RIDGE = 1e-9
"""Relative to the diagonal of a piece's normal equations."""


def isotropic_rows(offset: F64) -> F64:
    """⅓ tr U (n, 10) by tr T, L 11 22 33 12 13 23 and S32−S23, S13−S31, S21−S12 for atoms at ``offset`` (n, 3)."""
    x, y, z = offset.T
    one = np.ones(len(offset))
    columns = [
        one, y * y + z * z, x * x + z * z, x * x + y * y, -2 * x * y, -2 * x * z, -2 * y * z, 2 * x, 2 * y, 2 * z
    ]
    return np.stack(columns, axis=1) / 3.0


def split_chain(xyz: F64, u_iso: F64, residue: NDArray[np.intp], n_groups: int) -> list[int]:
    """First residues of the pieces that a chain is best cut into.

    Args:
        xyz: (n, 3) Å; u_iso: (n,) Å² equivalent isotropic U; residue: (n,) 0 … m − 1, the residue of each atom in the
            order of the chain.
        n_groups: number of pieces wanted.

    Returns:
        Ascending, the first one 0; fewer than ``n_groups`` where the chain has too few residues.
    """
    m = int(residue.max()) + 1
    n_groups = max(1, min(n_groups, m // SHORTEST))
    if n_groups == 1:
        return [0]
    cost = _costs(xyz, u_iso, residue, m)
    best = cost[0].copy()  # best[j]: residues 0 … j in k pieces
    cut = np.zeros((n_groups, m), np.intp)
    for k in range(1, n_groups):
        total = best[:-1, None] + cost[1:, :]  # row i: the last piece begins at i + 1
        cut[k] = np.argmin(total, axis=0) + 1
        best = total.min(axis=0)
    starts, end = [], m - 1
    for k in range(n_groups - 1, 0, -1):
        starts.append(int(cut[k, end]))
        end = starts[-1] - 1
    return [0, *reversed(starts)]


def _costs(xyz: F64, u_iso: F64, residue: NDArray[np.intp], m: int) -> F64:
    """Residual (m, m) of the piece from residue i to residue j; infinite where it would be too short."""
    offset = xyz - xyz.mean(axis=0)
    size = float(np.sqrt(np.mean(np.sum(offset**2, axis=1))))
    rows = isotropic_rows(offset / max(size, 1e-6))
    value = u_iso / max(float(np.std(u_iso)), 1e-12)
    normal, right, square = np.zeros((m + 1, N_ISOTROPIC, N_ISOTROPIC)), np.zeros((m + 1, N_ISOTROPIC)), np.zeros(m + 1)
    np.add.at(normal, residue + 1, rows[:, :, None] * rows[:, None, :])
    np.add.at(right, residue + 1, rows * value[:, None])
    np.add.at(square, residue + 1, value**2)
    normal, right, square = (np.cumsum(part, axis=0) for part in (normal, right, square))
    cost = np.full((m, m), np.inf)
    for i in range(m - SHORTEST + 1):
        last = np.arange(i + SHORTEST - 1, m)
        a, b = normal[last + 1] - normal[i], right[last + 1] - right[i]
        a = a + RIDGE * np.einsum("pii->p", a)[:, None, None] * np.eye(N_ISOTROPIC)
        found = np.linalg.solve(a, b[:, :, None])[:, :, 0]
        cost[i, last] = square[last + 1] - square[i] - np.einsum("pi,pi->p", found, b)
    return cost
