"""Sums over restraints for the values of terms and the statistics of a cycle."""

from __future__ import annotations

import numpy as np

from .device import DeviceArray
from .groups import GroupOps
from .posted import Posted

PARTS = 32
"""Blocks that share the terms of a kind; the result does not depend on how many threads there are."""

EACH = 2048
"""Terms for which one block more is taken."""


class StatisticsOps(GroupOps):
    """Sums of squares and deviations by kind."""

    def deviation_sums(
        self, z: DeviceArray, sigma: DeviceArray, kind: DeviceArray | None, n: int, n_kind: int, stride: int = 1,
        only_active: bool = False,
    ) -> Posted:
        """Of ``n`` terms by kind (n_kind, 4): count, Σ (zσ)², Σ z², Σ σ; see kernels/deviations.cu."""
        parts = int(np.clip(-(-n // EACH), 1, PARTS))
        partial = self.buffer("deviations.parts", (n_kind, parts, 4), np.float64)
        out = self.post((n_kind, 4))
        self.device.launch(
            "deviation_sums", (parts, n_kind), (256,),
            (z, sigma, np.int32(stride), kind, np.int32(n), np.int32(only_active), partial, self.counter(), out.array),
        )
        return out

    def _all_half_squares_into(self, z: DeviceArray, n: int, out: DeviceArray) -> None:
        self.half_squares(z, None, 1, n, out)

    def _all_half_squares(self, z: DeviceArray, n: int) -> Posted:
        out = self.post(1)
        self._all_half_squares_into(z, n, out.array)
        return out
