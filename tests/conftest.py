"""Fixtures that several test files share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(params=["reference", "cpu", "shim", pytest.param("cuda", marks=pytest.mark.gpu)])
def backend(request: pytest.FixtureRequest) -> Any:
    """Every backend in turn: a test that takes this fixture runs once on each.

    ``shim`` is the cuda backend with its kernels executed on the CPU, ``cuda`` the same on a GPU.
    """
    from device_backends import gpu_backend, shim_backend

    from gpurefine.backend import create

    if request.param == "shim":
        return shim_backend()
    if request.param == "cuda":
        return gpu_backend()
    return create(request.param, 2)


@pytest.fixture(scope="session")
def example(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Model and data of the embedded example, unpacked: 1l2h_shaken.pdb and 1l2h.mtz."""
    from gpurefine.io.example import write_example

    return write_example(tmp_path_factory.mktemp("example"))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the real cases, which are not part of the repository."""
    named = os.environ.get("GPUREFINE_DATA")
    folder = Path(named) if named else ROOT.parent / "shared" / "data"
    if not (folder / "cases.toml").is_file():
        pytest.skip("the real cases are not here: set GPUREFINE_DATA to the folder that holds cases.toml")
    return folder
