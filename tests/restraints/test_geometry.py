"""Covalent restraints: closed forms, derivatives, curvature, invariances."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import gemmi
import numpy as np
import pytest
from restraint_models import bonds, crystal, dense, on_host, random_model, ride, topology

from gpurefine.errors import ChemistryError
from gpurefine.model.topology import Bonds
from gpurefine.restraints.geometry import GeometryRestraints
from helpers import check_gradient

P1 = crystal("P 1")


def test_stretched_bond(backend: Any) -> None:
    xyz = np.array([[0.0, 0, 0], [0, 0, 1.6]])
    g = GeometryRestraints(topology(2, bonds([(0, 1, 1.5, 0.02)])), P1, backend)
    result = g.evaluate(xyz, True)
    assert result.value == pytest.approx(0.5 * (0.1 / 0.02) ** 2)
    np.testing.assert_allclose(result.gradient, [[0, 0, -250.0], [0, 0, 250.0]], atol=1e-9)
    np.testing.assert_allclose(on_host(result.matrices[0].off)[0], np.diag([0, 0, -2500.0]), atol=1e-9)
    assert g.residuals(xyz).bond[0] == pytest.approx(0.1)
    assert g.value(xyz) == result.value


def test_angle_of_90_degrees(backend: Any) -> None:
    xyz = np.array([[2.0, 0, 0], [0, 0, 0], [0, 3.0, 0]])
    g = GeometryRestraints(topology(3, None, [(0, 1, 2, np.radians(100), np.radians(2))]), P1, backend)
    result = g.evaluate(xyz, False)
    assert result.values["angle"] == pytest.approx(0.5 * 25)
    # Turning atom 0 by dy closes the angle by dy/2.
    z_by_y = -0.5 / np.radians(2)
    assert result.gradient[0] == pytest.approx([0, -5 * z_by_y, 0])


def test_linear_angle_pulls_straight(backend: Any) -> None:
    bend = np.radians(10)
    xyz = np.array([[-1.2, 0, 0], [0, 0, 0], [1.3 * np.cos(bend), 1.3 * np.sin(bend), 0]])
    g = GeometryRestraints(topology(3, None, [(0, 1, 2, np.pi, np.radians(3))]), P1, backend)
    assert g.value(xyz) == pytest.approx((1 - np.cos(bend)) / np.radians(3) ** 2)
    assert g.residuals(xyz).angle[0] == pytest.approx(-bend)
    check_gradient(g.value, g.evaluate(xyz, False).gradient, xyz)
    straight = g.evaluate(np.array([[-1.2, 0, 0], [0, 0, 0], [1.3, 0, 0]]), True)
    assert np.abs(straight.gradient).max() < 1e-9
    # |dh/dx|² of an end atom: both directions across the line count 1/length².
    expected = np.diag([0, 1, 1]) / (1.2 * np.radians(3)) ** 2
    np.testing.assert_allclose(on_host(straight.matrices[0].diagonal)[0], expected, rtol=1e-9, atol=1e-9)


def test_torsion_sign_and_wrap_around(backend: Any) -> None:
    def at(angle: float) -> np.ndarray[Any, Any]:
        return np.array([[1.0, 0, -1], [0, 0, -1], [0, 0, 1], [np.cos(angle), np.sin(angle), 1]])

    xyz = at(np.radians(60))
    phi = gemmi.calculate_dihedral(*(gemmi.Position(*p) for p in xyz))
    row = (0, 1, 2, 3, phi - np.radians(7), np.radians(5), 1)
    assert GeometryRestraints(topology(4, torsion=[row]), P1, backend).residuals(xyz).torsion[0] == pytest.approx(
        np.radians(7)
    )
    near = GeometryRestraints(topology(4, torsion=[(0, 1, 2, 3, np.radians(-175), 0.1, 1)]), P1, backend)
    away = np.radians(175) * np.sign(phi)
    assert abs(near.residuals(at(away)).torsion[0]) == pytest.approx(np.radians(10))
    threefold = GeometryRestraints(topology(4, torsion=[(0, 1, 2, 3, np.radians(60), 0.1, 3)]), P1, backend)
    for turn in (-175.0, -55.0, 65.0):
        left = threefold.residuals(at(np.radians(turn) * np.sign(phi))).torsion[0]
        assert left == pytest.approx(np.radians(5))


def test_chiral_volume_and_either_hand(backend: Any) -> None:
    xyz = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]])
    one = GeometryRestraints(topology(4, chiral=[(0, 1, 2, 3, 1.2, 0.1, 0)]), P1, backend)
    assert one.residuals(xyz).chiral[0] == pytest.approx(-0.2)
    assert one.residuals(-xyz).chiral[0] == pytest.approx(-2.2)
    either = GeometryRestraints(topology(4, chiral=[(0, 1, 2, 3, 1.2, 0.1, 1)]), P1, backend)
    assert either.residuals(-xyz).chiral[0] == pytest.approx(0.2)
    assert either.value(xyz) == pytest.approx(either.value(-xyz)) == pytest.approx(0.5 * 4)


def test_plane_with_one_atom_off(backend: Any) -> None:
    """A square with corners alternately up and down stays centred on z = 0."""
    h = 0.05
    xyz = np.array([[1.0, 0, h], [0, 1, -h], [-1, 0, h], [0, -1, -h]])
    g = GeometryRestraints(topology(4, plane=[([0, 1, 2, 3], 0.02)]), P1, backend)
    result = g.evaluate(xyz, True)
    assert result.value == pytest.approx(0.5 * 4 * (h / 0.02) ** 2)
    np.testing.assert_allclose(np.abs(g.residuals(xyz).plane), h)
    np.testing.assert_allclose(result.gradient[:, 2], np.array([h, -h, h, -h]) / 0.02**2)
    assert np.abs(g.evaluate(xyz * [1, 1, 0], False).gradient).max() < 1e-9


def test_bond_to_a_symmetry_copy(backend: Any) -> None:
    """In P21 the mate of (x, y, z) is (−x, y + ½, −z): along b the pair stays ½ b apart."""
    box = crystal("P 1 21 1", (30.0, 8.0, 30.0, 90.0, 90.0, 90.0))
    top = topology(1, bonds([(0, 0, 4.0, 0.1)], [(1, 0, 0, 0)]))
    g = GeometryRestraints(top, box, backend)
    assert g.value(np.array([[0.0, 1.0, 0.0]])) == pytest.approx(0.0, abs=1e-20)
    xyz = np.array([[1.5, 1.0, 0.0]])
    result = g.evaluate(xyz, True)
    z = (5.0 - 4.0) / 0.1
    assert result.value == pytest.approx(0.5 * z**2)
    # d² = 4x² + 16, hence dz/dx = 4x/d/σ.
    assert result.gradient[0] == pytest.approx([z * 4 * 1.5 / 5.0 / 0.1, 0, 0], abs=1e-9)
    assert on_host(result.matrices[0].diagonal)[0, 0, 0] == pytest.approx((4 * 1.5 / 5.0 / 0.1) ** 2)


@pytest.mark.parametrize("seed", [1, 2])
def test_gradient_is_the_derivative(backend: Any, seed: int) -> None:
    xyz, top, box = random_model(seed)
    g = GeometryRestraints(top, box, backend)
    result = g.evaluate(xyz, False)
    assert all(v > 0 for v in result.values.values())
    riding = top.parent != np.arange(16)
    assert np.all(result.gradient[riding] == 0.0)
    check_gradient(lambda s: g.value(ride(xyz, s, top.parent)), result.gradient, np.zeros((16, 3)))


@pytest.mark.parametrize("seed", [3, 4])
def test_curvature_is_jt_w_j(backend: Any, seed: int) -> None:
    """Against the Jacobian of all residuals formed by central differences."""
    xyz, top, box = random_model(seed)
    g = GeometryRestraints(top, box, backend)
    plane_sigma = np.repeat(top.planes.sigma, np.diff(top.planes.start))
    sigma = np.concatenate([
        top.bonds.sigma, top.angles.sigma, top.torsions.sigma, top.chirals.sigma, plane_sigma
    ])

    def z(shift: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        r = g.residuals(ride(xyz, shift.reshape(16, 3), top.parent))
        return np.concatenate([r.bond, r.angle, r.torsion, r.chiral, r.plane]) / sigma

    step = 1e-4
    jacobian = np.empty((len(sigma), 48))
    for k in range(48):
        e = np.zeros(48)
        e[k] = step
        change = (8 * (z(e) - z(-e)) - z(2 * e) + z(-2 * e)) / (12 * step)
        # The eigenvector's sign is free: a flipped normal shows as a jump.
        assert np.abs(change).max() < 1e3
        jacobian[:, k] = change
    jacobian[:, np.repeat(top.parent != np.arange(16), 3)] = 0.0
    expected = jacobian.T @ jacobian
    result = g.evaluate(xyz, True)
    np.testing.assert_allclose(dense(result.matrices), expected, atol=1e-6 * np.abs(expected).max())
    assert result.value == pytest.approx(0.5 * float(z(np.zeros(48)) @ z(np.zeros(48))))


def test_moving_and_turning_the_model_changes_nothing(backend: Any) -> None:
    xyz, top, _ = random_model(5)
    b, inside = top.bonds, top.bonds.image == 0
    free = replace(top, bonds=Bonds(*(a[inside] for a in (b.atoms, b.ideal, b.sigma, b.image, b.shift))))
    g = GeometryRestraints(free, P1, backend)
    turn, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))
    turn *= np.sign(np.linalg.det(turn))
    before = g.evaluate(xyz, False)
    after = g.evaluate(xyz @ turn.T + [3.0, -40.0, 11.0], False)
    assert after.value == pytest.approx(before.value, rel=1e-10)
    np.testing.assert_allclose(after.gradient, before.gradient @ turn.T, atol=1e-8 * np.abs(before.gradient).max())
    assert np.abs(before.gradient.sum(axis=0)).max() < 1e-9 * np.abs(before.gradient).max()


def test_model_without_restraints(backend: Any) -> None:
    result = GeometryRestraints(topology(3), P1, backend).evaluate(np.eye(3), True)
    assert result.value == 0.0
    assert not result.gradient.any()


def test_no_chains_of_riding_atoms(backend: Any) -> None:
    with pytest.raises(ChemistryError, match="rides"):
        GeometryRestraints(topology(3, parent={2: 1, 1: 0}), P1, backend)


def test_degenerate_positions_stay_finite(backend: Any) -> None:
    """Coinciding atoms, atoms in one line: large values, no NaN."""
    rows = [(0, 1, 1.5, 0.02)]
    top = topology(
        4, bonds(rows), [(0, 1, 2, 2.0, 0.05)], [(0, 1, 2, 3, 1.0, 0.1, 2)], [(0, 1, 2, 3, 2.5, 0.1, 0)],
        [([0, 1, 2, 3], 0.02)],
    )
    g = GeometryRestraints(top, P1, backend)
    for xyz in (np.zeros((4, 3)), np.outer(np.arange(4.0), [1, 1, 0])):
        result = g.evaluate(xyz, True)
        assert np.isfinite(result.value)
        assert np.isfinite(result.gradient).all()
        assert np.isfinite(on_host(result.matrices[0].diagonal)).all()
        assert np.isfinite(on_host(result.matrices[0].off)).all()
