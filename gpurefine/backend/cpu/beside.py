"""Two things at the same time, each with its part of the cores.

Most loops of a cycle are short, and cores that share one wait for each other and for what the other has written.  Two
cores that do different things, the data and the restraints, need nothing of each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import lru_cache
from typing import TypeVar

import numba as nb

from .threads import Threads, is_helper, mark_helper

T = TypeVar("T")

THREAD_SAFE = ("omp", "tbb")
"""Threading layers of numba's that two threads may use at a time."""


@lru_cache(maxsize=1)
def _helper() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, "gpurefine-beside", mark_helper)


class BesideOps(Threads):
    """Half of the cores for each of the two, and all for the one that is left."""

    @property
    def concurrent(self) -> bool:
        """See :class:`gpurefine.backend.ops_beside.BesideOps`."""
        return self.threads > 1 and nb.threading_layer() in THREAD_SAFE

    @contextmanager
    def beside(self, work: Callable[[], T]) -> Iterator[Callable[[], T]]:
        """See :class:`gpurefine.backend.ops_beside.BesideOps`; the same bits as one after the other."""
        if not self.concurrent or self.lent or is_helper():  # two at a time, not more
            known = work()
            yield lambda: known
            return

        def lent_work() -> T:
            try:
                return work()
            finally:
                self.lent = 0

        self.lent = self.threads // 2
        future = _helper().submit(lent_work)

        def ended() -> Future[T]:
            self.lent = self.threads
            try:
                wait([future])
            finally:
                self.lent = 0
            return future

        try:
            yield lambda: ended().result()
        except BaseException:
            ended()  # what the body has met is what is told
            raise
        ended().result()
