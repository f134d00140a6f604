"""Maximum-likelihood D and Σ_mod as smooth functions of resolution (method 4).

Values sit on the centres of resolution shells and are interpolated linearly in 1/d² (Σ_mod as its logarithm).  D
maximises the likelihood of the working reflections at given Σ_mod, Σ_mod that of the free reflections at given D:
the free set sees model error without the bias of having been fitted.  Steps are Fisher scoring with an information
matrix bounded from above, hence they do not overshoot.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..backend.ops import Backend
from ..backend.ops_reflections import Array
from ..backend.plans import SigmaaResult
from ..model.thinning import thinned
from .selection import Selection
from .shells import Hats, smoothed, solve_bands

F64 = NDArray[np.float64]

MIN_FREE = 100
"""Fewer free reflections than this cannot determine Σ_mod; the working set is used instead and that is told."""

PER_SHELL = 50
MAX_SHELLS = 30
D_MAX = 1.2
ENOUGH = 200_000
"""Working reflections from which thirty values of D are known to a few thousandths."""

COLD_ITERATIONS = 40
WARM_ITERATIONS = 5
"""Scoring steps at most: from the moments, and from the last cycle's values, which are nearly right already."""

SMOOTHING = 2.0
"""Weight, in reflections, of the second difference of ln Σ_mod and D/0.1 between neighbouring shells."""


@dataclass(frozen=True, slots=True, eq=False)
class SigmaA:
    """D and Σ_mod on shell centres.

    ``knots`` (m,) 1/d² in Å⁻²; ``d`` (m,); ``log_s`` (m,) ln Σ_mod on the scale of F_obs².
    """

    knots: F64
    d: F64
    log_s: F64

    def on(self, inv_d2: F64) -> tuple[F64, F64]:
        """D and Σ_mod (n,) at reflections of 1/d² ``inv_d2`` (n,)."""
        return np.interp(inv_d2, self.knots, self.d), np.exp(np.interp(inv_d2, self.knots, self.log_s))


@dataclass(frozen=True, slots=True, eq=False)
class SigmaAEstimator:
    """Estimates D and Σ_mod for one list of reflections.

    Attributes:
        work, estimate: (k,) indices of the reflections that determine D and Σ_mod.
        knots: (m,) 1/d² of the shell centres; work_hats, estimate_hats: interpolation from them.
        uses_free: Σ_mod comes from the free set.
        measured: what :meth:`derivatives` takes of chosen reflections.
    """

    backend: Backend
    f_obs: F64
    sigma: F64
    epsilon: F64
    centric: NDArray[np.bool_]
    inv_d2: F64
    work: NDArray[np.intp]
    estimate: NDArray[np.intp]
    knots: F64
    work_hats: Hats
    estimate_hats: Hats
    uses_free: bool
    measured: Selection

    def derivatives(self, chosen: tuple[NDArray[Any], ...], f: Array, d: Array, s: Array) -> SigmaaResult:
        """Slopes by D and ln S of some reflections (k,): what was measured of them, |F_total|, D and k_aniso² Σ_mod."""
        f_obs, sigma, epsilon, centric = chosen
        return self.backend.rice_sigmaa(f_obs, sigma, f, d, s, epsilon, centric)

    def start(self, f_total: F64, k_aniso: F64) -> SigmaA:
        """Moment estimates on the knots: D = 0.9 and Σ_mod the mean squared misfit."""
        hats, k = self.estimate_hats, self.estimate
        misfit = ((self.f_obs[k] - 0.9 * f_total[k]) ** 2) / (self.epsilon[k] * k_aniso[k] ** 2)
        misfit = misfit + 0.05 * self.f_obs[k] ** 2 / (self.epsilon[k] * k_aniso[k] ** 2)
        total = hats.gradient(misfit)
        count = np.maximum(hats.gradient(np.ones(len(k))), 1e-3)
        mean = np.maximum(total / count, 1e-12 * float(np.mean(self.f_obs**2)) + 1e-30)
        return SigmaA(self.knots, np.full(len(self.knots), 0.9), np.log(mean))

    def fit(self, f: Array, k_aniso: Array, start: SigmaA | None) -> SigmaA:
        """ML values for a model scaled to the data.

        ``f`` (n,) is what :meth:`derivatives` takes of its structure factors, ``k_aniso`` (n,) the anisotropic factor.
        """
        current = self.start(np.abs(np.asarray(f)), np.asarray(k_aniso)) if start is None else start
        iterations = COLD_ITERATIONS if start is None else WARM_ITERATIONS
        d, log_s = current.d.copy(), current.log_s.copy()
        work = self._part(self.work, self.work_hats, f, k_aniso)
        free = work if self.estimate is self.work else self._part(self.estimate, self.estimate_hats, f, k_aniso)
        for _ in range(iterations):
            step_d = self._step(work, d, log_s, True)
            d = np.clip(d + np.clip(step_d, -0.2, 0.2), 0.02, D_MAX)
            step_s = self._step(free, d, log_s, False)
            log_s = log_s + np.clip(step_s, -1.5, 1.5)
            if max(np.abs(step_d).max(), 0.3 * np.abs(step_s).max()) < 1e-3:
                break
        return SigmaA(self.knots, d, log_s)

    def _part(self, index: NDArray[np.intp], hats: Hats, f: Array, k_aniso: Array) -> _Part:
        take = self.backend.take
        return _Part(hats, self.measured.at(index), take(f, index), take(k_aniso, index))

    def _step(self, part: _Part, d: F64, log_s: F64, for_d: bool) -> F64:
        result = self.derivatives(part.chosen, part.f, *self.backend.hat_values(part.hats, d, log_s, part.k_aniso))
        if for_d:
            gradient, information = self.backend.hat_sums(part.hats, result.d_d, result.info_d)
            information, gradient = smoothed(information, gradient, d, SMOOTHING / 0.01)
            floor = 1.0
        else:
            gradient, information = self.backend.hat_sums(part.hats, result.d_log_s, result.info_s)
            information, gradient = smoothed(information, gradient, log_s, SMOOTHING)
            floor = 1e-3
        information[2] += floor
        return -solve_bands(information, gradient)


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """Some reflections (k,): interpolation, what was measured, the model and its anisotropic scale."""

    hats: Hats
    chosen: tuple[NDArray[Any], ...]
    f: Array
    k_aniso: Array


def plan_sigmaa(
    backend: Backend,
    f_obs: F64,
    sigma: F64,
    epsilon: F64,
    centric: NDArray[np.bool_],
    inv_d2: F64,
    work: NDArray[np.bool_],
    free: NDArray[np.bool_],
) -> SigmaAEstimator:
    """Choose shells for reflections (n,) of which ``work`` and ``free`` (n,) bool are refined and tested against."""
    work_index, free_index = thinned(np.flatnonzero(work), ENOUGH), np.flatnonzero(free)
    uses_free = len(free_index) >= MIN_FREE
    estimate = free_index if uses_free else work_index
    n_shell = int(np.clip(len(estimate) // PER_SHELL, 1, MAX_SHELLS if uses_free else 20))
    ordered = np.sort(inv_d2[work_index])
    # equal numbers of reflections a shell
    centres = np.array([shell.mean() for shell in np.array_split(ordered, n_shell)])
    knots = np.unique(centres)
    return SigmaAEstimator(
        backend, f_obs, sigma, epsilon, centric, inv_d2, work_index, estimate, knots,
        Hats.of(inv_d2[work_index], knots), Hats.of(inv_d2[estimate], knots), uses_free,
        Selection(f_obs, sigma, epsilon, centric),
    )
