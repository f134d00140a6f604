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
