"""Connected regions of a periodic grid, by runs: stretches of a row between two changes of value.

A row of some hundred points has a few runs, so neither points nor labels of points are stored.
"""

from __future__ import annotations

import numba as nb
import numpy as np

from .jit import njit
from .rows import Array


@njit(parallel=True, cache=True)
def find_runs(mask: Array) -> tuple[Array, Array, Array]:
    """Runs of ones of ``mask`` (n_row, nw) int8: those of row r are k = first[r] … first[r+1] − 1, and cover the points
    begin[k] ≤ w < end[k].
    """
    n_row, nw = mask.shape
    first = np.zeros(n_row + 1, np.int64)
    for r in nb.prange(n_row):
        before, count = np.int8(0), 0
        for w in range(nw):
            count += mask[r, w] > before
            before = mask[r, w]
        first[r + 1] = count
    for r in range(n_row):
        first[r + 1] += first[r]
    begin, end = np.empty(first[n_row], np.int32), np.empty(first[n_row], np.int32)
    for r in nb.prange(n_row):
        k, w = first[r], 0
        last = first[r + 1]
        while k < last:
            while mask[r, w] == 0:
                w += 1
            begin[k] = w
            while w < nw and mask[r, w] != 0:
                w += 1
            end[k] = w
            k += 1
    return first, begin, end


@njit()
def _root(parent: Array, k: int) -> int:
    while parent[k] != k:
        parent[k] = parent[parent[k]]
        k = parent[k]
    return k


@njit()
def _join(parent: Array, a: int, b: int) -> None:
    a, b = _root(parent, a), _root(parent, b)
    if a < b:
        parent[b] = a
    else:
        parent[a] = b


@njit()
def _join_rows(parent: Array, first: Array, begin: Array, end: Array, r: int, s: int) -> None:
    """Join the runs of two neighbouring rows that share a place."""
    i, j = first[r], first[s]
    while i < first[r + 1] and j < first[s + 1]:
        if begin[i] < end[j] and begin[j] < end[i]:
            _join(parent, i, j)
        if end[i] < end[j]:
            i += 1
        else:
            j += 1


@njit(cache=True)
def region_sizes(nu: int, nv: int, nw: int, first: Array, begin: Array, end: Array) -> Array:
    """Points of the region that each run belongs to; regions touch through faces, also those of the cell."""
    parent = np.arange(len(begin))
    for u in range(nu):
        for v in range(nv):
            r = u * nv + v
            a, b = first[r], first[r + 1] - 1
            if b > a and begin[a] == 0 and end[b] == nw:
                _join(parent, a, b)
            _join_rows(parent, first, begin, end, r, u * nv + (v + 1) % nv)
            _join_rows(parent, first, begin, end, r, ((u + 1) % nu) * nv + v)
    size = np.zeros(len(begin), np.int64)
    for k in range(len(begin)):
        size[_root(parent, k)] += end[k] - begin[k]
    for k in range(len(begin)):
        size[k] = size[_root(parent, k)]
    return size


@njit(parallel=True, cache=True)
def clear_runs(mask: Array, first: Array, begin: Array, end: Array, size: Array, least: float) -> None:
    """Set to zero the runs whose region has fewer than ``least`` points."""
    for r in nb.prange(len(mask)):
        for k in range(first[r], first[r + 1]):
            if size[k] < least:
                for w in range(begin[k], end[k]):
                    mask[r, w] = 0
