"""Twinned intensities (paper (8) and (12), method 4.6): D and Σ_mod are found each cycle, at first with the fractions.

The scale is fitted to amplitudes in which each measured intensity is shared out among the domains as the model says:
F_k = √I |F_c,k|/√(Σ_d α_d |F_c|²), so that F_k − |F_c,k| is the residual of (12) times |F_c,k|/√f(α, F_c).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ..backend.ops import Backend
from ..backend.ops_twin import TwinGroups, TwinPosterior
from ..backend.posterior import posterior_gradient
from ..model.measured import TwinInput
from ..model.reflections import Reflections
from .likelihood import Coefficients, ErrorValues, Evaluation
from .one_model import amplitude_estimator, posterior_coefficients
from .shells import Hats, smoothed, solve_bands
from .sigmaa import D_MAX, SMOOTHING, SigmaA, SigmaAEstimator
from .twin_groups import plan_groups, response_variance

F64 = NDArray[np.float64]
C128 = NDArray[np.complex128]
Flags = NDArray[np.bool_]
Index = NDArray[np.intp]

LEAST_FRACTION = 1e-4
"""Of each domain: at 0 a law would say nothing any more."""
SAMPLE = 6000
"""Working reflections that determine D and the fractions; more would not change them by a noticeable amount."""
PER_SHELL = 200
"""Reflections over which intensities are averaged for the first fit of the fractions."""
COLD_ITERATIONS, WARM_ITERATIONS = 15, 3


@dataclass(frozen=True, slots=True, eq=False)
class TwinErrors:
    """D and ln Σ_mod at ``knots`` (m,) 1/d², and the domains' ``fractions`` (d,)."""

    knots: F64
    d: F64
    log_s: F64
    fractions: F64


@dataclass(frozen=True, slots=True, eq=False)
class TwinValues(ErrorValues):
    """The error model on all reflections with the domains' ``fractions`` (d,)."""

    fractions: F64


