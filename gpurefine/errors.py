"""What can go wrong, told in whole sentences, and how numerical work can end.

Every error that a user can cause is a :class:`GpurefineError`; the command line
prints its message and leaves with its ``exit_code``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum


class GpurefineError(Exception):
    """Base of every error that is reported to the user as one sentence.

    The message names the file or option, says what is wrong and what to do.
    """

    exit_code = 1


class UsageError(GpurefineError):
    """An option or a combination of options makes no sense."""

    exit_code = 2


class InputError(GpurefineError):
    """A file cannot be read, or what it holds cannot be refined."""

    exit_code = 3


class ChemistryError(GpurefineError):
    """Restraints are missing or contradict the model."""

    exit_code = 4


class NumericalError(GpurefineError):
    """The calculation itself failed (a value that is not a number, a singular matrix)."""

    exit_code = 5


class DeviceError(GpurefineError):
    """The requested device cannot be used."""

    exit_code = 6


class OutputError(GpurefineError):
    """A result cannot be written (full disk, read-only folder, missing folder)."""

    exit_code = 7


class InterruptedRefinement(GpurefineError):
    """The user or the queue stopped the run (Ctrl-C, SIGTERM)."""

    exit_code = 130


class Status(Enum):
    """Outcome of a numerical step; the value is the message shown to the user."""

    OK = "converged"
    REDUCED = "the step was shortened until the target fell"
    RIDGE = "a ridge was added to the normal matrix before the target fell"
    ITERATION_LIMIT = "the linear solver stopped at its iteration limit; its last iterate was used"
    NO_DESCENT = "no step along the search direction lowered the target; the model was left as it was"
    NOT_FINITE = "the target is not a finite number"


@contextmanager
def interruptions() -> Iterator[None]:
    """Raise a KeyboardInterrupt as such although it came while compiled code was being called.

    The interpreter makes a SystemError of an exception that a called function leaves behind beside its result, and
    another of this one in the function that had called it.
    """
    try:
        yield
    except SystemError as error:
        cause: BaseException | None = error
        while isinstance(cause, SystemError):
            cause = cause.__cause__
        if isinstance(cause, KeyboardInterrupt):
            raise cause from None
        raise
