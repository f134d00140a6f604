"""A GPU through CuPy."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ...errors import DeviceError
from . import sources
from .device import Argument, DeviceArray
from .driver import Card, _library, driver_version, usable_card

_NULL = np.uintp(0)


class CupyFft:
    """cuFFT's plans of one shape, with their work areas."""

    def __init__(self, cupy: Any, shape: tuple[int, int, int]) -> None:
        """Plan both directions."""
        from cupyx.scipy.fft import get_fft_plan

        nu, nv, nw = shape
        real, half = cupy.empty(shape, np.float32), cupy.empty((nu, nv, nw // 2 + 1), np.complex64)
        self._forward = get_fft_plan(real, axes=(0, 1, 2), value_type="R2C")
        self._inverse = get_fft_plan(half, shape=shape, axes=(0, 1, 2), value_type="C2R")

    def forward(self, real: DeviceArray, half: DeviceArray) -> None:
        """See :class:`.device.FftPlan`."""
        self._forward.fft(real, half, -1)

    def inverse(self, half: DeviceArray, real: DeviceArray) -> None:
        """See :class:`.device.FftPlan`."""
        self._inverse.fft(half, real, 1)


def size(count: float) -> str:
    """A number of bytes for people."""
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.0f} MiB"


class CupyDevice:
    """Implements :class:`.device.Device`."""

    def __init__(self, card: Card) -> None:
        """Open ``card``.

        Raises:
            DeviceError: CuPy does not work with this driver.
        """
        self.name, self.index, self.capability = card.name, card.index, card.capability
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # CuPy warns of folders that it does not need here
                import cupy
            self._runtime_fits(cupy)
            cupy.cuda.Device(card.index).use()
            cupy.empty(1)
        except ImportError as error:
            raise DeviceError(
                f"CuPy cannot be imported ({str(error).splitlines()[0]}): reinstall it by pip install "
                "'gpurefine[cuda12]' or 'gpurefine[cuda13]', or use --device cpu."
            ) from error
        except cupy.cuda.runtime.CUDARuntimeError as error:
            raise DeviceError(f"cuda:{card.index} ({card.name}) does not start: {error}. Use --device cpu.") from error
        self._cupy = cupy
        self._functions: dict[str, Any] = {}
        self._modules: dict[str, Any] = {}
        self._plans: dict[tuple[int, int, int], CupyFft] = {}

    @staticmethod
    def _runtime_fits(cupy: Any) -> None:
        built = cupy.cuda.runtime.runtimeGetVersion() // 1000
        major, minor = driver_version(_library())
        if major < built:
            raise DeviceError(
                f"The NVIDIA driver supports CUDA {major}.{minor} and the CuPy here is built for CUDA {built}: "
                "update the driver, or pip install 'gpurefine[cuda12]', which older drivers can do, or use "
                "--device cpu."
            )

    def _too_large(self, wanted: int) -> DeviceError:
        free, total = self.memory()
        return DeviceError(
            f"cuda:{self.index} ({self.name}) has too little memory: {size(wanted)} more are needed, {size(free)} of "
            f"{size(total)} are free. Stop what else runs on it, lower the resolution (--d-min), or use a larger "
            "GPU or --device cpu."
        )

    def empty(self, shape: tuple[int, ...] | int, dtype: DTypeLike) -> DeviceArray:
        """See :class:`.device.Device`."""
        try:
            return self._cupy.empty(shape, dtype)
        except self._cupy.cuda.memory.OutOfMemoryError as error:
            wanted = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
            raise self._too_large(wanted) from error

    def upload(self, values: NDArray[Any], out: DeviceArray | None = None) -> DeviceArray:
        """See :class:`.device.Device`."""
        out = self.empty(values.shape, values.dtype) if out is None else out
        if values.size:
            out.reshape(values.shape).set(np.ascontiguousarray(values))
        return out

    def download(self, array: DeviceArray) -> NDArray[Any]:
        """See :class:`.device.Device`."""
        return np.asarray(array.get())

    def clear(self, array: DeviceArray) -> None:
        """See :class:`.device.Device`."""
        if array.nbytes:
            array.data.memset_async(0, array.nbytes)

    def copy(self, source: DeviceArray, target: DeviceArray) -> None:
        """See :class:`.device.Device`."""
        if source.nbytes:
            target.data.copy_from_device_async(source.data, source.nbytes)

    def launch(
        self, kernel: str, grid: tuple[int, ...], block: tuple[int, ...], arguments: tuple[Argument, ...],
        shared: int = 0,
    ) -> None:
        """See :class:`.device.Device`."""
        function = self._functions.get(kernel)
        if function is None:
            function = self._functions[kernel] = self._load(kernel)
        function(grid, block, tuple(_NULL if value is None else value for value in arguments), shared_mem=shared)

    def _load(self, kernel: str) -> Any:
        file = sources.kernels()[kernel].file
        module = self._modules.get(file)
        if module is None:
            path = sources.cubin_path(file, self._architecture())
            module = self._modules[file] = self._cupy.RawModule(path=str(path))
        return module.get_function(kernel)

    def _architecture(self) -> int:
        """Number of the newest architecture that the compiler knows and this GPU executes."""
        major, minor = self.capability
        own = 10 * major + minor
        known = [n for n in self._cupy.cuda.nvrtc.getSupportedArchs() if n // 10 == major and n <= own]
        if not known:
            raise DeviceError(
                f"The CUDA compiler here does not know {self.name} (compute capability {major}.{minor}): update it by "
                "pip install --upgrade 'gpurefine[cuda13]', or use --device cpu."
            )
        return int(max(known))

    def compile_all(self) -> None:
        """Compile every file of kernels that is not in the cache yet."""
        for file in sources.files():
            sources.cubin_path(file, self._architecture())

    def fft(self, shape: tuple[int, int, int]) -> CupyFft:
        """See :class:`.device.Device`."""
        found = self._plans.get(shape)
        if found is None:
            try:
                found = self._plans[shape] = CupyFft(self._cupy, shape)
            except (self._cupy.cuda.memory.OutOfMemoryError, self._cupy.cuda.cufft.CuFFTError) as error:
                raise self._too_large(16 * int(np.prod(shape))) from error
            except ImportError as error:
                raise DeviceError(
                    "The library cuFFT is missing: pip install 'gpurefine[cuda12]' or 'gpurefine[cuda13]', or use "
                    "--device cpu."
                ) from error
        return found

    def synchronise(self) -> None:
        """See :class:`.device.Device`."""
        self._cupy.cuda.get_current_stream().synchronize()

    def record(self, queue: Callable[[], None]) -> Callable[[], None] | None:
        """See :class:`.device.Device`: a CUDA graph, captured on a stream of its own."""
        stream = self._cupy.cuda.Stream(non_blocking=True)
        try:
            with stream:
                stream.begin_capture()
                try:
                    queue()
                finally:
                    graph = stream.end_capture()
        except (self._cupy.cuda.runtime.CUDARuntimeError, self._cupy.cuda.driver.CUDADriverError):
            return None
        launch: Callable[[], None] = graph.launch
        return launch

    def mark(self) -> Any:
        """See :class:`.device.Device`."""
        event = self._cupy.cuda.Event()
        event.record()
        return event

    def milliseconds(self, begin: Any, end: Any) -> float:
        """See :class:`.device.Device`."""
        end.synchronize()
        return float(self._cupy.cuda.get_elapsed_time(begin, end))

    def memory(self) -> tuple[int, int]:
        """See :class:`.device.Device`; the limit that CUPY_GPU_MEMORY_LIMIT sets counts."""
        free, total = self._cupy.cuda.runtime.memGetInfo()
        pool = self._cupy.get_default_memory_pool()
        free += pool.free_bytes()
        limit = pool.get_limit()
        if limit:
            free, total = min(free, limit - pool.used_bytes()), min(total, limit)
        return int(max(free, 0)), int(total)

    def holds(self, value: Any) -> bool:
        """See :class:`.device.Device`."""
        return isinstance(value, self._cupy.ndarray)


def open_device(index: int) -> CupyDevice:
    """GPU number ``index``.

    Raises:
        DeviceError: it cannot be used.
    """
    return CupyDevice(usable_card(index))
