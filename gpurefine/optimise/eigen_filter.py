"""Directions that the data say nothing about, taken out of small dense blocks (paper section 4; method 7)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]


def filtered(gradient: F64, blocks: F64, relative: float) -> tuple[F64, F64]:
    """Gradient (m, s) and blocks (m, s, s) without eigenvectors whose eigenvalue is below ``relative`` × the largest.

    Solving with what is left takes no step along them.
    """
    values, vectors = np.linalg.eigh(blocks)
    keep = values > relative * np.maximum(values[:, -1:], 0.0)
    inside = np.einsum("mik,mk,mjk->mij", vectors, keep.astype(np.float64), vectors)
    kept = np.einsum("mik,mk,mjk->mij", vectors, np.where(keep, values, 0.0), vectors)
    return np.asarray(np.einsum("mij,mj->mi", inside, gradient)), np.asarray(kept)


STIFF = 1e6
"""Curvature of what is held, relative to the largest of all blocks."""


def without(held: NDArray[np.bool_], gradient: F64, blocks: F64) -> tuple[F64, F64]:
    """Gradient (m, s) and blocks (m, s, s) of equations whose solution leaves ``held`` (m,) where they are.

    A search along a step that is cut off at a bound would take the part that is cut off for curvature.
    """
    if not held.any():
        return gradient, blocks
    stiff = STIFF * float(np.abs(blocks).max()) * np.eye(blocks.shape[1])
    return np.where(held[:, None], 0.0, gradient), np.where(held[:, None, None], stiff, blocks)
