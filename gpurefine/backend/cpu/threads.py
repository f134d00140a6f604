"""How many threads an operation is worth."""

from __future__ import annotations

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
