"""Likelihoods of pairs, derivatives and twins: no array over reflections is copied once data are there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
import pytest
import shim_device
from counting import Counting
from crystals import make_crystal
from shim_device import ShimDevice
from simulated_pairs import simulated

from gpurefine.backend import create
from gpurefine.backend.cuda.backend import CudaBackend
from gpurefine.io.symmetry import reflection_flags, unique_hkl
from gpurefine.model.anomalous import Derivative
from gpurefine.model.friedel import FriedelPairs
from gpurefine.model.measured import TwinInput
from gpurefine.model.reflections import Reflections
from gpurefine.target.selection import Selection
from gpurefine.target.siras import MOST_WORK, plan_siras
from gpurefine.target.twin import plan_twin

pytestmark = pytest.mark.skipif(shim_device.compiler() is None, reason="g++ is not installed")

SMALL = 6_000
"""Bytes that each step may copy, and four times as many for the sums of a fit: less than one array of the tests."""


def friedel_pairs(backend: Any) -> tuple[Any, Any]:
    """Two rows of F″, one of them refined, and many means alone, which cost little."""
    likelihood, f_total, _ = simulated(n=3000, refined=(True, False))
    alone = np.random.default_rng(0).random(3000) < 0.8
    f_obs = np.where(alone, np.stack([likelihood.f_mean, np.full(3000, np.nan)]), likelihood.f_obs)
    r, sigma = likelihood.reflections, np.ones((2, 3000))
    columns = f_obs, sigma, r.epsilon, r.centric
    made = replace(
        likelihood, backend=backend, f_obs=f_obs, sigma=sigma, unpaired=alone | likelihood.unpaired,
        plan=replace(likelihood.plan, backend=backend), measured=Selection(*columns), fitted=Selection(*columns),
    )
    return made, f_total


def native_and_pairs(backend: Any) -> tuple[Any, Any]:
    """Two sites; everything measured, single measurements, and natives alone, which cost little."""
    crystal = make_crystal("P 21 21 21", 24.0)
    hkl = unique_hkl(crystal, 1.6)
    centric, epsilon = reflection_flags(crystal, hkl)
    rng, s2, n = np.random.default_rng(5), crystal.inv_d2(hkl), len(hkl)

    def normal(*shape: int) -> Any:
        return (rng.normal(size=shape) + 1j * rng.normal(size=shape)) * np.sqrt(0.5)

    f_total = np.stack([50.0 * normal(n), 2.0 * normal(n)])
    true = f_total[0] + 15.0 * normal(n)
    mates = [np.where(rng.random(n) < 0.015, 1.5 * np.abs(true + 4.0 * normal(n)), np.nan) for _ in range(2)]
    mates[1][centric] = np.nan
    both = rng.random(n) < 0.01
    mates[1][both & ~centric] = 1.5 * np.abs(true[both & ~centric])
    mates[0][both] = 1.5 * np.abs(true[both])
    native = np.where(rng.random(n) < 0.01, np.nan, np.abs(true))
    sigma = [np.where(np.isfinite(f), 1.0, np.nan) for f in mates]
    sites = np.array([[0.21, 0.13, 0.37, 25.0, 0.8], [0.62, 0.44, 0.08, 35.0, 0.5]])
    derivative = Derivative(
        FriedelPairs(mates[0], sigma[0], mates[1], sigma[1], ()), sites, ("Xe", "Xe"), np.full((2, 1), 54.0),
        np.full((2, 1), 10.0), np.array([7.4, 7.4]),
    )
    reflections = Reflections(hkl, s2, centric, epsilon, native, np.full(n, 1.0), rng.random(n) < 0.1)
    return plan_siras(backend, crystal, reflections, derivative), f_total


def twin(backend: Any) -> tuple[Any, Any]:
    """Two domains; some reflections are not measured, some have no mate."""
    rng, n = np.random.default_rng(6), 4000
    s2 = np.sort(rng.uniform(0.002, 0.1, n))
    other = rng.permutation(n).reshape(-1, 2)[: n // 2 - 100]
    mates, orbit = np.stack([np.arange(n), np.full(n, -1)]), np.arange(n)
    mates[1, other[:, 0]], mates[1, other[:, 1]] = other[:, 1], other[:, 0]
    orbit[other[:, 1]] = other[:, 0]
    f_total = 40.0 * (rng.normal(size=(1, n)) + 1j * rng.normal(size=(1, n)))
    square = np.append(np.abs(f_total[0] + 10.0 * rng.normal(size=n)) ** 2, 0.0)
    intensity = np.array([0.7, 0.3]) @ square[mates]
    intensity[rng.random(n) < 0.02] = np.nan
    f = np.sqrt(intensity)
    reflections = Reflections(
        np.zeros((n, 3), np.int32), s2, np.zeros(n, bool), np.ones(n), f, 0.03 * f + 1.0, rng.random(n) < 0.1,
        intensity, 0.05 * intensity + 20.0,
    )
    return plan_twin(backend, reflections, TwinInput(("k,h,-l",), mates, orbit, np.array([0.6, 0.4]))), f_total


CASES: dict[str, tuple[Callable[[Any], tuple[Any, Any]], int]] = {
    "pairs": (friedel_pairs, 0), "derivative": (native_and_pairs, 48 * MOST_WORK), "twin": (twin, 0),
}
"""What makes a likelihood, and bytes that the fit of its errors may take down besides: sites are refined on the host,
by some reflections."""


@lru_cache(maxsize=3)
def errors_of(kind: str) -> Any:
    """The error model that the cpu backend finds from moments."""
    likelihood, f_total = CASES[kind][0](create("cpu", 2))
    return likelihood.fit(f_total, np.exp(0.1 * np.random.default_rng(1).normal(size=f_total.shape[1])), None)


@pytest.mark.parametrize("kind", CASES)
def test_the_same_bits_in_every_order_of_threads(kind: str) -> None:
    found = set()
    for order in (0, 1, 2):
        backend = CudaBackend(ShimDevice(order))
        likelihood, f_total = CASES[kind][0](backend)
        total, k = backend.keep(f_total), backend.keep(np.ones(f_total.shape[1]))
        values = likelihood.values(errors_of(kind), k)
        result = likelihood.evaluate(values, total, np.flatnonzero(likelihood.reflections.free), True)
        parts = result.minus_ll, result.gradient, result.information, likelihood.amplitudes(values, total)
        if kind == "twin":
            slopes = likelihood.fraction_slopes(values, total, likelihood.plain.estimate)
            parts = *parts, *backend.centred_products(slopes)
        else:
            part = likelihood.plan.free
            by_knot = np.random.default_rng(0).normal(size=(2, len(part.index)))
            parts = *parts, backend.curve_sums(part.hats, backend.keep(by_knot), backend.keep(by_knot), 0, 2).square
        found.add(b"".join(np.asarray(part).tobytes() for part in parts))
    assert len(found) == 1


@pytest.mark.parametrize("kind", CASES)
def test_no_array_over_reflections_crosses(kind: str) -> None:
    """And everything is as on the cpu backend."""
    make, beside = CASES[kind]
    backend = CudaBackend(Counting())
    device: Any = backend.device
    runs: list[list[Any]] = []
    start = errors_of(kind)
    for used in (create("cpu", 2), backend):
        likelihood, f_total = make(used)
        n, k = f_total.shape[1], np.exp(0.1 * np.random.default_rng(1).normal(size=f_total.shape[1]))
        work, found, counted = np.flatnonzero(likelihood.reflections.work), [], []
        errors = start
        for step in range(2):  # the first time data go up
            total, aniso = used.keep((1.0 + 0.01 * step) * f_total), used.keep((1.0 - 0.01 * step) * k)
            found, counted = [], []

            def counting(call: Any, *arguments: Any, into: Any = counted, results: Any = found) -> Any:
                result, up, down = device.since(call, *arguments)
                into.append((call.__name__, up, down))
                results.append(result)
                return result

            errors = counting(likelihood.fit, total, aniso, errors)
            values = counting(likelihood.values, errors, aniso)
            counting(likelihood.evaluate, values, total, work, False)
            counting(likelihood.evaluate, values, total, work, True)
            counting(likelihood.amplitudes, values, total)
            if kind == "twin":
                target = counting(likelihood.scale_target, total, values)
                counting(used.centred_products, likelihood.fraction_slopes(values, total, work))
                assert (len(target), found.pop()[1].shape, len(found.pop())) == (n, (2, 2), n)
        if used is backend:
            assert 8 * n >= 4 * SMALL
            for name, up, down in counted:
                assert up <= SMALL and down <= (beside + 4 * SMALL if name == "fit" else SMALL), (name, up, down, n)
        errors, values, plain, slopes, amplitudes = found
        runs.append([
            *(getattr(errors, name) for name in errors.__dataclass_fields__),
            *(np.asarray(getattr(values, name)) for name in values.__dataclass_fields__),
            plain.minus_ll, slopes.minus_ll, slopes.gradient, slopes.information, amplitudes,
        ])
    for a, b in zip(*runs, strict=True):
        np.testing.assert_allclose(np.asarray(b), a, rtol=1e-6, atol=1e-6 * np.abs(a).max(initial=0.0))
