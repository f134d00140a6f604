"""A part of many reflections stands for all."""

from __future__ import annotations

import numpy as np

from gpurefine.model.thinning import thinned


def test_few_stay_as_they_are() -> None:
    index = np.array([3, 5, 9])
    assert thinned(index, 3) is index


def test_a_part_is_even_in_every_class() -> None:
    index = np.arange(1000, 101_000)
    part = thinned(index, 10_000)
    assert abs(len(part) - 10_000) < 10
    assert np.all(np.diff(part) > 0)
    for period in (2, 3, 4, 6, 7, 64):
        share = np.bincount(part % period, minlength=period) / len(part)
        np.testing.assert_allclose(share, 1.0 / period, atol=0.1 / period)
    assert np.abs(np.histogram(part, 20, (1000, 101_000))[0] - 500).max() < 10
