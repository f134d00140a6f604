"""The cpu backend's likelihood of intensities: Gauss–Legendre quadrature around each reflection's maximum."""

from __future__ import annotations

import math

import numba as nb
import numpy as np
from numpy.typing import NDArray

from ..ops_intensity import Posterior, PosteriorResult
from ..plans import SigmaaResult
from ..posterior import posterior_result, posterior_sigmaa
from ..quadrature import bessel_table, unit_nodes
from .amplitude_integral import prior_weight, window
from .jit import njit
from .rows import Array
from .threads import Threads

F64 = NDArray[np.float64]


@njit(parallel=True, cache=True, error_model="numpy")
def _intensity(
    i_obs: Array, sigma: Array, mean: Array, variance: Array, centric: Array, table: Array, node: Array, weight: Array,
    out: Array
) -> None:
    for n in nb.prange(len(i_obs)):
        unit = variance[n]
        i, x = i_obs[n] / unit, mean[n] / math.sqrt(unit)
        p = (unit / sigma[n]) ** 2
        low, _, high = window(table, i, p, x, centric[n])
        least = 1e300
        exponent, factor, cosine = np.empty(len(node)), np.empty(len(node)), np.empty(len(node))
        for k in range(len(node)):
            f = low + (high - low) * node[k]
            e, factor[k], cosine[k] = prior_weight(table, f, x, centric[n])
            exponent[k] = e + 0.5 * p * (f * f - i) ** 2
            least = min(least, exponent[k])
        total, sum_f, sum_f2, sum_fm, sum_m = 0.0, 0.0, 0.0, 0.0, 0.0
        for k in range(len(node)):
            f = low + (high - low) * node[k]
            w = weight[k] * factor[k] * math.exp(least - exponent[k])
            total += w
            sum_f += w * f
            sum_f2 += w * f * f
            sum_fm += w * f * cosine[k]
            sum_m += w * cosine[k]
        root = math.sqrt(unit)
        out[0, n] = least - math.log(total * (high - low)) + 0.5 * math.log(2.0 * math.pi) + math.log(sigma[n])
        out[1, n] = root * sum_f / total
        out[2, n] = unit * sum_f2 / total
        out[3, n] = root * sum_fm / total
        out[4, n] = sum_m / total


class IntensityOps(Threads):
    """Likelihood of intensities compiled by numba."""

    def _posterior(self, i_obs: F64, sigma: F64, mean: F64, variance: F64, centric: NDArray[np.bool_]) -> Posterior:
        self.use(0.8 * len(i_obs))
        out = np.empty((5, len(i_obs)))
        _intensity(i_obs, sigma, mean, variance, centric, bessel_table(), *unit_nodes(), out)
        return Posterior(*out)

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
