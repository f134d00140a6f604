"""Numbers that several output files quote, worked out once from the report and the data."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..model.records import CycleRecord, Report
from .reflections import DataSet


@dataclass(frozen=True, slots=True)
class Summary:
    """Final statistics.

    Attributes:
        final: the last cycle.
        r_all: R over work and free reflections together, None where unknown.
        n_obs: reflections used, work and free; n_possible: those there could be between the limits.
        percent_free: of ``n_obs``; completeness: per cent of ``n_possible``.
    """

    final: CycleRecord
    r_all: float | None
    n_obs: int
    n_possible: int
    percent_free: float
    completeness: float


def summarise(report: Report, dataset: DataSet) -> Summary:
    """Collect the numbers; ``report`` has at least one cycle record or statistics stay None."""
    final = report.cycles[-1] if report.cycles else CycleRecord(0)
    n_obs = report.n_work + report.n_free
    n_possible = len(dataset.reflections)
    return Summary(
        final=final,
        r_all=_r_all(final, dataset),
        n_obs=n_obs,
        n_possible=n_possible,
        percent_free=100.0 * report.n_free / max(n_obs, 1),
        completeness=100.0 * n_obs / max(n_possible, 1),
    )


def _r_all(final: CycleRecord, dataset: DataSet) -> float | None:
    """R of all reflections: numerators of the work and the free R added, over the sum of all amplitudes."""
    reflections = dataset.reflections
    work = float(np.sum(reflections.f[reflections.work]))
    free = float(np.sum(reflections.f[reflections.free]))
    if final.r_work is None or work + free <= 0.0:
        return None
    if free == 0.0:
        return final.r_work
    return None if final.r_free is None else (final.r_work * work + final.r_free * free) / (work + free)
