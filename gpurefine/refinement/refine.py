"""The refinement loop: cycles of scale, step, hydrogens, statistics."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..config import USUAL_RMSZ, RefineOptions
from ..errors import NumericalError, Status
from ..model.records import CycleRecord, RestraintRecord
from ..optimise.gauss_newton import StepOutcome, step
from ..params.tensors import tensors_of
from ..restraints.statistics import restraint_statistics
from .body_search import search_bodies
from .mask_search import optimise_mask
from .objective import Objective, State
from .overall_b import give_overall_b
from .weights import next_weight, starting_weight

F64 = NDArray[np.float64]

HYDROGEN_SHIFT = 0.015
"""Å r.m.s.: regenerated hydrogens nearer than this stay where riding has left them until they have drifted farther; it
saves one of the two structure-factor calculations of a late cycle."""

Progress = Callable[[CycleRecord], None]


@dataclass(slots=True, eq=False)
class Refinement:
    """A refinement in progress: the objective, the state of the model and what was recorded."""

    objective: Objective
    state: State
    cycles: list[CycleRecord]
    restraints: list[RestraintRecord]
    weight: float


@dataclass(frozen=True, slots=True)
class RestraintsFound:
    """Statistics of every kind of restraint, and the ``value`` of those that are refined against."""

    records: list[RestraintRecord]
    value: float


def start(objective: Objective, options: RefineOptions) -> Refinement:
    """Regenerate hydrogens, fit scale and error model, and record cycle 0.

    Raises:
        NumericalError: the model and the data cannot be scaled to each other.
    """
    began = time.perf_counter()
    objective.enter(1)
    values = objective.first_values()
    if objective.bodies is not None:
        with objective.timer("rigid-body search"):
            values, told = search_bodies(objective, objective.bodies, values)
            objective.notes += told
    state = objective.state(objective.regenerate_hydrogens(values))
    weight = starting_weight(objective.experiment.reflections.d_min)
    if options.weight != "auto":
        weight = float(options.weight)
    refinement = Refinement(objective, state, [], [], weight)
    with _beside_restraints(refinement) as restraints:
        _update(objective, state)
        if objective.search_mask:
            with objective.timer("solvent mask"):
                objective.notes += optimise_mask(objective, state)
        _record(refinement, None, restraints, began)
    return refinement


def run_cycle(refinement: Refinement, options: RefineOptions) -> CycleRecord:
    """One cycle: a step at fixed scale and error model, then new hydrogens, scale, error model and statistics.

    Raises:
        NumericalError: the target is not a finite number.
    """
    began = time.perf_counter()
    objective = refinement.objective
    objective.enter(len(refinement.cycles))
    outcome = _step(refinement)
    if outcome.status is Status.NOT_FINITE:
        raise NumericalError(
            "The target is not a finite number; the model or the data hold values that cannot be refined "
            "(look for atoms on top of each other and for absurd amplitudes)."
        )
    objective.learn(outcome)
    moved = objective.regenerate_hydrogens(refinement.state.values)
    if _hydrogens_drifted(objective, moved.xyz - refinement.state.xyz):
        refinement.state = objective.state(moved)
    with _beside_restraints(refinement) as restraints:
        _update(objective, refinement.state)
        record = _record(refinement, outcome, restraints, began)
    if options.weight == "auto" and objective.stage.moves_atoms:
        previous = refinement.cycles[-2].rmsz_bond if len(refinement.cycles) > 1 else None
        # few data hold bonds tighter than the usual band, and no weight makes more of them: R_free would pay
        asked = options.rmsz != USUAL_RMSZ
        most = math.inf if asked else starting_weight(objective.experiment.reflections.d_min)
        refinement.weight = next_weight(refinement.weight, record.rmsz_bond, previous, options.rmsz_band(), most)
    return record


def _hydrogens_drifted(objective: Objective, shift: F64) -> bool:
    """Whether regenerated hydrogens lie so far from where riding has left them that F_calc must know."""
    hydrogens = objective.atoms.is_hydrogen
    if not hydrogens.any():
        return False
    return float(np.sqrt(np.mean(np.sum(shift[hydrogens] ** 2, axis=1)))) > HYDROGEN_SHIFT


def _update(objective: Objective, state: State) -> None:
    fit = objective.experiment.update(objective.scatterers(state.values), state.f_calc)
    if not math.isfinite(objective.experiment.backend.total(fit.scaled.factor)):
        raise NumericalError("The model and the data cannot be scaled to each other; do they belong together?")
    if objective.overall_b:
        give_overall_b(objective, state)


@contextmanager
def _beside_restraints(refinement: Refinement) -> Iterator[Callable[[], RestraintsFound]]:
    """List contacts and evaluate the restraints while the body fits and measures the data, which needs none of it."""
    objective = refinement.objective
    if objective.overall_b:  # the body moves every B
        yield lambda: _find_restraints(refinement)
        return
    objective.scatterers(refinement.state.values)  # not by two at a time
    with objective.backend.beside(lambda: _find_restraints(refinement)) as found:
        yield found


def _find_restraints(refinement: Refinement) -> RestraintsFound:
    objective, values = refinement.objective, refinement.state.values
    objective.list_contacts(values)
    with objective.timer("statistics"):
        whole, is_aniso = objective.whole(values), objective.composition.is_aniso
        if objective.copies is not None:
            is_aniso = objective.copies.ncs.each(is_aniso)
        records = restraint_statistics(
            whole.xyz, objective.topology, objective.geometry, objective.nonbonded, objective.adp, whole.b_iso,
            objective.tensors, tensors_of(whole, is_aniso),
        )
        value = objective.restraints(values)
    if objective.backend.concurrent:
        objective.prepare(values, len(refinement.cycles) + 1)
    return RestraintsFound(records, value)


def _step(refinement: Refinement) -> StepOutcome:
    objective, begin = refinement.objective, refinement.state
    value = objective.value(begin, refinement.weight)
    if not objective.terms and not objective.data_kinds:
        return StepOutcome(value, 0, 0.0, 0, Status.OK)
    blocks, fit = objective.linearise(begin, refinement.weight), objective.experiment.fitted

    def evaluate(shifts: Sequence[F64]) -> float:
        if not any(np.any(shift) for shift in shifts):
            refinement.state = begin
            objective.experiment.change(fit.scale, fit.errors, begin.f_calc)
            return value
        refinement.state = objective.moved(begin, fit, shifts)
        return objective.value(refinement.state, refinement.weight)

    with objective.timer("solve"):
        return step(objective.backend, blocks, value, evaluate, length=objective.length)


def _record(
    refinement: Refinement, outcome: StepOutcome | None, restraints: Callable[[], RestraintsFound], began: float
) -> CycleRecord:
    objective = refinement.objective
    experiment = objective.experiment
    with objective.timer("statistics"):
        work, free = experiment.work, experiment.free
        agreed, tested = experiment.agreement()
        total = experiment.backend.total
        ll_work = total(experiment.evaluate_fit(work).minus_ll)
        ll_free = total(experiment.evaluate_fit(free).minus_ll) if len(free) else None
        found = restraints()
        refinement.restraints = found.records
        by_kind = {record.kind: record for record in refinement.restraints}
        bond, angle, chiral = (by_kind.get(kind) for kind in ("bond", "angle", "chiral"))
        record = CycleRecord(
            cycle=len(refinement.cycles),
            r_work=agreed.r,
            r_free=tested.r,
            r_work_plain=agreed.r_plain,
            r_free_plain=tested.r_plain,
            cc_work=agreed.cc,
            cc_free=tested.cc,
            target=refinement.weight * ll_work + found.value,
            ll_work=ll_work / len(work),
            ll_free=None if ll_free is None else ll_free / len(free),
            weight=refinement.weight,
            rmsd_bond=bond.rmsd if bond else None,
            rmsz_bond=bond.rmsz if bond else None,
            rmsd_angle=angle.rmsd if angle else None,
            rmsz_angle=angle.rmsz if angle else None,
            rmsd_chiral=chiral.rmsd if chiral else None,
            halvings=outcome.halvings if outcome else None,
            ridge=outcome.ridge if outcome else None,
            cg_iterations=outcome.iterations if outcome else None,
            status=outcome.status.value if outcome else None,
            stage=objective.stage.name if outcome else None,
            r1_work=agreed.r1,
            r1_free=tested.r1,
            cci_work=agreed.cci,
            cci_free=tested.cci,
        )
    record.seconds = time.perf_counter() - began
    refinement.cycles.append(record)
    return record
