"""What the likelihoods share whose model is one row of structure factors with the error model D and Σ_mod."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from ..backend.ops import Backend
from ..backend.ops_reflections import Array
from ..model.reflections import Reflections
from .likelihood import Coefficients, ErrorValues, Evaluation
from .sigmaa import SigmaA, SigmaAEstimator, plan_sigmaa

F64 = NDArray[np.float64]
C128 = NDArray[np.complex128]
Index = NDArray[np.intp]


class Found(Protocol):
    """What an operation says of each reflection asked for, (k,)."""

    @property
    def minus_ll(self) -> Array: ...  # noqa: D102

    @property
    def gradient(self) -> Array: ...  # noqa: D102

    @property
    def information(self) -> Array: ...  # noqa: D102


class OneModelLikelihood:
    """Everything but the operation itself and the maps.

    Attributes:
        reflections: what was measured.
        estimator: of D and Σ_mod, with the amplitudes that the scale is fitted to.
    """

    __slots__ = ()

    resident: ClassVar[bool] = False
    backend: Backend
    reflections: Reflections
    estimator: SigmaAEstimator

    @abstractmethod
    def _call(self, values: ErrorValues, f_total: Array, index: Index, derivatives: bool) -> Found:
        """The likelihood's operation on the reflections ``index`` (k,)."""

    @property
    def uses_free(self) -> bool:
        """Whether the free set determines Σ_mod."""
        return self.estimator.uses_free

    @property
    def f_obs(self) -> F64:
        """Amplitudes (n,), 0 where nothing was observed; of intensities those by French and Wilson."""
        return self.estimator.f_obs

    def scale_target(self, f_total: Array | None, values: ErrorValues | None) -> F64:
        """F_obs."""
        return self.f_obs

    def fit(self, f_total: Array, k_aniso: Array, start: SigmaA | None) -> SigmaA:
        """D and Σ_mod by maximum likelihood."""
        return self.estimator.fit(self.backend.magnitude(f_total[0]), k_aniso, start)

    def values(self, errors: SigmaA, k_aniso: Array) -> ErrorValues:
        """D and k_aniso² Σ_mod (n,)."""
        inv_d2 = self.reflections.inv_d2
        return ErrorValues(*self.backend.error_values(inv_d2, errors.knots, errors.d, errors.log_s, k_aniso))

    def evaluate(self, values: ErrorValues, f_total: Array, index: Index, derivatives: bool) -> Evaluation:
        """−LL of the reflections ``index`` (k,)."""
        found = self._call(values, f_total, index, derivatives)
        if not derivatives:
            return Evaluation(found.minus_ll, np.zeros((1, 0), np.complex128), np.zeros((1, 0)))
        put, n = self.backend.put, len(self.reflections)
        return Evaluation(found.minus_ll, put(found.gradient, index, n)[None], put(found.information, index, n)[None])

    def amplitudes(self, values: ErrorValues, f_total: Array) -> Array:
        """|F_total|."""
        return self.backend.magnitude(f_total[0])


def posterior_coefficients(reflections: Reflections, best: C128, fom: F64, calculated: C128) -> Coefficients:
    """2⟨F⟩ − DF_c (acentric) or ⟨F⟩ (centric), and ⟨F⟩ − DF_c, of posterior means ⟨F exp(iφ)⟩ = ``best`` (n,); DF_c =
    ``calculated`` (n,) where nothing was observed."""
    observed = reflections.observed
    fwt = np.where(observed, np.where(reflections.centric, best, 2.0 * best - calculated), calculated)
    return Coefficients(fwt, np.where(observed, best - calculated, 0.0), fom)


def amplitude_estimator(backend: Backend, reflections: Reflections) -> SigmaAEstimator:
    """D and Σ_mod of the amplitudes of ``reflections``, which are 0 with uncertainty 1 where nothing was observed."""
    r = reflections
    f_obs = np.where(r.observed, r.f, 0.0)
    sigma = np.where(r.observed, r.sigma, 1.0)
    return plan_sigmaa(backend, f_obs, sigma, r.epsilon, r.centric, r.inv_d2, r.work, r.free)
