"""The likelihood of a twin: a probability, its derivatives, its limits, and the error for large groups."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from device_backends import gpu_backend, shim_backend

from gpurefine.backend import create
from gpurefine.backend.ops_twin import TwinGroups
from gpurefine.backend.reference.intensity import panel_nodes
from helpers import central_gradient


@pytest.fixture(params=["cpu", "shim", pytest.param("cuda", marks=pytest.mark.gpu)])
def compiled(request: pytest.FixtureRequest) -> Any:
    """The backends that integrate as docs/likelihood_twin.md says."""
    makers = {"cpu": lambda: create("cpu", 2), "shim": shim_backend, "cuda": gpu_backend}
    return makers[request.param]()


def groups_of(size: int, count: int) -> TwinGroups:
    """``count`` groups in which domain d of member j contributes member j + d."""
    place = np.arange(size)
    mate = np.tile((place[:, None] + place[None, :]) % size, (count, 1))
    return TwinGroups(
        np.arange(0, size * count + 1, size).astype(np.int32), np.arange(size * count).astype(np.int32),
        mate.astype(np.int32),
    )


def simulated(
    size: int, count: int, fractions: Any, noise: tuple[float, float], seed: int = 0, phases: bool | None = None
) -> list[Any]:
    """Arguments of ``twin``: amplitudes drawn from their density, uncertainties of I between two shares of I.

    ``phases``: whether all are centric; one group in five where not told.
    """
    rng = np.random.default_rng(seed)
    n = size * count
    groups, fractions = groups_of(size, count), np.asarray(fractions, float)
    variance, centric = 10.0 ** rng.uniform(0, 2, n), np.repeat(rng.random(count) < 0.2, size)
    centric = centric if phases is None else np.full(n, phases)
    mean = np.sqrt(variance) * rng.exponential(1.5, n)
    error = np.where(centric, rng.normal(size=n), (rng.normal(size=n) + 1j * rng.normal(size=n)) * np.sqrt(0.5))
    true = np.abs(mean + np.sqrt(variance) * error) ** 2
    i = (fractions * true[groups.mates()]).sum(axis=1)
    sigma = (i + variance) * 10.0 ** rng.uniform(np.log10(noise[0]), np.log10(noise[1]), n)
    return [groups, fractions, i + sigma * rng.normal(size=n), sigma, mean, variance, centric]


@pytest.mark.parametrize("centric", [False, True], ids=["acentric", "centric"])
@pytest.mark.parametrize(("fraction", "noise"), [(0.34, 0.3), (0.5, 0.6), (0.5, 0.05), (0.05, 2.0)])
def test_probability_is_one(fraction: float, noise: float, centric: bool) -> None:
    """∫∫p dI₁dI₂ = 1 on a mesh in the variables that the noise-free intensities have.

    Of a perfect twin the difference of the two is nothing but noise: the mesh is one in sum and difference.
    """
    backend = create("cpu", 2)
    x = np.array([0.7, 1.4])
    node, weight = panel_nodes(30 if centric else 22, 10)
    top = (x.max() + (7.5 if centric else 6.0)) ** 2
    scale = 0.5 * noise
    low, high = np.arcsinh(-8.0 * noise / scale), np.arcsinh((top + 8.0 * noise) / scale)
    axis = scale * np.sinh(low + (high - low) * node)
    share = weight * (high - low) * scale * np.cosh(low + (high - low) * node)
    if fraction == 0.5:
        fine, part = panel_nodes(6, 10)
        difference, wide = 6.0 * noise * (2.0 * fine - 1.0), 12.0 * noise * part
        i = (axis[:, None, None] + difference[:, None] * np.array([1.0, -1.0])).reshape(-1)
        area = 2.0 * np.outer(share, wide).ravel()
    else:
        i = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1)
        area = np.outer(share, share).ravel()
    count = len(area)
    groups = groups_of(2, count)
    one = np.ones(2 * count)
    found = backend.twin(
        groups, np.array([1.0 - fraction, fraction]), i, noise * one, np.tile(x, count), one, one * centric > 0.5
    )
    p = np.exp(-found.minus_ll) * area
    assert p.sum() == pytest.approx(1.0, abs=1e-6)
    # mean over all data of the posterior means
    assert float(p @ found.fm[::2]) == pytest.approx(x[0], abs=2e-6)
    assert float(p @ found.f2[1::2]) == pytest.approx(x[1] ** 2 + 1.0, abs=4e-6)
    assert abs(float(p @ found.fraction_slope[:, 1])) < 1e-5


def test_against_simulation() -> None:
    """Complex errors, twinning and noise drawn: shares of cells of (I₁, I₂) to 2e-3."""
    rng = np.random.default_rng(9)
    n, x, noise, fraction = 400_000, np.array([0.5, 1.8]), 0.4, 0.3
    error = (rng.normal(size=(n, 2)) + 1j * rng.normal(size=(n, 2))) * np.sqrt(0.5)
    true = np.abs(x + error) ** 2
    i = (1.0 - fraction) * true + fraction * true[:, ::-1] + noise * rng.normal(size=(n, 2))
    edges = [np.quantile(i[:, k], np.linspace(0.02, 0.98, 5)) for k in (0, 1)]
    node, weight = panel_nodes(1, 12)
    cells, areas = [], []
    for a in range(4):
        for b in range(4):
            u = edges[0][a] + (edges[0][a + 1] - edges[0][a]) * node
            v = edges[1][b] + (edges[1][b + 1] - edges[1][b]) * node
            cells.append(np.stack(np.meshgrid(u, v, indexing="ij"), axis=-1).reshape(-1))
            areas.append((edges[0][a + 1] - edges[0][a]) * (edges[1][b + 1] - edges[1][b]))
    flat = np.concatenate(cells)
    count = len(flat) // 2
    one = np.ones(2 * count)
    found = create("cpu", 2).twin(
        groups_of(2, count), np.array([1.0 - fraction, fraction]), flat, noise * one, np.tile(x, count), one, one < 0
    )
    p = np.exp(-found.minus_ll).reshape(16, -1) @ np.outer(weight, weight).ravel() * np.array(areas)
    seen = np.histogram2d(i[:, 0], i[:, 1], edges)[0].ravel() / n
    np.testing.assert_allclose(p, seen, atol=2e-3)


@pytest.mark.parametrize("size", [1, 2])
def test_compiled_loop_against_dense_quadrature(compiled: Any, size: int) -> None:
    fractions = np.array([1.0]) if size == 1 else np.array([0.7, 0.3])
    for noise in ((0.01, 0.1), (0.1, 3.0)):
        data = simulated(size, 12, fractions, noise)
        data[3][1] = 0.0  # not measured
        slow, fast = create("reference").twin(*data), compiled.twin(*data)
        np.testing.assert_allclose(fast.minus_ll, slow.minus_ll, atol=1e-6)
        unit = np.sqrt(data[5])
        for name, scale in (("fm", unit), ("f2", data[5]), ("f", unit), ("m", 1.0)):
            at = slice(2, None) if size == 1 else slice(None)
            np.testing.assert_allclose(
                (getattr(fast, name) / scale)[at], (getattr(slow, name) / scale)[at], atol=2e-6, rtol=2e-6
            )
        np.testing.assert_allclose(fast.fraction_slope, slow.fraction_slope, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("centric", [False, True], ids=["acentric", "centric"])
@pytest.mark.parametrize("size", [2, 3, 5])
def test_gradients_by_central_differences(compiled: Any, size: int, centric: bool) -> None:
    """Posterior means give the slopes by D|F_c|, ln Σ and the fractions (Fisher's identity).

    Of large groups too, whose −LL is an approximation: the slopes are those of the approximation.
    """
    fractions = np.array([0.5, 0.25, 0.15, 0.05, 0.05][:size])
    groups, fractions, i, sigma, mean, variance, flags = simulated(size, 3, fractions, (0.05, 0.5), 3)
    flags[:] = centric
    found = compiled.twin(groups, fractions, i, sigma, mean, variance, flags)

    def value(x: Any) -> float:
        n = len(i)
        return float(
            compiled.twin(groups, x[2 * n :], i, sigma, x[:n], np.exp(x[n : 2 * n]), flags).minus_ll.sum()
        )

    expected = central_gradient(value, np.concatenate([mean, np.log(variance), fractions]), 2e-3)
    half = 0.5 if centric else 1.0
    by_mean = 2.0 * half * (mean - found.fm) / variance
    by_log = half * (1.0 - (found.f2 + mean**2 - 2.0 * mean * found.fm) / variance)
    given = np.concatenate([by_mean, by_log, found.fraction_slope.sum(axis=0)])
    np.testing.assert_allclose(given, expected, rtol=1e-4, atol=1e-4 * np.abs(expected[: len(i)]).max())


@pytest.mark.parametrize("measured", ["both", "one"])
def test_a_vanishing_fraction_is_the_intensity_likelihood(compiled: Any, measured: str) -> None:
    groups, _, i, sigma, mean, variance, centric = simulated(2, 40, [1.0, 0.0], (0.01, 3.0), 5)
    if measured == "one":
        sigma[1::2] = 0.0
    found = compiled.twin(groups, np.array([1.0, 1e-9]), i, sigma, mean, variance, centric)
    one = np.ones(len(i))
    single = compiled.intensity(
        i, np.where(sigma > 0.0, sigma, 1.0), mean.astype(complex), one, variance, one, centric, True
    )
    alone = np.where(sigma > 0.0, single.minus_ll, 0.0).reshape(-1, 2).sum(axis=1)
    np.testing.assert_allclose(found.minus_ll, alone, atol=2e-6)
    seen = sigma > 0.0
    np.testing.assert_allclose((found.fm / np.sqrt(variance))[seen], (single.best.real / np.sqrt(variance))[seen],
                               atol=1e-5)


@pytest.mark.parametrize("centric", [False, True], ids=["acentric", "centric"])
@pytest.mark.parametrize(
    ("fractions", "typical", "most"), [((0.6, 0.25, 0.15), 5e-3, 0.05), ((0.34, 0.33, 0.33), 0.06, 0.2)]
)
def test_error_of_large_groups(
    fractions: tuple[float, ...], typical: float, most: float, centric: bool
) -> None:
    """The table of docs/likelihood_twin.md: −LL and posterior means of groups of three by dense quadrature."""
    for noise in ((0.02, 0.3), (1.0, 3.0)):
        data = simulated(3, 3, fractions, noise, 2, centric)
        fast, slow = create("cpu", 1).twin(*data), create("reference").twin(*data)
        error = np.abs(fast.minus_ll - slow.minus_ll)
        assert np.median(error) < typical and error.max() < most, noise
        means = np.abs(fast.fm - slow.fm) / np.sqrt(data[5])
        assert np.median(means) < 0.2 * typical and means.max() < most, noise


def test_extremes_stay_finite(compiled: Any) -> None:
    rng = np.random.default_rng(3)
    for size, count in ((2, 3000), (4, 100), (7, 30)):
        n = size * count
        fractions = rng.dirichlet(np.ones(size))
        variance = 10.0 ** rng.uniform(-3, 5, n)
        mean = np.sqrt(variance) * 10.0 ** rng.uniform(-4, 2.5, n)
        i = mean**2 * 10.0 ** rng.uniform(-2, 2, n)
        sigma = i * 10.0 ** rng.uniform(-3, 3, n)
        i = np.where(rng.random(n) < 0.2, -10.0 * sigma * rng.random(n), i)
        centric = np.repeat(rng.random(count) < 0.3, size)
        found = compiled.twin(groups_of(size, count), fractions, i, sigma, mean, variance, centric)
        for name in ("minus_ll", "f", "f2", "fm", "m", "fraction_slope"):
            assert np.isfinite(getattr(found, name)).all(), (size, name)
