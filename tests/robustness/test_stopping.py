"""Runs that are stopped: the last finished cycle is written, and going on gives what an unbroken run gives."""

from __future__ import annotations

import dataclasses
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gpurefine import job
from gpurefine.config import Config, DataOptions, RefineOptions, RunOptions
from gpurefine.errors import InputError, InterruptedRefinement, NumericalError, OutputError, UsageError
from gpurefine.io import atomic
from gpurefine.model.records import CycleRecord
from gpurefine.refinement import refine as loop

CYCLES = 3
RESULTS = ("cif", "pdb", "mtz")


def config(example: tuple[Path, Path], prefix: Path, cycles: int = CYCLES) -> Config:
    return Config(
        str(example[0]), str(example[1]), str(prefix), data=DataOptions(d_min=3.0),
        refine=RefineOptions(cycles=cycles), run=RunOptions(threads=2),
    )  # fmt: skip


def cycles_of(prefix: Path) -> list[dict[str, Any]]:
    """The cycle records of a report, without the time they took."""
    records = json.loads(prefix.with_suffix(".json").read_text())["cycles"]
    for record in records:
        del record["seconds"]
    return list(records)


def stop_after(cycle: int, error: BaseException) -> Callable[[Any], None]:
    """A progress function that raises ``error`` once ``cycle`` is finished."""

    def progress(event: Any) -> None:
        if isinstance(event, CycleRecord) and event.cycle == cycle:
            raise error

    return progress


