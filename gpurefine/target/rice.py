"""Amplitudes under Rice's distribution (paper (4)–(5); method 4.1), the likelihood of most refinements."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ..backend.ops import Backend
from ..backend.ops_reflections import Array
from ..backend.plans import LikelihoodResult
from ..model.reflections import Reflections
from .likelihood import Coefficients, ErrorValues
from .one_model import OneModelLikelihood, amplitude_estimator, posterior_coefficients
from .selection import Selection
from .sigmaa import SigmaAEstimator

C128 = NDArray[np.complex128]
Index = NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class RiceLikelihood(OneModelLikelihood):
    """Rice's likelihood of one list of reflections.

    Attributes:
        reflections: what was measured.
        estimator: of D and Σ_mod.
        measured: amplitudes, uncertainties, ε and centric flags of chosen reflections.
    """

    resident: ClassVar[bool] = True
    backend: Backend
    reflections: Reflections
    estimator: SigmaAEstimator
    measured: Selection
    n_model: int = 1

    def _call(self, values: ErrorValues, f_total: Array, index: Index, derivatives: bool) -> LikelihoodResult:
        f_obs, sigma, epsilon, centric = self.measured.at(index)
        f, d, s = (self.backend.take(part, index) for part in (f_total[0], values.d, values.s))
        return self.backend.rice(f_obs, sigma, f, d, s, epsilon, centric, derivatives)

    def coefficients(self, values: ErrorValues, f_total: C128) -> Coefficients:
        """2mF_o − DF_c (acentric) or mF_o (centric), mF_o − DF_c (Read 1986); DF_c where nothing was observed."""
        r = self.reflections
        index = np.flatnonzero(r.observed)
        fom = np.zeros(len(r))
        fom[index] = self._call(values, f_total, index, False).fom
        total = f_total[0]
        amplitude = np.abs(total)
        direction = np.divide(total, amplitude, out=np.ones_like(total), where=amplitude > 0.0)
        return posterior_coefficients(r, fom * self.f_obs * direction, fom, values.d * total)


def plan_rice(backend: Backend, reflections: Reflections) -> RiceLikelihood:
    """Rice's likelihood of the amplitudes of ``reflections``."""
    estimator = amplitude_estimator(backend, reflections)
    measured = Selection(estimator.f_obs, estimator.sigma, reflections.epsilon, reflections.centric)
    return RiceLikelihood(backend, reflections, estimator, measured)
