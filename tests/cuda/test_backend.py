"""The cuda backend as a whole, on the stand-in for a GPU: every operation of the table, and a refinement."""

from __future__ import annotations

from typing import Any

import pytest
import shim_device
from shim_device import ShimDevice

from gpurefine.backend import create
from gpurefine.backend.cuda.backend import CudaBackend
from gpurefine.backend.ops import Backend
from gpurefine.errors import DeviceError

pytestmark = pytest.mark.skipif(shim_device.compiler() is None, reason="g++ is not installed")

OPERATIONS = [n for n in dir(Backend) if not n.startswith("_") and callable(getattr(Backend, n))]


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_is_there_or_refused_in_a_sentence(name: str) -> None:
    backend: Any = CudaBackend(ShimDevice())
    if hasattr(CudaBackend, name):
        return
    with pytest.raises(DeviceError, match=f"no kernel for the operation '{name}' yet"):
        getattr(backend, name)(1, 2, derivatives=True)
    cpu = create("cpu", 1)
    assert getattr(CudaBackend(ShimDevice(), substitute=cpu), name) == getattr(cpu, name)


def test_what_is_no_operation_is_no_attribute() -> None:
    with pytest.raises(AttributeError, match="no attribute spreed"):
        CudaBackend(ShimDevice()).spreed  # type: ignore[attr-defined]  # noqa: B018
