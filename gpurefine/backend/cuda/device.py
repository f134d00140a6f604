"""What the cuda backend asks of a device.

:mod:`.cupy_device` answers with a GPU; the tests answer with the CPU, so that all host code runs without a GPU.
A device array is opaque to the backend but for ``shape``, ``dtype``, ``size``, ``nbytes``, contiguous slices along the
first axis, ``reshape`` and ``view(dtype)``, and that it can be referred to weakly; views keep what they are of alive.
Arithmetic on it is a kernel.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import DTypeLike, NDArray

from . import sources

DeviceArray = Any
"""Contiguous array on the device."""

Argument = Any
"""Of a kernel: a device array, a NumPy scalar of exactly the kernel's type, or None (a null pointer)."""

TYPES: dict[str, type[np.generic]] = {
    "float": np.float32, "double": np.float64, "int": np.int32, "i64": np.int64, "long long": np.int64,
    "unsigned": np.uint32, "u64": np.uint64, "unsigned long long": np.uint64, "signed char": np.int8,
    "unsigned char": np.uint8, "bool": np.bool_, "float2": np.complex64, "double2": np.complex128,
    "float4": np.float32,
}
"""NumPy type of every type that kernels' arguments have."""


class FftPlan(Protocol):
    """Transforms between a real map (nu, nv, nw) float32 and its half spectrum (nu, nv, nw/2 + 1) complex64."""

    def forward(self, real: DeviceArray, half: DeviceArray) -> None:
        """half = Σ_r real exp(−2πi h·r), no normalisation."""
        ...

    def inverse(self, half: DeviceArray, real: DeviceArray) -> None:
        """real = Σ_h half exp(+2πi h·r) over both halves, no normalisation; ``half`` is destroyed."""
        ...


class Device(Protocol):
    """Memory, launches and transforms of one device."""

    name: str
    index: int
    capability: tuple[int, int]

    def empty(self, shape: tuple[int, ...] | int, dtype: DTypeLike) -> DeviceArray:
        """Memory with any content.

        Raises:
            DeviceError: there is not enough.
        """
        ...

    def upload(self, values: NDArray[Any], out: DeviceArray | None = None) -> DeviceArray:
        """Copy to the device, into ``out`` if it is given (same size and type)."""
        ...

    def download(self, array: DeviceArray) -> NDArray[Any]:
        """Copy to the host, when all work before it is done."""
        ...

    def clear(self, array: DeviceArray) -> None:
        """Set all bytes to 0."""
        ...

    def copy(self, source: DeviceArray, target: DeviceArray) -> None:
        """Copy on the device; same size and type."""
        ...

    def launch(
        self, kernel: str, grid: tuple[int, ...], block: tuple[int, ...], arguments: tuple[Argument, ...],
        shared: int = 0,
    ) -> None:
        """Queue a kernel of :func:`.sources.kernels`; ``shared`` bytes of dynamic shared memory."""
        ...

    def fft(self, shape: tuple[int, int, int]) -> FftPlan:
        """Plan of the transforms of maps of ``shape``; made once for each shape."""
        ...

    def synchronise(self) -> None:
        """Wait until everything queued is done."""
        ...

    def memory(self) -> tuple[int, int]:
        """Bytes that can still be had, and bytes in total."""
        ...

    def holds(self, value: Any) -> bool:
        """Whether ``value`` is an array of this device."""
        ...

    def record(self, queue: Callable[[], None]) -> Callable[[], None] | None:
        """What queues once more, in one go, all that ``queue`` launches, with the same arguments.

        None where that cannot be had.  ``queue`` may only launch kernels that have been launched before; it is called,
        but nothing is done.
        """
        ...

    def mark(self) -> Any:
        """A mark in the queue of work, for :meth:`milliseconds`."""
        ...

    def milliseconds(self, begin: Any, end: Any) -> float:
        """Time that the device took from one mark to another; waits for the second."""
        ...

    def compile_all(self) -> None:
        """Have every kernel ready."""
        ...


def check_arguments(kernel: sources.Kernel, arguments: tuple[Argument, ...], block: tuple[int, ...]) -> None:
    """That number and types of the arguments are the kernel's.

    A wrong type would be read as other bytes on a device without any message.

    Raises:
        TypeError: they are not.
    """
    if len(arguments) != len(kernel.parameters):
        raise TypeError(f"{kernel.name} takes {len(kernel.parameters)} arguments, not {len(arguments)}.")
    if kernel.max_threads and int(np.prod(block)) > kernel.max_threads:
        raise TypeError(f"{kernel.name} takes at most {kernel.max_threads} threads a block, not {block}.")
    for parameter, value in zip(kernel.parameters, arguments, strict=True):
        where = f"{kernel.name}: argument {parameter.name}"
        if parameter.pointer:
            if value is None:
                continue
            if isinstance(value, np.generic) or not hasattr(value, "shape"):
                raise TypeError(f"{where} must be a device array, not {type(value).__name__}.")
        elif not isinstance(value, np.generic):
            raise TypeError(f"{where} must be a NumPy scalar, not {type(value).__name__}.")
        if parameter.base == "void":
            continue
        wanted = np.dtype(TYPES[parameter.base])
        if np.dtype(value.dtype) != wanted:
            raise TypeError(f"{where} must be {wanted}, not {value.dtype}.")
