"""How many threads an operation is worth."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import numba as nb

WORTHWHILE = 1000.0
"""Microseconds of one core's work below which a second thread gains nothing, and loses milliseconds when another
process keeps that core busy (the threads wait for each other at the end of every loop)."""

SPIN_VARIABLE = "GOMP_SPINCOUNT"
SPINS = 20_000
"""Turns for which a thread of numba's that has no more to do asks for the next loop before it sleeps: about a
millisecond.  The 300,000 turns that GNU's OpenMP takes by itself keep a core from the Fourier transforms and the
checkpoint, which other threads do."""


def start_threads() -> None:
    """Start numba's threads, unless they are running; who has said how they are to wait is left his way."""
    said = {SPIN_VARIABLE, "OMP_WAIT_POLICY"} & set(os.environ)
    if not said:
        os.environ[SPIN_VARIABLE] = str(SPINS)  # read when the library is loaded, and never again
    try:
        nb.get_num_threads()  # starts them
    finally:
        if not said:
            os.environ.pop(SPIN_VARIABLE, None)


_here = threading.local()


def mark_helper() -> None:
    """Say that the calling thread is the one that works beside another."""
    _here.helps = True


def is_helper() -> bool:
    """Whether the calling thread is the one that works beside another."""
    return getattr(_here, "helps", False)


class Threads:
    """Sets numba's thread count for the operations of a backend; every result has the same bits for any count.

    Attributes:
        threads: of both together; lent: those of them that the thread has which works beside the caller's.
    """

    threads: int
    lent: int = 0

    @property
    def ready(self) -> int:
        """Threads that an operation of the calling thread may use now."""
        return max(1, self.lent if is_helper() else self.threads - self.lent)

    def use(self, microseconds: float) -> None:
        """Prepare for an operation that one core would spend ``microseconds`` on."""
        nb.set_num_threads(self.ready if microseconds >= WORTHWHILE else 1)


@lru_cache(maxsize=4)
def _pool(threads: int) -> ThreadPoolExecutor:
    """Threads that wait for work: starting new ones takes as long as the Fourier transform of a small map."""
    return ThreadPoolExecutor(threads)


def in_chunks(work: Callable[[slice], None], length: int, chunk: int, threads: int) -> None:
    """Do ``work`` for all of an axis of this length, ``chunk`` at a time (1 at least).

    The work is array code, which lets other threads run.  A thread's chunks are consecutive, as in the loops of numba:
    what a core has written is then mostly in its own cache.
    """
    chunk = max(1, chunk)
    slices = [slice(start, min(start + chunk, length)) for start in range(0, length, chunk)]
    threads = max(1, min(threads, len(slices)))

    def share(number: int) -> None:
        for part in slices[number * len(slices) // threads : (number + 1) * len(slices) // threads]:
            work(part)

    others = [_pool(threads - 1).submit(share, number) for number in range(1, threads)]
    share(0)
    for other in others:
        other.result()
