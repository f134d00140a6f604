"""Results that come down together: each is posted where kernels write it, and the first that is read fetches all."""

from __future__ import annotations

import weakref
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .base import DeviceOps, roomy
from .device import Device, DeviceArray
from .values import DeviceValues

LEAST_ROOM = 256
"""Numbers that there is room for at first."""


class Posted(DeviceValues):
    """float64 that kernels write to or add to until it is read; ``np.asarray`` then fetches all that is posted."""

    __slots__ = ("_ops",)

    def __init__(self, ops: PostingOps, device: Device, array: DeviceArray) -> None:
        """Of :meth:`PostingOps.post`."""
        super().__init__(device, array)
        self._ops = ops

    def deliver(self, values: NDArray[np.float64]) -> None:
        """Take what came down; the memory on the device is somebody else's from now on."""
        self._host, self.array = values, None
        values.flags.writeable = False

    @property
    def shape(self) -> tuple[int, ...]:
        """As of an array."""
        return tuple((self.array if self._host is None else self._host).shape)

    @property
    def dtype(self) -> Any:
        """As of an array."""
        return np.dtype(np.float64)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        if self._host is None:
            self._ops.fetch_posted()
        return super().__array__(dtype, copy)

    def first(self, n: int) -> PostedPart:
        """The first ``n`` of these numbers."""
        return PostedPart(self, n)

    def __float__(self) -> float:
        return float(np.asarray(self).item())


class PostedPart:
    """The first ``n`` numbers of what is posted."""

    __slots__ = ("_n", "_whole")

    def __init__(self, whole: Posted, n: int) -> None:
        self._whole, self._n = whole, n

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return self._whole.__array__(dtype, copy)[: self._n]


class PostingOps(DeviceOps):
    """What is posted lies side by side in one buffer, which is copied as a whole."""

    def __init__(self, device: Device, fast_atomics: bool = False) -> None:
        """See :class:`.base.DeviceOps`."""
        super().__init__(device, fast_atomics)
        self._posted: list[list[tuple[weakref.ref[Posted], int, int]]] = []
        self._total = self._wanted = 0

    def post(self, shape: tuple[int, ...] | int) -> Posted:
        """Zeros of ``shape`` on the device, for results that the host will read."""
        shape = (shape,) if isinstance(shape, int) else shape
        size = int(np.prod(shape, dtype=np.int64))
        begin = self._posted[-1][-1][2] if self._posted else 0
        self._total += size
        self._wanted = max(self._wanted, self._total)
        if not self._posted or begin + size > self._room(len(self._posted) - 1).size:
            # a buffer more, once: next time the first one takes all
            self._posted.append([])
            begin = 0
            needed = max(LEAST_ROOM, roomy(self._wanted if len(self._posted) == 1 else size))
            self.buffer(f"posted.{len(self._posted) - 1}", needed, np.float64)
        array = self._room(len(self._posted) - 1)[begin : begin + size].reshape(shape)
        if size:
            self.device.clear(array)
        made = Posted(self, self.device, array)
        self._posted[-1].append((weakref.ref(made), begin, begin + size))
        return made

    def _room(self, number: int) -> DeviceArray:
        return self._buffers[f"posted.{number}", np.dtype(np.float64).str]

    def fetch_posted(self) -> None:
        """Copy all that is posted to the host, if anybody can still read it."""
        posted, self._posted, self._total = self._posted, [], 0
        for number, entries in enumerate(posted):
            waiting = [(made(), begin, end) for made, begin, end in entries]
            used = max((end for made, _, end in waiting if made is not None), default=0)
            if used:
                host = self.device.download(self._room(number)[:used])
                for made, begin, end in waiting:
                    if made is not None:
                        made.deliver(host[begin:end].reshape(made.shape))
