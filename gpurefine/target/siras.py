"""A native data set with the Friedel pairs of an isomorphous derivative: SIRAS (paper 2.2.2; Skubák et al. 2009).

Model row 0 is the native's F_N (scaled, with solvent), row 1 F″ of the same atoms.  The derivative's heavy-atom sites
are few and refined here, with the error model: F′ = F_N + F_H, F″ = F″ of the atoms + F″_H.  The amplitudes of the
derivative are brought to the native's scale by a factor with the anisotropy that the symmetry allows.  A site's q and B
hold the overall scale of the native (electrons to the units of the data) as well.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..backend.ops import Backend
from ..backend.ops_anomalous import AnomalousResult
from ..backend.ops_derivative import ScalePlace, SitePlan
from ..backend.ops_reflections import Array
from ..model.anomalous import Derivative
from ..model.crystal import Crystal
from ..model.records import MapColumns
from ..model.reflections import Reflections
from .derivative_scale import scale_columns
from .heavy_sites import SiteScattering
from .likelihood import Coefficients, ErrorValues, Evaluation
from .phase_origin import find_placement
from .selection import Selection
from .shell_fit import ShellPart, ShellPlan, plan_shells

F64 = NDArray[np.float64]
C128 = NDArray[np.complex128]
Index = NDArray[np.intp]

SITE_STEPS_COLD, SITE_STEPS_WARM = 4, 1
MOST_WORK = 2000
"""Working reflections that determine D_N, D, D_Δ and the sites."""
LOGIT_MAX = 7.0
"""Largest ln(r/(1 − r)): r = 0.9991."""


@dataclass(frozen=True, slots=True, eq=False)
class SirasErrors:
    """D_N, D, D_Δ (``factors``, (3, m)) and ln Σ_N, ln Σ_c, ln Σ_Δ, ln(r/(1 − r)) (``logs``, (4, m)) at ``knots`` (m,);
    ``sites`` (k, 5): x, y, z, B, q; ``scale`` (7,): ln of the factor of the derivative's amplitudes."""

    knots: F64
    factors: F64
    logs: F64
    sites: F64
    scale: F64


@dataclass(frozen=True, slots=True, eq=False)
class SirasValues(ErrorValues):
    """The error model on all reflections: ``factors`` (3, n) D_N, D, D_Δ; ``variances`` (4, n) Σ_N, Σ_c, Σ_Δ (with
    k_aniso²) and r; ``heavy`` (2, n) F_H and F″_H; ``scale`` (n,) of the derivative's amplitudes."""

    factors: Array
    variances: Array
    heavy: Array
    scale: Array


