"""The whole job: read a model and data, refine, write the results.

:func:`run` is what ``gpurefine refine`` does.  :func:`read`, :meth:`Problem.refine` and :meth:`Result.write` are the
same in steps, for use from Python.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .backend import compile_beside, create, describe_choice, first_run_notice
from .backend.ops import Backend
from .checkpoints import Keeper, Start, check_problem, input_files, read_start
from .config import Config, RefineOptions, config_of
from .errors import InputError, InterruptedRefinement, NumericalError, OutputError, interruptions
from .fcalc import StructureFactors, structure_factors
from .group_choice import choose_groups, decide_displacements
from .io.anomalous_input import Scattering
from .io.atomic import SUFFIXES, check_output_folder
from .io.derivative import scattering_of
from .io.deuterium import shared_sites_merged
from .io.measured_input import LikelihoodInput, likelihood_input
from .io.outputs import write_all
from .io.reflections import DataSet, read_data
from .io.scattering import form_factors
from .io.source import resolved
from .io.strict_ncs import find_copies
from .io.structure import InputModel, Structure, read_model, structure_crystal
from .io.topology import ChemicalModel, build_model, update_structure
from .model.records import CycleRecord, Report
from .model.strict_ncs import StrictNcs
from .params.tls import validity
from .refinement import refine as loop
from .refinement.anomalous import in_words
from .refinement.checkpoint import Snapshot, restore, take
from .refinement.groups import MovingGroups, deuterium_result, occupancy_result, settle_motion, tls_result
from .refinement.phase_placement import place_by_atoms
from .refinement.refine import Refinement
from .refinement.report import final_report
from .refinement.setup import build_objective
from .refinement.timing import Timer

__all__ = ["Problem", "Result", "StructureFactors", "config_of", "read", "resume", "run", "structure_factors"]

Progress = Callable[[str | CycleRecord], None]


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """A finished refinement.

    Attributes:
        report: statistics of every cycle, shells, restraints, maps.
        structure: the refined model (gemmi), hydrogens only where they are to be written.
        files: paths written, after :meth:`write` or :func:`run`.
        stopped: what ended the refinement before its last cycle; the report is then that of the last finished cycle.
    """

    report: Report
    structure: Structure
    problem: Problem
    files: tuple[str, ...] = ()
    stopped: BaseException | None = None

    @interruptions()
    def write(self, prefix: str, command: str = "", model: bool = True) -> Result:
        """Write PREFIX.cif, .pdb, .mtz, .json, .log and .toml; without ``model`` not the first two.

        Raises:
            OutputError: a file cannot be written; none is then left half done.
        """
        config = replace(self.problem.config, prefix=str(prefix))
        document = self.problem.model.document
        timer = self.problem.timer
        with timer("output"):
            write_all(
                str(prefix), self.structure, document, self.problem.data, self.report, config, command, model,
                timer.table,
            )
        suffixes = [s for s in SUFFIXES if model or s not in (".cif", ".pdb", ".tls")]
        if self.report.tls is None:
            suffixes = [s for s in suffixes if s != ".tls"]
        written = tuple(str(prefix) + s for s in suffixes if Path(str(prefix) + s).is_file())
        return replace(self, files=written)


@dataclass(frozen=True, slots=True, eq=False)
class Problem:
    """A model and data that belong together, read and checked.

    Attributes:
        config: the options, --source and --hydrogens decided; model, data: what was read; chemistry: atoms and
            restraints; scattering: form factors, and Friedel pairs that are refined against; messages: what the user
            is to be told; groups: what is refined as one; likelihood: what of the data is refined against; ncs:
            strict symmetry that makes the asymmetric unit out of the atoms.
    """

    config: Config
    model: InputModel
    data: DataSet
    chemistry: ChemicalModel
    scattering: Scattering
    backend: Backend
    timer: Timer
    messages: tuple[str, ...]
    groups: MovingGroups
    likelihood: LikelihoodInput
    ncs: StrictNcs | None = None

    def refine(self, cycles: int | None = None, progress: Progress | None = None) -> Result:
        """Refine for ``cycles`` cycles (default: as configured); ``progress`` gets sentences and cycle records.

        Raises:
            NumericalError: the calculation failed.
        """
        options = self.config.refine if cycles is None else replace(self.config.refine, cycles=cycles)
        result = self.attempt(options, progress)
        if result.stopped is not None:
            raise result.stopped
        return result

    def attempt(
        self,
        options: RefineOptions,
        progress: Progress | None = None,
        keep: Callable[[Snapshot], str | None] | None = None,
        start: Snapshot | None = None,
    ) -> Result:
        """As :meth:`refine`, but a refinement that is stopped once cycle 0 is finished yields its last finished cycle.

        Args:
            keep: is given every finished cycle, and returns what the user is to be told.
            start: the cycle to go on from.
        """
        with self.timer("plan"):
            objective, told = build_objective(
                self.backend, self.chemistry.atoms, self.chemistry.topology, self.chemistry.labels, self.data.crystal,
                self.data.reflections, self.scattering.form_factors, self.config.solvent, options, self.timer,
                self.scattering.anomalous, self.groups, self.likelihood.measured,
                self.scattering.derivative, self.ncs,
            )
        messages = [*self.messages, *told]
        _tell(progress, told)
        last = start
        try:
            with interruptions():
                if last is None or not self.likelihood.fits(last.experiment.errors):
                    state = loop.start(objective, options)
                    fewer = self.likelihood.without_small_domains(objective.experiment.fitted.errors)
                    if fewer is not None:
                        _tell(progress, fewer.messages)
                        self = replace(self, likelihood=fewer, data=fewer.data, messages=(*messages, *fewer.messages))
                        return self.attempt(options, progress, keep, start)
                    messages += objective.notes
                    _tell(progress, objective.notes)
                    last = take(state)
                    self._finished(last, keep, progress, messages)
                else:
                    state = restore(objective, last)
                while state.cycles[-1].cycle < objective.cycles:
                    loop.run_cycle(state, options)
                    last = take(state)
                    self._finished(last, keep, progress, messages)
                return self._result(state, messages, options)
        except (KeyboardInterrupt, NumericalError) as error:
            if last is None:
                raise
            messages.append(_what_stopped(error, last.cycles[-1].cycle, objective.cycles))
            result = self._result(restore(objective, last), messages, options)
            return replace(result, stopped=error)

    def _finished(
        self, last: Snapshot, keep: Callable[[Snapshot], str | None] | None, progress: Progress | None,
        messages: list[str],
    ) -> None:
        """Keep a cycle and tell of it."""
        with self.timer("checkpoint"):
            failure = None if keep is None else keep(last)
        _tell(progress, last.cycles[-1:])
        if failure is not None:
            messages.append(failure)
            _tell(progress, [failure])

    @interruptions()
    def _result(self, state: Refinement, messages: list[str], options: RefineOptions) -> Result:
        with self.timer("output"):
            self.backend.release()
            settle_motion(state)
            values = state.state.values
            if not self.config.groups.tls_residual_b:
                values = state.objective.composition.total(values)
            deuterium = deuterium_result(state, self.groups.deuterium)
            structure = update_structure(
                self.chemistry, values.xyz, values.b_iso, self.config.chemistry.write_hydrogens,
                not values.u_aniso.any(), values.u_aniso,
                None if self.groups.occupancies is None else values.occ, deuterium,
            )
            messages += in_words(state.objective, self.scattering.anomalous, self.scattering.derivative)
            device = f"{self.backend.name}, {self.backend.threads} threads"
            report = final_report(state, self.chemistry.labels, self.data.free_value, device, list(messages))
        solvent, change = self.config.solvent, state.objective.experiment.probe_change
        report.scale.probe_radius = solvent.probe_radius + change
        report.scale.ion_probe_radius = solvent.ion_probe_radius + change
        report.tls = tls_result(state, self.config.groups.tls_residual_b)
        report.deuterium = deuterium
        report.occupancies = occupancy_result(state, self.groups.occupancies)
        if report.tls is not None:
            report.messages += validity(report.tls.groups, report.tls.values)
        report.timing = self.timer.table()
        report.twin = self.likelihood.twin_report(state.objective.experiment.fitted.errors)
        return Result(report, structure, self)


def read(model: str | Path, data: str | Path, **options: Any) -> Problem:
    """Read a model and data.

    Args:
        model: PDB or mmCIF file; data: MTZ or structure-factor mmCIF.
        options: any field of the option groups in :mod:`gpurefine.config`, such as ``d_min=2.0`` or
            ``hydrogens="drop"``.

    Raises:
        UsageError: an option does not exist.
        InputError, ChemistryError: a file cannot be used; the sentence says why.
    """
    return prepare(config_of(str(model), str(data), "refined", options))


def prepare(config: Config, progress: Progress | None = None, before: float = 0.0) -> Problem:
    """Read everything that ``config`` names and build the restraints; ``before``: s that the process took until now."""
    timer = Timer(before)
    with timer("device"):
        backend = create(config.run.device, config.run.threads, config.run.fast_atomics)
        compile_beside(backend)
    _tell(progress, [describe_choice(config.run.device, backend), *first_run_notice(backend)])
    with timer("read model"):
        model = read_model(config.model)
        crystal = structure_crystal(model.structure)
        config, about_source = resolved(config, model.structure)
        if config.groups.refine_dfraction:
            merged, about_sites = shared_sites_merged(model.structure)
            model = replace(model, structure=merged, messages=(*model.messages, *about_sites))
    with timer("read data"):
        data = read_data(config.data_file, config.data, crystal, config.model, config.likelihood.twin)
    _tell(progress, [*model.messages, *about_source, *data.messages])
    with timer("topology"):
        chemistry = build_model(model.structure, data.crystal, config.chemistry, config.data.source)
        config, told = decide_displacements(config, chemistry, int(data.reflections.work.sum()))
        groups, chemistry, about_groups = choose_groups(config, model, chemistry)
        ncs, about_ncs = find_copies(model, chemistry, data.crystal)
        told += [*about_groups, *about_ncs]
    _tell(progress, [*chemistry.messages, *told])
    if not data.reflections.work.any():
        raise InputError(f"No working reflection is left in {config.data_file}; check the free set and the limits.")
    elements = chemistry.atoms.scatterer_names
    table = form_factors(elements, config.data.source)
    if data.phases is not None:
        with timer("phases"):
            phases, about_phases = place_by_atoms(
                backend, data.phases, data.crystal, data.reflections,
                chemistry.atoms if ncs is None else ncs.atoms(chemistry.atoms), table,
            )
            data = replace(data, phases=phases)
        told += about_phases
        _tell(progress, about_phases)
    likelihood = likelihood_input(data, config.likelihood, config.anomalous.of_pairs)
    data = likelihood.data
    told += likelihood.messages
    _tell(progress, likelihood.messages)
    scattering = scattering_of(table, elements, data, config.anomalous, config.data)
    _tell(progress, scattering.messages)
    messages = (
        *model.messages, *about_source, *data.messages, *chemistry.messages, *told, *scattering.messages
    )
    return Problem(config, model, data, chemistry, scattering, backend, timer, messages, groups, likelihood, ncs)


def run(
    config: Config, command: str = "", progress: Progress | None = None, write_model: bool = True, before: float = 0.0
) -> Result:
    """Read, refine and write: the whole of ``gpurefine refine``.

    Args:
        command: the command line, for the report; progress: gets sentences (str) and cycle records as they come;
        write_model: write the model files too; before: seconds that the process took until now, for the timing.

    Raises:
        GpurefineError: anything the user can put right, as one sentence.
    """
    check_output_folder(config.prefix, input_files(config))
    problem = prepare(config, progress, before)
    keeper = None
    if write_model and problem.config.cycles > 0:
        keeper = Keeper(config, problem.backend, problem.chemistry, problem.data, False)
    return _complete(problem, keeper, None, command, progress, write_model)


def resume(
    prefix: str,
    cycles: int | None = None,
    command: str = "",
    progress: Progress | None = None,
    quiet: bool | None = None,
    before: float = 0.0,
) -> Result:
    """Go on with a run that was stopped, from PREFIX.checkpoint: ``gpurefine refine --resume``.

    On the same device with as many threads the results are those of a run that was never stopped.

    Args:
        prefix: output prefix of the run, which keeps all its options.
        cycles: number of cycles of the atoms in all; default: as the run was to have. quiet: replaces the run's option.
        before: as for :func:`run`.

    Raises:
        InputError: there is no checkpoint, it is damaged, or an input file has changed.
        UsageError: more cycles are finished than asked for.
        GpurefineError: as :func:`run`.
    """
    start = _start(prefix, cycles, quiet)
    config = start.config
    check_output_folder(config.prefix, input_files(config))
    problem = prepare(start.run_config(), progress, before)
    problem = replace(problem, config=replace(problem.config, run=config.run))
    told = check_problem(start, problem.config, problem.backend, problem.chemistry, problem.data)
    _tell(progress, told)
    problem = replace(problem, messages=(*problem.messages, *told))
    _tell(progress, start.snapshot.cycles)
    keeper = Keeper(config, problem.backend, problem.chemistry, problem.data, True)
    return _complete(problem, keeper, start.snapshot, command, progress, True)


def _start(prefix: str, cycles: int | None, quiet: bool | None) -> Start:
    """The checkpoint with what may be changed."""
    start = read_start(prefix)
    config = start.config
    if cycles is not None:
        config = replace(config, refine=replace(config.refine, cycles=cycles))
    if quiet is not None:
        config = replace(config, run=replace(config.run, quiet=quiet))
    return replace(start, config=config)


def _complete(
    problem: Problem, keeper: Keeper | None, start: Snapshot | None, command: str, progress: Progress | None,
    write_model: bool,
) -> Result:
    """Refine and write, also what there is when the refinement is stopped before its end."""
    config = problem.config
    if keeper is None:  # nothing takes so long that half of it would be worth anything
        return problem.refine(progress=progress).write(config.prefix, command, write_model)
    try:
        result = problem.attempt(config.refine, progress, keeper.keep, start)
        try:
            result = result.write(config.prefix, command, write_model)
        except KeyboardInterrupt as error:
            if result.stopped is not None:
                raise
            last = result.report.cycles[-1].cycle
            result.report.messages.append(_what_stopped(error, last, config.cycles))
            result = replace(result.write(config.prefix, command, write_model), stopped=error)
    except (KeyboardInterrupt, OutputError) as error:
        if not keeper.usable:
            raise
        advice = f"To go on: gpurefine refine --resume {shlex.quote(config.prefix)}"
        if isinstance(error, OutputError):
            raise OutputError(f"{error} The refinement is not lost. {advice}") from error
        raise InterruptedRefinement(f"Stopped at once, without writing results. {advice}") from error
    if result.stopped is None:
        keeper.remove()
        return result
    last = result.report.cycles[-1].cycle
    what = f"{_what_stopped(result.stopped, last, config.cycles)} Written: {', '.join(result.files)}."
    if isinstance(result.stopped, NumericalError):
        keeper.remove()  # the same cycle would fail again
        raise NumericalError(what) from result.stopped
    if keeper.usable:
        what += f" To go on: gpurefine refine --resume {shlex.quote(config.prefix)}"
    raise InterruptedRefinement(what) from result.stopped


def _what_stopped(error: BaseException, last: int, cycles: int) -> str:
    """A sentence on why the results are those of cycle ``last`` of ``cycles``."""
    if isinstance(error, NumericalError):
        where = f"failed in cycle {last + 1} of {cycles}"
        return f"The refinement {where}: {error} The results are those after cycle {last}."
    where = f"in cycle {last + 1} of {cycles}" if last < cycles else "after its last cycle"
    return f"The refinement was interrupted {where}; the results are those after cycle {last}."


def _tell(progress: Progress | None, items: Any) -> None:
    if progress is not None:
        for item in items:
            progress(item)
