"""Checks of derivatives that many tests share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]


def central_gradient(
    value: Callable[[Vector], float], x: Vector, step: float = 1e-4, where: NDArray[np.intp] | None = None
) -> Vector:
    """Derivative of ``value`` by fourth-order central differences at ``x`` (any shape).

    ``where`` lists flat indices to differentiate by (default: all); the answer has one number for each.
    """
    flat = np.asarray(x, dtype=np.float64).ravel()
    indices = np.arange(flat.size) if where is None else np.asarray(where)
    gradient = np.empty(len(indices))

    def at(index: int, shift: float) -> float:
        moved = flat.copy()
        moved[index] += shift
        return float(value(moved.reshape(np.shape(x))))

    for row, index in enumerate(indices):
        near = at(index, step) - at(index, -step)
        far = at(index, 2 * step) - at(index, -2 * step)
        gradient[row] = (8.0 * near - far) / (12.0 * step)
    return gradient


def check_gradient(
    value: Callable[[Vector], float],
    gradient: Vector,
    x: Vector,
    step: float = 1e-4,
    tolerance: float = 1e-6,
    count: int | None = None,
    seed: int = 0,
) -> None:
    """Assert that ``gradient`` (shape of ``x``) is the derivative of ``value`` at ``x``.

    The largest difference must stay below ``tolerance`` times the largest derivative.  ``count`` limits the check to
    that many components, drawn at random.
    """
    gradient = np.asarray(gradient, dtype=np.float64)
    assert gradient.shape == np.shape(x), f"gradient has shape {gradient.shape}, x has {np.shape(x)}"
    where = np.arange(gradient.size)
    if count is not None and count < gradient.size:
        where = np.sort(np.random.default_rng(seed).choice(gradient.size, count, replace=False))
    expected = central_gradient(value, x, step, where)
    given = gradient.ravel()[where]
    scale = max(float(np.abs(expected).max()), float(np.abs(given).max()), 1e-300)
    worst = int(np.abs(given - expected).argmax())
    error = abs(given[worst] - expected[worst]) / scale
    assert error < tolerance, (
        f"component {where[worst]}: gradient {given[worst]:.10g}, central difference {expected[worst]:.10g} "
        f"({error:.2e} of the largest, tolerance {tolerance:.0e})"
    )


def inner(a: NDArray[Any], b: NDArray[Any]) -> float:
    """Real inner product of two arrays, real or complex: Re Σ conj(a) b."""
    return float(np.real(np.vdot(a, b)))


def check_adjoint(
    forward: Callable[[NDArray[Any]], NDArray[Any]],
    adjoint: Callable[[NDArray[Any]], NDArray[Any]],
    v: NDArray[Any],
    w: NDArray[Any],
    tolerance: float = 1e-10,
) -> None:
    """Assert ⟨forward(v), w⟩ = ⟨v, adjoint(w)⟩ within ``tolerance`` of ‖forward(v)‖ ‖w‖."""
    image, back = forward(v), adjoint(w)
    assert np.shape(image) == np.shape(w) and np.shape(back) == np.shape(v)
    scale = float(np.linalg.norm(np.ravel(image)) * np.linalg.norm(np.ravel(w)))
    assert scale > 0.0, "the forward image or w is zero: the check would say nothing"
    error = abs(inner(image, w) - inner(v, back)) / scale
    assert error < tolerance, f"adjoint is off by {error:.2e} of the norms (tolerance {tolerance:.0e})"


def precision(backend: Any) -> str:
    """``double`` for the reference backend, ``single`` for those that compute densities in single precision."""
    return "double" if backend.name == "reference" else "single"
