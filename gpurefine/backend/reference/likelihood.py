"""The reference backend's likelihoods, formulas as in the paper's (4)–(5)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import i0e, i1e

from ..information import TABLE_END, TABLE_SIZE, information_tables
from ..plans import LikelihoodResult, SigmaaResult

F64 = NDArray[np.float64]


def _log_cosh(x: F64) -> F64:
    return np.asarray(np.logaddexp(x, -x) - np.log(2.0))


class TargetOps:
    """Likelihoods in vectorised NumPy."""

    def rice(
        self, f_obs: F64, sigma: F64, f_calc: NDArray[np.complex128], d: F64, s: F64, epsilon: F64,
        centric: NDArray[np.bool_], derivatives: bool,
    ) -> LikelihoodResult:
        """See :class:`gpurefine.backend.ops.TargetOps`."""
        fc = np.abs(f_calc)
        dfc = d * fc
        total = np.where(centric, 1.0, 2.0) * sigma**2 + epsilon * s
        x = np.where(centric, 1.0, 2.0) * dfc * f_obs / total
        m = np.where(centric, np.tanh(x), i1e(x) / i0e(x))
        acentric_ll = (
            np.log(total) - np.log(2.0 * np.maximum(f_obs, 1e-30)) + (f_obs**2 + dfc**2) / total - np.log(i0e(x)) - x
        )
        centric_ll = 0.5 * np.log(0.5 * np.pi * total) + 0.5 * (f_obs**2 + dfc**2) / total - _log_cosh(x)
        minus_ll = np.where(centric, centric_ll, acentric_ll)
        gradient = np.zeros(len(fc), np.complex128)
        information = np.zeros(len(fc))
        if derivatives:
            slope = np.where(centric, 1.0, 2.0) * d / total * (dfc - m * f_obs)
            np.divide(slope * f_calc, fc, out=gradient, where=fc > 0.0)
            grid = np.linspace(0.0, TABLE_END, TABLE_SIZE)
            table_a, table_c = information_tables()
            at = dfc / np.sqrt(total)
            w = np.where(centric, np.interp(at, grid, table_c), 4.0 * np.interp(at, grid, table_a))
            information = d**2 / total * w
        return LikelihoodResult(minus_ll, gradient, information, m)

    def rice_sigmaa(
        self, f_obs: F64, sigma: F64, fc_abs: F64, d: F64, s: F64, epsilon: F64, centric: NDArray[np.bool_]
    ) -> SigmaaResult:
        """See :class:`gpurefine.backend.ops.TargetOps`."""
        base = self.rice(f_obs, sigma, fc_abs.astype(np.complex128), d, s, epsilon, centric, False)
        model = epsilon * s
        total = np.where(centric, 1.0, 2.0) * sigma**2 + model
        dfc = d * fc_abs
        half = np.where(centric, 0.5, 1.0)
        misfit = f_obs**2 + dfc**2 - 2.0 * base.fom * dfc * f_obs
        share = model / total
        return SigmaaResult(
            minus_ll=base.minus_ll,
            d_d=half * 2.0 * fc_abs / total * (dfc - base.fom * f_obs),
            d_log_s=half * share * (1.0 - misfit / total),
            info_d=half * 2.0 * fc_abs**2 / total,
            info_s=half * share**2,
        )
