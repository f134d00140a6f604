"""Residues that no dictionary knows and that are kept (``--unknown-residues keep``).

Their atoms get no covalent restraints: they are held at their positions by a harmonic term, their B are tied to those
of their neighbours, and atoms of other residues are kept away by radii of the elements.  Bonds that distances show are
used only to leave out contacts that are none.
"""

from __future__ import annotations

import gemmi
import numpy as np
from numpy.typing import NDArray

from ..model.topology import Loose
from .dictionary import Dictionary
from .gemmi_stubs import component_atom
from .model_checks import listed
from .residue_bonds import SHORTEST, longest_bond

REACH = 3.5
"""Å within which bonds to other residues are looked for."""


def add_bare_components(st: gemmi.Structure, dictionary: Dictionary, messages: list[str]) -> None:
    """Give ``dictionary`` a component without restraints for each of its unknown residues."""
    unknown = set(dictionary.unknown)
    if not unknown:
        return
    atoms: dict[str, dict[str, gemmi.Element]] = {name: {} for name in dictionary.unknown}
    places: dict[str, list[str]] = {name: [] for name in dictionary.unknown}
    for chain in st[0]:
        for residue in chain:
            if residue.name in unknown:
                places[residue.name].append(f"{chain.name}/{residue.seqid}")
                for atom in residue:
                    atoms[residue.name].setdefault(atom.name, atom.element)
    for name, elements in atoms.items():
        component = gemmi.ChemComp()
        component.name = name
        component.set_group("non-polymer")
        for atom_name, element in elements.items():
            component.atoms.append(component_atom(atom_name, element, ""))
        dictionary.monlib.monomers[name] = component
        dictionary.source[name] = "none"
        messages.append(
            f"Warning: no restraints are known for {name} ({listed(places[name], 5)}). Its atoms are kept "
            "(--unknown-residues keep): they are held near their input positions, their B near those of their "
            "neighbours, and they have NO covalent restraints. Do not trust their geometry; the command gpurefine "
            "dictionary can make a dictionary to begin with."
        )


def find_loose(st: gemmi.Structure, unknown: tuple[str, ...]) -> Loose:
    """Atoms of unknown residues and bonds that their distances show; serial numbers of ``st`` are 0, 1, 2, …."""
    if not unknown:
        return Loose.none()
    loose: set[int] = set()
    for chain in st[0]:
        for residue in chain:
            if residue.name in unknown:
                loose |= {atom.serial for atom in residue}
    search = gemmi.NeighborSearch(st[0], st.cell, REACH + 1.0).populate(include_h=True)
    bonds: set[tuple[int, int]] = set()
    for cra in st[0].all():
        atom = cra.atom
        if atom.serial not in loose:
            continue
        for mark in search.find_atoms(atom.pos, atom.altloc, radius=REACH):
            other = mark.to_cra(st[0]).atom
            if mark.image_idx != 0 or other.serial == atom.serial:
                continue
            distance = atom.pos.dist(other.pos)
            if SHORTEST < distance < longest_bond(atom.element, other.element):
                bonds.add((min(atom.serial, other.serial), max(atom.serial, other.serial)))
    pairs: NDArray[np.int32] = np.array(sorted(bonds), dtype=np.int32).reshape(-1, 2)
    return Loose(np.array(sorted(loose), dtype=np.int32), pairs)
