"""Where results go: arrays of the host or of the device, added to in place."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numpy.typing import DTypeLike

from ..blocks import BlockPattern
from .base import roomy
from .device import Argument, Device, DeviceArray
from .lists import DevicePattern, MatrixRows
from .posted import Posted, PostingOps
from .values import DeviceValues

T = TypeVar("T")

EACH, PARTS = 2048, 32
"""Items for which :meth:`ExchangeOps.posted_sums` takes one block more, and blocks at most; the result does not depend
on how many threads a device has."""


class ExchangeOps(PostingOps):
    """Operations whose arrays may be the caller's on either side: device arrays are worked on where they are."""

    def __init__(self, device: Device, fast_atomics: bool = False) -> None:
        """See :class:`.base.DeviceOps`."""
        super().__init__(device, fast_atomics)
        self._latest: dict[str, tuple[tuple[object, ...], Any]] = {}
        self._counter: DeviceArray | None = None
        self._blocks: list[tuple[weakref.ref[DeviceArray], DeviceValues]] = []

    def latest(self, use: str, build: Callable[[], T], *owners: object) -> T:
        """What ``build`` returned for these ``owners``; unlike :meth:`kept` only the last ones of a ``use`` count.

        For lists that change from cycle to cycle: ``build`` may fill buffers that stay with this use.
        """
        found = self._latest.get(use)
        if found is not None and len(found[0]) == len(owners) and all(map(_is, found[0], owners)):
            return found[1]  # type: ignore[no-any-return]
        self._latest.pop(use, None)
        made = build()
        self._latest[use] = (owners, made)
        return made

    def target(self, name: str, out: Any) -> DeviceArray:
        """Where a kernel adds what goes to float64 ``out``: itself, or zeros in the buffer ``name``."""
        if isinstance(out, DeviceValues):
            if out.array is None:
                raise ValueError(f"{name} was read before all of it was added.")
            return out.array
        if self.device.holds(out):
            return out
        buffer = self.buffer(name, out.shape, np.float64)
        if out.size:
            self.device.clear(buffer)
        return buffer

    def add_back(self, out: Any, target: DeviceArray) -> None:
        """Add to ``out`` what :meth:`target` collected for it, if it is the host's."""
        if not isinstance(out, DeviceValues) and not self.device.holds(out) and out.size:
            out += self.device.download(target)

    def room(self, shape: tuple[int, ...] | int, dtype: DTypeLike) -> DeviceValues:
        """Memory of ``shape`` with any content, lent for as long as it is referred to.

        Lists whose lengths change a little find the memory of former ones.
        """
        shape = (shape,) if isinstance(shape, int) else shape
        whole = self.lend((roomy(max(shape[0], 1)), *shape[1:]), dtype)
        return whole.part(whole.array[: shape[0]])

    def new_blocks(self, n: int, side: int) -> Any:
        """Zeros (n, side, side) on the device, in memory that is lent for as long as they are referred to."""
        made = self.part_of(self.room((n, side, side), np.float64), n)
        if made.size:
            self.device.clear(made)
        return made

    def part_of(self, lent: DeviceValues, n: int) -> DeviceArray:
        """The first ``n`` of what was lent as an array that keeps all of it from being lent again."""
        self._blocks = [(made, whole) for made, whole in self._blocks if made() is not None]
        made = lent.array[:n]
        self._blocks.append((weakref.ref(made), lent))
        return made

    def new_gradient(self, shape: tuple[int, ...]) -> Any:
        """Zeros on the device that come down with all else that is posted."""
        return self.post(shape)

    def matrix_rows(self, name: str, pattern: BlockPattern) -> MatrixRows:
        """The rows of ``pattern`` on the device; those of the host are kept under ``name`` until others are."""
        p = pattern
        if isinstance(p, DevicePattern):
            return p.rows
        return self.latest(name, lambda: self.sent_rows(name, p.row_start, p.column, p.slot, p.transposed), p)

    def sent_rows(self, name: str, row_start: Any, column: Any, slot: Any, transposed: Any) -> MatrixRows:
        """Rows of a matrix in the buffers ``name``."""
        entry = 2 * slot.astype(np.int32) + transposed
        return MatrixRows(
            self.send(f"{name}.row_start", row_start, np.int32), self.send(f"{name}.column", column, np.int32),
            self.send(f"{name}.entry", entry, np.int32),
        )

    def host_blocks(self, blocks: Any) -> Any:
        """The blocks copied from the device."""
        if not self.device.holds(blocks):
            return blocks
        return self.device.download(blocks) if blocks.size else np.zeros(blocks.shape)

    def posted_sums(self, kernel: str, rows: int, columns: int, items: int, *arguments: Argument) -> Posted:
        """(rows, columns) sums over ``items``, of a kernel that ends by ``row_totals`` of kernels/sums.cuh."""
        parts = int(np.clip(-(-items // EACH), 1, PARTS))
        partial, out = self.buffer("sums.parts", (rows, columns, parts), np.float64), self.post((rows, columns))
        self.device.launch(kernel, (parts, rows), (256,), (*arguments, partial, self.counter(), out.array))
        return out

    def counter(self) -> DeviceArray:
        """The counter by which blocks find out which of them is the last; every kernel leaves it at 0."""
        if self._counter is None:
            self._counter = self.device.empty(1, np.uint32)
            self.device.clear(self._counter)
        return self._counter


def _is(a: object, b: object) -> bool:
    return a is b
