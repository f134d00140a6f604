"""Arrays in memory that is used again: never one that somebody still holds, nor a part of it."""

from __future__ import annotations

import numpy as np
import pytest

from gpurefine.backend.cpu import memory


def place(array: np.ndarray) -> int:
    return int(array.__array_interface__["data"][0])


@pytest.fixture(autouse=True)
def nothing_kept() -> None:
    memory.release()


def test_memory_is_used_again_when_nobody_holds_it() -> None:
    first = memory.empty("map", (40, 30), np.float32)
    was = place(first)
    first[:] = 7.0
    del first
    again = memory.zeros("map", (40, 30), np.float32, 2)
    assert place(again) == was and not again.any()


def test_what_is_held_stays_as_it_is() -> None:
    whole = memory.zeros("map", (40, 30), np.float32, 1)
    part = whole[3:5]
    del whole
    other = memory.empty("map", (40, 30), np.float32)
    other.fill(1.0)
    assert not np.shares_memory(part, other) and not part.any()
    third = memory.zeros("map", (40, 30), np.float32, 2)
    assert not np.shares_memory(third, other) and other.all()


def test_another_shape_type_or_purpose() -> None:
    memory.empty("map", (40, 30), np.float32)
    shape = (30, 40)
    for what, dtype in (("map", np.float32), ("map", np.int32), ("mask", np.int32)):
        array = memory.empty(what, shape, dtype)
        assert array.shape == shape and array.dtype == dtype and array.flags.c_contiguous
    assert set(memory._kept.arrays) == {"map", "mask"}
    memory.release()
    assert not memory._kept.arrays
