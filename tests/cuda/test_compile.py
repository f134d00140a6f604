"""Every kernel compiles for every architecture, without a GPU, and none spills that did not."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from gpurefine.backend.cuda import sources
from gpurefine.backend.cuda.device import TYPES

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from perf import kernel_registers


def _nvrtc_version() -> tuple[int, int] | None:
    """Version of the runtime compiler, asked in another process: importing CuPy warns and may fail in many ways."""
    if importlib.util.find_spec("cupy") is None:
        return None
    code = "from cupy.cuda import nvrtc; print(*nvrtc.getVersion())"
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=False)
    return tuple(map(int, done.stdout.split())) if done.returncode == 0 else None  # type: ignore[return-value]


VERSION = _nvrtc_version()
needs_nvrtc = pytest.mark.skipif(
    VERSION is None, reason="CuPy with NVRTC is not installed (pip install -e '.[nvrtc]')"
)


@needs_nvrtc
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("file", sources.files())
def test_compiles_everywhere_and_does_not_spill_anew(file: str) -> None:
    from cupy.cuda import nvrtc

    record = kernel_registers.recorded()
    same_compiler = record["compiler"] == kernel_registers.compiler()
    own = {name for name, kernel in sources.kernels().items() if kernel.file == file}
    unchanged = record["sources"].get(file) == kernel_registers.digest(file) and same_compiler
    everything = bool(os.environ.get("GPUREFINE_ALL_ARCHITECTURES"))
    # the table was made by compiling this very text for all; the oldest and the newest show that it still holds
    chosen = sources.ARCHITECTURES if everything or not unchanged else sources.ARCHITECTURES[::6]
    for architecture in chosen:
        if architecture not in nvrtc.getSupportedArchs():
            continue
        found = kernel_registers.measure(file, architecture)
        assert set(found) == own
        for name, figures in found.items():
            before = record["kernels"].get(name, {}).get(str(architecture), {"spill": 0})
            assert figures == before or not unchanged, f"{name}, sm_{architecture}: {figures} instead of {before}"
            assert figures["spill"] <= before["spill"] or not same_compiler, (
                f"{name} spills {figures['spill']} bytes for sm_{architecture}, {before['spill']} are recorded."
            )


def test_every_kernel_is_in_the_table() -> None:
    table = kernel_registers.recorded()["kernels"]
    assert set(table) == set(sources.kernels()), "Run python -m perf.kernel_registers."
    assert all(set(by) == set(map(str, sources.ARCHITECTURES)) for by in table.values())


def test_every_argument_has_a_known_type() -> None:
    for kernel in sources.kernels().values():
        for parameter in kernel.parameters:
            assert parameter.base in {*TYPES, "void"}, f"{kernel.name}: {parameter}"


@pytest.mark.parametrize("file", sources.files())
def test_sources_need_no_header_but_ours(file: str) -> None:
    text = sources.source(file)
    assert "#include" not in text and "#pragma once" not in text
    assert text.count("#define FULL_WARP") == 1
    # every kernel is found, and so has known arguments and launch bounds
    count = len(re.findall(r"__global__", text))
    own = [kernel for kernel in sources.kernels().values() if kernel.file == file]
    assert count == len(own) and all(kernel.max_threads for kernel in own)


@needs_nvrtc
@pytest.mark.filterwarnings("ignore")
def test_compiled_code_is_kept_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPUREFINE_CACHE", str(tmp_path / "kept"))
    path = sources.cubin_path("reduce.cu", 80)
    assert path.parent == tmp_path / "kept" and path.read_bytes()[:4] == b"\x7fELF"
    assert sources.cubin_path("reduce.cu", 80) == path
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]
    assert sources.cubin_path("reduce.cu", 90) != path
    # where the folder cannot be made, a temporary one serves
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("GPUREFINE_CACHE", str(tmp_path / "file"))
    other = sources.cubin_path("reduce.cu", 80)
    assert other.is_file() and tmp_path not in other.parents


def test_jobs_may_store_the_same_file_at_the_same_time(tmp_path: Path) -> None:
    """Whoever reads meanwhile finds no file or a whole one, which others may read too."""
    code = """
import sys
from pathlib import Path
from gpurefine.backend.cuda import sources
for _ in range(30):
    assert sources._store(Path(sys.argv[1]), b"code" * 250_000).is_file()
"""
    path = tmp_path / "shared" / "kernels.cubin"
    jobs = [subprocess.Popen([sys.executable, "-c", code, str(path)], stderr=subprocess.PIPE) for _ in range(3)]
    seen = set()
    while any(job.poll() is None for job in jobs):
        if path.is_file():
            seen.add(path.read_bytes())
    assert [job.communicate()[1] for job in jobs] == [b""] * 3 and not any(job.returncode for job in jobs)
    assert seen == {b"code" * 250_000}
    assert [entry.name for entry in path.parent.iterdir()] == [path.name] and path.stat().st_mode & 0o777 == 0o644


@needs_nvrtc
@pytest.mark.filterwarnings("ignore")
def test_a_refused_source_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    from gpurefine.errors import DeviceError

    monkeypatch.setattr(sources, "source", lambda file: "this is no kernel")
    with pytest.raises(DeviceError, match=r"refuses reduce\.cu for compute capability 8\.0"):
        sources.compile_cubin("reduce.cu", 80)


def test_the_cache_folder_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("GPUREFINE_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert sources.cache_folder() == tmp_path / "gpurefine"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert sources.cache_folder() == Path(os.path.expanduser("~")) / ".cache" / "gpurefine"
