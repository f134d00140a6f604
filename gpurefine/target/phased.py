"""Amplitudes with prior phases (MLHL; paper (6)–(7), method 4.3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..backend.ops import Backend
from ..backend.ops_phased import PhasedResult
from ..backend.ops_reflections import Array
from ..backend.phase_algebra import combined_prior
from ..backend.plans import SigmaaResult
from ..model.records import MapColumns
from ..model.reflections import Reflections
from .likelihood import Coefficients, ErrorValues
from .one_model import OneModelLikelihood, amplitude_estimator, posterior_coefficients
from .selection import Selection
from .sigmaa import SigmaA, SigmaAEstimator

F64 = NDArray[np.float64]
C128 = NDArray[np.complex128]
Index = NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class PhasedEstimator(SigmaAEstimator):
    """D and Σ_mod by the likelihood with prior phases; ``prior`` (4, n) Hendrickson–Lattman coefficients."""

    prior: F64

    def derivatives(self, chosen: tuple[NDArray[Any], ...], f: Array, d: Array, s: Array) -> SigmaaResult:
        """See :meth:`SigmaAEstimator.derivatives`; ``f`` is complex."""
        f_obs, sigma, epsilon, centric, prior = chosen
        return self.backend.phased_sigmaa(f_obs, sigma, f, prior, d, s, epsilon, centric)


@dataclass(frozen=True, slots=True, eq=False)
class PhasedLikelihood(OneModelLikelihood):
    """The likelihood of one list of amplitudes of which some have prior phases."""

    resident: ClassVar[bool] = True
    backend: Backend
    reflections: Reflections
    estimator: PhasedEstimator
    measured: Selection
    n_model: int = 1

    def fit(self, f_total: Array, k_aniso: Array, start: SigmaA | None) -> SigmaA:
        """D and Σ_mod by maximum likelihood, which depends on the model's phases."""
        return self.estimator.fit(f_total[0], k_aniso, start)

    def _call(self, values: ErrorValues, f_total: Array, index: Index, derivatives: bool) -> PhasedResult:
        f_obs, sigma, epsilon, centric, prior = self.measured.at(index)
        f, d, s = (self.backend.take(part, index) for part in (f_total[0], values.d, values.s))
        return self.backend.phased(f_obs, sigma, f, prior, d, s, epsilon, centric, derivatives)

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
    plain = amplitude_estimator(backend, r)
    own = {name: getattr(plain, name) for name in plain.__dataclass_fields__}
    rows = np.ascontiguousarray(prior.T)
    columns = (plain.f_obs, plain.sigma, r.epsilon, r.centric, rows)
    estimator = PhasedEstimator(**{**own, "measured": Selection(*columns)}, prior=rows)
    return PhasedLikelihood(backend, r, estimator, Selection(*columns))
