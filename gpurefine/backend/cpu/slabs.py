"""Planes of a grid shared out among threads, so that no two write to the same point."""

from __future__ import annotations

import math

import numpy as np

from .jit import njit
from .rows import Array

SHARES = 8
"""Slabs a thread, where there are planes enough."""

PLANES = 24
"""Planes a slab at least: an atom covers about ten, and is begun anew in every slab that it touches."""


def shares(nu: int, threads: int) -> int:
    """How many slabs ``nu`` planes are worth."""
    each = 1 if threads == 1 else SHARES
    while each > 1 and nu < PLANES * each * threads:
        each //= 2
    return each * threads


@njit()
def scattered(turn: int, n_slab: int) -> int:
    """The slab that is done in this turn.

    A thread is given consecutive turns.  Its slabs then lie all over the cell, and no thread has the dense part of it.
    """
    at = int(np.int64(turn))  # numba counts turns without a sign, and mixing the two kinds makes floating-point numbers
    if n_slab % SHARES:
        return at
    return (at % SHARES) * (n_slab // SHARES) + at // SHARES


@njit()
def plane_ranges(fractional: Array, radius: Array, reciprocal: float, n: int) -> tuple[Array, Array]:
    """First and last (not wrapped) plane of one axis that each atom's sphere touches."""
    first = np.empty(len(radius), np.int64)
    last = np.empty(len(radius), np.int64)
    for a in range(len(radius)):
        extent = radius[a] * reciprocal * n
        first[a] = math.ceil(fractional[a] * n - extent)
        last[a] = math.floor(fractional[a] * n + extent)
    return first, last


@njit()
def share_planes(first: Array, last: Array, nu: int, n_slab: int) -> Array:
    """Bounds (n_slab + 1,) int64 of slabs of planes that are touched about equally often.

    ``first``/``last`` (n,) int64 are the atoms' plane ranges, not wrapped.
    """
    work = np.zeros(nu + 1, np.int64)
    whole = 1  # an empty plane is not quite free
    for a in range(len(first)):
        n = last[a] - first[a] + 1
        if n <= 0:
            continue
        whole += n // nu
        low, high = first[a] % nu, (last[a] + 1) % nu
        if n % nu:
            work[low] += 1
            work[high] -= 1
            if high <= low:
                work[0] += 1
    total, running = 0, 0
    for u in range(nu):
        running += work[u]
        work[u] = running + whole
        total += work[u]
    bounds = np.full(n_slab + 1, nu, np.int64)
    bounds[0] = 0
    done, slab = 0, 1
    for u in range(nu):
        if slab < n_slab and done * n_slab >= total * slab:
            bounds[slab] = u
            slab += 1
        done += work[u]
    return bounds


@njit()
def atoms_of_slabs(first: Array, last: Array, nu: int, bounds: Array) -> tuple[Array, Array]:
    """Which atoms touch which slab.

    Returns (start (n_slab + 1,), atom (total,)): atoms of slab s are atom[start[s]:start[s+1]], in ascending order, so
    that every grid point receives its contributions in the same order whatever the slabs.
    """
    n_slab = len(bounds) - 1
    owner = np.empty(nu, np.int64)
    for s in range(n_slab):
        owner[bounds[s] : bounds[s + 1]] = s
    start = np.zeros(n_slab + 1, np.int64)
    mark = np.full(n_slab, -1, np.int64)
    for a in range(len(first)):
        u, left = first[a] % nu, last[a] - first[a] + 1
        while left > 0:  # from slab to slab
            s = owner[u]
            if mark[s] != a:
                mark[s] = a
                start[s + 1] += 1
            left -= bounds[s + 1] - u
            u = bounds[s + 1] % nu
    for s in range(n_slab):
        start[s + 1] += start[s]
    fill = start[:-1].copy()
    atom = np.empty(start[-1], np.int64)
    mark[:] = -1
    for a in range(len(first)):
        u, left = first[a] % nu, last[a] - first[a] + 1
        while left > 0:
            s = owner[u]
            if mark[s] != a:
                mark[s] = a
                atom[fill[s]] = a
                fill[s] += 1
            left -= bounds[s + 1] - u
            u = bounds[s + 1] % nu
    return start, atom
