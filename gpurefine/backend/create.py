"""Choice of the device that performs the operations."""

from __future__ import annotations

import atexit
import os
import platform
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import cast

from ..errors import DeviceError, UsageError
from .cuda.device import Device
from .ops import Backend

SECOND = ("density", "reflections", "scale", "amplitudes", "mask")
"""Parts of the loops that a refinement comes to when those of its restraints are compiled, in the order of need."""


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
    """What refinement could run on here, one line each; the NVIDIA driver is asked, CuPy is not loaded."""
    from .cuda.driver import cards, usable_card

    count = cpu_count()
    lines = [f"cpu: {cpu_model()}, {count} thread{'' if count == 1 else 's'}"]
    try:
        lines += [str(card) for card in cards()]
        usable_card(0)
    except DeviceError as error:
        lines.append(f"cuda not usable: {error}")
    return lines


def create(name: str = "auto", threads: int = 0, fast_atomics: bool = False) -> Backend:
    """The backend called ``name``: auto, cpu, reference, cuda or cuda:N.

    Args:
        threads: CPU threads; 0 means all cores.
        fast_atomics: a GPU may add up densities in any order.

    Raises:
        UsageError: there is no such device.
        DeviceError: the device cannot be used here.
    """
    wanted = name.lower()
    count = min(threads, cpu_count()) if threads else cpu_count()
    if wanted == "cpu":
        return _cpu(count)
    if wanted == "auto":
        return _auto(count, fast_atomics)
    if wanted == "reference":
        from .reference.backend import ReferenceBackend

        return ReferenceBackend()
    if wanted == "cuda" or (wanted.startswith("cuda:") and wanted[5:].isdigit()):
        return _cuda(int(wanted[5:] or 0), count, fast_atomics)
    raise UsageError(f"--device must be auto, cpu, cuda or cuda:N, not '{name}'.")


def _cuda(index: int, threads: int, fast_atomics: bool) -> Backend:
    from .cuda.backend import CudaBackend
    from .cuda.cupy_device import open_device

    # maps on a device are no NumPy arrays; whoever holds one only hands it back
    return cast(Backend, CudaBackend(open_device(index), threads, fast_atomics))


def _auto(threads: int, fast_atomics: bool) -> Backend:
    """A usable GPU, else the CPU."""
    from .cuda.backend import CudaBackend

    device = automatic_device()
    if isinstance(device, str):
        return _cpu(threads)
    return cast(Backend, CudaBackend(device, threads, fast_atomics))


@lru_cache(maxsize=1)
def automatic_device() -> Device | str:
    """The GPU that ``auto`` takes, or why it takes none; asked once."""
    from .cuda.cupy_device import open_device

    try:
        return open_device(0)
    except DeviceError as error:
        return str(error)


def _cpu(threads: int) -> Backend:
    """The cpu backend, also where neither the installation nor the home folder can be written to.

    numba keeps machine code beside the source or else in the user's cache folder, and refuses to work with neither; a
    folder that lasts as long as this process serves then.
    """
    from .cpu.backend import CpuBackend
    from .cpu.density_iso import spread

    try:
        _ = spread._cache.cache_path
    except RuntimeError as error:
        if "cannot cache" not in str(error):
            raise
        import shutil
        import tempfile

        import numba

        folder = tempfile.mkdtemp(prefix="gpurefine-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        numba.config.CACHE_DIR = folder
    return CpuBackend(threads)


def describe_choice(name: str, backend: Backend) -> str:
    """One line that says which device is used and why."""
    threads = f"{backend.threads} thread" + ("s" if backend.threads != 1 else "")
    if name.lower() != "auto":
        return f"Device: {backend.name}, {threads} (as asked for)"
    device = automatic_device()
    reason = "a usable GPU"
    if isinstance(device, str):  # what it says to do instead is what was done
        reason = re.sub(r"(, or|\.) use --device cpu\.$", "", device, flags=re.IGNORECASE)
    return f"Device: {backend.name}, {threads} (auto: {reason})"


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


def compile_beside(backend: Backend) -> None:
    """Begin to compile, on another core, loops that a first run comes to after those of its restraints.

    The compiler uses one core of as many as ``backend`` may use.  What is not ready when it is needed is compiled then.
    Inside another program, which may not be started again as Python is, everything is.
    """
    is_python = Path(sys.executable or "").name.startswith("python")
    if is_python and backend.threads > 1 and first_run_notice(backend):
        other = _start_compiling(*SECOND)
        atexit.register(other.terminate)


def _start_compiling(*parts: str) -> subprocess.Popen[bytes]:
    """Compile parts of the loops in a process of its own; what fails there is compiled, or told, later here."""
    code = "from gpurefine.backend import create; from gpurefine.backend.warm_up import warm_up; "
    code += f"[warm_up(create('cpu', 1), part) for part in {parts!r}]"
    import numba

    place = {"NUMBA_CACHE_DIR": numba.config.CACHE_DIR} if numba.config.CACHE_DIR else {}
    return subprocess.Popen(
        [sys.executable, "-P", "-c", code], env={**os.environ, **place}, stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )


def compile_kernels() -> tuple[float, list[str]]:
    """Have all compiled code on disk: the cpu backend's loops, and the kernels for the GPU if there is a usable one.

    Returns:
        Seconds that it took, next to nothing where the code was there already, and what was compiled.
    """
    from .warm_up import PARTS, warm_up

    began = time.perf_counter()
    if cpu_count() > 1 and first_run_notice(create("cpu")):
        # the compiler runs on one core: several processes, each with its part
        with ThreadPoolExecutor(cpu_count()) as pool:
            list(pool.map(lambda part: _start_compiling(part).wait(), PARTS))
    warm_up(create("cpu"))  # whatever has not been compiled yet
    ready, device = ["CPU kernels"], automatic_device()
    if not isinstance(device, str):
        device.compile_all()
        ready.append(f"kernels for {device.name}")
    return time.perf_counter() - began, ready
