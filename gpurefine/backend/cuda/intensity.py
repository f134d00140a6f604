"""The cuda backend's likelihood of intensities."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..ops_intensity import Posterior, PosteriorResult
from ..plans import SigmaaResult
from ..posterior import posterior_result, posterior_sigmaa
from ..quadrature import BESSEL_END, BESSEL_STEPS, bessel_table, unit_nodes
from .base import DeviceOps
from .device import DeviceArray
from .values import DeviceValues


class IntensityOps(DeviceOps):
    """Results stay on the device if the structure factors are there."""

    def _posterior(
        self, i_obs: Any, sigma: Any, mean: Any, variance: Any, centric: Any, out: DeviceArray
    ) -> DeviceArray:
        """The integrals (5, n) in ``out``."""
        n = len(i_obs)
        nodes, weights = unit_nodes()
        table, node, weight = self.kept("quadrature", lambda: [
            self.fixed(part, np.float64) for part in (bessel_table(), nodes, weights)
        ], nodes)
        self.launch(
            "intensity", n, self.unchanged("i_obs", i_obs, np.float64),
            self.unchanged("sigma_i", sigma, np.float64), self.send("mean", mean, np.float64),
            self.send("variance", variance, np.float64), self.unchanged("centric", centric, np.bool_), np.int32(n),
            table, np.float64(BESSEL_STEPS), np.float64(BESSEL_END), node, weight, np.int32(len(nodes)), out,
        )
        return out

    def _prior(self, f: DeviceValues, d: Any, s: Any, epsilon: Any) -> tuple[DeviceArray, DeviceArray]:
        """Mean D|F_c| and variance εS (n,) on the device."""
        n = len(f)
        mean, variance = self.buffer("mean", n, np.float64), self.buffer("variance", n, np.float64)
        given = (f.array, None) if f.dtype == np.complex128 else (None, f.array)
        self.launch(
            "prior_of", n, *given, self.send("d", d, np.float64), self.send("s", s, np.float64),
            self.unchanged("epsilon", epsilon, np.float64), np.int32(n), mean, variance,
        )
        return mean, variance

    def intensity(
        self, i_obs: Any, sigma: Any, f_calc: Any, d: Any, s: Any, epsilon: Any, centric: Any, derivatives: bool
    ) -> PosteriorResult:
        """See :class:`gpurefine.backend.ops_intensity.IntensityOps`."""
        n = len(i_obs)
        if isinstance(f_calc, DeviceValues):
            return self._on_device(i_obs, sigma, f_calc, d, s, epsilon, centric, derivatives)
        variance = epsilon * s
        out = self.buffer("likelihood", (5, n), np.float64)
        self._posterior(i_obs, sigma, d * np.abs(f_calc), variance, centric, out)
        return posterior_result(
            Posterior(*self.device.download(out)), sigma, f_calc, d, variance, centric, derivatives
        )

    def _on_device(
        self, i_obs: Any, sigma: Any, f_calc: DeviceValues, d: Any, s: Any, epsilon: Any, centric: Any,
        derivatives: bool,
    ) -> PosteriorResult:
        n = len(i_obs)
        mean, variance = self._prior(f_calc, d, s, epsilon)
        integrals: Any = self.lend((5, n), np.float64)
        spectra: Any = self.lend((2, n), np.complex128)
        information: Any = self.lend(n, np.float64)
        self._posterior(i_obs, sigma, mean, variance, centric, integrals.array)
        self.launch(
            "posterior_result", n, integrals.array, self.unchanged("sigma_i", sigma, np.float64), f_calc.array,
            self.send("d", d, np.float64), variance, self.unchanged("centric", centric, np.bool_), np.int32(n),
            spectra[0].array, spectra[1].array if derivatives else None, information.array,
        )
        return PosteriorResult(integrals[0], spectra[1], information, integrals[4], integrals[1], spectra[0])

    def intensity_sigmaa(
        self, i_obs: Any, sigma: Any, fc_abs: Any, d: Any, s: Any, epsilon: Any, centric: Any
    ) -> SigmaaResult:
        """See :class:`gpurefine.backend.ops_intensity.IntensityOps`."""
        n = len(i_obs)
        if not isinstance(fc_abs, DeviceValues):
            variance = epsilon * s
            out = self.buffer("likelihood", (5, n), np.float64)
            self._posterior(i_obs, sigma, d * fc_abs, variance, centric, out)
            return posterior_sigmaa(Posterior(*self.device.download(out)), sigma, fc_abs, d, variance, centric)
        mean, variance = self._prior(fc_abs, d, s, epsilon)
        integrals: Any = self.lend((5, n), np.float64)
        lent: Any = self.lend((4, n), np.float64)
        self._posterior(i_obs, sigma, mean, variance, centric, integrals.array)
        self.launch(
            "posterior_sigmaa", n, integrals.array, self.unchanged("sigma_i", sigma, np.float64), fc_abs.array,
            self.send("d", d, np.float64), variance, self.unchanged("centric", centric, np.bool_), np.int32(n),
            lent.array,
        )
        return SigmaaResult(integrals[0], *(lent[k] for k in range(4)))
