"""Hydrogens relax into the dictionary's geometry while heavy atoms stand still."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from restraint_models import F64, bonds, topology

from gpurefine.restraints.riding import HydrogenIdealiser, idealise_hydrogens, with_hydrogens

TETRAHEDRAL = float(np.arccos(-1 / 3))


def methyl(**given: Any) -> tuple[F64, Any]:
    """C–C–C with a methyl group at the end: heavy atoms 0, 1, 2 and hydrogens 3, 4, 5 on atom 0."""
    heavy = np.array([[0.0, 0, 0], [1.53, 0, 0], [2.04, 1.44, 0]])
    cone = [np.array([-0.36, 1.03 * np.cos(t), 1.03 * np.sin(t)]) for t in np.radians([180.0, 60.0, 300.0])]
    top = topology(
        6, bonds([(0, 1, 1.53, 0.02), (1, 2, 1.53, 0.02), *((0, h, 1.09, 0.02) for h in (3, 4, 5))]),
        [*((1, 0, h, TETRAHEDRAL, 0.03) for h in (3, 4, 5)), (3, 0, 4, TETRAHEDRAL, 0.03), (3, 0, 5, TETRAHEDRAL, 0.03),
         (4, 0, 5, TETRAHEDRAL, 0.03), (0, 1, 2, 1.91, 0.03)],
        [(2, 1, 0, 3, np.pi, 0.2, 3)], parent={3: 0, 4: 0, 5: 0}, **given,
    )
    return np.vstack([heavy, *cone]), top


@pytest.mark.parametrize("shake", [0.05, 0.25])
def test_methyl_group_finds_its_ideal(backend: Any, shake: float) -> None:
    xyz, top = methyl()
    start = xyz + np.random.default_rng(2).normal(size=xyz.shape) * shake * top.is_hydrogen[:, None]
    done = idealise_hydrogens(start, top, backend)
    assert np.array_equal(done[:3], start[:3])
    assert HydrogenIdealiser(top, backend).idealise(start, 0) is not start
    np.testing.assert_allclose(np.linalg.norm(done[3:] - done[0], axis=1), 1.09, atol=2e-3)
    for a, b in ((3, 4), (3, 5), (4, 5)):
        u, v = done[a] - done[0], done[b] - done[0]
        assert np.arccos(u @ v / np.linalg.norm(u) / np.linalg.norm(v)) == pytest.approx(TETRAHEDRAL, abs=0.02)
    np.testing.assert_allclose(idealise_hydrogens(done, top, backend), done, atol=0.006)


def test_siblings_are_solved_for_together(backend: Any) -> None:
    """Near the minimum one step of Gauss–Newton takes nearly all of the misfit away, couplings included."""
    xyz, top = methyl()
    best = idealise_hydrogens(xyz, top, backend, 60)
    idealiser = HydrogenIdealiser(top, backend)
    start = best + np.random.default_rng(4).normal(size=xyz.shape) * 0.005 * top.is_hydrogen[:, None]
    floor, before = (idealiser._value(x) for x in (best, start))
    after = idealiser._value(idealiser.idealise(start, 1))
    assert after - floor < 1e-3 * (before - floor)


def test_hydrogens_follow_a_moved_parent(backend: Any) -> None:
    """After a cycle that bends the heavy atoms the hydrogens are at their bond lengths again."""
    xyz, top = methyl()
    bent = idealise_hydrogens(xyz, top, backend)
    bent[1] += [0.05, 0.3, -0.2]
    done = idealise_hydrogens(bent, top, backend)
    axis = (done[0] - done[1]) / np.linalg.norm(done[0] - done[1])
    along = (done[3:] - done[0]) @ axis
    np.testing.assert_allclose(along, 1.09 / 3, atol=0.03)


def test_first_shift_is_limited_and_no_iteration_moves_nothing(backend: Any) -> None:
    xyz, top = methyl()
    far = xyz.copy()
    far[3] = far[0] + [-4.0, 0.1, 0.0]
    one = idealise_hydrogens(far, top, backend, 1)
    moved = np.linalg.norm(one - far, axis=1)
    assert 0.25 < moved[3] <= 0.3 + 1e-12
    assert np.array_equal(idealise_hydrogens(far, top, backend, 0), far)
    many = idealise_hydrogens(far, top, backend, 40)
    assert np.linalg.norm(many[3] - many[0]) == pytest.approx(1.09, abs=0.01)


def test_hydrogens_on_top_of_each_other_do_no_harm(backend: Any) -> None:
    xyz, top = methyl()
    xyz[3:] = xyz[0]
    assert np.isfinite(idealise_hydrogens(xyz, top, backend)).all()


def test_no_hydrogens_no_change(backend: Any) -> None:
    xyz = np.eye(3)
    assert np.array_equal(idealise_hydrogens(xyz, topology(3), backend), xyz)


def test_only_terms_with_hydrogens_are_kept() -> None:
    _, top = methyl(plane=[([0, 1, 2], 0.02), ([0, 1, 3, 4], 0.03), ([0, 2, 5], 0.04)])
    kept = with_hydrogens(top)
    assert len(kept.bonds.ideal) == 3
    assert len(kept.angles.ideal) == 6
    assert len(kept.torsions.ideal) == 1
    assert kept.planes.start.tolist() == [0, 4, 7]
    assert kept.planes.atoms.tolist() == [0, 1, 3, 4, 0, 2, 5]
    assert kept.planes.sigma.tolist() == [0.03, 0.04]