@dataclass(frozen=True, slots=True, eq=False)
class SirasLikelihood:
    """The likelihood of one native and one derivative.

    Attributes:
        f_obs, sigma: (3, n) |F_N|, |F+|, |F−| as measured, NaN and 1 where not.
        f_native: (n,) |F_N|, 0 where not observed.
        columns: (n, 7) of the derivative's scale; place: the reflections that it is fitted to.
        measured, fitted: amplitudes, uncertainties, ε and centric flags of chosen reflections, for the likelihood and
            for the error model.
    """

    resident: ClassVar[bool] = True
    backend: Backend
    crystal: Crystal
    reflections: Reflections
    derivative: Derivative
    f_obs: F64
    sigma: F64
    f_native: F64
    scattering: SiteScattering
    columns: F64
    place: ScalePlace
    plan: ShellPlan
    measured: Selection
    fitted: Selection
    n_model: int = 2

    @property
    def uses_free(self) -> bool:
        """Whether the free set determines the variances."""
        return self.plan.uses_free

    def scale_target(self, f_total: Array | None, values: ErrorValues | None) -> F64:
        """Native amplitudes."""
        return self.f_native

    def fit(self, f_total: Array, k_aniso: Array, start: SirasErrors | None) -> SirasErrors:
        """Sites, scale and error model by maximum likelihood, in turns."""
        backend, plan = self.backend, self.plan
        errors = self._start(np.asarray(f_total), np.asarray(k_aniso)) if start is None else start
        k = {part: backend.take(k_aniso, part.index) for part in (plan.work, plan.free)}
        for turn in range(SITE_STEPS_COLD if start is None else SITE_STEPS_WARM):
            heavy = self.scattering.structure_factors(errors.sites, f_total)
            errors = replace(errors, scale=backend.fit_derivative(self.place, f_total, heavy))
            scale = backend.derivative_scale(self.columns, errors.scale, f_total)
            parts = {
                part: (backend.derivative_rows(f_total, heavy, part.index), backend.take(scale, part.index))
                for part in (plan.work, plan.free)
            }

            def evaluated(
                part: ShellPart, factors: F64, logs: F64, information: bool, parts: Any = parts
            ) -> AnomalousResult:
                f_obs, sigma, epsilon, centric = self.fitted.at(part.index)
                d, s = backend.curves(part.hats, factors, logs, k[part], 1)
                f, by = parts[part]
                return backend.siras(f_obs, sigma, f, d, s, epsilon, centric, information, by)

            def slopes(part: ShellPart, factors: F64, logs: F64, call: Any = evaluated) -> tuple[Array, Array]:
                result = call(part, factors, logs, False)
                return result.slope, result.bound

            floors = np.full(errors.logs.shape, -np.inf)
            floors[2], floors[3] = errors.logs[1] - 12.0, -LOGIT_MAX
            logs = np.vstack([errors.logs[:3], np.minimum(errors.logs[3:], LOGIT_MAX)])
            factors, logs = plan.fit(slopes, errors.factors, logs, floors, start is not None or turn > 0)
            logs[3] = np.minimum(logs[3], LOGIT_MAX)
            errors = replace(errors, factors=factors, logs=logs)
            # some thousands of reflections at most: sites are refined on the host
            result = evaluated(plan.work, factors, logs, True)
            gradient, information = np.asarray(result.gradient)[1:], np.asarray(result.information)[1:]
            errors = replace(
                errors, sites=self.scattering.refined(errors.sites, plan.work.index, gradient, information)
            )
        return errors

    def _start(self, f_total: C128, k_aniso: F64) -> SirasErrors:
        """Place the sites by the Bijvoet differences, scale them by the isomorphous ones, variances from moments."""
        r, sites = self.reflections, self._placed(f_total)
        heavy, _ = self.scattering.structure_factors(sites, f_total)
        scale = np.exp(self.columns @ self.backend.fit_derivative(self.place, f_total, np.zeros_like(f_total)))
        mean = mean_mate(self.f_obs) * scale
        direction = np.divide(f_total[0], np.abs(f_total[0]), out=np.ones_like(f_total[0]), where=f_total[0] != 0.0)
        along = (heavy * direction.conj()).real
        use = r.work & (mean > 0.0)
        difference = mean[use] - self.f_native[use]
        limit = 4.0 * float(np.median(np.abs(difference)))
        factor = float((np.clip(difference, -limit, limit) * along[use]).sum() / max((along[use] ** 2).sum(), 1e-30))
        # differences that say nothing leave the sites a tenth of what the native's own scale would make them
        least = 0.1 * float(np.sqrt(np.mean(np.abs(self.f_native[use]) ** 2) / np.mean(np.abs(heavy[use]) ** 2)))
        sites[:, 4] *= factor if factor > 0.0 else least
        index, hats = self.plan.free.index, self.plan.free.hats
        share = 1.0 / (r.epsilon[index] * k_aniso[index] ** 2)

        def moment(x: F64, known: F64) -> F64:
            mean_square = hats.gradient(known * x**2 * share) / np.maximum(hats.gradient(known), 1.0)
            return np.maximum(mean_square, 1e-6 * float(np.mean(self.f_native**2)) + 1e-30)

        one = np.ones(len(index))
        native = moment(self.f_native[index] - 0.9 * np.abs(f_total[0, index]), one)
        native = native + 0.05 * moment(self.f_native[index], one)
        bijvoet = (self.f_obs[1, index] - self.f_obs[2, index]) * scale[index]
        paired = np.isfinite(bijvoet).astype(np.float64)
        own = np.clip(0.3 * moment(np.where(paired > 0.0, bijvoet, 0.0), paired), 1e-4 * native, native)
        knot = np.ones_like(self.plan.knots)
        logs = np.stack([np.log(native), np.log(native), np.log(own), 1.5 * knot])
        return SirasErrors(self.plan.knots, np.stack([0.9 * knot] * 3), logs, sites, np.zeros(7))

    def _placed(self, f_total: C128) -> F64:
        """The sites (k, 5) at the origin and of the hand for which the Bijvoet differences speak."""
        sites = self.derivative.sites.copy()
        _, second = self.scattering.structure_factors(sites, f_total)
        difference = self.f_obs[1] - self.f_obs[2]
        usable = np.isfinite(difference) & self.reflections.work & ~self.reflections.centric
        # F″ as the differences and the model's phases have it
        direction = np.divide(f_total[0], np.abs(f_total[0]), out=np.ones_like(f_total[0]), where=f_total[0] != 0.0)
        seen = np.where(usable, np.where(usable, difference, 0.0), 0.0) * direction * -1j
        size = np.minimum(np.abs(seen), 4.0 * float(np.median(np.abs(seen[usable]))) if usable.any() else 0.0)
        largest = float(np.abs(second).max())
        placements = find_placement(
            self.crystal, self.crystal, self.reflections.hkl, second / max(largest, 1e-30), seen, size
        )
        found = [p for p in placements if p is not None]
        if not found:
            return sites
        best = max(found, key=lambda p: p.agreement)
        sites[:, :3] = (-1.0 if best.inverted else 1.0) * sites[:, :3] + np.array(best.shift)
        return sites

    def values(self, errors: SirasErrors, k_aniso: Array) -> SirasValues:
        """The error model on all reflections."""
        factors, variances = self.backend.curves(self.plan.whole, errors.factors, errors.logs, k_aniso, 1)
        return SirasValues(
            factors[0], variances[0], factors, variances, self.scattering.structure_factors(errors.sites, k_aniso),
            self.backend.derivative_scale(self.columns, errors.scale, k_aniso),
        )

    def _evaluated(self, values: SirasValues, f_total: Array, index: Index, want_information: bool) -> AnomalousResult:
        backend, (f_obs, sigma, epsilon, centric) = self.backend, self.measured.at(index)
        d, s, scale = (backend.take(part, index) for part in (values.factors, values.variances, values.scale))
        return backend.siras(
            f_obs, sigma, backend.derivative_rows(f_total, values.heavy, index), d, s, epsilon, centric,
            want_information, scale,
        )

    def evaluate(self, values: Any, f_total: Array, index: Index, derivatives: bool) -> Evaluation:
        """−LL of the reflections ``index`` (k,)."""
        result = self._evaluated(values, f_total, index, derivatives)
        if not derivatives:
            return Evaluation(result.minus_ll, np.zeros((2, 0), np.complex128), np.zeros((2, 0)))
        return Evaluation(
            result.minus_ll, *self.backend.derivative_slopes(result, index, len(self.reflections))
        )

    def amplitudes(self, values: Any, f_total: Array) -> Array:
        """|F_N|."""
        return self.backend.magnitude(f_total[0])

    def coefficients(self, values: Any, f_total: C128) -> Coefficients:
        """Maps of the native with the phases of all three measurements, and the two anomalous ones."""
        r = self.reflections
        index = np.flatnonzero(r.observed)
        result = self._evaluated(values, f_total, index, True)
        phased = np.zeros((3, len(r)), np.complex128)
        phased[:, index] = result.phased
        best, calculated = phased[0], values.d * f_total[0]
        fwt = np.where(r.observed, np.where(r.centric, best, 2.0 * best - calculated), calculated)
        delfwt = np.where(r.observed, best - calculated, 0.0)
        fom = np.divide(np.abs(best), self.f_native, out=np.zeros(len(r)), where=self.f_native > 0.0)
        pair = phased[1] + phased[2]
        difference = (self.f_obs[1] - self.f_obs[2]) * values.scale
        paired = np.isfinite(difference) & ~r.centric & r.observed
        sure = np.divide(pair, np.nansum(self.f_obs[1:], axis=0) * values.scale, out=np.zeros_like(pair), where=paired)
        fan = np.where(paired, np.where(paired, difference, 0.0), 0.0) * sure * -1j
        lack = np.zeros(len(r), np.complex128)
        mean = float(np.mean(result.information[2]))
        if mean > 0.0:
            lack[index] = result.gradient[2] * (-2.0 / mean)
        lack[~paired] = 0.0
        extra = (MapColumns(("FAN", "PHAN"), "FP", fan), MapColumns(("DELFAN", "PHDELAN"), "FP", lack))
        return Coefficients(fwt, delfwt, np.minimum(fom, 1.0), extra)


