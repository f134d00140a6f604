"""Two things that do not need each other, at the same time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol, TypeVar

T = TypeVar("T")


class BesideOps(Protocol):
    """The part of the table of operations that shares the device out.

    Attributes:
        concurrent: whether :meth:`beside` does two things at a time, so that it is worth while to begin early what
            will be needed later.
    """

    @property
    def concurrent(self) -> bool: ...  # noqa: D102

    def beside(self, work: Callable[[], T]) -> AbstractContextManager[Callable[[], T]]:
        """Do ``work`` while the body of the ``with`` statement is done.

        What is entered gives the result of ``work`` and raises what it raised; when the body is left, ``work`` has
        ended.  Neither of the two may change what the other reads.
        """
        ...


class OneAfterTheOther:
    """For a backend that is one device: the work first, then the body."""

    concurrent = False

    @contextmanager
    def beside(self, work: Callable[[], T]) -> Iterator[Callable[[], T]]:
        """See :class:`BesideOps`."""
        result = work()
        yield lambda: result
