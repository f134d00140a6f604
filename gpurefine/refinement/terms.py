"""What a cycle refines: kinds of parameters with the restraints on them, in stages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..backend.blocks import BlockMatrix
from ..backend.ops_restraints import RestraintOps
from ..params.copies import Copies
from ..params.grouped import GroupedB
from ..params.kind import ParameterKind
from ..params.tensors import tensors_of
from ..params.values import AtomValues
from ..restraints.adp import AdpRestraints
from ..restraints.adp_tensors import TensorRestraints
from ..restraints.deuterium import FractionRestraints
from ..restraints.geometry import GeometryRestraints
from ..restraints.nonbonded import NonbondedRestraints
from ..restraints.positions import PositionRestraints
from ..restraints.result import total

F64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class RestraintSlope:
    """What gives the gradient (m, s) of restraints, and matrices that sum to the curvature, both of the parameters."""

    gradient: Callable[[], F64]
    matrices: Callable[[], list[BlockMatrix]]


class KindRestraints(Protocol):
    """Restraints on one kind of parameter.

    A device works at what was begun, and its results come down together when the first is read.
    """

    def begin(self, values: AtomValues) -> Callable[[], float]:
        """What gives their sum."""
        ...

    def value(self, values: AtomValues) -> float:
        """Their sum."""
        return self.begin(values)()

    def linearise(self, values: AtomValues) -> RestraintSlope:
        """Gradient and curvature."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class PositionTerms(KindRestraints):
    """Covalent geometry, contacts and fixed positions."""

    geometry: GeometryRestraints
    nonbonded: NonbondedRestraints
    positions: PositionRestraints

    def begin(self, values: AtomValues) -> Callable[[], float]:
        """Σ ½ z²."""
        xyz = values.xyz
        parts = self.geometry.sums(xyz), self.nonbonded.sums(xyz), self.positions.value(xyz)
        return lambda: sum(map(total, parts))

    def linearise(self, values: AtomValues) -> RestraintSlope:
        """Gradient (n, 3) and blocks of side 3."""
        covalent = self.geometry.evaluate(values.xyz, True)
        both = self.nonbonded.evaluate(values.xyz, True, covalent.slope)  # adds to the gradient that is there
        held = self.positions.evaluate(values.xyz, True)
        return RestraintSlope(
            lambda: both.gradient + held.gradient,
            lambda: [matrix for part in (covalent, both, held) for matrix in part.matrices],
        )


@dataclass(frozen=True, slots=True, eq=False)
class IsotropicTerms(KindRestraints):
    """Similarity of neighbours' isotropic B."""

    adp: AdpRestraints

    def begin(self, values: AtomValues) -> Callable[[], float]:
        """Sum of the divergences."""
        return partial(total, self.adp.sums(values.b_iso))

    def linearise(self, values: AtomValues) -> RestraintSlope:
        """Gradient (n, 1) and blocks of side 1."""
        result = self.adp.evaluate(values.b_iso, True)
        return RestraintSlope(lambda: result.gradient[:, None], lambda: result.matrices)


@dataclass(frozen=True, slots=True, eq=False)
class TensorTerms(KindRestraints):
    """Similarity, rigid bonds and sphericity of tensors, of which those of ``is_aniso`` (n,) atoms are anisotropic."""

    restraints: TensorRestraints
    is_aniso: NDArray[np.bool_]

    def begin(self, values: AtomValues) -> Callable[[], float]:
        """Sum of the divergences."""
        return partial(total, self.restraints.sums(tensors_of(values, self.is_aniso)))

    def linearise(self, values: AtomValues) -> RestraintSlope:
        """Gradient (n, 6) and blocks of side 6."""
        result = self.restraints.evaluate(tensors_of(values, self.is_aniso), True)
        return RestraintSlope(lambda: result.gradient, lambda: result.matrices)


@dataclass(frozen=True, slots=True, eq=False)
class FractionTerms(KindRestraints):
    """Likeness of parts of deuterium."""

    restraints: FractionRestraints

    def begin(self, values: AtomValues) -> Callable[[], float]:
        """Sum of the restraints."""
        return partial(self.restraints.value, values.deuterium)

    def linearise(self, values: AtomValues) -> RestraintSlope:
        """Gradient (s, 1) and blocks of side 1."""
        return RestraintSlope(
            lambda: self.restraints.gradient(values.deuterium)[:, None], lambda: [self.restraints.curvature()]
        )


@dataclass(frozen=True, slots=True, eq=False)
class OverCopies(KindRestraints):
    """Restraints on the atoms of all copies that strict symmetry makes, as restraints on those of the one copy."""

    inner: KindRestraints
    copies: Copies
    backend: RestraintOps

    def begin(self, values: AtomValues) -> Callable[[], float]:
        """Their sum over all copies."""
        return self.inner.begin(self.copies.values(values))

    def linearise(self, values: AtomValues) -> RestraintSlope:
        """Gradient and curvature by the parameters of the one copy."""
        found = self.inner.linearise(self.copies.values(values))
        return RestraintSlope(
            lambda: self.copies.vectors(found.gradient()),
            lambda: [self.copies.matrix(matrix, self.backend) for matrix in found.matrices()],
        )


@dataclass(frozen=True, slots=True, eq=False)
class OverGroups(KindRestraints):
    """Restraints on the isotropic B of atoms as restraints on the shifts that groups of them share."""

    inner: KindRestraints
    kind: GroupedB
    backend: RestraintOps

    def begin(self, values: AtomValues) -> Callable[[], float]:
        """Their sum over all atoms."""
        return self.inner.begin(values)

    def linearise(self, values: AtomValues) -> RestraintSlope:
        """Gradient (g, 1) and blocks of side 1."""
        found = self.inner.linearise(values)
        return RestraintSlope(
            lambda: self.kind.summed(found.gradient()[:, 0])[:, None],
            lambda: [self.kind.matrix(matrix, self.backend) for matrix in found.matrices()],
        )


def over(restraints: KindRestraints, copies: Copies | None, backend: RestraintOps) -> KindRestraints:
    """The restraints as those on the atoms of one copy, where there are ``copies``."""
    return restraints if copies is None else OverCopies(restraints, copies, backend)


@dataclass(frozen=True, slots=True, eq=False)
class Term:
    """One kind of parameter with its restraints, where it has any.

    Directions whose curvature is below ``filter`` times the largest of their block are left out.  ``within`` gives for
    atoms, gradient (m, s) and curvature (m, s, s) the gradient whose full step ends where the parameters are allowed.
    ``held`` gives for atoms and gradient (m, s) which (m,) are at a bound that the step would cross: these stay.
    """

    kind: ParameterKind
    restraints: KindRestraints | None = None
    filter: float = 0.0
    within: Callable[[AtomValues, F64, F64], F64] | None = None
    held: Callable[[AtomValues, F64], NDArray[np.bool_]] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Stage:
    """Consecutive cycles that refine the same kinds of parameters.

    Attributes:
        name: what the records call it.
        cycles: how many.
        terms: what is refined.
        d_min: Å, resolution of the data refined against; None for all.
    """

    name: str
    cycles: int
    terms: tuple[Term, ...]
    d_min: float | None = None

    @property
    def moves_atoms(self) -> bool:
        """Whether positions are refined atom by atom, so that the weight steers their geometry."""
        return any(term.kind.name == "positions" for term in self.terms)
