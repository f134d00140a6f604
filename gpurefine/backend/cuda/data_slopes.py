"""Derivatives of the target by parameters of the data, on the device."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..ops_reflections import Array, Index, ScaleCurve
from .device import Argument
from .exchange import ExchangeOps
from .reflections import ReflectionOps
from .values import DeviceValues

F64 = NDArray[np.float64]


class DataSlopeOps(ReflectionOps, ExchangeOps):
    """See :class:`gpurefine.backend.ops_reflections.ReflectionOps`."""

    def row_slopes(
        self, f: Array, gradient: Array, information: Array, rows: Index, index: Index
    ) -> tuple[F64, F64]:
        """See :class:`gpurefine.backend.ops_reflections.ReflectionOps`."""
        if not all(isinstance(part, DeviceValues) for part in (f, gradient, information)):
            return super().row_slopes(f, gradient, information, rows, index)
        p = len(rows)
        return self._sums(
            "row_slopes", p, len(index), f.array, gradient.array, information.array,
            self.send("slopes.rows", rows, np.int32), np.int32(p), self.unchanged("index", index, np.int32),
            np.int32(len(index)), np.int32(f.shape[1]),
        )

    def solvent_slopes(
        self, curve: ScaleCurve, factor: Array, f_mask: Array, f_total: Array, gradient: Array, information: Array,
        index: Index,
    ) -> tuple[F64, F64]:
        """See :class:`gpurefine.backend.ops_reflections.ReflectionOps`."""
        arrays = factor, f_mask, f_total, gradient, information
        if not all(isinstance(part, DeviceValues) for part in arrays):
            return super().solvent_slopes(curve, *arrays, index)
        knots = None if curve.mask_knots is None else self.send("slopes.knots", curve.mask_knots[0], np.float64)
        p = 2 if curve.mask_knots is None else curve.mask_knots.shape[1]
        return self._sums(
            "solvent_slopes", p, len(index), self.unchanged("curve.s", curve.s, np.float64), knots, np.int32(p),
            np.float64(curve.k_sol), np.float64(curve.b_sol), *(part.array for part in arrays),
            self.unchanged("index", index, np.int32), np.int32(len(index)),
        )

    def _sums(self, kernel: str, p: int, m: int, *arguments: Argument) -> tuple[F64, F64]:
        """Gradient (p,) and information (p, p)."""
        found = np.asarray(self.posted_sums(kernel, p + p * (p + 1) // 2, 1, m, *arguments)).reshape(-1)
        lower = np.zeros((p, p))
        lower[np.tril_indices(p)] = found[p:]
        return found[:p].copy(), lower + np.tril(lower, -1).T
