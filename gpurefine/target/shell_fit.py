"""Maximum likelihood of several error parameters on resolution shells, by alternating scoring steps (method 4).

As for D and Σ_mod of amplitudes (:mod:`gpurefine.target.sigmaa`): factors such as D maximise the likelihood of the
working reflections, variances (their logarithms) that of the free ones.  Each parameter takes its step with the
mean square of its slopes as information (Berndt, Hall, Hall & Hausman 1974), which it is where the model is right.
What would be known if the phases had been measured is an upper bound of it, but so far above that steps with it creep.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .shells import Hats, smoothed, solve_bands
from .sigmaa import MAX_SHELLS, MIN_FREE, PER_SHELL, SMOOTHING

F64 = NDArray[np.float64]
Index = NDArray[np.intp]

ITERATIONS_COLD = 40
ITERATIONS_WARM = 4
LEAST_SHARE = 0.05
"""Of its upper bound that the information is taken to be at least."""
D_MIN, D_MAX = 0.02, 1.2
LOG_STEP = 1.5

Slopes = Callable[[Index, F64, F64], tuple[F64, F64]]
"""Derivatives of −LL and bounds on the information (p + q, k) of the reflections ``index`` (k,), given p factors (p, k)
and q logarithms of variances (q, k)."""


@dataclass(frozen=True, slots=True, eq=False)
class ShellPlan:
    """Shells for one list of reflections: ``knots`` (m,) 1/d² in Å⁻²; ``work`` and ``estimate`` their indices, the
    latter free ones where there are enough of them (``uses_free``)."""

    inv_d2: F64
    work: Index
    estimate: Index
    knots: F64
    uses_free: bool

    def fit(self, slopes: Slopes, factors: F64, logs: F64, floors: F64, warm: bool) -> tuple[F64, F64]:
        """Maximise from ``factors`` (p, m) and ``logs`` (q, m); the result has the same shapes.

        ``floors`` (q, m): lower bounds of ``logs``.  ``warm``: they come from the last cycle, and a few steps do.
        """
        factors, logs = factors.copy(), logs.copy()
        work, free = (Hats.of(self.inv_d2[index], self.knots) for index in (self.work, self.estimate))
        for _ in range(ITERATIONS_WARM if warm else ITERATIONS_COLD):
            slope, bound = slopes(self.work, on_reflections(work, factors), on_reflections(work, logs))
            largest = 0.0
            for row, factor in enumerate(factors.copy()):
                step = _step(work, slope[row], bound[row], factor, SMOOTHING / 0.01, 1.0)
                factors[row] = np.clip(factor + np.clip(step, -0.2, 0.2), D_MIN, D_MAX)
                largest = max(largest, float(np.abs(factors[row] - factor).max()))
            slope, bound = slopes(self.estimate, on_reflections(free, factors), on_reflections(free, logs))
            for row, log in enumerate(logs.copy()):
                at = len(factors) + row
                step = _step(free, slope[at], bound[at], log, SMOOTHING, 1e-3)
                logs[row] = np.maximum(log + np.clip(step, -LOG_STEP, LOG_STEP), floors[row])
                largest = max(largest, 0.3 * float(np.abs(logs[row] - log).max()))
            if largest < 1e-3:
                break
        return factors, logs


def on_reflections(hats: Hats, values: F64) -> F64:
    """(p, n) of knot values (p, m)."""
    return np.stack([hats.value(row) for row in values])


def _step(hats: Hats, slope: F64, bound: F64, value: F64, smoothing: float, floor: float) -> F64:
    known = np.maximum(hats.information(slope**2), LEAST_SHARE * hats.information(bound))
    information, gradient = smoothed(known, hats.gradient(slope), value, smoothing)
    information[2] += floor
    return -solve_bands(information, gradient)


def plan_shells(
    inv_d2: F64, work: NDArray[np.bool_], free: NDArray[np.bool_], most_work: int | None = None
) -> ShellPlan:
    """Shells of equal numbers of the reflections ``work`` (n,) bool, as many as the ``free`` (n,) ones determine.

    Of the working reflections about ``most_work``, evenly through the resolution, are enough for factors, where every
    one of them costs a numerical integral.
    """
    work_index, free_index = np.flatnonzero(work), np.flatnonzero(free)
    uses_free = len(free_index) >= MIN_FREE
    estimate = free_index if uses_free else work_index
    n_shell = int(np.clip(len(estimate) // PER_SHELL, 1, MAX_SHELLS if uses_free else 20))
    centres = [shell.mean() for shell in np.array_split(np.sort(inv_d2[work_index]), n_shell)]
    if most_work is not None and len(work_index) > most_work:
        ordered = work_index[np.argsort(inv_d2[work_index], kind="stable")]
        work_index = np.sort(ordered[:: -(-len(ordered) // most_work)])
        estimate = estimate if uses_free else work_index
    return ShellPlan(inv_d2, work_index, estimate, np.unique(centres), uses_free)
