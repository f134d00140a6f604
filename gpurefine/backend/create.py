"""Choice of the device that performs the operations."""

from __future__ import annotations

import os

from ..errors import DeviceError, UsageError
from .ops import Backend


def cpu_count() -> int:
    """Number of cores this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not Linux
        return os.cpu_count() or 1


def create(name: str = "auto", threads: int = 0) -> Backend:
    """The backend called ``name``: auto, cpu, reference, cuda or cuda:N.

    Args:
        threads: CPU threads; 0 means all cores.

    Raises:
        UsageError: there is no such device.
        DeviceError: the device cannot be used here.
    """
    wanted = name.lower()
    count = min(threads, cpu_count()) if threads else cpu_count()
    if wanted in ("auto", "cpu"):
        from .cpu.backend import CpuBackend

        return CpuBackend(count)
    if wanted == "reference":
        from .reference.backend import ReferenceBackend

        return ReferenceBackend()
    if wanted == "cuda" or (wanted.startswith("cuda:") and wanted[5:].isdigit()):
        raise DeviceError(
            "--device cuda is not available: this version of gpurefine has no GPU kernels yet. Use --device cpu or auto."
        )
    raise UsageError(f"--device must be auto, cpu, cuda or cuda:N, not '{name}'.")


def describe_choice(name: str, backend: Backend) -> str:
    """One line that says which device is used and why."""
    threads = f"{backend.threads} thread" + ("s" if backend.threads != 1 else "")
    if name.lower() == "auto":
        return f"Device: {backend.name}, {threads} (auto: this version has no GPU kernels yet)"
    return f"Device: {backend.name}, {threads} (as asked for)"
