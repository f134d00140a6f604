"""A dataclass field that is also an option of the command line and of option files."""

from __future__ import annotations

from dataclasses import field
from typing import Any


def option(default: Any, help: str, unit: str = "", **metadata: Any) -> Any:
    """A dataclass field that is also a command-line option."""
    meta = {"help": help, "unit": unit, **metadata}
    if isinstance(default, (list, tuple)):
        return field(default=tuple(default), metadata=meta)
    return field(default=default, metadata=meta)
