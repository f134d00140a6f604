"""Sparse symmetric block matrices of the normal equations."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import NumericalError, Status


@dataclass(frozen=True, slots=True, eq=False)
class BlockPattern:
    """Which pairs of atoms share a block, and the row-owned view the products use.

    Attributes:
        n: number of block rows (atoms).
        pairs: (m, 2) int32, i < j, lexicographically sorted, unique.
        row_start: (n + 1,) int32: entries of row i are row_start[i]:row_start[i+1].
        column: (2 m,) int32: the other atom of each entry.
        slot: (2 m,) int32: the pair of each entry, index into ``pairs``.
        transposed: (2 m,) bool: the entry is the transpose of the stored block.
    """

    n: int
    pairs: NDArray[np.int32]
    row_start: NDArray[np.int32]
    column: NDArray[np.int32]
    slot: NDArray[np.int32]
    transposed: NDArray[np.bool_]

    def __len__(self) -> int:
        """Number of blocks above the diagonal."""
        return len(self.pairs)

    @staticmethod
    def from_pairs(n: int, first: NDArray[np.int32], second: NDArray[np.int32]) -> BlockPattern:
        """Pattern of all given atom pairs (any order, repeats and i == j allowed and dropped)."""
        low = np.minimum(first, second).astype(np.int64)
        high = np.maximum(first, second).astype(np.int64)
        keep = low < high
        key = np.sort(low[keep] * n + high[keep])
        if len(key):
            key = key[np.concatenate([[True], key[1:] != key[:-1]])]
        i, j = (part.astype(np.int32) for part in np.divmod(key, n))
        m = len(i)
        above, below = np.bincount(i, minlength=n), np.bincount(j, minlength=n)
        row_start, up, down = (np.concatenate([[0], np.cumsum(count)]) for count in (above + below, above, below))
        # in row i the entries of smaller atoms (mirrored pairs) come first
        by_second = np.argsort(j.astype(np.int64) * n + i)  # no key twice: a sort need not be stable
        direct = row_start[i] + below[i] + np.arange(m) - up[i]
        mirrored = row_start[j[by_second]] + np.arange(m) - down[j[by_second]]
        column, slot, transposed = np.empty(2 * m, np.int32), np.empty(2 * m, np.int32), np.zeros(2 * m, bool)
        column[direct], slot[direct] = j, np.arange(m)
        column[mirrored], slot[mirrored], transposed[mirrored] = i[by_second], by_second, True
        return BlockPattern(n, np.stack([i, j], axis=1), row_start.astype(np.int32), column, slot, transposed)

    def find(self, first: NDArray[np.int32], second: NDArray[np.int32]) -> NDArray[np.int32]:
        """Slot of each pair (k,) given with first < second.

        Raises:
            NumericalError: a pair is not in the pattern.
        """
        key = self.pairs[:, 0].astype(np.int64) * self.n + self.pairs[:, 1]
        wanted = np.asarray(first, np.int64) * self.n + second
        slot = np.searchsorted(key, wanted)
        if len(wanted) and (slot.max(initial=0) >= len(key) or np.any(key[slot] != wanted)):
            raise NumericalError("A restraint couples two atoms that the normal matrix has no block for.")
        return slot.astype(np.int32)


@dataclass(frozen=True, slots=True, eq=False)
class BlockMatrix:
    """Values of a symmetric block matrix.

    ``diagonal`` (n, s, s) and ``off`` (m, s, s) float64, the latter the block (i, j) of ``pattern.pairs``
    (rows belong to i, columns to j); s = 3 for positions, 1 for isotropic B, 6 for U.  Both are NumPy arrays or where
    :meth:`RestraintOps.new_blocks` puts them.
    """

    pattern: BlockPattern
    diagonal: NDArray[np.float64]
    off: NDArray[np.float64]


def coupled(diagonal: NDArray[np.float64], pairs: NDArray[np.integer], off: NDArray[np.float64]) -> BlockMatrix:
    """The matrix with ``diagonal`` (n, s, s) and blocks ``off`` (m, s, s) in rows and columns ``pairs`` (m, 2).

    Pairs may come in any order and more than once; where the two are the same, the block and its mirror image both lie
    on the diagonal.
    """
    n = len(diagonal)
    same, swapped = pairs[:, 0] == pairs[:, 1], pairs[:, 0] > pairs[:, 1]
    off = np.where(swapped[:, None, None], np.swapaxes(off, 1, 2), off)
    pattern = BlockPattern.from_pairs(n, pairs[:, 0].astype(np.int32), pairs[:, 1].astype(np.int32))
    slot = pattern.find(pairs.min(axis=1)[~same], pairs.max(axis=1)[~same])
    own = off[same]
    diagonal = diagonal + _summed(own + np.swapaxes(own, 1, 2), pairs[same, 0], n)
    return BlockMatrix(pattern, diagonal, _summed(off[~same], slot, len(pattern)))


def _summed(blocks: NDArray[np.float64], row: NDArray[np.integer], n: int) -> NDArray[np.float64]:
    """Blocks (m, s, s) summed by their ``row`` (m,), (n, s, s)."""
    side = blocks.shape[1]
    flat = blocks.reshape(len(row), side * side)
    out = np.empty((n, side * side))
    for column in range(side * side):
        out[:, column] = np.bincount(row, flat[:, column], minlength=n)
    return out.reshape(n, side, side)


def project_blocks(matrix: BlockMatrix, atoms: NDArray[np.int32], projectors: NDArray[np.float64]) -> None:
    """Pᵀ M P in place, P (m, s, s) of ``atoms`` (m,), each named once, being the identity for all others."""
    pairs = matrix.pattern.pairs
    for atom, projector in zip(atoms, projectors, strict=True):
        matrix.diagonal[atom] = projector.T @ matrix.diagonal[atom] @ projector
        rows, columns = pairs[:, 0] == atom, pairs[:, 1] == atom
        matrix.off[rows] = projector.T @ matrix.off[rows]
        matrix.off[columns] = matrix.off[columns] @ projector


@dataclass(frozen=True, slots=True, eq=False)
class LinearSolution:
    """Solution of H x = b: ``x`` (n, s), number of ``iterations``, relative ``residual`` and ``status``."""

    x: NDArray[np.float64]
    iterations: int
    residual: float
    status: Status


def inverse_blocks(diagonal: NDArray[np.float64]) -> NDArray[np.float64]:
    """Inverses (n, s, s) of symmetric positive semidefinite blocks; directions without curvature are left out."""
    if diagonal.shape[1] == 1:
        value = diagonal[:, 0, 0]
        inverse = np.divide(1.0, value, out=np.zeros_like(value), where=value > 0.0)
        return inverse[:, None, None]
    if diagonal.shape[1] == 3:
        inverse, sound = _inverse3(diagonal)
        if not sound.all():
            inverse[~sound] = _inverse_by_eigenvalues(diagonal[~sound])
        return inverse
    return _inverse_by_eigenvalues(diagonal)


def _inverse_by_eigenvalues(diagonal: NDArray[np.float64]) -> NDArray[np.float64]:
    values, vectors = np.linalg.eigh(diagonal)
    top = np.maximum(values[:, -1:], 0.0)
    inverse = np.divide(1.0, values, out=np.zeros_like(values), where=values > 1e-8 * top)
    return np.asarray(np.einsum("nij,nj,nkj->nik", vectors, inverse, vectors))


def _inverse3(m: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Inverses (n, 3, 3) by cofactors, and (n,) whether the block is positive definite and far from singular."""
    a, b, c, d, e, f = m[:, 0, 0], m[:, 1, 1], m[:, 2, 2], m[:, 0, 1], m[:, 0, 2], m[:, 1, 2]
    out = np.empty_like(m)
    out[:, 0, 0], out[:, 1, 1], out[:, 2, 2] = b * c - f * f, a * c - e * e, a * b - d * d
    out[:, 0, 1] = out[:, 1, 0] = e * f - c * d
    out[:, 0, 2] = out[:, 2, 0] = d * f - b * e
    out[:, 1, 2] = out[:, 2, 1] = d * e - a * f
    determinant = a * out[:, 0, 0] + d * out[:, 0, 1] + e * out[:, 0, 2]
    trace = a + b + c
    # eigenvalues sum to the trace and multiply to the determinant, so none is below 10⁻⁵ of the largest
    sound = (a > 0.0) & (out[:, 2, 2] > 0.0) & (determinant > 1e-5 * trace**3)
    out[sound] /= determinant[sound][:, None, None]
    return out, sound
