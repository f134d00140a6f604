"""TLS groups as files state them: which atoms, and tensors where there are any."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..constants import DEGREE
from ..model.tls import ResidueRange, Tensors

F64 = NDArray[np.float64]

FILE_UNITS = np.concatenate([np.ones(6), np.full(6, DEGREE**2), np.full(8, DEGREE)])
"""(20,): files have T in Å², L in deg² and S in Å deg."""


@dataclass(frozen=True, slots=True, eq=False)
class TlsRecord:
    """One group of a file.

    Attributes:
        name: how it is called there.
        ranges: its residues; selections: texts that say more (see :mod:`gpurefine.io.selection`).
        origin: (3,) Å, None where the file gives none.
        values: (20,) in Å², rad², Å rad as in :mod:`gpurefine.model.tls`, None where the file has no tensors.
    """

    name: str
    ranges: tuple[ResidueRange, ...] = ()
    selections: tuple[str, ...] = ()
    origin: F64 | None = None
    values: F64 | None = None
    kinds: tuple[str, ...] = field(default=())


def values_from(t: F64, libration: F64, s: F64) -> F64:
    """Parameters (20,) of tensors (3, 3) in the units of files: Å², deg², Å deg."""
    tensors = Tensors(t[None], libration[None] * DEGREE**2, s[None] * DEGREE)
    return np.asarray(tensors.values()[0])


def file_tensors(values: F64) -> tuple[F64, F64, F64]:
    """T, L and S (3, 3) of parameters (20,) in the units of files."""
    tensors = Tensors.of(values[None])
    return tensors.t[0], tensors.l[0] / DEGREE**2, tensors.s[0] / DEGREE
