"""Which likelihood serves what was measured."""

from __future__ import annotations

from ..backend.ops import Backend
from ..model.anomalous import AnomalousInput
from ..model.reflections import Reflections
from ..target.likelihood import Likelihood
from ..target.rice import plan_rice
from ..target.sad import plan_sad


def choose_likelihood(
    backend: Backend, reflections: Reflections, anomalous: AnomalousInput | None = None
) -> Likelihood:
    """SAD of Friedel pairs if they are to be refined against, else Rice of amplitudes."""
    if anomalous is not None:
        return plan_sad(backend, reflections, anomalous.pairs, anomalous.rows.refined)
    return plan_rice(backend, reflections)
