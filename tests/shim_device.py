"""A device of the cuda backend whose kernels g++ compiled: everything but the GPU itself runs in the tests."""

from __future__ import annotations

import ctypes
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import scipy.fft

from gpurefine.backend.cuda import sources
from gpurefine.backend.cuda.device import check_arguments
from gpurefine.errors import DeviceError

HEADER = Path(__file__).parent / "shim" / "cuda_shim.h"
SANITISE = bool(os.environ.get("GPUREFINE_SHIM_ASAN"))
"""Compile with AddressSanitizer (the interpreter must run with libasan preloaded; see CONTRIBUTING.md)."""


ALIGNED = {"float2": 8, "double2": 16, "float4": 16, "double4": 16, "int2": 8, "int4": 16}
"""Bytes to which the address of a vector type must be aligned on a device."""


def aligned(shape: Any, dtype: Any) -> np.ndarray:
    """Uninitialised memory at a multiple of 256 bytes, as the driver hands it out.

    Under AddressSanitizer it is malloc's alignment, so that what lies behind the end is known to be out of bounds.
    """
    if SANITISE:
        return np.empty(shape, dtype)
    size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
    raw = np.empty(size + 256, np.uint8)
    begin = -raw.ctypes.data % 256
    return raw[begin : begin + size].view(dtype).reshape(shape)


class ShimArray:
    """Stands for device memory: NumPy cannot see into it, so host code that forgets a copy fails."""

    __slots__ = ("__weakref__", "_of", "memory")
    __array_ufunc__ = None

    def __init__(self, memory: np.ndarray, of: ShimArray | None = None) -> None:
        assert memory.flags.c_contiguous
        self.memory, self._of = memory, of

    shape = property(lambda self: self.memory.shape)
    dtype = property(lambda self: self.memory.dtype)
    size = property(lambda self: self.memory.size)
    nbytes = property(lambda self: self.memory.nbytes)

    def __len__(self) -> int:
        return len(self.memory)

    def __getitem__(self, part: slice) -> ShimArray:
        if not isinstance(part, slice):
            raise TypeError("Single elements of a device array cannot be read; download it.")
        return ShimArray(self.memory[part], self)

    def __iter__(self) -> Any:
        raise TypeError("A device array cannot be iterated over; download it.")

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise TypeError("A device array is no NumPy array; download it.")

    def reshape(self, *shape: Any) -> ShimArray:
        return ShimArray(self.memory.reshape(*shape), self)

    def view(self, dtype: Any) -> ShimArray:
        return ShimArray(self.memory.view(dtype), self)


class ShimFft:
    """SciPy's transforms as cuFFT performs them: out of place, not normalised, the inverse destroys its input."""

    def __init__(self, shape: tuple[int, int, int]) -> None:
        self.shape = shape

    def forward(self, real: ShimArray, half: ShimArray) -> None:
        assert real.shape == self.shape and real.dtype == np.float32 and half.dtype == np.complex64
        half.memory[...] = scipy.fft.rfftn(real.memory, workers=1)

    def inverse(self, half: ShimArray, real: ShimArray) -> None:
        assert real.shape == self.shape and real.dtype == np.float32 and half.dtype == np.complex64
        real.memory[...] = scipy.fft.irfftn(half.memory, s=self.shape, norm="forward", workers=1)
        half.memory[...] = np.nan


