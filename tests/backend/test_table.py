"""Every backend performs the whole table; the devices are told; compiled code finds a place on disk."""

from __future__ import annotations

import inspect
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest

import gpurefine
from gpurefine import backend as table
from gpurefine.backend import compile_beside, compile_kernels, create, describe_choice, devices, first_run_notice
from gpurefine.backend.cpu.backend import CpuBackend
from gpurefine.backend.cuda.backend import CudaBackend
from gpurefine.backend.ops import Backend
from gpurefine.backend.reference.backend import ReferenceBackend
from gpurefine.backend.warm_up import warm_up
from gpurefine.errors import UsageError

OPERATIONS = [
    name for name in dir(Backend)
    if not name.startswith("_") and callable(getattr(Backend, name))
]


@pytest.mark.parametrize("kind", [CpuBackend, ReferenceBackend, CudaBackend])
@pytest.mark.parametrize("name", OPERATIONS)
def test_operations_are_called_alike(kind: type, name: str) -> None:
    wanted = inspect.signature(getattr(Backend, name)).parameters
    given = inspect.signature(getattr(kind, name)).parameters
    assert list(given) == list(wanted)
    assert [p.default for p in given.values()] == [p.default for p in wanted.values()]


def test_the_table_is_as_long_as_it_should_be() -> None:
    assert {"spread", "spread_tangent", "gather", "map_to_hkl", "hkl_to_map", "rice", "block_product"} < set(OPERATIONS)


def test_every_operation_runs_in_the_warm_up(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new operation must be added to the warm-up, or its first user waits for the compiler."""
    called = set()
    for name in OPERATIONS:
        method = getattr(type(backend), name)

        def spy(self: Backend, *args: object, _name: str = name, _method: object = method, **kw: object) -> object:
            called.add(_name)
            return _method(self, *args, **kw)  # type: ignore[operator]

        monkeypatch.setattr(type(backend), name, spy)
    warm_up(backend)
    assert called == set(OPERATIONS) - {"beside"}  # has nothing to compile


def test_compiling_twice_costs_nothing() -> None:
    compile_kernels()
    assert compile_kernels()[0] < 2.0


def test_a_refinement_compiles_nothing_that_the_warm_up_did_not(example: tuple[Path, Path]) -> None:
    """Kernels that are specialised for other argument types than the warm-up's would be compiled again in use."""
    code = """
import importlib, pkgutil, sys
import gpurefine.backend.cpu as cpu
from numba.core.dispatcher import Dispatcher
from gpurefine.backend import compile_kernels
import gpurefine

def compiled():
    found = set()
    for info in pkgutil.iter_modules(cpu.__path__):
        module = importlib.import_module(f"gpurefine.backend.cpu.{info.name}")
        for name, value in vars(module).items():
            if isinstance(value, Dispatcher):
                found |= {(info.name, name, str(s)) for s in value.signatures}
    return found

compile_kernels()
before = compiled()
gpurefine.read(sys.argv[1], sys.argv[2]).refine(cycles=1)
extra = compiled() - before
assert before and not extra, extra
"""
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, example)], capture_output=True, text=True, check=False, timeout=600
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("home", ["writable", "read-only"])
def test_machine_code_without_a_writable_package_folder(tmp_path: Path, home: str) -> None:
    """numba then caches in the user's folder, and if that cannot be written either the program still works."""
    package = Path(gpurefine.__file__).parent
    copy = tmp_path / "site" / "gpurefine"
    shutil.copytree(package, copy, ignore=shutil.ignore_patterns("__pycache__", "data"))
    # a file in the place of the cache folder stops even root from writing there
    (copy / "backend" / "cpu" / "__pycache__").write_text("")
    cache = tmp_path / "cache" if home == "writable" else Path(os.devnull) / "none"
    code = (
        "import gpurefine, numpy as np; from gpurefine.backend import create; "
        "i = np.zeros(0, np.int32); out = np.zeros((2, 1)); "
        "create('cpu', 1).block_product(np.zeros(3, np.int32), i, i, i.astype(bool), np.full((2, 1, 1), 2.0), "
        "np.zeros((0, 1, 1)), np.ones((2, 1)), out); print(gpurefine.__file__, out.sum())"
    )
    environment = {k: v for k, v in os.environ.items() if not k.startswith("NUMBA_")}
    environment |= {"PYTHONPATH": str(tmp_path / "site"), "XDG_CACHE_HOME": str(cache), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, check=False, env=environment, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(copy / "__init__.py"), "4.0"]
    if home == "writable":
        assert list(cache.rglob("*.nbi"))


