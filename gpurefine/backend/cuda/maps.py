"""Maps and structure factors on the device: the symmetry sum and its adjoint."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..plans import FourierPlan
from .base import DeviceOps
from .device import DeviceArray
from .values import DeviceValues


class DeviceMap:
    """A map that stays on the device, valid until the next one is made (all maps share one buffer).

    ``np.asarray`` copies it to the host.
    """

    def __init__(self, owner: MapOps, array: DeviceArray, serial: int) -> None:
        """Wrap ``array``, number ``serial`` of the maps of ``owner``."""
        self._owner, self._array, self._serial = owner, array, serial

    @property
    def shape(self) -> tuple[int, ...]:
        """Grid points along a, b, c."""
        return tuple(self._array.shape)

    @property
    def array(self) -> DeviceArray:
        """The device array.

        Raises:
            RuntimeError: a later map has taken its place.
        """
        if self._serial != self._owner.serial:
            raise RuntimeError("This map has been overwritten by a later one.")
        return self._array

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        host = self._owner.device.download(self.array)
        return host if dtype is None else host.astype(dtype)


@dataclass(frozen=True, slots=True, eq=False)
class _Symmetry:
    """A Fourier plan on the device."""

    hkl: DeviceArray
    rotations: DeviceArray
    translations: DeviceArray
    factor: DeviceArray
    n: int
    n_op: int


class MapOps(DeviceOps):
    """Maps, their transforms and the symmetry sum."""

    serial = 0

    def new_map(self, shape: tuple[int, int, int]) -> DeviceArray:
        """The map buffer (float32, any content); every earlier :class:`DeviceMap` becomes invalid."""
        self.serial += 1
        return self.buffer("map", shape, np.float32)

    def finished(self, array: DeviceArray) -> DeviceMap:
        """``array``, from :meth:`new_map`, as the current map."""
        return DeviceMap(self, array, self.serial)

    def map_array(self, dmap: Any) -> DeviceArray:
        """Device array float32 of a map of either side."""
        if isinstance(dmap, DeviceMap):
            return dmap.array
        host = np.ascontiguousarray(dmap, np.float32)
        return self.device.upload(host, self.new_map(host.shape))

    def map_mean(self, density: Any) -> float:
        """See :class:`gpurefine.backend.ops.MaskOps`."""
        values = self.map_array(density)
        n = int(values.size)
        blocks = min(-(-n // 256), 256)
        parts, out = self.buffer("sum.parts", blocks, np.float64), self.buffer("sum.out", 1, np.float64)
        self.device.launch("map_sums", (blocks,), (256,), (values, parts, np.int64(n)))
        self.device.launch("column_sums", (1,), (256,), (parts, out, np.int32(blocks), np.int32(1)))
        return float(self.device.download(out)[0]) / n

    def _symmetry(self, plan: FourierPlan) -> _Symmetry:
        return self.kept("symmetry", lambda: _Symmetry(
            self.fixed(plan.hkl, np.int32), self.fixed(plan.rotations, np.int32),
            self.fixed(plan.translations24, np.int32), self.fixed(plan.factor, np.float64),
            len(plan.hkl), len(plan.rotations),
        ), plan)

    def _half(self, shape: tuple[int, int, int]) -> DeviceArray:
        nu, nv, nw = shape
        return self.buffer("half", (nu, nv, nw // 2 + 1), np.complex64)

    def map_to_hkl(self, plan: FourierPlan, density: Any) -> DeviceValues:
        """See :class:`gpurefine.backend.ops.DensityOps`; the result stays on the device."""
        own, half = self._symmetry(plan), self._half(plan.shape)
        self.device.fft(plan.shape).forward(self.map_array(density), half)
        out = self.lend(own.n, np.complex128)
        self.launch(
            "extract", own.n, half, *map(np.int32, plan.shape), own.hkl, np.int32(own.n), own.rotations,
            own.translations, np.int32(own.n_op), own.factor, out.array,
        )
        return out

    def hkl_to_map(self, plan: FourierPlan, gradient: Any) -> DeviceMap:
        """See :class:`gpurefine.backend.ops.DensityOps`."""
        own, half = self._symmetry(plan), self._half(plan.shape)
        self.device.clear(half)
        self.launch(
            "insert", own.n, half, *map(np.int32, plan.shape), own.hkl, np.int32(own.n), own.rotations,
            own.translations, np.int32(own.n_op), own.factor, self.send("hkl", gradient, np.complex128),
        )
        out = self.new_map(plan.shape)
        self.device.fft(plan.shape).inverse(half, out)
        return self.finished(out)
