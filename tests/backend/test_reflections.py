"""Operations on arrays over reflections: closed forms on every backend, and where the results lie."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from gpurefine.backend import create
from gpurefine.backend.ops_reflections import Groups, ScaleCurve
from gpurefine.backend.plans import ScaleSystem
from gpurefine.target.shells import Hats

N = 3001


def numbers(seed: int, *shape: int) -> Any:
    return np.random.default_rng(seed).normal(size=shape or N)


def spectrum(seed: int, *shape: int) -> Any:
    return numbers(seed, *shape) + 1j * numbers(seed + 100, *shape)


def close(found: Any, expected: Any) -> None:
    expected = np.asarray(expected)
    np.testing.assert_allclose(np.asarray(found), expected, rtol=1e-12, atol=1e-12 * np.abs(expected).max(initial=0.0))


def test_elementwise(backend: Any) -> None:
    f, factor = spectrum(1), numbers(2)
    on, by = backend.keep(f), backend.keep(factor)
    index = np.random.default_rng(3).permutation(N)[:777]
    close(on, f)
    for values, where in ((f, on), (factor, by)):
        some = backend.take(where, index)
        close(some, values[index])
        expected = np.zeros(N, values.dtype)
        expected[index] = values[index]
        close(backend.put(some, index, N), expected)
        close(backend.product(where, by, 1), values * factor)
        close(backend.product(where, by, 2), values * factor**2)
        close(backend.product(where, factor, 2), values * factor**2)  # a factor that never changes may be the host's
    close(backend.magnitude(on), np.abs(f))
    assert backend.total(by) == pytest.approx(factor.sum(), rel=1e-12)
    close(backend.stack([on])[0], f)
    close(backend.stack([on, on]), np.stack([f, f]))


@pytest.mark.parametrize("with_mask", [True, False])
def test_the_mask_is_added_to_the_first_row(backend: Any, with_mask: bool) -> None:
    f, mask, factor, k = spectrum(4, 2, N), spectrum(5), numbers(6), numbers(7)
    given = backend.keep(mask) if with_mask else None
    found = backend.scaled_total(backend.keep(f), backend.keep(factor), backend.keep(k), given)
    inner = f.copy()
    inner[0] += k * mask if with_mask else 0.0
    close(found, factor * inner)


def curve(kind: str) -> ScaleCurve:
    s = np.sort(np.random.default_rng(8).uniform(0.02, 0.6, N))
    smooth = kind == "smooth"
    knots = np.stack([np.linspace(0.05, 0.4, 7), np.linspace(0.4, 0.1, 7)])
    iso = np.stack([np.linspace(0.02, 0.6, 8), 0.1 * np.cos(np.arange(8.0))])
    made = ScaleCurve(
        s, 0.1 * numbers(9, N, 3), 0.7, 12.0, np.array([0.1, -0.3, 0.2]), 0.35, 46.0, knots if smooth else None,
        iso if smooth else None, 0.3 if kind == "babinet" else 0.0, 200.0,
    )
    return replace(made, columns=np.zeros((N, 0)), tensor=np.zeros(0), k_sol=0.0) if kind == "plain" else made


@pytest.mark.parametrize("kind", ["smooth", "simple", "babinet", "plain"])
def test_scale_factors(backend: Any, kind: str) -> None:
    given = curve(kind)
    found = backend.scale_factors(given, backend.keep(spectrum(1)), True)
    s, s2 = given.s, given.s**2
    log_aniso = given.columns @ given.tensor
    log_iso = np.interp(s, *given.iso_knots) if given.iso_knots is not None else 0.0 * s
    k_mask = np.interp(s, *given.mask_knots) if given.mask_knots is not None else (
        given.k_sol * np.exp(-0.25 * given.b_sol * s2)
    )
    babinet = 1.0 - given.babinet_k * np.exp(-0.25 * given.babinet_b * s2)
    close(found.factor, np.exp(given.log_k - 0.25 * given.b_overall * s2 + log_aniso + log_iso) * babinet)
    close(found.k_mask, k_mask)
    close(found.k_aniso, np.exp(log_aniso))
    close(found.k_iso, np.exp(log_iso))


@pytest.mark.parametrize("m", [1, 2, 30])
def test_error_model_between_knots_and_its_sums(backend: Any, m: int) -> None:
    inv_d2 = np.random.default_rng(10).uniform(0.0, 0.3, N)
    knots, d, log_s = np.linspace(0.02, 0.27, m), numbers(11, m), numbers(12, m)
    k_aniso = np.exp(0.1 * numbers(13))
    on = backend.keep(k_aniso)
    expected = np.interp(inv_d2, knots, d), np.exp(np.interp(inv_d2, knots, log_s)) * k_aniso**2
    for found in (backend.error_values(inv_d2, knots, d, log_s, on),
                  backend.hat_values(Hats.of(inv_d2, knots), d, log_s, on)):
        close(found[0], expected[0])
        close(found[1], expected[1])
    hats, slope, information = Hats.of(inv_d2, knots), numbers(14), numbers(15) ** 2
    gradient, bands = backend.hat_sums(hats, backend.keep(slope), backend.keep(information))
    by_hats = np.stack([hats.value(row) for row in np.eye(m)], axis=1)
    close(gradient, slope @ by_hats)  # the transpose of the interpolation
    full = by_hats.T @ (information[:, None] * by_hats)
    close(bands[2], np.diag(full))
    close(bands[1, 1:], np.diag(full, 1))


@pytest.mark.parametrize("n", [1, 20])
def test_sums_over_groups(backend: Any, n: int) -> None:
    label = np.random.default_rng(16).integers(0, n, N)
    label[label == 3] = 4  # an empty group
    everything = Groups.of(label, n, np.arange(N))
    columns, weight = numbers(17, 3, N), numbers(18)
    found = backend.group_sums(everything, columns, backend.keep(weight))
    close(found, np.array([[(weight * c)[label == g].sum() for c in columns] for g in range(n)]))
    index = np.flatnonzero(numbers(19) > 0.3)
    some, x, y, k = Groups.of(label[index], n, index), numbers(20), numbers(21), np.exp(0.2 * numbers(22))
    for divisor, square in ((None, False), (k, False), (None, True)):
        found = backend.pair_sums(
            some, x, backend.keep(y), None if divisor is None else backend.keep(divisor), square
        )
        own = y if divisor is None else y / divisor
        own = own**2 if square else own
        for g in range(n):
            a, b = (v[index][label[index] == g] for v in (x, own))
            if len(a) == 0:
                assert not np.asarray(found[g])[:3].any()
                continue
            da, db = a - a.mean(), b - b.mean()
            close(found[g], [a.sum(), b.sum(), np.abs(a - b).sum(), da @ da, db @ db, da @ db])


@pytest.mark.parametrize("n", [1, 2, 7, 300, 4096, 5001])
def test_misfit_and_its_median(backend: Any, n: int) -> None:
    f_obs, factor = np.abs(numbers(23, n)), np.abs(numbers(24, n))
    protein = spectrum(25, n)
    f_obs[: n // 3] = factor[: n // 3] * np.abs(protein[: n // 3])  # many residuals next to 0
    none, left = np.zeros((n, 0)), np.zeros(n, np.intp)
    system = ScaleSystem(
        f_obs, backend.keep(factor), backend.keep(np.zeros(n)), backend.keep(protein), np.zeros(n, np.complex128),
        none, none, left, np.zeros(n), 0, left, np.zeros(n), 0,
    )
    size = np.abs(f_obs - factor * np.abs(protein))
    total, median = backend.scale_misfit(system, True)
    assert total == pytest.approx(size.sum(), rel=1e-12)
    assert median == pytest.approx(float(np.median(size)), rel=1e-12, abs=1e-14)
    assert backend.scale_misfit(system, False)[0] == pytest.approx(total, rel=1e-14)


@pytest.mark.parametrize("values", [[3.0, 3.0, 3.0, 3.0], [1.0, 2.0], [2.0, 1.0, 1.0], [0.0, 0.0, 5.0, 7.0, 9.0, 9.0]])
def test_median_of_ties(backend: Any, values: list[float]) -> None:
    n = len(values)
    none, left, zero = np.zeros((n, 0)), np.zeros(n, np.intp), np.zeros(n, np.complex128)
    system = ScaleSystem(
        np.array(values), backend.keep(np.ones(n)), backend.keep(np.zeros(n)), backend.keep(zero), zero, none, none,
        left, np.zeros(n), 0, left, np.zeros(n), 0,
    )
    assert backend.scale_misfit(system, True) == (sum(values), float(np.median(values)))


def measured(n: int) -> tuple[Any, ...]:
    rng = np.random.default_rng(0)
    f_obs = np.abs(rng.normal(0.0, 50.0, n)) * rng.choice([0.0, 0.01, 1.0, 30.0], n)
    f_calc = rng.choice([0.0, 1.0, 40.0], n) * (rng.normal(size=n) + 1j * rng.normal(size=n))
    return (f_obs, rng.uniform(0.5, 5.0, n), f_calc, rng.uniform(0.1, 1.0, n), rng.uniform(0.01, 900.0, n),
            rng.integers(1, 5, n).astype(float), rng.random(n) < 0.3)


FIELDS = {
    "rice": ("minus_ll", "gradient", "information", "fom"),
    "intensity": ("minus_ll", "gradient", "information", "best"),
    "rice_sigmaa": ("minus_ll", "d_d", "d_log_s", "info_d", "info_s"),
    "phased": ("minus_ll", "gradient", "information", "direction"),
    "phased_sigmaa": ("minus_ll", "d_d", "d_log_s", "info_d", "info_s"),
    "intensity_sigmaa": ("minus_ll", "d_d", "d_log_s", "info_d", "info_s"),
}


@pytest.mark.parametrize("operation", FIELDS)
def test_likelihoods_of_what_the_backend_keeps(backend: Any, operation: str) -> None:
    """The same numbers as of the host's arrays, by the cpu backend."""
    f_obs, sigma, f_calc, d, s, epsilon, centric = measured(500)
    if operation.startswith("intensity"):
        f_obs = f_obs**2 - 20.0
    prior = (0.5 * numbers(30, 4, 500),) if operation.startswith("phased") else ()
    if operation.endswith("sigmaa") and not prior:
        f_calc = np.abs(f_calc)
    last = () if operation.endswith("sigmaa") else (True,)
    expected = getattr(create("cpu", 1), operation)(f_obs, sigma, f_calc, *prior, d, s, epsilon, centric, *last)
    found = getattr(backend, operation)(
        f_obs, sigma, backend.keep(f_calc), *prior, backend.keep(d), backend.keep(s), epsilon, centric, *last
    )
    # the reference integrates in another way, to the accuracy of tests/backend/test_intensity.py and test_phased.py
    accuracy = 1e-9 if operation.startswith("rice") else 1e-5
    for name in FIELDS[operation]:
        a = np.asarray(getattr(expected, name))
        np.testing.assert_allclose(
            np.asarray(getattr(found, name)), a, rtol=accuracy, atol=accuracy * np.abs(a).max(), err_msg=name
        )
