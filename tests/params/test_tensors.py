"""Displacement tensors as parameters: chain rule, spaces, positive definiteness."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import gemmi
import numpy as np
import pytest

from gpurefine.backend.gaussians import full_tensors
from gpurefine.backend.plans import AtomInformation, DensityGradient
from gpurefine.constants import B_MAX, B_MIN, EIGHT_PI2
from gpurefine.io.symmetry import crystal_from_gemmi
from gpurefine.model.special import find_special_positions
from gpurefine.model.tensors import TRACE
from gpurefine.params.tensors import DisplacementTensors, safe_lengths, tensors_of
from gpurefine.params.values import AtomValues

BOX = crystal_from_gemmi(gemmi.UnitCell(30, 30, 40, 90, 90, 90), gemmi.SpaceGroup("P 4 2 2"))


@pytest.fixture
def model() -> Any:
    """Atoms: anisotropic on a twofold and on the fourfold axis and two in general places, one isotropic, hydrogens."""
    xyz = np.array([[0.0, 0, 5.0], [4.0, 0, 0], [3, 4, 5], [7, 8, 9], [9, 3, 6], [9.5, 3, 6], [3.0, 4.9, 5]], float)
    owner = np.array([0, 1, 2, 3, 4, 4, 2], np.int32)
    is_aniso = np.array([True, True, True, True, False, False, False])
    special = find_special_positions(BOX, xyz, owner == np.arange(7))
    assert special.atom.tolist() == [0, 1]
    rng = np.random.default_rng(0)
    full = rng.normal(size=(7, 3, 3))
    full = 0.02 * full @ np.swapaxes(full, 1, 2) + 0.2 * np.eye(3)
    u = full[:, (0, 1, 2, 0, 0, 1), (0, 1, 2, 1, 2, 2)]
    for atom, projector in zip(special.atom, special.tensor_projectors(), strict=True):
        u[atom] = projector @ u[atom]
    u[~is_aniso] = 0.0
    b = np.where(is_aniso, EIGHT_PI2 / 3.0 * (u @ TRACE), 20.0)
    values = AtomValues(xyz, b, u, np.ones(7))
    return DisplacementTensors.of(owner, is_aniso, special), values


def random_slope(seed: int) -> DensityGradient:
    rng = np.random.default_rng(seed)
    return DensityGradient(rng.normal(size=(7, 3)), rng.normal(size=7), rng.normal(size=(7, 6)), rng.normal(size=7))


def test_tangent_is_the_derivative_of_move(model: Any) -> None:
    kind, values = model
    shift = np.random.default_rng(1).normal(size=kind.shape)
    h = 1e-4
    up, down = kind.move(values, h * shift), kind.move(values, -h * shift)
    tangent = kind.tangent(values, shift)
    np.testing.assert_allclose((up.u_aniso - down.u_aniso) / (2 * h), tangent.u_aniso, atol=1e-8)
    np.testing.assert_allclose((up.b_iso - down.b_iso) / (2 * h), tangent.b_iso, atol=1e-6)
    assert not tangent.xyz.any() and not tangent.occ.any()


def test_pull_is_the_transpose_of_tangent(model: Any) -> None:
    kind, values = model
    shift, slope = np.random.default_rng(2).normal(size=kind.shape), random_slope(3)
    tangent = kind.tangent(values, shift)
    # B of anisotropic atoms is only told, it does not scatter
    forward = np.sum(tangent.u_aniso * slope.u_aniso) + np.sum((tangent.b_iso * slope.b_iso)[~kind.is_aniso])
    assert np.sum(shift * kind.pull(values, slope)) == pytest.approx(forward, rel=1e-12)


def test_blocks_are_pulled_as_squares_of_slopes(model: Any) -> None:
    """Information that is g gᵀ of one slope by atom gives J̃ᵀ(Σ g gᵀ)J̃ inside an atom's space, and is stiff outside."""
    kind, values = model
    slope = random_slope(4)
    information = AtomInformation(
        np.zeros((7, 3, 3)), slope.b_iso**2, np.zeros(7), slope.u_aniso[:, :, None] * slope.u_aniso[:, None, :]
    )
    blocks = kind.pull_blocks(values, information)
    expected = np.zeros((7, 6, 6))
    for atom in range(7):
        single = DensityGradient(np.zeros((7, 3)), np.zeros(7), np.zeros((7, 6)), np.zeros(7))
        single.b_iso[atom], single.u_aniso[atom] = slope.b_iso[atom], slope.u_aniso[atom]
        pulled = kind.pull(values, single)
        expected += pulled[:, :, None] * pulled[:, None, :]
    inside = np.swapaxes(kind.space, 1, 2) @ blocks @ kind.space
    np.testing.assert_allclose(inside, expected, atol=1e-9 * np.abs(expected).max())
    owners = np.flatnonzero(kind.owner == np.arange(7))
    lowest = np.linalg.eigvalsh(blocks[owners])
    free = np.trace(kind.space[owners], axis1=1, axis2=2)
    assert np.all(lowest > -1e-9 * lowest[:, -1:])
    for row, dimension in zip(lowest, free, strict=True):
        assert np.sum(row > 1e-9 * row[-1]) >= 6 - round(float(dimension))


