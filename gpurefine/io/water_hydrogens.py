"""Waters of a neutron model that lack hydrogens: how much of their scattering is missing, and of which isotope.

To neutrons the two deuteriums of D2O are 13.3 of its 19.1 fm.  Where they were not placed, mostly because they are not
ordered, they are there all the same, and an oxygen alone would be a hole in the solvent.
"""

from __future__ import annotations

from typing import TypeGuard

import gemmi

from .scattering import water_name

EXCHANGEABLE = ("N", "O", "S")
"""Elements whose hydrogens exchange with the solvent's."""
LONGEST_BOND = 1.5
"""Å: longer than any from a hydrogen to what carries it."""


def solvent_deuterium(st: gemmi.Structure) -> float | None:
    """Part of D in the solvent: the mean over the hydrogens of the model's waters, or, where these have none, over
    hydrogens on N, O and S; None if there are none of these either, and nothing is known."""
    waters: list[float] = []
    others: list[float] = []
    for residue in (residue for chain in st[0] for residue in chain):
        if residue.is_water():
            waters += [_part(atom) for atom in residue if atom.is_hydrogen()]
            continue
        for atom in (atom for atom in residue if atom.is_hydrogen()):
            carrier = carrier_of(residue, atom)
            if exchanges(carrier) and carrier.pos.dist(atom.pos) < LONGEST_BOND:
                others.append(_part(atom))
    found = waters or others
    return sum(found) / len(found) if found else None


def carrier_of(residue: gemmi.Residue, hydrogen: gemmi.Atom) -> gemmi.Atom | None:
    """The nearest atom of the residue that is not a hydrogen."""
    heavy = (atom for atom in residue if not atom.is_hydrogen())
    return min(heavy, key=lambda atom: atom.pos.dist(hydrogen.pos), default=None)


def exchanges(carrier: gemmi.Atom | None) -> TypeGuard[gemmi.Atom]:
    """Whether hydrogens on this atom exchange with the solvent's."""
    return carrier is not None and carrier.element.name in EXCHANGEABLE


def _part(atom: gemmi.Atom) -> float:
    return 1.0 if atom.element.name == "D" else float(atom.fraction)


def scatterer_of_oxygen(residue: gemmi.Residue, atom: gemmi.Atom, deuterium: float) -> str:
    """Name of the scatterer that an oxygen ``atom`` of a water ``residue`` is, with the hydrogens that lack."""
    everyone = atom.altloc == "\0"
    own = [other for other in residue if other.is_hydrogen() and (everyone or other.altloc in ("\0", atom.altloc))]
    return water_name(max(2 - len(own), 0), deuterium)
