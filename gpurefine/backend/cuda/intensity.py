"""The cuda backend's likelihood of intensities."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..ops_intensity import Posterior, PosteriorResult
from ..plans import SigmaaResult
from ..posterior import posterior_result, posterior_sigmaa
from ..quadrature import BESSEL_END, BESSEL_STEPS, bessel_table, unit_nodes
from .base import DeviceOps


class IntensityOps(DeviceOps):
    """The integrals on the device, what follows from their means on the host."""

    def _posterior(self, i_obs: Any, sigma: Any, mean: Any, variance: Any, centric: Any) -> Posterior:
        n = len(i_obs)
        nodes, weights = unit_nodes()
        table, node, weight = self.kept("quadrature", lambda: [
            self.fixed(part, np.float64) for part in (bessel_table(), nodes, weights)
        ], nodes)
        out = self.buffer("likelihood", (5, n), np.float64)
        self.launch(
            "intensity", n, self.send("f_obs", i_obs, np.float64), self.send("sigma", sigma, np.float64),
            self.send("fc_abs", mean, np.float64), self.send("s", variance, np.float64),
            self.send("centric", centric, np.bool_), np.int32(n), table, np.float64(BESSEL_STEPS),
            np.float64(BESSEL_END), node, weight, np.int32(len(nodes)), out,
        )
        return Posterior(*self.device.download(out))

    def intensity(
        self, i_obs: Any, sigma: Any, f_calc: Any, d: Any, s: Any, epsilon: Any, centric: Any, derivatives: bool
    ) -> PosteriorResult:
        """See :class:`gpurefine.backend.ops_intensity.IntensityOps`."""
        variance = epsilon * s
        posterior = self._posterior(i_obs, sigma, d * np.abs(f_calc), variance, centric)
        return posterior_result(posterior, sigma, f_calc, d, variance, centric, derivatives)

    def intensity_sigmaa(
        self, i_obs: Any, sigma: Any, fc_abs: Any, d: Any, s: Any, epsilon: Any, centric: Any
    ) -> SigmaaResult:
        """See :class:`gpurefine.backend.ops_intensity.IntensityOps`."""
        variance = epsilon * s
        posterior = self._posterior(i_obs, sigma, d * fc_abs, variance, centric)
        return posterior_sigmaa(posterior, sigma, fc_abs, d, variance, centric)
