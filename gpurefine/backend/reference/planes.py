"""Least-squares planes: distances of the atoms and their derivatives, all planes of one size at once."""

from __future__ import annotations

import numpy as np

from ..ops_restraints import F64, I32

GAP_MIN = 1e-6
"""Å²: smallest difference of eigenvalues that the plane's tilt is divided by (atoms in one line have no plane)."""


def planes(xyz: F64, atoms: I32, sigma: F64) -> tuple[F64, F64]:
    """z (p, N) = n·(x_j − centroid)/σ and J̃ (p, N distances, N atoms, 3).

    The normal n is the eigenvector of the smallest eigenvalue of Σ_j p_j p_jᵀ, and turns with the atoms:
    dn = Σ_m e_m (e_mᵀ dA n)/(λ₀ − λ_m) with e_mᵀ dA n = Σ_l (e_m·dx_l)(p_l·n) + (e_m·p_l)(dx_l·n).
    """
    x = xyz[atoms]
    p = x - x.mean(axis=1, keepdims=True)
    values, vectors = np.linalg.eigh(np.einsum("pji,pjk->pik", p, p))
    n = vectors[:, :, 0]
    delta = np.einsum("pji,pi->pj", p, n)
    count = atoms.shape[1]
    centring = np.eye(count) - 1.0 / count
    rows = centring[None, :, :, None] * n[:, None, None, :]
    for m in (1, 2):
        e = vectors[:, :, m]
        gap = np.minimum(values[:, 0] - values[:, m], -GAP_MIN)
        along = np.einsum("pji,pi->pj", p, e)
        tilt = (delta[:, :, None] * e[:, None, :] + along[:, :, None] * n[:, None, :]) / gap[:, None, None]
        rows = rows + along[:, :, None, None] * tilt[:, None, :, :]
    return delta / sigma[:, None], rows / sigma[:, None, None, None]
