"""One-dimensional transforms by the module beneath scipy.fft and by scipy.fft itself."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from gpurefine.backend.cpu import pocketfft
from gpurefine.backend.cpu.pocketfft import Direct, Public, transforms
from gpurefine.backend.cpu.transforms import backward, forward


@pytest.mark.parametrize("fft", [Public(), transforms()])
def test_definitions(fft: Direct | Public) -> None:
    rng = np.random.default_rng(1)
    real = rng.normal(size=(3, 4, 10)).astype(np.float32)
    half = fft.from_real(real)
    np.testing.assert_allclose(half, np.fft.rfft(real), atol=1e-5)
    back = np.empty((6, 4, 10), np.float32)[::2]
    fft.to_real(half, back)
    np.testing.assert_allclose(back, 10.0 * real, atol=1e-4)
    part = half.copy()
    fft.complex(part[:, :, 1:4], 1, True)
    np.testing.assert_allclose(part[:, :, 1:4], np.fft.fft(half[:, :, 1:4], axis=1), atol=1e-4)
    np.testing.assert_array_equal(part[:, :, 4:], half[:, :, 4:])
    fft.complex(part[:, :, 1:4], 1, False)
    np.testing.assert_allclose(part[:, :, 1:4], 4.0 * half[:, :, 1:4], atol=1e-4)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("shape", [(12, 15, 10), (48, 90, 120), (3, 480, 450)])  # a plane of the last is over CHUNK
def test_maps_by_both(shape: tuple[int, int, int], threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    density = np.random.default_rng(2).normal(size=shape).astype(np.float32)
    keep = shape[1] - 4, shape[2] // 2 - 1
    half = forward(density, keep, threads)
    whole = np.fft.rfftn(density)
    positive = keep[0] // 2 + 1
    rows = np.r_[0:positive, shape[1] - keep[0] + positive : shape[1]]
    np.testing.assert_allclose(half, whole[:, rows, : keep[1]], atol=1e-5 * density.size**0.5 * 10)
    dmap = backward(half.copy(), shape, threads)
    monkeypatch.setattr("gpurefine.backend.cpu.transforms.transforms", Public)
    np.testing.assert_allclose(forward(density, keep, threads), half, atol=1e-3)
    np.testing.assert_allclose(backward(half.copy(), shape, threads), dmap, atol=1e-6 * density.size)


def test_another_scipy_is_used_by_its_public_functions(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        raise ImportError

    transforms.cache_clear()
    monkeypatch.delitem(sys.modules, pocketfft.MODULE, raising=False)
    monkeypatch.setattr(pocketfft, "_module", missing)
    assert isinstance(transforms(), Public)
    transforms.cache_clear()


def test_scipy_fft_works_beside_it() -> None:
    code = (
        "from gpurefine.backend.cpu.pocketfft import Direct, transforms; first = transforms(); "
        "import scipy.fft, numpy as np; print(type(first).__name__, scipy.fft.rfft(np.ones(4)).real.tolist())"
    )
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split(" ", 1)[1].strip() == "[4.0, 0.0, 0.0]"
