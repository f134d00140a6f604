"""Which set each reflection goes to: by orbits of the lattice, evenly over resolution, the same for the same seed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .free_set import MISSING

I32 = NDArray[np.int32]

SHELLS_PER_SET = (5, 50)
REFLECTIONS_PER_SHELL = 50
"""Thin shells: between 5 and 50 of them in every set, with about 50 reflections or more each where there are enough."""


@dataclass(frozen=True, slots=True, eq=False)
class Assignment:
    """``values`` (n,) int32 of every reflection; ``n_kept``, ``n_completed`` (by an orbit that has a value), ``n_new``;
    ``n_torn``: orbits whose given values disagree."""

    values: I32
    n_kept: int
    n_completed: int
    n_new: int
    n_torn: int


def new_deck(fraction: float) -> I32:
    """One of each set number 0 … n − 1, where set 0 is the test set and 1/n is nearest to ``fraction``."""
    return np.arange(max(2, round(1.0 / fraction)), dtype=np.int32)


def deck_like(given: I32, test: int) -> I32:
    """Set numbers in about the proportions in which they were given: to be dealt out to reflections without one.

    Args:
        given: (n,) values, none MISSING; test: the one that marks the test set.
    """
    values, counts = np.unique(given, return_counts=True)
    if len(values) > 2:
        return values.astype(np.int32)
    other = int(values[values != test][0])
    n = max(2, round(float(counts.sum() / counts[values == test][0])))
    return np.array([test] + [other] * (n - 1), dtype=np.int32)


def assign(
    orbit: NDArray[np.intp], inv_d2: NDArray[np.float64], given: I32, deck: I32, seed: int, shells: bool
) -> Assignment:
    """Set numbers of all reflections; given ones stay.

    An orbit without a value gets one from ``deck``, which is shuffled anew for every len(deck) orbits (or thin shells)
    from low to high resolution.  Where some members of an orbit have a value, the others get the commonest of them.

    Args:
        orbit: (n,) number of the orbit of each reflection, 0 … k − 1; inv_d2: (n,) 1/d² in Å⁻².
        given: (n,) values, MISSING where there is none; deck: set numbers to deal; seed: of the shuffling.
        shells: deal to thin shells of resolution instead of single orbits.
    """
    n_orbit = int(orbit.max()) + 1
    known = given != MISSING
    value = np.full(n_orbit, MISSING, dtype=np.int32)
    torn = 0
    if known.any():
        pairs, counts = np.unique(np.stack([orbit[known], given[known]], axis=1), axis=0, return_counts=True)
        order = np.lexsort((pairs[:, 1], -counts, pairs[:, 0]))
        owners, first, several = np.unique(pairs[order][:, 0], return_index=True, return_counts=True)
        value[owners] = pairs[order][first, 1]
        torn = int((several > 1).sum())
    sizes = np.bincount(orbit, minlength=n_orbit)
    resolution = np.bincount(orbit, weights=inv_d2, minlength=n_orbit) / np.maximum(sizes, 1)
    empty = np.flatnonzero(value == MISSING)
    empty = empty[np.lexsort((empty, np.round(resolution[empty], 9)))]
    if len(empty):
        value[empty] = _dealt(sizes[empty], deck, seed, shells)
    values = np.where(known, given, value[orbit]).astype(np.int32)
    new = np.isin(orbit, empty)
    return Assignment(values, int(known.sum()), int((~known & ~new).sum()), int(new.sum()), torn)


def _dealt(sizes: NDArray[np.intp], deck: I32, seed: int, shells: bool) -> I32:
    """A value (k,) for every orbit, in order of resolution; sizes (k,) are their numbers of reflections."""
    n_unit, unit = len(sizes), np.arange(len(sizes))
    if shells:
        total = int(sizes.sum())
        per_set = int(np.clip(total // (len(deck) * REFLECTIONS_PER_SHELL), *SHELLS_PER_SET))
        n_unit = per_set * len(deck)
        unit = ((np.cumsum(sizes) - sizes) * n_unit) // total
    n_deal = -(-n_unit // len(deck))
    dealt = np.random.default_rng(seed).permuted(np.tile(deck, (n_deal, 1)), axis=1).ravel()
    return np.asarray(dealt[unit], dtype=np.int32)
