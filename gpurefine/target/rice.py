"""Amplitudes under Rice's distribution (paper (4)–(5); method 4.1), the likelihood of most refinements."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..backend.ops import TargetOps
from ..backend.plans import LikelihoodResult
from ..model.reflections import Reflections
from .likelihood import Coefficients, ErrorValues, Evaluation
from .selection import Selection
from .sigmaa import SigmaA, SigmaAEstimator, plan_sigmaa

F64 = NDArray[np.float64]
C128 = NDArray[np.complex128]
Index = NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class RiceLikelihood:
    """Rice's likelihood of one list of reflections.

    Attributes:
        reflections: what was measured.
        f_obs, sigma: (n,), 0 and 1 where nothing was observed.
        estimator: of D and Σ_mod.
        measured: amplitudes, uncertainties, ε and centric flags of chosen reflections.
    """

    backend: TargetOps
    reflections: Reflections
    f_obs: F64
    sigma: F64
    estimator: SigmaAEstimator
    measured: Selection
    n_model: int = 1

    @property
    def uses_free(self) -> bool:
        """Whether the free set determines Σ_mod."""
        return self.estimator.uses_free

    def scale_target(self, f_total: C128 | None, values: ErrorValues | None) -> F64:
        """F_obs."""
        return self.f_obs

    def fit(self, f_total: C128, k_aniso: F64, start: SigmaA | None) -> SigmaA:
        """D and Σ_mod by maximum likelihood."""
        return self.estimator.fit(np.abs(f_total[0]), k_aniso, start)

    def values(self, errors: SigmaA, k_aniso: F64) -> ErrorValues:
        """D and k_aniso² Σ_mod (n,)."""
        d, variance = errors.on(self.reflections.inv_d2)
        return ErrorValues(d, variance * k_aniso**2)

    def evaluate(self, values: ErrorValues, f_total: C128, index: Index, derivatives: bool) -> Evaluation:
        """−LL of the reflections ``index`` (k,)."""
        result = self._rice(values, f_total, index, derivatives)
        return spread_evaluation(
            result.minus_ll, result.gradient, result.information, index, len(self.reflections), derivatives
        )

    def _rice(self, values: ErrorValues, f_total: C128, index: Index, derivatives: bool) -> LikelihoodResult:
        f_obs, sigma, epsilon, centric = self.measured.at(index)
        return self.backend.rice(
            f_obs, sigma, f_total[0, index], values.d[index], values.s[index], epsilon, centric, derivatives
        )

    def amplitudes(self, values: ErrorValues, f_total: C128) -> F64:
        """|F_total|."""
        return np.asarray(np.abs(f_total[0]))

    def coefficients(self, values: ErrorValues, f_total: C128) -> Coefficients:
        """2mF_o − DF_c (acentric) or mF_o (centric), mF_o − DF_c (Read 1986); DF_c where nothing was observed."""
        r = self.reflections
        index = np.flatnonzero(r.observed)
        fom = np.zeros(len(r))
        fom[index] = self._rice(values, f_total, index, False).fom
        return phased_coefficients(r, self.f_obs, fom, values.d, f_total[0])


def phased_coefficients(reflections: Reflections, f_obs: F64, fom: F64, d: F64, f_total: C128) -> Coefficients:
    """Coefficients with the model's phases for amplitudes, figures of merit, D and F_total (n,)."""
    amplitude = np.abs(f_total)
    direction = np.divide(f_total, amplitude, out=np.ones_like(f_total), where=amplitude > 0.0)
    calculated = d * amplitude
    measured = fom * f_obs
    observed = reflections.observed
    best = np.where(reflections.centric, measured, 2.0 * measured - calculated)
    fwt = np.where(observed, best, calculated) * direction
    delfwt = np.where(observed, measured - calculated, 0.0) * direction
    return Coefficients(fwt, delfwt, fom)


def spread_evaluation(
    minus_ll: F64, gradient: C128, information: F64, index: Index, n: int, derivatives: bool
) -> Evaluation:
    """Derivatives (k,) of one model row put in their places among ``n`` reflections."""
    if not derivatives:
        return Evaluation(minus_ll, np.zeros((1, 0), np.complex128), np.zeros((1, 0)))
    all_gradient, all_information = np.zeros((1, n), np.complex128), np.zeros((1, n))
    all_gradient[0, index], all_information[0, index] = gradient, information
    return Evaluation(minus_ll, all_gradient, all_information)


def plan_rice(backend: TargetOps, reflections: Reflections) -> RiceLikelihood:
    """Rice's likelihood of the amplitudes of ``reflections``."""
    r = reflections
    f_obs = np.where(r.observed, r.f, 0.0)
    sigma = np.where(r.observed, r.sigma, 1.0)
    estimator = plan_sigmaa(backend, f_obs, sigma, r.epsilon, r.centric, r.inv_d2, r.work, r.free)
    return RiceLikelihood(backend, r, f_obs, sigma, estimator, Selection(f_obs, sigma, r.epsilon, r.centric))
