"""TLS tensors as parameters: chain rule, displacements that stay positive, sentences on tensors that cannot be."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gpurefine.backend.gaussians import full_tensors
from gpurefine.backend.plans import AtomInformation, DensityGradient
from gpurefine.constants import B_MIN, DEGREE, EIGHT_PI2
from gpurefine.model.tensors import TRACE, smallest_and_largest
from gpurefine.model.tls import N_TLS, TlsGroups, by_position
from gpurefine.params.atomic import IsotropicB
from gpurefine.params.tls import SMALLEST_U, UNIT, TlsMotion, validity
from gpurefine.params.values import AtomValues, Composition
from helpers import check_adjoint, check_gradient

MEMBER = np.repeat([0, 1, -1], [25, 20, 5]).astype(np.int32)
N = len(MEMBER)
IS_ANISO = np.arange(N) % 3 == 0
NONE = np.zeros((N, 3)), np.zeros(N)


def groups() -> TlsGroups:
    rng = np.random.default_rng(0)
    return TlsGroups(("a", "b"), ((), ()), MEMBER, rng.normal(size=(2, 3)), np.zeros((2, N_TLS)))


def values() -> AtomValues:
    """Two groups in some motion and atoms outside; a third of the atoms anisotropic."""
    rng = np.random.default_rng(1)
    root = rng.normal(size=(N, 3, 3)) * 0.15
    full = root @ np.swapaxes(root, 1, 2) + 0.1 * np.eye(3)
    u = np.where(IS_ANISO[:, None], full[:, [0, 1, 2, 0, 0, 1], [0, 1, 2, 1, 2, 2]], 0.0)
    b = np.where(IS_ANISO, EIGHT_PI2 / 3.0 * (u @ TRACE), rng.uniform(10, 40, N))
    tls = np.zeros((2, N_TLS))
    tls[:, :6] = [0.1, 0.15, 0.2, 0.01, 0.02, -0.02]
    tls[:, 6:12] = np.array([3.0, 2.0, 4.0, 0.3, -0.2, 0.1]) * DEGREE**2
    tls[:, 12:] = 0.05 * DEGREE * rng.normal(size=(2, 8))
    return AtomValues(rng.normal(size=(N, 3)) * 6, b, u, np.ones(N), tls)


def total(at: AtomValues) -> np.ndarray:
    """U (n, 6) of every atom with its group's motion."""
    own = np.where(IS_ANISO[:, None], at.u_aniso, at.b_iso[:, None] / EIGHT_PI2 * TRACE)
    return own + groups().displacement(at.xyz, at.tls)


def lowest(u: np.ndarray) -> np.ndarray:
    return np.linalg.eigvalsh(full_tensors(u))[:, 0]


def test_chain_rule() -> None:
    kind, here = TlsMotion(groups(), IS_ANISO), values()
    rng = np.random.default_rng(2)
    shift, c = rng.normal(size=kind.shape), rng.normal(size=(N, 6))
    ahead, back = (total(kind.move(here, sign * 1e-4 * shift)) for sign in (1, -1))
    np.testing.assert_allclose(kind.tangent(here, shift).u_aniso, (ahead - back) / 2e-4, atol=1e-8)

    def pull(w: np.ndarray) -> np.ndarray:
        return kind.pull(here, DensityGradient(*NONE, w.reshape(N, 6), np.zeros(N)))

    check_gradient(lambda s: float(np.sum(c * total(kind.move(here, s)) ** 3)), pull(3 * c * total(here) ** 2),
                   np.zeros(kind.shape), step=1e-3)
    check_adjoint(lambda v: kind.tangent(here, v).u_aniso.ravel(), pull, shift, rng.normal(size=6 * N))


def test_curvature_is_that_of_the_atoms_moving_together() -> None:
    kind, here = TlsMotion(groups(), IS_ANISO), values()
    rng = np.random.default_rng(3)
    root = rng.normal(size=(N, 6, 6))
    information = root @ np.swapaxes(root, 1, 2)
    blocks = kind.pull_blocks(here, AtomInformation(np.zeros((N, 3, 3)), np.zeros(N), np.zeros(N), information))
    v = rng.normal(size=kind.shape)
    u = kind.tangent(here, v).u_aniso
    assert np.einsum("gi,gij,gj->", v, blocks, v) == pytest.approx(np.einsum("ai,aij,aj->", u, information, u))