@dataclass(frozen=True, slots=True, eq=False)
class TwinLikelihood:
    """The likelihood of one list of twinned intensities.

    Attributes:
        reflections: with intensities.
        f_obs: (n,) French–Wilson amplitudes of the twinned intensities, 0 where not observed.
        intensity, sigma: (n,); σ is 0 where nothing was measured or a mate lies outside the list.
        plain: shells of D and Σ_mod.
        cached: groups of the lists of reflections asked for; recent: the last two integrations, since value,
            derivatives and statistics are asked for one by one.
    """

    resident: ClassVar[bool] = False
    backend: Backend
    reflections: Reflections
    twin: TwinInput
    f_obs: F64
    intensity: F64
    sigma: F64
    plain: SigmaAEstimator
    cached: dict[bytes, TwinGroups] = field(default_factory=dict)
    recent: list[_Recent] = field(default_factory=list)
    n_model: int = 1

    @property
    def uses_free(self) -> bool:
        """Whether the free set determines Σ_mod."""
        return self.plain.uses_free

    def twinned(self, f_total: C128, fractions: F64) -> F64:
        """Σ_d α_d |F|² (n,) of structure factors (n,)."""
        square = np.append(np.abs(f_total) ** 2, 0.0)  # absent mates contribute nothing
        mates = np.where(self.twin.mates >= 0, self.twin.mates, len(f_total))
        return np.asarray(fractions @ square[mates])

    def scale_target(self, f_total: C128 | None, values: ErrorValues | None) -> F64:
        """Amplitudes of the crystal's own domain; before there is a model, of the twinned intensities."""
        if f_total is None or not isinstance(values, TwinValues):
            return self.f_obs
        own = np.abs(f_total[0])
        whole = np.sqrt(self.twinned(f_total[0], values.fractions))
        return np.asarray(self.f_obs * np.divide(own, whole, out=np.ones_like(own), where=whole > 0.0))

    def _groups(self, index: Index) -> TwinGroups:
        """Groups with measurements among ``index`` (k,)."""
        key = np.ascontiguousarray(index).tobytes()
        if key not in self.cached:
            used = np.zeros(len(self.reflections), bool)
            used[index] = True
            self.cached[key] = plan_groups(self.twin, used & (self.sigma > 0.0))
        return self.cached[key]

    def _call(self, groups: TwinGroups, use: Flags, fractions: F64, mean: F64, variance: F64) -> TwinPosterior:
        at = groups.member
        sigma = np.where(use[at], self.sigma[at], 0.0)
        return self.backend.twin(
            groups, fractions, self.intensity[at], sigma, mean[at], variance[at], self.reflections.centric[at]
        )

    def _remembered(self, groups: TwinGroups, use: Flags, values: TwinValues, total: C128) -> TwinPosterior:
        for known in self.recent:
            if known.groups is groups and known.values is values and np.array_equal(known.total, total):
                return known.found
        found = self._call(
            groups, use, values.fractions, values.d * np.abs(total), values.s * self.reflections.epsilon
        )
        self.recent[:] = [_Recent(groups, values, total.copy(), found), *self.recent[:1]]
        return found

    def fit(self, f_total: C128, k_aniso: F64, start: TwinErrors | None) -> TwinErrors:
        """D and Σ_mod by maximum likelihood: D of working, Σ_mod of free reflections.

        The first time it is also the fractions, of working ones; afterwards these are refined with the atoms.
        """
        total, r = f_total[0], self.reflections
        amplitude = np.abs(total)
        cold = start is None
        if start is None:
            first: SigmaA = self.plain.start(amplitude, k_aniso)
            start = TwinErrors(first.knots, first.d, first.log_s, self._least_squares(total))
            iterations = COLD_ITERATIONS
        else:
            iterations = WARM_ITERATIONS
        d, log_s, fractions = start.d.copy(), start.log_s.copy(), start.fractions
        # whole groups: a measurement without those of its mates says little and takes long to integrate
        work = self.plain.work[self.twin.orbit[self.plain.work] % max(1, len(self.plain.work) // SAMPLE) == 0]
        everywhere = Hats.of(r.inv_d2, start.knots)
        last: tuple[F64, F64] | None = None
        for _ in range(iterations):
            step = self._slopes(work, amplitude, k_aniso, everywhere, d, log_s, fractions)
            before = fractions
            if cold:
                fractions, slope = self._moved(fractions, step, last)
                last = before, slope
            move = np.clip(_solve(everywhere, step.slope_d, step.info_d, d, SMOOTHING / 0.01, 1.0), -0.2, 0.2)
            d = np.clip(d + move, 0.02, D_MAX)
            step = self._slopes(self.plain.estimate, amplitude, k_aniso, everywhere, d, log_s, fractions)
            rise = np.clip(_solve(everywhere, step.slope_s, step.info_s, log_s, SMOOTHING, 1e-3), -1.5, 1.5)
            log_s = log_s + rise
            if max(np.abs(move).max(), 0.3 * np.abs(rise).max(), np.abs(fractions - before).max()) < 3e-3:
                break
        return TwinErrors(start.knots, d, log_s, fractions)

    def _least_squares(self, f_total: C128) -> F64:
        """Fractions that fit Σ_d α_d |F|² to the intensities, each weighted by 1/(σ² + ⟨I⟩²/4).

        ⟨I⟩ is the mean at the resolution: weights by each intensity's own square would prefer those that are weak by
        chance, and with a poor model at low resolution the wrong domain becomes the larger.
        """
        at = self.plain.work[self.sigma[self.plain.work] > 0.0]
        square = np.append(np.abs(f_total) ** 2, 0.0)
        mates = np.where(self.twin.mates >= 0, self.twin.mates, len(f_total))
        columns, i = square[mates[:, at]], self.intensity[at]
        shell = np.empty(len(at), np.intp)
        shell[np.argsort(self.reflections.inv_d2[at], kind="stable")] = np.arange(len(at)) // PER_SHELL
        mean = (np.bincount(shell, np.maximum(i, 0.0)) / np.maximum(np.bincount(shell), 1))[shell]
        weight = 1.0 / (self.sigma[at] ** 2 + 0.25 * mean**2 + 1e-30)
        normal = (columns * weight) @ columns.T
        found = np.linalg.lstsq(normal, (columns * weight) @ i, rcond=1e-6)[0]
        # a poor model is drawn towards equal fractions or none: stay near what the intensities alone say
        found = np.clip(found, 0.0, None) / max(float(np.clip(found, 0.0, None).sum()), 1e-300)
        told, largest = self.twin.fractions.copy(), int(found.argmax())
        if told.argmax() == 0:  # intensities do not tell which domain the model is of, and ML would not cross over
            told[[0, largest]] = told[[largest, 0]]
        return _normal(0.5 * found + 0.5 * told)

    def _slopes(
        self, index: Index, amplitude: F64, k_aniso: F64, hats: Hats, d: F64, log_s: F64, fractions: F64
    ) -> _Slopes:
        r = self.reflections
        use = np.zeros(len(r), bool)
        use[index] = True
        groups = self._groups(index)
        d_all, variance = hats.value(d), np.exp(hats.value(log_s)) * k_aniso**2 * r.epsilon
        found = self._call(groups, use, fractions, d_all * amplitude, variance)
        at = groups.member
        fc, dn, v = amplitude[at], d_all[at], variance[at]
        half = np.where(r.centric[at], 0.5, 1.0)
        misfit = found.f2 + (dn * fc) ** 2 - 2.0 * dn * fc * found.fm
        model = (v * v + 2.0 * (dn * fc) ** 2 * v) / half
        sigma = np.where(use[at], self.sigma[at], 0.0)
        told = response_variance(groups, fractions, sigma, model)
        share = model * told
        weak = v / (v + 2.0 * (dn * fc) ** 2)
        slopes = {name: np.zeros(len(r)) for name in ("slope_d", "info_d", "slope_s", "info_s")}
        slopes["slope_d"][at] = 2.0 * half * fc * (dn * fc - found.fm) / v
        slopes["info_d"][at] = np.minimum(2.0 * half * fc * fc / v, 5.0 * fc * fc * (dn * fc) ** 2 * told)
        slopes["slope_s"][at] = half * (1.0 - misfit / v)
        slopes["info_s"][at] = half * (weak * share + (1.0 - weak) * share * share)
        return _Slopes(**slopes, fractions=found.fraction_slope)

    @staticmethod
    def _moved(fractions: F64, step: _Slopes, last: tuple[F64, F64] | None) -> tuple[F64, F64]:
        """The fractions after one step, and their slopes before it; Σα = 1: the first makes up for the others.

        The first step has the mean square of the groups' slopes as information: weak mates, which too large a fraction
        would make negative, tell more than any variance of the intensities says.  With a poor model single groups make
        that far too large; later steps take the curvature from the change of the slopes since ``last``.
        """
        slopes = step.fractions[:, 1:] - step.fractions[:, :1]
        slope = slopes.sum(axis=0)
        normal = slopes.T @ slopes
        normal = normal + (1e-6 * np.trace(normal) + 1e-9) * np.eye(len(normal))
        shift = -np.linalg.solve(normal, slope)
        if last is not None:
            moved, change = fractions[1:] - last[0][1:], slope - last[1]
            bent = moved * change > 1e-12 * np.abs(slope)
            shift = np.where(bent, -slope * moved / np.where(bent, change, 1.0), 4.0 * shift)
        shift = np.clip(shift, -0.1, 0.1)
        return _normal(np.concatenate([[fractions[0] - shift.sum()], fractions[1:] + shift])), slope

    def values(self, errors: TwinErrors, k_aniso: F64) -> TwinValues:
        """D, k_aniso² Σ_mod (n,) and the fractions."""
        d, variance = SigmaA(errors.knots, errors.d, errors.log_s).on(self.reflections.inv_d2)
        return TwinValues(d, variance * k_aniso**2, errors.fractions)

    def evaluate(self, values: ErrorValues, f_total: C128, index: Index, derivatives: bool) -> Evaluation:
        """−LL of the reflections ``index`` (k,), a group's shared equally by its measurements."""
        assert isinstance(values, TwinValues)
        r, total = self.reflections, f_total[0]
        use = np.zeros(len(r), bool)
        use[index] = True
        groups = self._groups(index)
        variance = values.s * r.epsilon
        found = self._remembered(groups, use, values, total)
        at, group = groups.member, groups.group
        measured = use[at] & (self.sigma[at] > 0.0)
        count = np.bincount(group, weights=measured, minlength=len(groups.start) - 1)
        shared = np.zeros(len(r))
        shared[at[measured]] = (found.minus_ll / np.maximum(count, 1.0))[group[measured]]
        if not derivatives:
            return Evaluation(shared[index], np.zeros((1, 0), np.complex128), np.zeros((1, 0)))
        gradient, information = np.zeros((1, len(r)), np.complex128), np.zeros((1, len(r)))
        d, v, centric = values.d[at], variance[at], r.centric[at]
        gradient[0, at] = posterior_gradient(found.fm, total[at], d, v, centric)
        mean2 = (d * np.abs(total[at])) ** 2
        model = (v * v + 2.0 * mean2 * v) * np.where(centric, 2.0, 1.0)
        told = response_variance(groups, values.fractions, np.where(measured, self.sigma[at], 0.0), model)
        information[0, at] = 4.0 * d * d * mean2 * told
        return Evaluation(shared[index], gradient, information)

    def fraction_slopes(self, values: ErrorValues, f_total: C128, index: Index) -> F64:
        """∂(−LL)/∂α_d (g, d) of every group of reflections that has measurements among ``index`` (k,)."""
        assert isinstance(values, TwinValues)
        use = np.zeros(len(self.reflections), bool)
        use[index] = True
        return self._remembered(self._groups(index), use, values, f_total[0]).fraction_slope

    def amplitudes(self, values: ErrorValues, f_total: C128) -> F64:
        """√(Σ_d α_d |F_total|²)."""
        assert isinstance(values, TwinValues)
        return np.sqrt(self.twinned(f_total[0], values.fractions))

    def coefficients(self, values: ErrorValues, f_total: C128) -> Coefficients:
        """From posterior means of the crystal's own, detwinned structure factors."""
        assert isinstance(values, TwinValues)
        r, total = self.reflections, f_total[0]
        use = r.observed
        groups = self._groups(np.flatnonzero(use))
        found = self._call(groups, use, values.fractions, values.d * np.abs(total), values.s * r.epsilon)
        amplitude = np.abs(total)
        unit = np.divide(total, amplitude, out=np.ones_like(total), where=amplitude > 0.0)
        best, fom = values.d * total, np.zeros(len(r))
        best[groups.member] = found.fm * unit[groups.member]
        fom[groups.member] = found.m
        return posterior_coefficients(r, best, np.where(use, fom, 0.0), values.d * total)


@dataclass(frozen=True, slots=True, eq=False)
class _Recent:
    """An integration that may be asked for again."""

    groups: TwinGroups
    values: TwinValues
    total: C128
    found: TwinPosterior


@dataclass(frozen=True, slots=True, eq=False)
class _Slopes:
    """Slopes by D and ln S with their information on all reflections (n,); those of every group by the fractions
    (g, d)."""

    slope_d: F64
    info_d: F64
    slope_s: F64
    info_s: F64
    fractions: F64


def _solve(hats: Hats, slope: F64, information: F64, value: F64, smoothing: float, floor: float) -> F64:
    bands, gradient = smoothed(hats.information(information), hats.gradient(slope), value, smoothing)
    bands[2] += floor
    return -solve_bands(bands, gradient)


def _normal(fractions: F64) -> F64:
    positive = np.maximum(fractions, LEAST_FRACTION)
    return np.asarray(positive / positive.sum())


def plan_twin(backend: Backend, reflections: Reflections, twin: TwinInput) -> TwinLikelihood:
    """The likelihood of the twinned intensities of ``reflections``, which must have them."""
    r = reflections
    assert r.intensity is not None and r.sigma_intensity is not None
    plain = amplitude_estimator(backend, r)
    modelled = r.observed & (twin.mates > -2).all(axis=0)
    intensity, sigma = np.where(modelled, r.intensity, 0.0), np.where(modelled, r.sigma_intensity, 0.0)
    return TwinLikelihood(backend, r, twin, plain.f_obs, intensity, sigma, plain)
