"""From posterior means of true amplitudes to derivatives of the likelihood.

With the density of F given F_c of paper (4) and Σ = εS, for every datum that depends on F_c through F alone,

    ∂(−LL)/∂|F_c| = w D (D|F_c| − ⟨F cos(φ − φ_c)⟩)/Σ,     w = 2 acentric, 1 centric
    ∂(−LL)/∂ ln Σ = (w/2) (1 − ⟨|F exp(iφ) − D F_c|²⟩/Σ)

(Fisher's identity: the derivative of the logarithm of an integral is the mean of that of its integrand).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .ops_intensity import Posterior, PosteriorResult
from .plans import SigmaaResult

F64 = NDArray[np.float64]
C128 = NDArray[np.complex128]


def posterior_gradient(fm: F64, f_calc: C128, d: F64, variance: F64, centric: NDArray[np.bool_]) -> C128:
    """∂(−LL)/∂Re F_c + i ∂/∂Im F_c (n,) from ⟨F cos(φ − φ_c)⟩ (n,); ``variance`` is Σ."""
    fc = np.abs(f_calc)
    slope = np.where(centric, 1.0, 2.0) * d * (d * fc - fm) / variance
    direction = np.divide(f_calc, fc, out=np.zeros_like(f_calc), where=fc > 0.0)
    return np.asarray(slope * direction)


def intensity_information(f_calc: C128, sigma: F64, d: F64, variance: F64, centric: NDArray[np.bool_]) -> F64:
    """Information about |F_c| (n,) of the best linear estimate from I; see :class:`IntensityOps`."""
    fc2 = np.abs(f_calc) ** 2
    spread = np.where(centric, 2.0, 1.0) * (variance * variance + 2.0 * d * d * fc2 * variance) + sigma * sigma
    return np.asarray(4.0 * d**4 * fc2 / spread)


def posterior_result(
    posterior: Posterior, sigma: F64, f_calc: C128, d: F64, variance: F64, centric: NDArray[np.bool_],
    derivatives: bool,
) -> PosteriorResult:
    """All that a likelihood of intensities returns; arguments (n,), ``sigma`` that of I, ``variance`` Σ."""
    fc = np.abs(f_calc)
    direction = np.divide(f_calc, fc, out=np.ones_like(f_calc), where=fc > 0.0)
    gradient, information = np.zeros(len(fc), np.complex128), np.zeros(len(fc))
    if derivatives:
        gradient = posterior_gradient(posterior.fm, f_calc, d, variance, centric)
        information = intensity_information(f_calc, sigma, d, variance, centric)
    return PosteriorResult(
        posterior.minus_ll, gradient, information, posterior.m, posterior.f, np.asarray(posterior.fm * direction)
    )


def posterior_sigmaa(
    posterior: Posterior, sigma: F64, fc: F64, d: F64, variance: F64, centric: NDArray[np.bool_]
) -> SigmaaResult:
    """Derivatives with respect to D and ln S; the information is near the exact one.

    D: never more than with the phase known, nor more than a quarter above the best linear estimate's.  ln S: between
    that of the mean intensity (F_c = 0) and that of the spread of F about D|F_c| (strong reflections); 0.67 to 2.5
    times the exact one, so that scoring steps converge.
    """
    half = np.where(centric, 0.5, 1.0)
    dfc2 = (d * fc) ** 2
    model = np.where(centric, 2.0, 1.0) * variance * (variance + 2.0 * dfc2)
    total = model + sigma * sigma
    share = model / total
    misfit = posterior.f2 + dfc2 - 2.0 * d * fc * posterior.fm
    known = 2.0 * half * fc * fc / variance
    weak = variance / (variance + 2.0 * dfc2)
    return SigmaaResult(
        minus_ll=posterior.minus_ll,
        d_d=2.0 * half * fc * (d * fc - posterior.fm) / variance,
        d_log_s=half * (1.0 - misfit / variance),
        info_d=np.minimum(known, 5.0 * fc * fc * dfc2 / total + 0.05 * known * share),
        info_s=half * (weak * share + (1.0 - weak) * share * share),
    )
