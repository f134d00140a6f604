"""Sums over resolution shells for every atom."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gpurefine.backend import create


def test_one_atom_and_one_shell(backend: Any) -> None:
    found = backend.shell_products(
        np.array([20.0]), np.array([1], np.int32), np.array([0.25]), np.array([[9.0], [3.0]]), np.array([[2.0, 5.0]])
    )
    np.testing.assert_allclose(found, 9.0 * np.exp(-0.5 * 20.0 * 0.25) * np.array([[2.0, 5.0]]), rtol=1e-13)


@pytest.mark.parametrize(("n", "columns"), [(0, 3), (1, 8), (700, 8), (300, 21)])
def test_many_atoms_against_the_reference(backend: Any, n: int, columns: int) -> None:
    rng = np.random.default_rng(n)
    arguments = (
        rng.uniform(2, 90, n), rng.integers(0, 4, n).astype(np.int32), np.sort(rng.uniform(0, 0.7, 60)),
        rng.uniform(0, 9, (4, 60)), rng.normal(size=(60, columns)),
    )
    expected = create("reference").shell_products(*arguments)
    found = backend.shell_products(*arguments)
    assert found.shape == (n, columns)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12 * float(np.abs(expected).max(initial=1.0)))
