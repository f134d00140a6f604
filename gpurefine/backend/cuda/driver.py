"""Which GPUs there are and whether they can be used, asked of the NVIDIA driver itself: quick, and without CuPy."""

from __future__ import annotations

import ctypes
import importlib.util
import sys
from dataclasses import dataclass
from typing import Any

from ...errors import DeviceError

LEAST_CAPABILITY = (7, 5)
"""Oldest architecture that current CUDA compiles for."""

_CAPABILITY_MAJOR, _CAPABILITY_MINOR = 75, 76
_NO_DEVICE = 100


@dataclass(frozen=True, slots=True)
class Card:
    """One GPU: its number, name, compute capability and memory in bytes."""

    index: int
    name: str
    capability: tuple[int, int]
    memory: int

    def __str__(self) -> str:
        major, minor = self.capability
        return f"cuda:{self.index}: {self.name}, compute capability {major}.{minor}, {self.memory / 2**30:.0f} GiB"


def _library() -> Any | None:
    """The driver's library, or None."""
    name = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
    try:
        return ctypes.CDLL(name)
    except OSError:
        return None


def driver_version(library: Any) -> tuple[int, int]:
    """Newest CUDA version that the driver supports."""
    value = ctypes.c_int()
    if library.cuDriverGetVersion(ctypes.byref(value)) != 0:
        return 0, 0
    return value.value // 1000, value.value % 1000 // 10


def cards() -> tuple[Card, ...]:
    """All GPUs.

    Raises:
        DeviceError: there is no driver, it does not work, or it finds none.
    """
    library = _library()
    if library is None:
        raise DeviceError("No NVIDIA driver is installed here. Use --device cpu.")
    result = library.cuInit(0)
    count = ctypes.c_int()
    if result == 0:
        result = library.cuDeviceGetCount(ctypes.byref(count))
    if result == _NO_DEVICE or (result == 0 and count.value == 0):
        raise DeviceError(
            "The NVIDIA driver finds no GPU here (in a queue, ask for one; CUDA_VISIBLE_DEVICES may hide it). "
            "Use --device cpu."
        )
    if result != 0:
        raise DeviceError(
            f"The NVIDIA driver does not start (error {result}; nvidia-smi may say more). Use --device cpu."
        )
    return tuple(_card(library, index) for index in range(count.value))


def _card(library: Any, index: int) -> Card:
    device, name = ctypes.c_int(), ctypes.create_string_buffer(256)
    memory, major, minor = ctypes.c_size_t(), ctypes.c_int(), ctypes.c_int()
    library.cuDeviceGet(ctypes.byref(device), index)
    library.cuDeviceGetName(name, 256, device)
    library.cuDeviceTotalMem_v2(ctypes.byref(memory), device)
    library.cuDeviceGetAttribute(ctypes.byref(major), _CAPABILITY_MAJOR, device)
    library.cuDeviceGetAttribute(ctypes.byref(minor), _CAPABILITY_MINOR, device)
    return Card(index, name.value.decode(errors="replace"), (major.value, minor.value), memory.value)


def usable_card(index: int) -> Card:
    """GPU number ``index``, if gpurefine can use it.

    Raises:
        DeviceError: the one thing that is in the way, and what to do about it.
    """
    found = cards()
    if index >= len(found):
        have = "only cuda:0" if len(found) == 1 else f"cuda:0 to cuda:{len(found) - 1}"
        raise DeviceError(f"There is no device cuda:{index}; this machine has {have}.")
    card = found[index]
    if card.capability < LEAST_CAPABILITY:
        major, minor = card.capability
        raise DeviceError(
            f"cuda:{index} ({card.name}) has compute capability {major}.{minor}; gpurefine needs 7.5 (Turing) or "
            "newer. Use another GPU or --device cpu."
        )
    if importlib.util.find_spec("cupy") is None:
        extra = "cuda13" if driver_version(_library())[0] >= 13 else "cuda12"
        raise DeviceError(f"CuPy is not installed: pip install 'gpurefine[{extra}]', or use --device cpu.")
    return card

