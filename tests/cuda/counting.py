"""A stand-in for a GPU that counts what goes up and comes down."""

from __future__ import annotations

from typing import Any

import numpy as np
from shim_device import ShimArray, ShimDevice


class Counting(ShimDevice):
    """Counts bytes and copies that go ``up`` and ``down``."""

    up = down = ups = downs = 0

    def upload(self, values: np.ndarray, out: ShimArray | None = None) -> ShimArray:
        self.up += values.nbytes
        self.ups += 1
        return super().upload(values, out)

    def download(self, array: ShimArray) -> np.ndarray:
        self.down += array.nbytes
        self.downs += 1
        return super().download(array)

    def since(self, call: Any, *arguments: Any) -> tuple[Any, int, int]:
        """What ``call`` returns, and the bytes that went up and came down meanwhile."""
        up, down = self.up, self.down
        found = call(*arguments)
        return found, self.up - up, self.down - down
