"""The cuda backend's likelihood of Friedel pairs."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..information import DRAWS, TABLE_END, drawn_errors, information_tables
from ..ops_anomalous import AnomalousResult
from .base import DeviceOps
from .device import Device, DeviceArray
from .values import DeviceValues

DRAWN = 8
"""Numbers of reflections whose simulated errors are kept: those refined against, and those of an error model."""


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """Memory of a result: ``spectra`` (m + e, n) complex, ``real`` (1 + m + 2 k, n), both in ``lent`` if they stay."""

    device: Device
    lent: DeviceValues | None
    spectra: DeviceArray
    real: DeviceArray
    m: int
    k: int

    def result(self) -> AnomalousResult:
        """The result, on the host if it does not stay on the device."""
        m, end = self.m, 1 + self.m + self.k
        if self.lent is None:
            values, complexes = self.device.download(self.real), self.device.download(self.spectra)
            return AnomalousResult(
                values[0], complexes[:m], values[1 : 1 + m], complexes[m:], values[1 + m : end], values[end:]
            )
        part, real, spectra = self.lent.part, self.real, self.spectra
        return AnomalousResult(
            part(real[:1].reshape(real.shape[1:])), part(spectra[:m]), part(real[1 : 1 + m]), part(spectra[m:]),
            part(real[1 + m : end]), part(real[end:]),
        )


class AnomalousOps(DeviceOps):
    """One thread a pair."""

    def sad(
        self, f_obs: Any, sigma: Any, f_calc: Any, d: Any, s: Any, epsilon: Any, centric: Any, want_information: bool
    ) -> AnomalousResult:
        """See :class:`gpurefine.backend.ops_anomalous.AnomalousOps`."""
        return self._sad(f_obs, sigma, f_calc, d, s, epsilon, centric, want_information).result()

    def _sad(
        self, f_obs: Any, sigma: Any, f_calc: Any, d: Any, s: Any, epsilon: Any, centric: Any, want_information: bool
    ) -> Result:
        n = f_calc.shape[1]
        draws = DRAWS if want_information else 0
        tables = information_tables()
        acentric, special = self.kept(
            "information", lambda: [self.fixed(table, np.float64) for table in tables], *tables
        )
        out = self._result("sad", 2, 2, 4, n, isinstance(f_calc, DeviceValues))
        self.launch(
            "sad", n, self.unchanged("sad.f_obs", f_obs, np.float64), self.unchanged("sad.sigma", sigma, np.float64),
            self.send("sad.f_calc", f_calc, np.complex128), self.send("sad.d", d, np.float64),
            self.send("sad.s", s, np.float64), self.unchanged("epsilon", epsilon, np.float64),
            self.unchanged("centric", centric, np.bool_), np.int32(n), acentric, special, np.int32(len(tables[0])),
            np.float64(TABLE_END), self._errors(n, draws, 3), np.int32(draws), out.real, out.spectra, block=64,
        )
        return out

    def _result(self, name: str, e: int, m: int, k: int, n: int, stay: bool) -> Result:
        """Where a kernel leaves an :class:`AnomalousResult`; for good on the device if it is to ``stay`` there."""
        rows = 2 * (m + e) + 1 + m + 2 * k
        lent = self.lend((rows, n), np.float64) if stay else None
        whole = self.buffer(name, (rows, n), np.float64) if lent is None else lent.array
        # complex numbers must lie at multiples of 16 bytes: they come first
        spectra = whole[: 2 * (m + e)].reshape(-1).view(np.complex128).reshape(m + e, n)
        return Result(self.device, lent, spectra, whole[2 * (m + e) :], m, k)

    def _errors(self, n: int, draws: int, e: int) -> DeviceArray | None:
        """The simulated errors (draws, e, n) of n reflections, which are the same every time; None without draws."""
        if not draws:
            return None
        known = self._drawn
        key = (n, draws, e)
        if key in known:
            known.move_to_end(key)
        else:
            if len(known) >= DRAWN:
                known.popitem(last=False)
            known[key] = self.device.upload(drawn_errors(n, draws, e))
        return known[key]

    @property
    def _drawn(self) -> OrderedDict[tuple[int, int, int], DeviceArray]:
        return self.kept("drawn", OrderedDict)
