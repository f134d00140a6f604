"""Arrays that stay on the device from one operation to the next."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .device import Device, DeviceArray


class DeviceValues:
    """Numbers on the device that nobody writes to any more; ``np.asarray`` copies them to the host, once.

    No arithmetic: an operation of the backend that is given one leaves its results on the device too.  The memory is
    used again when the last reference, that of a row or a view included, is gone.
    """

    __slots__ = ("__weakref__", "_device", "_host", "_whole", "array")
    __array_ufunc__ = None

    def __init__(self, device: Device, array: DeviceArray, whole: DeviceValues | None = None) -> None:
        """Wrap ``array``; a part of ``whole`` keeps that alive."""
        self._device, self.array, self._whole = device, array, whole
        self._host: NDArray[Any] | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """As of an array."""
        return tuple(self.array.shape)

    @property
    def dtype(self) -> Any:
        """As of an array."""
        return np.dtype(self.array.dtype)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, part: int | None) -> DeviceValues:
        """One row, or with None a first axis of length 1."""
        if part is None:
            return self.part(self.array.reshape((1, *self.shape)))
        row = self.array[part : part + 1]
        return self.part(row.reshape(self.shape[1:]))

    def part(self, array: DeviceArray) -> DeviceValues:
        """``array``, which is some of this memory."""
        return DeviceValues(self._device, array, self if self._whole is None else self._whole)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        if self._host is None:
            self._host = self._device.download(self.array)
            self._host.flags.writeable = False
        if dtype is not None and np.dtype(dtype) != self.dtype:
            return self._host.astype(dtype)
        return self._host.copy() if copy else self._host
