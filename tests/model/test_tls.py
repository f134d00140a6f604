"""Motion of rigid groups: tensors, parameters, origins, and real files."""

from __future__ import annotations

import numpy as np
import pytest

from gpurefine.backend.gaussians import full_tensors
from gpurefine.constants import DEGREE
from gpurefine.model.tls import N_TLS, Tensors, TlsGroups, cross_matrix, design


def random_values(g: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(g, N_TLS))
    values[:, 6:12] *= DEGREE**2
    values[:, 12:] *= DEGREE
    return values


def test_cross_matrix_is_a_cross_product() -> None:
    rng = np.random.default_rng(0)
    r, turn = rng.normal(size=(5, 3)), rng.normal(size=3)
    assert np.allclose(cross_matrix(r) @ turn, np.cross(turn, r))


def test_closed_form_of_one_element() -> None:
    """U11 = T11 + L22 z² + L33 y² − 2 L23 y z + 2 S21 z − 2 S31 y, as the definition says for the atom at (x, y, z)."""
    values = random_values(1)
    x, y, z = 1.5, -2.0, 3.0
    tensors = Tensors.of(values)
    t, libration, s = tensors.t[0], tensors.l[0], tensors.s[0]
    expected = t[0, 0] + libration[1, 1] * z**2 + libration[2, 2] * y**2 - 2 * libration[1, 2] * y * z
    expected += 2 * s[1, 0] * z - 2 * s[2, 0] * y
    assert (design(np.array([[x, y, z]]))[0] @ values[0])[0] == pytest.approx(expected)


def test_displacement_is_that_of_random_rigid_motions() -> None:
    """U of an ensemble of small screws is the covariance of the displacements."""
    rng = np.random.default_rng(1)
    mixing = rng.normal(size=(6, 6))
    motions = rng.normal(size=(200, 6)) @ mixing
    motions -= motions.mean(axis=0)
    turn, slide = motions[:, :3], motions[:, 3:]
    n = len(motions)
    tensors = Tensors((slide.T @ slide / n)[None], (turn.T @ turn / n)[None], (turn.T @ slide / n)[None])
    r = rng.normal(size=(4, 3))
    moved = slide[:, None] + np.cross(turn[:, None], r[None])
    expected = np.einsum("kai,kaj->aij", moved, moved) / n
    u = design(r) @ tensors.values()[0]
    assert np.allclose(full_tensors(u), expected)


def test_tensors_to_parameters_and_back() -> None:
    values = random_values(3)
    assert np.allclose(Tensors.of(values).values(), values, atol=1e-14)
    assert np.allclose(np.trace(Tensors.of(values).s, axis1=1, axis2=2), 0.0)


def test_another_origin_is_the_same_motion() -> None:
    values, shift = random_values(1), np.array([[4.0, -1.0, 2.5]])
    moved = Tensors.of(values).moved(shift).values()
    r = np.random.default_rng(2).normal(size=(6, 3)) * 10
    assert np.allclose(design(r) @ values[0], design(r - shift) @ moved[0])


def test_parameters_follow_from_displacements() -> None:
    """TLS → U → TLS by linear least squares."""
    values = random_values(2)
    rng = np.random.default_rng(3)
    xyz = rng.normal(size=(60, 3)) * 12
    member = np.repeat([0, 1, -1], 20).astype(np.int32)
    groups = TlsGroups(("a", "b"), ((), ()), member, rng.normal(size=(2, 3)), values)
    u, rows = groups.displacement(xyz, values), groups.design(xyz)
    assert not u[40:].any() and not rows[40:].any()
    for g in range(2):
        own = member == g
        found = np.linalg.lstsq(rows[own].reshape(-1, N_TLS), u[own].ravel(), rcond=None)[0]
        assert np.abs(found - values[g]).max() < 1e-10
