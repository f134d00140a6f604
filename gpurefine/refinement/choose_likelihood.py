"""Which likelihood serves what was measured."""

from __future__ import annotations

from ..backend.ops import Backend
from ..model.anomalous import AnomalousInput, Derivative
from ..model.crystal import Crystal
from ..model.measured import Measured
from ..model.reflections import Reflections
from ..target.intensity import plan_intensity
from ..target.likelihood import Likelihood
from ..target.phased import plan_phased
from ..target.rice import plan_rice
from ..target.sad import plan_sad
from ..target.siras import plan_siras
from ..target.twin import plan_twin


def choose_likelihood(
    backend: Backend,
    crystal: Crystal,
    reflections: Reflections,
    anomalous: AnomalousInput | None = None,
    measured: Measured | None = None,
    derivative: Derivative | None = None,
) -> Likelihood:
    """SIRAS with a derivative, SAD of Friedel pairs if they are to be refined against; else that of a twin, of
    intensities, of amplitudes with prior phases, or Rice of amplitudes."""
    if derivative is not None:
        return plan_siras(backend, crystal, reflections, derivative)
    if anomalous is not None:
        return plan_sad(backend, reflections, anomalous.pairs, anomalous.rows.refined)
    if measured is not None and measured.twin is not None:
        return plan_twin(backend, reflections, measured.twin)
    if reflections.intensity is not None:
        return plan_intensity(backend, reflections)
    if measured is not None and measured.prior is not None:
        return plan_phased(backend, reflections, measured.prior)
    return plan_rice(backend, reflections)
