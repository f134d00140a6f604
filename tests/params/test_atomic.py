"""Positions and isotropic B: tangent and transpose belong together, riding atoms follow, what is fixed stays."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from crystals import make_crystal

from gpurefine.backend.plans import AtomInformation, DensityGradient
from gpurefine.constants import B_MAX, B_MIN
from gpurefine.model.special import find_special_positions
from gpurefine.params.atomic import IsotropicB, Positions, sum_by_owner
from gpurefine.params.values import AtomTangent, AtomValues
from helpers import check_adjoint

N = 9


def model() -> tuple[AtomValues, Any, Any]:
    """Nine atoms, the first on a twofold axis, three riding on others."""
    rng = np.random.default_rng(1)
    crystal = make_crystal("P 1 2 1", 20.0)
    xyz = 5.0 + 3.0 * rng.normal(size=(N, 3))
    xyz[0] = (0.0, 4.0, 0.0)
    owner = np.arange(N, dtype=np.int32)
    owner[6:] = (2, 2, 4)
    values = AtomValues(xyz, rng.uniform(10.0, 40.0, N), np.zeros((N, 6)), np.ones(N))
    return values, owner, find_special_positions(crystal, xyz)


def flat(tangent: AtomTangent) -> Any:
    return np.concatenate([tangent.xyz.ravel(), tangent.b_iso, tangent.u_aniso.ravel(), tangent.occ])


def unflat(w: Any) -> DensityGradient:
    return DensityGradient(w[: 3 * N].reshape(N, 3), w[3 * N : 4 * N], w[4 * N : 10 * N].reshape(N, 6), w[10 * N :])


@pytest.mark.parametrize("which", ["positions", "B"])
def test_tangent_is_derivative_and_pull_its_transpose(which: str) -> None:
    values, owner, special = model()
    assert len(special.atom) == 1
    fixed = np.arange(N) == 3
    kind: Any = Positions(owner, special) if which == "positions" else IsotropicB(owner, fixed)
    rng = np.random.default_rng(2)
    v = rng.normal(size=kind.shape)
    tangent = kind.tangent(values, v)
    ahead, back = kind.move(values, 1e-4 * v), kind.move(values, -1e-4 * v)
    np.testing.assert_allclose(tangent.xyz, (ahead.xyz - back.xyz) / 2e-4, atol=1e-9)
    np.testing.assert_allclose(tangent.b_iso, (ahead.b_iso - back.b_iso) / 2e-4, atol=1e-9)
    check_adjoint(
        lambda x: flat(kind.tangent(values, x)), lambda w: kind.pull(values, unflat(w)), v, rng.normal(size=11 * N)
    )


def test_riding_atoms_keep_their_offset_and_take_the_parents_shift() -> None:
    values, owner, special = model()
    rng = np.random.default_rng(3)
    moved = Positions(owner, special).move(values, rng.normal(size=(N, 3)))
    np.testing.assert_allclose(moved.xyz - moved.xyz[owner], values.xyz - values.xyz[owner], atol=1e-12)
    np.testing.assert_allclose(moved.xyz[0, [0, 2]], 0.0, atol=1e-12)


def test_b_stays_between_its_bounds_and_where_it_is_fixed() -> None:
    values, owner, _ = model()
    kind = IsotropicB(owner, np.arange(N) == 3)
    moved = kind.move(values, np.full((N, 1), -1e4))
    assert moved.b_iso[3] == values.b_iso[3]
    assert np.all(moved.b_iso > 0.0)
    same = replace(values, b_iso=moved.b_iso)
    assert np.array_equal(kind.move(same, np.zeros((N, 1))).b_iso, moved.b_iso)
    assert np.all(np.delete(moved.b_iso, 3) == B_MIN)
    risen = kind.move(values, np.full((N, 1), 1e4)).b_iso
    assert np.all(np.delete(risen, 3) == B_MAX)


@pytest.mark.parametrize("which", ["positions", "B"])
def test_curvature_is_that_of_the_atoms_moving_together(which: str) -> None:
    """vᵀ H v is the sum of the atoms' own in directions that are free; the others are stiff."""
    values, owner, special = model()
    fixed = np.arange(N) == 3
    kind: Any = Positions(owner, special) if which == "positions" else IsotropicB(owner, fixed)
    rng = np.random.default_rng(4)
    root = rng.normal(size=(N, 3, 3))
    information = AtomInformation(root @ np.swapaxes(root, 1, 2), rng.uniform(1.0, 2.0, N), np.ones(N))
    blocks = kind.pull_blocks(values, information)
    v = kind.constrain(rng.normal(size=kind.shape))
    tangent = kind.tangent(values, v)
    expected = np.einsum("ai,aij,aj->", tangent.xyz, information.xyz, tangent.xyz)
    expected += np.sum(tangent.b_iso**2 * information.b_iso)
    assert np.einsum("mi,mij,mj->", v, blocks, v) == pytest.approx(expected)
    owns = owner == np.arange(N)
    if which == "positions":
        assert not v[0, [0, 2]].any() and v[0, 1] != 0.0
        assert np.linalg.eigvalsh(blocks[owns]).min() > 0.0
    else:
        assert v[3] == 0.0 and blocks[3] == 0.0


@pytest.mark.parametrize("order", ["after the parent", "anywhere", "none"])
def test_rows_are_summed_onto_their_owners(order: str) -> None:
    rng = np.random.default_rng(5)
    owner = np.arange(60)
    riders = rng.permutation(60)[:25] if order == "anywhere" else np.arange(60)[np.arange(60) % 3 > 0]
    if order != "none":
        parents = np.setdiff1d(owner, riders)
        owner[riders] = rng.choice(parents, len(riders)) if order == "anywhere" else riders - riders % 3
    for shape in ((60,), (60, 3), (60, 3, 3)):
        rows = rng.normal(size=shape)
        expected = np.zeros(shape)
        np.add.at(expected, owner, rows)
        before = rows.copy()
        np.testing.assert_allclose(sum_by_owner(owner.astype(np.int32), rows), expected, rtol=0, atol=1e-14)
        np.testing.assert_array_equal(rows, before)
