"""Measured intensities, the true amplitude integrated out (method 4.2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..backend.ops import Backend
from ..backend.ops_intensity import PosteriorResult
from ..backend.ops_reflections import Array
from ..backend.plans import SigmaaResult
from ..model.reflections import Reflections
from .likelihood import Coefficients, ErrorValues
from .one_model import OneModelLikelihood, amplitude_estimator, posterior_coefficients
from .selection import Selection
from .sigmaa import SigmaAEstimator

F64 = NDArray[np.float64]
C128 = NDArray[np.complex128]
Index = NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class IntensityEstimator(SigmaAEstimator):
    """D and Σ_mod by the likelihood of intensities, which ``measured`` holds."""

    def derivatives(self, chosen: tuple[NDArray[Any], ...], f: Array, d: Array, s: Array) -> SigmaaResult:
        """See :meth:`SigmaAEstimator.derivatives`."""
        intensity, sigma, epsilon, centric = chosen
        return self.backend.intensity_sigmaa(intensity, sigma, f, d, s, epsilon, centric)


@dataclass(frozen=True, slots=True, eq=False)
class IntensityLikelihood(OneModelLikelihood):
    """The likelihood of one list of intensities.

    Attributes:
        reflections: with intensities; their amplitudes are French–Wilson amplitudes, which the scale is fitted to and
            R factors are of.
        estimator: of D and Σ_mod.
        measured: intensities, uncertainties, ε and centric flags of chosen reflections.
    """

    resident: ClassVar[bool] = True
    backend: Backend
    reflections: Reflections
    estimator: IntensityEstimator
    measured: Selection
    n_model: int = 1

    def _call(self, values: ErrorValues, f_total: Array, index: Index, derivatives: bool) -> PosteriorResult:
        intensity, sigma, epsilon, centric = self.measured.at(index)
        f, d, s = (self.backend.take(part, index) for part in (f_total[0], values.d, values.s))
        return self.backend.intensity(intensity, sigma, f, d, s, epsilon, centric, derivatives)

    def coefficients(self, values: ErrorValues, f_total: C128) -> Coefficients:
        """As for amplitudes, with the posterior mean ⟨F exp(iφ)⟩ in the place of mF_o."""
        r = self.reflections
        index = np.flatnonzero(r.observed)
        found = self._call(values, f_total, index, False)
        best, fom = np.zeros(len(r), np.complex128), np.zeros(len(r))
        best[index], fom[index] = found.best, found.fom
        return posterior_coefficients(r, best, fom, values.d * f_total[0])


def plan_intensity(backend: Backend, reflections: Reflections) -> IntensityLikelihood:
    """The likelihood of the intensities of ``reflections``, which must have them."""
    r = reflections
    assert r.intensity is not None and r.sigma_intensity is not None
    plain = amplitude_estimator(backend, r)
    columns = (
        np.where(r.observed, r.intensity, 0.0), np.where(r.observed, r.sigma_intensity, 1.0), r.epsilon, r.centric
    )
    own = {name: getattr(plain, name) for name in plain.__dataclass_fields__}
    estimator = IntensityEstimator(**{**own, "measured": Selection(*columns)})
    return IntensityLikelihood(backend, r, estimator, Selection(*columns))
