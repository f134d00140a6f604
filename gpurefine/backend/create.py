"""Choice of the device that performs the operations."""

from __future__ import annotations

import os
import platform
import time
from pathlib import Path

from ..errors import DeviceError, UsageError
from .ops import Backend


def cpu_count() -> int:
    """Number of cores this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not Linux
        return os.cpu_count() or 1


def cpu_model() -> str:
    """What the processor calls itself."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            for line in file:
                if line.startswith("model name"):
                    return " ".join(line.partition(":")[2].split())
    except OSError:  # not Linux
        pass
    return platform.processor() or platform.machine() or "unknown processor"


def devices() -> list[str]:
    """What refinement could run on here, one line each; touches no device."""
    count = cpu_count()
    return [
        f"cpu: {cpu_model()}, {count} thread{'' if count == 1 else 's'}",
        "cuda: this version of gpurefine has no GPU kernels yet",
    ]


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
        return _cpu(count)
    if wanted == "reference":
        from .reference.backend import ReferenceBackend

        return ReferenceBackend()
    if wanted == "cuda" or (wanted.startswith("cuda:") and wanted[5:].isdigit()):
        raise DeviceError(
            "--device cuda is not available: this version of gpurefine has no GPU kernels yet. "
            "Use --device cpu or auto."
        )
    raise UsageError(f"--device must be auto, cpu, cuda or cuda:N, not '{name}'.")


def _cpu(threads: int) -> Backend:
    """The cpu backend, also where neither the installation nor the home folder can be written to.

    numba keeps machine code beside the source or else in the user's cache folder, and refuses to work with neither; a
    folder that lasts as long as this process serves then.
    """
    try:
        from .cpu.backend import CpuBackend
    except RuntimeError as error:
        if "cannot cache" not in str(error):
            raise
        import atexit
        import shutil
        import tempfile

        import numba

        folder = tempfile.mkdtemp(prefix="gpurefine-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        numba.config.CACHE_DIR = folder
        from .cpu.backend import CpuBackend
    return CpuBackend(threads)


def describe_choice(name: str, backend: Backend) -> str:
    """One line that says which device is used and why."""
    threads = f"{backend.threads} thread" + ("s" if backend.threads != 1 else "")
    if name.lower() == "auto":
        return f"Device: {backend.name}, {threads} (auto: this version has no GPU kernels yet)"
    return f"Device: {backend.name}, {threads} (as asked for)"


def first_run_notice(backend: Backend) -> list[str]:
    """One sentence where the cpu backend's loops have not been compiled yet, nothing otherwise."""
    if backend.name != "cpu":
        return []
    from .cpu import density_iso

    # one large kernel stands for all: they are compiled in the same first run
    folder = Path(density_iso.spread._cache.cache_path)
    if any(folder.glob("density_iso.spread-*.nbc")):
        return []
    return [
        "First run: the inner loops are compiled now, once for this installation, which takes about half a minute "
        "(gpurefine info --compile does it ahead)."
    ]


def compile_kernels() -> float:
    """Run every compiled loop of the cpu backend once on a tiny problem, so that its machine code is on disk.

    Returns:
        Seconds that it took; next to nothing where the code was there already.
    """
    from .warm_up import warm_up

    began = time.perf_counter()
    warm_up(create("cpu"))
    return time.perf_counter() - began
