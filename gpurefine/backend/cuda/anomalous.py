"""The cuda backend's likelihood of Friedel pairs."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..information import DRAWS, TABLE_END, drawn_errors, information_tables
from ..ops_anomalous import AnomalousResult
from .base import DeviceOps


class AnomalousOps(DeviceOps):
    """One thread a pair."""

    def sad(
        self, f_obs: Any, sigma: Any, f_calc: Any, d: Any, s: Any, epsilon: Any, centric: Any, want_information: bool
    ) -> AnomalousResult:
        """See :class:`gpurefine.backend.ops_anomalous.AnomalousOps`."""
        n = f_obs.shape[1]
        draws = DRAWS if want_information else 0
        tables = information_tables()
        acentric, special = self.kept(
            "information", lambda: [self.fixed(table, np.float64) for table in tables], *tables
        )
        errors = self.buffer("sad.errors", (draws, 3, n), np.complex128) if draws else None
        if draws and self._drawn != n:
            self.device.upload(drawn_errors(n, draws, 3), errors)
            self._drawn = n
        real = self.buffer("sad.real", (11, n), np.float64)
        spectra = self.buffer("sad.spectra", (4, n), np.complex128)
        self.launch(
            "sad", n, self.send("sad.f_obs", f_obs, np.float64), self.send("sad.sigma", sigma, np.float64),
            self.send("sad.f_calc", f_calc, np.complex128), self.send("sad.d", d, np.float64),
            self.send("sad.s", s, np.float64), self.send("epsilon", epsilon, np.float64),
            self.send("centric", centric, np.bool_), np.int32(n), acentric, special, np.int32(len(tables[0])),
            np.float64(TABLE_END), errors, np.int32(draws), real, spectra, block=64,
        )
        values, complexes = self.device.download(real), self.device.download(spectra)
        return AnomalousResult(values[0], complexes[:2], values[1:3], complexes[2:], values[3:7], values[7:])

    _drawn = -1
    """Number of reflections that the buffer of simulated errors was filled for."""
