"""The cpu backend's likelihoods."""

from __future__ import annotations

import math

import numba as nb
import numpy as np
from numpy.typing import NDArray

from ..information import TABLE_END, information_tables
from ..plans import LikelihoodResult, SigmaaResult
from .bessel import log_cosh
from .bessel_table import quick_log_i0e_and_ratio
from .jit import njit
from .modulus import modulus
from .rows import Array
from .threads import Threads


@njit()
def _table(values: Array, x: float) -> float:
    """Linear interpolation in an information table; constant beyond its end."""
    t = x * ((len(values) - 1) / TABLE_END)
    i = int(t)
    if i >= len(values) - 1:
        return values[len(values) - 1]
    return values[i] + (t - i) * (values[i + 1] - values[i])


@njit(parallel=True, cache=True)
def _rice(
    f_obs: Array, sigma: Array, f_calc: Array, d: Array, s: Array, epsilon: Array, centric: Array, table_a: Array,
    table_c: Array, derivatives: bool, minus_ll: Array, gradient: Array, info: Array, fom: Array
) -> None:
    for n in nb.prange(len(f_obs)):
        fo = f_obs[n]
        fc = modulus(f_calc[n])
        dfc = d[n] * fc
        if centric[n]:
            total = sigma[n] ** 2 + epsilon[n] * s[n]
            x = dfc * fo / total
            m = math.tanh(x)
            fom[n] = m
            minus_ll[n] = 0.5 * math.log(0.5 * math.pi * total) + 0.5 * (fo * fo + dfc * dfc) / total - log_cosh(x)
            slope = d[n] / total * (dfc - m * fo)
            if derivatives:
                info[n] = d[n] ** 2 / total * _table(table_c, dfc / math.sqrt(total))
        else:
            total = 2.0 * sigma[n] ** 2 + epsilon[n] * s[n]
            x = 2.0 * dfc * fo / total
            log_i0e, m = quick_log_i0e_and_ratio(x)
            fom[n] = m
            minus_ll[n] = math.log(total) - math.log(2.0 * max(fo, 1e-30)) + (fo - dfc) ** 2 / total - log_i0e
            slope = 2.0 * d[n] / total * (dfc - m * fo)
            if derivatives:
                info[n] = 4.0 * d[n] ** 2 / total * _table(table_a, dfc / math.sqrt(total))
        if derivatives and fc > 0.0:
            gradient[n] = f_calc[n] * (slope / fc)


@njit(parallel=True, cache=True)
def _rice_sigmaa(
    f_obs: Array, sigma: Array, fc_abs: Array, d: Array, s: Array, epsilon: Array, centric: Array, minus_ll: Array,
    d_d: Array, d_log_s: Array, info_d: Array, info_s: Array
) -> None:
    for n in nb.prange(len(f_obs)):
        fo, fc = f_obs[n], fc_abs[n]
        model = epsilon[n] * s[n]
        dfc = d[n] * fc
        if centric[n]:
            total = sigma[n] ** 2 + model
            x = dfc * fo / total
            m = math.tanh(x)
            half = 0.5
            minus_ll[n] = 0.5 * math.log(0.5 * math.pi * total) + 0.5 * (fo * fo + dfc * dfc) / total - log_cosh(x)
        else:
            total = 2.0 * sigma[n] ** 2 + model
            x = 2.0 * dfc * fo / total
            log_i0e, m = quick_log_i0e_and_ratio(x)
            half = 1.0
            minus_ll[n] = math.log(total) - math.log(2.0 * max(fo, 1e-30)) + (fo - dfc) ** 2 / total - log_i0e
        misfit = fo * fo + dfc * dfc - 2.0 * m * dfc * fo
        share = model / total
        d_d[n] = half * 2.0 * fc / total * (dfc - m * fo)
        d_log_s[n] = half * share * (1.0 - misfit / total)
        info_d[n] = half * 2.0 * fc * fc / total
        info_s[n] = half * share * share


class TargetOps(Threads):
    """Likelihoods compiled by numba."""

    def rice(
        self,
        f_obs: NDArray[np.float64],
        sigma: NDArray[np.float64],
        f_calc: NDArray[np.complex128],
        d: NDArray[np.float64],
        s: NDArray[np.float64],
        epsilon: NDArray[np.float64],
        centric: NDArray[np.bool_],
        derivatives: bool,
    ) -> LikelihoodResult:
        """See :class:`gpurefine.backend.ops.TargetOps`."""
        n = len(f_obs)
        self.use(0.08 * n)
        table_a, table_c = information_tables()
        result = LikelihoodResult(np.empty(n), np.zeros(n, np.complex128), np.zeros(n), np.empty(n))
        _rice(f_obs, sigma, f_calc, d, s, epsilon, centric, table_a, table_c, derivatives,
              result.minus_ll, result.gradient, result.information, result.fom)
        return result

    def rice_sigmaa(
        self,
        f_obs: NDArray[np.float64],
        sigma: NDArray[np.float64],
        fc_abs: NDArray[np.float64],
        d: NDArray[np.float64],
        s: NDArray[np.float64],
        epsilon: NDArray[np.float64],
        centric: NDArray[np.bool_],
    ) -> SigmaaResult:
        """See :class:`gpurefine.backend.ops.TargetOps`."""
        n = len(f_obs)
        self.use(0.08 * n)
        result = SigmaaResult(np.empty(n), np.empty(n), np.empty(n), np.empty(n), np.empty(n))
        _rice_sigmaa(f_obs, sigma, fc_abs, d, s, epsilon, centric, result.minus_ll, result.d_d, result.d_log_s,
                     result.info_d, result.info_s)
        return result
