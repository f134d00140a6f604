"""The derivative checks themselves: they accept what is right and refuse what is wrong."""

from __future__ import annotations

import numpy as np
import pytest

from helpers import central_gradient, check_adjoint, check_gradient


def value(x: np.ndarray) -> float:
    return float(np.sin(x).sum() + 0.5 * (x**2).prod())


def gradient(x: np.ndarray) -> np.ndarray:
    return np.cos(x) + (x**2).prod() / x


X = np.array([[0.3, -1.2], [0.7, 2.0]])


def test_central_gradient_of_a_known_function() -> None:
    np.testing.assert_allclose(central_gradient(value, X), gradient(X).ravel(), rtol=1e-9)


def test_right_gradient_passes() -> None:
    check_gradient(value, gradient(X), X)
    check_gradient(value, gradient(X), X, count=2)


@pytest.mark.parametrize("wrong", [lambda g: -g, lambda g: 1.0001 * g, lambda g: g + 1e-4])
def test_wrong_gradient_is_refused(wrong) -> None:
    with pytest.raises(AssertionError, match="central difference"):
        check_gradient(value, wrong(gradient(X)), X)


def test_adjoint_of_a_complex_matrix() -> None:
    rng = np.random.default_rng(5)
    a = rng.normal(size=(4, 3)) + 1j * rng.normal(size=(4, 3))
    v = rng.normal(size=3)
    w = rng.normal(size=4) + 1j * rng.normal(size=4)
    check_adjoint(lambda x: a @ x, lambda y: (a.conj().T @ y).real, v, w)
    with pytest.raises(AssertionError, match="adjoint is off"):
        check_adjoint(lambda x: a @ x, lambda y: (a.T @ y).real, v, w)
