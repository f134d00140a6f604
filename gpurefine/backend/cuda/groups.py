"""Prefix sums, items grouped by key, and sums of squares: what the restraint operations are made of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .device import DeviceArray
from .exchange import ExchangeOps

CHUNK = 2048
"""Numbers that one block of the prefix sum takes (CHUNK in scan.cu)."""

FEW = 32768
"""Numbers up to which one block adds up all: a launch costs more than that takes."""

PART = 4096
"""Numbers of a segment that one block of a sum of squares takes, as long as there are fewer than MAX_PARTS."""

MAX_PARTS = 64


@dataclass(frozen=True, slots=True, eq=False)
class Groups:
    """Items of group g are ``order[start[g]:start[g + 1]]``, ascending; both int32 on the device."""

    start: DeviceArray
    order: DeviceArray


class GroupOps(ExchangeOps):
    """Building blocks over lists."""

    def prefix_sums(self, name: str, count: DeviceArray, n: int, pairs: bool = False) -> DeviceArray:
        """start (n + 1,) int32 in the buffer ``name``: start[k] is the sum of ``count[:k]``.

        ``pairs``: uint64 instead, each half of the bits being a sum of its own below 2³¹.
        """
        kind, suffix = (np.uint64, "_pairs") if pairs else (np.int32, "")
        start = self.buffer(name, n + 1, kind)
        if n == 0:
            self.device.clear(start)
        elif n <= FEW:
            self.device.launch(f"scan_few{suffix}", (1,), (1024,), (count, np.int32(n), start))
        else:
            chunks = -(-n // CHUNK)
            chunk = self.buffer("scan.chunks", chunks, kind)
            self.device.launch(
                f"scan_chunks{suffix}", (chunks,), (256,), (count, np.int32(n), chunk, self.counter())
            )
            self.device.launch(f"scan_apply{suffix}", (chunks,), (256,), (count, np.int32(n), chunk, start))
        return start

    def grouped(self, name: str, key: DeviceArray, n: int, n_group: int) -> Groups:
        """The ``n`` items by their ``key`` (n,) int32 below ``n_group``; negative keys are left out.

        The result stays valid until the same ``name`` is used again.
        """
        count = self.buffer("groups.count", max(n_group, 1), np.int32)
        self.device.clear(count)
        self.launch("group_count", n, key, np.int32(n), count)
        start = self.prefix_sums(f"{name}.start", count, n_group)
        order = self.buffer(f"{name}.order", n, np.int32)
        self.launch("group_fill", n, key, np.int32(n), start, count, order)
        self.launch("group_sort", n_group, start, np.int32(n_group), order)
        return Groups(start, order)

    def half_squares(
        self, z: DeviceArray, begin: DeviceArray | None, segments: int, longest: int, out: DeviceArray
    ) -> None:
        """Write ½ Σ z² of ``z[begin[s]:begin[s + 1]]``, none longer than ``longest``, to ``out`` (segments,).

        Without ``begin`` there is one segment, the first ``longest`` numbers.
        """
        parts = int(np.clip(-(-longest // PART), 1, MAX_PARTS))
        partial = self.buffer("squares.parts", (segments, parts), np.float64)
        self.device.launch(
            "half_squares", (parts, segments), (256,), (z, begin, np.int32(longest), partial, self.counter(), out)
        )