def mean_mate(f_obs: F64) -> F64:
    """(n,) mean of the mates of (3, n) amplitudes, 0 where neither was measured."""
    seen = np.isfinite(f_obs[1:])
    return np.asarray(np.where(seen, f_obs[1:], 0.0).sum(axis=0) / np.maximum(seen.sum(axis=0), 1))


def plan_siras(
    backend: Backend, crystal: Crystal, reflections: Reflections, derivative: Derivative
) -> SirasLikelihood:
    """The likelihood of native ``reflections`` with a ``derivative`` on the same list."""
    r, pairs = reflections, derivative.pairs
    f_native = np.where(r.observed, r.f, 0.0)
    f_obs = np.stack([r.f, pairs.plus, pairs.minus])
    sigma = np.where(np.isfinite(f_obs), np.stack([r.sigma, pairs.sigma_plus, pairs.sigma_minus]), 1.0)
    quarter = 0.25 * r.inv_d2
    form = np.einsum("kg,kgn->kn", derivative.gauss_a, np.exp(-derivative.gauss_b[:, :, None] * quarter))
    sites = SitePlan(
        np.asarray(r.hkl, np.int32), r.inv_d2, form, derivative.f_second, crystal.rotations, crystal.translations
    )
    columns, mean = scale_columns(crystal, r.hkl), mean_mate(f_obs)
    fitted = np.flatnonzero(r.work & (mean > 0.0))
    measured = f_obs, sigma, r.epsilon, r.centric
    return SirasLikelihood(
        backend, crystal, r, derivative, f_obs, sigma, f_native,
        SiteScattering(backend, sites, crystal.cell[:3]), columns,
        ScalePlace(fitted, np.ascontiguousarray(columns[fitted]), mean[fitted]),
        plan_shells(backend, r.inv_d2, r.work, r.free, MOST_WORK), Selection(*measured), Selection(*measured),
    )
