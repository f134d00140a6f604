"""Checkpoints of a run: what is kept of its cycles, and whether a run can go on from it."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .backend.ops import Backend
from .config import Config
from .config_file import check_values, config_from_values
from .errors import GpurefineError, InputError, OutputError, UsageError
from .io.checkpoint import checkpoint_path, damaged, file_digest, read_checkpoint, remove_checkpoint, write_checkpoint
from .io.reflections import DataSet
from .io.software import dependency_versions
from .io.topology import ChemicalModel
from .refinement.checkpoint import Snapshot, fingerprint, from_plain, to_plain


@dataclass(frozen=True, slots=True, eq=False)
class Start:
    """Where a run goes on.

    Attributes:
        config: the options of the run so far, its prefix being the one asked for.
        snapshot: the refinement after its last finished cycle.
        device, threads: what it ran on.
        meta: everything the checkpoint holds beside arrays.
    """

    config: Config
    snapshot: Snapshot
    device: str
    threads: int
    meta: dict[str, Any]

    @property
    def cycle(self) -> int:
        """Number of the last finished cycle."""
        return self.snapshot.cycles[-1].cycle

    def run_config(self) -> Config:
        """The options that make the run go on as it began: on the same device with the same number of threads."""
        device = self.device if self.config.run.device == "auto" else self.config.run.device
        run = dataclasses.replace(self.config.run, device=device, threads=self.threads)
        return dataclasses.replace(self.config, run=run)


INTERVAL = 10.0
"""Seconds from one checkpoint to the next at least: so much work a crash may cost, and a file written to the end and
synchronised is the most that a short cycle, and hundreds of jobs on one file server, are to be burdened with."""


class Keeper:
    """Writes checkpoints of one run after its cycles and removes the last one in the end.

    Where the run may use several threads, one of them writes while the next cycle is under way.  Cycle 0 and cycles
    that end :data:`INTERVAL` after the last one written are written at once; others only if the run stops there.
    """

    def __init__(
        self, config: Config, backend: Backend, chemistry: ChemicalModel, data: DataSet, resumed: bool
    ) -> None:
        self.prefix = config.prefix
        self._meta = {
            "config": dataclasses.asdict(config),
            "folder": os.getcwd(),
            "versions": dependency_versions(),
            "device": backend.name,
            "threads": backend.threads,
            "files": {name: file_digest(name) for name in input_files(config)},
            "problem": problem_fingerprint(chemistry, data),
        }
        self._failed = False
        self._kept = resumed
        self._writer = ThreadPoolExecutor(1) if backend.threads > 1 else None
        self._writing: Future[None] | None = None
        self._waiting: Snapshot | None = None
        self._due = 0.0

    def keep(self, snapshot: Snapshot) -> str | None:
        """Write the checkpoint, or keep it in mind until it is due.

        Returns what the user is to be told where that, or the one before it, fails first.
        """
        now = time.monotonic()
        if now < self._due:
            self._waiting = snapshot
            return self.finish() if self._writing is not None and self._writing.done() else None
        self._due = now + INTERVAL
        return self._write(snapshot)

    def _write(self, snapshot: Snapshot) -> str | None:
        self._waiting = None
        arrays, plain = to_plain(snapshot)
        meta = {**self._meta, "state": plain}
        if self._writer is None:
            return self._written(lambda: write_checkpoint(self.prefix, arrays, meta))
        failure = self.finish()
        self._writing = self._writer.submit(write_checkpoint, self.prefix, arrays, meta)
        return failure

    def finish(self) -> str | None:
        """Wait until nothing is being written any more; returns the same."""
        writing, self._writing = self._writing, None
        return None if writing is None else self._written(writing.result)

    def _written(self, write: Callable[[], None]) -> str | None:
        try:
            write()
            self._kept = True
        except OutputError as error:
            if self._failed:
                return None
            self._failed = True
            return f"Warning: {error} The refinement goes on without it and cannot be resumed from this cycle."
        return None

    @property
    def usable(self) -> bool:
        """Whether there is a checkpoint of this run to go on from, that of its last finished cycle if possible."""
        if self._waiting is not None:
            self._write(self._waiting)
        self.finish()
        return self._kept and checkpoint_path(self.prefix).is_file()

    def remove(self) -> None:
        """Delete the checkpoint."""
        self._waiting = None
        self.finish()
        remove_checkpoint(self.prefix)


def input_files(config: Config) -> list[str]:
    """The files that a run reads, in the order of the options; the monomer library is a folder and not among them."""
    data = config.data
    named = [
        config.model, config.data_file, data.free_file, data.phases_file, *config.chemistry.ligand,
        *config.groups.files,
    ]
    return [name for name in named if name]


def problem_fingerprint(chemistry: ChemicalModel, data: DataSet) -> str:
    """SHA-256 over atoms, restraints, crystal and reflections."""
    return fingerprint(chemistry.atoms, chemistry.topology, data.crystal, data.reflections)


def read_start(prefix: str) -> Start:
    """Read PREFIX.checkpoint and make sure that the input files are still those of the run.

    Raises:
        InputError: there is no usable checkpoint, or an input file has changed.
    """
    stored = read_checkpoint(prefix)
    meta = stored.meta
    try:
        values = {
            key: {name: v for name, v in value.items() if v is not None} if isinstance(value, dict) else value
            for key, value in meta["config"].items()
        }
        config = config_from_values(check_values(values, f"The checkpoint {checkpoint_path(prefix)}"))
        config = dataclasses.replace(config, prefix=prefix)
        snapshot = from_plain(stored.arrays, meta["state"])
        start = Start(config, snapshot, str(meta["device"]), int(meta["threads"]), meta)
        files, folder = dict(meta["files"]), str(meta["folder"])
    except (KeyError, TypeError, ValueError, AttributeError, GpurefineError):
        raise damaged(prefix) from None
    for name, digest in files.items():
        if not Path(name).exists():
            raise InputError(
                f"The run to be resumed read {name}, which does not exist here; it was started in the folder {folder}."
            )
        if digest is not None and file_digest(name) != digest:
            raise InputError(
                f"{name} has changed since the run to be resumed read it; put the file back as it was, or start anew."
            )
    return start


def check_problem(
    start: Start, config: Config, backend: Backend, chemistry: ChemicalModel, data: DataSet
) -> list[str]:
    """Compare what was read now with what the run began with; returns what the user is to be told.

    Args:
        config: the options of the run that goes on, with what the data decide.

    Raises:
        InputError: restraints or data are not the same although the files are.
        UsageError: more cycles are finished than the run is to have.
    """
    if config.cycles < start.cycle:
        before = config.cycles - config.refine.cycles
        raise UsageError(
            f"--cycles {config.refine.cycles} is too few: the run to be resumed has finished cycle {start.cycle}"
            + (f", and {before} cycles of groups come before those that --cycles counts." if before else ".")
        )
    if problem_fingerprint(chemistry, data) != start.meta["problem"] or len(chemistry.atoms) != len(
        start.snapshot.values.b_iso
    ):
        raise InputError(
            f"The restraints or data made of {start.config.model} and {start.config.data_file} are not those that the "
            f"run to be resumed began with; has the monomer library or the version of gpurefine changed? Start anew."
        )
    told = [f"Resumed after cycle {start.cycle} of an interrupted run."]
    then, now = dict(start.meta["versions"]), dependency_versions()
    changed = [f"{name} {then[name]} → {now.get(name)}" for name in then if then[name] != now.get(name)]
    if changed:
        told.append(f"Warning: results may differ in the last digits from an unbroken run's ({', '.join(changed)}).")
    if (backend.name, backend.threads) != (start.device, start.threads):
        told.append(
            f"Warning: the run began on {start.device} with {start.threads} threads and goes on on {backend.name} with "
            f"{backend.threads}; results may differ in the last digits from an unbroken run's."
        )
    return told
