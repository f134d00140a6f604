"""What refinement has found about anomalous scattering, in words."""

from __future__ import annotations

from ..model.anomalous import AnomalousInput
from .experiment import Experiment


def refined_factors(experiment: Experiment, anomalous: AnomalousInput | None) -> list[str]:
    """A sentence on each f″ that was refined."""
    if anomalous is None or not anomalous.rows.refined.any():
        return []
    rows = anomalous.rows
    multiplier = experiment.fitted.errors.multiplier
    told = []
    for name, f_second, factor, refined in zip(rows.names, rows.f_second, multiplier, rows.refined, strict=True):
        if refined:
            start = float(f_second.max())
            told.append(f"f″ of {name}: {start:.2f} electrons at the start, {start * factor:.2f} refined.")
    return told
