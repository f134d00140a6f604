"""What the device asks of CuPy exists there, and what it makes of CuPy's answers; no GPU is needed."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from gpurefine.backend.cuda import cupy_device, sources
from gpurefine.backend.cuda.cupy_device import CupyDevice
from gpurefine.backend.cuda.driver import Card
from gpurefine.errors import DeviceError

CARD = Card(0, "NVIDIA H200", (9, 0), 141 << 30)


@pytest.mark.skipif(importlib.util.find_spec("cupy") is None, reason="CuPy is not installed")
def test_cupy_has_what_is_asked_of_it() -> None:
    code = """
import inspect, cupy
from cupyx.scipy.fft import get_fft_plan
from cupy.cuda import nvrtc
for owner, names in (
    (cupy.ndarray, "set get data nbytes view reshape"),
    (cupy.cuda.MemoryPointer, "memset_async copy_from_device_async"),
    (cupy.cuda.memory, "OutOfMemoryError"), (cupy.cuda.runtime, "runtimeGetVersion memGetInfo CUDARuntimeError"),
    (cupy.cuda.MemoryPool, "free_bytes used_bytes get_limit"), (cupy.RawModule, "get_function"),
    (cupy.cuda.Stream, "begin_capture end_capture __enter__ __exit__"), (cupy.cuda.graph.Graph, "launch"),
    (cupy.cuda.driver, "CUDADriverError"), (cupy.cuda.Event, "record synchronize"),
    (cupy.cuda, "get_elapsed_time get_current_stream Device nvrtc"),
    (nvrtc, "getSupportedArchs getCUBIN getProgramLog"),
):
    for name in names.split():
        assert hasattr(owner, name), (owner, name)
assert cupy.ndarray.__weakrefoffset__ > 0
assert list(inspect.signature(get_fft_plan).parameters) == ["a", "shape", "axes", "value_type"]
"""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


class OutOfMemoryError(MemoryError):
    pass


class CUDARuntimeError(RuntimeError):
    pass


class CUDADriverError(RuntimeError):
    pass


class Pointer:
    def __init__(self, array: np.ndarray) -> None:
        self.array = array

    def memset_async(self, value: int, size: int) -> None:
        self.array.reshape(-1).view(np.uint8)[:size] = value

    def copy_from_device_async(self, source: Pointer, size: int) -> None:
        self.array.reshape(-1).view(np.uint8)[:size] = source.array.reshape(-1).view(np.uint8)[:size]


class FakeArray(np.ndarray):
    """Host memory with CuPy's names."""

    def set(self, values: np.ndarray) -> None:
        self[...] = values

    def get(self) -> np.ndarray:
        return np.array(self)

    @property
    def data(self) -> Any:  # type: ignore[override]
        return Pointer(self)


class FakeCupy:
    """As much of CuPy as the device uses."""

    ndarray = FakeArray
    launched: list[tuple[Any, ...]]

    def __init__(self, limit: int = 0, archs: tuple[int, ...] = (80, 90, 100), starts: bool = True) -> None:
        self.limit, self.launched = limit, []
        runtime = SimpleNamespace(
            runtimeGetVersion=lambda: 13000, memGetInfo=lambda: (3 << 30, 141 << 30), CUDARuntimeError=CUDARuntimeError
        )

        def use() -> None:
            if not starts:
                raise CUDARuntimeError("cudaErrorDevicesUnavailable")

        self.cuda = SimpleNamespace(
            runtime=runtime, memory=SimpleNamespace(OutOfMemoryError=OutOfMemoryError),
            Device=lambda index: SimpleNamespace(use=use), nvrtc=SimpleNamespace(getSupportedArchs=lambda: archs),
            driver=SimpleNamespace(CUDADriverError=CUDADriverError), Stream=self.stream,
            get_current_stream=lambda: SimpleNamespace(synchronize=lambda: None),
        )

    def stream(self, non_blocking: bool) -> Any:
        """Notes what is asked of it; the capture fails if ``captures`` says so."""
        assert non_blocking  # nothing may be captured on the default stream
        fake = self

        class Stream:
            def __enter__(self) -> None:
                fake.launched.append("enter")  # type: ignore[arg-type]

            def __exit__(self, *_: Any) -> None:
                fake.launched.append("leave")  # type: ignore[arg-type]

            def begin_capture(self) -> None:
                fake.launched.append("begin")  # type: ignore[arg-type]

            def end_capture(self) -> Any:
                fake.launched.append("end")  # type: ignore[arg-type]
                if not fake.captures:
                    raise CUDARuntimeError("cudaErrorStreamCaptureInvalidated")
                return SimpleNamespace(launch=lambda: fake.launched.append("graph"))  # type: ignore[arg-type]

        return Stream()

    captures = True

    def empty(self, shape: Any, dtype: Any = float) -> FakeArray:
        array = np.empty(shape, dtype).view(FakeArray)
        if self.limit and array.nbytes > self.limit:
            raise OutOfMemoryError
        return array

    def get_default_memory_pool(self) -> Any:
        return SimpleNamespace(free_bytes=lambda: 1 << 20, used_bytes=lambda: 1 << 20, get_limit=lambda: self.limit)

    def RawModule(self, path: str) -> Any:
        return SimpleNamespace(get_function=lambda name: lambda *a, **k: self.launched.append((path, name, a, k)))


