"""Prefix sums, items grouped by key, and sums of squares: what the restraint operations are made of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .device import DeviceArray
from .exchange import ExchangeOps

CHUNK = 2048
"""Numbers that one block of the prefix sum takes (CHUNK in scan.cu)."""

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

    def prefix_sums(self, name: str, count: DeviceArray, n: int) -> DeviceArray:
        """start (n + 1,) int32 in the buffer ``name``: start[k] is the sum of ``count[:k]``."""
        start = self.buffer(name, n + 1, np.int32)
        if n == 0:
            self.device.clear(start)
            return start
        chunks = -(-n // CHUNK)
        chunk = self.buffer("scan.chunks", chunks, np.int32)
        self.device.launch("scan_chunks", (chunks,), (256,), (count, np.int32(n), chunk))
        self.device.launch("scan_sums", (1,), (256,), (chunk, np.int32(chunks)))
        self.device.launch("scan_apply", (chunks,), (256,), (count, np.int32(n), chunk, start))
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
        self, z: DeviceArray, begin: DeviceArray, segments: int, longest: int, out: DeviceArray | None = None
    ) -> DeviceArray:
        """½ Σ z² (segments,) of ``z[begin[s]:begin[s + 1]]``, none longer than ``longest``, on the device.

        In ``out`` if it is given, else in a buffer that holds it until the next sum.
        """
        parts = int(np.clip(-(-longest // PART), 1, MAX_PARTS))
        partial = self.buffer("squares.parts", (segments, parts), np.float64)
        out = self.buffer("squares.out", segments, np.float64) if out is None else out
        self.device.launch("half_squares", (parts, segments), (256,), (z, begin, partial, self.counter(), out))
        return out
