"""Rice's likelihood, the sums of the scale fit and the solvent mask: the CUDA kernels against the reference."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np
import pytest
import shim_device
from shim_device import ShimDevice

from gpurefine.backend import create
from gpurefine.backend.cuda.anomalous import AnomalousOps
from gpurefine.backend.cuda.intensity import IntensityOps
from gpurefine.backend.cuda.likelihood import TargetOps
from gpurefine.backend.cuda.mask import MaskOps
from gpurefine.backend.cuda.scale import ScaleOps
from gpurefine.backend.plans import ScaleSystem
from gpurefine.errors import DeviceError

pytestmark = pytest.mark.skipif(shim_device.compiler() is None, reason="g++ is not installed")


def bits(result: Any) -> bytes:
    return b"".join(np.asarray(getattr(result, f.name)).tobytes() for f in fields(result))


def reflections(n: int = 700) -> tuple[Any, ...]:
    rng = np.random.default_rng(0)
    f_obs = np.abs(rng.normal(0.0, 50.0, n)) * rng.choice([0.0, 0.01, 1.0, 30.0], n)
    f_calc = rng.choice([0.0, 1.0, 40.0], n) * (rng.normal(size=n) + 1j * rng.normal(size=n))
    return (f_obs, rng.uniform(0.0, 5.0, n), f_calc, rng.uniform(0.1, 1.0, n), rng.uniform(0.01, 900.0, n),
            rng.integers(1, 5, n).astype(float), rng.random(n) < 0.3)


@pytest.mark.parametrize("derivatives", [True, False])
def test_rice_is_the_reference(derivatives: bool) -> None:
    expected = create("reference").rice(*reflections(), derivatives)
    found = [TargetOps(ShimDevice(order)).rice(*reflections(), derivatives) for order in (0, 1)]
    for f in fields(expected):
        a, b = getattr(expected, f.name), getattr(found[0], f.name)
        np.testing.assert_allclose(b, a, rtol=1e-11, atol=1e-11 * np.abs(a).max() + 1e-300, err_msg=f.name)
    assert bits(found[0]) == bits(found[1])


def test_rice_sigmaa_is_the_reference() -> None:
    f_obs, sigma, f_calc, *rest = reflections()
    expected = create("reference").rice_sigmaa(f_obs, sigma, np.abs(f_calc), *rest)
    found = TargetOps(ShimDevice()).rice_sigmaa(f_obs, sigma, np.abs(f_calc), *rest)
    for f in fields(expected):
        a = getattr(expected, f.name)
        np.testing.assert_allclose(getattr(found, f.name), a, rtol=1e-11, atol=1e-11 * np.abs(a).max(), err_msg=f.name)


def system(n: int, n_common: int, n_by_mask: int, n_mask: int, n_iso: int) -> ScaleSystem:
    rng = np.random.default_rng(n)

    def spectrum() -> Any:
        return rng.normal(size=n) + 1j * rng.normal(size=n)

    protein, mask = spectrum(), spectrum()
    protein[:1], mask[:1] = 0.0, 0.0
    return ScaleSystem(
        np.abs(rng.normal(size=n)), rng.uniform(0.5, 2.0, n), rng.uniform(0.0, 0.5, n), protein, mask,
        rng.normal(size=(n, n_common)), rng.normal(size=(n, n_by_mask)),
        rng.integers(0, max(n_mask - 1, 1), n), rng.random(n), n_mask,
        rng.integers(0, max(n_iso - 1, 1), n), rng.random(n), n_iso,
        rng.normal(size=(n, 2)) if n_common == 5 else None,
    )


@pytest.mark.parametrize("sizes", [(5, 2, 8, 8), (2, 0, 0, 0), (0, 1, 3, 0), (1, 0, 0, 4)])
@pytest.mark.parametrize("n", [1, 63, 1000])
def test_scale_sums_are_the_reference(n: int, sizes: tuple[int, ...]) -> None:
    given, reference = system(n, *sizes), create("reference")
    found = [ScaleOps(ShimDevice(order)) for order in (0, 1)]
    np.testing.assert_allclose(found[0].scale_residuals(given), reference.scale_residuals(given), rtol=0, atol=1e-13)
    expected = reference.scale_equations(given, 0.05)
    equations = [ops.scale_equations(given, 0.05) for ops in found]
    largest = np.abs(expected.normal).max()
    np.testing.assert_allclose(equations[0].normal, expected.normal, rtol=0, atol=1e-12 * largest)
    np.testing.assert_allclose(equations[0].right, expected.right, rtol=0, atol=1e-12 * np.abs(expected.right).max())
    assert bits(equations[0]) == bits(equations[1])


def test_a_scale_too_large_for_shared_memory_is_refused() -> None:
    with pytest.raises(DeviceError, match="--device cpu"):
        ScaleOps(ShimDevice()).scale_equations(system(10, 100, 0, 0, 0), 0.1)


@pytest.mark.parametrize(("shrink", "volume"), [(0.0, 0.0), (0.9, 0.0), (0.9, 40.0), (0.9, 1e9)])
def test_mask_is_the_reference(shrink: float, volume: float) -> None:
    rng = np.random.default_rng(2)
    orth = np.array([[14.0, -3.0, 1.0], [0.0, 13.0, -2.0], [0.0, 0.0, 15.0]])
    centres, radii = rng.uniform(-1.0, 2.0, (60, 3)), rng.uniform(1.0, 3.4, 60)
    arguments = ((24, 20, 27), orth, centres, radii, shrink, volume)
    expected = create("reference").solvent_mask(*arguments)
    assert 0.02 < expected.mean() < 0.98 or volume > 1e8
    for order in (0, 1, 2):
        np.testing.assert_array_equal(np.asarray(MaskOps(ShimDevice(order)).solvent_mask(*arguments)), expected)


def test_intensities_are_the_cpu_s() -> None:
    """The same quadrature: beside it, tests/backend/test_intensity.py compares it with the definition."""
    f_obs, sigma, f_calc, d, s, epsilon, centric = reflections()
    given = (f_obs**2 - 20.0, sigma**2 + 1.0, f_calc, d, s, epsilon, centric)
    expected, found = create("cpu", 1).intensity(*given, True), [
        IntensityOps(ShimDevice(order)).intensity(*given, True) for order in (0, 1)
    ]
    for f in fields(expected):
        a = getattr(expected, f.name)
        np.testing.assert_allclose(
            getattr(found[0], f.name), a, rtol=1e-6, atol=1e-8 * np.abs(a).max(), err_msg=f.name
        )
    assert bits(found[0]) == bits(found[1])


def test_friedel_pairs_are_the_cpu_s() -> None:
    rng = np.random.default_rng(5)
    n = 120
    f_obs = np.abs(rng.normal(0.0, 50.0, (2, n)))
    f_obs[0, :20], f_obs[1, 10:40] = np.nan, np.nan
    f_calc = 40.0 * (rng.normal(size=(2, n)) + 1j * rng.normal(size=(2, n))) * np.array([[1.0], [0.05]])
    f_calc[:, 50] = 0.0
    given = (f_obs, rng.uniform(0.5, 4.0, (2, n)), f_calc, rng.uniform(0.2, 1.0, (2, n)),
             rng.uniform(1.0, 900.0, (2, n)) * np.array([[1.0], [0.02]]), rng.integers(1, 4, n).astype(float),
             rng.random(n) < 0.2)
    ops = AnomalousOps(ShimDevice())
    for want in (True, False, True):
        expected, found = create("cpu", 1).sad(*given, want), ops.sad(*given, want)
        for f in fields(expected):
            a = getattr(expected, f.name)
            np.testing.assert_allclose(
                getattr(found, f.name), a, rtol=1e-7, atol=1e-9 * np.abs(a).max() + 1e-300, err_msg=f.name
            )
    assert bits(AnomalousOps(ShimDevice(1)).sad(*given, True)) == bits(found)
