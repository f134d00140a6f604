"""Different indices, in the order and with the counts that NumPy gives."""

from __future__ import annotations

import numpy as np
import pytest

from gpurefine.io.measurements import positions, unique_rows


@pytest.mark.parametrize(("n", "most"), [(3000, 9), (5, 400), (1, 1)])
def test_as_numpy(n: int, most: int) -> None:
    hkl = np.random.default_rng(n).integers(-most, most, (n, 3)).astype(np.int32)
    unique, inverse, counts = unique_rows(hkl)
    expected = np.unique(hkl, axis=0, return_inverse=True, return_counts=True)
    np.testing.assert_array_equal(unique, expected[0])
    np.testing.assert_array_equal(inverse, expected[1].reshape(-1))
    np.testing.assert_array_equal(counts, expected[2])
    np.testing.assert_array_equal(positions(hkl, unique), inverse)
    assert (positions(hkl + 1000, unique) == -1).all()


def test_no_index() -> None:
    none = np.zeros((0, 3), np.int32)
    assert [len(part) for part in unique_rows(none)] == [0, 0, 0]
    assert positions(np.ones((2, 3), np.int32), none).tolist() == [-1, -1]
