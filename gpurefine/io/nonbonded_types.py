"""What the non-bonded rules need of each atom, from the energy types of the monomer library."""

from __future__ import annotations

import gemmi
import numpy as np
from numpy.typing import NDArray

from ..model.topology import NonbondedTypes
from .dictionary import Dictionary
from .gemmi_stubs import chain_infos

# No radius is larger: united-atom radii of CH2 and CH3 would keep neighbours too far apart beside explicit hydrogens.
MAX_RADIUS = 2.0
HB_TYPES = {"N": 0, "D": 1, "A": 2, "B": 3, "H": 0}
DONATING_HYDROGEN = 4


def nonbonded_types(
    st: gemmi.Structure,
    topo: gemmi.Topo,
    dictionary: Dictionary,
    parent: NDArray[np.int32],
    messages: list[str],
) -> NonbondedTypes:
    """Radii, hydrogen-bond types, elements, conformers and residues of all atoms, in the order of their serials.

    Radii are those of the library with implicit hydrogens (as REFMAC and servalcat use them), at most 2 Å.  An atom
    whose energy type the library lacks gets that of its element alone, and a message.

    Args:
        st, topo: the model and its topology; serial numbers are 0, 1, 2, ….
        dictionary: holds the energy types.
        parent: (n,) the atom each hydrogen is bonded to.
        messages: gets what the user should know.
    """
    n = st[0].count_atom_sites()
    energies = dictionary.monlib.ener_lib.atoms
    values: dict[str, tuple[float, float, int]] = {}
    types = _energy_types(topo, n)
    rows = np.zeros((n, 3))
    whole = np.zeros((n, 5), dtype=np.int64)
    occ = np.zeros(n)
    lacking: set[str] = set()
    conformers: dict[str, int] = {"\0": 0}
    i = 0
    residue_index = -1
    for chain in st[0]:
        for residue in chain:
            residue_index += 1
            for atom in residue:
                element = atom.element
                kind = "H" if element.is_hydrogen else types[i]
                if kind not in energies:
                    if kind:
                        lacking.add(f"{kind} ({residue.name} {atom.name})")
                    kind = element.name.upper()
                if kind not in values:
                    values[kind] = _values(energies.get(kind), element)
                rows[i] = values[kind]
                alt = conformers.setdefault(atom.altloc, len(conformers))
                whole[i] = element.atomic_number, element.is_metal, alt, residue_index, element.is_hydrogen
                occ[i] = atom.occ
                i += 1
    if lacking:
        messages.append(
            f"The library has no energy type {', '.join(sorted(lacking))}: radii of the bare element are used."
        )
    hb_type = rows[:, 2].astype(np.int8)
    hydrogen = whole[:, 4].astype(bool)
    donates = hydrogen & np.isin(hb_type[parent], (1, 3)) & (parent != np.arange(n))
    hb_type[hydrogen] = 0
    hb_type[donates] = DONATING_HYDROGEN
    return NonbondedTypes(
        vdw_radius=rows[:, 0].copy(),
        ion_radius=rows[:, 1].copy(),
        hb_type=hb_type,
        element=whole[:, 0].astype(np.int8),
        is_metal=whole[:, 1].astype(bool),
        altloc=whole[:, 2].astype(np.int8),
        residue=whole[:, 3].astype(np.int32),
        occ=occ,
    )


def _energy_types(topo: gemmi.Topo, n: int) -> list[str]:
    """Energy type of every atom, "" where its residue's dictionary lacks it."""
    types = [""] * n
    for chain in chain_infos(topo):
        for info in chain.res_infos:
            known: dict[str, dict[str, str]] = {}
            for atom in info.res:
                altloc = atom.altloc
                if altloc not in known:
                    known[altloc] = {a.id: a.chem_type for a in info.get_final_chemcomp(altloc).atoms}
                types[atom.serial] = known[altloc].get(atom.name, "")
    return types


def _values(entry: gemmi.EnerLib.Atom | None, element: gemmi.Element) -> tuple[float, float, int]:
    """Radius, ionic radius and hydrogen-bond type of an energy type, or of an element that has none."""
    if entry is None:
        return min(MAX_RADIUS, float(element.vdw_r)), float("nan"), 0
    radius = entry.vdw_radius if np.isnan(entry.vdwh_radius) else entry.vdwh_radius
    if not radius > 0.0:
        radius = float(element.vdw_r)
    return min(MAX_RADIUS, float(radius)), float(entry.ion_radius), HB_TYPES.get(str(entry.hb_type), 0)
