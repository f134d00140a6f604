"""Grid offsets around a point."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def ball(shape: tuple[int, int, int], orth: NDArray[np.float64], radius: float) -> NDArray[np.int64]:
    """Grid offsets (k, 3) within ``radius`` Å of the origin, nearest first."""
    frac = np.linalg.inv(orth)
    reach = [int(radius * np.linalg.norm(frac[i]) * shape[i]) for i in range(3)]
    offsets = np.stack(np.meshgrid(*[np.arange(-r, r + 1) for r in reach], indexing="ij"), -1).reshape(-1, 3)
    distance = np.linalg.norm((offsets / np.array(shape)) @ orth.T, axis=1)
    keep = (distance <= radius) & (distance > 0.0)
    return np.asarray(offsets[keep][np.argsort(distance[keep], kind="stable")], np.int64)
