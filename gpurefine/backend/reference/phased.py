"""The reference backend's likelihood of amplitudes with prior phases: dense sums over the phase."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..ops_phased import PhasedResult
from ..phase_algebra import phased_result, phased_sigmaa_result
from ..plans import SigmaaResult

F64 = NDArray[np.float64]
C128 = NDArray[np.complex128]

NODES = 8192
REACH = 12.0
"""Standard deviations on either side of the maximum that a single sharp peak is summed over."""


def mean_phase(prior: F64) -> tuple[F64, C128]:
    """ln ∫exp(A cos φ + B sin φ + C cos 2φ + D sin 2φ)dφ/2π and ⟨exp(iφ)⟩ (n,) of coefficients (4, n)."""
    log_mean, direction = np.empty(prior.shape[1]), np.empty(prior.shape[1], np.complex128)
    for n, (a, b, c, d) in enumerate(prior.T):
        r, second = np.hypot(a, b), np.hypot(c, d)
        middle, width = np.arctan2(b, a), np.pi
        if r > 1e4 + 100.0 * second:
            # one narrow peak, shifted little from the phase of A + iB
            middle += 2.0 * (d * np.cos(2.0 * middle) - c * np.sin(2.0 * middle)) / r
            width = REACH / np.sqrt(r - 4.0 * second)
        phi = middle + width * (2.0 * np.arange(NODES) / NODES - 1.0)
        exponent = a * np.cos(phi) + b * np.sin(phi) + c * np.cos(2.0 * phi) + d * np.sin(2.0 * phi)
        top = exponent.max()
        p = np.exp(exponent - top)
        log_mean[n] = top + np.log(p.mean() * width / np.pi)
        direction[n] = (p * np.exp(1j * phi)).sum() / p.sum()
    return log_mean, direction


class PhasedOps:
    """Likelihood of amplitudes with prior phases in NumPy."""

    def phased(
        self, f_obs: F64, sigma: F64, f_calc: C128, prior: F64, d: F64, s: F64, epsilon: F64,
        centric: NDArray[np.bool_], derivatives: bool,
    ) -> PhasedResult:
        """See :class:`gpurefine.backend.ops_phased.PhasedOps`."""
        return phased_result(mean_phase, f_obs, sigma, f_calc, prior, d, s, epsilon, centric, derivatives)

    def phased_sigmaa(
        self, f_obs: F64, sigma: F64, f_calc: C128, prior: F64, d: F64, s: F64, epsilon: F64,
        centric: NDArray[np.bool_],
    ) -> SigmaaResult:
        """See :class:`gpurefine.backend.ops_phased.PhasedOps`."""
        return phased_sigmaa_result(mean_phase, f_obs, sigma, f_calc, prior, d, s, epsilon, centric)
