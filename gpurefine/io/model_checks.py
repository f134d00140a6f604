"""What must be true of a model before restraints are made for it, and what is put right on the way."""

from __future__ import annotations

from collections import Counter

import gemmi

from ..errors import InputError
from ..model.crystal import Crystal
from .residue_names import today_names
from .symmetry import gemmi_cell

MIN_B, MAX_B = 2.0, 999.0
SHOWN = 10


def atom_label(chain: str, residue: gemmi.Residue, atom: gemmi.Atom) -> str:
    """An atom as it is named in messages and reports: "A/12/LEU/CD1", with ".B" appended for altloc B."""
    label = f"{chain}/{residue.seqid}/{residue.name}/{atom.name}"
    return f"{label}.{atom.altloc}" if atom.has_altloc() else label


def listed(names: list[str], most: int = SHOWN) -> str:
    """Names separated by commas, cut short after ``most`` of them."""
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")


def checked_structure(structure: gemmi.Structure, crystal: Crystal) -> tuple[gemmi.Structure, list[str]]:
    """A copy of a structure that is fit to be refined, in the given crystal, and messages about what was changed.

    Dummy atoms are dropped, B outside 0–999 Å² is reset; occupancies over 1 are kept and told.

    Raises:
        InputError: no atoms, several models, atoms given twice, unknown elements, negative occupancies, positions that
            are not numbers.
    """
    st = structure.clone()
    st.cell = gemmi_cell(crystal)
    st.spacegroup_hm = crystal.hm
    operators = list(st.ncs)
    st.ncs.clear()  # links to mates are looked for among those of the crystal only
    st.setup_cell_images()
    for operator in operators:
        st.ncs.append(operator)
    name = structure.name or "the model"
    if len(st) > 1:
        raise InputError(
            f"{name} holds {len(st)} models; gpurefine refines one: keep one of them in the file and try again."
        )
    messages: list[str] = []
    if len(st) == 1:
        _drop_dummies(st, messages)
        st.remove_empty_chains()
        today_names(st, messages)
    if len(st) == 0 or st[0].count_atom_sites() == 0:
        raise InputError(f"{name} has no atoms.")
    _check_duplicates(st, name)
    _check_atoms(st, name, messages)
    _set_entities(st)
    return st, messages


def _drop_dummies(st: gemmi.Structure, messages: list[str]) -> None:
    """Remove DUM atoms (of arp/warp and Coot) and residues."""
    dropped = 0
    for chain in st[0]:
        for k in reversed(range(len(chain))):
            residue = chain[k]
            for i in reversed(range(len(residue))):
                if residue.name == "DUM" or residue[i].name == "DUM":
                    del residue[i]
                    dropped += 1
            if len(residue) == 0:
                del chain[k]
    if dropped:
        messages.append(f"{dropped} dummy atoms (DUM) were left out.")


def _check_duplicates(st: gemmi.Structure, name: str) -> None:
    """Refuse atoms with the same name and altloc in one residue, and residues that come twice."""
    twice: list[str] = []
    for chain in st[0]:
        seen: Counter[tuple[str, str]] = Counter()
        for residue in chain:
            seen[(str(residue.seqid), residue.name)] += 1
            if len({(atom.name, atom.altloc) for atom in residue}) < len(residue):
                twice.append(f"{chain.name}/{residue.seqid}/{residue.name}")
        twice += [f"{chain.name}/{number}/{kind}" for (number, kind), count in seen.items() if count > 1]
    chains = Counter(chain.name for chain in st[0])
    spread = [chain for chain, count in chains.items() if count > 1]
    if spread:
        st.merge_chain_parts()
        return _check_duplicates(st, name)
    if twice:
        raise InputError(
            f"{name} has the same atoms twice in {listed(list(dict.fromkeys(twice)))}: "
            "delete one copy, or make them alternative conformers."
        )
    return None


def _check_atoms(st: gemmi.Structure, name: str, messages: list[str]) -> None:
    """Check elements, positions, occupancies and B of all atoms."""
    unknown, negative, over, low, high, lost = [], [], [], 0, 0, []
    for chain in st[0]:
        for residue in chain:
            for atom in residue:
                occ, b = atom.occ, atom.b_iso
                if atom.element.atomic_number == 0:
                    unknown.append(atom_label(chain.name, residue, atom))
                if occ < 0.0 or occ != occ:
                    negative.append(atom_label(chain.name, residue, atom))
                elif occ > 1.0005:
                    over.append(atom_label(chain.name, residue, atom))
                if not atom.pos.length() < 1e6:
                    lost.append(atom_label(chain.name, residue, atom))
                if not b > 0.0:
                    atom.b_iso = MIN_B
                    low += 1
                elif b > MAX_B:
                    atom.b_iso = MAX_B
                    high += 1
    if unknown:
        raise InputError(
            f"{name} has atoms of no known element: {listed(unknown)}. Correct the element column of the file."
        )
    if lost:
        raise InputError(f"{name} has atoms without a position: {listed(lost)}. Delete them or give coordinates.")
    if negative:
        raise InputError(f"{name} has atoms with negative occupancy: {listed(negative)}. Correct or delete them.")
    if over:
        messages.append(f"Occupancy over 1, kept as given: {listed(over)}.")
    if low:
        messages.append(f"B was not positive for {low} atoms and starts at {MIN_B:g} Å².")
    if high:
        messages.append(f"B was over {MAX_B:g} Å² for {high} atoms and starts at that value.")


def _set_entities(st: gemmi.Structure) -> None:
    """Give every residue an entity type and a subchain, keeping those of an mmCIF file that has them all."""
    known = all(
        residue.entity_type != gemmi.EntityType.Unknown and residue.subchain and residue.entity_id
        for chain in st[0]
        for residue in chain
    )
    polymers = [e for e in st.entities if e.entity_type == gemmi.EntityType.Polymer]
    if known and len(st.entities) > 0 and all(e.polymer_type != gemmi.PolymerType.Unknown for e in polymers):
        return
    st.setup_entities()
