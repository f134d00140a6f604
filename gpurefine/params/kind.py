"""What every kind of refined parameter offers (method 6): one interface for positions, displacements and the rest."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..backend.plans import AtomInformation, DensityGradient
from .values import AtomTangent, AtomValues

F64 = NDArray[np.float64]


class ParameterKind(Protocol):
    """Shifts (m, s) of one kind of parameter and what they do to the atoms.

    Attributes:
        name: what it is called in messages and records.
        limit: largest shift of one component in one step.
        by_occupancy: :meth:`pull` reads the slope with respect to occupancies, which costs extra.
    """

    @property
    def name(self) -> str: ...  # noqa: D102

    @property
    def limit(self) -> float: ...  # noqa: D102

    @property
    def by_occupancy(self) -> bool: ...  # noqa: D102

    @property
    def shape(self) -> tuple[int, int]:
        """(m, s): blocks and parameters a block."""
        ...

    def move(self, values: AtomValues, shift: F64) -> AtomValues:
        """The atoms after a shift (m, s); what must stay in bounds stays there."""
        ...

    def tangent(self, values: AtomValues, shift: F64) -> AtomTangent:
        """The derivative of :meth:`move` along ``shift`` (m, s) at no shift."""
        ...

    def pull(self, values: AtomValues, slope: DensityGradient) -> F64:
        """Gradient (m, s) from the gradient by atoms: the transpose of :meth:`tangent`."""
        ...

    def pull_blocks(self, values: AtomValues, information: AtomInformation) -> F64:
        """Curvature blocks (m, s, s) from those of the atoms."""
        ...

    def constrain(self, gradient: F64) -> F64:
        """A gradient (m, s) of restraints without the directions that are not refined."""
        ...
