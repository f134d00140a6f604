"""The cuda backend's likelihoods."""

from __future__ import annotations

import weakref
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..information import TABLE_END, information_tables
from ..plans import LikelihoodResult, SigmaaResult
from .base import DeviceOps
from .device import Device, DeviceArray
from .values import DeviceValues

ROWS = ("minus_ll", "d_d", "d_log_s", "info_d", "info_s")
"""Order in which the kernel rice_sigmaa leaves the fields of :class:`SigmaaResult`."""


class DeviceSigmaa(SigmaaResult):
    """A result that lies on the device; each field is copied to the host when it is first read.

    A step of the error model reads two of the five.
    """

    __slots__ = ("__weakref__", "device", "rows")

    device: Device
    rows: DeviceArray

    def __init__(self, device: Device, rows: DeviceArray) -> None:
        """``rows`` (5, n) in the order of :data:`ROWS`."""
        object.__setattr__(self, "device", device)
        object.__setattr__(self, "rows", rows)

    def __getattr__(self, name: str) -> NDArray[np.float64]:
        # only called for a field that has not been copied yet
        if name not in ROWS:
            raise AttributeError(name)
        row = ROWS.index(name)
        value: NDArray[np.float64] = self.device.download(self.rows[row : row + 1])[0]
        object.__setattr__(self, name, value)
        return value

    def fetch(self) -> None:
        """Copy what has not been copied yet, because the memory is needed for others."""
        for name in ROWS:
            getattr(self, name)


class TargetOps(DeviceOps):
    """Likelihoods per reflection."""

    _sigmaa: weakref.ref[DeviceSigmaa] | None = None

    def rice(
        self, f_obs: Any, sigma: Any, f_calc: Any, d: Any, s: Any, epsilon: Any, centric: Any, derivatives: bool
    ) -> LikelihoodResult:
        """See :class:`gpurefine.backend.ops.TargetOps`."""
        n = len(f_obs)
        acentric, special = self._tables()
        # the gradient comes first: complex numbers must lie at multiples of 16 bytes
        lent: Any = self.lend((5, n), np.float64) if isinstance(f_calc, DeviceValues) else None
        out = self.buffer("likelihood", (5, n), np.float64) if lent is None else lent.array
        gradient = out[:2].reshape(-1).view(np.complex128)
        self.launch(
            "rice", n, self.unchanged("f_obs", f_obs, np.float64), self.unchanged("sigma", sigma, np.float64),
            self.send("f_calc", f_calc, np.complex128), self.unchanged("d", d, np.float64),
            self.unchanged("s", s, np.float64), self.unchanged("epsilon", epsilon, np.float64),
            self.unchanged("centric", centric, np.bool_), np.int32(n), acentric, special, np.int32(acentric.size),
            np.float64(TABLE_END), np.bool_(derivatives), out[3:4], gradient, out[2:3], out[4:5],
        )
        if lent is not None:
            return LikelihoodResult(lent[3], lent.part(gradient), lent[2], lent[4])
        if not derivatives:
            minus_ll, fom = self.device.download(out[3:])
            return LikelihoodResult(minus_ll, np.zeros(n, np.complex128), np.zeros(n), fom)
        host = self.device.download(out)
        return LikelihoodResult(host[3], host[:2].reshape(-1).view(np.complex128), host[2], host[4])

    def rice_sigmaa(
        self, f_obs: Any, sigma: Any, fc_abs: Any, d: Any, s: Any, epsilon: Any, centric: Any
    ) -> SigmaaResult:
        """See :class:`gpurefine.backend.ops.TargetOps`."""
        return self._sigmaa_of("rice_sigmaa", len(f_obs), (
            self.unchanged("f_obs", f_obs, np.float64), self.unchanged("sigma", sigma, np.float64),
            self.unchanged("fc_abs", fc_abs, np.float64), self.send("d", d, np.float64), self.send("s", s, np.float64),
            self.unchanged("epsilon", epsilon, np.float64), self.unchanged("centric", centric, np.bool_),
        ), isinstance(fc_abs, DeviceValues))

    def _tables(self) -> tuple[DeviceArray, DeviceArray]:
        """The information tables of acentric and centric reflections."""
        tables = information_tables()
        return self.kept(
            "information", lambda: (self.fixed(tables[0], np.float64), self.fixed(tables[1], np.float64)), *tables
        )

    def _sigmaa_of(self, kernel: str, n: int, columns: tuple[DeviceArray, ...], stay: bool) -> SigmaaResult:
        """What ``kernel`` makes of ``columns`` of n reflections, for good on the device if it is to ``stay`` there.

        If not, the result before is saved from being overwritten.
        """
        if stay:
            lent: Any = self.lend((5, n), np.float64)
            self.launch(kernel, n, *columns, np.int32(n), lent.array)
            return SigmaaResult(*(lent[k] for k in range(5)))
        earlier = None if self._sigmaa is None else self._sigmaa()
        if earlier is not None:
            earlier.fetch()
        out = self.buffer("sigmaa", (5, n), np.float64)
        self.launch(kernel, n, *columns, np.int32(n), out)
        result = DeviceSigmaa(self.device, out)
        self._sigmaa = weakref.ref(result)
        return result