def test_choice_of_device() -> None:
    assert create("cpu", 1).threads == 1
    assert create("cpu", 10_000).threads == create("auto").threads
    assert create("reference").name == "reference"
    for name in ("gpu", "cuda:", "cuda:x", ""):
        with pytest.raises(UsageError, match="--device must be"):
            create(name)
    assert "1 thread " in describe_choice("cpu", create("cpu", 1))
    create("cpu", 2)


def test_devices_are_told() -> None:
    lines = devices()
    assert lines[0].startswith("cpu: ") and "thread" in lines[0]
    assert any(line.startswith("cuda") for line in lines[1:])
    assert set(table.__all__) >= {"create", "devices", "compile_kernels"}


def test_block_product_is_that_of_the_full_matrix(backend: Backend) -> None:
    from gpurefine.backend.blocks import BlockPattern

    rng = np.random.default_rng(1)
    for size in (1, 3):
        n = 12
        pattern = BlockPattern.from_pairs(n, *(rng.integers(0, n, (2, 30)).astype(np.int32)))
        diagonal = rng.normal(size=(n, size, size))
        diagonal += np.swapaxes(diagonal, 1, 2)
        off = rng.normal(size=(len(pattern.pairs), size, size))
        full = np.zeros((n, size, n, size))
        for i in range(n):
            full[i, :, i] = diagonal[i]
        for (i, j), block in zip(pattern.pairs, off, strict=True):
            full[i, :, j], full[j, :, i] = block, block.T
        x, out = rng.normal(size=(n, size)), np.ones((n, size))
        backend.block_product(
            pattern.row_start, pattern.column, pattern.slot, pattern.transposed, diagonal, off, x, out
        )
        np.testing.assert_allclose(out, 1.0 + np.einsum("iajb,jb->ia", full, x), rtol=1e-12, atol=1e-12)


def test_first_run_is_told_where_nothing_is_compiled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from gpurefine.backend.cpu import density_iso

    class Cache:
        cache_path = str(tmp_path)

    monkeypatch.setattr(density_iso.spread, "_cache", Cache())
    assert "compiled now" in first_run_notice(create("cpu", 1))[0]
    (tmp_path / "density_iso.spread-27.py311.1.nbc").touch()
    assert first_run_notice(create("cpu", 1)) == []
    assert first_run_notice(create("reference")) == []


def test_a_first_run_compiles_on_a_second_core(monkeypatch: pytest.MonkeyPatch) -> None:
    from gpurefine.backend import create as choose
    from gpurefine.backend.warm_up import PARTS

    module, started = sys.modules[choose.__module__], []

    class Process:
        def __init__(self, command: list[str], **settings: Any) -> None:
            started.append((command[-1], settings["env"]))

        def terminate(self) -> None:
            pass

    monkeypatch.setattr(module.subprocess, "Popen", Process)
    compile_beside(create("cpu", 2))
    assert not started or first_run_notice(create("cpu", 2))  # nothing to do where the code is there
    monkeypatch.setattr(module, "first_run_notice", lambda backend: ["First run"])
    started.clear()
    compile_beside(create("cpu", 1))
    assert not started
    if numba.config.NUMBA_NUM_THREADS > 1:
        monkeypatch.setattr(module.sys, "executable", "/opt/coot/bin/coot")
        compile_beside(create("cpu", 2))
        assert not started
        monkeypatch.setattr(module.sys, "executable", "/usr/bin/python3")
        compile_beside(create("cpu", 2))
        assert len(started) == 1 and all(part in started[0][0] for part in module.SECOND)
    assert set(module.SECOND) <= set(PARTS)
