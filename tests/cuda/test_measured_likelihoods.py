"""Prior phases, twins and derivatives: the CUDA kernels against the cpu backend, whose quadrature they repeat.

That it is right is shown in tests/backend, on this backend too.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np
import pytest
import shim_device
from shim_device import ShimDevice

from gpurefine.backend import create
from gpurefine.backend.cuda.phased import PhasedOps

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
