"""The reference backend's likelihood of intensities: dense quadrature over the true amplitude."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import i0e, i1e

from ..ops_intensity import Posterior, PosteriorResult
from ..plans import SigmaaResult
from ..posterior import posterior_result, posterior_sigmaa

F64 = NDArray[np.float64]

PANELS, ORDER = 50, 20
TAIL = 40.0
"""The quadrature covers all amplitudes at which the integrand is above exp(−40) of its maximum."""

CHUNK = 1000


def log_density(f: F64, mean: F64, variance: F64, centric: NDArray[np.bool_]) -> tuple[F64, F64]:
    """Log of paper (4) at F = ``f`` > 0 and the mean cosine m of the phase, for D|F_c| = ``mean``; Σ = ``variance``."""
    x = np.where(centric, 1.0, 2.0) * f * mean / variance
    with np.errstate(divide="ignore"):
        acentric_ll = np.log(2.0 * f / variance) - (f - mean) ** 2 / variance + np.log(i0e(x))
        centric_ll = 0.5 * np.log(0.5 / (np.pi * variance)) - 0.5 * (f - mean) ** 2 / variance
    centric_ll = centric_ll + np.log1p(np.exp(-2.0 * x))
    m = np.where(centric, np.tanh(x), i1e(x) / i0e(x))
    return np.where(centric, centric_ll, acentric_ll), m


def amplitude_limits(
    i: F64, sigma: F64, mean: F64, variance: F64, centric: NDArray[np.bool_]
) -> tuple[F64, F64]:
    """Amplitudes (n,) between which lies all but exp(−TAIL) of density × exp(−(F² − i)²/2σ²).

    Both factors fall away from their own maxima; how far below the sum of these maxima the best compromise lies is
    found by trying amplitudes between them.
    """
    peak = np.sqrt(np.maximum(i, 0.0))
    share = np.linspace(0.0, 1.0, 400)[:, None]
    trial = np.minimum(peak, mean) + (share**2) * (np.maximum(peak, mean) + np.sqrt(variance) - np.minimum(peak, mean))
    trial = np.concatenate([trial, peak + 0.02 * share * sigma / np.maximum(peak, np.sqrt(sigma))])
    cost = 0.5 * ((trial**2 - i) / sigma) ** 2 - 0.5 * (np.minimum(i, 0.0) / sigma) ** 2
    cost = cost + np.where(centric, 0.5, 1.0) * (trial - mean) ** 2 / variance
    drop = TAIL + cost.min(axis=0)
    reach = sigma * np.sqrt(2.0 * drop)
    # i < 0: the largest value is at F = 0, from which F⁴/2 + |i|F² may rise by σ² drop
    below = 2.0 * sigma**2 * drop / (np.abs(i) + np.sqrt(i * i + 2.0 * sigma**2 * drop))
    prior = np.sqrt(np.where(centric, 2.0, 1.0) * variance * drop)
    high = np.minimum(np.sqrt(np.where(i >= 0.0, i + reach, below)), mean + prior + np.sqrt(variance))
    low = np.maximum(np.sqrt(np.maximum(i - reach, 0.0)), mean - prior)
    return np.maximum(low, 0.0), high


def panel_nodes(panels: int, order: int) -> tuple[F64, F64]:
    """Nodes and weights of Gauss–Legendre quadrature in equal panels of 0 … 1."""
    node, weight = np.polynomial.legendre.leggauss(order)
    inside = 0.5 * (node + 1.0) / panels
    start = np.arange(panels)[:, None] / panels
    return (start + inside).ravel(), np.tile(0.5 * weight / panels, panels)


class IntensityOps:
    """Likelihood of intensities in vectorised NumPy."""

    def _posterior(self, i_obs: F64, sigma: F64, mean: F64, variance: F64, centric: NDArray[np.bool_]) -> Posterior:
        parts = [
            self._part(i_obs[at], sigma[at], mean[at], variance[at], centric[at])
            for at in np.array_split(np.arange(len(i_obs)), len(i_obs) // CHUNK + 1)
        ]
        return Posterior(*np.concatenate(parts, axis=1))

    @staticmethod
    def _part(i: F64, sigma: F64, mean: F64, variance: F64, centric: NDArray[np.bool_]) -> F64:
        node, weight = panel_nodes(PANELS, ORDER)
        low, high = amplitude_limits(i, sigma, mean, variance, centric)
        f = low + (high - low) * node[:, None]
        log_p, m = log_density(f, mean, variance, centric)
        log_p = log_p - 0.5 * ((f * f - i) / sigma) ** 2 - 0.5 * np.log(2.0 * np.pi) - np.log(sigma)
        top = log_p.max(axis=0)
        w = np.exp(log_p - top) * weight[:, None]
        total = w.sum(axis=0)
        means = [(w * g).sum(axis=0) / total for g in (f, f * f, f * m, m)]
        return np.stack([-top - np.log((high - low) * total), *means])

    def intensity(
        self, i_obs: F64, sigma: F64, f_calc: NDArray[np.complex128], d: F64, s: F64, epsilon: F64,
        centric: NDArray[np.bool_], derivatives: bool,
    ) -> PosteriorResult:
        """See :class:`gpurefine.backend.ops_intensity.IntensityOps`."""
        variance = epsilon * s
        posterior = self._posterior(i_obs, sigma, d * np.abs(f_calc), variance, centric)
        return posterior_result(posterior, sigma, f_calc, d, variance, centric, derivatives)

    def intensity_sigmaa(
        self, i_obs: F64, sigma: F64, fc_abs: F64, d: F64, s: F64, epsilon: F64, centric: NDArray[np.bool_]
    ) -> SigmaaResult:
        """See :class:`gpurefine.backend.ops_intensity.IntensityOps`."""
        variance = epsilon * s
        posterior = self._posterior(i_obs, sigma, d * fc_abs, variance, centric)
        return posterior_sigmaa(posterior, sigma, fc_abs, d, variance, centric)
