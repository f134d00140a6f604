"""Density, its adjoint and the symmetry sum: the CUDA kernels against the reference backend."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import shim_device
from crystals import Small, rms, small
from shim_device import ShimDevice

from gpurefine.backend import create
from gpurefine.backend.cuda.density import DensityOps
from gpurefine.backend.plans import Scatterers
from gpurefine.errors import DeviceError, NumericalError
from helpers import check_adjoint

pytestmark = pytest.mark.skipif(shim_device.compiler() is None, reason="g++ is not installed")

F_ERROR = 5e-6
"""r.m.s. error of F, of the map and of gradients in units of their r.m.s.: single precision on both sides."""


def case(seed: int, n_gauss: int = 5, hm: str = "C 1 2 1", n: int = 40) -> Small:
    made = small(create("reference"), hm, 17.0, 1.9, n, seed=seed)
    if n_gauss == made.transform.density_plan.gauss_a.shape[1]:
        return made
    plan = made.transform.density_plan
    plan = replace(plan, gauss_a=plan.gauss_a[:, :n_gauss].copy(), gauss_b=plan.gauss_b[:, :n_gauss].copy())
    return replace(made, transform=replace(made.transform, density_plan=plan))


def ops(order: int = 0, fast: bool = False) -> DensityOps:
    return DensityOps(ShimDevice(order), fast)


def shifts(n: int, seed: int = 5) -> tuple[Any, ...]:
    rng = np.random.default_rng(seed)
    return (0.1 * rng.normal(size=(n, 3)), rng.normal(size=n), 0.01 * rng.normal(size=(n, 6)), rng.normal(size=n))


@pytest.mark.parametrize("n_gauss", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("fast", [False, True])
def test_spread_and_tangent_are_the_reference(n_gauss: int, fast: bool) -> None:
    made = case(n_gauss, n_gauss)
    plan, reference, cuda = made.transform.density_plan, create("reference"), ops(fast=fast)
    expected = reference.spread(plan, made.atoms)
    assert rms(np.asarray(cuda.spread(plan, made.atoms)) - expected) < F_ERROR * rms(expected)
    v = shifts(len(made.atoms.weight))
    for arguments in (v, v[:2], (v[0], v[1], None, v[3])):
        expected = reference.spread_tangent(plan, made.atoms, *arguments)
        found = np.asarray(cuda.spread_tangent(plan, made.atoms, *arguments))
        assert rms(found - expected) < F_ERROR * rms(expected)


@pytest.mark.parametrize("n_gauss", [2, 5])
def test_gather_is_the_reference(n_gauss: int) -> None:
    made = case(11, n_gauss)
    plan = made.transform.density_plan
    dmap = np.random.default_rng(0).normal(size=plan.shape).astype(np.float32)
    atoms = replace(made.atoms, weight=np.where(np.arange(40) == 7, 0.0, made.atoms.weight))
    expected = create("reference").gather(plan, atoms, dmap, True)
    found = ops().gather(plan, atoms, dmap, True)
    for name in ("xyz", "b_iso", "u_aniso", "weight"):
        a, b = getattr(expected, name), getattr(found, name)
        assert a.shape == b.shape
        assert rms(b - a) < F_ERROR * rms(a), name


@pytest.mark.parametrize("hm", ["P 1", "C 1 2 1", "P 31 2 1", "I 21 3"])
def test_symmetry_sum_and_its_adjoint(hm: str) -> None:
    made = case(3, 5, hm, 20)
    plan, reference, cuda = made.transform.fourier_plan, create("reference"), ops()
    density = np.random.default_rng(1).normal(size=plan.shape).astype(np.float32)
    expected = reference.map_to_hkl(plan, density)
    assert rms(np.asarray(cuda.map_to_hkl(plan, density)) - expected) < F_ERROR * rms(expected)
    rng = np.random.default_rng(2)
    gradient = rng.normal(size=len(plan.hkl)) + 1j * rng.normal(size=len(plan.hkl))
    back = reference.hkl_to_map(plan, gradient)
    assert rms(np.asarray(cuda.hkl_to_map(plan, gradient)) - back) < F_ERROR * rms(back)
    check_adjoint(
        lambda m: np.asarray(cuda.map_to_hkl(plan, m)), lambda g: np.asarray(cuda.hkl_to_map(plan, g)), density,
        gradient, 1e-5,
    )


def test_exact_summation_is_the_reference() -> None:
    made = case(4, n=12)
    cuda = replace(made.transform, backend=ops())
    expected = made.transform.direct_summation(made.atoms)
    assert rms(cuda.direct_summation(made.atoms) - expected) < 1e-12 * rms(expected)


def test_adjoint_of_the_tangent() -> None:
    made = case(6)
    cuda, atoms = replace(made.transform, backend=ops()), made.atoms
    rng = np.random.default_rng(3)
    w = rng.normal(size=len(made.hkl)) + 1j * rng.normal(size=len(made.hkl))
    v = shifts(len(atoms.weight))
    image, back = cuda.tangent(atoms, *v), cuda.adjoint(atoms, w, True)
    left = float(np.vdot(w, image).real)
    right = float((back.xyz * v[0]).sum() + back.b_iso @ v[1] + (back.u_aniso * v[2]).sum() + back.weight @ v[3])
    assert abs(left - right) < 1e-5 * np.linalg.norm(w) * np.linalg.norm(image)


def test_bits_do_not_depend_on_the_order() -> None:
    made = case(8)
    plan, w = made.transform.density_plan, np.random.default_rng(4).normal(size=len(made.hkl)) + 0j
    v = shifts(len(made.atoms.weight))
    found = []
    for order in (0, 1, 2):
        cuda = replace(made.transform, backend=ops(order))
        backend: Any = cuda.backend
        parts = [np.asarray(backend.spread(plan, made.atoms)), np.asarray(backend.spread_tangent(plan, made.atoms, *v)),
                 cuda.structure_factors(made.atoms)]
        g = cuda.adjoint(made.atoms, w)
        found.append(b"".join(p.tobytes() for p in (*parts, g.xyz, g.b_iso, g.u_aniso, g.weight)))
    assert found[0] == found[1] == found[2]
    # floating-point sums do depend on it, or this test would prove nothing
    fast = {np.asarray(ops(order, True).spread(plan, made.atoms)).tobytes() for order in (0, 1, 2)}
    assert len(fast) > 1


def piled_up(made: Small, times: int) -> Scatterers:
    """All atoms at nearly one place, ``times`` over: more density at a point than 32 bits are meant for."""
    a, n = made.atoms, len(made.atoms.weight) * times
    rng = np.random.default_rng(0)
    pick = np.arange(n) % len(a.weight)
    return Scatterers(
        a.xyz[:1] + 0.05 * rng.normal(size=(n, 3)), np.full(n, 20.0), np.zeros((n, 6)), np.zeros(n, bool), np.ones(n),
        a.kind[pick],
    )


def test_sums_that_32_bits_cannot_hold_take_64() -> None:
    made = case(9)
    atoms, plan, cuda = piled_up(made, 40), made.transform.density_plan, ops()
    expected = create("reference").spread(plan, atoms)
    assert rms(np.asarray(cuda.spread(plan, atoms)) - expected) < F_ERROR * rms(expected)
    launches = cuda.device.launches  # type: ignore[attr-defined]
    assert launches["fixed64_to_float"] == 1 and "fixed32_to_float" not in launches
    cuda.spread(plan, made.atoms)
    assert launches["fixed32_to_float"] == 1


def test_the_host_looks_at_the_bound_with_the_next_sum() -> None:
    """Later spreads do not wait for it; they take as many bits as the last that was looked at asked for."""
    made = case(9)
    many, plan, cuda = piled_up(made, 40), made.transform.density_plan, ops()
    spread = 20.0 * np.random.default_rng(1).random(many.xyz.shape)
    apart = replace(many, xyz=np.tile(made.atoms.xyz, (40, 1))[: len(many.weight)] + spread)
    expected = create("reference").spread(plan, many)
    launches = cuda.device.launches  # type: ignore[attr-defined]
    one = cuda.device.upload(np.ones(3))

    def found(atoms: Scatterers) -> int:
        before = launches.get("fixed64_to_float", 0)
        dmap = cuda.spread(plan, atoms)
        if atoms is many:
            assert rms(np.asarray(dmap) - expected) < 3.0 * F_ERROR * rms(expected)
        return 64 if launches.get("fixed64_to_float", 0) > before else 32

    assert found(apart) == 32
    assert found(many) == 32  # coarse, but nothing overflows
    assert found(apart) == 32
    assert cuda.sum(one, 3) == 3.0
    assert found(many) == 64 and found(apart) == 64
    assert cuda.sum(one, 3) == 3.0
    assert found(apart) == 64
    assert cuda.sum(one, 3) == 3.0
    assert found(apart) == 32
    cuda.spread(plan, replace(apart, b_iso=np.full(len(apart.weight), np.nan)))
    with pytest.raises(NumericalError, match="not a finite number"):
        cuda.sum(one, 3)
    assert cuda.sum(one, 3) == 3.0


def test_the_bound_holds_in_every_tile() -> None:
    """The fixed-point scale comes from a bound on the sum in each tile of 8³ points, for any sign of the shifts."""
    for seed in range(4):
        made = case(20 + seed, n=15)
        plan, cuda = made.transform.density_plan, ops()
        v = shifts(15, seed)
        still = tuple(np.zeros_like(part) for part in v)
        for moved in (None, v, (v[0], *still[1:]), (still[0], v[1], *still[2:]), (*still[:2], v[2], still[3])):
            dmap = cuda.spread(plan, made.atoms) if moved is None else cuda.spread_tangent(plan, made.atoms, *moved)
            scale = cuda.device.download(cuda.buffer("scale", 3, np.float32))
            peak = cuda.device.download(cuda.buffer("peak", 1, np.int32)).view(np.float32)[0]
            size = [-(-n // 8) for n in plan.shape]
            tiles = cuda.device.download(cuda.buffer("tiles", size, np.uint64)) * (float(peak) / 2.0**24)
            padded = np.zeros([8 * n for n in size])
            padded[tuple(map(slice, plan.shape))] = np.abs(np.asarray(dmap))
            highest = padded.reshape(size[0], 8, size[1], 8, size[2], 8).max(axis=(1, 3, 5))
            assert (highest <= tiles).all()
            assert tiles.max() * scale[0] <= 2.0**30
            assert tiles.max() / peak == pytest.approx(scale[2])


def test_atoms_wider_than_the_cell() -> None:
    made = case(10, n=6)
    atoms = replace(made.atoms, b_iso=np.full(6, 1500.0), is_aniso=np.zeros(6, bool))
    plan = replace(made.transform.density_plan, cutoff=made.transform.density_plan.cutoff * 1e-4)
    expected = create("reference").spread(plan, atoms)
    assert rms(np.asarray(ops().spread(plan, atoms)) - expected) < F_ERROR * rms(expected)


def test_nothing_is_allocated_after_the_first_evaluation() -> None:
    made = case(12)
    cuda = replace(made.transform, backend=ops())
    device: Any = cuda.backend.device  # type: ignore[attr-defined]
    counts = []
    for _ in range(3):
        f = cuda.structure_factors(made.atoms)
        cuda.adjoint(made.atoms, f)
        cuda.tangent(made.atoms, *shifts(len(made.atoms.weight)))
        counts.append(device.allocations)
    assert counts[0] == counts[1] == counts[2]


def test_a_map_that_was_overwritten_is_refused() -> None:
    made = case(13, n=5)
    cuda, plan = ops(), made.transform.density_plan
    first = cuda.spread(plan, made.atoms)
    assert first.shape == plan.shape
    cuda.spread(plan, made.atoms)
    with pytest.raises(RuntimeError, match="overwritten"):
        np.asarray(first)


def test_damaged_input_and_too_little_memory_are_told() -> None:
    made = case(14, n=5)
    plan = made.transform.density_plan
    bad = replace(made.atoms, b_iso=np.full(5, np.nan), is_aniso=np.zeros(5, bool))
    with pytest.raises(NumericalError, match="not a finite number"):
        ops().spread(plan, bad)
    wide = replace(plan, gauss_a=np.ones((6, 6)), gauss_b=np.ones((6, 6)))
    with pytest.raises(NumericalError, match="6 Gaussians"):
        ops().spread(wide, made.atoms)
    with pytest.raises(DeviceError, match="are needed"):
        DensityOps(ShimDevice(limit=10_000)).spread(plan, made.atoms)
