"""Friedel pairs of one crystal: the SAD likelihood (paper 2.2.2; Skubák et al. 2004; method 4.4).

Model row 0 is F′ (scaled, with solvent), the further rows are densities of anomalous scatterers, f″ of the tables in
them, whose sum, each with a multiplier, is F″.  (F+, F−*) is complex Gaussian about D F′ ± i D_Δ F″ with the variances
ε(Σ_c + Σ_Δ) + 2σ±² and the covariance ε Σ_c: what is wrong with the model shifts both mates alike (Σ_c), what is wrong
with the anomalous scatterers shifts them apart (Σ_Δ).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..backend.ops import Backend
from ..backend.ops_anomalous import AnomalousResult
from ..backend.ops_reflections import Array
from ..model.friedel import FriedelPairs
from ..model.records import MapColumns
from ..model.reflections import Reflections
from .likelihood import Coefficients, ErrorValues, Evaluation
from .selection import Selection
from .shell_fit import ShellPart, ShellPlan, plan_shells

F64 = NDArray[np.float64]
C128 = NDArray[np.complex128]
Index = NDArray[np.intp]

LOG_FLOOR = -12.0
"""ln Σ_Δ relative to ln Σ_c that no shell falls below."""


@dataclass(frozen=True, slots=True, eq=False)
class SadErrors:
    """D, D_Δ (``factors``) and ln Σ_c, ln Σ_Δ (``logs``) at ``knots`` (m,) 1/d², (2, m) each; ``multiplier`` (k,) of
    each anomalous model row."""

    knots: F64
    factors: F64
    logs: F64
    multiplier: F64


@dataclass(frozen=True, slots=True, eq=False)
class SadValues(ErrorValues):
    """The error model on all reflections: ``factors`` (2, n) D and D_Δ; ``variances`` (2, n) Σ_c and Σ_Δ with
    k_aniso², of which ``d`` and ``s`` are the first rows."""

    factors: Array
    variances: Array
    multiplier: F64


@dataclass(frozen=True, slots=True, eq=False)
class SadLikelihood:
    """The likelihood of one list of Friedel pairs.

    Attributes:
        f_obs, sigma: (2, n) amplitudes of the mates, NaN and 1 where not measured.
        f_mean: (n,) mean amplitudes, 0 where not observed: what is scaled to and what R factors are of.
        unpaired: (n,) bool: only the mean is known, which says nothing of F″; row 0 of ``f_obs`` then holds it.
        refined: (n_model − 1,) bool: anomalous rows whose multiplier is refined, with the atoms.  D_Δ is then D,
            since it could not be told from a multiplier of all of F″.
        measured, fitted: amplitudes, uncertainties, ε and centric flags of chosen reflections, for the likelihood and
            for the error model.
    """

    resident: ClassVar[bool] = True
    backend: Backend
    reflections: Reflections
    f_obs: F64
    sigma: F64
    f_mean: F64
    unpaired: NDArray[np.bool_]
    refined: NDArray[np.bool_]
    plan: ShellPlan
    measured: Selection
    fitted: Selection

    @property
    def n_model(self) -> int:
        """F′ and every row of F″."""
        return 1 + len(self.refined)

    @property
    def uses_free(self) -> bool:
        """Whether the free set determines the variances."""
        return self.plan.uses_free

    def scale_target(self, f_total: Array | None, values: ErrorValues | None) -> F64:
        """Mean amplitudes."""
        return self.f_mean

    def fit(self, f_total: Array, k_aniso: Array, start: SadErrors | None) -> SadErrors:
        """The error model by maximum likelihood, from moments or from the last cycle's."""
        backend = self.backend
        current = self._start(np.asarray(f_total), np.asarray(k_aniso)) if start is None else start
        tied = bool(self.refined.any())
        parts = {
            part: (
                backend.friedel_pair(f_total, current.multiplier, self.unpaired, part.index),
                backend.take(k_aniso, part.index), self.fitted.at(part.index),
            )
            for part in (self.plan.work, self.plan.free)
        }

        def slopes(part: ShellPart, factors: F64, logs: F64) -> tuple[Array, Array]:
            f_pair, k, (f_obs, sigma, epsilon, centric) = parts[part]
            d, s = backend.curves(part.hats, np.repeat(factors, 2, axis=0) if tied else factors, logs, k, 0)
            result = backend.sad(f_obs, sigma, f_pair, d, s, epsilon, centric, False)
            if not tied:
                return result.slope, result.bound
            return backend.merged(result.slope), backend.merged(result.bound)

        factors, logs = current.factors, current.logs
        floors = np.stack([np.full_like(logs[0], -np.inf), logs[0] + LOG_FLOOR])
        found, logs = self.plan.fit(slopes, factors[:1] if tied else factors, logs, floors, start is not None)
        factors = np.repeat(found, 2, axis=0) if tied else found
        return SadErrors(self.plan.knots, factors, logs, current.multiplier)

    def _start(self, f_total: C128, k_aniso: F64) -> SadErrors:
        """From moments: the misfit of the mean amplitudes and the unexplained part of the Bijvoet differences."""
        r, index, hats = self.reflections, self.plan.free.index, self.plan.free.hats
        share = 1.0 / (r.epsilon[index] * k_aniso[index] ** 2)
        f = self.f_mean[index]
        misfit = ((f - 0.9 * np.abs(f_total[0, index])) ** 2 + 0.05 * f**2) * share
        total = hats.gradient(misfit) / np.maximum(hats.gradient(np.ones(len(index))), 1e-3)
        total = np.maximum(total, 1e-12 * float(np.mean(self.f_mean**2)) + 1e-30)
        difference = self.f_obs[0, index] - self.f_obs[1, index]
        paired = np.isfinite(difference).astype(np.float64)
        square = hats.gradient(np.where(paired > 0.0, difference, 0.0) ** 2 * share)
        own = 0.3 * square / np.maximum(hats.gradient(paired), 1.0)
        own = np.clip(own, 1e-4 * total, total)
        one = np.ones_like(self.plan.knots)
        return SadErrors(
            self.plan.knots, 0.9 * np.stack([one, one]), np.log(np.stack([total, own])), np.ones(len(self.refined))
        )

    def values(self, errors: SadErrors, k_aniso: Array) -> SadValues:
        """The error model on all reflections."""
        d, s = self.backend.curves(self.plan.whole, errors.factors, errors.logs, k_aniso, 0)
        return SadValues(d[0], s[0], d, s, errors.multiplier)

    def _evaluated(self, values: SadValues, f_total: Array, index: Index, want_information: bool) -> AnomalousResult:
        backend = self.backend
        f_obs, sigma, epsilon, centric = self.measured.at(index)
        return backend.sad(
            f_obs, sigma, backend.friedel_pair(f_total, values.multiplier, self.unpaired, index),
            backend.take(values.factors, index), backend.take(values.variances, index), epsilon, centric,
            want_information,
        )

    def evaluate(self, values: Any, f_total: Array, index: Index, derivatives: bool) -> Evaluation:
        """−LL of the reflections ``index`` (k,)."""
        m = len(f_total)
        result = self._evaluated(values, f_total, index, derivatives)
        if not derivatives:
            return Evaluation(result.minus_ll, np.zeros((m, 0), np.complex128), np.zeros((m, 0)))
        slopes = self.backend.friedel_slopes(result, values.multiplier, self.unpaired, index)
        return Evaluation(result.minus_ll, *slopes)

    def amplitudes(self, values: Any, f_total: Array) -> Array:
        """Mean of |F_c+| and |F_c−|."""
        return self.backend.mean_mate(self.backend.friedel_pair(f_total, values.multiplier, self.unpaired, None))

    def coefficients(self, values: Any, f_total: C128) -> Coefficients:
        """Maps with the phases of the SAD likelihood, and the two anomalous ones."""
        r = self.reflections
        anomalous = self.backend.friedel_pair(f_total, values.multiplier, self.unpaired, None)[1]
        index = np.flatnonzero(r.observed)
        result = self._evaluated(values, f_total, index, True)
        phased = np.zeros((2, len(r)), np.complex128)
        phased[:, index] = result.phased
        measured = np.isfinite(self.f_obs)
        part = 1j * values.factors[1] * anomalous
        count = np.maximum(measured.sum(axis=0), 1)
        best = np.where(measured, phased - np.stack([part, -part]), 0.0).sum(axis=0) / count
        calculated = values.d * f_total[0]
        observed = r.observed
        fwt = np.where(observed, np.where(r.centric, best, 2.0 * best - calculated), calculated)
        delfwt = np.where(observed, best - calculated, 0.0)
        fom = np.minimum(np.divide(np.abs(best), self.f_mean, out=np.zeros(len(r)), where=self.f_mean > 0.0), 1.0)
        return Coefficients(fwt, delfwt, fom, self._anomalous_maps(index, result, best, fom))

    def _anomalous_maps(
        self, index: Index, result: AnomalousResult, best: C128, fom: F64
    ) -> tuple[MapColumns, ...]:
        """m(|F+| − |F−|) with the best phase less 90°, where the anomalous scatterers are; and the gradient of the log
        likelihood with respect to F″, scaled to what F″ lacks, which shows the missing ones."""
        difference = self.f_obs[0] - self.f_obs[1]
        paired = np.isfinite(difference) & ~self.reflections.centric
        direction = np.divide(best, np.abs(best), out=np.ones_like(best), where=np.abs(best) > 0.0)
        fan = np.where(paired, fom * np.where(paired, difference, 0.0), 0.0) * direction * -1j
        lack = np.zeros(len(best), np.complex128)
        mean = float(np.mean(result.information[1])) if len(index) else 0.0
        if mean > 0.0:
            lack[index] = result.gradient[1] * (-2.0 / mean)
        lack[~paired] = 0.0
        return (
            MapColumns(("FAN", "PHAN"), "FP", fan), MapColumns(("DELFAN", "PHDELAN"), "FP", lack),
        )


def plan_sad(
    backend: Backend, reflections: Reflections, pairs: FriedelPairs, refined: NDArray[np.bool_]
) -> SadLikelihood:
    """The likelihood of ``pairs`` on ``reflections``; ``refined`` (n_model − 1,) bool: rows of F″ with a multiplier."""
    r = reflections
    f_obs, sigma = np.stack([pairs.plus, pairs.minus]), np.stack([pairs.sigma_plus, pairs.sigma_minus])
    unpaired = r.observed & ~pairs.some
    f_obs[0, unpaired], sigma[0, unpaired] = r.f[unpaired], r.sigma[unpaired]
    f_obs[:, ~r.observed] = np.nan
    sigma = np.where(np.isfinite(f_obs), sigma, 1.0)
    columns = f_obs, sigma, r.epsilon, r.centric
    return SadLikelihood(
        backend, r, f_obs, sigma, np.where(r.observed, r.f, 0.0), unpaired, np.asarray(refined, bool),
        plan_shells(backend, r.inv_d2, r.work, r.free), Selection(*columns), Selection(*columns),
    )
