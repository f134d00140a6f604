"""The likelihood of measured intensities: operations that every backend performs (method 4.2).

The true amplitude F has Rice's distribution about D|F_c| with variance Σ = εS (paper (4) without its experimental
part); the measured intensity is normal about F² with the standard uncertainty σ.  F is integrated out:

    p(I | F_c) = ∫₀^∞ p(F | F_c) exp(−(I − F²)²/2σ²)/√(2πσ²) dF

Negative intensities are data like any other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from .plans import SigmaaResult

F64 = NDArray[np.float64]
C128 = NDArray[np.complex128]


@dataclass(frozen=True, slots=True, eq=False)
class Posterior:
    """What is known of the true amplitude F of each reflection (n,), given the data and the model.

    ``minus_ll`` −log likelihood of the data; means over the posterior: ``f`` ⟨F⟩, ``f2`` ⟨F²⟩, ``fm`` ⟨F cos(φ − φ_c)⟩
    and ``m`` ⟨cos(φ − φ_c)⟩.
    """

    minus_ll: F64
    f: F64
    f2: F64
    fm: F64
    m: F64


@dataclass(frozen=True, slots=True, eq=False)
class PosteriorResult:
    """A likelihood whose true structure factors were integrated out, per reflection (n,).

    ``minus_ll``; ``gradient`` ∂/∂Re F_c + i ∂/∂Im F_c; ``information`` ≥ 0, expected squared derivative with respect to
    |F_c| (both zero unless asked for); ``fom`` ⟨cos(φ − φ_c)⟩; ``amplitude`` ⟨F⟩; ``best`` ⟨F exp(iφ)⟩, complex.
    """

    minus_ll: F64
    gradient: C128
    information: F64
    fom: F64
    amplitude: F64
    best: C128


class IntensityOps(Protocol):
    """Likelihood of intensities; a unit of intensity is the square of that of F_c."""

    def intensity(
        self, i_obs: F64, sigma: F64, f_calc: C128, d: F64, s: F64, epsilon: F64, centric: NDArray[np.bool_],
        derivatives: bool,
    ) -> PosteriorResult:
        """−log likelihood of intensities ``i_obs`` with uncertainties ``sigma`` > 0, all (n,).

        ``d`` and ``s`` (n,) are D and k_aniso² Σ_mod.  The information is that of the best linear estimate from I,
        4D⁴|F_c|²/(Σ² + 2D²|F_c|²Σ + σ²) (acentric; the bracket's first two terms twice for centric ones), a lower
        bound of the exact one: 12 % below it at most for precise intensities, a fifth to a third (centric) for weak
        reflections at σ ≈ 2Σ.
        """

    def intensity_sigmaa(
        self, i_obs: F64, sigma: F64, fc_abs: F64, d: F64, s: F64, epsilon: F64, centric: NDArray[np.bool_]
    ) -> SigmaaResult:
        """The same likelihood with its derivatives with respect to D and ln S of each reflection."""
