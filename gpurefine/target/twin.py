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
from ..backend.ops_reflections import Array
from ..backend.ops_twin import TwinPosterior
from ..backend.ops_twin_members import TwinMeasured, TwinModel
from ..model.measured import TwinInput
from ..model.reflections import Reflections
from .likelihood import Coefficients, ErrorValues, Evaluation
from .one_model import amplitude_estimator, posterior_coefficients
from .shells import Hats, smoothed, solve_bands
from .sigmaa import D_MAX, SMOOTHING, SigmaA, SigmaAEstimator
from .twin_groups import plan_groups

F64 = NDArray[np.float64]
C128 = NDArray[np.complex128]
Index = NDArray[np.intp]

LEAST_FRACTION = 1e-4
"""Of each domain: at 0 a law would say nothing any more."""
SAMPLE = 6000
"""Working reflections that determine D and the fractions; more would not change them by a noticeable amount."""
PER_SHELL = 200
"""Reflections over which intensities are averaged for the first fit of the fractions."""
COLD_ITERATIONS, WARM_ITERATIONS = 15, 3
CHOICES = 6
"""Lists of reflections whose groups are remembered: used, free, all, of a map, and those that fits sum over."""


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
        plain: shells of D and Σ_mod; whole: interpolation from their knots for all reflections; sample: whole groups
            of working reflections that determine D and the fractions.
        chosen: groups of the lists of reflections asked for; recent: the last two integrations, since value,
            derivatives and statistics are asked for one by one.
    """

    resident: ClassVar[bool] = True
    backend: Backend
    reflections: Reflections
    twin: TwinInput
    f_obs: F64
    intensity: F64
    sigma: F64
    plain: SigmaAEstimator
    whole: Hats
    sample: Index
    chosen: dict[int, tuple[Index, TwinMeasured]] = field(default_factory=dict)
    recent: list[_Recent] = field(default_factory=list)
    n_model: int = 1

    @property
    def uses_free(self) -> bool:
        """Whether the free set determines Σ_mod."""
        return self.plain.uses_free

    def scale_target(self, f_total: Array | None, values: ErrorValues | None) -> Array:
        """Amplitudes of the crystal's own domain; before there is a model, of the twinned intensities."""
        if f_total is None or not isinstance(values, TwinValues):
            return self.f_obs
        return self.backend.twinned(self.twin.mates, values.fractions, f_total[0], self.f_obs)

    def _measured(self, index: Index) -> TwinMeasured:
        """Groups with measurements among ``index`` (k,), those alone being measured; the same for the same array."""
        known = self.chosen.get(id(index))
        if known is not None:
            return known[1]
        r, use = self.reflections, np.zeros(len(self.reflections), bool)
        use[index] = True
        groups = plan_groups(self.twin, use & (self.sigma > 0.0))
        at = groups.member
        made = TwinMeasured(
            groups, self.intensity[at], np.where(use[at], self.sigma[at], 0.0), r.epsilon[at], r.centric[at], len(r)
        )
        if len(self.chosen) >= CHOICES:
            self.chosen.pop(next(iter(self.chosen)))
        self.chosen[id(index)] = index, made
        return made

    def _call(self, measured: TwinMeasured, fractions: F64, f: Array, d: Array, s: Array) -> _Integrated:
        model = self.backend.twin_model(measured, f, d, s)
        return _Integrated(model, self.backend.twin(
            measured.groups, fractions, measured.intensity, measured.sigma, model.mean, model.variance, measured.centric
        ))

    def _remembered(self, measured: TwinMeasured, values: TwinValues, f_total: Array) -> _Integrated:
        for known in self.recent:
            if known.measured is measured and known.values is values and known.f_total is f_total:
                return known.found
        found = self._call(measured, values.fractions, f_total[0], values.d, values.s)
        self.recent[:] = [_Recent(measured, values, f_total, found), *self.recent[:1]]
        return found

    def fit(self, f_total: Array, k_aniso: Array, start: TwinErrors | None) -> TwinErrors:
        """D and Σ_mod by maximum likelihood: D of working, Σ_mod of free reflections.

        The first time it is also the fractions, of working ones; afterwards these are refined with the atoms.
        """
        cold, total = start is None, f_total[0]
        if start is None:
            host = np.asarray(f_total)[0]
            first: SigmaA = self.plain.start(np.abs(host), np.asarray(k_aniso))
            start = TwinErrors(first.knots, first.d, first.log_s, self._least_squares(host))
            iterations = COLD_ITERATIONS
        else:
            iterations = WARM_ITERATIONS
        d, log_s, fractions = start.d.copy(), start.log_s.copy(), start.fractions
        last: tuple[F64, F64] | None = None
        for _ in range(iterations):
            rows, found = self._slopes(self.sample, total, k_aniso, d, log_s, fractions)
            before = fractions
            if cold:
                fractions, slope = self._moved(fractions, np.asarray(found.fraction_slope), last)
                last = before, slope
            move = np.clip(self._solved(rows[0], rows[1], d, SMOOTHING / 0.01, 1.0), -0.2, 0.2)
            d = np.clip(d + move, 0.02, D_MAX)
            rows, _ = self._slopes(self.plain.estimate, total, k_aniso, d, log_s, fractions)
            rise = np.clip(self._solved(rows[2], rows[3], log_s, SMOOTHING, 1e-3), -1.5, 1.5)
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
        self, index: Index, f: Array, k_aniso: Array, d: F64, log_s: F64, fractions: F64
    ) -> tuple[Array, TwinPosterior]:
        """Slopes by D and ln S with their information on all reflections (4, n), and what they come from."""
        measured = self._measured(index)
        d_all, s_all = self.backend.hat_values(self.whole, d, log_s, k_aniso)
        found = self._call(measured, fractions, f, d_all, s_all)
        rows = self.backend.twin_errors(measured, fractions, found.posterior, found.model, f, d_all)
        return rows, found.posterior

    def _solved(self, slope: Array, information: Array, value: F64, smoothing: float, floor: float) -> F64:
        gradient, bands = self.backend.hat_sums(self.whole, slope, information)
        bands, gradient = smoothed(bands, gradient, value, smoothing)
        bands[2] += floor
        return -solve_bands(bands, gradient)

    @staticmethod
    def _moved(fractions: F64, each: F64, last: tuple[F64, F64] | None) -> tuple[F64, F64]:
        """The fractions after one step from the groups' slopes ``each`` (g, d), and their slopes before it.

        Σα = 1: the first makes up for the others.  The first step has the mean square of the groups' slopes as
        information: weak mates, which too large a fraction would make negative, tell more than any variance of the
        intensities says.  With a poor model single groups make that far too large; later steps take the curvature from
        the change of the slopes since ``last``.
        """
        slopes = each[:, 1:] - each[:, :1]
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

    def values(self, errors: TwinErrors, k_aniso: Array) -> TwinValues:
        """D, k_aniso² Σ_mod (n,) and the fractions."""
        d, s = self.backend.error_values(self.reflections.inv_d2, errors.knots, errors.d, errors.log_s, k_aniso)
        return TwinValues(d, s, errors.fractions)

    def evaluate(self, values: ErrorValues, f_total: Array, index: Index, derivatives: bool) -> Evaluation:
        """−LL of the reflections ``index`` (k,), a group's shared equally by its measurements."""
        assert isinstance(values, TwinValues)
        measured = self._measured(index)
        found = self._remembered(measured, values, f_total)
        slopes = self.backend.twin_slopes(
            measured, values.fractions, found.posterior, found.model, f_total[0], values.d, derivatives
        )
        minus_ll = self.backend.take(slopes.minus_ll, index)
        if not derivatives:
            return Evaluation(minus_ll, np.zeros((1, 0), np.complex128), np.zeros((1, 0)))
        return Evaluation(minus_ll, slopes.gradient[None], slopes.information[None])

    def fraction_slopes(self, values: ErrorValues, f_total: Array, index: Index) -> Array:
        """∂(−LL)/∂α_d (g, d) of every group of reflections that has measurements among ``index`` (k,)."""
        assert isinstance(values, TwinValues)
        return self._remembered(self._measured(index), values, f_total).posterior.fraction_slope

    def amplitudes(self, values: ErrorValues, f_total: Array) -> Array:
        """√(Σ_d α_d |F_total|²)."""
        assert isinstance(values, TwinValues)
        return self.backend.twinned(self.twin.mates, values.fractions, f_total[0], None)

    def coefficients(self, values: ErrorValues, f_total: C128) -> Coefficients:
        """From posterior means of the crystal's own, detwinned structure factors."""
        assert isinstance(values, TwinValues)
        r, total = self.reflections, f_total[0]
        measured = self._measured(np.flatnonzero(r.observed))
        found = self._call(measured, values.fractions, total, values.d, values.s).posterior
        at, amplitude = measured.groups.member, np.abs(total)
        unit = np.divide(total, amplitude, out=np.ones_like(total), where=amplitude > 0.0)
        best, fom = values.d * total, np.zeros(len(r))
        best[at], fom[at] = found.fm * unit[at], found.m
        return posterior_coefficients(r, best, np.where(r.observed, fom, 0.0), values.d * total)


@dataclass(frozen=True, slots=True, eq=False)
class _Integrated:
    """Means and variances of all members, and what the data make of them."""

    model: TwinModel
    posterior: TwinPosterior


@dataclass(frozen=True, slots=True, eq=False)
class _Recent:
    """An integration that may be asked for again."""

    measured: TwinMeasured
    values: TwinValues
    f_total: Array
    found: _Integrated


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
    sample = plain.work[twin.orbit[plain.work] % max(1, len(plain.work) // SAMPLE) == 0]
    return TwinLikelihood(
        backend, r, twin, plain.f_obs, intensity, sigma, plain, Hats.of(r.inv_d2, plain.knots), sample
    )
