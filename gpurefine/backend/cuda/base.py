"""What all operations of the cuda backend share: the device, buffers that are reused, copies of what is fixed."""

from __future__ import annotations

import weakref
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

from .device import Argument, Device, DeviceArray
from .values import DeviceValues

T = TypeVar("T")

KEPT = 64
"""How many plans keep their copy on the device; a refinement has about ten."""

REMEMBERED = 8
"""How many arrays of one name are known to be on the device: working, free and thinned reflections, twice over."""

MODELS = 4
"""How many models are known to be on the device: where a step begins, trials, and with other hydrogens."""

UNUSED = 1000
"""Memory of :meth:`DeviceOps.lend` that has not been asked for in so many calls is given back."""

BLOCK = 128
"""Threads of a block where nothing speaks for another number."""


def roomy(n: int) -> int:
    """``n`` and up to a quarter more: one of eight numbers for each doubling, so that lengths of lists that change a
    little share memory."""
    step = 1 << max((n + n // 8).bit_length() - 4, 0)
    return -(-(n + n // 8) // step) * step


def _nobody() -> None:
    return None


class _Slot:
    """Memory that is lent: to whom, and when it was last."""

    __slots__ = ("array", "last", "user")

    def __init__(self, array: DeviceArray) -> None:
        self.array, self.last = array, 0
        self.user: Callable[[], DeviceValues | None] = _nobody


class DeviceOps:
    """Base of the operations.

    ``buffer`` and ``send`` reuse memory under a name, so that after the first call nothing is allocated; ``kept``
    remembers what was made for an object (a plan) that does not change.
    """

    device: Device
    fast_atomics: bool = False
    _turn: int = 0

    def __init__(self, device: Device, fast_atomics: bool = False) -> None:
        """Work on ``device``; ``fast_atomics`` allows sums whose order, and so last digits, change."""
        self.device = device
        self.fast_atomics = fast_atomics
        self._buffers: dict[tuple[str, str], DeviceArray] = {}
        self._lent: dict[tuple[int, str], list[_Slot]] = {}
        self._lends = 0
        self._unchanged: dict[str, OrderedDict[int, tuple[Any, DeviceArray, int]]] = {}
        self._model: dict[int, tuple[NDArray[Any], DeviceArray]] = {}
        self._models: list[list[int]] = [[] for _ in range(MODELS)]
        self._kept: OrderedDict[tuple[str, tuple[int, ...]], tuple[tuple[object, ...], Any]] = OrderedDict()

    def kept(self, use: str, build: Callable[[], T], *owners: object) -> T:
        """What ``build`` returned for these ``owners``, the same objects, at the first call for this ``use``.

        The owners are held, so that their identity cannot pass to others; the least recently used are let go.
        """
        key = (use, tuple(map(id, owners)))
        found = self._kept.get(key)
        if found is not None:
            self._kept.move_to_end(key)
            return found[1]  # type: ignore[no-any-return]
        made = build()
        self._kept[key] = (owners, made)
        if len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return made

    def buffer(self, name: str, shape: tuple[int, ...] | int, dtype: DTypeLike) -> DeviceArray:
        """Memory of ``shape`` under ``name``, with any content; valid until the name is asked for again."""
        shape = (shape,) if isinstance(shape, int) else tuple(int(n) for n in shape)
        size = int(np.prod(shape, dtype=np.int64))
        key = (name, np.dtype(dtype).str)
        flat = self._buffers.get(key)
        if flat is None or flat.size < size:
            # what grew once, such as a list of contacts, will grow again
            room = max(size, 1) if flat is None else roomy(size)
            self._buffers.pop(key, None)
            flat = None  # give back before asking for more
            flat = self._buffers[key] = self.device.empty(room, dtype)
        return flat[:size].reshape(shape)

    def lend(self, shape: tuple[int, ...] | int, dtype: DTypeLike) -> DeviceValues:
        """Memory of ``shape`` with any content for as long as what is returned, or a part of it, is referred to."""
        shape = (shape,) if isinstance(shape, int) else tuple(int(n) for n in shape)
        size = int(np.prod(shape, dtype=np.int64))
        slots = self._lent.setdefault((size, np.dtype(dtype).str), [])
        self._lends += 1
        slot = next((slot for slot in slots if slot.user() is None), None)
        if slot is None:
            for others in self._lent.values():
                others[:] = [o for o in others if o.user() is not None or o.last > self._lends - UNUSED]
            slot = _Slot(self.device.empty(max(size, 1), dtype))
            slots.append(slot)
        made = DeviceValues(self.device, slot.array[:size].reshape(shape))
        slot.user, slot.last = weakref.ref(made), self._lends
        return made

    def send(self, name: str, values: Any, dtype: DTypeLike) -> DeviceArray:
        """``values`` on the device as ``dtype``, in the buffer ``name``; device arrays of that type pass through."""
        if isinstance(values, DeviceValues):
            values = values.array
        if self.device.holds(values):
            if np.dtype(values.dtype) != np.dtype(dtype):
                raise TypeError(f"{name} is {values.dtype} on the device, not {np.dtype(dtype)}.")
            return values
        there = self.known(values)
        if there is not None and np.dtype(there.dtype) == np.dtype(dtype):
            return there
        host = np.ascontiguousarray(values, dtype)
        return self.device.upload(host, self.buffer(name, host.shape, dtype))

    def take_up(self, arrays: Sequence[NDArray[Any]]) -> None:
        """See :class:`gpurefine.backend.plans.ModelHolder`; the last :data:`MODELS` are held."""
        fit = [a for a in arrays if a.dtype == np.float64 and a.flags.c_contiguous and a.size]
        if all(self.known(a) is not None for a in fit):
            return
        gone = self._models.pop(0)
        for key in gone:
            if not any(key in others for others in self._models):
                del self._model[key]
        self._models.append([id(a) for a in fit])
        self._turn = (self._turn + 1) % MODELS
        whole = np.concatenate([a.reshape(-1) for a in fit])
        there, begin = self.device.upload(whole, self.buffer(f"model.{self._turn}", whole.size, np.float64)), 0
        for array in fit:
            self._model[id(array)] = array, there[begin : begin + array.size].reshape(array.shape)
            begin += array.size

    def known(self, values: Any) -> DeviceArray | None:
        """Where ``values`` lies on the device, if it is an array that was taken up."""
        found = self._model.get(id(values))
        return found[1] if found is not None and found[0] is values else None

    def unchanged(self, name: str, values: Any, dtype: DTypeLike) -> DeviceArray:
        """:meth:`send` for arrays that are not written to any more: the same array object is not copied again.

        The last :data:`REMEMBERED` of each ``name`` are held.
        """
        if isinstance(values, DeviceValues) or self.device.holds(values):
            return self.send(name, values, dtype)
        known = self._unchanged.setdefault(name, OrderedDict())
        found = known.get(id(values))
        if found is not None:
            known.move_to_end(id(values))
            return found[1]
        slot = len(known) if len(known) < REMEMBERED else known.popitem(last=False)[1][2]
        copy = self.send(f"{name}#{slot}", values, dtype)
        known[id(values)] = (values, copy, slot)
        return copy

    def fixed(self, values: NDArray[Any], dtype: DTypeLike) -> DeviceArray:
        """A copy on the device of its own, for what a plan keeps."""
        return self.device.upload(np.ascontiguousarray(values, dtype))

    def launch(self, kernel: str, n: int, *arguments: Argument, block: int = BLOCK, shared: int = 0) -> None:
        """One-dimensional launch of at least ``n`` threads; nothing for n = 0."""
        if n > 0:
            self.device.launch(kernel, (-(-n // block),), (block,), arguments, shared)

    def launch_warps(self, kernel: str, n: int, *arguments: Argument, block: int = BLOCK) -> None:
        """One-dimensional launch of at least ``n`` warps."""
        self.launch(kernel, 32 * n, *arguments, block=block)

    def sum(self, values: DeviceArray, n: int) -> float:
        """Sum of the first ``n`` float64 of ``values`` in a fixed order, on the host."""
        if n == 0:
            return 0.0
        blocks = min(-(-n // 256), 256)
        parts, out = self.buffer("sum.parts", blocks, np.float64), self.watch()
        self.device.launch("partial_sums", (blocks,), (256,), (values, parts, np.int32(n)))
        self.device.launch("column_sums", (1,), (256,), (parts, out[:1], np.int32(blocks), np.int32(1)))
        total, watched = self.device.download(out)
        self.watched(float(watched))
        return float(total)

    def watch(self) -> DeviceArray:
        """Two float64: a sum, and a number that kernels leave for the host, which sees it with the next sum."""
        made = self._buffers.get(("watch", np.dtype(np.float64).str))
        if made is None:
            made = self.buffer("watch", 2, np.float64)
            self.device.clear(made)
        return made

    def watched(self, value: float) -> None:
        """What to do about the number that kernels have left; 0 at first."""
