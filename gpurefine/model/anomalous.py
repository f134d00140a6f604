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


@dataclass(frozen=True, slots=True, eq=False)
class Derivative:
    """An isomorphous derivative on the native's list of reflections.

    Attributes:
        pairs: its Friedel pairs, in its own units.
        sites: (k, 5) x, y, z in fractions of the native's cell, B (Å²) and occupancy of its heavy atoms.
        names: (k,) of the sites; gauss_a, gauss_b: (k, g) their form factors with f′; f_second: (k,) electrons.
    """

    pairs: FriedelPairs
    sites: F64
    names: tuple[str, ...]
    gauss_a: F64
    gauss_b: F64
    f_second: F64
