"""Prior phases, twins and derivatives: the CUDA kernels against the cpu backend, whose quadrature they repeat.

That it is right is shown in tests/backend, on this backend too.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np
import pytest
import shim_device
from device_backends import gpu_backend
from shim_device import ShimDevice

from gpurefine.backend import create
from gpurefine.backend.cuda.backend import CudaBackend
from gpurefine.backend.cuda.phased import PhasedOps
from gpurefine.backend.cuda.siras import SirasOps
from gpurefine.backend.cuda.twin import TwinOps
from gpurefine.backend.ops_twin import TwinGroups

pytestmark = pytest.mark.skipif(shim_device.compiler() is None, reason="g++ is not installed")


def bits(result: Any) -> bytes:
    return b"".join(np.asarray(getattr(result, f.name)).tobytes() for f in fields(result))


def assert_equal(found: Any, expected: Any, tolerance: float) -> None:
    """Every field to ``tolerance`` of each value or of the field's largest."""
    for field in fields(expected):
        a = np.asarray(getattr(expected, field.name))
        np.testing.assert_allclose(
            getattr(found, field.name), a, rtol=tolerance, atol=tolerance * np.abs(a).max(initial=0.0) + 1e-300,
            err_msg=field.name,
        )


def with_prior_phases(n: int = 600) -> tuple[Any, ...]:
    """Arguments of ``phased``: no, vague, sharp and two-peaked priors, with and without a model."""
    rng = np.random.default_rng(6)
    prior = rng.normal(size=(4, n)) * 10.0 ** rng.uniform(-2.0, 2.0, n)
    prior[:, :50], prior[2:, 50:100] = 0.0, 0.0
    f_obs = np.abs(rng.normal(0.0, 50.0, n)) * rng.choice([0.0, 0.01, 1.0, 10.0], n)
    f_calc = rng.choice([0.0, 1.0, 40.0], n) * (rng.normal(size=n) + 1j * rng.normal(size=n))
    return (f_obs, rng.uniform(0.0, 5.0, n), f_calc, prior, rng.uniform(0.1, 1.0, n), rng.uniform(1.0, 900.0, n),
            rng.integers(1, 5, n).astype(float), rng.random(n) < 0.3)


@pytest.mark.parametrize("derivatives", [True, False])
def test_prior_phases_are_the_cpu_s(derivatives: bool) -> None:
    given = with_prior_phases()
    found = [PhasedOps(ShimDevice(order)).phased(*given, derivatives) for order in (0, 1)]
    assert_equal(found[0], create("cpu", 1).phased(*given, derivatives), 1e-11)
    assert bits(found[0]) == bits(found[1])
    assert found[0].gradient.any() == derivatives


def test_steps_of_the_error_model_with_prior_phases_are_the_cpu_s() -> None:
    given = with_prior_phases()
    ops = PhasedOps(ShimDevice(2))
    first, plain = ops.phased_sigmaa(*given), ops.rice_sigmaa(*given[:2], np.abs(given[2]), *given[4:])
    assert_equal(first, create("cpu", 1).phased_sigmaa(*given), 1e-11)
    assert_equal(plain, create("cpu", 1).rice_sigmaa(*given[:2], np.abs(given[2]), *given[4:]), 1e-11)


def twins(sizes: tuple[int, ...], count: int, seed: int = 0) -> tuple[Any, ...]:
    """Arguments of ``twin``: ``count`` groups of each size, weak and strong, precise and not, some not measured."""
    rng = np.random.default_rng(seed)
    size = np.tile(sizes, count)
    start = np.concatenate([[0], np.cumsum(size)]).astype(np.int32)
    n, n_domain = int(start[-1]), max(sizes)
    place, whole = np.arange(n) - np.repeat(start[:-1], size), np.repeat(size, size)
    mate = ((place[:, None] + np.arange(n_domain)) % whole[:, None]).astype(np.int32)
    mate[(np.arange(n_domain) > 0) & (rng.random((n, n_domain)) < 0.05)] = -1
    fractions = 1.0 / (1.3 + np.arange(n_domain))
    fractions /= fractions.sum()
    variance, centric = 10.0 ** rng.uniform(0, 2, n), np.repeat(rng.random(len(size)) < 0.3, size)
    mean = np.sqrt(variance) * rng.exponential(1.5, n)
    i = rng.exponential(mean**2 + variance)
    sigma = (i + variance) * 10.0 ** rng.uniform(-2.0, 0.5, n)
    sigma[rng.random(n) < 0.15] = 0.0
    sigma[:max(sizes)] = 0.0
    groups = TwinGroups(start, np.arange(n, dtype=np.int32), mate)
    return groups, fractions, i - 0.3 * sigma, sigma, mean, variance, centric


