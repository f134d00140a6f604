"""Bonds and angles: residuals z and their derivatives, vectorised NumPy.

Each function gives z (m,) (or (m, 3)) and J̃ = ∂z/∂x of the atoms it involves (m, k, 3).
"""

from __future__ import annotations

import numpy as np

from ..ops_restraints import F64, I32, SymmetryArrays

TINY = 1e-8


def place(xyz: F64, op: I32, shift: I32, symmetry: SymmetryArrays) -> F64:
    """Images (m, 3) of the positions (m, 3): rotation x + translation + orth · shift; untouched under the identity."""
    moved = np.einsum("mij,mj->mi", symmetry.rotation[op], xyz) + symmetry.translation[op] + shift @ symmetry.orth.T
    own = (op == 0) & ~shift.any(axis=1)
    return np.where(own[:, None], xyz, moved)


def bonds(
    xyz: F64, atoms: I32, ideal: F64, sigma: F64, op: I32, shift: I32, symmetry: SymmetryArrays
) -> tuple[F64, F64]:
    """z = (|x₁ − g x₂| − ideal)/σ, the derivative by x₂ turned back by the operation's rotation."""
    vector = xyz[atoms[:, 0]] - place(xyz[atoms[:, 1]], op, shift, symmetry)
    length = np.linalg.norm(vector, axis=1)
    unit = vector / np.maximum(length, TINY)[:, None]
    back = np.einsum("mji,mj->mi", symmetry.rotation[op], unit)
    own = (op == 0) & ~shift.any(axis=1)
    second = -np.where(own[:, None], unit, back)
    return (length - ideal) / sigma, np.stack([unit, second], axis=1) / sigma[:, None, None]


def angles(xyz: F64, atoms: I32, ideal: F64, sigma: F64) -> tuple[F64, F64]:
    """z = (θ − ideal)/σ with θ = atan2(|a × b|, a·b), a = x₁ − x₂, b = x₃ − x₂."""
    a = xyz[atoms[:, 0]] - xyz[atoms[:, 1]]
    b = xyz[atoms[:, 2]] - xyz[atoms[:, 1]]
    cross = np.linalg.norm(np.cross(a, b), axis=1)
    dot = np.einsum("mi,mi->m", a, b)
    aa = np.maximum(np.einsum("mi,mi->m", a, a), TINY**2)
    bb = np.maximum(np.einsum("mi,mi->m", b, b), TINY**2)
    scale = (1.0 / np.maximum(cross, TINY))[:, None]
    first = (a * (dot / aa)[:, None] - b) * scale
    last = (b * (dot / bb)[:, None] - a) * scale
    rows = np.stack([first, -first - last, last], axis=1)
    return (np.arctan2(cross, dot) - ideal) / sigma, rows / sigma[:, None, None]


def linear_angles(xyz: F64, atoms: I32, sigma: F64) -> tuple[F64, F64]:
    """Three residuals z (m, 3) = (â + b̂)/σ, rows (m, 3 components, 3 atoms, 3): ½ z² = (1 + cos θ)/σ²."""
    units, slopes = [], []
    for column in (0, 2):
        v = xyz[atoms[:, column]] - xyz[atoms[:, 1]]
        length = np.maximum(np.linalg.norm(v, axis=1), TINY)
        unit = v / length[:, None]
        units.append(unit)
        slopes.append((np.eye(3) - unit[:, :, None] * unit[:, None, :]) / length[:, None, None])
    rows = np.stack([slopes[0], -slopes[0] - slopes[1], slopes[1]], axis=2)
    return (units[0] + units[1]) / sigma[:, None], rows / sigma[:, None, None, None]
