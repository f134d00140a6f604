"""Where the time goes, in named phases."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def process_age() -> float:
    """Seconds since this process was started, 0 where the system does not tell."""
    try:
        started = float(Path("/proc/self/stat").read_text("utf-8", "replace").rpartition(")")[2].split()[19])
        return max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - started / os.sysconf("SC_CLK_TCK"))
    except (AttributeError, OSError, ValueError, IndexError):  # not Linux
        return 0.0


class Timer:
    """Adds up wall time by phase; phases do not nest (an inner one is taken out of the outer).

    Attributes:
        seconds: by phase, of the thread that made the timer; beside: of what another did meanwhile.
    """

    def __init__(self, before: float = 0.0) -> None:
        """``before``: seconds that the process took until now, listed as the phase "start"."""
        self._began = time.perf_counter() - before
        self._thread = threading.get_ident()
        self.seconds: dict[str, float] = {"start": before} if before else {}
        self.beside: dict[str, float] = {}
        self._stack: list[tuple[str, float]] = []
        self._stack_beside: list[tuple[str, float]] = []

    def table(self) -> dict[str, float]:
        """Seconds of every phase up to now, and "total" with what belongs to none of them."""
        now = time.perf_counter()
        table = dict(self.seconds)
        if self._stack:
            phase, since = self._stack[-1]
            table[phase] = table.get(phase, 0.0) + now - since
        table["total"] = now - self._began
        return table

    @contextmanager
    def __call__(self, phase: str) -> Iterator[None]:
        """Count the block's time under ``phase``."""
        own = threading.get_ident() == self._thread
        seconds, stack = (self.seconds, self._stack) if own else (self.beside, self._stack_beside)
        now = time.perf_counter()
        if stack:
            outer, since = stack[-1]
            seconds[outer] = seconds.get(outer, 0.0) + now - since
        stack.append((phase, now))
        try:
            yield
        finally:
            end = time.perf_counter()
            name, since = stack.pop()
            seconds[name] = seconds.get(name, 0.0) + end - since
            if stack:
                stack[-1] = (stack[-1][0], end)
