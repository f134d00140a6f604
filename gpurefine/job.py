"""The whole job: read a model and data, refine, write the results.

:func:`run` is what ``gpurefine refine`` does.  :func:`read`, :meth:`Problem.refine` and :meth:`Result.write` are the
same in steps, for use from Python.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from .backend import create, describe_choice
from .backend.ops import Backend
from .config import ChemistryOptions, Config, DataOptions, RefineOptions, RunOptions, SolventOptions
from .errors import InputError, UsageError
from .fcalc import StructureFactors, structure_factors
from .io.atomic import check_output_folder
from .io.outputs import write_all
from .io.reflections import DataSet, read_data
from .io.scattering import xray_gaussians
from .io.structure import InputModel, Structure, read_model, structure_crystal
from .io.topology import ChemicalModel, build_model, update_structure
from .model.records import CycleRecord, Report
from .refinement import refine as loop
from .refinement.report import final_report
from .refinement.setup import build_objective
from .refinement.timing import Timer

__all__ = ["Problem", "Result", "StructureFactors", "read", "run", "structure_factors"]

Progress = Callable[[str | CycleRecord], None]
GROUPS: dict[str, type] = {
    "data": DataOptions, "chemistry": ChemistryOptions, "solvent": SolventOptions, "refine": RefineOptions,
    "run": RunOptions,
}


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """A finished refinement.

    Attributes:
        report: statistics of every cycle, shells, restraints, maps.
        structure: the refined model (gemmi), hydrogens only where they are to be written.
        files: paths written, after :meth:`write` or :func:`run`.
    """

    report: Report
    structure: Structure
    problem: Problem
    files: tuple[str, ...] = ()

    def write(self, prefix: str, command: str = "", model: bool = True) -> Result:
        """Write PREFIX.cif, .pdb, .mtz, .json and .log; without ``model`` only the last three.

        Raises:
            OutputError: a file cannot be written; none is then left half done.
        """
        config = replace(self.problem.config, prefix=str(prefix))
        document = self.problem.model.document
        write_all(str(prefix), self.structure, document, self.problem.data, self.report, config, command, model)
        suffixes = (".cif", ".pdb", ".mtz", ".json", ".log") if model else (".mtz", ".json", ".log")
        written = tuple(str(prefix) + s for s in suffixes if Path(str(prefix) + s).is_file())
        return replace(self, files=written)


@dataclass(frozen=True, slots=True, eq=False)
class Problem:
    """A model and data that belong together, read and checked.

    Attributes:
        config: the options; model, data: what was read; chemistry: atoms and restraints; messages: what the user is to
            be told.
    """

    config: Config
    model: InputModel
    data: DataSet
    chemistry: ChemicalModel
    backend: Backend
    timer: Timer
    messages: tuple[str, ...]

    def refine(self, cycles: int | None = None, progress: Progress | None = None) -> Result:
        """Refine for ``cycles`` cycles (default: as configured); ``progress`` gets sentences and cycle records.

        Raises:
            NumericalError: the calculation failed.
        """
        options = self.config.refine if cycles is None else replace(self.config.refine, cycles=cycles)
        began = time.perf_counter() - sum(self.timer.seconds.values())
        objective, told = build_objective(
            self.backend, self.chemistry.atoms, self.chemistry.topology, self.chemistry.labels, self.data.crystal,
            self.data.reflections, xray_gaussians(self.chemistry.atoms.scatterer_names), self.config.solvent, options,
            self.timer,
        )
        messages = [*self.messages, *told]
        _tell(progress, told)
        state = loop.start(objective, options)
        _tell(progress, state.cycles)
        for _ in range(options.cycles):
            _tell(progress, [loop.run_cycle(state, options)])
        with self.timer("output"):
            structure = update_structure(
                self.chemistry, state.state.xyz, state.state.b_iso, self.config.chemistry.write_hydrogens,
                options.adp == "iso",
            )
        device = f"{self.backend.name}, {self.backend.threads} threads"
        report = final_report(state, self.chemistry.labels, self.data.free_value, device, messages)
        report.scale.probe_radius = self.config.solvent.probe_radius
        report.timing = {**self.timer.seconds, "total": time.perf_counter() - began}
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


def config_of(model: str, data: str, prefix: str, options: dict[str, Any]) -> Config:
    """Options by name sorted into their groups.

    Raises:
        UsageError: a name belongs to no group.
    """
    chosen: dict[str, Any] = {}
    for group, kind in GROUPS.items():
        names = {f.name for f in fields(kind)}
        chosen[group] = kind(**{name: value for name, value in options.items() if name in names})
    known = {f.name for kind in GROUPS.values() for f in fields(kind)}
    unknown = sorted(set(options) - known)
    if unknown:
        raise UsageError(f"There is no option '{unknown[0]}'; the options are {', '.join(sorted(known))}.")
    return Config(model=model, data_file=data, prefix=prefix, **chosen)


def prepare(config: Config, progress: Progress | None = None) -> Problem:
    """Read everything that ``config`` names and build the restraints."""
    timer = Timer()
    with timer("device"):
        backend = create(config.run.device, config.run.threads)
    _tell(progress, [describe_choice(config.run.device, backend)])
    with timer("read model"):
        model = read_model(config.model)
        crystal = structure_crystal(model.structure)
    with timer("read data"):
        data = read_data(config.data_file, config.data, crystal, config.model)
    _tell(progress, [*model.messages, *data.messages])
    with timer("topology"):
        chemistry = build_model(model.structure, data.crystal, config.chemistry)
    _tell(progress, chemistry.messages)
    if not data.reflections.work.any():
        raise InputError(f"No working reflection is left in {config.data_file}; check the free set and the limits.")
    messages = (*model.messages, *data.messages, *chemistry.messages)
    return Problem(config, model, data, chemistry, backend, timer, messages)


def run(config: Config, command: str = "", progress: Progress | None = None, write_model: bool = True) -> Result:
    """Read, refine and write: the whole of ``gpurefine refine``.

    Args:
        command: the command line, for the report; progress: gets sentences (str) and cycle records as they come;
        write_model: write the model files too.

    Raises:
        GpurefineError: anything the user can put right, as one sentence.
    """
    check_output_folder(config.prefix, (config.model, config.data_file))
    problem = prepare(config, progress)
    result = problem.refine(progress=progress)
    return result.write(config.prefix, command, write_model)


def _tell(progress: Progress | None, items: Any) -> None:
    if progress is not None:
        for item in items:
            progress(item)
