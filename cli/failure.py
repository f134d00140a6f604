"""How a command ends when it cannot finish: one paragraph for the user and an exit code, never a traceback."""

from __future__ import annotations

import errno
import itertools
import os
import platform
import shutil
import signal
import sys
import tempfile
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

import click

from gpurefine import __version__
from gpurefine.errors import DeviceError, GpurefineError, InterruptedRefinement, OutputError

INTERRUPTED = 130
TERMINATED = 143
BUG = 70
"""Exit code when gpurefine itself is at fault (EX_SOFTWARE of the BSD convention)."""


FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)
"""What the system says where nothing more can be written."""


class Terminated(KeyboardInterrupt):
    """SIGTERM arrived: a batch queue wants the program gone."""


@contextmanager
def sigterm_raises() -> Iterator[None]:
    """Turn SIGTERM into :class:`Terminated` inside the block, so that unfinished files are removed on the way out."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise Terminated

    try:
        before = signal.signal(signal.SIGTERM, stop)
    except ValueError:  # not the main thread: the caller handles signals
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def say(text: str) -> None:
    """Print ``text`` on the error stream, as one wrapped paragraph where a person reads it."""
    if sys.stderr.isatty():
        text = click.wrap_text(text, width=min(100, shutil.get_terminal_size().columns))
    with suppress(OSError):  # nobody listens
        click.echo(text, err=True)


def forget_output() -> None:
    """Send what standard output could not take to nowhere, so that Python does not stumble over it when it ends."""
    with suppress(OSError, ValueError), open(os.devnull, "w", encoding="utf-8") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())


def traceback_file(prefix: str | None) -> Path | None:
    """Save the traceback of the current exception in PREFIX.log, or else in a temporary file."""
    text = (
        f"gpurefine {__version__} stopped because of an error in the program itself.\n"
        f"Command: {' '.join(sys.argv)}\n"
        f"Python {platform.python_version()} on {platform.platform()}\n\n{traceback.format_exc()}"
    )
    if prefix is not None:
        path = Path(prefix + ".log")
        try:
            path.write_text(text, encoding="utf-8")
        except OSError:
            pass
        else:
            return path
    try:
        handle, name = tempfile.mkstemp(prefix="gpurefine-", suffix=".log")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError:
        return None
    return Path(name)


def report(error: BaseException, prefix: str | None = None) -> int:
    """Tell the user what happened; returns the exit code.  Called while ``error`` is handled."""
    if isinstance(error, InterruptedRefinement):
        say(str(error) or "gpurefine was interrupted.")
        return TERMINATED if isinstance(error.__cause__, Terminated) else INTERRUPTED
    if isinstance(error, Terminated) or isinstance(error.__cause__, Terminated):  # click makes it an Abort
        say("gpurefine was asked to stop (SIGTERM). Nothing unfinished was left behind.")
        return TERMINATED
    if isinstance(error, (KeyboardInterrupt, click.Abort)):
        say("gpurefine was interrupted. Nothing unfinished was left behind.")
        return INTERRUPTED
    if isinstance(error, GpurefineError):
        say(f"Error: {error}")
        return error.exit_code
    if isinstance(error, MemoryError):
        say("Error: the memory of this machine does not suffice for this model and resolution.")
        return DeviceError.exit_code
    if isinstance(error, OSError) and error.errno in FULL:
        what = error.filename or "The output"
        say(f"Error: {what} cannot be written: {error.strerror}; free some space or write elsewhere.")
        return OutputError.exit_code
    path = traceback_file(prefix)
    where = f"and send the file {path}, which says where" if path else "with the command you gave"
    what = f"{type(error).__name__}: {error}"
    say(f"Error: gpurefine failed in a way it did not foresee ({what}). Please report this {where}.")
    return BUG


def current_prefix(arguments: Sequence[str]) -> str | None:
    """The output prefix on a command line, for the place of the traceback."""
    for option, value in itertools.pairwise(arguments):
        if option in ("-o", "--output"):
            return value
    return None
