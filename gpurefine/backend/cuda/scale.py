"""The cuda backend's sums of the scale fit."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import DeviceError
from ..plans import ScaleEquations, ScaleSystem
from .base import DeviceOps

ROWS = 64
"""Reflections that a block holds in shared memory (ROWS in scale.cu)."""

BLOCKS = 132
"""Partial sums at most: a fixed number, so that the bits do not depend on the device."""

SHARED = 48 * 1024
"""Bytes of shared memory that every device gives a block."""


class ScaleOps(DeviceOps):
    """Residuals and normal equations."""

    def _amplitudes(self, system: ScaleSystem) -> tuple[Any, ...]:
        return (
            self.unchanged("f_obs", system.f_obs, np.float64), self.send("factor", system.factor, np.float64),
            self.send("k_mask", system.k_mask, np.float64),
            self.unchanged("f_protein", system.f_protein, np.complex128),
            self.unchanged("f_mask", system.f_mask, np.complex128), np.int32(len(system.f_obs)),
        )

    def scale_residuals(self, system: ScaleSystem) -> NDArray[np.float64]:
        """See :class:`gpurefine.backend.ops.ScaleOps`."""
        out = self.buffer("residual", len(system.f_obs), np.float64)
        self.launch("scale_residuals", len(system.f_obs), *self._amplitudes(system), out)
        return self.device.download(out)

    def scale_misfit(self, system: ScaleSystem, want_median: bool) -> tuple[float, float]:
        """See :class:`gpurefine.backend.ops.ScaleOps`."""
        n = len(system.f_obs)
        size, out = self.buffer("residual", n, np.float64), self.buffer("misfit", 2, np.float64)
        self.device.clear(out)
        self.launch("scale_misfit", n, *self._amplitudes(system), size)
        blocks = min(-(-n // 256), 256)
        parts = self.buffer("sum.parts", blocks, np.float64)
        self.device.launch("partial_sums", (blocks,), (256,), (size, parts, np.int32(n)))
        self.device.launch("column_sums", (1,), (256,), (parts, out[:1], np.int32(blocks), np.int32(1)))
        if want_median:
            self.device.launch("median", (1,), (1024,), (size, np.int32(n), out[1:]))
        total, median = self.device.download(out)
        return float(total), float(median)

    def scale_equations(self, system: ScaleSystem, floor: float) -> ScaleEquations:
        """See :class:`gpurefine.backend.ops.ScaleOps`."""
        p, n = system.n_parameters, len(system.f_obs)
        shared = 8 * ROWS * (p + 2)
        if shared > SHARED:
            raise DeviceError(f"A scale of {p} parameters is too large for the GPU's kernel. Use --device cpu.")
        blocks, size = max(1, min(BLOCKS, -(-n // ROWS))), p * (p + 1)
        parts = self.buffer("scale.parts", (blocks, size), np.float64)
        out = self.buffer("scale.out", size, np.float64)

        def column(name: str, values: Any, dtype: Any, wanted: int) -> Any:
            return self.unchanged(f"scale.{name}", values, dtype) if wanted else None

        self.device.launch(
            "scale_equations", (blocks,), (128,),
            (*self._amplitudes(system), column("common", system.common, np.float64, system.common.shape[1]),
             np.int32(system.common.shape[1]),
             None if system.babinet is None else self.send("scale.babinet", system.babinet, np.float64),
             np.int32(0 if system.babinet is None else system.babinet.shape[1]),
             column("by_mask", system.by_mask, np.float64, system.by_mask.shape[1]),
             np.int32(system.by_mask.shape[1]), column("mask_left", system.mask_left, np.int64, system.n_mask),
             column("mask_weight", system.mask_weight, np.float64, system.n_mask), np.int32(system.n_mask),
             column("iso_left", system.iso_left, np.int64, system.n_iso),
             column("iso_weight", system.iso_weight, np.float64, system.n_iso), np.int32(system.n_iso),
             np.float64(floor), parts),
            shared,
        )
        if size:
            self.device.launch("column_sums", (size,), (32,), (parts, out, np.int32(blocks), np.int32(size)))
        table = self.device.download(out).reshape(p, p + 1)
        upper = np.triu(table[:, :p])
        return ScaleEquations(upper + np.triu(upper, 1).T, table[:, p].copy())
