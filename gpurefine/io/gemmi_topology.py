"""The topology of a checked model by gemmi: links applied, hydrogens placed, atoms the dictionary lacks refused."""

from __future__ import annotations

import gemmi

from ..errors import ChemistryError
from .atom_names import settle_names
from .dictionary import Dictionary
from .gemmi_stubs import absent, chain_infos
from .links import set_links, strip_coordinated
from .model_checks import atom_label, listed

CHANGES = {
    # Hydrogens whose place follows from their neighbours; those on freely rotating O and S and of water are left out.
    "add": gemmi.HydrogenChange.ReAddKnown,
    "auto": gemmi.HydrogenChange.ReAddKnown,
    "keep": gemmi.HydrogenChange.NoChange,
    "drop": gemmi.HydrogenChange.Remove,
}


def gemmi_topology(
    st: gemmi.Structure,
    dictionary: Dictionary,
    hydrogens: str,
    messages: list[str],
    nuclear: bool = False,
    isotopes: bool = False,
) -> gemmi.Topo:
    """Apply links and hydrogens to ``st`` in place and return its topology, valid as long as ``st`` is not changed.

    Hydrogens are put at the distances of the electrons or, with ``nuclear``, of the nuclei; ``isotopes``: deuterium
    scatters as such.

    Serial numbers of the atoms are set to 0, 1, 2, … in the order of the structure.

    Raises:
        ChemistryError: the dictionary lacks atoms of the model, or gemmi cannot make the topology.
    """
    monlib = dictionary.monlib
    notes: list[str] = []
    settle_names(st, monlib, messages)
    set_links(st, monlib, messages)
    strip_coordinated(st, monlib, messages)
    _name_deuterium(st, hydrogens, isotopes, messages)
    topo = _prepare(st, monlib, CHANGES[hydrogens], notes)
    failed = _remove_failed_hydrogens(st, hydrogens)
    if failed:
        messages.append(f"{len(failed)} hydrogens could not be placed and were left out: {listed(failed, 5)}.")
        topo = _prepare(st, monlib, gemmi.HydrogenChange.NoChange, notes)
    if nuclear and hydrogens in ("add", "auto"):
        topo.adjust_hydrogen_distances(gemmi.Restraints.DistanceOf.Nucleus)
    _check_atoms(st, topo, dictionary, messages)
    messages += [note for note in dict.fromkeys(notes) if not note.startswith("definition not found")]
    topo.set_cispeps_in_structure(st)
    for serial, cra in enumerate(st[0].all()):
        cra.atom.serial = serial
    return topo


def _prepare(
    st: gemmi.Structure, monlib: gemmi.MonLib, change: gemmi.HydrogenChange, notes: list[str]
) -> gemmi.Topo:
    """gemmi's topology, its failures turned into a ChemistryError."""
    try:
        return gemmi.prepare_topology(
            st, monlib, h_change=change, warnings=lambda note: notes.append(note.strip()), reorder=False
        )
    except (RuntimeError, ValueError, IndexError) as error:
        raise ChemistryError(f"Restraints of {st.name or 'the model'} cannot be made: {error}.") from None


def _name_deuterium(st: gemmi.Structure, hydrogens: str, isotopes: bool, messages: list[str]) -> None:
    """Tell what becomes of deuterium."""
    n_deuterium = sum(cra.atom.element.name == "D" for cra in st[0].all())
    if hydrogens == "drop" or n_deuterium == 0:
        return
    if hydrogens == "keep" and isotopes:
        n_all = sum(cra.atom.is_hydrogen() for cra in st[0].all())
        messages.append(f"{n_all} hydrogens of the model are kept, {n_deuterium} of them deuterium.")
    elif hydrogens != "keep":
        messages.append("Deuterium atoms of the model are replaced by riding hydrogens (--hydrogens keep keeps them).")
    else:
        messages.append("D and H at one place are refined as one hydrogen; --write-hydrogens writes both again.")


def _remove_failed_hydrogens(st: gemmi.Structure, hydrogens: str) -> list[str]:
    """Remove hydrogens that gemmi has given no usable position; return their labels."""
    failed = []
    for chain in st[0]:
        for residue in chain:
            for i in reversed(range(len(residue))):
                atom = residue[i]
                if not atom.is_hydrogen():
                    continue
                length = atom.pos.length()
                dummy = hydrogens != "keep" and atom.calc_flag == gemmi.CalcFlag.Dummy
                if dummy or length != length:
                    failed.append(atom_label(chain.name, residue, atom))
                    del residue[i]
    return failed


def _check_atoms(st: gemmi.Structure, topo: gemmi.Topo, dictionary: Dictionary, messages: list[str]) -> None:
    """Refuse atoms other than hydrogen that are not in the (linked) residue's dictionary; tell of other elements."""
    other: list[str] = []
    unknown: dict[str, list[str]] = {}
    unlinked: list[str] = []
    for info in chain_infos(topo):
        for residue in info.res_infos:
            name = residue.res.name
            for atom in residue.res:
                if atom.is_hydrogen():
                    continue
                found = residue.get_final_chemcomp(atom.altloc).find_atom(atom.name)
                if not absent(found) and found.el == atom.element:
                    continue
                label = atom_label(info.chain_ref.name, residue.res, atom)
                if not absent(found):
                    other.append(f"{label} ({atom.element.name}, in the dictionary {found.el.name})")
                    continue
                if not absent(dictionary.monlib.monomers[name].find_atom(atom.name)):
                    unlinked.append(label)
                else:
                    unknown.setdefault(name, []).append(label)
    if other:
        messages.append(
            f"Warning: the element of {listed(other, 5)} is not that of the dictionary; the file's scatters, the "
            "dictionary's restraints hold. Correct whichever is wrong."
        )
    parts = [
        f"the dictionary of {name} ({dictionary.source.get(name, 'unknown')}) has no atom named as {listed(labels)}"
        for name, labels in unknown.items()
    ]
    if unlinked:
        parts.append(f"a link to another residue replaces {listed(unlinked)}, which should then not be there")
    if parts:
        raise ChemistryError(
            f"{st.name or 'The model'}: {'; '.join(parts)}. "
            "Rename or delete the atoms, or give a dictionary that has them with --ligand."
        )
