"""The kernels' sources: which there are, what arguments they take, how they are compiled, and where that is kept.

Compiled code is kept in a folder of the user's (``GPUREFINE_CACHE``, else gpurefine in ``XDG_CACHE_HOME`` or
``~/.cache``), under a name made from the text, the options, the architecture and the compiler, so that a stale file is
never taken; each file appears under its name when it is whole, so that the jobs of an array can share the folder.
"""

from __future__ import annotations

import hashlib
import importlib.resources
import os
import re
import tempfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from ...errors import DeviceError

OPTIONS = ("--std=c++17", "-default-device", "--ftz=true", "--fmad=true")
"""What NVRTC is told besides the architecture."""

ARCHITECTURES = (75, 80, 86, 89, 90, 100, 120)
"""Compute capabilities (times ten) that the kernels are tested to compile for."""

_KERNEL = re.compile(
    r'extern\s+"C"\s+__global__\s+void\s+(?:__launch_bounds__\(\s*([\d,\s]+?)\s*\)\s*)?(\w+)\s*\(([^)]*)\)'
)
_INCLUDE = re.compile(r'^[ \t]*#include[ \t]+"([\w.]+)"[ \t]*$', re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Parameter:
    """One argument of a kernel: ``base`` type without const or *, and whether it is a pointer."""

    name: str
    base: str
    pointer: bool


@dataclass(frozen=True, slots=True)
class Kernel:
    """A kernel: its name, file, arguments and the largest block it may be launched with (0: not stated)."""

    name: str
    file: str
    parameters: tuple[Parameter, ...]
    max_threads: int


def files() -> tuple[str, ...]:
    """Names of all ``.cu`` files."""
    folder = importlib.resources.files("gpurefine.kernels")
    return tuple(sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".cu")))


def _read(name: str) -> str:
    return (importlib.resources.files("gpurefine.kernels") / name).read_text(encoding="utf-8")


@lru_cache(maxsize=64)
def source(file: str) -> str:
    """Text of ``file`` with every header of ours in the place where it is first included."""
    seen: set[str] = set()

    def inline(name: str) -> str:
        def put(found: re.Match[str]) -> str:
            header = found.group(1)
            if header in seen:
                return ""
            seen.add(header)
            return f"// {header}\n{inline(header)}"

        return _INCLUDE.sub(put, _read(name).replace("#pragma once\n", ""))

    return inline(file)


def _parameter(text: str) -> Parameter:
    cleaned = re.sub(r"\b(const|__restrict__)\b", " ", text)
    pointer = "*" in cleaned
    *base, name = cleaned.replace("*", " ").split()
    return Parameter(name, " ".join(base), pointer)


@lru_cache(maxsize=1)
def kernels() -> dict[str, Kernel]:
    """All kernels by name; a name is used once."""
    found: dict[str, Kernel] = {}
    for file in files():
        for bounds, name, arguments in _KERNEL.findall(_read(file)):
            if name in found:
                raise ValueError(f"Kernel {name} is in {found[name].file} and in {file}.")
            parameters = tuple(_parameter(part) for part in arguments.split(",") if part.strip())
            found[name] = Kernel(name, file, parameters, int(bounds.split(",")[0]) if bounds else 0)
    return found


def cache_folder() -> Path:
    """Where compiled kernels are kept (not created here)."""
    named = os.environ.get("GPUREFINE_CACHE")
    if named:
        return Path(named)
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "gpurefine"


def compile_cubin(file: str, architecture: int, extra: tuple[str, ...] = ()) -> tuple[bytes, str]:
    """Machine code of ``file`` for compute capability ``architecture``/10, and the compiler's log.

    Raises:
        DeviceError: the compiler refuses the source (a fault of gpurefine or a compiler too old).
    """
    from cupy.cuda import nvrtc

    program = nvrtc.createProgram(source(file), file, (), ())
    try:
        try:
            nvrtc.compileProgram(program, (*OPTIONS, f"--gpu-architecture=sm_{architecture}", *extra))
        except nvrtc.NVRTCError as error:
            log = nvrtc.getProgramLog(program).strip()
            raise DeviceError(
                f"The CUDA compiler refuses {file} for compute capability {architecture / 10:.1f}: {log or error}. "
                "Use --device cpu."
            ) from error
        return bytes(nvrtc.getCUBIN(program)), str(nvrtc.getProgramLog(program))
    finally:
        nvrtc.destroyProgram(program)


def cubin_path(file: str, architecture: int) -> Path:
    """Path of the compiled ``file``, compiled now if it is not there yet.

    Where the cache folder cannot be written to, a temporary folder that lasts as long as this process serves.
    """
    from cupy.cuda import nvrtc

    recipe = "\0".join([source(file), *OPTIONS, str(architecture), str(nvrtc.getVersion())])
    digest = hashlib.sha256(recipe.encode()).hexdigest()[:24]
    name = f"{Path(file).stem}-sm{architecture}-{digest}.cubin"
    path = cache_folder() / name
    if os.access(path, os.R_OK):
        return path
    code, _ = compile_cubin(file, architecture)
    try:
        return _store(path, code)
    except OSError:
        return _store(_temporary_folder() / name, code)


def _store(path: Path, code: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, partial = tempfile.mkstemp(dir=path.parent, prefix=path.stem, suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(code)
            os.fchmod(file.fileno(), 0o644)  # others may share the folder, and mkstemp leaves them nothing
        os.replace(partial, path)
    except BaseException:
        Path(partial).unlink(missing_ok=True)
        raise
    return path


@lru_cache(maxsize=1)
def _temporary_folder() -> Path:
    import atexit
    import shutil

    folder = Path(tempfile.mkdtemp(prefix="gpurefine-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
