"""The programs that are compared: how each is started, measured and read."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

from .cases import Case

MB = 1024 if sys.platform != "darwin" else 1024 * 1024
"""ru_maxrss units in a MB."""


@dataclass(slots=True)
class Outcome:
    """One run: ``wall`` and ``cpu`` (user + system) seconds, ``peak_mb``, exit status, and what the program reports.

    Attributes:
        r_kind: "R" on amplitudes or "R1" on intensities.
        r_free_curve: R_free after every cycle, the first before refinement; cycle_seconds: seconds of every cycle.
        n_refl: reflections refined and tested against.
        error: last lines of the output of a run that failed.
    """

    rc: int
    wall: float
    cpu: float
    peak_mb: float
    r_kind: str = "R"
    r_work: float | None = None
    r_free: float | None = None
    rmsz_bond: float | None = None
    rmsd_bond: float | None = None
    r_free_curve: list[float | None] = field(default_factory=list)
    cycle_seconds: list[float] = field(default_factory=list)
    timing: dict[str, float] = field(default_factory=dict)
    n_refl: int | None = None
    error: str | None = None

    @property
    def finished(self) -> bool:
        """The program ended well and its statistics could be read."""
        return self.rc == 0 and self.error is None

    def as_dict(self) -> dict[str, Any]:
        """For the JSON file."""
        rounded = asdict(self)
        for key in ("wall", "cpu", "peak_mb"):
            rounded[key] = round(rounded[key], 3)
        return rounded


class Program(Protocol):
    """A refinement program at one setting."""

    @property
    def name(self) -> str:
        """What it is called."""

    @property
    def label(self) -> str:
        """Its row in the table."""

    @property
    def threads(self) -> int:
        """Threads it may use, 0 for all cores."""

    def command(self, case: Case, cycles: int) -> list[str]:
        """The command line; the program runs in an empty folder and writes there."""

    def environment(self) -> dict[str, str]:
        """Variables set for the run."""

    def read(self, folder: Path, outcome: Outcome) -> None:
        """Fill in the statistics from the files in ``folder``."""

    def version(self) -> str:
        """Version number."""


@dataclass(frozen=True, slots=True)
class Gpurefine:
    """This program: the command that is installed beside the running Python, unless another is given."""

    threads: int = 0
    program: str = ""
    extra: str = ""
    name: str = "gpurefine"

    @property
    def label(self) -> str:
        """Row in the table."""
        return f"gpurefine, {'all cores' if self.threads == 0 else _threads(self.threads)}"

    def start(self) -> list[str]:
        """Program without arguments."""
        if self.program:
            return shlex.split(self.program)
        beside = Path(sys.executable).with_name("gpurefine")
        return [str(beside)] if beside.is_file() else [shutil.which("gpurefine") or "gpurefine"]

    def command(self, case: Case, cycles: int) -> list[str]:
        """The command line."""
        line = [*self.start(), "refine", str(case.model), str(case.data), "-o", "out", "--labels", case.labels]
        line += ["--cycles", str(cycles), "--threads", str(self.threads), "--device", "cpu", "--adp", case.adp]
        if case.free is not None:
            line += ["--free-flag", str(case.free)]
        if case.free_file is not None:
            line += ["--free-file", str(case.free_file)]
        if case.twin:
            line += ["--twin"]
        if case.source != "xray":
            line += ["--source", case.source]
        for path in case.ligand:
            line += ["--ligand", str(path)]
        return [*line, *shlex.split(self.extra)]

    def environment(self) -> dict[str, str]:
        """BLAS has the same number of threads."""
        return blas_threads(self.threads) if self.threads else {}

    def read(self, folder: Path, outcome: Outcome) -> None:
        """From out.json."""
        report = json.loads((folder / "out.json").read_text(encoding="utf-8"))
        cycles = report["cycles"]
        last = cycles[-1]
        intensities = last.get("r1_free") is not None
        key = "r1" if intensities else "r"
        outcome.r_kind = key.upper()
        outcome.r_work, outcome.r_free = last[f"{key}_work"], last[f"{key}_free"]
        outcome.rmsz_bond, outcome.rmsd_bond = last["rmsz_bond"], last["rmsd_bond"]
        outcome.r_free_curve = [cycle[f"{key}_free"] for cycle in cycles]
        outcome.cycle_seconds = [cycle["seconds"] for cycle in cycles]
        outcome.timing = report["timing"]
        outcome.n_refl = report["n_work"] + report["n_free"]

    def version(self) -> str:
        """Version number."""
        return number_in(first_line([*self.start(), "--version"]))


@dataclass(frozen=True, slots=True)
class Servalcat:
    """The peer from the Python package index, on one thread as it has no more."""

    program: str = ""
    extra: str = ""
    threads: int = 1
    name: str = "servalcat"
    label: str = "servalcat, 1 thread"

    def start(self) -> str:
        """Program without arguments: given, $SERVALCAT, beside this Python, or on PATH."""
        beside = Path(sys.executable).with_name("servalcat")
        given = self.program or os.environ.get("SERVALCAT") or (str(beside) if beside.is_file() else "")
        return given or shutil.which("servalcat") or "servalcat"

    def command(self, case: Case, cycles: int) -> list[str]:
        """The command line."""
        line = [self.start(), "refine_xtal_norefmac", "--model", str(case.model), "--hklin", str(case.data)]
        line += ["-s", case.source, "--labin", case.labels, "--ncycle", str(cycles), "-o", "out", "--adp", case.adp]
        if case.free is not None:
            line += ["--free", str(case.free)]
        if case.free_file is not None:
            line += ["--hklin_free", str(case.free_file)]
        if case.twin:
            line += ["--twin"]
        if case.ligand:
            line += ["--ligand", *map(str, case.ligand)]
        return [*line, *shlex.split(self.extra)]

    def environment(self) -> dict[str, str]:
        """One thread."""
        return blas_threads(1)

    def read(self, folder: Path, outcome: Outcome) -> None:
        """From out_stats.json; its file has no times by cycle."""
        cycles = json.loads((folder / "out_stats.json").read_text(encoding="utf-8"))
        summaries = [cycle["data"]["summary"] for cycle in cycles]
        outcome.r_kind = "R1" if any(key.startswith("R1") for key in summaries[-1]) else "R"
        outcome.r_work = summary_value(summaries[-1], "work")
        outcome.r_free = summary_value(summaries[-1], "free")
        outcome.r_free_curve = [summary_value(summary, "free") for summary in summaries]
        geometry = cycles[-1]["geom"]["summary"]
        outcome.rmsz_bond = geometry["r.m.s.Z"].get("Bond distances, non H")
        outcome.rmsd_bond = geometry["r.m.s.d."].get("Bond distances, non H")

    def version(self) -> str:
        """Version number."""
        return number_in(first_line([self.start(), "--version"]))


PEERS = {"servalcat": Servalcat}


def summary_value(summary: dict[str, Any], which: str) -> float | None:
    """R of servalcat's summary: Rwork, R1work, and plain R or R1 where there is no test set."""
    for key in (f"R{which}", f"R1{which}", *(("R", "R1") if which == "work" else ())):
        if summary.get(key) is not None:
            return float(summary[key])
    return None