class ShimDevice:
    """Implements :class:`gpurefine.backend.cuda.device.Device` over NumPy memory.

    ``order`` 0, 1 or 2 is the order in which threads and blocks run.  ``limit`` bytes are all the memory there is.
    ``launches`` counts kernels by name, ``allocations`` counts requests for memory.
    """

    name = "CPU through g++"
    index = 0
    capability = (9, 0)

    def __init__(self, order: int = 0, limit: int = 1 << 34) -> None:
        self.order, self.limit, self.used = order, limit, 0
        self.launches: dict[str, int] = {}
        self.allocations = self.replays = 0
        self._recording: list[Any] | None = None
        self._fft: dict[tuple[int, int, int], ShimFft] = {}

    def empty(self, shape: Any, dtype: Any) -> ShimArray:
        memory = aligned(shape, dtype)
        self.allocations += 1
        self.used += memory.nbytes
        if self.used > self.limit:
            raise DeviceError(f"{self.name}: {memory.nbytes} bytes are needed and {self.limit} bytes are all there is.")
        memory.reshape(-1).view(np.uint8)[:] = 0xFF
        return ShimArray(memory)

    def upload(self, values: np.ndarray, out: ShimArray | None = None) -> ShimArray:
        assert isinstance(values, np.ndarray)
        out = self.empty(values.shape, values.dtype) if out is None else out
        assert out.size == values.size and out.dtype == values.dtype, (out.shape, values.shape, out.dtype, values.dtype)
        out.memory.reshape(-1)[:] = values.reshape(-1)
        return out

    def download(self, array: ShimArray) -> np.ndarray:
        return array.memory.copy()

    def clear(self, array: ShimArray) -> None:
        array.memory.reshape(-1).view(np.uint8)[:] = 0

    def copy(self, source: ShimArray, target: ShimArray) -> None:
        assert source.size == target.size and source.dtype == target.dtype
        target.memory.reshape(-1)[:] = source.memory.reshape(-1)

    def launch(self, kernel: str, grid: Any, block: Any, arguments: Any, shared: int = 0) -> None:
        known = sources.kernels()[kernel]
        check_arguments(known, arguments, block)
        assert all(isinstance(a, ShimArray | np.generic) or a is None for a in arguments)
        for parameter, value in zip(known.parameters, arguments, strict=True):
            if parameter.base in ALIGNED and isinstance(value, ShimArray):
                # vectors are loaded whole: a GPU stops at an address between two of them
                address = value.memory.ctypes.data
                assert address % ALIGNED[parameter.base] == 0, f"{kernel}: {parameter.name} is misaligned"
        if self._recording is not None:
            self._recording.append((kernel, grid, block, arguments, shared))
            return
        self.launches[kernel] = self.launches.get(kernel, 0) + 1
        run_kernel(known, grid, block, arguments, shared, self.order)

    def record(self, queue: Callable[[], None]) -> Callable[[], None]:
        """What was launched is launched again with the arguments of then, as a CUDA graph does it."""
        assert self._recording is None
        recorded: list[Any] = []
        self._recording = recorded
        try:
            queue()
        finally:
            self._recording = None

        def replay() -> None:
            self.replays += 1
            for each in recorded:
                self.launch(*each)

        return replay

    def fft(self, shape: tuple[int, int, int]) -> ShimFft:
        return self._fft.setdefault(tuple(shape), ShimFft(tuple(shape)))

    def synchronise(self) -> None:
        pass

    def memory(self) -> tuple[int, int]:
        return max(self.limit - self.used, 0), self.limit

    def holds(self, value: Any) -> bool:
        return isinstance(value, ShimArray)

    def compile_all(self) -> None:
        pass

    def mark(self) -> float:
        return time.perf_counter()

    def milliseconds(self, begin: float, end: float) -> float:
        return 1e3 * (end - begin)


def compiler() -> str | None:
    """The C++ compiler, or None where there is none."""
    return shutil.which("g++")


