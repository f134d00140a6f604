"""Restraints between displacement tensors: closed forms, derivatives, curvature, symmetry."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from restraint_models import bonds, crystal, dense, topology

from gpurefine.backend.gaussians import full_tensors
from gpurefine.constants import EIGHT_PI2
from gpurefine.errors import NumericalError
from gpurefine.model.special import SpecialPositions, find_special_positions
from gpurefine.model.tensors import TRACE, tensor_rotation
from gpurefine.restraints.adp import AdpRestraints
from gpurefine.restraints.adp_tensors import RIGID_SIGMA, SPHERICITY_SIGMA, TensorRestraints
from gpurefine.restraints.nonbonded import NonbondedRestraints
from helpers import central_gradient

NOBODY = SpecialPositions(np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros((0, 3, 3)), (), np.zeros((0, 3)))


def restraints(
    xyz: Any, top: Any, backend: Any, is_aniso: Any, box: Any = None, weight: float = 1.0, special: Any = NOBODY
) -> tuple[TensorRestraints, AdpRestraints]:
    box = box or crystal()
    pairs = AdpRestraints(top, box, backend, weight)
    pairs.update(xyz, NonbondedRestraints(top, box, backend).update(xyz))
    return TensorRestraints(pairs, special, np.asarray(is_aniso), backend), pairs


def random_tensors(n: int, seed: int, spread: float = 0.5) -> Any:
    """Positive definite tensors (n, 6) of about B = 20 Å²."""
    rng = np.random.default_rng(seed)
    turn = np.linalg.qr(rng.normal(size=(n, 3, 3)))[0]
    principal = 0.25 * np.exp(rng.normal(0.0, spread, (n, 3)))
    full = np.einsum("nij,nj,nkj->nik", turn, principal, turn)
    return full[:, (0, 1, 2, 0, 0, 1), (0, 1, 2, 1, 2, 2)]


def scattered(seed: int, n: int = 14) -> tuple[Any, Any, Any, Any]:
    """Atoms close together in P 2₁ with bonds, two of them through the screw axis; half are anisotropic."""
    rng = np.random.default_rng(seed)
    box = crystal("P 1 21 1", (9.0, 8.0, 10.0, 90.0, 103.0, 90.0))
    xyz = rng.uniform(0.0, 1.0, (n, 3)) @ box.orth.T
    rotation, translation = box.cartesian_rotations()[1], box.orth @ box.translations[1]
    # the screw axis takes atom 2 next to the last atom, and the last but one next to atom 1
    xyz[n - 1] = rotation @ xyz[2] + translation + rng.uniform(0.5, 1.0, 3)
    xyz[n - 2] = np.linalg.solve(rotation, xyz[1] + rng.uniform(0.5, 1.0, 3) - translation)
    rows = [(k, k + 1, 1.5, 0.02) for k in range(0, n - 3)] + [(n - 1, 2, 1.5, 0.02), (1, n - 2, 1.5, 0.02)]
    top = topology(n, bonds(rows, [(0, 0, 0, 0)] * (n - 3) + [(1, 0, 0, 0)] * 2))
    is_aniso = np.arange(n) % 2 == 0
    u = random_tensors(n, seed + 1)
    u[~is_aniso] = np.outer(u[~is_aniso, :3].mean(axis=1), TRACE)
    return xyz, top, box, (is_aniso, u)


def test_isotropic_tensors_are_restrained_as_b_is(backend: Any) -> None:
    rng = np.random.default_rng(5)
    xyz = rng.uniform(0, 6, (12, 3))
    top = topology(12, bonds([(k, k + 1, 1.5, 0.02) for k in range(0, 11, 2)]))
    tensors, pairs = restraints(xyz, top, backend, np.zeros(12, bool), weight=2.0)
    b = rng.uniform(5, 80, 12)
    expected, found = pairs.evaluate(b, True), tensors.evaluate(b[:, None] / EIGHT_PI2 * TRACE, True)
    assert found.value == pytest.approx(expected.value)
    np.testing.assert_allclose(found.gradient @ TRACE / EIGHT_PI2, expected.gradient, rtol=1e-9)
    # equal B have the same curvature; else that of B also counts how the denominators change
    same = np.full(12, 20.0)
    expected, found = pairs.evaluate(same, True), tensors.evaluate(same[:, None] / EIGHT_PI2 * TRACE, True)
    pull = np.kron(np.eye(12), TRACE[:, None]) / EIGHT_PI2
    np.testing.assert_allclose(pull.T @ dense(found.matrices) @ pull, dense(expected.matrices), atol=1e-9)


def test_closed_forms(backend: Any) -> None:
    """Two bonded atoms whose tensors have the axes x, y, z; the bond is along z."""
    xyz = np.array([[0.0, 0, 0], [0, 0, 1.5]])
    tensors, _ = restraints(xyz, topology(2, bonds([(0, 1, 1.5, 0.02)])), backend, np.ones(2, bool), weight=3.0)
    one, two = np.array([0.1, 0.2, 0.3]), np.array([0.2, 0.15, 0.4])
    u = np.zeros((2, 6))
    u[:, :3] = one, two
    values = tensors.evaluate(u, False).values
    assert values["similarity"] == pytest.approx(3.0 / 0.1**2 / 6.0 * float(np.sum(one / two + two / one - 2.0)))
    assert values["rigid bond"] == pytest.approx(0.5 * 3.0 / RIGID_SIGMA[0] ** 2 * 0.1**2 / (0.3 * 0.4))
    relative = [float(np.sum((t / t.mean() - 1.0) ** 2)) for t in (one, two)]
    assert values["sphericity"] == pytest.approx(0.5 * 3.0 / SPHERICITY_SIGMA[1] ** 2 * sum(relative))
    assert tensors.value(u) == pytest.approx(sum(values.values()))


def test_bonds_through_symmetry_point_from_the_lower_atom(backend: Any) -> None:
    xyz, top, box, (is_aniso, _) = scattered(7)
    pairs = restraints(xyz, top, backend, is_aniso, box)[1]
    turn, shift = box.cartesian_rotations()[1], box.orth @ box.translations[1]
    for low, high, image in (
        (2, 13, np.linalg.solve(turn, xyz[13] - shift)), (1, 12, turn @ xyz[12] + shift), (0, 1, xyz[1])
    ):
        which = pairs.pattern.pairs.tolist().index([low, high])
        line = image - xyz[low]
        np.testing.assert_allclose(pairs.line[which], line / np.linalg.norm(line), atol=1e-9)


def test_value_does_not_depend_on_the_frame(backend: Any) -> None:
    xyz, _, _, (_, u) = scattered(3)
    wide = crystal("P 1", (80.0, 80.0, 80.0, 90.0, 90.0, 90.0))
    free = topology(len(xyz), bonds([(k, k + 1, 1.5, 0.02) for k in range(len(xyz) - 1)]))
    turn = np.linalg.qr(np.random.default_rng(2).normal(size=(3, 3)))[0]
    everyone = np.ones(len(xyz), bool)
    here = restraints(xyz, free, backend, everyone, wide)[0].value(u)
    there = restraints(xyz @ turn.T, free, backend, everyone, wide)[0].value(u @ tensor_rotation(turn).T)
    assert there == pytest.approx(here, rel=1e-9)


def test_gradient(backend: Any) -> None:
    """Anisotropic atoms freely, isotropic ones along the unit tensor; bonds and contacts through symmetry included."""
    xyz, top, box, (is_aniso, u) = scattered(7)
    tensors, pairs = restraints(xyz, top, backend, is_aniso, box)
    assert (pairs.op != 0).sum() > 5 and np.sum((pairs.op != 0) & (pairs.relation == 0)) == 2
    found = tensors.evaluate(u, False).gradient
    # along random directions, each of which moves every atom
    directions = np.random.default_rng(8).normal(size=(16, *u.shape))
    directions[:, ~is_aniso] = directions[:, ~is_aniso, :1] * TRACE
    expected = central_gradient(lambda t: tensors.value(u + np.tensordot(t, directions, 1)), np.zeros(16), 5e-5)
    scale = np.abs(found).max()
    np.testing.assert_allclose(np.tensordot(directions, found, 2), expected, atol=1e-6 * scale)
    flat = np.outer((found[~is_aniso] @ TRACE) / 3.0, TRACE)
    np.testing.assert_allclose(found[~is_aniso], flat, atol=1e-12 * scale)


def test_curvature_is_never_negative_and_exact_where_neighbours_agree(backend: Any) -> None:
    xyz, top, box, (is_aniso, u) = scattered(9)
    tensors, pairs = restraints(xyz, top, backend, is_aniso, box)
    matrix = dense(tensors.evaluate(u, True).matrices)
    np.testing.assert_allclose(matrix, matrix.T, atol=1e-9 * np.abs(matrix).max())
    assert np.linalg.eigvalsh(matrix).min() > -1e-9 * np.abs(matrix).max()
    # all tensors equal and isotropic: every residual is zero, so that the held denominators do not matter
    same = np.tile(0.25 * TRACE, (len(u), 1))
    everyone = TensorRestraints(pairs, NOBODY, np.ones(len(u), bool), backend)
    found = dense(everyone.evaluate(same, True).matrices)
    h = 1e-5
    for v in np.random.default_rng(2).normal(size=(12, *same.shape)):
        up, down = (everyone.evaluate(same + sign * h * v, False).gradient.ravel() for sign in (1, -1))
        np.testing.assert_allclose(found @ v.ravel(), (up - down) / (2 * h), atol=1e-5 * np.abs(found).max())


def test_curvature_is_the_sum_of_squares_it_claims_to_be(backend: Any) -> None:
    """vᵀHv by the formula of the module, pair by pair."""
    xyz, top, box, (_, u) = scattered(11)
    tensors, _ = restraints(xyz, top, backend, np.ones(len(u), bool), box)
    terms = tensors.terms
    v = np.random.default_rng(1).normal(size=u.shape)
    turned = terms.turn[terms.op]
    inverse = [
        np.linalg.inv(full_tensors(t)) for t in (u[terms.first], np.einsum("kij,kj->ki", turned, u[terms.second]))
    ]
    change = v[terms.first] - np.einsum("kij,kj->ki", turned, v[terms.second])
    delta = full_tensors(change)
    expected = np.sum(terms.weight / 3.0 * np.einsum("kij,kjl,klm,kmi->k", inverse[0], delta, inverse[1], delta))
    along = np.einsum("ki,kij,kj->k", terms.direction, delta, terms.direction)
    p, q = (
        np.einsum("ki,kij,kj->k", terms.direction, np.linalg.inv(t), terms.direction) for t in inverse
    )
    rigid = terms.rigid > 0.0
    expected += np.sum((terms.rigid * along**2)[rigid] / (p * q)[rigid])
    mean, full = u[:, :3].mean(axis=1), full_tensors(v)
    uneven = full - np.einsum("nii->n", full)[:, None, None] / 3.0 * np.eye(3)
    expected += np.sum(terms.sphericity / mean**2 * np.einsum("nij,nij->n", uneven, uneven))
    matrix = dense(tensors.evaluate(u, True).matrices)
    assert v.ravel() @ matrix @ v.ravel() == pytest.approx(expected, rel=1e-9)


def test_waters_are_held_spherical_more_than_bonded_atoms(backend: Any) -> None:
    xyz = np.array([[0.0, 0, 0], [0, 0, 1.5], [0, 1.4, 2.1], [15.0, 15.0, 15.0]])
    top = topology(4, bonds([(0, 1, 1.5, 0.02), (1, 2, 1.5, 0.02)]))
    terms = restraints(xyz, top, backend, np.array([True, True, False, True]))[0].terms
    assert terms.sphericity[3] > terms.sphericity[0] > terms.sphericity[1] > 0.0
    assert terms.sphericity[2] == 0.0


def test_rigid_bonds_need_an_anisotropic_atom(backend: Any) -> None:
    xyz = np.array([[0.0, 0, 0], [0, 0, 1.5], [0, 1.4, 2.1], [0.0, 1.4, 3.6]])
    top = topology(4, bonds([(0, 1, 1.5, 0.02), (1, 2, 1.5, 0.02), (2, 3, 1.5, 0.02)]), [(0, 1, 2, 2.0, 0.05)])
    terms = restraints(xyz, top, backend, np.array([True, False, False, False]))[0].terms
    rigid = dict(zip(zip(terms.first.tolist(), terms.second.tolist(), strict=True), terms.rigid, strict=True))
    assert rigid[0, 1] == pytest.approx(1 / RIGID_SIGMA[0] ** 2)
    assert rigid[0, 2] == pytest.approx(1 / RIGID_SIGMA[1] ** 2)
    assert rigid[1, 2] == rigid[2, 3] == 0.0


def test_special_positions_keep_their_symmetry(backend: Any) -> None:
    """Curvature of an atom on a twofold axis couples neither it nor its neighbours to what the axis forbids."""
    box = crystal("C 1 2 1", (14.0, 9.0, 10.0, 90.0, 100.0, 90.0))
    xyz = np.array([[0.0, 2.0, 0.0], [1.2, 2.5, 0.7], [2.0, 3.5, 1.0]])
    special = find_special_positions(box, xyz)
    assert special.atom.tolist() == [0]
    top = topology(3, bonds([(0, 1, 1.5, 0.02), (1, 2, 1.5, 0.02)]))
    tensors, _ = restraints(xyz, top, backend, np.ones(3, bool), box, special=special)
    u = random_tensors(3, 4)
    projector = special.tensor_projectors()[0]
    u[0] = projector @ u[0]
    np.testing.assert_allclose(projector @ projector, projector, atol=1e-12)
    assert np.trace(projector) == pytest.approx(4.0)
    matrix = dense(tensors.evaluate(u, True).matrices)
    forbidden = np.zeros((18, 2))
    forbidden[:6] = np.linalg.svd(np.eye(6) - projector)[0][:, :2]
    assert np.abs(matrix @ forbidden).max() < 1e-9 * np.abs(matrix).max()
    allowed = np.eye(18)
    allowed[:6, :6] = projector
    free = dense(TensorRestraints(tensors._pairs, NOBODY, np.ones(3, bool), backend).evaluate(u, True).matrices)
    np.testing.assert_allclose(matrix, allowed.T @ free @ allowed, atol=1e-9 * np.abs(matrix).max())


def test_tensors_that_are_not_positive_definite(backend: Any) -> None:
    xyz = np.array([[0.0, 0, 0], [0, 0, 1.5]])
    tensors, _ = restraints(xyz, topology(2, bonds([(0, 1, 1.5, 0.02)])), backend, np.ones(2, bool))
    u = np.array([[0.2, 0.2, 0.2, 0.0, 0.0, 0.0], [0.1, 0.1, 0.1, 0.15, 0.0, 0.0]])
    assert tensors.value(u) == float("inf")
    with pytest.raises(NumericalError, match="positive definite"):
        tensors.evaluate(u, True)