def _threads(count: int) -> str:
    return f"{count} thread" + ("" if count == 1 else "s")


def blas_threads(count: int) -> dict[str, str]:
    """Variables that give linear algebra ``count`` threads."""
    return {name: str(count) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}


def first_line(command: list[str]) -> str:
    """First line that a command prints; a sentence where it cannot be started."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        return f"{command[0]}: {error.strerror}"
    return (done.stdout or done.stderr).strip().split("\n")[0]


def number_in(line: str) -> str:
    """The version number in a line, or the whole line."""
    found = re.search(r"\d+\.[\w.+-]*", line)
    return found.group() if found else line


def run(program: Program, case: Case, cycles: int, folder: Path, timeout: float) -> Outcome:
    """Run a program once in ``folder`` (emptied) and read what it found.

    Time and memory are the kernel's account of the child and of what the child waited for.  A child's peak memory is
    never less than that of the process that starts it, so this one imports nothing large.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    command = program.command(case, cycles)
    log = folder / "stdout.log"
    with open(log, "wb") as output:
        began = time.perf_counter()
        try:
            child = subprocess.Popen(
                command, cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                env=os.environ | program.environment(), start_new_session=True,
            )
        except OSError as error:
            return Outcome(127, 0.0, 0.0, 0.0, error=f"{command[0]}: {error.strerror}")
        stop = threading.Timer(timeout, os.killpg, (child.pid, signal.SIGKILL))
        stop.start()
        try:
            _, status, usage = os.wait4(child.pid, 0)
        except BaseException:
            os.killpg(child.pid, signal.SIGKILL)
            raise
        finally:
            wall = time.perf_counter() - began
            stop.cancel()
    child.returncode = os.waitstatus_to_exitcode(status)
    outcome = Outcome(child.returncode, wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / MB)
    if outcome.rc:
        outcome.error = log.read_text(encoding="utf-8", errors="replace").strip()[-600:] or f"exit status {outcome.rc}"
        return outcome
    try:
        program.read(folder, outcome)
    except (OSError, KeyError, IndexError, TypeError, ValueError) as error:
        outcome.error = f"results cannot be read: {type(error).__name__} {error}"
    return outcome