def test_motion_that_takes_displacement_from_an_atom_is_halved() -> None:
    """For its group alone; what is left keeps the direction."""
    kind, here = TlsMotion(groups(), IS_ANISO), values()
    shift = np.zeros(kind.shape)
    shift[0, :3] = -20.0
    shift[1, :3] = 0.5
    wanted = kind.tangent(here, shift).u_aniso
    fits = [lowest((total(here) + 0.5**k * wanted)[MEMBER == 0]).min() >= SMALLEST_U for k in range(5)]
    assert not fits[0] and any(fits)
    moved = kind.move(here, shift)
    assert lowest(total(moved))[MEMBER >= 0].min() >= SMALLEST_U - 1e-12
    np.testing.assert_allclose((total(moved) - total(here))[MEMBER == 0], 0.5 ** fits.index(True) * wanted[MEMBER == 0])
    np.testing.assert_allclose((total(moved) - total(here))[MEMBER == 1], 0.5 * UNIT[0] * np.tile(TRACE, (20, 1)))


def test_an_atom_at_the_floor_stops_its_group_and_may_rise() -> None:
    kind, here = TlsMotion(groups(), IS_ANISO), values()
    low = replace(here, tls=np.zeros_like(here.tls), b_iso=here.b_iso.copy())
    low.b_iso[1] = 0.5 * SMALLEST_U * EIGHT_PI2
    shift = np.zeros(kind.shape)
    shift[0, :3] = -1.0
    np.testing.assert_allclose(total(kind.move(low, shift)), total(low), atol=1e-15)
    shift[0, :3] = 1e-3
    np.testing.assert_allclose(total(kind.move(low, shift))[1], total(low)[1] + 1e-3 * UNIT[0] * TRACE)


def test_negative_motion_is_made_good_by_the_atoms() -> None:
    """The total stays; T rises by what the worst atom lacks, or by what the poorest atom can give."""
    kind, here = TlsMotion(groups(), IS_ANISO), values()
    tls = here.tls.copy()
    tls[0, 0], tls[1, 1] = -0.03, -0.5
    here = replace(here, tls=tls)
    after = kind.settled(here)
    np.testing.assert_allclose(total(after), total(here), atol=1e-14)
    motion = lowest(groups().displacement(here.xyz, after.tls))
    assert motion[MEMBER == 0].min() == pytest.approx(0.0, abs=1e-12)
    own = total(after) - groups().displacement(here.xyz, after.tls)
    assert motion[MEMBER == 1].min() < -0.1 and lowest(own)[MEMBER == 1].min() == pytest.approx(SMALLEST_U)
    np.testing.assert_array_equal(after.b_iso[MEMBER < 0], here.b_iso[MEMBER < 0])
    # told B of anisotropic atoms goes with their U
    told = EIGHT_PI2 / 3.0 * (after.u_aniso @ TRACE)
    np.testing.assert_allclose(after.b_iso[IS_ANISO], told[IS_ANISO])


def test_what_the_motion_can_spare_belongs_to_the_atoms() -> None:
    """T keeps no more than some direction at some atom needs, and gives to an atom whose own B has fallen below 0."""
    kind, here = TlsMotion(groups(), IS_ANISO), values()
    tls = here.tls.copy()
    tls[0, :3] += 0.5
    generous = kind.settled(replace(here, tls=tls))
    np.testing.assert_allclose(total(generous), total(replace(here, tls=tls)), atol=1e-14)
    tensor = smallest_and_largest(generous.tls[:, :6])[0]
    motion = lowest(groups().displacement(here.xyz, generous.tls))
    assert min(tensor[0], motion[MEMBER == 0].min()) == pytest.approx(0.0, abs=1e-12)
    taken = replace(generous, b_iso=generous.b_iso.copy())
    poor = np.flatnonzero((MEMBER == 0) & ~IS_ANISO)[0]
    taken.b_iso[poor] = -3.0
    after = kind.settled(taken)
    np.testing.assert_allclose(total(after), total(taken), atol=1e-14)
    assert after.b_iso[poor] == pytest.approx(SMALLEST_U * EIGHT_PI2)


