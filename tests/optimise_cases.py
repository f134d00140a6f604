"""Random symmetric positive-definite block systems."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gpurefine.backend.blocks import BlockMatrix, BlockPattern


def random_system(n: int, size: int, seed: int) -> tuple[list[BlockMatrix], NDArray[np.float64], NDArray[np.float64]]:
    """Two Gauss–Newton matrices of springs on different patterns, extra diagonal blocks, and their sum in full."""
    rng = np.random.default_rng(seed)
    full = np.zeros((n * size, n * size))
    matrices = []
    for _ in range(2):
        first, second = rng.integers(0, n, (2, 3 * n)).astype(np.int32)
        pattern = BlockPattern.from_pairs(n, first, second)
        diagonal, off = np.zeros((n, size, size)), np.zeros((len(pattern.pairs), size, size))
        for k, (i, j) in enumerate(pattern.pairs):
            a, b = rng.normal(size=(2, size, size))
            diagonal[i] += a @ a.T
            diagonal[j] += b @ b.T
            off[k] = a @ b.T
        matrices.append(BlockMatrix(pattern, diagonal, off))
        full += dense(matrices[-1])
    extra = np.tile(0.5 * np.eye(size), (n, 1, 1))
    full += 0.5 * np.eye(n * size)
    return matrices, extra, full


def dense(matrix: BlockMatrix) -> NDArray[np.float64]:
    """The matrix written out (n s, n s)."""
    n, size = matrix.diagonal.shape[:2]
    full = np.zeros((n, size, n, size))
    for i in range(n):
        full[i, :, i] = matrix.diagonal[i]
    for (i, j), block in zip(matrix.pattern.pairs, matrix.off, strict=True):
        full[i, :, j] = block
        full[j, :, i] = block.T
    return full.reshape(n * size, n * size)
