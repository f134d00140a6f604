"""The cuda backend's error model on resolution shells, and sums over groups of reflections in a fixed order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..hats import hat_weights
from ..ops_curves import CurveSums, HostCurves
from ..ops_reflections import Array, Groups, Hats, HostReflections, PairSums
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


class ShellOps(HostCurves, HostReflections, DeviceOps):
    """See :class:`gpurefine.backend.ops_reflections.ReflectionOps` and :class:`gpurefine.backend.ops_curves.CurveOps`.

    The host's arrays stay with the host.
    """

    def _weights(self, left: Any, weight: Any, n: int) -> _Weights:
        return _Weights(self.fixed(left, np.int32), self.fixed(weight, np.float64), n == 1)

    def _hats(self, hats: Hats) -> _Weights:
        return self.kept("hats", lambda: self._weights(hats.left, hats.weight, hats.n), hats)

    def _values(self, at: _Weights, factors: F64, logs: F64, k_aniso: DeviceValues, logits: int = 0) -> DeviceValues:
        """Rows of ``factors`` and ``logs`` at reflections, all in one array."""
        n, (rows, m) = len(k_aniso), (len(factors) + len(logs), factors.shape[1])
        out = self.lend((rows, n), np.float64)
        self.launch(
            "curve_values", rows * n, at.left, at.weight, np.bool_(at.single),
            self.send("knots", np.concatenate([factors, logs]), np.float64), np.int32(m), np.int32(rows),
            np.int32(len(factors)), np.int32(logits), k_aniso.array, np.int32(n), out.array,
        )
        return out

    def _two(self, at: _Weights, d: F64, log_s: F64, k_aniso: DeviceValues) -> tuple[Array, Array]:
        out = self._values(at, d[None], log_s[None], k_aniso)
        return out[0], out[1]

    def error_values(self, inv_d2: F64, knots: F64, d: F64, log_s: F64, k_aniso: Array) -> tuple[Array, Array]:
        """See :class:`gpurefine.backend.ops_reflections.ReflectionOps`."""
        if not isinstance(k_aniso, DeviceValues):
            return super().error_values(inv_d2, knots, d, log_s, k_aniso)

        def weights() -> _Weights:
            return self._weights(*hat_weights(inv_d2, knots), len(knots))

        return self._two(self.kept("knots", weights, inv_d2, knots), d, log_s, k_aniso)

    def hat_values(self, hats: Hats, d: F64, log_s: F64, k_aniso: Array) -> tuple[Array, Array]:
        """See :class:`gpurefine.backend.ops_reflections.ReflectionOps`."""
        if not isinstance(k_aniso, DeviceValues):
            return super().hat_values(hats, d, log_s, k_aniso)
        return self._two(self._hats(hats), d, log_s, k_aniso)

    def hat_sums(self, hats: Hats, slope: Array, information: Array) -> tuple[F64, F64]:
        """See :class:`gpurefine.backend.ops_reflections.ReflectionOps`."""
        if not isinstance(slope, DeviceValues):
            return super().hat_sums(hats, slope, information)
        intervals, own, order = max(hats.n - 1, 1), self._hats(hats), self._by_interval(hats)
        out = self.buffer("hats.sums", (intervals, 5), np.float64)
        self.device.launch(
            "hat_sums", (intervals,), (256,),
            (order.order, order.start, own.weight, slope.array, information.array, out),
        )
        sums = self.device.download(out)
        return _knots(sums[:, 0], sums[:, 1], hats.n), _bands(sums[:, 2:].T, hats.n)

    def curves(self, hats: Hats, factors: F64, logs: F64, k_aniso: Array, logits: int) -> tuple[Array, Array]:
        """See :class:`gpurefine.backend.ops_curves.CurveOps`."""
        if not isinstance(k_aniso, DeviceValues):
            return super().curves(hats, factors, logs, k_aniso, logits)
        out, p = self._values(self._hats(hats), factors, logs, k_aniso, logits), len(factors)
        return out.part(out.array[:p]), out.part(out.array[p:])

    def curve_sums(self, hats: Hats, slope: Array, bound: Array, first: int, count: int) -> CurveSums:
        """See :class:`gpurefine.backend.ops_curves.CurveOps`."""
        if not isinstance(slope, DeviceValues):
            return super().curve_sums(hats, slope, bound, first, count)
        intervals, own, order, end = max(hats.n - 1, 1), self._hats(hats), self._by_interval(hats), first + count
        out = self.buffer("curves.sums", (count, intervals, 8), np.float64)
        self.device.launch(
            "curve_sums", (intervals, count), (256,),
            (order.order, order.start, own.weight, slope.array[first:end], bound.array[first:end],
             np.int32(slope.shape[1]), out),
        )
        sums = self.device.download(out)
        return CurveSums(
            np.stack([_knots(row[:, 0], row[:, 1], hats.n) for row in sums]),
            np.stack([_bands(row[:, 2:5].T, hats.n) for row in sums]),
            np.stack([_bands(row[:, 5:].T, hats.n) for row in sums]),
        )

    def merged(self, values: Array) -> Array:
        """See :class:`gpurefine.backend.ops_curves.CurveOps`."""
        if not isinstance(values, DeviceValues):
            return super().merged(values)
        rows, n = values.shape
        out = self.lend((rows - 1, n), np.float64)
        self.launch("merge_rows", (rows - 1) * n, values.array, np.int32(rows), np.int32(n), out.array)
        return out

    def _by_interval(self, hats: Hats) -> _Order:
        return self.kept("hats.order", lambda: self._in_order(
            np.argsort(hats.left, kind="stable"),
            np.concatenate([[0], np.cumsum(np.bincount(hats.left, minlength=max(hats.n - 1, 1)))]),
        ), hats)

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
        return self.all_pair_sums([PairSums(groups, x, values, divisor, square)])[0]

    def all_pair_sums(self, calls: Sequence[PairSums]) -> list[F64]:
        """See :class:`gpurefine.backend.ops_reflections.ReflectionOps`."""
        if not all(isinstance(call.values, DeviceValues) for call in calls):
            return super().all_pair_sums(calls)
        ends = np.cumsum([call.groups.n for call in calls]).tolist()
        begins = [0, *ends[:-1]]
        out = self.buffer("pairs.sums", (ends[-1], 6), np.float64)
        for call, begin, end in zip(calls, begins, ends, strict=True):
            own = self._members(call.groups)
            self.device.launch(
                "pair_sums", (call.groups.n,), (256,),
                (own.order, own.start, self.unchanged("pairs.x", call.x, np.float64), call.values.array,
                 None if call.divisor is None else call.divisor.array, np.bool_(call.square), out[begin:end]),
            )
        host = self.device.download(out)
        return [host[begin:end] for begin, end in zip(begins, ends, strict=True)]


def _knots(left: F64, right: F64, n: int) -> F64:
    """Derivatives by the values at n knots from sums over the intervals for the knot to either side."""
    out = np.zeros(n)
    out[: len(left)] = left
    if n > 1:
        out[1:] += right
    return out


def _bands(sums: F64, n: int) -> F64:
    """Bands (3, n) of a tridiagonal matrix from sums (3, intervals) of (1 − w)², w (1 − w) and w²."""
    out = np.zeros((3, n))
    out[2, : sums.shape[1]] = sums[0]
    if n > 1:
        out[2, 1:] += sums[2]
        out[1, 1:] = sums[1]
    return out
