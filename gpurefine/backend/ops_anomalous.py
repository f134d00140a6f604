"""Operations on measurements with anomalous differences: Friedel pairs, alone or with a native data set.

Notation: F+ and F−* are the complex structure factors of the mates, F_c+ = F′ + iF″ and F_c−* = F′ − iF″ those of the
model, F′ and F″ being the Fourier transforms of two real densities (Skubák et al. 2004, Acta Cryst. D60, 2196;
Murshudov et al. 2011, eq. (3) with E = M = 2).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from .ops_reflections import Array

F64 = NDArray[np.float64]
C128 = NDArray[np.complex128]


@dataclass(frozen=True, slots=True, eq=False)
class AnomalousResult:
    """A likelihood of e observations an index with m model structure factors and k error parameters.

    Attributes:
        minus_ll: (n,) float64, −log likelihood; 0 where nothing was measured.
        gradient: (m, n) complex128, ∂(−LL)/∂Re + i ∂(−LL)/∂Im of each model structure factor.
        information: (m, n) float64 ≥ 0, E|∂(−LL)/∂F|² over the data's own distribution, zeros if not asked for.  It is
            a mean over a few simulated measurements, hence good for sums over many reflections, not for one.
        phased: (e, n) complex128, posterior means of the observed structure factors, |.| ≤ the amplitude; 0 where
            not measured.
        slope: (k, n) float64, derivatives with respect to the error parameters.
        bound: (k, n) float64 ≥ 0, what would be known of each error parameter if the phases were measured too: a
            bound on its information from above, so that scoring steps never overshoot.
    """

    minus_ll: Array
    gradient: Array
    information: Array
    phased: Array
    slope: Array
    bound: Array


class AnomalousOps(Protocol):
    """Likelihoods of Friedel pairs (method 4)."""

    def sad(
        self, f_obs: F64, sigma: F64, f_calc: C128, d: F64, s: F64, epsilon: F64, centric: NDArray[np.bool_],
        want_information: bool,
    ) -> AnomalousResult:
        """−log P(|F+|, |F−|; F′, F″) of Friedel pairs.

        Acentric: (F+, F−*) is complex Gaussian about D F′ ± i D_Δ F″, variance ε(Σ_c + Σ_Δ) + 2σ±², covariance ε Σ_c,
        and the phases are integrated out.  Where one mate is missing, and for centric indices, this is Rice's
        likelihood with the same mean and variance (σ² instead of 2σ² if centric).

        Args:
            f_obs, sigma: (2, n) |F+| and |F−| with their uncertainties; NaN in ``f_obs`` where not measured.  Centric
                indices have one amplitude: row 0 or, where that is NaN, row 1.
            f_calc: (2, n) F′ and F″.
            d: (2, n) D and D_Δ; s: (2, n) Σ_c and Σ_Δ ≥ 0 with k_aniso² in them, not both 0 with σ = 0.
            epsilon: (n,); centric: (n,) bool.

        Returns:
            e = m = 2; error parameters D, D_Δ, ln Σ_c, ln Σ_Δ.  Where Rice's likelihood serves, ``information`` is
            exact (for centric indices that of the radial derivatives).
        """
        ...

    def siras(
        self, f_obs: F64, sigma: F64, f_calc: C128, d: F64, s: F64, epsilon: F64, centric: NDArray[np.bool_],
        want_information: bool, scale: Array = None,
    ) -> AnomalousResult:
        """−log P(|F_N|, |F+|, |F−|; F_N, F_H, F″) of a native with the Friedel pair of an isomorphous derivative.

        Equation (3) with E = M = 3 (Skubák et al. 2009, Acta Cryst. D65, 1051).  The pair is as in :meth:`sad` with
        F′ = F_N + F_H, F_H being what the derivative has in addition; the native has the mean D_N F_N, the variance
        ε Σ_N + 2σ_N² and the covariance r ε √(Σ_N Σ_c) with either mate, 0 ≤ r < 1: what lacks in both models and what
        is wrong with the atoms they share.  r = 0 is SAD × Rice.  Whatever was not measured takes no part.

        Args:
            f_obs, sigma: (3, n) |F_N|, |F+|, |F−|; NaN in ``f_obs`` where not measured; centric indices as in
                :meth:`sad`.
            scale: (n,) what amplitudes and uncertainties of the mates are multiplied by; None: nothing.
            f_calc: (3, n) F_N, F_H, F″; d: (3, n) D_N, D, D_Δ; s: (4, n) Σ_N, Σ_c, Σ_Δ and r.
            epsilon: (n,); centric: (n,) bool.

        Returns:
            e = m = 3; error parameters D_N, D, D_Δ, ln Σ_N, ln Σ_c, ln Σ_Δ and ln(r/(1 − r)).  Derivatives with respect
            to F_N are those of native and derivative together: where both err alike, the information about F_N is far
            less than the sum of what each mean would tell by itself.
        """
        ...
