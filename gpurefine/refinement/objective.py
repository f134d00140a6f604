"""The total target: Σ experiments + restraints, and its local quadratic model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from ..backend.ops import Backend
from ..backend.ops_reflections import Array
from ..backend.plans import AtomInformation, DensityGradient, ModelHolder, Scatterers
from ..model.atoms import Atoms
from ..model.topology import Topology
from ..optimise.eigen_filter import filtered, without
from ..optimise.gauss_newton import LinearBlock, StepOutcome
from ..params.copies import Copies
from ..params.rigid import BodySearch
from ..params.values import AtomValues, Composition
from ..restraints.adp import AdpRestraints
from ..restraints.adp_tensors import TensorRestraints
from ..restraints.geometry import GeometryRestraints
from ..restraints.nonbonded import NonbondedRestraints
from ..restraints.riding import HydrogenIdealiser
from .data_parameters import DataParameters, data_slopes, moved_fit
from .experiment import Experiment, Fit
from .terms import RestraintSlope, Stage, Term
from .timing import Timer

F64 = NDArray[np.float64]

DAMPING = 1.5
"""The expected information is a diagonal that leaves out how atoms share the data, so a step with it overshoots and R
oscillates from cycle to cycle; this factor on the X-ray blocks damps that.  The peer has 2 without saying so."""

DAMPING_MIN, DAMPING_MAX = 1.25, 4.0
DAMPING_UP, DAMPING_DOWN = 1.3, 0.95
DAMPING_SHORT = 1.1

SHORTEST = 0.5
"""Part of the full step that a cycle tries first at least."""

SHORT = 0.75
"""A step that is taken only to this part or less asks for more damping."""


@dataclass(slots=True, eq=False)
class State:
    """The moving model: the atoms' ``values`` and their structure factors ``f_calc`` (n_model, n_refl)."""

    values: AtomValues
    f_calc: Array

    @property
    def xyz(self) -> F64:
        """(n, 3) Å."""
        return self.values.xyz

    @property
    def b_iso(self) -> F64:
        """(n,) Å²."""
        return self.values.b_iso


