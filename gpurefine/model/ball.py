"""Points that fill a ball evenly."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]

SPREAD = 0.4
"""Standard deviation along each axis of the distance from the nearest point, in units of the largest distance."""


def ball(radius: float, reach: float) -> F64:
    """Points (n, 3) of a ball of ``radius``, its centre first, then outwards; those of a body-centred lattice, which
    need half as many as a cubic one for no place to be farther than ``reach`` from a point."""
    edge = 4.0 / np.sqrt(5.0) * reach
    steps = np.arange(-int(radius / edge) - 1, int(radius / edge) + 2)
    corners = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(-1, 3) * edge
    points = np.concatenate([corners, corners + 0.5 * edge])
    distance = np.linalg.norm(points, axis=1)
    order = np.argsort(distance, kind="stable")
    return np.asarray(points[order[distance[order] <= radius + 1e-9]])
