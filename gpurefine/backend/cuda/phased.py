"""The cuda backend's likelihood of amplitudes with prior phases."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..information import TABLE_END
from ..ops_phased import PhasedResult
from ..plans import SigmaaResult
from .likelihood import TargetOps
from .values import DeviceValues


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
        lent: Any = self.lend((6, n), np.float64) if isinstance(f_calc, DeviceValues) else None
        out = self.buffer("likelihood", (6, n), np.float64) if lent is None else lent.array
        gradient, direction = (out[k : k + 2].reshape(-1).view(np.complex128) for k in (2, 0))
        self.launch(
            "phased", n, self.unchanged("f_obs", f_obs, np.float64), self.unchanged("sigma", sigma, np.float64),
            self.send("f_calc", f_calc, np.complex128), self.unchanged("prior", prior, np.float64),
            self.send("d", d, np.float64), self.send("s", s, np.float64),
            self.unchanged("epsilon", epsilon, np.float64), self.unchanged("centric", centric, np.bool_), np.int32(n),
            acentric, special, np.int32(acentric.size), np.float64(TABLE_END),
            np.bool_(derivatives), out[4:5], gradient, out[5:6], direction,
        )
        if lent is not None:
            return PhasedResult(lent[4], lent.part(gradient), lent[5], lent.part(direction))
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
            self.unchanged("f_total", f_calc, np.complex128), self.unchanged("prior", prior, np.float64),
            self.send("d", d, np.float64), self.send("s", s, np.float64),
            self.unchanged("epsilon", epsilon, np.float64), self.unchanged("centric", centric, np.bool_),
        ), isinstance(f_calc, DeviceValues))
