"""The cuda backend's arrays over reflections: where they stay from the transform to the likelihood and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..ops_reflections import Array, HostReflections, Index, ScaleCurve, ScaleFactors
from .base import DeviceOps
from .device import DeviceArray
from .values import DeviceValues


class ReflectionOps(HostReflections, DeviceOps):
    """See :class:`gpurefine.backend.ops_reflections.ReflectionOps`; the host's arrays stay with the host.

    Those come from likelihoods that have no kernels.
    """

    def keep(self, values: NDArray[Any]) -> Array:
        """See :class:`gpurefine.backend.ops_reflections.ReflectionOps`."""
        made = self.lend(values.shape, values.dtype)
        self.device.upload(np.ascontiguousarray(values), made.array)
        return made

    def stack(self, rows: Sequence[Array]) -> Array:
        """See :class:`gpurefine.backend.ops_reflections.ReflectionOps`."""
        if not isinstance(rows[0], DeviceValues):
            return super().stack(rows)
        if len(rows) == 1:
            return rows[0][None]
        out = self.lend((len(rows), *rows[0].shape), rows[0].dtype)
        for k, row in enumerate(rows):
            self.device.copy(row.array, out[k].array)
        return out

    def _index(self, index: Index) -> DeviceArray:
        return self.unchanged("index", index, np.int32)

    def take(self, values: Array, index: Index) -> Array:
        """See :class:`gpurefine.backend.ops_reflections.ReflectionOps`."""
        if not isinstance(values, DeviceValues):
            return super().take(values, index)
        out, rows, n = self.lend((*values.shape[:-1], len(index)), values.dtype), *_rows(values)
        self.launch(
            _kernel("take", values), rows * len(index), values.array, self._index(index), np.int32(len(index)),
            np.int32(rows), np.int32(n), out.array,
        )
        return out

    def put(self, values: Array, index: Index, n: int) -> Array:
        """See :class:`gpurefine.backend.ops_reflections.ReflectionOps`."""
        if not isinstance(values, DeviceValues):
            return super().put(values, index, n)
        out, (rows, k) = self.lend((*values.shape[:-1], n), values.dtype), _rows(values)
        self.device.clear(out.array)
        self.launch(
            _kernel("put", values), rows * k, values.array, self._index(index), np.int32(k), np.int32(rows),
            np.int32(n), out.array,
        )
        return out

    def product(self, values: Array, factor: Array, power: int) -> Array:
        """See :class:`gpurefine.backend.ops_reflections.ReflectionOps`."""
        if not isinstance(values, DeviceValues):
            return super().product(values, factor, power)
        out, n = self.lend(values.shape, values.dtype), len(values)
        self.launch(
            _kernel("product", values), n, values.array, self.unchanged("factor", factor, np.float64),
            np.bool_(power == 2), np.int32(n), out.array,
        )
        return out

    def magnitude(self, values: Array) -> Array:
        """See :class:`gpurefine.backend.ops_reflections.ReflectionOps`."""
        if not isinstance(values, DeviceValues):
            return super().magnitude(values)
        out = self.lend(len(values), np.float64)
        self.launch("magnitude", len(values), values.array, np.int32(len(values)), out.array)
        return out

    def total(self, values: Array) -> float:
        """See :class:`gpurefine.backend.ops_reflections.ReflectionOps`."""
        if not isinstance(values, DeviceValues):
            return super().total(values)
        return self.sum(values.array, len(values))

    def scale_factors(self, curve: ScaleCurve, near: Array, parts: bool) -> ScaleFactors:
        """See :class:`gpurefine.backend.ops_reflections.ReflectionOps`."""
        if not isinstance(near, DeviceValues):
            return super().scale_factors(curve, near, parts)
        n, knots = len(curve.s), (curve.mask_knots, curve.iso_knots)
        n_mask, n_iso = (0 if k is None else k.shape[1] for k in knots)
        head = (curve.log_k, curve.b_overall, curve.k_sol, curve.b_sol, curve.babinet_k, curve.babinet_b)
        tail = [k.reshape(-1) for k in knots if k is not None]
        out = self.lend((4, n), np.float64)
        self.launch(
            "scale_factors", n, self.unchanged("curve.s", curve.s, np.float64),
            self.unchanged("curve.columns", curve.columns, np.float64) if curve.columns.size else None,
            np.int32(curve.columns.shape[1]),
            self.send("curve", np.concatenate([head, curve.tensor, *tail]), np.float64), np.int32(n_mask),
            np.int32(n_iso), np.int32(n), out.array,
        )
        return ScaleFactors(*(out[k] for k in range(4)))

    def solvent_columns(self, s: NDArray[np.float64], near: Array, k: float, b: float, babinet: bool) -> Array:
        """See :class:`gpurefine.backend.ops_reflections.ReflectionOps`."""
        if not isinstance(near, DeviceValues):
            return super().solvent_columns(s, near, k, b, babinet)
        n = len(s)
        out = self.lend((n, 2), np.float64)
        self.launch(
            "solvent_columns", n, self.unchanged("curve.s", s, np.float64), np.float64(k), np.float64(b),
            np.int32(babinet), np.int32(n), out.array,
        )
        return out

    def scaled_total(self, f_calc: Array, factor: Array, k_mask: Array, f_mask: Array | None) -> Array:
        """See :class:`gpurefine.backend.ops_reflections.ReflectionOps`."""
        if not isinstance(f_calc, DeviceValues):
            return super().scaled_total(f_calc, factor, k_mask, f_mask)
        rows, n = f_calc.shape
        out = self.lend((rows, n), np.complex128)
        self.launch(
            "scaled_total", rows * n, f_calc.array, factor.array, k_mask.array,
            None if f_mask is None else f_mask.array, np.int32(rows), np.int32(n), out.array,
        )
        return out


def _rows(values: DeviceValues) -> tuple[int, int]:
    """Number of rows of ``values`` (n,) or (rows, n), and n."""
    return (1, len(values)) if len(values.shape) == 1 else (values.shape[0], values.shape[1])


def _kernel(name: str, values: DeviceValues) -> str:
    """The kernel for complex or real ``values``."""
    return f"{name}_{'complex' if values.dtype == np.complex128 else 'real'}"
