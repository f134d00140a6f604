"""A signal that comes while compiled code is being called ends the run as any other."""

from __future__ import annotations

import pytest

from gpurefine.errors import interruptions


def _spoilt(levels: int) -> BaseException:
    """What the interpreter makes of it: a SystemError in every function that was being called."""
    if levels == 0:
        return KeyboardInterrupt()
    error = SystemError("a function returned a result with an exception set")
    error.__cause__ = _spoilt(levels - 1)
    return error


@pytest.mark.parametrize("depth", [0, 1, 3])
def test_the_signal_is_at_the_bottom(depth: int) -> None:
    with pytest.raises(KeyboardInterrupt), interruptions():
        raise _spoilt(depth)


def test_another_system_error_stays_what_it_is() -> None:
    error = SystemError("broken")
    error.__cause__ = SystemError("deeper")
    with pytest.raises(SystemError, match="broken"), interruptions():
        raise error
