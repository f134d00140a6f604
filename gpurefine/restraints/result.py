"""What restraints of a sort come to; a device's results come down when the first of all that wait is read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..backend.blocks import BlockMatrix

F64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class RestraintResult:
    """Value and derivatives of restraints.

    Attributes:
        kinds: names of the restraints' kinds.
        sums: their values by kind, Σ ½ z²; may still be on a device.
        slope: (n, …) the gradient, with the shape of the parameters; may still be on a device.
        blocks: gives the Gauss–Newton matrices, to be summed.
    """

    kinds: Sequence[str]
    sums: Any
    slope: Any
    blocks: Callable[[], list[BlockMatrix]]

    @property
    def values(self) -> dict[str, float]:
        """Values by kind."""
        return {kind: float(v) for kind, v in zip(self.kinds, np.asarray(self.sums).reshape(-1), strict=True)}

    @property
    def value(self) -> float:
        """The sum of all."""
        return total(self.sums)

    @property
    def gradient(self) -> F64:
        """Per Å, Å² or whatever the parameters are in; rows of riding atoms are zero, their share is the parent's."""
        return np.asarray(self.slope)

    @property
    def matrices(self) -> list[BlockMatrix]:
        """Gauss–Newton blocks, to be summed; empty unless asked for."""
        return self.blocks()


def total(sums: Any) -> float:
    """The number that ``sums``, of the host or of a device, come to."""
    return float(np.asarray(sums).sum())
