"""Files that are there whole or not at all: written beside their place under another name, then renamed."""

from __future__ import annotations

import contextlib
import errno
import glob
import os
import secrets
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, BinaryIO

from ..config_file import is_ours
from ..errors import OutputError, UsageError

SUFFIXES = (".cif", ".pdb", ".mtz", ".json", ".log", ".toml", ".tls")
"""The files of one run: PREFIX + each of these."""

STALE = 600.0
"""Seconds after which a temporary file is taken to be left over."""


@dataclass(frozen=True, slots=True)
class Staged:
    """A file written in full under ``temporary`` that waits to become ``target``."""

    target: Path
    temporary: Path


def stage(path: str | Path, content: bytes | Callable[[BinaryIO], object]) -> Staged:
    """Write ``content``, or what that writes, to disk beside ``path``, under a name of its own.

    Raises:
        OutputError: the folder is missing or not writable, the disk is full, or the name is that of something else.
    """
    target = Path(path)
    if os.path.exists(target) and not os.path.isfile(target):
        what = "a folder" if os.path.isdir(target) else "a device or a pipe, not a file"
        raise OutputError(f"{target} cannot be written: it is {what}; choose another name with -o.")
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    try:
        with open(temporary, "xb") as file:
            if callable(content):
                content(file)
            else:
                file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise OutputError(_sentence(target, error)) from None
        raise
    return Staged(target, temporary)


def publish(files: Iterable[Staged]) -> None:
    """Give every staged file its name; Ctrl-C and SIGTERM wait until all are renamed.

    Raises:
        OutputError: a file cannot be renamed; those not yet renamed are deleted.
    """
    waiting = list(files)
    with signals_wait():
        try:
            while waiting:
                os.replace(waiting[0].temporary, waiting[0].target)
                waiting.pop(0)
        except OSError as error:
            target = waiting[0].target
            discard(waiting)
            raise OutputError(_sentence(target, error)) from None


@contextlib.contextmanager
def signals_wait() -> Iterator[None]:
    """Hold back SIGINT and SIGTERM inside the block (in the main thread, the only one that gets them)."""
    came: list[int] = []
    before: dict[signal.Signals, Callable[[int, FrameType | None], Any]] = {}
    try:
        if threading.current_thread() is threading.main_thread():
            for held in (signal.SIGINT, signal.SIGTERM):
                handler = signal.getsignal(held)
                if callable(handler):  # else the process ignores it or dies of it
                    before[held] = handler
                    signal.signal(held, lambda number, frame: came.append(number))
        yield
    finally:
        for held, own in before.items():
            signal.signal(held, own)
        for number in came:
            signal.raise_signal(number)


def discard(files: Iterable[Staged]) -> None:
    """Delete staged files that will not be used."""
    for file in files:
        with contextlib.suppress(OSError):
            file.temporary.unlink(missing_ok=True)


def write_whole(path: str | Path, content: bytes | Callable[[BinaryIO], object]) -> None:
    """Write one file, whole or not at all.

    Raises:
        OutputError: as :func:`stage` and :func:`publish`.
    """
    publish([stage(path, content)])


def check_output_folder(prefix: str, inputs: Sequence[str] = ()) -> None:
    """Find out before the work starts whether its results can be written.

    Args:
        prefix: start of the output names, as given with -o.
        inputs: files that are read and must not be overwritten.

    Raises:
        UsageError: the prefix is no name, or an output would replace an input.
        OutputError: the folder is missing or not writable.
    """
    if not prefix or prefix.endswith(("/", os.sep)) or Path(prefix).name in ("", ".", ".."):
        raise UsageError(f"The output prefix '{prefix}' must end in a name, such as refined.")
    folder = Path(prefix).parent
    if not folder.is_dir():
        what = "is not a folder" if folder.exists() else "does not exist; create it first"
        raise OutputError(f"The output folder {folder} {what}.")
    outputs = [Path(prefix + suffix) for suffix in (*SUFFIXES, ".checkpoint")]
    for output in outputs:
        if os.path.isdir(output):
            raise OutputError(f"The output {output} is a folder; choose another prefix with -o.")
        for name in inputs:
            if os.path.exists(output) and os.path.exists(name) and output.samefile(name):
                raise UsageError(f"The output {output} would replace the input {name}; choose another prefix with -o.")
        if output.suffix == ".toml" and not is_ours(output):
            raise UsageError(
                f"{output}, which gpurefine did not write, would be replaced by the options of this run; choose "
                f"another prefix with -o."
            )
    discard([stage(outputs[0], b"")])
    _sweep(folder, [output.name for output in outputs])


def _sweep(folder: Path, names: Iterable[str]) -> None:
    """Delete what runs that were killed while they wrote have left behind; younger files may belong to a living run."""
    limit = time.time() - STALE
    for name in names:
        for path in folder.glob(f".{glob.escape(name)}.*.part"):
            with contextlib.suppress(OSError):
                if path.stat().st_mtime < limit:
                    path.unlink()


def _sentence(target: Path, error: OSError) -> str:
    """What went wrong with ``target``, and what to do."""
    advice = {
        errno.ENOSPC: "the disk is full; free some space or write elsewhere",
        errno.EDQUOT: "the disk quota is used up; free some space or write elsewhere",
        errno.EROFS: "the disk is read-only; write elsewhere with -o",
        errno.EACCES: "permission is denied; write elsewhere with -o",
        errno.EPERM: "permission is denied; write elsewhere with -o",
        errno.ENOENT: "its folder does not exist; create it first",
        errno.ENOTDIR: "its folder is not a folder; write elsewhere with -o",
        errno.EISDIR: "it is a folder; write elsewhere with -o",
        errno.ENAMETOOLONG: "its name is too long; choose a shorter one with -o",
        errno.EFBIG: "it is larger than the limit on file sizes (ulimit -f) allows; raise the limit or write elsewhere",
    }.get(error.errno or 0, f"{error.strerror or error}; write elsewhere with -o")
    return f"{target} cannot be written: {advice}."
