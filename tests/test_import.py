"""Importing gpurefine, and asking the command for help, loads nothing heavy and touches no device."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

HEAVY = {"numpy", "scipy", "numba", "llvmlite", "gemmi", "cupy", "cupyx", "rich"}


def loaded_after(code: str) -> set[str]:
    """Top-level modules in ``sys.modules`` of a fresh interpreter after ``code``."""
    probe = f"{code}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    # -I keeps this folder and PYTHON* variables out: what is imported is the installed package.
    done = subprocess.run([sys.executable, "-I", "-c", probe], capture_output=True, text=True, check=True)
    return {name.split(".")[0] for name in json.loads(done.stdout.splitlines()[-1])}


@pytest.fixture(scope="module")
def bare() -> set[str]:
    """What a fresh interpreter of this environment loads by itself (site hooks included)."""
    return loaded_after("pass")


def test_importing_the_package_loads_nothing_heavy(bare: set[str]) -> None:
    loaded = loaded_after("import gpurefine")
    assert "gpurefine" in loaded
    assert (loaded - bare) & (HEAVY | {"click"}) == set()


def test_command_line_help_loads_nothing_heavy(bare: set[str]) -> None:
    code = "import gpurefine.cli.main as m\ntry:\n    m.main(['refine', '--help'])\nexcept SystemExit:\n    pass"
    loaded = loaded_after(code)
    assert "click" in loaded
    assert (loaded - bare) & HEAVY == set()


def test_running_the_job_never_loads_cupy_without_being_asked() -> None:
    loaded = loaded_after("import gpurefine.job")
    assert {"gpurefine", "numpy"} <= loaded
    assert loaded & {"cupy", "cupyx", "click", "rich"} == set()


def test_front_offers_the_documented_names() -> None:
    import gpurefine

    for name in gpurefine.__all__:
        assert getattr(gpurefine, name) is not None
    assert set(gpurefine.__all__) <= set(dir(gpurefine))
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        gpurefine.nonsense  # noqa: B018
