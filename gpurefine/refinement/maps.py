"""Map coefficients of the final model (paper 2.3)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..model.records import MapCoefficients
from .experiment import Experiment


def map_coefficients(experiment: Experiment, f_calc: NDArray[np.complex128]) -> MapCoefficients:
    """Coefficients on the scale of F_obs for the atoms of the last update, whose F are ``f_calc`` (n_model, n)."""
    fit = experiment.fitted
    found = experiment.likelihood.coefficients(fit.values, fit.f_total)
    return MapCoefficients(
        found.fwt, found.delfwt, fit.scaled.factor * f_calc[0], fit.f_total[0], found.fom, found.extra
    )
