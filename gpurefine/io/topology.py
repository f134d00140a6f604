"""The chemistry of a model: a structure file and a monomer library in, atoms and restraints as plain arrays out."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import gemmi
import numpy as np
from numpy.typing import NDArray

from ..config import ChemistryOptions
from ..model.atoms import Atoms
from ..model.crystal import Crystal
from ..model.deuterium import DeuteriumResult
from ..model.topology import Bonds, Topology
from . import restraint_arrays
from .dictionary import Dictionary, load_dictionary
from .gemmi_stubs import chain_infos
from .gemmi_topology import gemmi_topology
from .links import LinkRecord, link_records
from .model_checks import atom_label, checked_structure, listed
from .nonbonded_types import nonbonded_types
from .scattering import NEUTRON, XRAY, deuterium_part, isotope_name, water_parts
from .turning import turning_hydrogens
from .unknown_residues import add_bare_components, find_loose
from .water_hydrogens import scatterer_of_oxygen, solvent_deuterium

F64 = NDArray[np.float64]
# A hydrogen that no bond of the dictionary holds rides on the nearest atom of its residue within this many Å.
RIDING_DISTANCE = 1.4


@dataclass(frozen=True, slots=True, eq=False)
class ChemicalModel:
    """A model with its restraints.

    Attributes:
        atoms, topology: plain arrays, in the order of ``structure``.
        labels: name of every atom, "A/12/LEU/CD1" with ".B" appended for altloc B.
        structure: the gemmi structure that the arrays were taken from, hydrogens included.
        dictionary: where restraints came from.
        links: every inter-residue bond that is not a plain peptide or phosphodiester bond.
        messages: sentences to be told to the user.
    """

    atoms: Atoms
    topology: Topology
    labels: tuple[str, ...]
    structure: gemmi.Structure
    dictionary: Dictionary
    links: tuple[LinkRecord, ...]
    messages: tuple[str, ...]


def build_model(
    structure: gemmi.Structure, crystal: Crystal, options: ChemistryOptions, source: str = XRAY
) -> ChemicalModel:
    """Check a structure, load its dictionary, place hydrogens, and make the restraints.

    The structure itself is left alone.  ``site_multiplicity`` is 1 and ``scattering_weight`` the occupancy: special
    positions are not looked for here.

    Args:
        structure: the model as read.
        crystal: the cell and symmetry to refine it in.
        options: library, ligand files and what to do with hydrogens.
        source: of :data:`~gpurefine.io.scattering.SOURCES`; hydrogens stand at the distances of the electrons for
            X-rays and of the nuclei otherwise, and neutrons tell deuterium from hydrogen.

    Raises:
        InputError: the model cannot be refined (atoms twice, negative occupancy, …) or a file cannot be read.
        ChemistryError: residues or atoms are in no dictionary.
    """
    st, messages = checked_structure(structure, crystal)
    dictionary = load_dictionary(residue_examples(st), options)
    messages += dictionary.messages
    add_bare_components(st, dictionary, messages)
    nuclear = source != XRAY
    hydrogens = options.hydrogens
    if hydrogens == "refine":
        hydrogens = "keep" if any(cra.atom.is_hydrogen() for cra in st[0].all()) else "add"
    topo = gemmi_topology(st, dictionary, hydrogens, messages, nuclear, source == NEUTRON)
    labels = tuple(
        atom_label(chain.name, residue, atom) for chain in st[0] for residue in chain for atom in residue
    )
    of_solvent = solvent_deuterium(st) if source == NEUTRON and hydrogens == "keep" else None
    arrays = _read_atoms(st, source == NEUTRON, of_solvent if options.turning_waters else None)
    if options.turning_waters:
        messages += _told_of_waters(arrays, of_solvent)
    rules = restraint_arrays.Rules(topo, dictionary)
    bonds = restraint_arrays.bonds(topo, rules, arrays.xyz, crystal, nuclear)
    angles = restraint_arrays.angles(topo, rules)
    torsions = restraint_arrays.torsions(topo, rules)
    parent = _parents(arrays, bonds, st, messages)
    atoms = _riding(arrays, parent, hydrogens in ("add", "auto"))
    planes = restraint_arrays.planes(topo, rules)
    own = atoms.is_hydrogen & (options.hydrogens == "refine")
    if options.hydrogens == "keep" and source == NEUTRON:
        own = turning_hydrogens(st, bonds, planes, parent, atoms.is_hydrogen)
        messages += _told_of_turning(int(own.sum()), int(atoms.is_hydrogen.sum()))
    # those have places of their own, though their B go with their neighbours'
    moves_with = np.where(own, np.arange(len(atoms), dtype=np.int32), parent)
    topology = Topology(
        n_atoms=len(atoms),
        bonds=bonds,
        angles=angles,
        torsions=torsions,
        chirals=restraint_arrays.chirals(topo, rules, bonds, angles),
        planes=planes,
        nonbonded=nonbonded_types(st, topo, dictionary, parent, messages),
        parent=moves_with,
        is_hydrogen=atoms.is_hydrogen,
        loose=find_loose(st, dictionary.unknown),
    )
    links = link_records(st, topo, dictionary, labels, bonds, arrays.xyz, crystal)
    messages += _told(st, topo, links)
    return ChemicalModel(
        atoms, topology, labels, st, dictionary, links, tuple(dict.fromkeys(messages))
    )


def residue_examples(st: gemmi.Structure) -> dict[str, str]:
    """Every kind of residue of a structure with where it is found first ("A/12")."""
    examples: dict[str, str] = {}
    for chain in st[0]:
        for residue in chain:
            if residue.name not in examples:
                examples[residue.name] = f"{chain.name}/{residue.seqid}"
    return examples


def update_structure(
    model: ChemicalModel, xyz: F64, b_iso: F64, with_hydrogens: bool, drop_aniso: bool, u_aniso: F64 | None = None,
    occ: F64 | None = None, deuterium: DeuteriumResult | None = None,
) -> gemmi.Structure:
    """A copy of the model's structure with new positions (n, 3) Å and isotropic B (n,) Å².

    Args:
        model: whose atoms the arrays belong to.
        xyz: positions of all atoms, hydrogens included.
        b_iso: isotropic B of all atoms.
        with_hydrogens: keep hydrogens.
        drop_aniso: remove anisotropic displacement parameters.
        u_aniso: (n, 6) Å², 11 22 33 12 13 23, new ones where not zero; those of atoms whose row is zero are removed.
        occ: (n,) new occupancies.
        deuterium: refined parts of deuterium; hydrogens then keep theirs as such (see :func:`isotopes_apart`).
    """
    st = model.structure.clone()
    position, none = gemmi.Position, gemmi.SMat33f(0, 0, 0, 0, 0, 0)
    place = iter(zip(xyz.tolist(), b_iso.tolist(), strict=True))
    tensors = None if drop_aniso or u_aniso is None else iter(u_aniso.tolist())
    occupancies = None if occ is None else iter(occ.tolist())
    for chain in st[0]:
        for residue in chain:
            for atom in residue:
                (x, y, z), b = next(place)
                atom.pos = position(x, y, z)
                atom.b_iso = b
                if occupancies is not None:
                    atom.occ = next(occupancies)
                if drop_aniso:
                    atom.aniso = none
                elif tensors is not None:
                    atom.aniso = gemmi.SMat33f(*next(tensors))
    if deuterium is not None:
        parts = dict(zip(deuterium.sites.atom.tolist(), deuterium.values.tolist(), strict=True))
        for k, cra in enumerate(st[0].all()):
            cra.atom.fraction = parts.get(k, cra.atom.fraction)
    if not with_hydrogens:
        st.remove_hydrogens()
    elif deuterium is None:
        st = isotopes_apart(st)  # gemmi keeps D as the deuterated part of one H while it makes restraints
    st.assign_serial_numbers()
    return st


def isotopes_apart(st: gemmi.Structure) -> gemmi.Structure:
    """A copy with H and D as atoms of their own, alternatives of each other where they share a site."""
    if not st.has_d_fraction:
        return st
    out = st.clone()
    out.store_deuterium_as_fraction(False)
    return out


def _told_of_waters(atoms: Atoms, deuterium: float | None) -> list[str]:
    if deuterium is None:
        return [
            "Warning: --turning-waters finds no hydrogens on waters or on N, O or S, so that nothing is known of the "
            "solvent's isotope; oxygens scatter alone."
        ]
    lacking = np.array([water_parts(name) is not None for name in atoms.scatterer_names], bool)[atoms.scatterer]
    return [
        f"{int(lacking.sum())} waters lack hydrogens; these are taken to turn freely about the oxygen and to be "
        f"deuterium to the part {deuterium:.2f}, as in the rest of the model. They are not written."
    ]


def _read_atoms(st: gemmi.Structure, isotopes: bool, of_solvent: float | None) -> Atoms:
    """Positions, displacement parameters and scatterers of all atoms; nobody rides yet.

    With ``isotopes`` hydrogens are named by their part of deuterium; ``of_solvent``: that of hydrogens which waters
    lack, None if they are to be left out.
    """
    rows, aniso, names = [], {}, []
    for chain in st[0]:
        for residue in chain:
            for atom in residue:
                pos = atom.pos
                rows.append((pos.x, pos.y, pos.z, atom.b_iso, atom.occ))
                names.append(isotope_name(atom.fraction) if isotopes and atom.is_hydrogen() else atom.element.name)
                if of_solvent is not None and names[-1] == "O" and residue.is_water():
                    names[-1] = scatterer_of_oxygen(residue, atom, of_solvent)
                if atom.aniso.nonzero():
                    u = atom.aniso
                    aniso[len(rows) - 1] = (u.u11, u.u22, u.u33, u.u12, u.u13, u.u23)
    table = np.array(rows, dtype=np.float64).reshape(-1, 5)
    n = len(table)
    u_aniso = np.zeros((n, 6))
    b_iso = table[:, 3].copy()
    if aniso:
        where = list(aniso)
        u_aniso[where] = list(aniso.values())
        equivalent = 8.0 * np.pi**2 / 3.0 * u_aniso[where, :3].sum(axis=1)
        b_iso[where] = np.where(equivalent > 0.0, equivalent, b_iso[where])
    symbols, scatterer = np.unique(names, return_inverse=True)
    is_aniso = np.zeros(n, bool)
    is_aniso[list(aniso)] = True
    occ = table[:, 4].copy()
    return Atoms(
        xyz=table[:, :3].copy(),
        b_iso=b_iso,
        u_aniso=u_aniso,
        is_aniso=is_aniso,
        occ=occ,
        scatterer=scatterer.astype(np.int32),
        scatterer_names=tuple(str(s) for s in symbols),
        is_hydrogen=np.array([deuterium_part(name) is not None for name in symbols], bool)[scatterer],
        parent=np.arange(n, dtype=np.int32),
        site_multiplicity=np.ones(n),
        scattering_weight=occ.copy(),
    )


def _parents(atoms: Atoms, bonds: Bonds, st: gemmi.Structure, messages: list[str]) -> NDArray[np.int32]:
    """The heavy atom each hydrogen is bonded to (n,); an atom's own index for all others."""
    parent = np.arange(len(atoms), dtype=np.int32)
    pairs = bonds.atoms[(bonds.image == 0) & ~bonds.shift.any(axis=1)]
    pairs = np.concatenate([pairs, pairs[:, ::-1]])
    pairs = pairs[atoms.is_hydrogen[pairs[:, 0]] & ~atoms.is_hydrogen[pairs[:, 1]]]
    parent[pairs[::-1, 0]] = pairs[::-1, 1]
    lone = atoms.is_hydrogen & (parent == np.arange(len(atoms)))
    if not lone.any():
        return parent
    start, free = 0, []
    for chain in st[0]:
        for residue in chain:
            own = np.arange(start, start + len(residue))
            start += len(residue)
            heavy = own[~atoms.is_hydrogen[own]]
            for i in own[lone[own]]:
                distance = np.linalg.norm(atoms.xyz[heavy] - atoms.xyz[i], axis=1)
                near = int(np.argmin(distance)) if len(heavy) else -1
                if near >= 0 and distance[near] < RIDING_DISTANCE:
                    parent[i] = heavy[near]
                else:
                    free.append(atom_label(chain.name, residue, residue[int(i - own[0])]))
    if free:
        messages.append(f"{len(free)} hydrogens are bonded to nothing and move on their own: {listed(free, 5)}.")
    return parent


