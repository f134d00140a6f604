"""The cuda backend's solvent mask."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import DeviceError
from ..stencil import ball
from .maps import DeviceMap, MapOps


class MaskOps(MapOps):
    """Marks atoms, shrinks the mask back and removes small cavities."""

    def solvent_mask(
        self, shape: tuple[int, int, int], orth: NDArray[np.float64], fractional: Any, radius: Any,
        shrink_radius: float, min_volume: float,
    ) -> DeviceMap:
        """See :class:`gpurefine.backend.ops.MaskOps`."""
        n, m, size = int(np.prod(shape)), len(radius), tuple(map(np.int32, shape))
        if n >= 1 << 31:
            raise DeviceError(f"A mask of {n} points is too large for the GPU's kernels. Use --device cpu.")
        steps = np.asarray(orth) / np.array(shape)
        reach = np.linalg.norm(np.linalg.inv(orth), axis=1) * shape
        cell = [steps[0, 0], steps[0, 1], steps[1, 1], steps[0, 2], steps[1, 2], steps[2, 2], reach[0], reach[1]]
        sent = self.send("mask.atoms", np.concatenate([np.ravel(fractional), np.ravel(radius), cell]), np.float64)
        centre, sphere = self.buffer("mask.centre", (m, 3), np.int32), self.buffer("mask.sphere", (m, 4), np.float64)
        free, kept = self.buffer("mask.free", n, np.int8), self.buffer("mask.kept", n, np.int8)
        label, count = self.buffer("mask.label", n, np.int32), self.buffer("mask.count", n, np.int32)
        self.launch("mask_fill", min(n, 1 << 20), free, np.int32(n), block=256)
        self.launch(
            "mask_spheres", m, sent[: 3 * m], sent[3 * m : 4 * m], np.int32(m), *size, centre, sphere
        )
        self.launch_warps("mask_mark", m, centre, sphere, np.int32(m), sent[4 * m :], *size, free)
        offsets = ball(shape, orth, shrink_radius)
        if len(offsets):
            stencil = self.send("mask.stencil", offsets, np.int32)
            self.launch("mask_shrink", n, free, stencil, np.int32(len(offsets)), *size, kept, block=256)
        else:
            kept = free
        self.launch("label_start", n, label, count, np.int32(n), block=256)
        self.launch("label_join", n, kept, *size, label, block=256)
        self.launch("label_sizes", n, kept, np.int32(n), label, count, block=256)
        fewest = min_volume / (abs(float(np.linalg.det(orth))) / n)
        out = self.new_map(shape)
        self.launch("mask_keep", n, kept, label, count, np.int32(n), np.float64(fewest), out, block=256)
        return self.finished(out)
