"""Two things that gemmi's Python objects do and its type stubs leave out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import gemmi


def chain_infos(topo: gemmi.Topo) -> Iterator[gemmi.Topo.ChainInfo]:
    """The chains of a topology."""
    return iter(cast(Any, topo.chain_infos))


def absent(thing: object) -> bool:
    """A lookup found nothing (gemmi returns None where its stubs promise an object)."""
    return thing is None