def _riding(atoms: Atoms, parent: NDArray[np.int32], placed: bool) -> Atoms:
    """Atoms whose hydrogens ride; where gemmi placed them they get their parent's equivalent B."""
    rides = parent != np.arange(len(atoms))
    b_iso = np.where(rides, atoms.b_iso[parent], atoms.b_iso) if placed else atoms.b_iso
    return Atoms(
        atoms.xyz, b_iso, atoms.u_aniso, atoms.is_aniso, atoms.occ, atoms.scatterer, atoms.scatterer_names,
        atoms.is_hydrogen, parent, atoms.site_multiplicity, atoms.scattering_weight,
    )  # fmt: skip


def _told_of_turning(own: int, hydrogens: int) -> list[str]:
    return [] if hydrogens == 0 else [
        f"{own} hydrogens that can turn (of water, hydroxyl, methyl and the like) have places of their own, the other "
        f"{hydrogens - own} ride; --hydrogens refine refines all."
    ]


def _told(st: gemmi.Structure, topo: gemmi.Topo, links: tuple[LinkRecord, ...]) -> list[str]:
    """Messages about cis peptides, gaps and links."""
    told = []
    cis, gaps = [], []
    bonded = {_ends(link) for link in topo.extras if link.link_id != "gap"}
    for chain in chain_infos(topo):
        for info in chain.res_infos:
            for link in info.prev:
                where = f"{chain.chain_ref.name}/{link.res1.seqid}–{link.res2.seqid}"
                if link.link_id in ("CIS", "PCIS", "NMCIS"):
                    cis.append(where)
                elif link.link_id in ("gap", "") and _ends(link) not in bonded:
                    gaps.append(where)
    if cis:
        told.append(f"Cis peptides: {listed(list(dict.fromkeys(cis)))}.")
    if gaps:
        told.append(f"Gaps in chains, not bonded: {listed(list(dict.fromkeys(gaps)))}.")
    used = Counter(link.link for link in links)
    if used:
        told.append("Links between residues: " + ", ".join(f"{count} × {name}" for name, count in used.items()) + ".")
    told += [f"Link {link}." for link in links if link.origin == "distance" or link.link == "bond"]
    return told


def _ends(link: gemmi.Topo.Link) -> frozenset[str]:
    """The residues of a link, for comparison."""
    return frozenset(f"{residue.seqid}/{residue.subchain}" for residue in (link.res1, link.res2))