def stop_in_the_first_cycle(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], None]:
    """A progress function for a run that goes on, whose next cycle is interrupted in its midst."""

    def cut(*arguments: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(loop, "run_cycle", cut)
    return lambda event: None


def assert_same_results(a: Path, b: Path) -> None:
    for suffix in RESULTS:
        assert a.with_suffix(f".{suffix}").read_bytes() == b.with_suffix(f".{suffix}").read_bytes(), suffix
    assert cycles_of(a) == cycles_of(b)


@pytest.fixture(scope="module")
def unbroken(example: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Prefix of a run that nobody disturbed."""
    prefix = tmp_path_factory.mktemp("unbroken") / "run"
    job.run(config(example, prefix))
    return prefix


@pytest.fixture
def stopped(example: tuple[Path, Path], tmp_path: Path) -> Path:
    """Prefix of a run that was interrupted in cycle 2."""
    prefix = tmp_path / "run"
    with pytest.raises(InterruptedRefinement):
        job.run(config(example, prefix), progress=stop_after(1, KeyboardInterrupt()))
    return prefix


def test_a_finished_run_leaves_no_checkpoint_and_its_options(unbroken: Path) -> None:
    names = sorted(p.name for p in unbroken.parent.iterdir())
    assert names == ["run.cif", "run.json", "run.log", "run.mtz", "run.pdb", "run.toml"]


def test_the_last_finished_cycle_is_written_and_said_to_be_that(
    example: tuple[Path, Path], tmp_path: Path, unbroken: Path
) -> None:
    prefix = tmp_path / "run"
    with pytest.raises(InterruptedRefinement) as caught:
        job.run(config(example, prefix), progress=stop_after(1, KeyboardInterrupt()))
    sentence = str(caught.value)
    assert "interrupted in cycle 2 of 3" in sentence and "after cycle 1" in sentence and f"{prefix}.mtz" in sentence
    assert f"gpurefine refine --resume {prefix}" in sentence
    assert cycles_of(prefix) == cycles_of(unbroken)[:2]
    assert prefix.with_suffix(".checkpoint").is_file()
    report = json.loads(prefix.with_suffix(".json").read_text())
    assert any("interrupted in cycle 2 of 3" in message for message in report["messages"])
    assert "interrupted in cycle 2 of 3" in prefix.with_suffix(".log").read_text()


def test_its_files_are_those_of_a_run_with_so_many_cycles(
    example: tuple[Path, Path], tmp_path: Path, stopped: Path
) -> None:
    short = tmp_path / "short"
    job.run(config(example, short, 1))
    assert_same_results(short, stopped)


@pytest.mark.parametrize("cycle", [0, 1, 2, 3])
def test_resumed_is_unbroken_bit_for_bit(
    example: tuple[Path, Path], tmp_path: Path, unbroken: Path, cycle: int
) -> None:
    prefix = tmp_path / "run"
    with pytest.raises(InterruptedRefinement):
        job.run(config(example, prefix), progress=stop_after(cycle, KeyboardInterrupt()))
    result = job.resume(str(prefix))
    assert_same_results(unbroken, prefix)
    assert not prefix.with_suffix(".checkpoint").exists()
    assert any(f"Resumed after cycle {cycle}" in message for message in result.report.messages)
    assert prefix.with_suffix(".toml").read_text().replace(str(prefix), "") == unbroken.with_suffix(
        ".toml"
    ).read_text().replace(str(unbroken), "")


def test_a_step_that_was_cut_short_leaves_no_trace(
    example: tuple[Path, Path], tmp_path: Path, unbroken: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prefix = tmp_path / "run"
    update = loop._update
    calls = []

    def cut(*arguments: Any) -> None:
        update(*arguments)
        calls.append(1)
        if len(calls) == 3:  # cycle 2: atoms moved, scale and lists are new, nothing is recorded
            raise KeyboardInterrupt

    monkeypatch.setattr(loop, "_update", cut)
    with pytest.raises(InterruptedRefinement):
        job.run(config(example, prefix))
    monkeypatch.undo()
    assert cycles_of(prefix) == cycles_of(unbroken)[:2]
    short = tmp_path / "short"
    job.run(config(example, short, 1))
    assert_same_results(short, prefix)
    job.resume(str(prefix))
    assert_same_results(unbroken, prefix)


def test_a_signal_while_compiled_code_is_being_called(
    example: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The interpreter turns the exception into a SystemError."""
    update, calls = loop._update, []

    def cut(*arguments: Any) -> None:
        update(*arguments)
        calls.append(1)
        if len(calls) == 3:
            raise SystemError("a function returned a result with an exception set") from KeyboardInterrupt()

    monkeypatch.setattr(loop, "_update", cut)
    with pytest.raises(InterruptedRefinement, match="after cycle 1"):
        job.run(config(example, tmp_path / "run"))


def test_another_system_error_is_none_of_the_users(
    example: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*arguments: Any) -> None:
        raise SystemError("broken") from ValueError()

    monkeypatch.setattr(loop, "_update", broken)
    with pytest.raises(SystemError, match="broken"):
        job.run(config(example, tmp_path / "run"))


def test_more_cycles_may_be_asked_for_and_fewer_not(example: tuple[Path, Path], tmp_path: Path, stopped: Path) -> None:
    with pytest.raises(UsageError, match="--cycles 0 is too few"):
        job.resume(str(stopped), cycles=0)
    job.resume(str(stopped), cycles=4)
    longer = tmp_path / "longer"
    job.run(config(example, longer, 4))
    assert_same_results(longer, stopped)


def test_stopped_again_and_again(unbroken: Path, stopped: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The first new cycle never ends: what was read from the checkpoint is written.
    with pytest.raises(InterruptedRefinement, match="after cycle 1"):
        job.resume(str(stopped), progress=stop_in_the_first_cycle(monkeypatch))
    monkeypatch.undo()
    assert cycles_of(stopped) == cycles_of(unbroken)[:2]
    with pytest.raises(InterruptedRefinement, match="after cycle 2"):
        job.resume(str(stopped), progress=stop_after(2, KeyboardInterrupt()))
    job.resume(str(stopped))
    assert_same_results(unbroken, stopped)


def test_an_interruption_before_cycle_0_writes_nothing(example: tuple[Path, Path], tmp_path: Path) -> None:
    def progress(event: Any) -> None:
        if isinstance(event, str):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        job.run(config(example, tmp_path / "run"), progress=progress)
    assert list(tmp_path.iterdir()) == []


def test_a_second_interruption_stops_at_once(
    example: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = atomic.stage
    (tmp_path / "run.mtz").write_bytes(b"old")

    def interrupted(path: Any, content: bytes) -> Any:
        if str(path).endswith(".json"):
            raise KeyboardInterrupt
        return stage(path, content)

    monkeypatch.setattr("gpurefine.io.outputs.stage", interrupted)
    with pytest.raises(InterruptedRefinement, match=r"Stopped at once.*--resume"):
        job.run(config(example, tmp_path / "run"), progress=stop_after(1, KeyboardInterrupt()))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["run.checkpoint", "run.mtz"]
    assert (tmp_path / "run.mtz").read_bytes() == b"old"


def test_a_numerical_failure_writes_the_cycle_before(
    example: tuple[Path, Path], tmp_path: Path, unbroken: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cycle = loop.run_cycle

    def failing(refinement: Any, options: Any) -> Any:
        if len(refinement.cycles) == 2:
            refinement.state.xyz[:] = float("nan")
            raise NumericalError("The target is not a finite number.")
        return cycle(refinement, options)

    monkeypatch.setattr(loop, "run_cycle", failing)
    prefix = tmp_path / "run"
    with pytest.raises(NumericalError) as caught:
        job.run(config(example, prefix))
    sentence = str(caught.value)
    assert "failed in cycle 2 of 3: The target is not a finite number." in sentence and f"{prefix}.pdb" in sentence
    assert cycles_of(prefix) == cycles_of(unbroken)[:2]
    assert not prefix.with_suffix(".checkpoint").exists()


def test_changed_and_vanished_inputs(example: tuple[Path, Path], tmp_path: Path) -> None:
    model, data = tmp_path / "m.pdb", tmp_path / "d.mtz"
    model.write_bytes(example[0].read_bytes())
    data.write_bytes(example[1].read_bytes())
    with pytest.raises(InterruptedRefinement):
        job.run(config((model, data), tmp_path / "run"), progress=stop_after(0, KeyboardInterrupt()))
    model.write_bytes(example[0].read_bytes() + b"REMARK\n")
    with pytest.raises(InputError, match=r"m\.pdb has changed since"):
        job.resume(str(tmp_path / "run"))
    model.unlink()
    with pytest.raises(InputError, match=r"m\.pdb, which does not exist here; it was started in the folder"):
        job.resume(str(tmp_path / "run"))


def test_another_library_is_told(stopped: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build = job.build_model

    def other(*arguments: Any) -> Any:
        chemistry = build(*arguments)
        bonds = chemistry.topology.bonds
        ideal = bonds.ideal.copy()
        ideal[0] += 1e-6
        topology = dataclasses.replace(chemistry.topology, bonds=dataclasses.replace(bonds, ideal=ideal))
        return dataclasses.replace(chemistry, topology=topology)

    monkeypatch.setattr(job, "build_model", other)
    with pytest.raises(InputError, match="has the monomer library"):
        job.resume(str(stopped))


def test_other_versions_and_threads_are_told(stopped: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gpurefine.checkpoints.dependency_versions", lambda: {"numpy": "0.1"})
    told: list[Any] = []
    job.resume(str(stopped), progress=told.append)
    assert any("numpy" in str(message) and "→ 0.1" in str(message) for message in told)


def test_a_full_disk_does_not_stop_the_refinement(
    example: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unbroken: Path
) -> None:
    def full(*arguments: Any) -> None:
        raise OutputError("x.checkpoint cannot be written: the disk is full.")

    monkeypatch.setattr("gpurefine.checkpoints.write_checkpoint", full)
    prefix = tmp_path / "run"
    result = job.run(config(example, prefix))
    assert_same_results(unbroken, prefix)
    warned = [m for m in result.report.messages if "goes on without" in m]
    assert len(warned) == 1


def test_results_that_find_no_room_are_not_lost(
    example: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unbroken: Path
) -> None:
    def full(*arguments: Any) -> None:
        raise OutputError("run.mtz cannot be written: the disk is full; free some space or write elsewhere.")

    prefix = tmp_path / "run"
    monkeypatch.setattr(job, "write_all", full)
    with pytest.raises(OutputError, match=r"the disk is full.*The refinement is not lost\. To go on: .*--resume"):
        job.run(config(example, prefix))
    monkeypatch.undo()
    job.resume(str(prefix))
    assert_same_results(unbroken, prefix)


def test_options_of_the_user_are_not_overwritten(example: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_text('model = "mine"\n')
    with pytest.raises(UsageError, match=r"run\.toml, which gpurefine did not write"):
        job.run(config(example, tmp_path / "run"))


# As a process of its own


@pytest.fixture
def run(example: tuple[Path, Path], tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts ``gpurefine refine`` on the example in ``tmp_path``; what still runs in the end is killed."""
    started: list[subprocess.Popen[str]] = []

    def start(*more: str, **settings: Any) -> subprocess.Popen[str]:
        code = (
            "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
            "from gpurefine.cli.main import main; main()"
        )
        command = [
            sys.executable, "-c", code, "refine", str(example[0]), str(example[1]), "-o", "run", "--d-min", "3",
            "--threads", "2", "--cycles", "40", *more,
        ]  # fmt: skip
        process = subprocess.Popen(
            command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"}, **settings,
        )  # fmt: skip
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals(run: Callable[..., subprocess.Popen[str]], tmp_path: Path, number: int, code: int) -> None:
    process = run()
    assert process.stdout is not None
    for line in process.stdout:
        if line.split()[:1] == ["1"]:
            break
    time.sleep(0.05)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == code, errors
    assert "Traceback" not in errors and errors.count("\n") == 1 and "--resume run" in errors
    assert sorted(p.suffix for p in tmp_path.iterdir()) == [
        ".checkpoint", ".cif", ".json", ".log", ".mtz", ".pdb", ".toml",
    ]  # fmt: skip
    assert len(cycles_of(tmp_path / "run")) < 41


def test_files_that_may_not_grow(run: Callable[..., subprocess.Popen[str]], tmp_path: Path) -> None:
    # A limit on the size of files stands for a full disk; Python gets an error, as SIGXFSZ is ignored.
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))

    process = run("--cycles", "1", preexec_fn=limit)
    _, errors = process.communicate(timeout=100)
    assert process.returncode == 7, errors
    assert "Traceback" not in errors and "limit on file sizes" in errors and errors.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_full_terminal_log_does_not_stop_the_refinement(example: tuple[Path, Path], tmp_path: Path) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-c", "from gpurefine.cli.main import main; main()", "maps", *map(str, example),
             "-o", "maps", "--d-min", "4"],
            cwd=tmp_path, stdout=full, stderr=subprocess.PIPE, text=True, check=False, timeout=100,
        )  # fmt: skip
    assert "Traceback" not in done.stderr and done.returncode == 0
    assert (tmp_path / "maps.mtz").is_file()
