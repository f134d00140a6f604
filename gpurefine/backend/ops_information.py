"""Sums over resolution shells for every atom: what its information about the data is made of."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]


class InformationOps(Protocol):
    """The part of the table of operations that :mod:`gpurefine.forward.fisher` is made of."""

    def shell_products(self, b: F64, kind: NDArray[np.int32], s2: F64, form: F64, columns: F64) -> F64:
        """Σ_k f_k² exp(−b s_k²/2) c_kj (n, j) of atoms with B ``b`` (n,) Å² and scatterer ``kind`` (n,) int32.

        Shells k have 1/d² ``s2`` (m,) Å⁻², form factors f ``form`` (n_scatterer, m) and any ``columns`` c (m, j).
        """
        ...


class ShellProducts:
    """The definition, which is a matrix product and nothing that compiled code would do faster."""

    def shell_products(self, b: F64, kind: NDArray[np.int32], s2: F64, form: F64, columns: F64) -> F64:
        """See :class:`InformationOps`."""
        power = np.multiply.outer(b, -0.5 * s2)
        np.exp(power, out=power)
        power *= (form**2)[kind]
        return np.asarray(power @ columns)
