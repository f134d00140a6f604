"""The cpu backend's likelihood of amplitudes with prior phases: the trapezoidal rule on the circle."""

from __future__ import annotations

import math

import numba as nb
import numpy as np
from numpy.typing import NDArray

from ..ops_phased import PhasedResult
from ..phase_algebra import phased_result, phased_sigmaa_result
from ..plans import SigmaaResult
from .bessel import log_i0_and_ratio
from .jit import njit
from .rows import Array
from .threads import Threads

F64 = NDArray[np.float64]
C128 = NDArray[np.complex128]

DENSITY = 6.5
"""Nodes on the circle for a concentration of 1; the error is exp(−DENSITY²/2) of the integral."""
LEAST_NODES = 24
MOST_NODES = 100_000
DROP = 25.0


@njit(error_model="numpy")
def _mode(r: float, theta: float, c: float) -> float:
    """Where r cos(β − θ) + c cos 2β has its highest maximum: between θ and the nearer of 0 and π."""
    axis = 0.0 if math.cos(theta) >= 0.0 else math.pi
    low, high = axis, axis + math.atan2(math.sin(theta - axis), math.cos(theta - axis))
    for _ in range(40):
        middle = 0.5 * (low + high)
        slope = -r * math.sin(middle - theta) - 2.0 * c * math.sin(2.0 * middle)
        if (slope > 0.0) == (high > axis):
            low = middle
        else:
            high = middle
    return 0.5 * (low + high)


@njit(parallel=True, cache=True, error_model="numpy")
def _circle(prior: Array, log_mean: Array, direction: Array) -> None:
    for n in nb.prange(prior.shape[1]):
        r, c = math.hypot(prior[0, n], prior[1, n]), math.hypot(prior[2, n], prior[3, n])
        phase = math.atan2(prior[1, n], prior[0, n])
        if c < 1e-12 * (1.0 + r):
            log_mean[n], m = log_i0_and_ratio(r)
            direction[n] = m * complex(math.cos(phase), math.sin(phase))
            continue
        turn = 0.5 * math.atan2(prior[3, n], prior[2, n])
        theta = phase - turn
        mode = _mode(r, theta, c)
        top = r * math.cos(mode - theta) + c * math.cos(2.0 * mode)
        count = int(min(max(LEAST_NODES, DENSITY * math.sqrt(r + 4.0 * c)), MOST_NODES)) + 1
        step = 2.0 * math.pi / count
        one_peak = r > 4.0 * c
        total, real, imaginary = 0.0, 0.0, 0.0
        for side in (1, -1):
            k = 0 if side == 1 else 1
            last = count // 2 if side == 1 else (count - 1) // 2
            while k <= last:
                beta = mode + side * k * step
                below = top - r * math.cos(beta - theta) - c * math.cos(2.0 * beta)
                k += 1
                if below > DROP:
                    if one_peak:
                        break
                    continue
                w = math.exp(-below)
                total += w
                real += w * math.cos(beta)
                imaginary += w * math.sin(beta)
        log_mean[n] = top + math.log(total / count)
        turned = complex(math.cos(turn), math.sin(turn))
        direction[n] = complex(real, imaginary) / total * turned


class PhasedOps(Threads):
    """Likelihood of amplitudes with prior phases compiled by numba."""

    def _circle(self, prior: F64) -> tuple[F64, C128]:
        n = prior.shape[1]
        self.use(1.0 * n)
        log_mean, direction = np.empty(n), np.empty(n, np.complex128)
        _circle(prior, log_mean, direction)
        return log_mean, direction

    def phased(
        self, f_obs: F64, sigma: F64, f_calc: C128, prior: F64, d: F64, s: F64, epsilon: F64,
        centric: NDArray[np.bool_], derivatives: bool,
    ) -> PhasedResult:
        """See :class:`gpurefine.backend.ops_phased.PhasedOps`."""
        return phased_result(self._circle, f_obs, sigma, f_calc, prior, d, s, epsilon, centric, derivatives)

    def phased_sigmaa(
        self, f_obs: F64, sigma: F64, f_calc: C128, prior: F64, d: F64, s: F64, epsilon: F64,
        centric: NDArray[np.bool_],
    ) -> SigmaaResult:
        """See :class:`gpurefine.backend.ops_phased.PhasedOps`."""
        return phased_sigmaa_result(self._circle, f_obs, sigma, f_calc, prior, d, s, epsilon, centric)
