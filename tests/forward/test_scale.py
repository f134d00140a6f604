"""Scaling: known scales recovered, at any input scale, with the crystal's symmetry, blind to the free set."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from crystals import make_crystal, rms

from gpurefine.backend import create
from gpurefine.backend.hats import hat_matrix, hat_weights
from gpurefine.backend.ops import Backend
from gpurefine.backend.plans import ScaleSystem
from gpurefine.forward.anisotropy import anisotropy_columns, invariant_tensors, tensor_rotation
from gpurefine.forward.scaling import Scale, Scaling, plan_scaling
from gpurefine.io.symmetry import unique_hkl
from gpurefine.model.crystal import Crystal
from helpers import check_gradient

SYSTEMS = (
    ("P 1", 5), ("C 1 2 1", 3), ("P 21 21 21", 2), ("P 43 21 2", 1), ("P 31 2 1", 1), ("P 65", 1), ("R 3 2:H", 1),
    ("I 21 3", 0), ("F 4 3 2", 0),
)


@pytest.mark.parametrize(("hm", "count"), SYSTEMS)
def test_tensors_have_the_laue_symmetry(hm: str, count: int) -> None:
    """5, 3, 2, 1, 0 traceless tensors, orthogonal, which every rotation of the crystal leaves as they are."""
    crystal = make_crystal(hm, 30.0)
    tensors = invariant_tensors(crystal)
    assert tensors.shape == (count, 6)
    np.testing.assert_allclose(tensors[:, :3].sum(axis=1), 0.0, atol=1e-12)
    weight = np.array([1.0, 1.0, 1.0, 2.0, 2.0, 2.0])
    np.testing.assert_allclose((tensors * weight) @ tensors.T, np.eye(count), atol=1e-12)
    for rotation in crystal.cartesian_rotations():
        np.testing.assert_allclose(tensors @ tensor_rotation(rotation).T, tensors, atol=1e-9)
    # what they do to equivalent reflections is the same
    hkl = np.array([[1, 2, 3], [4, 0, -1]], np.int32)
    columns = anisotropy_columns(crystal, hkl, tensors)
    for rotation in crystal.rotations:
        np.testing.assert_allclose(anisotropy_columns(crystal, hkl @ rotation, tensors), columns, atol=1e-9)


def test_columns_are_the_exponent() -> None:
    """−2π² sᵀUs by hand, U₁₂ counting twice."""
    crystal = make_crystal("P 1", 30.0)
    u = np.array([0.3, 0.2, 0.1, 0.05, -0.04, 0.02])
    full = u[[0, 3, 4, 3, 1, 5, 4, 5, 2]].reshape(3, 3)
    hkl = np.array([[1, 2, 3], [-4, 0, 5]], np.int32)
    s = hkl @ crystal.frac
    expected = -2.0 * np.pi**2 * np.einsum("ni,ij,nj->n", s, full, s)
    np.testing.assert_allclose(anisotropy_columns(crystal, hkl, u[None])[:, 0], expected)
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    turned = rotation @ full @ rotation.T
    np.testing.assert_allclose(
        tensor_rotation(rotation) @ u, turned[[0, 1, 2, 0, 0, 1], [0, 1, 2, 1, 2, 2]], atol=1e-12
    )


@dataclass(frozen=True, eq=False)
class Simulated:
    """Model contributions, a true scale, and amplitudes to go with them."""

    crystal: Crystal
    hkl: Any
    f_protein: Any
    f_mask: Any
    work: Any

    def scaling(self, kind: str = "simple", solvent: str = "mask", backend: Backend | None = None) -> Scaling:
        return plan_scaling(self.crystal, self.hkl, kind, solvent, backend or create("cpu", 2))

    def observe(self, scale: Scale, solvent: str = "mask", noise: float = 0.02, seed: int = 1) -> Any:
        """|F_total| with a relative error."""
        total = np.abs(self.scaling("smooth", solvent).apply(scale, self.f_protein[None], self.f_mask).total[0])
        return total * (1.0 + noise * np.random.default_rng(seed).normal(size=len(total)))


def simulate(hm: str = "P 21 21 21", length: float = 45.0, d_min: float = 2.2) -> Simulated:
    """Random F_protein with a protein's fall-off and F_mask strong only at low resolution, opposed to it."""
    crystal = make_crystal(hm, length)
    hkl = unique_hkl(crystal, d_min)
    rng = np.random.default_rng(0)
    s2 = crystal.inv_d2(hkl)
    n = len(hkl)
    wave = rng.normal(size=(2, n)) + 1j * rng.normal(size=(2, n))
    f_protein = wave[0] * 200.0 * np.exp(-4.0 * s2)
    f_mask = (-0.8 * wave[0] + 0.6 * wave[1]) * 600.0 * np.exp(-30.0 * s2)
    return Simulated(crystal, hkl, f_protein, f_mask, rng.random(n) > 0.05)


