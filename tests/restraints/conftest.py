"""The cuda backend, executed on the CPU, beside the others in every test of restraints."""

from __future__ import annotations

from typing import Any

import pytest
import shim_device
from shim_device import ShimDevice


@pytest.fixture(params=["reference", "cpu", "cuda"])
def backend(request: pytest.FixtureRequest) -> Any:
    """Every backend in turn."""
    from gpurefine.backend import create
    from gpurefine.backend.cuda.backend import CudaBackend

    if request.param != "cuda":
        return create(request.param, 2)
    if shim_device.compiler() is None:
        pytest.skip("g++ is not installed")
    return CudaBackend(ShimDevice())
