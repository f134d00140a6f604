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
from ..model.friedel import FriedelPairs
from ..model.records import MapColumns
from ..model.reflections import Reflections
from .likelihood import Coefficients, ErrorValues, Evaluation
from .shell_fit import ShellPlan, on_reflections, plan_shells
from .shells import Hats

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
    """The error model on all reflections: ``d_delta`` D_Δ, ``s_delta`` k_aniso² Σ_Δ (n,); ``s`` is k_aniso² Σ_c."""

    d_delta: F64
    s_delta: F64
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
    """

    resident: ClassVar[bool] = False
    backend: Backend
    reflections: Reflections
    f_obs: F64
    sigma: F64
    f_mean: F64
    unpaired: NDArray[np.bool_]
    refined: NDArray[np.bool_]
    plan: ShellPlan

    @property
    def n_model(self) -> int:
        """F′ and every row of F″."""
        return 1 + len(self.refined)

    @property
    def uses_free(self) -> bool:
        """Whether the free set determines the variances."""
        return self.plan.uses_free

    def scale_target(self, f_total: C128 | None, values: ErrorValues | None) -> F64:
        """Mean amplitudes."""
        return self.f_mean

    def pair(self, multiplier: F64, f_total: C128) -> C128:
        """F′ and F″ (2, n) from all rows (n_model, n); F″ = 0 where only the mean was measured."""
        anomalous = np.tensordot(multiplier, f_total[1:], 1)
        return np.stack([f_total[0], np.where(self.unpaired, 0.0, anomalous)])

    def _call(self, index: Index, f_pair: C128, d: F64, s: F64, want_information: bool) -> AnomalousResult:
        r = self.reflections
        return self.backend.sad(
            np.ascontiguousarray(self.f_obs[:, index]), np.ascontiguousarray(self.sigma[:, index]),
            np.ascontiguousarray(f_pair[:, index]), d, s, r.epsilon[index], r.centric[index], want_information,
        )

    def fit(self, f_total: C128, k_aniso: F64, start: SadErrors | None) -> SadErrors:
        """The error model by maximum likelihood, from moments or from the last cycle's."""
        current = self._start(f_total, k_aniso) if start is None else start
        k2 = k_aniso**2
        tied, f_pair = bool(self.refined.any()), self.pair(current.multiplier, f_total)

        def slopes(index: Index, d: F64, log_s: F64) -> tuple[F64, F64]:
            both = np.repeat(d, 2, axis=0) if tied else d
            result = self._call(index, f_pair, both, np.exp(log_s) * k2[index], False)
            if not tied:
                return result.slope, result.bound
            return tuple(  # type: ignore[return-value]
                np.concatenate([x[:2].sum(axis=0, keepdims=True), x[2:]]) for x in (result.slope, result.bound)
            )

        factors, logs = current.factors, current.logs
        floors = np.stack([np.full_like(logs[0], -np.inf), logs[0] + LOG_FLOOR])
        found, logs = self.plan.fit(slopes, factors[:1] if tied else factors, logs, floors, start is not None)
        factors = np.repeat(found, 2, axis=0) if tied else found
        return SadErrors(self.plan.knots, factors, logs, current.multiplier)

    def _start(self, f_total: C128, k_aniso: F64) -> SadErrors:
        """From moments: the misfit of the mean amplitudes and the unexplained part of the Bijvoet differences."""
        r, index = self.reflections, self.plan.estimate
        hats = Hats.of(r.inv_d2[index], self.plan.knots)
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

    def values(self, errors: SadErrors, k_aniso: F64) -> SadValues:
        """The error model on all reflections."""
        return self._values(errors, k_aniso)

    def _values(self, errors: SadErrors, k_aniso: F64) -> SadValues:
        hats = Hats.of(self.reflections.inv_d2, errors.knots)
        d = on_reflections(hats, errors.factors)
        s = np.exp(on_reflections(hats, errors.logs)) * k_aniso**2
        return SadValues(d[0], s[0], d[1], s[1], errors.multiplier)

    def _evaluated(self, values: SadValues, f_pair: C128, index: Index, want_information: bool) -> AnomalousResult:
        d = np.stack([values.d[index], values.d_delta[index]])
        s = np.stack([values.s[index], values.s_delta[index]])
        return self._call(index, f_pair, d, s, want_information)

    def evaluate(self, values: Any, f_total: C128, index: Index, derivatives: bool) -> Evaluation:
        """−LL of the reflections ``index`` (k,)."""
        m = len(f_total)
        result = self._evaluated(values, self.pair(values.multiplier, f_total), index, derivatives)
        if not derivatives:
            return Evaluation(result.minus_ll, np.zeros((m, 0), np.complex128), np.zeros((m, 0)))
        gradient, information = np.zeros(f_total.shape, np.complex128), np.zeros(f_total.shape)
        gradient[0, index], information[0, index] = result.gradient[0], result.information[0]
        paired = index[~self.unpaired[index]]
        at = ~self.unpaired[index]
        gradient[1:, paired] = values.multiplier[:, None] * result.gradient[1, at]
        information[1:, paired] = values.multiplier[:, None] ** 2 * result.information[1, at]
        return Evaluation(result.minus_ll, gradient, information)

    def amplitudes(self, values: Any, f_total: C128) -> F64:
        """Mean of |F_c+| and |F_c−|."""
        main, anomalous = self.pair(values.multiplier, f_total)
        return np.asarray(0.5 * (np.abs(main + 1j * anomalous) + np.abs(main - 1j * anomalous)))

    def coefficients(self, values: Any, f_total: C128) -> Coefficients:
        """Maps with the phases of the SAD likelihood, and the two anomalous ones."""
        r = self.reflections
        f_pair = self.pair(values.multiplier, f_total)
        index = np.flatnonzero(r.observed)
        result = self._evaluated(values, f_pair, index, True)
        phased = np.zeros((2, len(r)), np.complex128)
        phased[:, index] = result.phased
        measured = np.isfinite(self.f_obs)
        part = 1j * values.d_delta * f_pair[1]
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
    return SadLikelihood(
        backend, r, f_obs, sigma, np.where(r.observed, r.f, 0.0), unpaired, np.asarray(refined, bool),
        plan_shells(r.inv_d2, r.work, r.free),
    )
