"""The cuda backend on the CPU and on a GPU, for fixtures; skips where it cannot be had."""

from __future__ import annotations

from typing import Any

import pytest


def shim_backend() -> Any:
    """The cuda backend on the CPU."""
    import shim_device

    from gpurefine.backend.cuda.backend import CudaBackend

    if shim_device.compiler() is None:
        pytest.skip("g++ is not installed")
    return CudaBackend(shim_device.ShimDevice())


def gpu_backend() -> Any:
    """The cuda backend on the first GPU."""
    from gpurefine.backend import create
    from gpurefine.backend.create import automatic_device

    device = automatic_device()
    if isinstance(device, str):
        pytest.skip(f"no GPU: {device}")
    return create("auto", 2)