def residual(fit: Scaling, scale: Scale, data: Simulated, f_obs: Any, which: Any) -> float:
    total = np.abs(fit.apply(scale, data.f_protein[None], data.f_mask).total[0])
    return float(np.abs(f_obs - total)[which].sum() / f_obs[which].sum())


def truth(scaling: Scaling, log_k: float = 0.7) -> Scale:
    tensor = np.array([0.06, -0.04, 0.03, -0.02, 0.05])[: scaling.columns.shape[1]]
    return Scale(log_k=log_k, b_overall=7.0, tensor=tensor, k_sol=0.38, b_sol=48.0)


@pytest.mark.parametrize("hm", ["P 1", "C 1 2 1", "P 21 21 21", "P 43 21 2", "I 21 3"])
def test_known_scale_is_recovered(backend: Any, hm: str) -> None:
    data = simulate(hm, 44.0 if hm == "P 1" else 60.0, 2.4)
    fit = data.scaling("simple", "mask", backend)
    true = truth(fit)
    found = fit.fit(data.observe(true), data.f_protein, data.f_mask, data.work, None)
    assert found.log_k == pytest.approx(true.log_k, abs=0.01)
    assert found.b_overall == pytest.approx(true.b_overall, abs=0.3)
    np.testing.assert_allclose(found.tensor, true.tensor, atol=0.005)
    assert found.k_sol == pytest.approx(true.k_sol, abs=0.015)
    assert found.b_sol == pytest.approx(true.b_sol, abs=3.0)
    np.testing.assert_allclose(fit.anisotropic_b(found)[:3].sum(), 0.0, atol=1e-9)


@pytest.mark.parametrize("kind", ["simple", "smooth"])
def test_any_input_scale_works(kind: str) -> None:
    data = simulate()
    fit = data.scaling(kind)
    found = {}
    for k in (1e-4, 1.0, 1e6):
        f_obs = k * data.observe(truth(fit, 0.0))
        found[k] = fit.fit(f_obs, data.f_protein, data.f_mask, data.work, None)
        assert residual(fit, found[k], data, f_obs, data.work) < 0.025
    for k in (1e-4, 1e6):
        assert found[k].log_k == pytest.approx(found[1.0].log_k + np.log(k), abs=0.01)


def test_smooth_is_no_worse_than_simple_and_finds_what_simple_cannot() -> None:
    """On data of the simple form both fit; a k_iso(s) that is not 1 is only found by the smooth one."""
    data = simulate()
    simple, smooth = data.scaling("simple"), data.scaling("smooth")
    plain = truth(simple)
    bent = replace(plain, iso_knots=np.stack([smooth.iso_s, 0.25 * np.sin(9.0 * smooth.iso_s / smooth.iso_s[-1])]))
    for true, gain in ((plain, 0.0), (bent, 0.05)):
        f_obs = data.observe(true)
        r = [
            residual(fit, fit.fit(f_obs, data.f_protein, data.f_mask, data.work, None), data, f_obs, data.work)
            for fit in (simple, smooth)
        ]
        assert r[1] <= r[0] + 1e-4 - gain
    found = smooth.fit(f_obs, data.f_protein, data.f_mask, data.work, None)
    free = residual(smooth, found, data, f_obs, ~data.work)
    assert free < 0.03
    # 2 % of noise by itself has R = 0.016
    assert r[1] < 0.02


def test_free_reflections_are_not_looked_at() -> None:
    data = simulate()
    f_obs = data.observe(truth(data.scaling()))
    spoiled = np.where(data.work, f_obs, 50.0 * f_obs + 7.0)
    for kind in ("simple", "smooth"):
        fit = data.scaling(kind)
        first = fit.fit(f_obs, data.f_protein, data.f_mask, data.work, None)
        second = fit.fit(spoiled, data.f_protein, data.f_mask, data.work, None)
        third = fit.fit(spoiled, data.f_protein, data.f_mask, data.work, first)
        fourth = fit.fit(f_obs, data.f_protein, data.f_mask, data.work, first)
        for a, b in ((first, second), (third, fourth)):
            assert a.log_k == b.log_k and a.b_overall == b.b_overall and np.array_equal(a.tensor, b.tensor)
            for name in ("mask_knots", "iso_knots"):
                x, y = getattr(a, name), getattr(b, name)
                assert (x is None and y is None) or np.array_equal(x, y)