def test_spaces(model: Any) -> None:
    kind, values = model
    moved = kind.move(values, np.full(kind.shape, 0.02) * np.arange(1, 7))
    u = moved.u_aniso - values.u_aniso
    # fourfold axis along z, twofold axis along x
    assert u[0, 0] == pytest.approx(u[0, 1]) and np.allclose(u[0, 3:], 0.0, atol=1e-12) and u[0, 2] != 0.0
    assert np.allclose(u[1, [3, 4]], 0.0, atol=1e-12) and u[1, 5] != 0.0
    assert np.allclose(u[2], 0.02 * np.arange(1, 7))
    assert not moved.u_aniso[4:].any()
    change = moved.b_iso - values.b_iso
    assert change[4] == pytest.approx(EIGHT_PI2 * 0.04) and change[5] == pytest.approx(change[4])
    # the hydrogen on an anisotropic atom takes its equivalent B
    assert change[6] == pytest.approx(change[2])


def test_steps_never_leave_the_positive_definite(model: Any) -> None:
    kind, values = model
    rng = np.random.default_rng(5)
    for _ in range(50):
        shift = rng.normal(0.0, 0.3, kind.shape)
        moved = kind.move(values, shift)
        assert np.linalg.eigvalsh(full_tensors(tensors_of(moved, kind.is_aniso)[:5])).min() >= B_MIN / EIGHT_PI2 - 1e-12
        # what is shortened keeps its direction
        for atom in range(4):
            change = moved.u_aniso[atom] - values.u_aniso[atom]
            wanted = kind.space[atom] @ shift[atom]
            length = change @ wanted / (wanted @ wanted)
            assert np.allclose(change, length * wanted, atol=1e-12)
            assert np.isclose(length, [0.0, *(0.5**k for k in range(9))], atol=1e-9).any()


def test_safe_length_of_the_others_is_one() -> None:
    u = np.tile([0.3, 0.2, 0.1, 0.0, 0.0, 0.0], (3, 1))
    shift = np.zeros((3, 6))
    shift[1, 2] = -0.09
    shift[2, 2] = -0.05
    assert safe_lengths(u, shift).tolist() == [1.0, 0.5, 1.0]
    assert safe_lengths(u[:0], shift[:0]).shape == (0,)
    # a tensor at its floor stays
    flat = np.array([[0.3, 0.2, B_MIN / EIGHT_PI2, 0.0, 0.0, 0.0]])
    assert safe_lengths(flat, -0.1 * flat)[0] == 0.0
    assert safe_lengths(flat, 0.1 * flat)[0] == 1.0
    # one below the floor, as a file may have it, may rise, and one above the ceiling fall
    assert safe_lengths(0.5 * flat, 0.1 * flat)[0] == 1.0
    top = B_MAX / EIGHT_PI2
    high = np.array([[top + 1.0, 1.0, 1.0, 0.0, 0.0, 0.0], [top - 0.3, 1.0, 1.0, 0.0, 0.0, 0.0]])
    along = np.array([[1.0, 0.0, 0.0, 0.0, 0.0, 0.0]] * 2)
    assert safe_lengths(high, -0.1 * along).tolist() == [1.0, 1.0]
    assert safe_lengths(high, 1.0 * along).tolist() == [0.0, 0.25]


def test_oblique_axis() -> None:
    """A twofold axis at 30° to x, as in P 6 2 2, mixes 11, 22 and 12: its projection is not symmetric."""
    hexagonal = crystal_from_gemmi(gemmi.UnitCell(30, 30, 40, 90, 90, 120), gemmi.SpaceGroup("P 6 2 2"))
    xyz = 8.0 * np.array([[np.cos(np.pi / 6), np.sin(np.pi / 6), 0.0]])
    special = find_special_positions(hexagonal, xyz)
    assert special.atom.tolist() == [0]
    kind = DisplacementTensors.of(np.zeros(1, np.int32), np.ones(1, bool), special)
    u = kind.space[0] @ np.array([0.3, 0.2, 0.25, 0.02, 0.01, -0.02])
    values = AtomValues(xyz, np.array([EIGHT_PI2 / 3.0 * u[:3].sum()]), u[None], np.ones(1))
    axis = xyz[0] / 8.0
    full = full_tensors(kind.move(values, np.array([[0.02, 0.01, 0.0, 0.03, 0.01, 0.02]])).u_aniso)[0]
    assert np.allclose(np.cross(axis, full @ axis), 0.0, atol=1e-6)
    assert not np.allclose(kind.space[0], kind.space[0].T)
    rng = np.random.default_rng(6)
    shift, w = rng.normal(size=(1, 6)), rng.normal(size=(1, 6))
    pulled = kind.pull(values, DensityGradient(np.zeros((1, 3)), np.zeros(1), w, np.zeros(1)))
    assert np.sum(shift * pulled) == pytest.approx(np.sum(kind.tangent(values, shift).u_aniso * w), rel=1e-12)


def test_b_of_riding_atoms_stays_between_its_bounds(model: Any) -> None:
    kind, values = model
    low = replace(values, b_iso=np.where(np.arange(7) == 5, 1.0, values.b_iso))
    moved = kind.move(low, -0.05 * np.tile(TRACE, (7, 1)))
    assert moved.b_iso[4] == pytest.approx(20.0 - 0.05 * EIGHT_PI2) and moved.b_iso[5] == B_MIN


def test_values_are_not_changed_in_place(model: Any) -> None:
    kind, values = model
    before = replace(values, b_iso=values.b_iso.copy(), u_aniso=values.u_aniso.copy())
    kind.move(values, np.full(kind.shape, 0.01))
    assert np.array_equal(before.u_aniso, values.u_aniso) and np.array_equal(before.b_iso, values.b_iso)
