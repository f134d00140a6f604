"""TLS tensors and anisotropic U that go along with rigid bodies."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gpurefine.backend import create
from gpurefine.backend.gaussians import full_tensors
from gpurefine.backend.plans import DensityGradient, Scatterers
from gpurefine.constants import DEGREE, EIGHT_PI2
from gpurefine.forward.density import plan_transform
from gpurefine.model.crystal import Crystal
from gpurefine.model.tensors import TRACE
from gpurefine.model.tls import N_TLS, TlsGroups, by_position
from gpurefine.params.carried import CarriedMotion
from gpurefine.params.rigid import RigidBodies, rotation_matrices
from gpurefine.params.values import AtomValues, Composition
from helpers import check_adjoint, check_gradient

BODY = np.repeat([0, 1, -1], [30, 25, 10]).astype(np.int32)
GROUP = np.repeat([0, 1, 2, -1], [15, 15, 28, 7]).astype(np.int32)
"""Two TLS groups in the first body; the third is the second body with three atoms that stand still."""
N = len(BODY)
IS_ANISO = np.arange(N) % 2 == 0


def groups() -> TlsGroups:
    rng = np.random.default_rng(0)
    return TlsGroups(("a", "b", "c"), ((), (), ()), GROUP, rng.normal(size=(3, 3)) * 3, np.zeros((3, N_TLS)))


def values() -> AtomValues:
    rng = np.random.default_rng(1)
    root = rng.normal(size=(N, 3, 3)) * 0.2
    full = root @ np.swapaxes(root, 1, 2) + 0.1 * np.eye(3)
    u = np.where(IS_ANISO[:, None], full[:, [0, 1, 2, 0, 0, 1], [0, 1, 2, 1, 2, 2]], 0.0)
    tls = rng.normal(size=(3, N_TLS))
    tls[:, :6] = 0.05 * tls[:, :6] + 0.3 * TRACE
    tls[:, 6:12] = (0.5 * tls[:, 6:12] + 4.0 * TRACE) * DEGREE**2
    tls[:, 12:] *= 0.1 * DEGREE
    b = np.where(IS_ANISO, EIGHT_PI2 / 3.0 * (u @ TRACE), rng.uniform(10, 40, N))
    return AtomValues(rng.normal(size=(N, 3)) * 6, b, u, np.ones(N), tls)


def composition() -> Composition:
    return Composition(IS_ANISO, np.zeros(N, np.int32), np.ones(N), groups())


def bodies() -> RigidBodies:
    return RigidBodies.of(BODY, values().xyz, groups())


SHIFT = np.array([[3.0, -1.0, 2.0, 4.0, -5.0, 1.0], [0.5, 2.0, -1.5, 0.0, 3.0, 2.0]])


def test_total_displacement_turns_with_the_body() -> None:
    """Of every atom of a body whose TLS group goes along: R U Rᵀ; and it is what it was for atoms that stand still."""
    before, after = values(), bodies().move(values(), SHIFT)
    u, moved = (full_tensors(composition().displacement(at)) for at in (before, after))
    turn = rotation_matrices(SHIFT[:, :3] / bodies().radius[:, None])
    for body in range(2):
        own = body == BODY
        np.testing.assert_allclose(moved[own], turn[body] @ u[own] @ turn[body].T, rtol=0, atol=1e-12)
    outside = (BODY < 0) & (GROUP < 0)
    assert np.array_equal(moved[outside], u[outside])


def test_there_and_back() -> None:
    """A turn and a shift, then the inverse."""
    moved = bodies().move(values(), SHIFT)
    back = bodies().move(moved, np.concatenate([-SHIFT[:, :3], np.zeros((2, 3))], axis=1))
    back = bodies().move(back, np.concatenate([np.zeros((2, 3)), -SHIFT[:, 3:]], axis=1))
    for name in ("xyz", "u_aniso", "tls"):
        np.testing.assert_allclose(getattr(back, name), getattr(values(), name), rtol=0, atol=1e-12)


def test_structure_factors_of_a_turned_crystal() -> None:
    """Everything turned by 90° about c in a cubic cell: F of the turned indices."""
    all_of_it = np.zeros(N, np.int32)
    one = TlsGroups(("a",), ((),), all_of_it, groups().origin[:1], np.zeros((1, N_TLS)))
    at = replace(values(), xyz=values().xyz - values().xyz.mean(axis=0), tls=values().tls[:1])
    whole = RigidBodies.of(all_of_it, at.xyz, one)
    shift = np.zeros((1, 6))
    shift[0, 2] = 0.5 * np.pi * whole.radius[0]
    made = Composition(IS_ANISO, np.zeros(N, np.int32), np.ones(N), one)
    orth = 30.0 * np.eye(3)
    crystal = Crystal(
        np.array([30.0, 30, 30, 90, 90, 90]), orth, np.linalg.inv(orth), np.eye(3, dtype=np.int32)[None],
        np.zeros((1, 3)), 1, "P 1", "P 1",
    )
    rng = np.random.default_rng(2)
    hkl = rng.integers(-8, 9, (60, 3)).astype(np.int32)
    hkl = hkl[np.abs(hkl).sum(axis=1) > 0]
    turned = np.stack([-hkl[:, 1], hkl[:, 0], hkl[:, 2]], axis=1).astype(np.int32)
    backend = create("cpu", 1)

    def f(which: np.ndarray, atoms: Scatterers) -> np.ndarray:
        plan = plan_transform(
            backend, crystal, which, np.full(N, 5.0), atoms.kind, np.array([[6.0]]), np.array([[10.0]])
        )
        return plan.direct_summation(atoms)

    before, after = f(hkl, made.scatterers(at)), f(turned, made.scatterers(whole.move(at, shift)))
    np.testing.assert_allclose(after, before, rtol=0, atol=1e-9 * np.abs(before).max())


def test_gradient_of_a_function_of_what_scatters() -> None:
    """Σ c·x³ + Σ d·U² of positions and total U, by central differences in the twelve parameters."""
    rng = np.random.default_rng(4)
    c, d = rng.normal(size=(N, 3)) * 1e-3, rng.normal(size=(N, 6)) * 5
    at, made = values(), composition()

    def value(shift: np.ndarray) -> float:
        moved = bodies().move(at, shift)
        return float(np.sum(c * moved.xyz**3) + np.sum(d * made.scatterers(moved).u_aniso ** 2))

    u = made.scatterers(at).u_aniso
    slope = made.by_values(at, DensityGradient(3 * c * at.xyz**2, np.zeros(N), 2 * d * u, np.zeros(N)))
    check_gradient(value, bodies().pull(at, slope), np.zeros((2, 6)), step=1e-3, tolerance=1e-7)


def test_pull_is_the_transpose_of_the_tangent() -> None:
    rng = np.random.default_rng(3)

    def pull(w: np.ndarray) -> np.ndarray:
        slope = DensityGradient(w[: 3 * N].reshape(N, 3), np.zeros(N), w[3 * N :].reshape(N, 6), np.zeros(N))
        return bodies().pull(values(), slope)

    def tangent(v: np.ndarray) -> np.ndarray:
        out = bodies().tangent(values(), v)
        return np.concatenate([out.xyz.ravel(), out.u_aniso.ravel()])

    check_adjoint(tangent, pull, rng.normal(size=(2, 6)), rng.normal(size=9 * N))


def test_tangent_is_the_derivative_of_the_total_displacement() -> None:
    at, made, h = values(), composition(), 1e-5
    direction = np.random.default_rng(2).normal(size=(2, 6))
    plus, minus = (made.displacement(bodies().move(at, sign * h * direction)) for sign in (1, -1))
    tangent = bodies().tangent(at, direction)
    by_place = np.zeros((N, 6))
    for k in range(6):
        row = np.zeros((N, 6))
        row[:, k] = 1.0
        by_place[:, k] = np.sum(by_position(groups(), at.tls, at.xyz, row) * tangent.xyz, axis=1)
    np.testing.assert_allclose(tangent.u_aniso + by_place, (plus - minus) / (2 * h), rtol=0, atol=1e-8)


def test_groups_go_with_most_of_their_atoms() -> None:
    motion = CarriedMotion.of(groups(), BODY)
    assert motion.body.tolist() == [0, 0, 1] and motion.divided(BODY) == ["c"]
    halves = np.where(np.arange(N) % 2 == 0, 0, 1).astype(np.int32)
    lone = CarriedMotion.of(groups(), np.where(GROUP >= 1, halves, -1).astype(np.int32))
    assert lone.body.tolist() == [-1, 1, -1] and lone.divided(halves) == ["a", "b", "c"]
    assert np.array_equal(lone.rates(values().tls, np.zeros((2, 3)), np.ones(2))[[0, 2]], np.zeros((2, N_TLS, 6)))


@pytest.mark.parametrize("column", range(6))
def test_rates_are_derivatives(column: int) -> None:
    at, made = values(), bodies()
    motion = CarriedMotion.of(groups(), BODY)
    centre = np.stack([at.xyz[body == BODY].mean(axis=0) for body in range(2)])
    rates, h = motion.rates(at.tls, centre, made.radius), 1e-5
    shift = np.zeros((2, 6))
    shift[:, column] = h
    found = (made.move(at, shift).tls - made.move(at, -shift).tls) / (2 * h)
    np.testing.assert_allclose(rates[:, :, column], found, rtol=0, atol=1e-9)
