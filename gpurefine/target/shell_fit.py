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

from ..backend.ops_curves import CurveOps, CurveSums
from ..backend.ops_reflections import Array
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


@dataclass(frozen=True, slots=True, eq=False)
class ShellPart:
    """Some reflections: their ``index`` (k,) and interpolation from the knots."""

    index: Index
    hats: Hats


Slopes = Callable[[ShellPart, F64, F64], tuple[Array, Array]]
"""Derivatives of −LL and bounds on the information (p + q, k) of the reflections of a part, given p factors (p, m) and
q logarithms of variances (q, m) at the knots."""


@dataclass(frozen=True, slots=True, eq=False)
class ShellPlan:
    """Shells for one list of reflections.

    Attributes:
        backend: performs the sums.
        knots: (m,) 1/d² in Å⁻²; whole: interpolation from them for all reflections.
        work, free: the reflections that determine factors and variances, the latter free ones where there are enough
            of them (``uses_free``).
    """

    backend: CurveOps
    knots: F64
    whole: Hats
    work: ShellPart
    free: ShellPart
    uses_free: bool

    def fit(self, slopes: Slopes, factors: F64, logs: F64, floors: F64, warm: bool) -> tuple[F64, F64]:
        """Maximise from ``factors`` (p, m) and ``logs`` (q, m); the result has the same shapes.

        ``floors`` (q, m): lower bounds of ``logs``.  ``warm``: they come from the last cycle, and a few steps do.
        """
        factors, logs = factors.copy(), logs.copy()
        p, q = len(factors), len(logs)
        for _ in range(ITERATIONS_WARM if warm else ITERATIONS_COLD):
            sums = self.backend.curve_sums(self.work.hats, *slopes(self.work, factors, logs), 0, p)
            largest = 0.0
            for row, factor in enumerate(factors.copy()):
                step = _step(sums, row, factor, SMOOTHING / 0.01, 1.0)
                factors[row] = np.clip(factor + np.clip(step, -0.2, 0.2), D_MIN, D_MAX)
                largest = max(largest, float(np.abs(factors[row] - factor).max()))
            sums = self.backend.curve_sums(self.free.hats, *slopes(self.free, factors, logs), p, q)
            for row, log in enumerate(logs.copy()):
                step = _step(sums, row, log, SMOOTHING, 1e-3)
                logs[row] = np.maximum(log + np.clip(step, -LOG_STEP, LOG_STEP), floors[row])
                largest = max(largest, 0.3 * float(np.abs(logs[row] - log).max()))
            if largest < 1e-3:
                break
        return factors, logs


def _step(sums: CurveSums, row: int, value: F64, smoothing: float, floor: float) -> F64:
    known = np.maximum(sums.square[row], LEAST_SHARE * sums.bound[row])
    information, gradient = smoothed(known, sums.gradient[row], value, smoothing)
    information[2] += floor
    return -solve_bands(information, gradient)


def plan_shells(
    backend: CurveOps, inv_d2: F64, work: NDArray[np.bool_], free: NDArray[np.bool_], most_work: int | None = None
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
    knots = np.unique(centres)
    work_part = ShellPart(work_index, Hats.of(inv_d2[work_index], knots))
    free_part = work_part if estimate is work_index else ShellPart(estimate, Hats.of(inv_d2[estimate], knots))
    return ShellPlan(backend, knots, Hats.of(inv_d2, knots), work_part, free_part, uses_free)