def test_warm_start_follows_a_change() -> None:
    data = simulate()
    for kind in ("simple", "smooth"):
        fit = data.scaling(kind)
        first = fit.fit(data.observe(truth(fit)), data.f_protein, data.f_mask, data.work, None)
        moved = replace(truth(fit), b_overall=9.0, k_sol=0.33)
        f_obs = data.observe(moved)
        warm = fit.fit(f_obs, data.f_protein, data.f_mask, data.work, first)
        assert residual(fit, warm, data, f_obs, data.work) < 0.018


def test_factors_of_a_scale_are_worked_out_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a step was accepted for is what the next one starts from."""
    data, backend = simulate(), create("cpu", 1)
    fit = data.scaling("smooth", backend=backend)
    first = fit.fit(data.observe(truth(fit)), data.f_protein, data.f_mask, data.work, None)
    f_obs = data.observe(replace(truth(fit), b_overall=9.0, k_sol=0.33))
    asked: list[Any] = []
    plain = type(backend).scale_factors

    def spy(self: Any, curve: Any, near: Any, parts: bool) -> Any:
        asked.append((curve.log_k, curve.b_overall, curve.tensor.tobytes(), len(near), parts))
        return plain(self, curve, near, parts)

    monkeypatch.setattr(type(backend), "scale_factors", spy)
    fit.fit(f_obs, data.f_protein, data.f_mask, data.work, first)
    assert len(asked) > 2 and len(set(asked)) == len(asked)


def test_parameter_at_its_bound_does_not_mislead_the_others() -> None:
    """Data that ask for negative solvent get none, and then the very scale that a fit without solvent finds."""
    data = simulate()
    unphysical = replace(truth(data.scaling()), k_sol=-0.25)
    f_obs = data.observe(unphysical)
    without = data.scaling("simple", "none").fit(f_obs, data.f_protein, None, data.work, None, 30)
    start = replace(truth(data.scaling()), k_sol=0.1, b_overall=20.0, log_k=0.0)
    for first in (None, start):
        fit = data.scaling("simple")
        found = fit.fit(f_obs, data.f_protein, data.f_mask, data.work, first, 30)
        assert found.k_sol == 0.0
        assert found.b_overall == pytest.approx(without.b_overall, abs=0.2)
        assert found.log_k == pytest.approx(without.log_k, abs=0.005)


@pytest.mark.parametrize("solvent", ["babinet", "both"])
def test_babinet(solvent: str) -> None:
    """F_total = k (1 − k_b exp(−B_b s²/4)) (F_protein + …): found alone and beside the mask."""
    data = simulate("P 21 21 21", 60.0, 2.2)
    fit = data.scaling("simple", solvent)
    true = replace(truth(fit), babinet_k=0.5, babinet_b=250.0)
    if solvent == "babinet":
        true = replace(true, k_sol=0.0)
    f_obs = data.observe(true, solvent)
    found = fit.fit(f_obs, data.f_protein, data.f_mask, data.work, None, 20)
    assert residual(fit, found, data, f_obs, data.work) < 0.02
    if solvent == "babinet":
        assert found.babinet_k == pytest.approx(0.5, abs=0.05)
        assert found.babinet_b == pytest.approx(250.0, abs=40.0)
        assert found.k_sol == 0.0


def test_no_solvent_and_hardly_any_data() -> None:
    data = simulate()
    fit = data.scaling("simple", "none")
    true = replace(truth(fit), k_sol=0.0)
    f_obs = data.observe(true, "none")
    found = fit.fit(f_obs, data.f_protein, None, data.work, None)
    assert found.log_k == pytest.approx(true.log_k, abs=0.01)
    few = np.zeros_like(data.work)
    few[::500] = True
    for kind in ("simple", "smooth"):
        scale = data.scaling(kind).fit(data.observe(truth(fit)), data.f_protein, data.f_mask, few, None)
        model = data.scaling(kind).apply(scale, data.f_protein[None], data.f_mask)
        assert np.isfinite(model.total).all() and (model.factor > 0.0).all()


def test_factor_is_the_derivative_of_the_total() -> None:
    """F_total = factor × (F_protein + k_mask F_mask): what the chain rule to the atoms relies on."""
    data = simulate()
    fit = data.scaling("smooth", "both")
    scale = replace(
        truth(fit), babinet_k=0.3, iso_knots=np.stack([fit.iso_s, 0.1 * np.cos(5 * fit.iso_s)]),
        mask_knots=np.stack([fit.mask_s, 0.3 - 0.2 * fit.mask_s]),
    )
    a = fit.apply(scale, data.f_protein[None], data.f_mask)
    b = fit.apply(scale, data.f_protein[None] * 1.5 + 2j, data.f_mask)
    np.testing.assert_allclose(b.total[0] - a.total[0], a.factor * (0.5 * data.f_protein + 2j), rtol=1e-9)
    np.testing.assert_allclose(a.total[0], a.factor * (data.f_protein + a.k_mask * data.f_mask))


def system(n: int = 4000) -> ScaleSystem:
    rng = np.random.default_rng(4)
    f = rng.normal(size=(2, n)) + 1j * rng.normal(size=(2, n))
    s, knots = np.sort(rng.random(n)), np.linspace(0.0, 1.0, 5)
    left, weight = hat_weights(s, knots)
    return ScaleSystem(
        rng.random(n) * 2.0, rng.uniform(0.5, 1.5, n), rng.uniform(0.0, 0.5, n), f[0], f[1], rng.normal(size=(n, 3)),
        rng.normal(size=(n, 2)), left, weight, 5, left, weight, 5, rng.normal(size=(n, 2)),
    )


@pytest.mark.parametrize("babinet", [False, True])
def test_derivatives_by_parameters_of_simple_solvent(backend: Any, babinet: bool) -> None:
    s, k, b = np.linspace(0.01, 0.8, 900), 0.4, 60.0
    near = backend.keep(np.zeros(len(s), np.complex128))
    found = np.asarray(backend.solvent_columns(s, near, k, b, babinet))

    def curve(k: float, b: float) -> Any:
        decay = k * np.exp(-0.25 * b * s**2)
        return np.log(1.0 - decay) if babinet else decay

    np.testing.assert_allclose(found[:, 0], (curve(k + 1e-5, b) - curve(k - 1e-5, b)) / 2e-5, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(found[:, 1], (curve(k, b + 1e-3) - curve(k, b - 1e-3)) / 2e-3, rtol=1e-7, atol=1e-12)
    plain = np.asarray(create("reference").solvent_columns(s, np.zeros(len(s)), k, b, babinet))
    np.testing.assert_allclose(found, plain, rtol=1e-13)


def test_normal_equations_by_central_differences_and_by_definition(backend: Any) -> None:
    """Σ w r² with fixed weights has the gradient −2 × right; both backends sum the same."""
    data = system()
    floor = 0.05
    equations = backend.scale_equations(data, floor)
    weight = 1.0 / np.maximum(np.abs(backend.scale_residuals(data)), floor)
    hats = hat_matrix(np.sort(np.random.default_rng(4).random(1)), np.linspace(0.0, 1.0, 5))
    assert hats.sum() == pytest.approx(1.0)
    left, t, row = data.mask_left, data.mask_weight, np.arange(len(data.f_obs))
    interpolate = np.zeros((len(row), 5))
    interpolate[row, left], interpolate[row, left + 1] = 1.0 - t, t

    def value(p: Any) -> float:
        common, babinet, by_mask, mask, iso = np.split(p, [3, 5, 7, 12])
        moved = replace(
            data,
            factor=data.factor * np.exp(data.common @ common + data.babinet @ babinet + interpolate @ iso),
            k_mask=data.k_mask + data.by_mask @ by_mask + interpolate @ mask,
        )
        return float(0.5 * np.sum(weight * backend.scale_residuals(moved) ** 2))



    check_gradient(value, -equations.right, np.zeros(17), 1e-5, 1e-6)
    np.testing.assert_allclose(equations.normal, equations.normal.T, rtol=1e-12)
    other = create("reference").scale_equations(data, floor)
    np.testing.assert_allclose(equations.normal, other.normal, rtol=1e-9, atol=1e-9 * rms(other.normal))
    np.testing.assert_allclose(equations.right, other.right, rtol=1e-9, atol=1e-9 * rms(other.right))


@pytest.mark.parametrize(("n_mask", "n_iso", "by_mask"), [(0, 5, 2), (5, 0, 0), (0, 0, 2), (0, 0, 0)])
def test_normal_equations_of_fewer_kinds_of_parameters(backend: Any, n_mask: int, n_iso: int, by_mask: int) -> None:
    data = system()
    data = replace(data, n_mask=n_mask, n_iso=n_iso, by_mask=np.ascontiguousarray(data.by_mask[:, :by_mask]))
    found, other = (each.scale_equations(data, 0.05) for each in (backend, create("reference")))
    assert found.right.shape == (data.n_parameters,) == (5 + by_mask + n_mask + n_iso,)
    np.testing.assert_allclose(found.normal, other.normal, rtol=1e-9, atol=1e-9 * rms(other.normal))
    np.testing.assert_allclose(found.right, other.right, rtol=1e-9, atol=1e-9 * rms(other.right))
