"""Chains cut into rigid pieces by their B."""

from __future__ import annotations

import numpy as np
import pytest

from gpurefine.constants import DEGREE
from gpurefine.model.tls import N_TLS, Tensors, design
from gpurefine.params.tls_split import SHORTEST, isotropic_rows, split_chain


def helix(m: int) -> np.ndarray:
    """One atom a residue along a wide helix."""
    t = np.arange(m) * 0.6
    return np.stack([9 * np.cos(t), 9 * np.sin(t), 1.2 * np.arange(m)], axis=1)


def motion(seed: int) -> np.ndarray:
    """Tensors of a random rigid motion (20,)."""
    rng = np.random.default_rng(seed)
    k = rng.normal(size=(6, 6)) * np.array([3 * DEGREE] * 3 + [0.4] * 3)[:, None]
    c = k @ k.T
    return Tensors(c[None, 3:, 3:], c[None, :3, :3], c[None, :3, 3:]).values()[0]


def test_isotropic_rows_are_a_third_of_the_trace() -> None:
    r = np.random.default_rng(0).normal(size=(5, 3)) * 8
    values = motion(1)
    tensors = Tensors.of(values[None])
    s = tensors.s[0]
    ten = np.array([
        np.trace(tensors.t[0]), *values[6:12], s[2, 1] - s[1, 2], s[0, 2] - s[2, 0], s[1, 0] - s[0, 1]
    ])
    expected = (design(r) @ values)[:, :3].sum(axis=1) / 3.0
    assert np.allclose(isotropic_rows(r) @ ten, expected)
    assert len(values) == N_TLS


def test_cuts_are_found_where_the_motion_changes() -> None:
    xyz = helix(120)
    piece = np.repeat([0, 1, 2], [35, 50, 35])
    u = np.array([(design(x[None] - xyz[piece == p].mean(axis=0))[0] @ motion(p))[:3].mean()
                  for x, p in zip(xyz, piece, strict=True)])
    u += np.random.default_rng(5).normal(size=120) * 0.01 * u.std()
    assert split_chain(xyz, u, np.arange(120), 3) == [0, 35, 85]


def test_short_chains_are_cut_less_often() -> None:
    xyz = helix(3 * SHORTEST - 1)
    assert len(split_chain(xyz, np.arange(len(xyz)) * 1.0, np.arange(len(xyz)), 5)) == 2
    assert split_chain(xyz[:5], np.ones(5), np.arange(5), 3) == [0]


@pytest.mark.parametrize("seed", range(4))
def test_best_cuts_are_those_of_all_trials(seed: int) -> None:
    """Two and three pieces: dynamic programming against trying every cut with a fit of its own."""
    rng = np.random.default_rng(seed)
    xyz, u = helix(40) + rng.normal(size=(40, 3)), rng.uniform(0.2, 1.0, 40)
    cost = {}
    for first in range(40 - SHORTEST + 1):
        for last in range(first + SHORTEST, 41):
            rows = isotropic_rows(xyz[first:last] - xyz[first:last].mean(axis=0))
            found = np.linalg.lstsq(rows, u[first:last], rcond=None)[0]
            cost[first, last] = float(np.sum((rows @ found - u[first:last]) ** 2))
    one = min(range(SHORTEST, 40 - SHORTEST + 1), key=lambda c: cost[0, c] + cost[c, 40])
    assert split_chain(xyz, u, np.arange(40), 2) == [0, one]
    two = min(
        ((a, b) for a in range(SHORTEST, 21) for b in range(a + SHORTEST, 31)),
        key=lambda ab: cost[0, ab[0]] + cost[ab] + cost[ab[1], 40],
    )
    assert split_chain(xyz, u, np.arange(40), 3) == [0, *two]
