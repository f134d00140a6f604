"""Amplitudes with prior phases (MLHL; paper (6)–(7), method 4.3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..backend.ops import Backend
from ..backend.ops_phased import PhasedResult
from ..backend.phase_algebra import combined_prior
from ..backend.plans import SigmaaResult
from ..model.records import MapColumns
from ..model.reflections import Reflections
from .intensity import posterior_coefficients
from .likelihood import Coefficients, ErrorValues, Evaluation
from .rice import spread_evaluation
from .sigmaa import SigmaA, SigmaAEstimator, plan_sigmaa

F64 = NDArray[np.float64]
C128 = NDArray[np.complex128]
Index = NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class PhasedEstimator(SigmaAEstimator):
    """D and Σ_mod by the likelihood with prior phases; ``prior`` (4, n) Hendrickson–Lattman coefficients."""

    phases: Backend
    prior: F64

    def columns(self, f_total: C128 | F64, k_aniso: F64) -> tuple[NDArray[Any], ...]:
        """See :meth:`SigmaAEstimator.columns`."""
        complete = np.asarray(f_total, np.complex128)
        return k_aniso**2, self.f_obs, self.sigma, complete, self.epsilon, self.centric, self.prior.T

    def derivatives(self, chosen: tuple[NDArray[Any], ...], d: F64, s: F64) -> SigmaaResult:
        """See :meth:`SigmaAEstimator.derivatives`."""
        _, f_obs, sigma, f_total, epsilon, centric, prior = chosen
        return self.phases.phased_sigmaa(
            f_obs, sigma, f_total, np.ascontiguousarray(prior.T), d, s, epsilon, centric
        )


@dataclass(frozen=True, slots=True, eq=False)
class PhasedLikelihood:
    """The likelihood of one list of amplitudes of which some have prior phases."""

    backend: Backend
    reflections: Reflections
    estimator: PhasedEstimator
    n_model: int = 1

    @property
    def uses_free(self) -> bool:
        """Whether the free set determines Σ_mod."""
        return self.estimator.uses_free

    def scale_target(self, f_total: C128 | None, values: ErrorValues | None) -> F64:
        """F_obs."""
        return self.estimator.f_obs

    def fit(self, f_total: C128, k_aniso: F64, start: SigmaA | None) -> SigmaA:
        """D and Σ_mod by maximum likelihood."""
        return self.estimator.fit(f_total[0], k_aniso, start)

    def values(self, errors: SigmaA, k_aniso: F64) -> ErrorValues:
        """D and k_aniso² Σ_mod (n,)."""
        d, variance = errors.on(self.reflections.inv_d2)
        return ErrorValues(d, variance * k_aniso**2)

    def _call(self, values: ErrorValues, f_total: C128, index: Index, derivatives: bool) -> PhasedResult:
        r, e = self.reflections, self.estimator
        return self.backend.phased(
            e.f_obs[index], e.sigma[index], f_total[0, index], np.ascontiguousarray(e.prior[:, index]),
            values.d[index], values.s[index], r.epsilon[index], r.centric[index], derivatives,
        )

    def evaluate(self, values: ErrorValues, f_total: C128, index: Index, derivatives: bool) -> Evaluation:
        """−LL of the reflections ``index`` (k,)."""
        found = self._call(values, f_total, index, derivatives)
        return spread_evaluation(
            found.minus_ll, found.gradient, found.information, index, len(self.reflections), derivatives
        )

    def amplitudes(self, values: ErrorValues, f_total: C128) -> F64:
        """|F_total|."""
        return np.asarray(np.abs(f_total[0]))

    def coefficients(self, values: ErrorValues, f_total: C128) -> Coefficients:
        """Coefficients with the combined phases; further columns: these phases and their Hendrickson–Lattman
        coefficients, figure of merit and best phase."""
        r, e = self.reflections, self.estimator
        index = np.flatnonzero(r.observed)
        found = self._call(values, f_total, index, False)
        direction = np.zeros(len(r), np.complex128)
        direction[index] = found.direction
        fom = np.abs(direction)
        plain = posterior_coefficients(r, e.f_obs * direction, fom, values.d * f_total[0])
        both = combined_prior(
            e.f_obs, e.sigma, f_total[0], e.prior, values.d, values.s, r.epsilon, r.centric
        )
        labels = ("HLACOMB", "HLBCOMB", "HLCCOMB", "HLDCOMB")
        phase = np.where(r.observed & (fom > 0.0), np.degrees(np.angle(direction)), np.nan)
        columns = (
            MapColumns(labels, "AAAA", np.where(r.observed, both, np.nan).T), MapColumns(("PHCOMB",), "P", phase)
        )
        return Coefficients(plain.fwt, plain.delfwt, fom, columns)


def plan_phased(backend: Backend, reflections: Reflections, prior: F64) -> PhasedLikelihood:
    """The likelihood of amplitudes with the prior's coefficients ``prior`` (n, 4)."""
    r = reflections
    f_obs = np.where(r.observed, r.f, 0.0)
    sigma = np.where(r.observed, r.sigma, 1.0)
    plain = plan_sigmaa(backend, f_obs, sigma, r.epsilon, r.centric, r.inv_d2, r.work, r.free)
    estimator = PhasedEstimator(
        **{name: getattr(plain, name) for name in plain.__dataclass_fields__},
        phases=backend, prior=np.ascontiguousarray(prior.T),
    )
    return PhasedLikelihood(backend, r, estimator)
