"""Flat bulk-solvent mask on a grid (paper 2.4)."""

from __future__ import annotations

from typing import Any

import numba as nb
import numpy as np
from numpy.typing import NDArray

from ..stencil import ball
from .jit import njit
from .lanes import fill_bytes
from .memory import converted
from .regions import clear_runs, find_runs, region_sizes
from .rows import Array, wrapped
from .slabs import atoms_of_slabs, plane_ranges, scattered, share_planes, shares
from .sphere import grid_metric, row_points, row_range
from .threads import Threads


@njit(parallel=True, cache=True)
def _mark(
    rows: Array, nu: int, nv: int, orth: Array, fractional: Array, reciprocal: Array, radius: Array, n_slab: int
) -> None:
    """Set rows (nu nv, nw) to 0 inside the spheres of all given atoms (symmetry copies listed explicitly)."""
    nw = rows.shape[1]
    gaa, g2, gbb, ww, sa, sb, _ = grid_metric(orth, nu, nv, nw)
    inverse = 1.0 / ww
    first, last = plane_ranges(fractional[:, 0], radius, reciprocal[0], nu)
    bounds = share_planes(first, last, nu, n_slab)
    start, atom = atoms_of_slabs(first, last, nu, bounds)
    for turn in nb.prange(n_slab):
        slab = scattered(turn, n_slab)
        low, high = bounds[slab], bounds[slab + 1]
        for entry in range(start[slab], start[slab + 1]):
            a = atom[entry]
            r2 = radius[a] * radius[a]
            fu, fv, fw = fractional[a, 0] * nu, fractional[a, 1] * nv, fractional[a, 2] * nw
            for i in range(first[a], last[a] + 1):
                u = wrapped(i, nu)
                if u < low or u >= high:
                    continue
                di = i - fu
                j1, j2 = row_range(r2 - (gaa - 0.25 * g2 * g2 / gbb) * di * di, g2, gbb, di, fv)
                for j in range(j1, j2 + 1):
                    dj = j - fv
                    rest = r2 - gaa * di * di - (g2 * di + gbb * dj) * dj
                    k1, n = row_points(fw - sa * di - sb * dj, -(2**40), rest, inverse)
                    row = rows.ctypes.data + (u * nv + wrapped(j, nv)) * nw
                    if n >= nw:
                        fill_bytes(row, 0, nw)
                    elif n > 0:
                        k = wrapped(k1, nw)
                        fill_bytes(row + k, 0, min(n, nw - k))
                        fill_bytes(row, 0, k + n - nw)


@njit(parallel=True, cache=True)
def _shrink(rows: Array, nu: int, nv: int, first: Array, begin: Array, end: Array, stencil: Array) -> None:
    """Set rows (nu nv, nw) to 1 near the runs of solvent of :func:`~.regions.find_runs`.

    ``stencil`` (k, 4) are steps along a and b and the first and last step along c.
    """
    nw = rows.shape[1]
    for r in nb.prange(nu * nv):
        u, v = r // nv, r % nv
        row = rows.ctypes.data + r * nw
        for n in range(len(stencil)):
            s = wrapped(u - stencil[n, 0], nu) * nv + wrapped(v - stencil[n, 1], nv)
            for k in range(first[s], first[s + 1]):
                b, e = begin[k] + stencil[n, 2], end[k] + stencil[n, 3]
                if e - b >= nw:
                    fill_bytes(row, 1, nw)
                    continue
                fill_bytes(row + max(b, 0), 1, min(e, nw) - max(b, 0))
                fill_bytes(row + nw + b, 1, -b)
                fill_bytes(row, 1, e - nw)


def _columns(offsets: NDArray[np.int64]) -> NDArray[np.int64]:
    """(k, 4): steps along a and b, and the first and last step along c, of a ball's offsets (n, 3) and its centre."""
    found: dict[tuple[int, int], list[int]] = {(0, 0): [0]}
    for a, b, c in offsets.tolist():
        found.setdefault((a, b), []).append(c)
    return np.array([(a, b, min(c), max(c)) for (a, b), c in found.items()], np.int64)


class MaskOps(Threads):
    """The solvent mask with numba."""

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
    ) -> NDArray[np.float32]:
        """See :class:`gpurefine.backend.ops.MaskOps`."""
        nu, nv, nw = shape
        self.use(0.008 * float(np.prod(shape)))
        mask = np.ones((nu * nv, nw), np.int8)
        reciprocal = np.linalg.norm(np.linalg.inv(orth), axis=1)
        slabs = shares(nu, self.ready)
        _mark(mask, nu, nv, orth, fractional - np.floor(fractional), reciprocal, radius, slabs)
        first, begin, end = find_runs(mask)
        offsets = ball(shape, orth, shrink_radius)
        if len(offsets):
            _shrink(mask, nu, nv, first, begin, end, _columns(offsets))
            first, begin, end = find_runs(mask)
        size = region_sizes(nu, nv, nw, first, begin, end)
        least = min_volume * float(np.prod(shape)) / abs(float(np.linalg.det(orth)))
        if len(size) and size.min() < least:
            clear_runs(mask, first, begin, end, size, least)
        return converted("map", mask.reshape(shape), np.float32, self.ready)
