"""The cpu backend's likelihoods of Friedel pairs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..anomalous_cases import empty_result, siras_by_cases
from ..information import DRAWS, DRAWS_SIRAS, drawn_errors, information_tables
from ..ops_anomalous import AnomalousResult
from ..ops_reflections import Array
from .sad import sad_kernel
from .siras import siras_kernel
from .threads import Threads

F64 = NDArray[np.float64]


class AnomalousOps(Threads):
    """Likelihoods compiled by numba."""

    def sad(
        self, f_obs: F64, sigma: F64, f_calc: NDArray[np.complex128], d: F64, s: F64, epsilon: F64,
        centric: NDArray[np.bool_], want_information: bool,
    ) -> AnomalousResult:
        """See :class:`gpurefine.backend.ops_anomalous.AnomalousOps`."""
        n = f_obs.shape[1]
        draws = DRAWS if want_information else 0
        self.use(5.0 * n * (1 + draws))
        table_a, table_c = information_tables()
        result = empty_result(n, 2, 2, 4)
        sad_kernel(
            f_obs, sigma, f_calc, d, s, epsilon, centric, table_a, table_c, drawn_errors(n, draws, 3),
            np.empty((4, n)), np.empty((4, n), np.complex128), result.minus_ll, result.gradient, result.information,
            result.phased, result.slope, result.bound,
        )
        return result

    def siras(
        self, f_obs: F64, sigma: F64, f_calc: NDArray[np.complex128], d: F64, s: F64, epsilon: F64,
        centric: NDArray[np.bool_], want_information: bool, scale: Array = None,
    ) -> AnomalousResult:
        """See :class:`gpurefine.backend.ops_anomalous.AnomalousOps`."""
        return siras_by_cases(
            self._joint, self.sad, f_obs, sigma, f_calc, d, s, epsilon, centric, want_information, scale
        )

    def _joint(
        self, f_obs: F64, sigma: F64, f_calc: NDArray[np.complex128], d: F64, s: F64, epsilon: F64,
        centric: NDArray[np.bool_], want_information: bool,
    ) -> AnomalousResult:
        n = f_obs.shape[1]
        draws = DRAWS_SIRAS if want_information else 0
        self.use(100.0 * n * (1 + draws))
        result = empty_result(n, 3, 3, 7)
        siras_kernel(
            f_obs, sigma, f_calc, d, s, epsilon, centric, drawn_errors(n, draws, 4), np.empty((11, n)),
            np.empty((10, n), np.complex128), result.minus_ll, result.gradient, result.information, result.phased,
            result.slope, result.bound,
        )
        return result
