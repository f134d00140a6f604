"""The command line: options from the dataclasses, what reaches the job, how it ends when something fails."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import click
import pytest

import gpurefine
from gpurefine.cli import console, failure, main, options
from gpurefine.cli.options import default_prefix
from gpurefine.config import Config
from gpurefine.errors import ChemistryError, DeviceError, InputError, InterruptedRefinement, OutputError
from gpurefine.model.records import CycleRecord

RECORDS = [
    CycleRecord(0, r_work=0.3456, r_free=0.3567, rmsd_bond=0.2),
    CycleRecord(1, r_work=0.2123, r_free=0.2555, rmsd_bond=0.012, rmsz_bond=0.8),
]


class FakeJob(types.ModuleType):
    """Stands in for ``gpurefine.job``: keeps what it was asked for and does what the test says."""

    def __init__(self) -> None:
        super().__init__("gpurefine.job")
        self.calls: list[tuple[Config, dict[str, Any]]] = []
        self.failure: BaseException | None = None

    def run(self, config: Config, **settings: Any) -> Any:
        self.calls.append((config, settings))
        if self.failure is not None:
            raise self.failure
        settings["progress"]("reading")
        for record in RECORDS[: config.refine.cycles + 1]:
            settings["progress"](record)
        report = types.SimpleNamespace(cycles=RECORDS[: config.refine.cycles + 1])
        return types.SimpleNamespace(report=report, files=(config.output(".mtz"),))


@pytest.fixture
def job(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeJob:
    fake = FakeJob()
    monkeypatch.setitem(sys.modules, "gpurefine.job", fake)
    monkeypatch.setattr(gpurefine, "job", fake, raising=False)
    monkeypatch.chdir(tmp_path)
    return fake


def all_fields() -> list[tuple[str, dataclasses.Field[Any]]]:
    return [(name, field) for name, group in options.GROUPS.items() for field in options.options_of(group)]


def test_every_group_of_the_configuration_reaches_the_command_line() -> None:
    groups = [field.name for field in dataclasses.fields(Config) if field.name not in ("model", "data_file", "prefix")]
    assert groups == list(options.GROUPS)


@pytest.mark.parametrize(("group", "field"), all_fields(), ids=lambda x: getattr(x, "name", x))
def test_every_field_is_an_option_with_help_and_default(group: str, field: dataclasses.Field[Any]) -> None:
    command = main.commands.commands["refine"]
    (option,) = (p for p in command.params if p.name == f"{group}__{field.name}")
    assert isinstance(option, click.Option)
    assert options.flag_of(field) in option.opts
    assert option.help and len(option.help) > 10
    assert option.help.startswith(str(field.metadata["help"]))
    parsed = command.make_context("refine", ["m.pdb", "d.mtz"]).params
    assert parsed[f"{group}__{field.name}"] == field.default


def test_options_do_not_collide() -> None:
    for command in main.commands.commands.values():
        spellings = [spelling for p in command.params if isinstance(p, click.Option) for spelling in p.opts]
        assert len(spellings) == len(set(spellings))


def test_help_has_a_heading_for_every_group() -> None:
    command = main.commands.commands["refine"]
    text = command.get_help(click.Context(command))
    for group in options.GROUPS.values():
        assert options.heading_of(group) + ":" in text
    assert "[Å]" in text


def test_defaults_give_the_default_configuration(job: FakeJob) -> None:
    assert main.run(["refine", "in/model.pdb", "data.mtz"]) == 0
    ((config, settings),) = job.calls
    assert config == Config("in/model.pdb", "data.mtz", "model_refined")
    assert settings["write_model"] is True
    assert settings["command"].startswith("gpurefine")


def test_given_options_reach_the_configuration(job: FakeJob) -> None:
    arguments = (
        "refine m.cif d.mtz -o out/x --labels FP,SIGFP --free-flag 3 --d-min 2.1 --ligand a.cif --ligand b.cif "
        "--hydrogens keep --write-hydrogens --scale simple --probe-radius 1.2 --cycles 1 --weight 0.5 --fix-xyz "
        "--threads 2 --device cpu --quiet"
    )
    assert main.run(arguments.split()) == 0
    config = job.calls[0][0]
    assert (config.model, config.data_file, config.prefix) == ("m.cif", "d.mtz", "out/x")
    assert (config.data.labels, config.data.free_flag, config.data.d_min) == ("FP,SIGFP", 3, 2.1)
    assert config.chemistry.ligand == ("a.cif", "b.cif")
    assert config.chemistry.hydrogens == "keep" and config.chemistry.write_hydrogens
    assert (config.solvent.scale, config.solvent.probe_radius) == ("simple", 1.2)
    assert (config.refine.cycles, config.refine.weight, config.refine.fix_xyz) == (1, "0.5", True)
    assert (config.run.threads, config.run.device, config.run.quiet) == (2, "cpu", True)


@pytest.mark.parametrize(
    ("given", "expected"), [("--reset-b", 30.0), ("--reset-b --quiet", 30.0), ("--reset-b 25", 25.0), ("", None)]
)
def test_b_is_reset_with_or_without_a_number(job: FakeJob, given: str, expected: float | None) -> None:
    assert main.run(["refine", "m.pdb", "d.mtz", *given.split()]) == 0
    assert job.calls[0][0].refine.reset_b == expected


@pytest.mark.parametrize(
    ("model", "prefix"),
    [("m.pdb", "m_refined"), ("in/m.cif.gz", "m_refined"), ("a.b.mmcif", "a.b_refined"), (".pdb", ".pdb_refined")],
)
def test_default_prefix(model: str, prefix: str) -> None:
    assert default_prefix(model, "_refined") == prefix


def test_maps_is_the_job_without_cycles(job: FakeJob) -> None:
    assert main.run(["maps", "m.pdb", "d.mtz", "--scale", "simple"]) == 0
    assert main.run(["maps", "m.pdb", "d.mtz", "--write-model"]) == 0
    (first, without), (_, with_model) = job.calls
    assert first.refine.cycles == 0 and first.prefix == "m_maps" and first.solvent.scale == "simple"
    assert without["write_model"] is False and with_model["write_model"] is True


def test_output_of_a_run(job: FakeJob, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    log_out = types.ModuleType("gpurefine.io.log_out")
    log_out.cycle_table_header = lambda: "HEADER"  # type: ignore[attr-defined]
    log_out.cycle_line = lambda record: f"LINE {record.cycle}"  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "gpurefine.io.log_out", log_out)
    assert main.run(["refine", "m.pdb", "d.mtz", "-o", "x", "--cycles", "1"]) == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert lines.count("HEADER") == 1
    assert lines.index("reading") < lines.index("HEADER") < lines.index("LINE 0") < lines.index("LINE 1")
    assert [line.split() for line in lines if line.startswith("R_free")] == [["R_free", "0.3567", "0.2555"]]
    assert [line.split()[-2:] for line in lines if line.startswith("bonds r.m.s.Z")] == [["–", "0.80"]]
    assert "  x.mtz" in lines
    assert err == ""


def test_where_the_time_went() -> None:
    seconds = {"start": 1.0, "gradient": 2.5, "total": 4.0}
    lines = console.time_table(seconds, {})
    assert [line.split()[0] for line in lines] == ["seconds", "gradient", "start", "(not", "total"]
    assert lines[1].split()[1:] == ["2.50", "62.5%"] and lines[3].split()[2:] == ["0.50", "12.5%"]
    more = console.time_table(seconds, {"contacts": 0.2, "restraints": 0.4})
    assert more[:5] == lines and more[5:7] == ["", "Meanwhile, on another core"]
    assert [line.split() for line in more[7:]] == [["restraints", "0.40"], ["contacts", "0.20"]]


def test_quiet_prints_nothing(job: FakeJob, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["refine", "m.pdb", "d.mtz", "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")


def test_summary_of_an_unrefined_model_has_one_column() -> None:
    lines = console.summary(types.SimpleNamespace(cycles=RECORDS[:1]))  # type: ignore[arg-type]
    assert lines[0].split() == ["R_work", "0.3456"]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InputError("The file m.pdb does not exist."), 3),
        (ChemistryError("No restraints for LIG."), 4),
        (DeviceError("No CUDA device here: use --device cpu."), 6),
        (OutputError("The disk is full."), 7),
        (InterruptedRefinement("Stopped in cycle 3."), 130),
    ],
)
def test_foreseen_failures_are_one_sentence_and_a_code(
    job: FakeJob, capsys: pytest.CaptureFixture[str], error: Exception, code: int
) -> None:
    job.failure = error
    assert main.run(["refine", "m.pdb", "d.mtz"]) == code
    out, err = capsys.readouterr()
    assert str(error) in err and "Traceback" not in err + out
    assert len(err.splitlines()) == 1


def test_unforeseen_failure_is_saved_for_a_report(job: FakeJob, capsys: pytest.CaptureFixture[str]) -> None:
    job.failure = ZeroDivisionError("half a cell")
    assert main.run(["refine", "m.pdb", "d.mtz", "-o", "x"]) == failure.BUG
    err = capsys.readouterr().err
    assert "x.log" in err and "report" in err and "half a cell" in err and "Traceback" not in err
    saved = Path("x.log").read_text(encoding="utf-8")
    assert "Traceback" in saved and "ZeroDivisionError" in saved and gpurefine.__version__ in saved


def test_unforeseen_failure_with_an_unwritable_prefix(
    job: FakeJob, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    job.failure = ZeroDivisionError()
    assert main.run(["refine", "m.pdb", "d.mtz", "-o", "missing/x"]) == failure.BUG
    (saved,) = tmp_path.glob("gpurefine-*.log")
    assert str(saved) in capsys.readouterr().err.replace("\n", "")
    assert "ZeroDivisionError" in saved.read_text(encoding="utf-8")


def test_keyboard_interrupt_and_sigterm(job: FakeJob, capsys: pytest.CaptureFixture[str]) -> None:
    job.failure = KeyboardInterrupt()
    assert main.run(["refine", "m.pdb", "d.mtz"]) == 130
    job.failure = failure.Terminated()
    assert main.run(["refine", "m.pdb", "d.mtz"]) == 143
    wrapped = InterruptedRefinement("Stopped in cycle 3.")
    wrapped.__cause__ = failure.Terminated()
    job.failure = wrapped
    assert main.run(["refine", "m.pdb", "d.mtz"]) == 143
    assert "Traceback" not in capsys.readouterr().err


def test_sigterm_is_turned_into_an_exception_and_given_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(failure.Terminated), failure.sigterm_raises():
        os.kill(os.getpid(), signal.SIGTERM)
        signal.sigtimedwait([], 1.0)
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["refine", "m.pdb"], "DATA"),
        (["refine", "m.pdb", "d.mtz", "--nonsense"], "--nonsense"),
        (["refine", "m.pdb", "d.mtz", "--scale", "rough"], "smooth"),
        (["refine", "m.pdb", "d.mtz", "--weight", "heavy"], "--weight must be"),
        (["refine", "m.pdb", "d.mtz", "--cycles", "-1"], "--cycles"),
        (["fcalc", "m.pdb"], "--d-min"),
        (["nonsense"], "nonsense"),
    ],
)
def test_wrong_command_lines_end_with_2(
    job: FakeJob, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    assert main.run(arguments) == 2
    assert words in capsys.readouterr().err
    assert job.calls == []


def test_version_and_help_end_with_0(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["--version"]) == 0
    assert gpurefine.__version__ in capsys.readouterr().out
    assert main.run(["--help"]) == 0
    out = capsys.readouterr().out
    positions = [out.index(f"\n  {name} ") for name in ("refine", "maps", "fcalc", "info", "example")]
    assert positions == sorted(positions)


def test_fcalc_prints_the_difference_per_shell(job: FakeJob, capsys: pytest.CaptureFixture[str]) -> None:
    shell = types.SimpleNamespace(d_max=20.0, d_min=2.0, count=123, rms_f=45.6, relative_difference=1.5e-5)
    written: list[str] = []
    asked: list[Any] = []

    def structure_factors(model: str, d_min: float, **settings: Any) -> Any:
        asked.append((model, d_min, settings))
        return types.SimpleNamespace(
            shells=[shell], count=123, rms_f=45.6, relative_difference=1.5e-5, write=written.append
        )

    job.structure_factors = structure_factors  # type: ignore[attr-defined]
    assert main.run(["fcalc", "m.pdb", "--d-min", "2", "--direct", "-o", "f.mtz"]) == 0
    assert asked == [("m.pdb", 2.0, {"direct": True, "threads": 0, "source": "auto"})]
    assert written == ["f.mtz"]
    out = capsys.readouterr().out
    assert out.count("1.50e-05") == 2 and "f.mtz" in out
    assert main.run(["fcalc", "m.pdb", "--d-min", "2"]) == 0
    assert "1.50e-05" not in capsys.readouterr().out


def test_info_tells_version_packages_devices_and_dictionary(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("CLIBD_MON", "CCP4"):
        monkeypatch.delenv(name, raising=False)
    assert main.run(["info"]) == 0
    rows = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert rows["gpurefine"] == gpurefine.__version__
    assert "numpy" in rows["packages"] and "missing" not in rows["packages"]
    assert int(rows["threads"]) >= 1
    assert rows["device"] and rows["dictionary"]


def test_info_refuses_a_missing_library(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["info", "--monlib", "nowhere/at/all"]) == 3
    assert "nowhere/at/all" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("code", "exit_code"),
    [
        ("from gpurefine.cli.main import main; main(['--help'])", 1),
        ("from gpurefine.cli.console import Console; c = Console(1); c.line('a'); c.line('b'); assert c.quiet", 0),
    ],
    ids=["help", "refinement goes on"],
)
def test_reader_that_left_causes_no_traceback(code: str, exit_code: int) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-c", code], stdout=writing, stderr=subprocess.PIPE, text=True, check=False
        )
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (exit_code, "")
