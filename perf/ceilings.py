"""What this machine can do at most: memory traffic and exponentials a second, measured by small compiled loops."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any

import numba as nb
import numpy as np
from numpy.typing import NDArray

from gpurefine.backend.cpu.exponential import exp2_negative

Array = NDArray[Any]

STREAM_BYTES = 128 * 1024 * 1024
"""Size of each array of the memory loop, beyond any cache."""

EXP_BLOCK, EXP_LOOPS = 2048, 20_000


@dataclass(frozen=True, slots=True)
class Ceilings:
    """``bandwidth`` bytes a second read and written together; ``exps`` single-precision exponentials a second."""

    bandwidth: float
    exps: float


@dataclass(frozen=True, slots=True)
class Work:
    """The least an operation must do: ``bytes`` to move between memory and cores, ``exps`` to evaluate."""

    bytes: float
    exps: float = 0.0

    def floor(self, ceilings: Ceilings) -> tuple[float, str]:
        """Seconds below which it cannot be done, and which of the two ceilings sets them."""
        by_memory, by_exps = self.bytes / ceilings.bandwidth, self.exps / ceilings.exps
        return (by_exps, "exp") if by_exps > by_memory else (by_memory, "memory")


def seconds(function: Callable[[], object], least: int = 5, budget: float = 0.5) -> tuple[float, float]:
    """Median and shortest time of a call, after one that is not counted: at least ``least`` calls and ``budget`` s."""
    function()
    times: list[float] = []
    while len(times) < least or sum(times) < budget:
        began = time.perf_counter()
        function()
        times.append(time.perf_counter() - began)
    return median(times), min(times)


@nb.njit(parallel=True, cache=True, fastmath=True)
def _triad(a: Array, b: Array, c: Array) -> None:
    for i in nb.prange(len(a)):
        a[i] = b[i] + np.float32(3.0) * c[i]


@nb.njit(parallel=True, cache=True)
def _exps(blocks: Array, loops: int) -> None:
    for t in nb.prange(len(blocks)):
        row = blocks[t]
        for _ in range(loops):
            for i in range(len(row)):
                row[i] = -exp2_negative(row[i])


@nb.njit(parallel=True, cache=True)
def _write(blocks: Array) -> None:
    for t in nb.prange(len(blocks)):
        for i in range(blocks.shape[1]):
            blocks[t, i] += 1.0


@nb.njit(cache=True, fastmath=True)
def _sum(row: Array) -> float:
    total = 0.0
    for i in range(len(row)):
        total += row[i]
    return total


def handover(repeats: int = 101) -> tuple[float, float]:
    """Microseconds to read a megabyte that this core has just written, and one that another core has; medians.

    The second is what work on two cores pays wherever one goes on with what the other has computed.
    """
    nb.set_num_threads(min(2, nb.config.NUMBA_NUM_THREADS))
    blocks = np.zeros((2, 1_000_000 // 8))
    times: tuple[list[float], list[float]] = [], []
    for _ in range(repeats):
        for row, taken in zip(blocks, times, strict=True):
            _write(blocks)
            began = time.perf_counter()
            _sum(row)
            taken.append(time.perf_counter() - began)
    own, others = (1e6 * median(taken[1:]) for taken in times)
    return own, others


def measure(threads: int) -> Ceilings:
    """Both ceilings with ``threads`` threads; the best of several tries, since a ceiling is what can be reached."""
    nb.set_num_threads(min(threads, nb.config.NUMBA_NUM_THREADS))
    a, b, c = (np.ones(STREAM_BYTES // 4, np.float32) for _ in range(3))
    bandwidth = 3.0 * STREAM_BYTES / seconds(lambda: _triad(a, b, c))[1]
    blocks = -np.linspace(0.0, 20.0, threads * EXP_BLOCK, dtype=np.float32).reshape(threads, -1)
    exps = blocks.size * EXP_LOOPS / seconds(lambda: _exps(blocks, EXP_LOOPS), 3)[1]
    return Ceilings(bandwidth, exps)
