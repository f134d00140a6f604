"""What is known of anomalous scattering before refinement."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .friedel import FriedelPairs

F64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class AnomalousRows:
    """How F″ of the model is made up: rows of structure factors that add up to it.

    Attributes:
        names: what each row holds, such as "S" or "other elements".
        f_second: (n_row, n_scatterer) electrons, f″ of each scatterer in each row.
        refined: (n_row,) bool: the row's f″ are refined by one common factor.
    """

    names: tuple[str, ...]
    f_second: F64
    refined: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class AnomalousInput:
    """Friedel pairs with what scatters anomalously in them."""

    pairs: FriedelPairs
    rows: AnomalousRows
