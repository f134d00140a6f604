"""Which GPU is taken, and what is said where none can be; the driver is played by the test."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from typing import Any

import pytest

from gpurefine.backend import create, describe_choice, devices
from gpurefine.backend import create as create_backend
from gpurefine.backend.create import automatic_device
from gpurefine.backend.cuda import cupy_device, driver
from gpurefine.errors import DeviceError


class Driver:
    """Answers as the NVIDIA driver's library does."""

    def __init__(self, cards: list[tuple[str, int, int]], version: int = 13000, start: int = 0) -> None:
        self.cards, self.version, self.start = cards, version, start

    def cuDriverGetVersion(self, out: Any) -> int:
        out._obj.value = self.version
        return 0

    def cuInit(self, _flags: int) -> int:
        return self.start

    def cuDeviceGetCount(self, out: Any) -> int:
        out._obj.value = len(self.cards)
        return 0

    def cuDeviceGet(self, out: Any, index: int) -> int:
        out._obj.value = index
        return 0

    def cuDeviceGetName(self, out: Any, _size: int, device: ctypes.c_int) -> int:
        out.value = self.cards[device.value][0].encode()
        return 0

    def cuDeviceTotalMem_v2(self, out: Any, _device: ctypes.c_int) -> int:
        out._obj.value = 141 << 30
        return 0

    def cuDeviceGetAttribute(self, out: Any, attribute: int, device: ctypes.c_int) -> int:
        out._obj.value = self.cards[device.value][1 if attribute == 75 else 2]
        return 0


H200, OLD = ("NVIDIA H200", 9, 0), ("Tesla P100", 6, 0)


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    automatic_device.cache_clear()
    yield
    automatic_device.cache_clear()


def play(monkeypatch: pytest.MonkeyPatch, library: Driver | None) -> None:
    monkeypatch.setattr(driver, "_library", lambda: library)


@pytest.mark.parametrize(
    ("library", "name", "message"),
    [
        (None, "cuda", "No NVIDIA driver is installed"),
        (Driver([], start=100), "cuda", "finds no GPU here"),
        (Driver([]), "cuda", "finds no GPU here"),
        (Driver([H200], start=999), "cuda:0", r"does not start \(error 999"),
        (Driver([H200]), "cuda:1", r"no device cuda:1; this machine has only cuda:0\."),
        (Driver([H200, H200]), "cuda:2", "cuda:0 to cuda:1"),
        (Driver([H200, OLD]), "CUDA:1", r"Tesla P100\) has compute capability 6\.0; gpurefine needs 7\.5"),
    ],
)
def test_each_obstacle_has_its_sentence(
    monkeypatch: pytest.MonkeyPatch, library: Driver | None, name: str, message: str
) -> None:
    play(monkeypatch, library)
    with pytest.raises(DeviceError, match=message) as caught:
        create(name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("version", "extra"), [(12040, "cuda12"), (13000, "cuda13")])
def test_missing_cupy_names_the_extra_that_suits_the_driver(
    monkeypatch: pytest.MonkeyPatch, version: int, extra: str
) -> None:
    play(monkeypatch, Driver([H200], version))
    monkeypatch.setattr(driver.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DeviceError, match=rf"CuPy is not installed: pip install 'gpurefine\[{extra}\]'"):
        create("cuda")


def test_a_driver_older_than_cupy_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    class Runtime:
        @staticmethod
        def runtimeGetVersion() -> int:
            return 13020

    class Cupy:
        class cuda:
            runtime = Runtime

    monkeypatch.setattr(cupy_device, "_library", lambda: Driver([H200], 12020))
    with pytest.raises(DeviceError, match=r"supports CUDA 12\.2 and the CuPy here is built for CUDA 13"):
        cupy_device.CupyDevice._runtime_fits(Cupy)


def test_auto_takes_the_cpu_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    play(monkeypatch, None)
    backend = create_backend("auto", 1)
    assert backend.name == "cpu"
    assert describe_choice("auto", backend) == "Device: cpu, 1 thread (auto: No NVIDIA driver is installed here)"
    assert devices()[1] == "cuda not usable: No NVIDIA driver is installed here. Use --device cpu."


def test_auto_takes_a_usable_gpu_and_cards_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    from shim_device import ShimDevice

    play(monkeypatch, Driver([H200, OLD]))
    monkeypatch.setattr(cupy_device, "open_device", lambda index: ShimDevice())
    monkeypatch.setattr(driver.importlib.util, "find_spec", lambda name: object())
    backend = create_backend("auto", 1)
    assert backend.name == "cuda:0 (CPU through g++)"
    assert describe_choice("auto", backend).endswith("1 thread (auto: a usable GPU)")
    assert devices()[1:] == [
        "cuda:0: NVIDIA H200, compute capability 9.0, 141 GiB", "cuda:1: Tesla P100, compute capability 6.0, 141 GiB"
    ]
