"""Parameters on resolution shells: interpolation and its transpose, smoothing, banded systems, and their fit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gpurefine.backend import create
from gpurefine.target.shell_fit import plan_shells
from gpurefine.target.shells import Hats, smoothed, solve_bands
from helpers import check_gradient

KNOTS = np.array([0.01, 0.02, 0.05, 0.06, 0.1])


def dense(bands: Any) -> Any:
    """The symmetric matrix of :func:`solve_bands`."""
    out = np.diag(bands[2])
    for k in (1, 2):
        if bands.shape[1] > k:
            out += np.diag(bands[2 - k, k:], k) + np.diag(bands[2 - k, k:], -k)
    return out


@pytest.mark.parametrize("m", [1, 2, 5])
def test_interpolation_its_transpose_and_information(m: int) -> None:
    rng = np.random.default_rng(0)
    x = np.concatenate([KNOTS[:m], rng.uniform(0.0, 0.12, 60)])
    hats = Hats.of(x, KNOTS[:m])
    matrix = np.stack([hats.value(row) for row in np.eye(m)], axis=1)
    y, g, w = rng.normal(size=m), rng.normal(size=len(x)), rng.uniform(1.0, 2.0, len(x))
    np.testing.assert_allclose(hats.value(y), np.interp(x, KNOTS[:m], y), atol=1e-12)
    np.testing.assert_allclose(hats.gradient(g), matrix.T @ g, atol=1e-12)
    np.testing.assert_allclose(dense(hats.information(w)), matrix.T @ (w[:, None] * matrix), atol=1e-12)


@pytest.mark.parametrize("m", [1, 2, 3, 6])
def test_smoothing_is_half_the_square_of_second_differences(m: int) -> None:
    rng = np.random.default_rng(1)
    y, none = rng.normal(size=m), np.zeros((3, m))

    def value(x: Any) -> float:
        return 1.5 * float(np.sum(np.diff(x, 2) ** 2))

    bands, gradient = smoothed(none, np.zeros(m), y, 3.0)
    check_gradient(value, gradient, y)
    # quadratic: half of vᵀHv is the value
    assert 0.5 * y @ dense(bands) @ y == pytest.approx(value(y), abs=1e-12)
    assert not none.any()


@pytest.mark.parametrize("m", [1, 2, 3, 6])
def test_banded_systems(m: int) -> None:
    rng = np.random.default_rng(2)
    bands = rng.normal(size=(3, m))
    bands[2] += 8.0
    right = rng.normal(size=m)
    np.testing.assert_allclose(dense(bands) @ solve_bands(bands, right), right, atol=1e-12)


@pytest.mark.parametrize("overfit", [1.0, 0.5])
def test_a_factor_and_two_variances_of_normal_data(overfit: float) -> None:
    """y = D f + e in two independent measurements: D falls with resolution and comes from the working reflections,
    the variances from the free ones; that of the second, 0, stays at its floor."""
    rng = np.random.default_rng(3)
    n = 12_000
    s2 = np.sort(rng.uniform(0.0, 0.1, n))
    free = rng.random(n) < 0.3
    f, true = rng.normal(2.0, 0.5, n), 0.95 - 60.0 * s2**2
    log_v = -1.0 - 15.0 * s2
    y = true * f + np.exp(0.5 * log_v) * rng.normal(size=n) * np.where(free, 1.0, overfit)

    def slopes(part: Any, factors: Any, logs: Any) -> tuple[Any, Any]:
        """The bound is twenty times what is known."""
        index, d, log = part.index, [part.hats.value(row) for row in factors], [part.hats.value(row) for row in logs]
        v = np.exp(log[0])
        miss = y[index] - d[0] * f[index]
        each = np.stack([-miss * f[index] / v, 0.5 - 0.5 * miss**2 / v, np.full(len(index), 0.5)])
        known = np.stack([f[index] ** 2 / v, np.full(len(index), 0.5), np.full(len(index), 0.5)])
        return each, 20.0 * known

    plan = plan_shells(create("reference"), s2, ~free, free)
    m = len(plan.knots)
    assert plan.uses_free and m > 5
    floors = np.stack([np.full(m, -np.inf), np.full(m, -4.0)])
    d, logs = plan.fit(slopes, np.full((1, m), 0.5), np.zeros((2, m)), floors, False)
    np.testing.assert_allclose(d[0], 0.95 - 60.0 * plan.knots**2, atol=0.03)
    assert abs(np.mean(logs[0] - (-1.0 - 15.0 * plan.knots))) < 0.06
    assert np.abs(logs[0] - (-1.0 - 15.0 * plan.knots)).max() < 0.4
    assert (logs[1] == -4.0).all()
    few = plan_shells(create("reference"), s2, ~free, free, most_work=2000)
    assert 1500 < len(few.work.index) <= 2000 and np.ptp(s2[few.work.index]) > 0.099
    np.testing.assert_array_equal(few.knots, plan.knots)
    np.testing.assert_array_equal(few.free.index, plan.free.index)
    assert not plan_shells(create("reference"), s2, ~free, np.zeros(n, bool)).uses_free
