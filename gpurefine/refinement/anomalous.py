"""What refinement has found about anomalous scattering, in words."""

from __future__ import annotations

import numpy as np

from ..model.anomalous import AnomalousInput, Derivative
from .data_parameters import data_records
from .experiment import Experiment
from .objective import Objective


def in_words(
    objective: Objective, anomalous: AnomalousInput | None, derivative: Derivative | None
) -> list[str]:
    """A sentence on each f″ and on each heavy-atom site that was refined."""
    return [*refined_factors(objective, anomalous), *refined_sites(objective.experiment, derivative)]


def refined_factors(objective: Objective, anomalous: AnomalousInput | None) -> list[str]:
    """A sentence on each f″ that was refined."""
    if anomalous is None:
        return []
    start = dict(zip(anomalous.rows.names, anomalous.rows.f_second, strict=True))
    return [
        f"f″ of {record.name}: {float(start[record.name].max()):.2f} electrons at the start, {record.value:.2f} "
        f"refined (standard uncertainty {record.uncertainty:.3f})."
        for record in data_records(objective.experiment, objective.data) if record.kind == "f″"
    ]


def refined_sites(experiment: Experiment, derivative: Derivative | None) -> list[str]:
    """A sentence on every heavy-atom site: place, B and occupancy on the absolute scale."""
    if derivative is None:
        return []
    sites, s2 = experiment.fitted.errors.sites, experiment.reflections.inv_d2
    # a site holds the native's scale as well: k exp(−B s²/4)
    slope, log_k = np.polyfit(s2, np.log(np.abs(np.asarray(experiment.fitted.scaled.factor))), 1)
    told = []
    for name, (x, y, z, b, q) in zip(derivative.names, sites, strict=True):
        told.append(
            f"Derivative: {name.capitalize()} at {x:.4f} {y:.4f} {z:.4f} (fractions of the cell), "
            f"B {b + 4.0 * slope:.1f} Å², occupancy {q / np.exp(log_k):.2f}."
        )
    return told
