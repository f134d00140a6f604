"""kill −9 at random times: files are old or new, never partial, and a run goes on to the results of an unbroken one.

``GPUREFINE_KILLS=50 pytest tests/robustness/test_kill.py`` kills fifty runs.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

KILLS = int(os.environ.get("GPUREFINE_KILLS", "4"))
SUFFIXES = (".cif", ".pdb", ".mtz", ".json", ".log", ".toml")
EXACT = (".cif", ".pdb", ".mtz", ".toml")
"""Files without a time or a command in them."""


def command(example: tuple[Path, Path], *more: str) -> list[str]:
    code = "from gpurefine.cli.main import main; main()"
    return [sys.executable, "-c", code, "refine", *more, "--quiet"] if "--resume" in more else [
        sys.executable, "-c", code, "refine", str(example[0]), str(example[1]), "-o", "run", "--d-min", "3",
        "--threads", "2", "--quiet", *more,
    ]  # fmt: skip


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every result file."""
    return {s: hashlib.sha256((folder / f"run{s}").read_bytes()).hexdigest() for s in SUFFIXES
            if (folder / f"run{s}").exists()}  # fmt: skip


def finish(arguments: list[str], folder: Path) -> None:
    done = subprocess.run(arguments, cwd=folder, capture_output=True, text=True, check=False, timeout=200)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def runs(example: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, float]:
    """Folders of an old run (1 cycle) and of the new one (3 cycles), unbroken, and the seconds that the latter took."""
    old, new = tmp_path_factory.mktemp("old"), tmp_path_factory.mktemp("new")
    finish(command(example, "--cycles", "1"), old)
    began = time.monotonic()
    finish(command(example, "--cycles", "3"), new)
    return old, new, time.monotonic() - began


@pytest.mark.parametrize("seed", range(KILLS))
def test_killed_at_a_random_time(
    example: tuple[Path, Path], runs: tuple[Path, Path, float], tmp_path: Path, seed: int
) -> None:
    old, new, seconds = runs
    before, after = digests(old), digests(new)
    assert before.keys() == after.keys() == set(SUFFIXES)
    for suffix in SUFFIXES:
        (tmp_path / f"run{suffix}").write_bytes((old / f"run{suffix}").read_bytes())
    # Half of the kills come in the cycles, where there is a checkpoint, the others at any time.
    draw = random.Random(seed)
    process = subprocess.Popen(
        command(example, "--cycles", "3"), cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    try:
        if seed % 2:
            limit = time.monotonic() + 100.0
            while not (tmp_path / "run.checkpoint").exists() and process.poll() is None:
                assert time.monotonic() < limit, "no checkpoint after 100 s"
                time.sleep(0.005)
            time.sleep(draw.uniform(0.0, 0.5 * seconds))
        else:
            time.sleep(draw.uniform(0.0, 1.1 * seconds))
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    now = digests(tmp_path)
    assert now.keys() == set(SUFFIXES)
    for suffix in EXACT:
        assert now[suffix] in (before[suffix], after[suffix]), f"run{suffix} is neither the old nor the new one"
    assert len(json.loads((tmp_path / "run.json").read_text())["cycles"]) in (2, 4)
    assert (tmp_path / "run.log").read_text().rstrip().endswith("options of this run, for --config")
    if not (tmp_path / "run.checkpoint").exists():
        # Killed before the first checkpoint or after everything was written: all files are of one run.
        assert all(now[s] == before[s] for s in SUFFIXES) or all(now[s] == after[s] for s in EXACT)
        if process.returncode == -signal.SIGKILL and now == before:
            finish(command(example, "--cycles", "3"), tmp_path)
    else:
        finish(command(example, "--resume", "run"), tmp_path)
    now = digests(tmp_path)
    assert {s: now[s] for s in EXACT} == {s: after[s] for s in EXACT}
    assert not (tmp_path / "run.checkpoint").exists()