@dataclass(slots=True, eq=False)
class Objective:
    """Weighted likelihood plus restraints of one model and one data set.

    Attributes:
        stages: what is refined, in order; stage: the present one.
        geometry, nonbonded, adp, tensors: restraints that statistics report, whether or not they are refined against.
        damping: factor on the X-ray blocks; length: part of the full step that is tried first.
        data: parameters of the experiment that are refined in stages that use all data.
        bodies: rigid bodies that are searched for before the first cycle.
        overall_b: the overall scale's B goes to the atoms; search_mask: radii of the solvent mask are searched for;
        notes: what the user is to be told of that.
        copies: strict symmetry that makes the atoms of the asymmetric unit out of ``atoms``; the restraints and
            ``topology`` are those of all copies then, values and parameters those of the one.
    """

    backend: Backend
    atoms: Atoms
    topology: Topology
    experiment: Experiment
    composition: Composition
    stages: tuple[Stage, ...]
    stage: Stage
    geometry: GeometryRestraints
    nonbonded: NonbondedRestraints
    adp: AdpRestraints
    tensors: TensorRestraints | None
    hydrogens: HydrogenIdealiser
    timer: Timer
    damping: float = DAMPING
    length: float = 1.0
    data: tuple[DataParameters, ...] = ()
    overall_b: bool = False
    search_mask: bool = False
    bodies: BodySearch | None = None
    notes: list[str] = field(default_factory=list)
    copies: Copies | None = None
    _known: tuple[AtomValues, float] | None = None
    _scattering: tuple[AtomValues, Scatterers] | None = None
    _prepared: tuple[AtomValues, Sequence[Term], list[RestraintSlope | None]] | None = None

    @property
    def cycles(self) -> int:
        """Number of cycles of all stages."""
        return sum(stage.cycles for stage in self.stages)

    @property
    def terms(self) -> Sequence[Term]:
        """What the present cycle refines."""
        return self.stage.terms

    def enter(self, cycle: int) -> None:
        """Take up the stage that cycle ``cycle`` (from 1) belongs to; cycles beyond the last stage belong to it."""
        before = self.stage
        self.stage = self._stage_of(cycle)
        if self.stage is not before:
            self.length, self._known = 1.0, None
        self.experiment.restrict(self.stage.d_min)

    def _stage_of(self, cycle: int) -> Stage:
        for stage in self.stages:
            cycle -= stage.cycles
            if cycle <= 0:
                return stage
        return self.stages[-1]

    def first_values(self) -> AtomValues:
        """The model as refinement takes it up."""
        values = AtomValues.of(self.atoms)
        groups, sites = self.composition.tls, self.composition.deuterium
        if groups is not None:
            values = replace(values, tls=groups.start)
        return values if sites is None else replace(values, deuterium=sites.start)

    def scatterers(self, values: AtomValues) -> Scatterers:
        """The atoms of the asymmetric unit as the density operations take them; the same object for the same values."""
        if self._scattering is None or self._scattering[0] is not values:
            atoms = self.composition.scatterers(values)
            if self.copies is not None:
                atoms = self.copies.scatterers(atoms)
            if isinstance(self.backend, ModelHolder):
                tensors = (atoms.u_aniso,) if atoms.is_aniso.any() else ()
                self.backend.take_up((atoms.xyz, atoms.b_iso, atoms.weight, *tensors))
            self._scattering = values, atoms
        return self._scattering[1]

    def whole(self, values: AtomValues) -> AtomValues:
        """The atoms of the asymmetric unit."""
        return values if self.copies is None else self.copies.values(values)

    def of_one_copy(
        self, slope: DensityGradient, information: AtomInformation
    ) -> tuple[DensityGradient, AtomInformation]:
        """Derivatives by ``atoms`` from those by all atoms of the asymmetric unit."""
        if self.copies is None:
            return slope, information
        return self.copies.gradient(slope), self.copies.information(information)

    def state(self, values: AtomValues) -> State:
        """A model with its structure factors."""
        return State(values, self.experiment.structure_factors(self.scatterers(values)))

    def regenerate_hydrogens(self, values: AtomValues) -> AtomValues:
        """The model with riding hydrogens where the dictionary wants them, heavy atoms unmoved."""
        with self.timer("hydrogens"):
            return values.at(self.hydrogens.idealise(values.xyz))

    def list_contacts(self, values: AtomValues) -> None:
        """Rebuild the lists of non-bonded and displacement pairs; they stay as they are within a cycle."""
        with self.timer("contacts"):
            xyz = self.whole(values).xyz
            contacts = self.nonbonded.update(xyz)
            motion = self.composition.group_b(values)
            if motion is not None:
                self.adp.motion = motion if self.copies is None else self.copies.ncs.each(motion)
            self.adp.update(xyz, contacts)
            self._known = None

    def restraints(self, values: AtomValues) -> float:
        """Value of all restraints of the present stage."""
        if self._known is not None and self._known[0] is values:
            return self._known[1]  # the end of one cycle is the beginning of the next
        with self.timer("restraints"):
            begun = [term.restraints.begin(values) for term in self.terms if term.restraints is not None]
            total = sum(value() for value in begun)
        self._known = (values, total)
        return total

    def value(self, state: State, weight: float) -> float:
        """weight × Σ(−LL) + restraints at fixed scale, solvent, error model, pair lists and riding offsets."""
        return weight * self.experiment.value(state.f_calc) + self.restraints(state.values)

    @property
    def data_kinds(self) -> Sequence[DataParameters]:
        """What the present cycle refines of the experiment: few data would determine it badly."""
        return self.data if self.stage.d_min is None else ()

    def moved(self, begin: State, fit: Fit, shifts: Sequence[F64]) -> State:
        """The model after a shift of every kind of parameter of the present stage, those of the experiment last.

        The experiment, which had ``fit`` at ``begin``, takes up its parameters.
        """
        values, count = begin.values, len(self.terms)
        for term, shift in zip(self.terms, shifts[:count], strict=True):
            values = term.kind.move(values, shift)
        state = self.state(values)
        if self.data_kinds:
            self.experiment.change(*moved_fit(fit, self.data_kinds, shifts[count:]), state.f_calc)
        return state

    def learn(self, outcome: StepOutcome) -> None:
        """Damping and first length of the next step by how this one went.

        X-ray blocks are stiffened much after a step that had to be shortened, somewhat after one that was short from
        the beginning, and relaxed slowly otherwise.  The next step begins where this one would have been best.
        """
        if outcome.length > 0.0:
            self.length = float(np.clip(outcome.best, SHORTEST, 1.0))
        factor = DAMPING_UP if outcome.halvings else DAMPING_SHORT if 0.0 < outcome.length < SHORT else DAMPING_DOWN
        self.damping = float(np.clip(self.damping * factor, DAMPING_MIN, DAMPING_MAX))

    def prepare(self, values: AtomValues, cycle: int) -> None:
        """Linearise the restraints at ``values``, for cycle ``cycle`` that begins there, if there is to be one."""
        if cycle > self.cycles:
            return
        terms = self._stage_of(cycle).terms
        with self.timer("restraints"):
            self._prepared = values, terms, _linearised(terms, values)

    def _slopes(self, values: AtomValues) -> list[RestraintSlope | None]:
        """Gradient and curvature of the restraints of every term, as prepared if they were for this."""
        prepared, self._prepared = self._prepared, None
        if prepared is not None and prepared[0] is values and prepared[1] is self.terms:
            return prepared[2]
        return _linearised(self.terms, values)

    def linearise(self, state: State, weight: float) -> list[LinearBlock]:
        """Gradient and curvature of every kind of parameter of the present stage, those of the experiment last.

        These are undamped: their information leaves nothing out.
        """
        values = state.values
        by_occupancy = any(term.kind.by_occupancy for term in self.terms)
        slope, information = self.experiment.linearise(self.scatterers(values), state.f_calc, by_occupancy)
        slope, information = self.of_one_copy(slope, information)
        slope = self.composition.by_values(values, slope)
        blocks: list[LinearBlock] = []
        with self.timer("restraints"):
            for term, restraints in zip(self.terms, self._slopes(values), strict=True):
                kind = term.kind
                gradient = weight * kind.pull(values, slope)
                extra = (weight * self.damping) * kind.pull_blocks(values, information)
                matrices = []
                if restraints is not None:
                    gradient += kind.constrain(restraints.gradient())
                    matrices = restraints.matrices()
                if term.filter > 0.0:
                    gradient, extra = filtered(gradient, extra, term.filter)
                if term.held is not None:
                    gradient, extra = without(term.held(values, gradient), gradient, extra)
                within = None if term.within is None else term.within(values, gradient, extra)
                blocks.append(LinearBlock(gradient, matrices, extra, kind.limit, within))
        for data, own in zip(self.data_kinds, data_slopes(self.experiment, self.data_kinds), strict=True):
            blocks.append(LinearBlock(weight * own.gradient[None], [], weight * own.information[None], data.limit))
        return blocks


def _linearised(terms: Sequence[Term], values: AtomValues) -> list[RestraintSlope | None]:
    """Gradient and curvature of the restraints of every term."""
    return [None if term.restraints is None else term.restraints.linearise(values) for term in terms]
