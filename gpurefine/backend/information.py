"""Expected information of Rice's likelihood as a one-dimensional table (method 2; Steiner et al. 2003).

With y = |F_o|/√Σ distributed about x = D|F_c|/√Σ, the expected squared derivative of −LL with respect to |F_c| is

* acentric  4 (D²/Σ) w_a(x),  w_a = E[(x − m y)²],  m = I₁(2xy)/I₀(2xy),  from x² at small x to ½;
* centric     (D²/Σ) w_c(x),  w_c = E[(x − m y)²],  m = tanh(xy),         from 2x² at small x to 1.

It is never negative, unlike the observed second derivative.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

DRAWS = 4
"""Simulated measurements of a reflection whose expected information has no table; sums over some hundred reflections
then have it to a few per cent."""

DRAWS_SIRAS = 2
"""The same for triples, which cost twenty times as much."""

TABLE_END = 8.0
TABLE_SIZE = 801
PANELS = 10


def _grid() -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    x = np.linspace(0.0, TABLE_END, TABLE_SIZE)[:, None]
    # panels of low order: finding the nodes of one rule of order 400 would take longer than the whole table
    node, weight = np.polynomial.legendre.leggauss(12)
    edge = np.linspace(0.0, 1.0, PANELS + 1)[:-1, None]
    node = (edge + 0.5 * (node + 1.0) / PANELS).ravel()
    weight = np.tile(0.5 * weight / PANELS, PANELS)
    low, high = np.maximum(x - 8.0, 0.0), x + 8.0
    return x, low + (high - low) * node, (high - low) * weight


@lru_cache(maxsize=1)
def information_tables() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """w_a and w_c at x = 0 … TABLE_END in TABLE_SIZE equal steps, (TABLE_SIZE,) float64 each."""
    from scipy.special import i0e, i1e  # takes longer to load than the tables to make: only where they are wanted

    x, y, dy = _grid()
    t = 2.0 * x * y
    density = 2.0 * y * np.exp(-((x - y) ** 2)) * i0e(t)
    acentric = (density * (x - i1e(t) / i0e(t) * y) ** 2 * dy).sum(axis=1)
    t = x * y
    density = np.sqrt(0.5 / np.pi) * (np.exp(-0.5 * (x - y) ** 2) + np.exp(-0.5 * (x + y) ** 2))
    centric = (density * (x - np.tanh(t) * y) ** 2 * dy).sum(axis=1)
    return acentric, centric


@lru_cache(maxsize=2)
def drawn_errors(n: int, draws: int, e: int) -> NDArray[np.complex128]:
    """(draws, e, n) complex128: standard complex normal numbers (E|x|² = 1), the same at every call.

    They are a Kronecker sequence with the powers of the root of x^(2e+1) = x + 1 (Roberts' generalised golden ratio),
    which fills the space more evenly than random numbers do.
    """
    root = 2.0
    for _ in range(60):
        root = (1.0 + root) ** (1.0 / (2 * e + 1))
    step = root ** -np.arange(1.0, 2 * e + 1.0)
    u = np.modf(0.5 + np.arange(1, draws * n + 1)[:, None] * step)[0]
    x = np.sqrt(-np.log(np.maximum(u[:, :e], 1e-12))) * np.exp(2j * np.pi * u[:, e:])
    return np.ascontiguousarray(x.reshape(n, draws, e).transpose(1, 2, 0))
