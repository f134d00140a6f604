"""The cuda backend's rows of Friedel pairs."""

from __future__ import annotations

import numpy as np

from ..ops_anomalous import AnomalousResult
from ..ops_friedel import F64, Flags, HostFriedel
from ..ops_reflections import Array, Index
from .base import DeviceOps
from .device import DeviceArray
from .values import DeviceValues


class FriedelOps(HostFriedel, DeviceOps):
    """See :class:`gpurefine.backend.ops_friedel.FriedelOps`; the host's arrays stay with the host."""

    def friedel_pair(self, f_total: Array, multiplier: F64, single: Flags, index: Index | None) -> Array:
        """See :class:`gpurefine.backend.ops_friedel.FriedelOps`."""
        if not isinstance(f_total, DeviceValues):
            return super().friedel_pair(f_total, multiplier, single, index)
        n = f_total.shape[1]
        m = n if index is None else len(index)
        out = self.lend((2, m), np.complex128)
        self.launch(
            "friedel_pair", m, f_total.array, *self._multipliers(multiplier, single),
            None if index is None else self.unchanged("index", index, np.int32), np.int32(m), np.int32(n), out.array,
        )
        return out

    def friedel_slopes(
        self, result: AnomalousResult, multiplier: F64, single: Flags, index: Index
    ) -> tuple[Array, Array]:
        """See :class:`gpurefine.backend.ops_friedel.FriedelOps`."""
        by_pair, known = result.gradient, result.information
        if not isinstance(by_pair, DeviceValues) or not isinstance(known, DeviceValues):
            return super().friedel_slopes(result, multiplier, single, index)
        rows, n = 1 + len(multiplier), len(single)
        out = self.lend((3 * rows, n), np.float64)  # complex numbers must lie at multiples of 16 bytes: they come first
        gradient = out.array[: 2 * rows].reshape(-1).view(np.complex128).reshape(rows, n)
        information = out.array[2 * rows :]
        self.device.clear(out.array)
        self.launch(
            "friedel_slopes", len(index), by_pair.array, known.array, *self._multipliers(multiplier, single),
            self.unchanged("index", index, np.int32), np.int32(len(index)), np.int32(n), gradient, information,
        )
        return out.part(gradient), out.part(information)

    def mean_mate(self, pair: Array) -> Array:
        """See :class:`gpurefine.backend.ops_friedel.FriedelOps`."""
        if not isinstance(pair, DeviceValues):
            return super().mean_mate(pair)
        n = pair.shape[1]
        out = self.lend(n, np.float64)
        self.launch("mean_mate", n, pair.array, np.int32(n), out.array)
        return out

    def _multipliers(self, multiplier: F64, single: Flags) -> tuple[DeviceArray | None, np.int32, DeviceArray]:
        """Arguments of both kernels: multipliers, how many, and where only a mean is known."""
        p = len(multiplier)
        return (
            self.send("multiplier", multiplier, np.float64) if p else None, np.int32(p),
            self.unchanged("single", single, np.bool_),
        )
