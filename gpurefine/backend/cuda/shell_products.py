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
        """Eight columns a launch; all go up together and come down together."""
        n, (m, wanted) = len(b), columns.shape
        if n == 0 or wanted == 0:
            return np.zeros((n, wanted))
        parts = -(-wanted // WIDTH)
        padded = np.zeros((m, parts * WIDTH))
        padded[:, :wanted] = columns
        own = np.moveaxis(padded.reshape(m, parts, WIDTH), 1, 0)
        tables = self.send("shells.tables", np.concatenate([own.ravel(), s2, (form**2).ravel()]), np.float64)
        cut = own.size
        where = self.send("shells.b", b, np.float64), self.unchanged("shells.kind", kind, np.int32)
        out = self.buffer("shells.out", (parts, n, WIDTH), np.float64)
        for part in range(parts):
            self.launch(
                "shell_products", n, *where, tables[cut : cut + m], tables[cut + m :],
                tables[part * m * WIDTH : (part + 1) * m * WIDTH], np.int32(n), np.int32(m), out[part : part + 1],
            )
        return np.ascontiguousarray(np.moveaxis(self.device.download(out), 0, 1).reshape(n, parts * WIDTH)[:, :wanted])
