"""Small models for the chemistry tests, cut out of the embedded example."""

import gzip
from importlib.resources import files

import gemmi
import numpy as np

from gpurefine.config import ChemistryOptions
from gpurefine.io.library_places import embedded_document
from gpurefine.io.symmetry import crystal_from_gemmi
from gpurefine.io.topology import ChemicalModel, build_model

CELL = gemmi.UnitCell(90, 95, 100, 90, 90, 90)


def example() -> gemmi.Structure:
    """The embedded example's model."""
    packed = (files("gpurefine") / "data" / "1l2h_shaken.pdb.gz").read_bytes()
    return gemmi.read_pdb_string(gzip.decompress(packed).decode())


def piece(first: int, last: int, group: str = "P 1") -> gemmi.Structure:
    """Residues first to last of the example's protein chain, in a large cell."""
    chain = gemmi.Chain("A")
    for residue in example()[0][0]:
        if first <= residue.seqid.num <= last:
            chain.add_residue(residue)
    return structure([chain], group)


def structure(chains: list[gemmi.Chain], group: str = "P 1") -> gemmi.Structure:
    """A structure of the given chains."""
    st = gemmi.Structure()
    st.name = "test.pdb"
    st.cell = CELL
    st.spacegroup_hm = group
    model = gemmi.Model(1)
    for chain in chains:
        model.add_chain(chain)
    st.add_model(model)
    st.setup_entities()
    return st


def monomer(name: str, number: int = 1) -> gemmi.Residue:
    """A residue with the coordinates of the embedded library."""
    block = embedded_document().find_block(f"comp_{name}")
    residue = gemmi.Residue()
    residue.name = name
    residue.seqid = gemmi.SeqId(number, " ")
    for row in block.find("_chem_comp_atom.", ["atom_id", "type_symbol", "x", "y", "z"]):
        add_atom(residue, row.str(0), row.str(1), [float(row[k]) for k in (2, 3, 4)])
    return residue


def add_atom(residue: gemmi.Residue, name: str, element: str, xyz) -> gemmi.Atom:
    """Add an atom to a residue."""
    atom = gemmi.Atom()
    atom.name, atom.element, atom.pos, atom.b_iso = name, gemmi.Element(element), gemmi.Position(*xyz), 20.0
    return residue.add_atom(atom)


def lone(name: str, *atoms: tuple[str, str, tuple[float, float, float]]) -> gemmi.Structure:
    """One residue, with the library's coordinates or the atoms given."""
    residue = monomer(name) if not atoms else gemmi.Residue()
    residue.name, residue.seqid = name, gemmi.SeqId(7, " ")
    for atom, element, xyz in atoms:
        add_atom(residue, atom, element, xyz)
    chain = gemmi.Chain("A")
    chain.add_residue(residue)
    return structure([chain])


def build(st: gemmi.Structure, **options) -> ChemicalModel:
    """The chemistry of a structure in its own cell."""
    crystal = crystal_from_gemmi(st.cell, gemmi.SpaceGroup(st.spacegroup_hm))
    return build_model(st, crystal, ChemistryOptions(**options))


def bond_lengths(model: ChemicalModel, st: gemmi.Structure) -> np.ndarray:
    """Length of every bond, symmetry mates included."""
    crystal = crystal_from_gemmi(st.cell, gemmi.SpaceGroup(st.spacegroup_hm))
    xyz, bonds = model.atoms.xyz, model.topology.bonds
    ends = np.einsum("kij,kj->ki", crystal.rotations[bonds.image], xyz[bonds.atoms[:, 1]] @ crystal.frac.T)
    ends = (ends + crystal.translations[bonds.image] + bonds.shift) @ crystal.orth.T
    return np.linalg.norm(xyz[bonds.atoms[:, 0]] - ends, axis=1)
