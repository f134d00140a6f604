"""The cuda backend's likelihoods of Friedel pairs."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..anomalous_cases import siras_by_cases
from ..information import DRAWS, DRAWS_SIRAS, TABLE_END, drawn_errors, information_tables
from ..ops_anomalous import AnomalousResult
from .base import DeviceOps
from .device import DeviceArray

KNOWN = 26
"""Numbers that siras_triples leaves of a reflection (Known in kernels/siras.cuh)."""


class AnomalousOps(DeviceOps):
    """One thread a pair, one warp a native with a pair."""

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
        errors = self._errors("sad.errors", n, draws, 3)
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

    def siras(
        self, f_obs: Any, sigma: Any, f_calc: Any, d: Any, s: Any, epsilon: Any, centric: Any, want_information: bool
    ) -> AnomalousResult:
        """See :class:`gpurefine.backend.ops_anomalous.AnomalousOps`."""
        return siras_by_cases(self._joint, self.sad, f_obs, sigma, f_calc, d, s, epsilon, centric, want_information)

    def _joint(
        self, f_obs: Any, sigma: Any, f_calc: Any, d: Any, s: Any, epsilon: Any, centric: Any, want_information: bool
    ) -> AnomalousResult:
        n = f_obs.shape[1]
        draws = DRAWS_SIRAS if want_information else 0
        arguments = (
            self.send("siras.f_obs", f_obs, np.float64), self.send("siras.sigma", sigma, np.float64),
            self.send("siras.f_calc", f_calc, np.complex128), self.send("siras.d", d, np.float64),
            self.send("siras.s", s, np.float64), self.send("epsilon", epsilon, np.float64),
            self.send("centric", centric, np.bool_), np.int32(n), self._errors("siras.errors", n, draws, 4),
            np.int32(draws), self.buffer("siras.known", ((1 + draws) * n, KNOWN), np.float64),
        )
        real = self.buffer("siras.real", (18, n), np.float64)
        spectra = self.buffer("siras.spectra", (6, n), np.complex128)
        self.launch_warps("siras_triples", (1 + draws) * n, *arguments, block=32)
        self.launch("siras", n, *arguments, real, spectra, block=64)
        values, complexes = self.device.download(real), self.device.download(spectra)
        return AnomalousResult(values[0], complexes[:3], values[1:4], complexes[3:], values[4:11], values[11:])

    def _errors(self, name: str, n: int, draws: int, e: int) -> DeviceArray | None:
        """The simulated errors (draws, e, n) of n reflections in the buffer ``name``; None without draws."""
        if not draws:
            return None
        errors = self.buffer(name, (draws, e, n), np.complex128)
        if self._drawn.get(name) != n:
            self.device.upload(drawn_errors(n, draws, e), errors)
            self._drawn[name] = n
        return errors

    @property
    def _drawn(self) -> dict[str, int]:
        """Number of reflections that each buffer of simulated errors was filled for."""
        return self.kept("drawn", dict)
