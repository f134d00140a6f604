"""Atoms under other names than the dictionary's: old PDB names, and those whose bonds show what is meant."""

from __future__ import annotations

from collections.abc import Iterator

import gemmi

from .model_checks import listed
from .residue_bonds import distance_bonds, neighbours


def settle_names(st: gemmi.Structure, monlib: gemmi.MonLib, messages: list[str]) -> None:
    """Give atoms the names of the dictionary where it is plain which are meant; link records follow.

    Done for a residue only where it leaves no atom of it unknown.
    """
    notes: list[str] = []
    monlib.update_old_atom_names(st, lambda note: notes.append(note.strip()))
    messages += [f"Old atom names were updated: {note}." for note in notes[:3]]
    if len(notes) > 3:
        messages.append(f"Old atom names were updated in {len(notes) - 3} more residues.")
    told: dict[str, list[str]] = {}
    for chain in st[0]:
        for residue in chain:
            if residue.name not in monlib.monomers:
                continue
            names = _new_names(residue, monlib.monomers[residue.name])
            if not names:
                continue
            _rename(st, chain.name, residue, names)
            text = ", ".join(f"{old} → {new}" for old, new in sorted(names.items()))
            told.setdefault(f"{residue.name}: {text}", []).append(f"{chain.name}/{residue.seqid}")
    messages += [
        f"Atoms are named as in the dictionary, {text} (in {listed(where, 5)})." for text, where in told.items()
    ]


def _new_names(residue: gemmi.Residue, component: gemmi.ChemComp) -> dict[str, str]:
    """Old and new names of atoms other than hydrogen; empty where nothing is to be done or some stay unknown."""
    elements = {atom.id: atom.el.name for atom in component.atoms if not atom.is_hydrogen()}
    heavy = [atom for atom in residue if not atom.is_hydrogen()]
    unknown = {atom.name: atom.element.name for atom in heavy if atom.name not in elements}
    if not unknown or len(unknown) > len(elements):
        return {}
    free = set(elements) - {atom.name for atom in heavy}
    names: dict[str, str] = {}
    for old in unknown:
        for new in _modern(old):
            if new in free and elements[new] == unknown[old]:
                names[old] = new
                free.discard(new)
                break
    _follow_bonds(heavy, component, unknown, elements, names, free)
    return names if len(names) == len(unknown) else {}


def _modern(name: str) -> Iterator[str]:
    """Today's spelling of a name of the PDB before 2008."""
    yield name.replace("*", "'")
    if len(name) == 3 and name[0] in "OS" and name[1] in "123" and name[2] == "P":
        yield f"{name[0]}P{name[1]}"


def _follow_bonds(
    heavy: list[gemmi.Atom],
    component: gemmi.ChemComp,
    unknown: dict[str, str],
    elements: dict[str, str],
    names: dict[str, str],
    free: set[str],
) -> None:
    """Add to ``names`` atoms that only one free atom of the component can be, by element and named neighbours."""
    wanted: dict[str, set[str]] = {name: set() for name in elements}
    for bond in component.rt.bonds:
        if bond.id1.atom in wanted and bond.id2.atom in wanted:
            wanted[bond.id1.atom].add(bond.id2.atom)
            wanted[bond.id2.atom].add(bond.id1.atom)
    around: dict[str, set[str]] = {name: set() for name in unknown}
    partners = neighbours(len(heavy), distance_bonds(heavy))
    for atom, near in zip(heavy, partners, strict=True):
        if atom.name in around:
            around[atom.name] |= {heavy[k].name for k in near}
    progress = True
    while progress:
        progress = False
        waiting = [name for name in unknown if name not in names]
        settled = {names.get(atom.name, atom.name) for atom in heavy if atom.name not in waiting}
        signature = {
            old: (unknown[old], frozenset(names.get(name, name) for name in around[old] if name not in waiting))
            for old in waiting
        }
        for old in waiting:
            kind = signature[old]
            fitting = [new for new in free if (elements[new], frozenset(wanted[new] & settled)) == kind]
            if kind[1] and len(fitting) == 1 and list(signature.values()).count(kind) == 1:
                names[old] = fitting[0]
                free.discard(fitting[0])
                progress = True


def _rename(st: gemmi.Structure, chain: str, residue: gemmi.Residue, names: dict[str, str]) -> None:
    """Rename atoms of a residue, and in the link records that name them."""
    for atom in residue:
        atom.name = names.get(atom.name, atom.name)
    for con in st.connections:
        for partner in (con.partner1, con.partner2):
            if partner.chain_name == chain and partner.res_id.seqid == residue.seqid:
                partner.atom_name = names.get(partner.atom_name, partner.atom_name)
