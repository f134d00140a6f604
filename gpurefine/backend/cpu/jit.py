"""Compilation by numba, with machine code kept on disk.

``njit`` is numba's with two differences.  Compiled code lets Python's other threads run.  Of functions that have
``cache=True`` what is on disk is loaded without first making numba ready to compile, which would take a quarter of a
second of every run although there is nothing to compile.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
from numba.core.caching import FunctionCache

KNOWN = ((0, 68),)
"""Versions (major, minor) of numba whose stored code is known to need nothing but numba's memory management; others
are made ready first, as numba does by itself."""


class KeptCode:
    """Stands for numba's cache of one function, which is looked up when the function is first called."""

    def __init__(self, function: Callable[..., Any]) -> None:
        """The cache of ``function``."""
        self._function = function
        self._opened: FunctionCache | None = None

    @property
    def _cache(self) -> FunctionCache:
        if self._opened is None:
            self._opened = FunctionCache(self._function)
        return self._opened

    @property
    def cache_path(self) -> str:
        """The folder.

        Raises:
            RuntimeError: none can be written to.
        """
        return str(self._cache.cache_path)

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """The machine code for arguments of these types, None where there is none yet."""
        if tuple(numba.version_info.short) not in KNOWN:
            return self._cache.load_overload(sig, target_context)
        from numba.core.runtime import rtsys

        rtsys.initialize(target_context)
        with self._cache._guard_against_spurious_io_errors():
            return self._cache._load_overload(sig, target_context)

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep newly compiled machine code."""
        self._cache.save_overload(sig, data)

    def enable(self) -> None:
        """Keep and look up machine code from now on."""
        self._cache.enable()

    def disable(self) -> None:
        """Keep and look up none."""
        self._cache.disable()

    def flush(self) -> None:
        """Forget what is kept."""
        self._cache.flush()


def njit(*, cache: bool = False, **options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Compile a function for the types of its arguments when it is first called with them.

    Args:
        cache: keep the machine code on disk; functions that are only called from other compiled ones need not.
        options: as for numba's ``njit``.
    """

    def compiled(function: Callable[..., Any]) -> Any:
        dispatcher = numba.njit(nogil=True, **options)(function)
        if cache:
            dispatcher._cache = KeptCode(function)
        return dispatcher

    return compiled