def test_b_in_a_group_may_fall_until_the_sum_would_be_negative() -> None:
    """Atoms at the floor whose slope would take them on are held; others, and those that rise, are not."""
    owner = np.arange(N, dtype=np.int32)
    kind, here = IsotropicB(owner, IS_ANISO, groups()), values()
    moved = kind.move(here, np.full((N, 1), -1000.0))
    free = ~IS_ANISO
    inside = free & (MEMBER >= 0)
    np.testing.assert_allclose(lowest(total(moved))[inside], SMALLEST_U, atol=1e-12)
    np.testing.assert_array_equal(moved.b_iso[free & (MEMBER < 0)], B_MIN)
    assert (moved.b_iso[inside] != B_MIN).all()
    downhill = np.ones((N, 1))
    assert kind.held(moved, downhill)[free].all() and not kind.held(moved, -downhill).any()
    assert not kind.held(here, downhill).any()
    top = kind.move(here, np.full((N, 1), 5000.0))
    assert kind.held(top, -downhill)[free].all() and not kind.held(top, downhill).any()


def test_what_atoms_of_a_group_scatter_by_and_its_slopes() -> None:
    """Σ c·U³ + d·q² of the scatterers, by central differences in B, positions and occupancies of the atoms."""
    here, rng = values(), np.random.default_rng(4)
    factor = rng.choice([1.0, 0.5], N)
    composition = Composition(IS_ANISO, np.zeros(N, np.int32), factor, groups())
    c, d = rng.normal(size=(N, 6)), rng.normal(size=N)
    inside = MEMBER >= 0
    shown = composition.scatterers(here)
    np.testing.assert_array_equal(shown.is_aniso, IS_ANISO | inside)
    np.testing.assert_allclose(shown.u_aniso[inside], total(here)[inside])
    np.testing.assert_allclose(shown.b_iso[inside], EIGHT_PI2 / 3.0 * (total(here)[inside] @ TRACE))
    np.testing.assert_array_equal(shown.b_iso[~inside], here.b_iso[~inside])
    motion = groups().displacement(here.xyz, here.tls)
    np.testing.assert_allclose(composition.group_b(here), EIGHT_PI2 * motion[:, :3].mean(axis=1))

    def value(x: np.ndarray) -> float:
        at = composition.scatterers(replace(here, xyz=x[:, :3], b_iso=x[:, 3], occ=x[:, 4]))
        return float(np.sum((c * at.u_aniso**3)[inside]) + np.sum(d * at.weight**2))

    u = np.where(inside[:, None], 3.0 * c * total(here) ** 2, 0.0)
    slope = composition.by_values(here, DensityGradient(*NONE, u, 2.0 * d * factor))
    x = np.column_stack([here.xyz, here.b_iso, here.occ])
    lone = np.where(inside & ~IS_ANISO, slope.b_iso, 0.0)
    check_gradient(value, np.column_stack([slope.xyz, lone, slope.weight]), x, step=1e-3)
    np.testing.assert_array_equal(slope.xyz, by_position(groups(), here.tls, here.xyz, u))


def test_tensors_that_no_rigid_body_has_are_told() -> None:
    start = values().tls.copy()
    assert validity(groups(), start) == []
    start[0, 0], start[1, 6] = -0.2, -2.0 * DEGREE**2
    told = validity(groups(), start)
    assert [text.split(":")[0] for text in told] == ["TLS group a", "TLS group b"]
    value = np.linalg.eigvalsh(full_tensors(start[1:, 6:12]))[0, 0] / DEGREE**2
    assert "T has the negative principal value -0.20" in told[0] and told[0].count("Å²") == 1
    assert f"L has the negative principal value {value:.3g} deg²" in told[1] and -2.2 < value < -2.0
    # rounding in a file is no negative value
    start = values().tls.copy()
    start[:, 6:12] = np.array([4.0, 0.0, 0.0, 0.0, 0.0, 1e-4]) * DEGREE**2
    assert validity(groups(), start) == []
