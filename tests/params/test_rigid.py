"""Rigid bodies as parameters."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gpurefine.backend.gaussians import full_tensors
from gpurefine.backend.plans import AtomInformation, DensityGradient
from gpurefine.params.rigid import RigidBodies, rotation_matrices
from gpurefine.params.values import AtomTangent, AtomValues
from helpers import check_adjoint, check_gradient

MEMBER = np.repeat([0, 1, -1], [30, 25, 10]).astype(np.int32)


@pytest.fixture
def values() -> AtomValues:
    """Two bodies and some atoms that stand still; half of the atoms anisotropic."""
    rng = np.random.default_rng(0)
    n = len(MEMBER)
    root = rng.normal(size=(n, 3, 3)) * 0.3
    full = root @ np.swapaxes(root, 1, 2)
    u = full[:, [0, 1, 2, 0, 0, 1], [0, 1, 2, 1, 2, 2]]
    u[::2] = 0.0
    return AtomValues(rng.normal(size=(n, 3)) * 9, rng.uniform(5, 50, n), u, np.ones(n))


def flat(tangent: AtomTangent) -> np.ndarray:
    return np.concatenate([tangent.xyz.ravel(), tangent.u_aniso.ravel()])


def test_rotation_of_ninety_degrees() -> None:
    turn = rotation_matrices(np.array([[0.0, 0.0, np.pi / 2], [0.0, 0.0, 0.0]]))
    assert np.allclose(turn[0] @ [1.0, 0.0, 0.0], [0.0, 1.0, 0.0])
    assert np.allclose(turn[1], np.eye(3))
    tiny = rotation_matrices(np.array([[1e-5, 0.0, 0.0]]))[0]
    np.testing.assert_allclose(tiny @ tiny.T, np.eye(3), rtol=0, atol=1e-15)
    assert tiny[2, 1] == pytest.approx(1e-5)


def test_distances_inside_a_body_stay(values: AtomValues) -> None:
    bodies = RigidBodies.of(MEMBER, values.xyz)
    moved = bodies.move(values, np.random.default_rng(1).normal(size=(2, 6)) * 3)
    for body in range(2):
        before, after = (v.xyz[body == MEMBER] for v in (values, moved))
        assert np.allclose(
            np.linalg.norm(before[:, None] - before, axis=2), np.linalg.norm(after[:, None] - after, axis=2)
        )
    assert np.array_equal(moved.xyz[MEMBER < 0], values.xyz[MEMBER < 0])
    before, after = (np.linalg.eigvalsh(full_tensors(v.u_aniso)) for v in (values, moved))
    assert np.allclose(before, after)


def test_a_shift_of_one_moves_atoms_by_about_one(values: AtomValues) -> None:
    bodies = RigidBodies.of(MEMBER, values.xyz)
    for k in range(3):
        shift = np.zeros((2, 6))
        shift[:, k] = 0.01
        moved = bodies.move(values, shift).xyz - values.xyz
        assert 0.004 < np.sqrt(np.mean(np.sum(moved[MEMBER == 0] ** 2, axis=1))) < 0.0101


def test_tangent_is_the_derivative_of_the_move(values: AtomValues) -> None:
    bodies = RigidBodies.of(MEMBER, values.xyz)
    direction = np.random.default_rng(2).normal(size=(2, 6))
    h = 1e-5
    plus, minus = (bodies.move(values, sign * h * direction) for sign in (1, -1))
    tangent = bodies.tangent(values, direction)
    assert np.allclose(tangent.xyz, (plus.xyz - minus.xyz) / (2 * h), atol=1e-8)
    assert np.allclose(tangent.u_aniso, (plus.u_aniso - minus.u_aniso) / (2 * h), atol=1e-8)


def test_pull_is_the_transpose_of_the_tangent(values: AtomValues) -> None:
    bodies = RigidBodies.of(MEMBER, values.xyz)
    rng = np.random.default_rng(3)
    n = len(MEMBER)

    def pull(w: np.ndarray) -> np.ndarray:
        slope = DensityGradient(w[: 3 * n].reshape(n, 3), np.zeros(n), w[3 * n :].reshape(n, 6), np.zeros(n))
        return bodies.pull(values, slope)

    check_adjoint(lambda v: flat(bodies.tangent(values, v)), pull, rng.normal(size=(2, 6)), rng.normal(size=9 * n))


def test_gradient_of_a_function_of_the_atoms(values: AtomValues) -> None:
    """Σ c·x³ + Σ d·U² of the atoms, by central differences in the twelve parameters."""
    bodies = RigidBodies.of(MEMBER, values.xyz)
    rng = np.random.default_rng(4)
    c, d = rng.normal(size=values.xyz.shape) * 1e-3, rng.normal(size=values.u_aniso.shape)

    def value(shift: np.ndarray) -> float:
        moved = bodies.move(values, shift)
        return float(np.sum(c * moved.xyz**3) + np.sum(d * moved.u_aniso**2))

    slope = DensityGradient(3 * c * values.xyz**2, np.zeros(len(c)), 2 * d * values.u_aniso, np.zeros(len(c)))
    check_gradient(value, bodies.pull(values, slope), np.zeros((2, 6)), step=1e-3, tolerance=1e-7)


def test_curvature_is_that_of_the_atoms_moving_together(values: AtomValues) -> None:
    bodies = RigidBodies.of(MEMBER, values.xyz)
    rng = np.random.default_rng(5)
    n = len(MEMBER)
    root = rng.normal(size=(n, 3, 3))
    blocks = root @ np.swapaxes(root, 1, 2)
    pulled = bodies.pull_blocks(values, AtomInformation(blocks, np.zeros(n), np.zeros(n)))
    for k in range(6):
        for m in range(6):
            one, other = np.zeros((2, 6)), np.zeros((2, 6))
            one[1, k], other[1, m] = 1.0, 1.0
            a, b = bodies.tangent(values, one).xyz, bodies.tangent(values, other).xyz
            assert pulled[1, k, m] == pytest.approx(float(np.einsum("ai,aij,aj->", a, blocks, b)))


def test_a_body_of_one_atom_is_not_turned_by_whole_circles(values: AtomValues) -> None:
    """Its radius of gyration is 0, that of a rotation at least 1 Å."""
    member = np.where(np.arange(len(MEMBER)) == 7, 0, -1).astype(np.int32)
    bodies = RigidBodies.of(member, values.xyz)
    assert bodies.radius.tolist() == [1.0]
    moved = bodies.move(values, np.array([[0.1, 0.2, 0.3, 0.0, 0.0, 0.5]]))
    assert np.allclose(moved.xyz[7] - values.xyz[7], [0.0, 0.0, 0.5])


def test_atoms_outside_do_not_count(values: AtomValues) -> None:
    bodies = RigidBodies.of(MEMBER, values.xyz)
    far = values.xyz.copy()
    far[MEMBER < 0] += 1000.0
    shift = np.ones((2, 6))
    moved, same = bodies.move(replace(values, xyz=far), shift), bodies.move(values, shift)
    assert np.array_equal(moved.xyz[MEMBER >= 0], same.xyz[MEMBER >= 0])
