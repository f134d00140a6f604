"""Measured intensities, the true amplitude integrated out (method 4.2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..backend.ops import Backend
from ..backend.ops_intensity import PosteriorResult
from ..backend.plans import SigmaaResult
from ..model.reflections import Reflections
from .likelihood import Coefficients, ErrorValues
from .one_model import OneModelLikelihood, amplitude_estimator, posterior_coefficients
from .sigmaa import SigmaAEstimator

F64 = NDArray[np.float64]
C128 = NDArray[np.complex128]
Index = NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class IntensityEstimator(SigmaAEstimator):
    """D and Σ_mod by the likelihood of intensities ``intensity`` (n,) with uncertainties ``sigma_intensity`` (n,)."""

    intensities: Backend
    intensity: F64
    sigma_intensity: F64

    def columns(self, f_total: C128 | F64, k_aniso: F64) -> tuple[NDArray[Any], ...]:
        """See :meth:`SigmaAEstimator.columns`."""
        return k_aniso**2, self.intensity, self.sigma_intensity, np.abs(f_total), self.epsilon, self.centric

    def derivatives(self, chosen: tuple[NDArray[Any], ...], d: F64, s: F64) -> SigmaaResult:
        """See :meth:`SigmaAEstimator.derivatives`."""
        return self.intensities.intensity_sigmaa(chosen[1], chosen[2], chosen[3], d, s, chosen[4], chosen[5])


@dataclass(frozen=True, slots=True, eq=False)
class IntensityLikelihood(OneModelLikelihood):
    """The likelihood of one list of intensities.

    Attributes:
        reflections: with intensities; their amplitudes are French–Wilson amplitudes, which the scale is fitted to and
            R factors are of.
        estimator: of D and Σ_mod.
    """

    backend: Backend
    reflections: Reflections
    estimator: IntensityEstimator
    n_model: int = 1

    def _call(self, values: ErrorValues, f_total: C128, index: Index, derivatives: bool) -> PosteriorResult:
        r, e = self.reflections, self.estimator
        return self.backend.intensity(
            e.intensity[index], e.sigma_intensity[index], f_total[0, index], values.d[index], values.s[index],
            r.epsilon[index], r.centric[index], derivatives,
        )

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
    estimator = IntensityEstimator(
        **{name: getattr(plain, name) for name in plain.__dataclass_fields__},
        intensities=backend,
        intensity=np.where(r.observed, r.intensity, 0.0),
        sigma_intensity=np.where(r.observed, r.sigma_intensity, 1.0),
    )
    return IntensityLikelihood(backend, r, estimator)
