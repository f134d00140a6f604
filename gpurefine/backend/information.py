"""Expected information of Rice's likelihood as a one-dimensional table (method 2; Steiner et al. 2003).

With y = |F_o|/√Σ distributed about x = D|F_c|/√Σ, the expected squared derivative of −LL with respect to |F_c| is

* acentric  4 (D²/Σ) w_a(x),  w_a = E[(x − m y)²],  m = I₁(2xy)/I₀(2xy),  from x² at small x to ½;
* centric     (D²/Σ) w_c(x),  w_c = E[(x − m y)²],  m = tanh(xy),         from 2x² at small x to 1.

It is never negative, unlike the observed second derivative.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.polynomial import chebyshev
from numpy.typing import NDArray

DRAWS = 4
"""Simulated measurements of a reflection whose expected information has no table; sums over some hundred reflections
then have it to a few per cent."""

DRAWS_SIRAS = 1
"""The same for triples, which cost twenty times as much."""

TABLE_END = 8.0
TABLE_SIZE = 801
PANELS = 10

DEGREE = 80
"""Both functions are so smooth that a polynomial of this degree has them to rounding (at degree 60 to 2e-11)."""

F64 = NDArray[np.float64]


def scaled_bessel(t: F64) -> tuple[F64, F64]:
    """I₀(t) exp(−t) and I₁(t) exp(−t), shaped as t, for 0 ≤ t ≤ 256 to rounding.

    They are means of exp(t (cos θ − 1)) and of cos θ times it over the circle, by the trapezium rule (Trefethen &
    Weideman 2014), which converges faster than any power of the number of points; there are 128.
    """
    cosine, share = np.cos(np.linspace(0.0, np.pi, 65)), np.full(65, 1.0 / 64.0)
    share[[0, -1]] *= 0.5
    value = np.exp(t[..., None] * (cosine - 1.0))
    return value @ share, value @ (share * cosine)


def _grid() -> tuple[F64, F64, F64]:
    x = 0.5 * TABLE_END * (1.0 + chebyshev.chebpts1(DEGREE + 1))[:, None]
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
    x, y, dy = _grid()
    t = 2.0 * x * y
    zero, one = scaled_bessel(t)
    density = 2.0 * y * np.exp(-((x - y) ** 2)) * zero
    acentric = (density * (x - one / zero * y) ** 2 * dy).sum(axis=1)
    t = x * y
    density = np.sqrt(0.5 / np.pi) * (np.exp(-0.5 * (x - y) ** 2) + np.exp(-0.5 * (x + y) ** 2))
    centric = (density * (x - np.tanh(t) * y) ** 2 * dy).sum(axis=1)
    series = chebyshev.chebfit(chebyshev.chebpts1(DEGREE + 1), np.stack([acentric, centric], axis=1), DEGREE)
    table = chebyshev.chebval(np.linspace(-1.0, 1.0, TABLE_SIZE), series)
    table[:, 0] = 0.0
    return table[0], table[1]


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
