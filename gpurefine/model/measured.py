"""What was measured beside amplitudes, as the choice of a likelihood takes it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class TwinInput:
    """The laws of a twin on the list of reflections.

    Attributes:
        names: of the laws, such as "-h,k,-l".
        mates: (1 + k, n) int64: row d is the reflection that domain d adds to each intensity; −1 where its F is 0 by
            symmetry, −2 where it is not in the list.
        orbit: (n,) number of the set of reflections that symmetry and laws relate.
        fractions: (1 + k,) first estimate, adding up to 1.
    """

    names: tuple[str, ...]
    mates: NDArray[np.int64]
    orbit: NDArray[np.intp]
    fractions: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """``prior`` (n, 4) Hendrickson–Lattman coefficients to use with amplitudes, or None; ``twin`` or None.

    Intensities that are refined against are part of the reflections.
    """

    prior: NDArray[np.float64] | None = None
    twin: TwinInput | None = None
