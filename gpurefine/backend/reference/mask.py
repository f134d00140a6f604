"""The solvent mask by its definition, point by point."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


class MaskOps:
    """Solvent mask in plain NumPy; the clean-up of small regions is a flood fill."""

    def map_mean(self, density: NDArray[Any]) -> float:
        """See :class:`gpurefine.backend.ops.MaskOps`."""
        return float(density.mean(dtype=np.float64))

    def solvent_mask(
        self,
        shape: tuple[int, int, int],
        orth: NDArray[np.float64],
        fractional: NDArray[np.float64],
        radius: NDArray[np.float64],
        shrink_radius: float,
        min_volume: float,
    ) -> NDArray[np.float64]:
        """See :class:`gpurefine.backend.ops.MaskOps`."""
        size = np.array(shape)
        reciprocal = np.linalg.norm(np.linalg.inv(orth), axis=1)
        free = np.ones(shape, bool)
        for centre, reach in zip(fractional, radius, strict=True):
            points, vector = _box(centre, reach * reciprocal, size, orth)
            inside = np.einsum("ij,ij->i", vector, vector) <= reach**2
            free[tuple(points[inside].T)] = False
        grown = free.copy()
        offsets, vector = _box(np.zeros(3), shrink_radius * reciprocal, size, orth, wrap=False)
        for offset in offsets[np.linalg.norm(vector, axis=1) <= shrink_radius]:
            grown |= np.roll(free, tuple(-offset), axis=(0, 1, 2))
        point = abs(float(np.linalg.det(orth))) / float(np.prod(shape))
        seen = ~grown
        for start in map(tuple, np.argwhere(grown)):
            if seen[start]:
                continue
            region = [start]
            seen[start] = True
            for u, v, w in region:
                for du, dv, dw in ((1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1), (0, 0, -1)):
                    other = ((u + du) % shape[0], (v + dv) % shape[1], (w + dw) % shape[2])
                    if not seen[other]:
                        seen[other] = True
                        region.append(other)
            if len(region) * point < min_volume:
                for place in region:
                    grown[place] = False
        return grown.astype(np.float64)


def _box(
    centre: NDArray[np.float64], extent: NDArray[np.float64], size: NDArray[np.int64], orth: NDArray[np.float64],
    wrap: bool = True,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    axes = [np.arange(np.ceil((centre[i] - extent[i]) * size[i]), np.floor((centre[i] + extent[i]) * size[i]) + 1)
            for i in range(3)]
    index = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    vector = (index / size - centre) @ orth.T
    whole = index.astype(np.int64)
    return (np.mod(whole, size) if wrap else whole), vector
