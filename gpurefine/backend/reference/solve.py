"""Products with block-sparse symmetric matrices, by definition."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


class SolveOps:
    """Matrix products in vectorised NumPy."""

    def block_product(
        self,
        row_start: NDArray[np.int32],
        column: NDArray[np.int32],
        slot: NDArray[np.int32],
        transposed: NDArray[np.bool_],
        diagonal: NDArray[np.float64],
        off: NDArray[np.float64],
        x: NDArray[np.float64],
        out: NDArray[np.float64],
    ) -> None:
        """See :class:`gpurefine.backend.ops.SolveOps`."""
        out += np.einsum("nij,nj->ni", diagonal, x)
        row = np.repeat(np.arange(len(x)), np.diff(row_start))
        block = off[slot]
        block = np.where(transposed[:, None, None], np.swapaxes(block, 1, 2), block)
        np.add.at(out, row, np.einsum("nij,nj->ni", block, x[column]))
