"""Sums over restraints for the values of terms and the statistics of a cycle."""

from __future__ import annotations

import numpy as np

from .device import DeviceArray
from .groups import GroupOps
from .posted import Posted


class StatisticsOps(GroupOps):
    """Sums of squares and deviations by kind."""

    def deviation_sums(
        self, z: DeviceArray, sigma: DeviceArray, kind: DeviceArray | None, n: int, n_kind: int, stride: int = 1,
        only_active: bool = False,
    ) -> Posted:
        """Of ``n`` terms by kind (n_kind, 4): count, Σ (zσ)², Σ z², Σ σ; see kernels/deviations.cu."""
        return self.posted_sums(
            "deviation_sums", n_kind, 4, n, z, sigma, np.int32(stride), kind, np.int32(n), np.int32(only_active)
        )

    def _all_half_squares(self, z: DeviceArray, n: int) -> Posted:
        out = self.post(1)
        self.half_squares(z, None, 1, n, out.array)
        return out
