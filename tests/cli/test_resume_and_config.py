"""--config and --resume: what wins, what is refused, what reaches the job."""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Any

import pytest

import gpurefine
from gpurefine.cli import failure, main
from gpurefine.config import Config, DataOptions, RefineOptions
from gpurefine.errors import InterruptedRefinement
from gpurefine.model.records import CycleRecord

RECORD = CycleRecord(0, r_work=0.3)


class FakeJob(types.ModuleType):
    """Keeps what it was asked for."""

    def __init__(self) -> None:
        super().__init__("gpurefine.job")
        self.runs: list[tuple[Config, bool]] = []
        self.resumed: list[tuple[Any, ...]] = []
        self.failure: BaseException | None = None

    def run(self, config: Config, command: str, progress: Any, write_model: bool, before: float) -> Any:
        self.runs.append((config, write_model))
        return self.result()

    def resume(
        self, prefix: str, cycles: int | None, command: str, progress: Any, quiet: bool | None, before: float
    ) -> Any:
        self.resumed.append((prefix, cycles, quiet))
        progress(RECORD)
        return self.result()

    def result(self) -> Any:
        if self.failure is not None:
            raise self.failure
        problem = types.SimpleNamespace(config=Config("", "", ""))
        return types.SimpleNamespace(report=types.SimpleNamespace(cycles=[RECORD]), files=(), problem=problem)


@pytest.fixture
def job(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeJob:
    fake = FakeJob()
    monkeypatch.setitem(sys.modules, "gpurefine.job", fake)
    monkeypatch.setattr(gpurefine, "job", fake, raising=False)
    monkeypatch.chdir(tmp_path)
    Path("o.toml").write_text(
        'model = "m.pdb"\ndata_file = "d.mtz"\nprefix = "p"\n[data]\nd_min = 2.5\nlabels = "F"\n[refine]\ncycles = 3\n'
    )
    return fake


def test_the_file_alone_is_enough(job: FakeJob) -> None:
    assert main.run(["refine", "--config", "o.toml"]) == 0
    expected = Config("m.pdb", "d.mtz", "p", DataOptions(d_min=2.5, labels="F"), refine=RefineOptions(cycles=3))
    assert job.runs == [(expected, True)]


def test_the_command_line_wins_even_with_a_default_value(job: FakeJob) -> None:
    command = "refine other.cif --config o.toml -o q --cycles 10 --d-min 3"
    assert main.run(command.split()) == 0
    ((config, _),) = job.runs
    assert (config.model, config.data_file, config.prefix) == ("other.cif", "d.mtz", "q")
    assert (config.data.d_min, config.data.labels, config.refine.cycles) == (3.0, "F", 10)


def test_maps_takes_the_same_file_and_no_cycles(job: FakeJob) -> None:
    assert main.run(["maps", "--config", "o.toml"]) == 0
    ((config, write_model),) = job.runs
    assert config.data.d_min == 2.5 and config.refine.cycles == 0 and not write_model


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ("refine --config missing.toml", 3, "missing.toml does not exist"),
        ("refine --config bad.toml", 2, "bad.toml, group [data]: there is no option 'd_mni'; did you mean d_min?"),
        ("refine --config half.toml", 2, "Missing argument DATA, nor does half.toml name one as data_file"),
        ("refine", 2, "Missing argument MODEL"),
        ("maps m.pdb", 2, "Missing argument DATA"),
        ("refine --resume p --weight 0.5", 2, "leave out --weight"),
        ("refine --resume p --weight auto", 2, "leave out --weight"),
        ("refine m.pdb --resume p", 2, "leave out MODEL"),
        ("refine --resume p --config o.toml", 2, "leave out --config"),
        ("refine --resume p -o q", 2, "leave out --output"),
    ],
)
def test_refusals(job: FakeJob, capsys: pytest.CaptureFixture[str], arguments: str, code: int, words: str) -> None:
    Path("bad.toml").write_text("[data]\nd_mni = 2\n")
    Path("half.toml").write_text('model = "m.pdb"\n')
    assert main.run(arguments.split()) == code
    assert words in capsys.readouterr().err
    assert job.runs == [] and job.resumed == []


@pytest.mark.parametrize(
    ("arguments", "asked"),
    [
        ("refine --resume out/p", ("out/p", None, None)),
        ("refine --resume out/p.checkpoint --cycles 20 --quiet", ("out/p", 20, True)),
    ],
)
def test_resume_reaches_the_job(job: FakeJob, arguments: str, asked: tuple[Any, ...]) -> None:
    assert main.run(arguments.split()) == 0
    assert job.resumed == [asked]


def test_an_interrupted_refinement_has_its_sentence_and_code(
    job: FakeJob, capsys: pytest.CaptureFixture[str]
) -> None:
    for cause, code in ((KeyboardInterrupt(), 130), (failure.Terminated(), 143)):
        job.failure = InterruptedRefinement("Interrupted; go on with --resume p")
        job.failure.__cause__ = cause
        assert main.run(["refine", "m.pdb", "d.mtz"]) == code
        assert capsys.readouterr().err == "Interrupted; go on with --resume p\n"


@pytest.mark.parametrize(("error", "code"), [(MemoryError(), 6), (OSError(28, "No space left on device", "x"), 7)])
def test_what_the_machine_lacks_is_no_fault_of_the_program(
    job: FakeJob, capsys: pytest.CaptureFixture[str], error: Exception, code: int
) -> None:
    job.failure = error
    assert main.run(["refine", "m.pdb", "d.mtz"]) == code
    assert capsys.readouterr().err.count("\n") == 1
