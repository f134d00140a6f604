"""Sums over resolution shells for every atom, on the device."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..ops_information import F64
from .base import DeviceOps

WIDTH = 8
"""Columns of one launch (WIDTH in kernels/shell_products.cu)."""


class InformationOps(DeviceOps):
    """See :class:`gpurefine.backend.ops_information.InformationOps`."""

    def shell_products(self, b: F64, kind: NDArray[np.int32], s2: F64, form: F64, columns: F64) -> F64:
        """Eight columns at a time."""
        n, (m, wanted) = len(b), columns.shape
        arguments = (
            self.send("shells.b", b, np.float64), self.unchanged("shells.kind", kind, np.int32),
            self.send("shells.s2", s2, np.float64), self.send("shells.form", form**2, np.float64),
        )
        out, found = self.buffer("shells.out", (n, WIDTH), np.float64), np.empty((n, wanted))
        for begin in range(0, wanted, WIDTH):
            part = columns[:, begin : begin + WIDTH]
            padded = np.zeros((m, WIDTH))
            padded[:, : part.shape[1]] = part
            self.launch(
                "shell_products", n, *arguments, self.send("shells.columns", padded, np.float64), np.int32(n),
                np.int32(m), out,
            )
            found[:, begin : begin + WIDTH] = self.device.download(out)[:, : part.shape[1]]
        return found
