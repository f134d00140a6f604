"""Machine code on disk: loaded by the next process as it was compiled, without making numba ready to compile."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

MODULE = """
import json, sys
from gpurefine.backend.cpu import jit

if len(sys.argv) > 1:
    jit.KNOWN = ()

@jit.njit(cache=True)
def triangle(n):
    total = 0
    for i in range(n + 1):
        total += i
    return total

value = triangle(100)
print(json.dumps([value, sum(triangle.stats.cache_hits.values()), "numba.typed.typedlist" in sys.modules]))
"""


def run(script: Path, *arguments: str) -> list[object]:
    done = subprocess.run(
        [sys.executable, "-I", str(script), *arguments], capture_output=True, text=True, check=True
    )
    return list(json.loads(done.stdout))


def test_the_second_process_loads_what_the_first_compiled(tmp_path: Path) -> None:
    script = tmp_path / "triangle.py"
    script.write_text(MODULE, encoding="utf-8")
    assert run(script, "unknown numba") == [5050, 0, True]
    assert run(script) == [5050, 1, False]
    assert run(script, "unknown numba") == [5050, 1, True]


def test_changed_source_is_compiled_anew(tmp_path: Path) -> None:
    script = tmp_path / "triangle.py"
    script.write_text(MODULE, encoding="utf-8")
    assert run(script)[0] == 5050
    script.write_text(MODULE.replace("total += i", "total += i * i + 1000"), encoding="utf-8")
    assert run(script)[:2] == [439350, 0]


def test_every_operation_works_from_stored_code() -> None:
    """Stored code that needed more of numba than is loaded would end the process."""
    code = (
        "from gpurefine.backend import create; from gpurefine.backend.warm_up import warm_up; "
        "warm_up(create('cpu', 2)); warm_up(create('cpu', 2)); print('done')"
    )
    for _ in range(2):  # at least the second time everything is on disk
        done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=False)
        assert done.stdout.strip() == "done", done.stderr[-500:]


def test_cache_can_be_switched_off() -> None:
    from gpurefine.backend.cpu.jit import KeptCode

    kept = KeptCode(test_cache_can_be_switched_off)
    kept.disable()
    assert not kept._cache._enabled
    kept.enable()
    assert kept._cache._enabled and Path(kept.cache_path).name == "__pycache__"
    kept.flush()


@pytest.mark.parametrize("module", ["scipy.sparse", "scipy.linalg", "scipy.special", "scipy.fft", "rich"])
def test_starting_a_job_leaves_out_what_it_does_not_need(module: str) -> None:
    code = "import gpurefine.job, sys; from gpurefine.backend import create; create('cpu'); "
    code += f"print({module!r} in sys.modules)"
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
