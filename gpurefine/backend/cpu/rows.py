"""Walking the grid rows that an atom's sphere covers, shared by spreading and gathering."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .jit import njit

Array = NDArray[Any]
"""An argument of a compiled loop; the caller's docstring says shape and type."""

LANES = 8
"""Row buffers are padded to a multiple of this so that the inner loops have no scalar remainder."""

MAX_ROW = 512
"""Longest row an atom may cover; a sphere that needs more is refused by the plan."""


@njit(inline="always")
def row_span(
    px: float, py: float, pz: float, wx: float, wy: float, wz: float, ww: float, radius2: float
) -> tuple[int, int]:
    """First and last k of the points p + k w inside the sphere |r|² ≤ radius2 (last < first: none)."""
    pw = px * wx + py * wy + pz * wz
    discriminant = pw * pw - ww * (px * px + py * py + pz * pz - radius2)
    if discriminant < 0.0:
        return 0, -1
    root = math.sqrt(discriminant)
    return math.ceil((-pw - root) / ww), math.floor((-pw + root) / ww)


@njit(inline="always")
def wrapped(k: int, n: int) -> int:
    """k modulo n for k that is rarely far outside (a division would cost more than the row)."""
    while k < 0:
        k += n
    while k >= n:
        k -= n
    return k


@njit()
def add_row(grid: Array, u: int, v: int, k1: int, n: int, row: Array) -> None:
    """Add row[0:n] to grid[u, v, k1:k1+n], wrapping around the cell."""
    nw = grid.shape[2]
    start = wrapped(k1, nw)
    done = 0
    while done < n:
        length = min(n - done, nw - start)
        target = grid[u, v, start : start + length]
        source = row[done : done + length]
        for t in range(length):
            target[t] += source[t]
        done += length
        start = 0


@njit()
def take_row(grid: Array, u: int, v: int, k1: int, n: int, padded: int, row: Array) -> None:
    """Copy grid[u, v, k1:k1+n] into row, wrapping around the cell, and zero row[n:padded]."""
    nw = grid.shape[2]
    start = wrapped(k1, nw)
    done = 0
    while done < n:
        length = min(n - done, nw - start)
        source = grid[u, v, start : start + length]
        target = row[done : done + length]
        for t in range(length):
            target[t] = source[t]
        done += length
        start = 0
    for t in range(n, padded):
        row[t] = np.float32(0.0)


@njit()
def slab_lists(first: Array, last: Array, nu: int, size: int, n_slab: int) -> tuple[Array, Array]:
    """Which atoms touch which slab of ``size`` planes of the first axis.

    ``first``/``last`` (n,) int64 are the atoms' plane ranges, not wrapped.  Returns (start (n_slab + 1,), atom
    (total,)): atoms of slab s are atom[start[s]:start[s+1]], in ascending order, so that every grid point receives its
    contributions in the same order whatever the number of threads.
    """
    start = np.zeros(n_slab + 1, np.int64)
    mark = np.full(n_slab, -1, np.int64)
    for a in range(len(first)):
        for i in range(first[a], last[a] + 1):
            s = (i % nu) // size
            if mark[s] != a:
                mark[s] = a
                start[s + 1] += 1
    for s in range(n_slab):
        start[s + 1] += start[s]
    fill = start[:-1].copy()
    atom = np.empty(start[-1], np.int64)
    mark[:] = -1
    for a in range(len(first)):
        for i in range(first[a], last[a] + 1):
            s = (i % nu) // size
            if mark[s] != a:
                mark[s] = a
                atom[fill[s]] = a
                fill[s] += 1
    return start, atom