@pytest.mark.parametrize("sizes", [(1, 2), (2, 3, 1, 4), (6, 2), (12,)])
def test_twins_are_the_cpu_s(sizes: tuple[int, ...]) -> None:
    given = twins(sizes, 60 // sum(sizes) + 3)
    found = [TwinOps(ShimDevice(order)).twin(*given) for order in (0, 1)]
    assert_equal(found[0], create("cpu", 1).twin(*given), 1e-11)
    assert bits(found[0]) == bits(found[1])
    assert not found[0].fraction_slope[0].any() and found[0].fraction_slope[1].all()


def natives_with_pairs(n: int, seed: int = 1) -> tuple[Any, ...]:
    """Arguments of ``siras``: everything measured or not, centric or not, sharp and vague phases."""
    rng = np.random.default_rng(seed)

    def normal(*shape: int) -> Any:
        return (rng.normal(size=shape) + 1j * rng.normal(size=shape)) * np.sqrt(0.5)

    centric = rng.random(n) < 0.2
    f = np.array([100.0 * normal(n), 15.0 * normal(n), 5.0 * normal(n)])
    f = np.where(centric, f.real, f)
    s = np.array([*rng.uniform(10.0, 6000.0, (2, n)), np.exp(rng.normal(0.0, 2.0, n)), rng.uniform(0.0, 0.98, n)])
    fo = np.abs(f[[0, 0, 0]] + np.sqrt(s[[0, 1, 1]]) * normal(n) + 3.0 * normal(3, n))
    fo[2, centric] = np.nan
    for row in range(3):
        fo[row, rng.random(n) < 0.12] = np.nan
    return (fo, np.exp(rng.normal(0.5, 0.7, (3, n))), f, rng.uniform(0.7, 1.0, (3, n)), s,
            rng.integers(1, 3, n).astype(float), centric)


def test_natives_with_friedel_pairs_are_the_cpu_s() -> None:
    given = natives_with_pairs(100)
    ops = SirasOps(ShimDevice())
    for want in (True, False, True):
        found = ops.siras(*given, want)
        assert_equal(found, create("cpu", 1).siras(*given, want), 1e-8)
    assert bits(SirasOps(ShimDevice(1)).siras(*given, True)) == bits(found)
    # sharp phases need many points on the circle, not all of them in every part of it
    sharp = (*given[:4], given[4] * np.array([[1e-4], [1e-4], [1e-4], [1.0]]), *given[5:])
    assert_equal(ops.siras(*sharp, False), create("cpu", 1).siras(*sharp, False), 1e-8)


@pytest.fixture(params=["shim", pytest.param("gpu", marks=pytest.mark.gpu)])
def device_backend(request: pytest.FixtureRequest) -> Any:
    """The cuda backend on the stand-in and on a GPU, which multiplies and adds at once: last digits differ."""
    return CudaBackend(ShimDevice()) if request.param == "shim" else gpu_backend()


def test_at_realistic_size(device_backend: Any) -> None:
    """Tens of thousands of reflections on a GPU."""
    on_gpu = "g++" not in device_backend.name
    n, cpu = 40_000 if on_gpu else 400, create("cpu", 2)
    prior, pairs = with_prior_phases(n), twins((1, 2, 2, 3, 4), n // 12)
    assert_equal(device_backend.phased(*prior, True), cpu.phased(*prior, True), 1e-9)
    assert_equal(device_backend.phased_sigmaa(*prior), cpu.phased_sigmaa(*prior), 1e-9)
    assert_equal(device_backend.twin(*pairs), cpu.twin(*pairs), 1e-6)
    three = natives_with_pairs(4000 if on_gpu else 40)
    assert_equal(device_backend.siras(*three, True), cpu.siras(*three, True), 1e-7)
