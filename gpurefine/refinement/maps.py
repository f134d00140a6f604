"""Map coefficients of the final model (paper 2.3)."""

from __future__ import annotations

import numpy as np

from ..backend.ops_reflections import Array
from ..model.records import MapCoefficients
from .experiment import Experiment


def map_coefficients(experiment: Experiment, f_calc: Array) -> MapCoefficients:
    """Coefficients on the scale of F_obs for the atoms of the last update, whose F are ``f_calc`` (n_model, n)."""
    fit = experiment.fit_on_host()
    found = experiment.likelihood.coefficients(fit.values, fit.f_total)
    return MapCoefficients(
        found.fwt, found.delfwt, fit.scaled.factor * np.asarray(f_calc[0]), fit.f_total[0], found.fom, found.extra
    )
