"""Which atoms touch which slab of planes, and the turns in which slabs are done."""

from __future__ import annotations

import numpy as np
import pytest

from gpurefine.backend.cpu.slabs import atoms_of_slabs, scattered, share_planes


@pytest.mark.parametrize(("nu", "n_slab"), [(50, 16), (7, 16), (64, 1), (33, 5)])
def test_every_atom_is_listed_where_it_reaches(nu: int, n_slab: int) -> None:
    rng = np.random.default_rng(nu)
    first = rng.integers(-nu, 2 * nu, 300)
    last = first + rng.integers(-1, 2 * nu, 300)
    bounds = share_planes(first, last, nu, n_slab)
    start, atom = atoms_of_slabs(first, last, nu, bounds)
    assert bounds[0] == 0 and bounds[-1] == nu and (np.diff(bounds) >= 0).all()
    for slab in range(n_slab):
        planes = set(range(bounds[slab], bounds[slab + 1]))
        wanted = [a for a in range(300) if planes & {i % nu for i in range(first[a], last[a] + 1)}]
        assert atom[start[slab] : start[slab + 1]].tolist() == wanted


@pytest.mark.parametrize("n_slab", [1, 5, 8, 16, 48])
def test_every_slab_has_its_turn(n_slab: int) -> None:
    turns = [scattered(turn, n_slab) for turn in range(n_slab)]
    assert sorted(turns) == list(range(n_slab))
    if n_slab == 16:  # the first of two threads gets every other slab
        assert turns[:8] == list(range(0, 16, 2))