def build(text: str, names: list[sources.Kernel]) -> ctypes.CDLL:
    """Shared library of CUDA source ``text``; kept in the temporary folder under a name made from its content."""
    wrappers = []
    for kernel in names:
        # the kernel's arguments stand one after another in a struct that each fiber reads
        fields = " ".join(f"{p.base}{'*' if p.pointer else ''} {p.name};" for p in kernel.parameters)
        pack = "".join(f"*static_cast<decltype(Arguments_{kernel.name}::{p.name})*>(a[{k}]), "
                       for k, p in enumerate(kernel.parameters)).rstrip(", ")
        call = ", ".join(f"s->{p.name}" for p in kernel.parameters)
        wrappers.append(
            f"struct Arguments_{kernel.name} {{ {fields} }};\n"
            f"static void body_{kernel.name}(void* a) {{ auto s = static_cast<Arguments_{kernel.name}*>(a); "
            f"(void)s; {kernel.name}({call}); }}\n"
            f'extern "C" const char* run_{kernel.name}(const unsigned* size, size_t shared, void** a) {{ (void)a; '
            f"Arguments_{kernel.name} s{{{pack}}}; return shim::launch(size, shared, body_{kernel.name}, &s); }}\n"
        )
    whole = '#include "cuda_shim.h"\n' + text + "\n" + "".join(wrappers)
    whole += 'extern "C" void set_order(unsigned o) { shim::machine.order = o; }\n'
    options = ["-std=c++17", "-shared", "-fPIC", "-Wall", "-Wextra", "-Wno-unknown-pragmas", "-Wno-unused-function",
               "-ffp-contract=off", "-fno-gnu-unique", f"-I{HEADER.parent}"]
    options += ["-O1", "-g", "-fsanitize=address"] if SANITISE else ["-O2"]
    recipe = whole + HEADER.read_text(encoding="utf-8") + " ".join(options)
    folder = Path(tempfile.gettempdir()) / f"gpurefine-shim-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    path = folder / f"{hashlib.sha256(recipe.encode()).hexdigest()[:24]}.so"
    if not path.exists():
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            code, made = Path(scratch) / "kernels.cpp", Path(scratch) / "kernels.so"
            code.write_text(whole, encoding="utf-8")
            done = subprocess.run(
                [compiler() or "g++", *options, str(code), "-o", str(made)], capture_output=True, text=True, check=False
            )
            if done.returncode:
                raise RuntimeError(f"g++ refuses the kernels:\n{done.stderr[:4000]}")
            os.replace(made, path)
    return ctypes.CDLL(str(path))


_libraries: dict[str, ctypes.CDLL] = {}


def run_kernel(kernel: sources.Kernel, grid: Any, block: Any, arguments: Any, shared: int, order: int) -> None:
    """Execute one launch to its end."""
    if kernel.file not in _libraries:
        own = [k for k in sources.kernels().values() if k.file == kernel.file]
        _libraries[kernel.file] = build(sources.source(kernel.file), own)
    execute(_libraries[kernel.file], kernel.name, grid, block, arguments, shared, order)


def execute(
    library: ctypes.CDLL, name: str, grid: Any, block: Any, arguments: Any, shared: int = 0, order: int = 0
) -> None:
    """Run kernel ``name`` of a library that :func:`build` made."""
    library.set_order(ctypes.c_uint(order))
    size = (ctypes.c_uint * 6)(*[*grid, 1, 1][:3], *[*block, 1, 1][:3])
    held = []
    for value in arguments:
        if isinstance(value, np.generic):
            held.append(np.array([value]))
        else:
            held.append(np.array([0 if value is None else value.memory.ctypes.data], np.uintp))
    pointers = (ctypes.c_void_p * max(len(held), 1))(*[h.ctypes.data for h in held])
    function = getattr(library, f"run_{name}")
    function.restype = ctypes.c_char_p
    message = function(size, ctypes.c_size_t(shared), pointers)
    if message is not None:
        raise RuntimeError(f"{name}: {message.decode()}")


def kernel_text(text: str) -> list[sources.Kernel]:
    """Kernels in a piece of source that is not one of the files."""
    found = re.findall(r'extern\s+"C"\s+__global__\s+void\s+(\w+)\s*\(([^)]*)\)', text)
    return [
        sources.Kernel(name, "", tuple(sources._parameter(p) for p in arguments.split(",") if p.strip()), 0)
        for name, arguments in found
    ]
