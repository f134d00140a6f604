"""Every way a command can fail ends with the code that README.md gives, one sentence, and nothing on disk."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gpurefine.cli import main

GPUREFINE = [sys.executable, "-c", "from gpurefine.cli.main import main; main()"]


@pytest.fixture
def case(example: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with model and data as m.pdb and d.mtz, made the current one."""
    (tmp_path / "m.pdb").write_bytes(example[0].read_bytes())
    (tmp_path / "d.mtz").write_bytes(example[1].read_bytes())
    (tmp_path / "folder").mkdir()
    (tmp_path / "x.json").mkdir()
    lines = [line for line in example[0].read_text().splitlines() if line.startswith(("CRYST1", "ATOM"))]
    unknown = [line.replace("ATOM  ", "HETATM")[:17] + "QQQ" + line[20:] for line in lines[9:12]]
    (tmp_path / "unknown.pdb").write_text("\n".join([*lines[:9], *unknown, "END\n"]))
    os.mkfifo(tmp_path / "pipe")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ("refine m.pdb d.mtz --cycles some", 2, "--cycles"),
        ("refine m.pdb d.mtz -o folder/", 2, "must end in a name"),
        ("refine m.pdb d.mtz -o m", 2, "would replace the input m.pdb"),
        ("maps m.pdb d.mtz -o d", 2, "would replace the input d.mtz"),
        ("refine missing.pdb d.mtz", 3, "missing.pdb"),
        ("refine m.pdb missing.mtz", 3, "missing.mtz"),
        ("refine folder d.mtz", 3, "folder"),
        ("refine d.mtz m.pdb", 3, "d.mtz"),
        ("refine m.pdb m.pdb", 3, "m.pdb"),
        ("refine m.pdb d.mtz --ligand missing.cif", 3, "missing.cif"),
        ("refine m.pdb d.mtz --free-file missing.mtz", 3, "missing.mtz"),
        ("refine m.pdb d.mtz --labels NO,SIGNO", 3, "NO"),
        ("refine --resume nothing", 3, "nothing.checkpoint"),
        ("refine unknown.pdb d.mtz", 4, "QQQ"),
        ("refine m.pdb d.mtz --device cuda:99", 6, "--device"),
        ("refine m.pdb d.mtz -o missing/x", 7, "create it first"),
        ("refine m.pdb d.mtz -o m.pdb/x", 7, "not a folder"),
        ("refine m.pdb d.mtz -o /proc/x", 7, "/proc/x"),
        ("refine m.pdb d.mtz -o x", 7, "x.json is a folder"),
        ("fcalc m.pdb --d-min 6 -o missing/f.mtz", 7, "missing"),
        ("fcalc m.pdb --d-min 6 -o pipe", 7, "a device or a pipe"),
        ("example m.pdb/y", 7, "m.pdb"),
    ],
)
def test_code_sentence_and_nothing_written(
    case: Path, capsys: pytest.CaptureFixture[str], arguments: str, code: int, words: str
) -> None:
    before = sorted(case.rglob("*"))
    assert main.run(arguments.split()) == code
    errors = capsys.readouterr().err
    assert words in errors and "Traceback" not in errors
    if code != 2 or "Usage" not in errors:
        # a sentence or two; unknown residues are listed one a line between them
        assert len(errors.strip().splitlines()) <= 3, errors
    assert sorted(case.rglob("*")) == before


@pytest.mark.parametrize("command", ["--help", "info", "refine --help", "example out"])
def test_nobody_reads(tmp_path: Path, command: str) -> None:
    shell = " ".join(f"'{word}'" for word in GPUREFINE) + f" {command} | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", shell], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.stderr == "" and done.returncode in (0, 1)


@pytest.mark.parametrize("command", ["--help", "info"])
def test_standard_output_on_a_full_disk(command: str) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [*GPUREFINE, command], stdout=full, stderr=subprocess.PIPE, text=True, check=False, timeout=60
        )
    assert done.returncode == 7
    assert "Traceback" not in done.stderr and "Exception ignored" not in done.stderr
    assert len(done.stderr.splitlines()) == 1
