"""The cuda backend's likelihoods."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..information import TABLE_END, information_tables
from ..plans import LikelihoodResult, SigmaaResult
from .base import DeviceOps


class TargetOps(DeviceOps):
    """Likelihoods per reflection."""

    def rice(
        self, f_obs: Any, sigma: Any, f_calc: Any, d: Any, s: Any, epsilon: Any, centric: Any, derivatives: bool
    ) -> LikelihoodResult:
        """See :class:`gpurefine.backend.ops.TargetOps`."""
        n = len(f_obs)
        tables = information_tables()
        acentric, special = self.kept(
            "information", lambda: [self.fixed(table, np.float64) for table in tables], *tables
        )
        # the gradient comes first: complex numbers must lie at multiples of 16 bytes
        out = self.buffer("likelihood", (5, n), np.float64)
        self.launch(
            "rice", n, self.unchanged("f_obs", f_obs, np.float64), self.unchanged("sigma", sigma, np.float64),
            self.send("f_calc", f_calc, np.complex128), self.unchanged("d", d, np.float64),
            self.unchanged("s", s, np.float64), self.unchanged("epsilon", epsilon, np.float64),
            self.unchanged("centric", centric, np.bool_), np.int32(n), acentric, special, np.int32(len(tables[0])),
            np.float64(TABLE_END), np.bool_(derivatives), out[3:4], out[:2].reshape(-1).view(np.complex128), out[2:3],
            out[4:5],
        )
        if not derivatives:
            minus_ll, fom = self.device.download(out[3:])
            return LikelihoodResult(minus_ll, np.zeros(n, np.complex128), np.zeros(n), fom)
        host = self.device.download(out)
        return LikelihoodResult(host[3], host[:2].reshape(-1).view(np.complex128), host[2], host[4])

    def rice_sigmaa(
        self, f_obs: Any, sigma: Any, fc_abs: Any, d: Any, s: Any, epsilon: Any, centric: Any
    ) -> SigmaaResult:
        """See :class:`gpurefine.backend.ops.TargetOps`."""
        n = len(f_obs)
        out = self.buffer("likelihood", (5, n), np.float64)
        self.launch(
            "rice_sigmaa", n, self.unchanged("f_obs", f_obs, np.float64), self.unchanged("sigma", sigma, np.float64),
            self.unchanged("fc_abs", fc_abs, np.float64), self.send("d", d, np.float64), self.send("s", s, np.float64),
            self.unchanged("epsilon", epsilon, np.float64), self.unchanged("centric", centric, np.bool_), np.int32(n),
            out,
        )
        return SigmaaResult(*self.device.download(out))
