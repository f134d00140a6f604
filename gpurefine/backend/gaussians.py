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
    return anisotropic_reach(plan, atoms, index)[:3]


def anisotropic_reach(
    plan: DensityPlan, atoms: Scatterers, index: NDArray[np.intp], margin: float = 1.0
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """The same and the squared radius (m, g) Å² of each Gaussian, where it is below the cut-off by ``margin``."""
    kind = atoms.kind[index]
    principal, axes = np.linalg.eigh(full_tensors(atoms.u_aniso[index]))
    variance = principal[:, None, :] + ((plan.gauss_b[kind] + plan.blur) / EIGHT_PI2)[:, :, None]
    inverse = np.asarray((axes[:, None] / variance[:, :, None, :]) @ np.swapaxes(axes, 1, 2)[:, None], np.float64)
    peak = plan.gauss_a[kind] / np.sqrt((2 * np.pi) ** 3 * variance.prod(axis=2))
    ratio, widest = np.abs(peak) / plan.cutoff, 2.0 * variance[:, :, 2]
    radius2 = (np.log(np.maximum(ratio, 1.0)) * widest).max(axis=1, initial=0.0)
    reach2 = np.log(np.maximum(margin * ratio, 1.0)) * widest
    return atoms.weight[index][:, None] * peak, inverse, np.sqrt(radius2), reach2
