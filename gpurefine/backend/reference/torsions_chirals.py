"""Torsions and chiral volumes: residuals z (m,) and their derivatives J̃ (m, 4, 3), vectorised NumPy."""

from __future__ import annotations

import numpy as np

from ..ops_restraints import F64, I32, Flags

TINY = 1e-8
CROSS2_MIN = 1e-4
"""Å⁴: where three atoms are nearly in line the torsion's derivative is held at this |F × G|²."""


def torsions(xyz: F64, atoms: I32, ideal: F64, sigma: F64, period: I32) -> tuple[F64, F64]:
    """z = (φ − nearest of ideal + k 2π/period)/σ.

    Derivatives after Blondel & Karplus (1996), J. Comput. Chem. 17, 1132: with F = x₁ − x₂, G = x₂ − x₃,
    H = x₄ − x₃, A = F × G, B = H × G: ∂φ/∂x₁ = −|G| A/A², ∂φ/∂x₄ = |G| B/B².
    """
    f = xyz[atoms[:, 0]] - xyz[atoms[:, 1]]
    g = xyz[atoms[:, 1]] - xyz[atoms[:, 2]]
    h = xyz[atoms[:, 3]] - xyz[atoms[:, 2]]
    a, b = np.cross(f, g), np.cross(h, g)
    length = np.linalg.norm(g, axis=1)
    sine = np.einsum("mi,mi->m", np.cross(b, a), g) / np.maximum(length, TINY)
    angle = np.arctan2(sine, np.einsum("mi,mi->m", a, b))
    turn = 2.0 * np.pi / period
    delta = angle - ideal
    delta -= turn * np.floor(delta / turn + 0.5)
    aa = np.maximum(np.einsum("mi,mi->m", a, a), CROSS2_MIN)
    bb = np.maximum(np.einsum("mi,mi->m", b, b), CROSS2_MIN)
    gg = np.maximum(length**2, TINY**2)
    first = -a * (length / aa)[:, None]
    last = b * (length / bb)[:, None]
    mixed = first * (np.einsum("mi,mi->m", f, g) / gg)[:, None] + last * (np.einsum("mi,mi->m", h, g) / gg)[:, None]
    rows = np.stack([first, -first - mixed, -last + mixed, last], axis=1)
    return delta / sigma, rows / sigma[:, None, None]


def chirals(xyz: F64, atoms: I32, ideal: F64, sigma: F64, both: Flags) -> tuple[F64, F64]:
    """z = (V − ideal)/σ, V = (x₁ − x₀)·((x₂ − x₀) × (x₃ − x₀)); where ``both``, the ideal takes the sign of V."""
    a, b, c = (xyz[atoms[:, k]] - xyz[atoms[:, 0]] for k in (1, 2, 3))
    first, second, third = np.cross(b, c), np.cross(c, a), np.cross(a, b)
    volume = np.einsum("mi,mi->m", a, first)
    target = np.where(both, np.where(volume >= 0.0, np.abs(ideal), -np.abs(ideal)), ideal)
    rows = np.stack([-first - second - third, first, second, third], axis=1)
    return (volume - target) / sigma, rows / sigma[:, None, None]
