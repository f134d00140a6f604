"""Per-atom Gaussians shared by all density operations."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..constants import EIGHT_PI2, FOUR_PI2, VOIGT
from .plans import DensityPlan, Scatterers


def full_tensors(six: NDArray[np.float64]) -> NDArray[np.float64]:
    """Symmetric tensors (n, 3, 3) of six-vectors (n, 6), 11 22 33 12 13 23."""
    full = np.empty((len(six), 3, 3))
    for k, (i, j) in enumerate(VOIGT):
        full[:, i, j] = full[:, j, i] = six[:, k]
    return full


def isotropic_gaussians(
    plan: DensityPlan, atoms: Scatterers, index: NDArray[np.intp]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Amplitude A (m, g) e/Å³, exponent α (m, g) Å⁻² and cut-off radius (m,) Å of isotropic atoms ``index``.

    ρ(r) = Σ_g A_g exp(−α_g r²) with α = 4π²/(b_g + B + blur) and A = q a_g (α/π)^{3/2} (method 1).
    """
    kind = atoms.kind[index]
    total_b = plan.gauss_b[kind] + (atoms.b_iso[index] + plan.blur)[:, None]
    alpha = FOUR_PI2 / total_b
    amplitude = (atoms.weight[index])[:, None] * plan.gauss_a[kind] * (alpha / np.pi) ** 1.5
    peak = np.abs(plan.gauss_a[kind]) * (alpha / np.pi) ** 1.5
    radius2 = (np.log(np.maximum(peak / plan.cutoff, 1.0)) / alpha).max(axis=1)
    return amplitude, alpha, np.sqrt(radius2)


def anisotropic_gaussians(
    plan: DensityPlan, atoms: Scatterers, index: NDArray[np.intp]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Amplitude A (m, g), inverse covariance Σ⁻¹ (m, g, 3, 3) Å⁻² and cut-off radius (m,) of anisotropic atoms.

    ρ(r) = Σ_g A_g exp(−½ rᵀ Σ_g⁻¹ r) with Σ_g = U + (b_g + blur)/8π².
    """
    kind = atoms.kind[index]
    full = full_tensors(atoms.u_aniso[index])
    extra = (plan.gauss_b[kind] + plan.blur) / EIGHT_PI2
    covariance = full[:, None] + extra[:, :, None, None] * np.eye(3)
    inverse = np.asarray(np.linalg.inv(covariance), np.float64)
    determinant = np.linalg.det(covariance)
    amplitude = atoms.weight[index][:, None] * plan.gauss_a[kind] / np.sqrt((2 * np.pi) ** 3 * determinant)
    peak = np.abs(plan.gauss_a[kind]) / np.sqrt((2 * np.pi) ** 3 * determinant)
    widest = np.linalg.eigvalsh(full)[:, 2][:, None] + extra
    radius2 = (np.log(np.maximum(peak / plan.cutoff, 1.0)) * 2.0 * widest).max(axis=1)
    return amplitude, inverse, np.sqrt(radius2)
