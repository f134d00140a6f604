"""How many threads an operation is worth."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import numba as nb

WORTHWHILE = 1000.0
"""Microseconds of one core's work below which a second thread gains nothing, and loses milliseconds when another
process keeps that core busy (the threads wait for each other at the end of every loop)."""


class Threads:
    """Sets numba's thread count for the operations of a backend; every result has the same bits for any count."""

    threads: int

    def use(self, microseconds: float) -> None:
        """Prepare for an operation that one core would spend ``microseconds`` on."""
        nb.set_num_threads(self.threads if microseconds >= WORTHWHILE else 1)


@lru_cache(maxsize=2)
def _pool(threads: int) -> ThreadPoolExecutor:
    """Threads that wait for work: starting new ones takes as long as the Fourier transform of a small map."""
    return ThreadPoolExecutor(threads)


def in_chunks(work: Callable[[slice], None], length: int, chunk: int, threads: int) -> None:
    """Do ``work`` for all of an axis of this length, ``chunk`` at a time: array code that lets other threads run."""
    slices = [slice(start, min(start + chunk, length)) for start in range(0, length, max(1, chunk))]
    threads = max(1, min(threads, len(slices)))

    def share(number: int) -> None:
        for part in slices[number::threads]:
            work(part)

    others = [_pool(threads - 1).submit(share, number) for number in range(1, threads)]
    share(0)
    for other in others:
        other.result()
