"""Things that gemmi's Python objects do and its type stubs leave out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import gemmi


def chain_infos(topo: gemmi.Topo) -> Iterator[gemmi.Topo.ChainInfo]:
    """The chains of a topology."""
    return iter(cast(Any, topo.chain_infos))


def component_atom(name: str, element: gemmi.Element, energy_type: str) -> gemmi.ChemComp.Atom:
    """An atom of a monomer (the stubs take its class for that of model atoms)."""
    atom = cast(Any, gemmi.ChemComp).Atom()
    atom.id, atom.el, atom.chem_type = name, element, energy_type
    return cast(gemmi.ChemComp.Atom, atom)


def absent(thing: object) -> bool:
    """A lookup found nothing (gemmi returns None where its stubs promise an object)."""
    return thing is None
