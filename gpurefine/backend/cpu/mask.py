"""Flat bulk-solvent mask on a grid (paper 2.4)."""

from __future__ import annotations

import math

import numba as nb
import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

from ..stencil import ball
from .rows import Array, row_span, slab_lists, wrapped
from .slabs import plane_ranges
from .threads import Threads


@nb.njit(parallel=True, cache=True)
def _mark(grid: Array, orth: Array, fractional: Array, reciprocal: Array, radius: Array, slab_size: int) -> None:
    """Set grid to 0 inside the spheres of all given atoms (symmetry copies listed explicitly)."""
    nu, nv, nw = grid.shape
    first, last = plane_ranges(fractional[:, 0], radius, reciprocal[0], nu)
    n_slab = (nu + slab_size - 1) // slab_size
    start, atom = slab_lists(first, last, nu, slab_size, n_slab)
    wx, wy, wz = orth[0, 2] / nw, orth[1, 2] / nw, orth[2, 2] / nw
    ww = wx * wx + wy * wy + wz * wz
    for slab in nb.prange(n_slab):
        for entry in range(start[slab], start[slab + 1]):
            a = atom[entry]
            r2 = radius[a] * radius[a]
            fv, fw = fractional[a, 1] * nv, fractional[a, 2] * nw
            j1 = math.ceil(fv - radius[a] * reciprocal[1] * nv)
            j2 = math.floor(fv + radius[a] * reciprocal[1] * nv)
            for i in range(first[a], last[a] + 1):
                u = wrapped(i, nu)
                if u // slab_size != slab:
                    continue
                du = i / nu - fractional[a, 0]
                for j in range(j1, j2 + 1):
                    dv = (j - fv) / nv
                    dw = -fw / nw
                    px = orth[0, 0] * du + orth[0, 1] * dv + orth[0, 2] * dw
                    py = orth[1, 1] * dv + orth[1, 2] * dw
                    pz = orth[2, 2] * dw
                    k1, k2 = row_span(px, py, pz, wx, wy, wz, ww, r2)
                    v = wrapped(j, nv)
                    for k in range(k1, k2 + 1):
                        grid[u, v, wrapped(k, nw)] = 0


@nb.njit(parallel=True, cache=True)
def _shrink(marked: Array, stencil: Array, out: Array) -> None:
    """out = 1 where a solvent point of ``marked`` lies within the stencil of grid offsets."""
    nu, nv, nw = marked.shape
    for u in nb.prange(nu):
        for v in range(nv):
            for w in range(nw):
                value = marked[u, v, w]
                if value == 0:
                    for n in range(len(stencil)):
                        uu = wrapped(u + stencil[n, 0], nu)
                        vv = wrapped(v + stencil[n, 1], nv)
                        ww = wrapped(w + stencil[n, 2], nw)
                        if marked[uu, vv, ww] != 0:
                            value = 1
                            break
                out[u, v, w] = value


@nb.njit(parallel=True, cache=True)
def _label_sizes(labels: Array, n: int) -> Array:
    """Number of points of each label 0 … n."""
    nu, nv, nw = labels.shape
    part = np.zeros((nu, n + 1), np.int64) if n < 2000 else np.zeros((1, n + 1), np.int64)
    if n < 2000:
        for u in nb.prange(nu):
            for v in range(nv):
                for w in range(nw):
                    part[u, labels[u, v, w]] += 1
    else:
        for u in range(nu):
            for v in range(nv):
                for w in range(nw):
                    part[0, labels[u, v, w]] += 1
    return part.sum(axis=0)


@nb.njit(parallel=True, cache=True)
def _clear(mask: Array, labels: Array, small: Array) -> None:
    """Set mask to 0 at points whose label is small."""
    nu, nv, nw = labels.shape
    for u in nb.prange(nu):
        for v in range(nv):
            for w in range(nw):
                if small[labels[u, v, w]]:
                    mask[u, v, w] = 0


def remove_small_regions(mask: NDArray[np.int8], min_points: float) -> None:
    """Set to 0, in place, connected regions of mask == 1 with fewer than ``min_points`` points.

    Regions that touch through the cell's faces are one; all bookkeeping but the labelling itself is on labels, not
    points.
    """
    labels, n = scipy.ndimage.label(mask)
    root = np.arange(n + 1)

    def find(a: int) -> int:
        while root[a] != a:
            root[a] = root[root[a]]
            a = int(root[a])
        return a

    for axis in range(3):
        low = np.take(labels, 0, axis=axis).ravel().astype(np.int64)
        high = np.take(labels, -1, axis=axis).ravel()
        both = (low > 0) & (high > 0)
        for key in np.unique(low[both] * (n + 1) + high[both]):
            ra, rb = find(int(key // (n + 1))), find(int(key % (n + 1)))
            if ra != rb:
                root[max(ra, rb)] = min(ra, rb)
    merged = np.array([find(a) for a in range(n + 1)])
    size = np.bincount(merged, _label_sizes(labels, n), minlength=n + 1)[merged]
    small = size < min_points
    small[0] = False
    if small.any():
        _clear(mask, labels, small)


class MaskOps(Threads):
    """The solvent mask with numba and SciPy."""

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
        self.use(0.02 * float(np.prod(shape)))
        marked = np.ones(shape, np.int8)
        reciprocal = np.linalg.norm(np.linalg.inv(orth), axis=1)
        _mark(marked, orth, fractional - np.floor(fractional), reciprocal, radius, 8)
        stencil = ball(shape, orth, shrink_radius)
        if len(stencil):
            out = np.empty_like(marked)
            _shrink(marked, stencil, out)
        else:
            out = marked
        point = abs(float(np.linalg.det(orth))) / float(np.prod(shape))
        remove_small_regions(out, min_volume / point)
        return out.astype(np.float32)
