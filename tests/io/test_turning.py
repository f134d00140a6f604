"""Hydrogens that neighbours hold ride with neutrons too; those that can turn have places of their own."""

import numpy as np
from small_models import one_chain

from gpurefine.config import ChemistryOptions
from gpurefine.io.structure import structure_crystal
from gpurefine.io.topology import build_model

RESIDUES = {
    "ALA": "N CA C O CB HA HB1 HB2 HB3",
    "ASN": "N CA C O CB CG OD1 ND2 H HA HB2 HB3 HD21 HD22",
    "SER": "N CA C O CB:A CB:B OG H HA HB2 HB3 HG",
    "LYS": "N CA C O CB CG CD CE NZ H HA HB2 HB3 HG2 HG3 HD2 HD3 HE2 HE3 HZ1 HZ2 HZ3",
    "HOH": "O H1 H2",
}


def rows():
    """Atoms anywhere: what holds a hydrogen is read from the dictionary; the serine has its CB twice."""
    rng, out = np.random.default_rng(1), []
    for number, (residue, names) in enumerate(RESIDUES.items(), 1):
        for name in names.split():
            label, _, conformer = name.partition(":")
            occ = 0.5 if conformer else 1.0
            out.append((residue, number, label, label[0], conformer or "\0", occ, tuple(rng.uniform(0.0, 18.0, 3))))
    return out


def own_places(source, hydrogens):
    st = one_chain(rows())
    topology = build_model(st, structure_crystal(st), ChemistryOptions(hydrogens=hydrogens), source)
    own = topology.topology.parent == np.arange(len(topology.atoms))
    own &= topology.atoms.is_hydrogen
    return {"/".join(topology.labels[k].split("/")[2:]) for k in np.flatnonzero(own)}


def test_with_neutrons_those_that_turn_have_places_of_their_own():
    """Methyl, ammonium, hydroxyl (on a carbon given twice) and water, and N–H after a gap; planes hold the amide."""
    assert own_places("neutron", "keep") == {
        "ALA/HB1", "ALA/HB2", "ALA/HB3", "SER/HG", "LYS/HZ1", "LYS/HZ2", "LYS/HZ3",
        "HOH/H1", "HOH/H2", "ASN/H", "SER/H", "LYS/H",
    }  # fmt: skip


def test_otherwise_all_ride_or_all_are_refined():
    assert own_places("xray", "keep") == set()
    for source in ("neutron", "xray"):
        assert len(own_places(source, "refine")) == sum(name[0] == "H" for r in RESIDUES.values() for name in r.split())