def device(monkeypatch: pytest.MonkeyPatch, fake: FakeCupy) -> CupyDevice:
    monkeypatch.setitem(sys.modules, "cupy", fake)
    monkeypatch.setattr(cupy_device, "driver_version", lambda library: (13, 0))
    return CupyDevice(CARD)


def test_memory_and_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    own = device(monkeypatch, FakeCupy())
    a = own.upload(np.arange(6.0).reshape(2, 3))
    assert own.holds(a) and not own.holds(np.zeros(2))
    b = own.empty(6, np.float64)
    own.copy(a, b)
    np.testing.assert_array_equal(own.download(b), np.arange(6.0))
    assert own.upload(np.ones(6), b) is b
    own.clear(b)
    assert not own.download(b).any()
    own.synchronise()
    assert own.memory() == ((3 << 30) + (1 << 20), 141 << 30)


def test_too_little_memory_says_how_much_is_needed_and_free(monkeypatch: pytest.MonkeyPatch) -> None:
    own = device(monkeypatch, FakeCupy(limit=64 << 20))
    with pytest.raises(DeviceError) as caught:
        own.empty((1 << 28, 2), np.float32)
    assert str(caught.value) == (
        "cuda:0 (NVIDIA H200) has too little memory: 2.0 GiB more are needed, 63 MiB of 64 MiB are free. Stop what "
        "else runs on it, lower the resolution (--d-min), or use a larger GPU or --device cpu."
    )


def test_kernels_are_loaded_once_and_null_pointers_passed(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeCupy()
    own = device(monkeypatch, fake)
    asked = []
    monkeypatch.setattr(sources, "cubin_path", lambda file, arch: asked.append((file, arch)) or f"{file}.{arch}")
    x = own.empty(4, np.float64)
    for _ in range(2):
        own.launch("partial_sums", (1,), (32,), (x, None, np.int32(4)), 16)
    assert asked == [("reduce.cu", 90)]
    (path, name, (grid, block, arguments), named), _ = fake.launched
    assert (path, name, grid, block, named) == ("reduce.cu.90", "partial_sums", (1,), (32,), {"shared_mem": 16})
    assert arguments[0] is x and arguments[1] == np.uintp(0) and isinstance(arguments[1], np.uintp)


def test_a_graph_is_captured_on_a_stream_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeCupy()
    own = device(monkeypatch, fake)
    launch = own.record(lambda: fake.launched.append("kernel"))  # type: ignore[arg-type]
    assert launch is not None
    launch()
    assert fake.launched == ["enter", "begin", "kernel", "end", "leave", "graph"]


@pytest.mark.parametrize("error", [CUDARuntimeError, CUDADriverError])
def test_a_capture_that_fails_makes_no_graph(monkeypatch: pytest.MonkeyPatch, error: type[Exception]) -> None:
    fake = FakeCupy()
    fake.captures = False
    own = device(monkeypatch, fake)

    def queue() -> None:
        raise error("not permitted")

    assert own.record(queue) is None and own.record(lambda: None) is None
    assert fake.launched == ["enter", "begin", "end", "leave"] * 2


@pytest.mark.parametrize(("archs", "taken"), [((80, 86, 90, 100), 90), ((75, 80), None), ((80, 100), None)])
def test_architecture(monkeypatch: pytest.MonkeyPatch, archs: tuple[int, ...], taken: int | None) -> None:
    own = device(monkeypatch, FakeCupy(archs=archs))
    if taken is None:
        with pytest.raises(DeviceError, match=r"does not know NVIDIA H200 \(compute capability 9\.0\)"):
            own._architecture()
    else:
        assert own._architecture() == taken


def test_what_does_not_start_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DeviceError, match=r"cuda:0 \(NVIDIA H200\) does not start: cudaErrorDevicesUnavailable"):
        device(monkeypatch, FakeCupy(starts=False))
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(DeviceError, match="CuPy cannot be imported"):
        CupyDevice(CARD)
