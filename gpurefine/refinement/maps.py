"""Map coefficients (paper 2.3; Read 1986): 2mFo−DFc and mFo−DFc with the rules for centric and missing reflections."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..model.records import MapCoefficients
from .experiment import Experiment


def figures_of_merit(experiment: Experiment, f_protein: NDArray[np.complex128]) -> NDArray[np.float64]:
    """m (n,) of every reflection, 0 where nothing was observed."""
    index = np.flatnonzero(experiment.reflections.observed)
    fom = np.zeros(len(experiment.reflections))
    fom[index] = experiment.likelihood(f_protein, index, False).fom
    return fom


def map_coefficients(experiment: Experiment, f_protein: NDArray[np.complex128]) -> MapCoefficients:
    """Coefficients on the scale of F_obs, phases of F_total.

    2mF_o − D F_c (acentric) or mF_o (centric), mF_o − D F_c; where nothing was observed D F_c fills in and the
    difference is 0.
    """
    fit = experiment.fit
    assert fit is not None
    r = experiment.reflections
    fom = figures_of_merit(experiment, f_protein)
    total = fit.scaled.total
    amplitude = np.abs(total)
    direction = np.divide(total, amplitude, out=np.ones_like(total), where=amplitude > 0.0)
    calculated = fit.d * amplitude
    measured = fom * experiment.f_obs
    observed = r.observed
    best = np.where(r.centric, measured, 2.0 * measured - calculated)
    fwt = np.where(observed, best, calculated) * direction
    delfwt = np.where(observed, measured - calculated, 0.0) * direction
    return MapCoefficients(fwt, delfwt, fit.scaled.factor * f_protein, total, fom)
