"""Prefix sums of counts of any length, alone and two at once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import shim_device
from shim_device import ShimDevice

from gpurefine.backend.cuda.groups import CHUNK, FEW, GroupOps

pytestmark = pytest.mark.skipif(shim_device.compiler() is None, reason="g++ is not installed")


def summed(count: Any, order: int = 0) -> tuple[Any, dict[str, int]]:
    """Prefix sums of ``count``, and the launches they took."""
    ops = GroupOps(ShimDevice(order))
    pairs = count.dtype == np.uint64
    start = ops.prefix_sums("start", ops.device.upload(count), len(count), pairs)
    return ops.device.download(start), ops.device.launches  # type: ignore[attr-defined]


@pytest.mark.parametrize("n", [0, 1, 7, 2048, 8193, FEW, FEW + 1, 300 * CHUNK + 5])
def test_prefix_sums_of_any_length(n: int) -> None:
    count = np.random.default_rng(n).integers(0, 9, n).astype(np.int32)
    for order in (0, 1, 2):
        found, launches = summed(count, order)
        np.testing.assert_array_equal(found, np.concatenate([[0], np.cumsum(count)]))
        assert sum(launches.values()) == (0 if n == 0 else 1 if n <= FEW else 2)


@pytest.mark.parametrize("n", [1, 9000, FEW + CHUNK])
def test_two_sums_in_the_halves_of_64_bits(n: int) -> None:
    rng = np.random.default_rng(n)
    high, low = (rng.integers(0, top, n).astype(np.uint64) for top in (100, 60_000))
    for order in (0, 1, 2):
        found, _ = summed(high << np.uint64(32) | low, order)
        np.testing.assert_array_equal(found >> np.uint64(32), np.concatenate([[0], np.cumsum(high)]))
        np.testing.assert_array_equal(found & np.uint64(0xFFFFFFFF), np.concatenate([[0], np.cumsum(low)]))
