"""Operations on reflections by several threads: values of the definition, same bits for any number of threads."""

from __future__ import annotations

import numpy as np
import pytest

from gpurefine.backend import create
from gpurefine.backend.ops_reflections import ScaleCurve
from gpurefine.target.shells import Hats

N = 50_001  # more than is done at a time, and no multiple of it


@pytest.mark.parametrize("knots", [1, 2, 20])
@pytest.mark.parametrize("parts", [False, True])
def test_against_the_definition(knots: int, parts: bool) -> None:
    rng = np.random.default_rng(knots)
    s = np.sqrt(rng.uniform(0.001, 0.25, N))
    at = np.linspace(0.0, 0.5, 12)
    curve = ScaleCurve(
        s, rng.normal(size=(N, 3)), 0.3, 8.0, np.array([0.02, -0.01, 0.03]), 0.35, 40.0,
        np.stack([at, np.exp(-at)]), np.stack([at, 0.01 * at]), 0.4, 150.0,
    )
    hats = Hats.of(s**2, np.linspace(0.0, 0.25, knots))
    slope, information = rng.normal(size=N), rng.uniform(0.0, 2.0, N)
    found = []
    for backend in (create("reference"), create("cpu", 1), create("cpu", 2)):
        factors = backend.scale_factors(curve, slope, parts)
        given = [factors.factor, factors.k_mask] + ([factors.k_aniso, factors.k_iso] if parts else [])
        assert parts or factors.k_aniso is None
        given += backend.error_values(s**2, at**2, at, -at, given[0])
        found.append([*given, *backend.hat_sums(hats, slope, information)])
    for a, b, c in zip(*found, strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-10, atol=1e-9)
        np.testing.assert_array_equal(b, c)


@pytest.mark.parametrize("kind", ["real", "complex", "bool", "rows", "strided"])
def test_lists_are_picked_and_put_as_numpy_does(kind: str) -> None:
    rng = np.random.default_rng(3)
    real = rng.normal(size=N)
    values = {
        "real": real, "complex": real + 1j * real[::-1], "bool": real > 0.0, "rows": np.stack([real, -real]),
        "strided": np.repeat(real, 2)[::2],
    }[kind]  # fmt: skip
    some = rng.permutation(N)[: N // 3]
    for index in (np.sort(some), some, some[:0]):
        for backend in (create("cpu", 1), create("cpu", 2)):
            taken = backend.take(values, index)
            np.testing.assert_array_equal(taken, values[..., index], strict=True)
            expected = np.zeros_like(values)
            expected[..., index] = values[..., index]
            np.testing.assert_array_equal(backend.put(taken, index, N), expected, strict=True)
    if kind == "bool":
        return
    for backend in (create("cpu", 1), create("cpu", 2)):
        for power in (1, 2):
            product = backend.product(values, np.abs(real), power)
            np.testing.assert_allclose(product, values * np.abs(real) ** power, rtol=1e-15, atol=0, strict=True)
        if kind != "rows":
            np.testing.assert_allclose(backend.magnitude(values), np.abs(values), rtol=1e-15, atol=0, strict=True)
