"""The cuda backend's error model on resolution shells, and sums over groups of reflections in a fixed order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..hats import hat_weights
from ..ops_reflections import Array, Groups, Hats, HostReflections
from .base import DeviceOps
from .device import DeviceArray
from .values import DeviceValues

F64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class _Weights:
    """Left knot (k,) and weight of the right one (k,) of reflections on the device."""

    left: DeviceArray
    weight: DeviceArray
    single: bool


@dataclass(frozen=True, slots=True, eq=False)
class _Order:
    """Members of all groups one after another, and where each group begins."""

    order: DeviceArray
    start: DeviceArray


class ShellOps(HostReflections, DeviceOps):
    """See :class:`gpurefine.backend.ops_reflections.ReflectionOps`; the host's arrays stay with the host."""

    def _weights(self, left: Any, weight: Any, n: int) -> _Weights:
        return _Weights(self.fixed(left, np.int32), self.fixed(weight, np.float64), n == 1)

    def _hats(self, hats: Hats) -> _Weights:
        return self.kept("hats", lambda: self._weights(hats.left, hats.weight, hats.n), hats)

    def _values(self, at: _Weights, d: F64, log_s: F64, k_aniso: DeviceValues) -> tuple[Array, Array]:
        n, m = len(k_aniso), len(d)
        knots = self.send("knots", np.concatenate([d, log_s]), np.float64)
        out = self.lend((2, n), np.float64)
        self.launch(
            "hat_values", n, at.left, at.weight, np.bool_(at.single), knots[:m], knots[m:], k_aniso.array, np.int32(n),
            out.array,
        )
        return out[0], out[1]

    def error_values(self, inv_d2: F64, knots: F64, d: F64, log_s: F64, k_aniso: Array) -> tuple[Array, Array]:
        """See :class:`gpurefine.backend.ops_reflections.ReflectionOps`."""
        if not isinstance(k_aniso, DeviceValues):
            return super().error_values(inv_d2, knots, d, log_s, k_aniso)

        def weights() -> _Weights:
            return self._weights(*hat_weights(inv_d2, knots), len(knots))

        return self._values(self.kept("knots", weights, inv_d2, knots), d, log_s, k_aniso)

    def hat_values(self, hats: Hats, d: F64, log_s: F64, k_aniso: Array) -> tuple[Array, Array]:
        """See :class:`gpurefine.backend.ops_reflections.ReflectionOps`."""
        if not isinstance(k_aniso, DeviceValues):
            return super().hat_values(hats, d, log_s, k_aniso)
        return self._values(self._hats(hats), d, log_s, k_aniso)

    def hat_sums(self, hats: Hats, slope: Array, information: Array) -> tuple[F64, F64]:
        """See :class:`gpurefine.backend.ops_reflections.ReflectionOps`."""
        if not isinstance(slope, DeviceValues):
            return super().hat_sums(hats, slope, information)
        intervals, own = max(hats.n - 1, 1), self._hats(hats)
        order = self.kept("hats.order", lambda: self._in_order(
            np.argsort(hats.left, kind="stable"),
            np.concatenate([[0], np.cumsum(np.bincount(hats.left, minlength=intervals))]),
        ), hats)
        out = self.buffer("hats.sums", (intervals, 5), np.float64)
        self.device.launch(
            "hat_sums", (intervals,), (256,),
            (order.order, order.start, own.weight, slope.array, information.array, out),
        )
        sums = self.device.download(out)
        gradient, bands = np.zeros(hats.n), np.zeros((3, hats.n))
        gradient[:intervals], bands[2, :intervals] = sums[:, 0], sums[:, 2]
        if hats.n > 1:
            gradient[1:] += sums[:, 1]
            bands[2, 1:] += sums[:, 4]
            bands[1, 1:] = sums[:, 3]
        return gradient, bands

    def _in_order(self, order: Any, start: Any) -> _Order:
        return _Order(self.fixed(order, np.int32), self.fixed(start, np.int32))

    def _members(self, groups: Groups) -> _Order:
        return self.kept("groups", lambda: self._in_order(groups.order, groups.start), groups)

    def group_sums(self, groups: Groups, columns: F64, weight: Array) -> F64:
        """See :class:`gpurefine.backend.ops_reflections.ReflectionOps`."""
        if not isinstance(weight, DeviceValues):
            return super().group_sums(groups, columns, weight)
        own, m = self._members(groups), len(groups.order)
        sorted_columns = self.kept(
            "groups.columns", lambda: self.fixed(columns[:, groups.order], np.float64), groups, columns
        )
        out = self.buffer("groups.sums", (groups.n, len(columns)), np.float64)
        self.device.launch(
            "group_sums", (groups.n, len(columns)), (256,),
            (own.order, own.start, sorted_columns, np.int32(m), weight.array, out),
        )
        return self.device.download(out)

    def pair_sums(self, groups: Groups, x: F64, values: Array, divisor: Array | None, square: bool) -> F64:
        """See :class:`gpurefine.backend.ops_reflections.ReflectionOps`."""
        if not isinstance(values, DeviceValues):
            return super().pair_sums(groups, x, values, divisor, square)
        own = self._members(groups)
        out = self.buffer("groups.sums", (groups.n, 6), np.float64)
        self.device.launch(
            "pair_sums", (groups.n,), (256,),
            (own.order, own.start, self.unchanged("pairs.x", x, np.float64), values.array,
             None if divisor is None else divisor.array, np.bool_(square), out),
        )
        return self.device.download(out)
