"""The cpu backend's sums over resolution shells."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..ops_information import F64, ShellProducts
from .threads import Threads, in_chunks

ROWS = 2048
"""Atoms at a time: what is between the steps then stays in the cache."""


class InformationOps(Threads, ShellProducts):
    """The definition, for some atoms at a time and by all threads."""

    def shell_products(self, b: F64, kind: NDArray[np.int32], s2: F64, form: F64, columns: F64) -> F64:
        """See :class:`gpurefine.backend.ops_information.InformationOps`."""
        out = np.empty((len(b), columns.shape[1]))

        def part(rows: slice) -> None:
            out[rows] = ShellProducts.shell_products(self, b[rows], kind[rows], s2, form, columns)

        in_chunks(part, len(b), ROWS, self.ready)
        return out
