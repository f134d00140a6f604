"""Arrays of chosen reflections, chosen once."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

KEPT = 4
"""Choices that are remembered: working and free reflections, and those of a map."""


class Selection:
    """What ``arrays`` (…, n) are at the reflections of an index, the same objects for the same index array.

    So a device that has a copy of them knows it.  Neither arrays nor index may be written to any more.
    """

    def __init__(self, *arrays: NDArray[Any]) -> None:
        """Choose from ``arrays``."""
        self._arrays = arrays
        self._chosen: dict[int, tuple[NDArray[np.intp], tuple[NDArray[Any], ...]]] = {}

    def at(self, index: NDArray[np.intp]) -> tuple[NDArray[Any], ...]:
        """Every array at ``index`` (k,)."""
        found = self._chosen.get(id(index))
        if found is not None:
            return found[1]
        chosen = tuple(np.ascontiguousarray(array[..., index]) for array in self._arrays)
        if len(self._chosen) >= KEPT:
            self._chosen.pop(next(iter(self._chosen)))
        self._chosen[id(index)] = (index, chosen)
        return chosen
