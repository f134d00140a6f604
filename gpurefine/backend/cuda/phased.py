"""The cuda backend's likelihood of amplitudes with prior phases."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..information import TABLE_END
from ..ops_phased import PhasedResult
from ..plans import SigmaaResult
from .likelihood import TargetOps


class PhasedOps(TargetOps):
    """One thread a reflection, in which both integrals over the phase are summed."""

    def phased(
        self, f_obs: Any, sigma: Any, f_calc: Any, prior: Any, d: Any, s: Any, epsilon: Any, centric: Any,
        derivatives: bool,
    ) -> PhasedResult:
        """See :class:`gpurefine.backend.ops_phased.PhasedOps`."""
        n = len(f_obs)
        acentric, special = self._tables()
        # complex numbers must lie at multiples of 16 bytes
        out = self.buffer("likelihood", (6, n), np.float64)
        gradient, direction = (out[k : k + 2].reshape(-1).view(np.complex128) for k in (2, 0))
        self.launch(
            "phased", n, self.send("f_obs", f_obs, np.float64), self.send("sigma", sigma, np.float64),
            self.send("f_calc", f_calc, np.complex128), self.send("prior", prior, np.float64),
            self.send("d", d, np.float64), self.send("s", s, np.float64), self.send("epsilon", epsilon, np.float64),
            self.send("centric", centric, np.bool_), np.int32(n), acentric, special, np.int32(acentric.size),
            np.float64(TABLE_END), np.bool_(derivatives), out[4:5], gradient, out[5:6], direction,
        )
        host = self.device.download(out)
        direction, gradient = (host[k : k + 2].reshape(-1).view(np.complex128) for k in (0, 2))
        return PhasedResult(host[4], gradient, host[5], direction)

    def phased_sigmaa(
        self, f_obs: Any, sigma: Any, f_calc: Any, prior: Any, d: Any, s: Any, epsilon: Any, centric: Any
    ) -> SigmaaResult:
        """See :class:`gpurefine.backend.ops_phased.PhasedOps`."""
        n = len(f_obs)
        return self._sigmaa_of("phased_sigmaa", n, (
            self.unchanged("f_obs", f_obs, np.float64), self.unchanged("sigma", sigma, np.float64),
            self.unchanged("f_total", f_calc, np.complex128), self.send("prior", prior, np.float64),
            self.send("d", d, np.float64), self.send("s", s, np.float64),
            self.unchanged("epsilon", epsilon, np.float64), self.unchanged("centric", centric, np.bool_),
        ))
