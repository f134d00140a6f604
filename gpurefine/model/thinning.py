"""A part of many reflections that stands for all."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

GOLDEN = 0.6180339887498949
"""Multiples of this, whole parts dropped, fill 0 … 1 evenly and in step with no index: neither parity of h, k, l nor
any other class of reflections is preferred."""


def thinned(index: NDArray[np.intp], most: int) -> NDArray[np.intp]:
    """``index`` (n,) itself if n ≤ ``most``, else about ``most`` of it, in order, always the same."""
    if len(index) <= most:
        return index
    return index[(np.arange(len(index)) * GOLDEN) % 1.0 < most / len(index)]
