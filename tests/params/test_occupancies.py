"""Occupancies of groups as parameters, and their constraints."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpurefine.backend.plans import AtomInformation, DensityGradient
from gpurefine.model.occupancy import OccupancyGroups
from gpurefine.params.occupancy import GroupOccupancies, nearest_allowed
from gpurefine.params.values import AtomValues
from helpers import check_adjoint, check_gradient

MEMBER = np.array([0, 0, 1, 1, 1, 2, 2, 3, 4, -1, 5, 6], np.int32)
GROUPS = OccupancyGroups(
    ("a", "b", "c", "lone", "other", "this", "that"), MEMBER, ((0, 1, 2), (3, 4), (5, 6)), (True, False, True)
)


def values(occ: tuple[float, ...] = (0.3, 0.3, 0.5, 0.5, 0.5, 0.2, 0.2, 0.4, 0.3, 1.0, 0.6, 0.4)) -> AtomValues:
    n = len(MEMBER)
    return AtomValues(np.zeros((n, 3)), np.ones(n), np.zeros((n, 6)), np.array(occ))


@given(st.lists(st.floats(-2, 3), min_size=1, max_size=5), st.booleans())
def test_nearest_allowed_point(q: list[float], complete: bool) -> None:
    """In the set, and no other point of it is nearer: the way out makes no sharp angle with any way inside."""
    x = np.array(q)
    p = nearest_allowed(x, complete)
    assert p.min() >= 0.0 and (abs(p.sum() - 1.0) < 1e-12 if complete else p.sum() <= 1.0 + 1e-12)
    for corner in [*np.eye(len(x)), *([] if complete else [np.zeros(len(x))])]:
        assert (x - p) @ (corner - p) < 1e-9


def test_sums_are_kept_and_atoms_of_a_group_are_alike() -> None:
    kind = GroupOccupancies.of(GROUPS)
    assert kind.shape == (3, 3)
    now = kind.begin(values((0.9, 0.1, 0.5, 0.5, 0.8, 0.2, 0.2, 0.9, 0.6, 1.0, 0.6, 0.4)))
    rng = np.random.default_rng(0)
    for _ in range(20):
        now = kind.move(now, rng.normal(size=(3, 3)) * 0.3)
        q = [now.occ[g == MEMBER] for g in range(7)]
        assert all(np.ptp(part) == 0.0 for part in q)
        assert abs(sum(part[0] for part in q[:3]) - 1.0) < 1e-12 and q[3][0] + q[4][0] <= 1.0 + 1e-12
        assert abs(q[5][0] + q[6][0] - 1.0) < 1e-12
        assert now.occ.min() >= 0.0 and now.occ[9] == 1.0


def test_chain_rule() -> None:
    kind, here = GroupOccupancies.of(GROUPS), values()
    rng = np.random.default_rng(1)
    c = rng.normal(size=len(MEMBER))
    empty = np.zeros((len(MEMBER), 3)), np.zeros(len(MEMBER)), np.zeros((len(MEMBER), 6))

    def pull(w: np.ndarray) -> np.ndarray:
        return kind.pull(here, DensityGradient(*empty, w))

    slope = pull(3 * c * here.occ**2)
    check_gradient(lambda s: float(np.sum(c * kind.move(here, s).occ ** 3)), slope, np.zeros((3, 3)))
    check_adjoint(lambda v: kind.tangent(here, v).occ, pull, rng.normal(size=(3, 3)), rng.normal(size=len(MEMBER)))
    weight = rng.uniform(1, 2, len(MEMBER))
    blocks = kind.pull_blocks(here, AtomInformation(np.zeros((len(MEMBER), 3, 3)), np.zeros(len(MEMBER)), weight))
    v = rng.normal(size=(3, 3))
    # atoms of one group count as independent, as everywhere in the diagonal approximation
    expected = float(np.sum(weight * kind.tangent(here, v).occ ** 2))
    assert np.einsum("mi,mij,mj->", v, blocks, v) == pytest.approx(expected)


def test_a_full_step_ends_at_the_lowest_allowed_point() -> None:
    """Where the free minimum is not allowed: no allowed point has a lower quadratic model, and shorter steps are whole.

    One conformer of three at zero, a set that would leave its simplex, and one whose minimum is allowed.
    """
    kind = GroupOccupancies.of(GROUPS)
    at = kind.begin(values((0.0, 0.0, 0.6, 0.6, 0.6, 0.4, 0.4, 0.9, 0.1, 1.0, 0.5, 0.5)))
    zero = np.zeros(len(MEMBER))
    rng = np.random.default_rng(0)
    weight = np.abs(rng.normal(size=len(MEMBER))) + 0.5
    slope = zero.copy()
    slope[[0, 1, 2, 5, 7, 8, 10]] = 3.0, 2.0, -1.0, 1.5, -3.0, -2.0, 0.02
    gradient = kind.pull(at, DensityGradient(np.zeros((len(zero), 3)), zero, np.zeros((len(zero), 6)), slope))
    blocks = kind.pull_blocks(at, AtomInformation(np.zeros((len(zero), 3, 3)), zero, weight))
    within = kind.within(at, gradient, blocks)
    step = -np.einsum("mij,mj->mi", np.linalg.pinv(blocks, rcond=1e-8), within)
    free = -np.einsum("mij,mj->mi", np.linalg.pinv(blocks, rcond=1e-8), gradient)
    assert np.allclose(step[2], free[2]) and np.array_equal(within[2], gradient[2])
    assert not np.allclose(step[:2], free[:2])
    start = kind.groups.occupancies(at.occ)
    for length in (1.0, 0.3):
        moved = kind.groups.occupancies(kind.move(at, length * step).occ)
        expected = length * np.concatenate([step[0], step[1, :2], step[2, :2]])
        np.testing.assert_allclose(moved - start, expected, rtol=0, atol=1e-6)
    for row, (members, complete) in enumerate(zip(GROUPS.sets, GROUPS.complete, strict=True)):
        n, here = len(members), start[list(members)]

        def model(q: np.ndarray, row: int = row, n: int = n, here: np.ndarray = here) -> float:
            x = q - here
            return float(gradient[row, :n] @ x + 0.5 * x @ blocks[row, :n, :n] @ x)

        best = model(here + step[row, :n])
        for q in rng.uniform(-0.5, 1.5, (300, n)):
            assert model(nearest_allowed(q, complete)) >= best - 1e-5
