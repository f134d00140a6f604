"""How the CPU backend's threads wait, and how array code is shared out among them."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import numpy as np
import pytest

from gpurefine.backend.cpu.threads import SPIN_VARIABLE, SPINS, in_chunks

START = """
import os
from gpurefine.backend.cpu.backend import CpuBackend
CpuBackend(2)
import numba
print(numba.threading_layer(), os.environ.get("GOMP_SPINCOUNT"))
"""


def _said(**more: str) -> tuple[str, str, str]:
    """Numba's threading layer, the variable afterwards, and what OpenMP says that it has read."""
    environment = {k: v for k, v in os.environ.items() if k not in (SPIN_VARIABLE, "OMP_WAIT_POLICY")}
    done = subprocess.run(
        [sys.executable, "-c", START], env={**environment, "OMP_DISPLAY_ENV": "verbose", **more}, check=True,
        capture_output=True, text=True,
    )
    layer, after = done.stdout.split()
    if f"{SPIN_VARIABLE} = " not in done.stderr:
        pytest.skip(f"numba's threads are those of {layer}, not of GNU's OpenMP")
    return layer, after, done.stderr


def test_idle_threads_sleep_soon_and_the_environment_stays_as_it_was() -> None:
    _, after, told = _said()
    assert f"{SPIN_VARIABLE} = '{SPINS}'" in told
    assert after == "None"


def test_a_count_of_the_users_own_is_obeyed() -> None:
    _, after, told = _said(**{SPIN_VARIABLE: "77"})
    assert f"{SPIN_VARIABLE} = '77'" in told
    assert after == "77"


@pytest.mark.parametrize(("length", "chunk", "threads"), [(10, 3, 2), (7, 1, 3), (5, 100, 4), (0, 4, 2), (8, 0, 2)])
def test_chunks_cover_the_axis_once_and_a_thread_has_neighbours(length: int, chunk: int, threads: int) -> None:
    times, owner = np.zeros(length, int), np.zeros(length, int)

    def work(part: slice) -> None:
        times[part] += 1
        owner[part] = threading.get_ident()

    in_chunks(work, length, chunk, threads)
    assert (times == 1).all()
    assert np.count_nonzero(np.diff(owner)) < threads
