"""Large arrays in memory that this process has already been given.

The system hands out new memory page by page when it is first written to, and to two threads no faster than to one: for
a map that takes as long as the loop that fills it.  Arrays that nobody holds any more are therefore used again.
"""

from __future__ import annotations

import sys
import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .threads import in_chunks

_kept = threading.local()

_FREE = 3
"""References to an array that only this module knows of: the table's, the variable's and the question's own."""

PIECES = 8
"""Parts in which an array is filled."""

LARGE = 1 << 25
"""Bytes from which a second thread helps to fill an array; it takes as long to wake as a smaller one to fill."""


def release() -> None:
    """Let go of the arrays that are kept for this thread."""
    _kept.arrays = {}


def empty(what: str, shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
    """An array with any content, as NumPy's.

    The last one for ``what`` is taken again if it has this shape and type and nothing refers to it, or to a part of it,
    any more.
    """
    arrays: dict[str, NDArray[Any]] = _kept.__dict__.setdefault("arrays", {})
    array = arrays.get(what)
    if array is None or array.shape != shape or array.dtype != dtype or sys.getrefcount(array) > _FREE:
        del array
        arrays.pop(what, None)
        array = arrays[what] = np.empty(shape, dtype)
    return array


def zeros(what: str, shape: tuple[int, ...], dtype: Any, threads: int) -> NDArray[Any]:
    """The same filled with zeros by ``threads``."""
    return converted(what, np.broadcast_to(np.zeros((), dtype), shape), dtype, threads)


def converted(what: str, values: NDArray[Any], dtype: Any, threads: int) -> NDArray[Any]:
    """The same filled with ``values`` by ``threads``."""
    array, n = empty(what, values.shape, dtype), len(values)
    if array.nbytes < LARGE:
        np.copyto(array, values)
        return array
    in_chunks(lambda part: np.copyto(array[part], values[part]), n, -(-n // PIECES), threads)
    return array
