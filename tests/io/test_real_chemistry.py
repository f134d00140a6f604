"""The chemistry of real models with a full monomer library (CLIBD_MON): every inter-residue link, and the geometry."""

import os
from collections import Counter
from pathlib import Path

import gemmi
import numpy as np
import pytest
from chemistry_cases import bond_lengths

from gpurefine.config import ChemistryOptions
from gpurefine.io.symmetry import crystal_from_gemmi
from gpurefine.io.topology import build_model

pytestmark = pytest.mark.skipif(
    not Path(os.environ.get("CLIBD_MON", "/nowhere")).is_dir(), reason="CLIBD_MON names no full monomer library"
)

CASES = {  # links of the file, links found by distance, r.m.s.Z of bonds at most
    "4iid_glyco/model.pdb": (
        {"disulf": 6, "pyr-ASN": 19, "BETA1-4": 26, "ALPHA1-3": 11, "ALPHA1-6": 15, "ALPHA1-2": 12}, {}, 2.0,
    ),
    "3t5o_tls/model.pdb": (
        {"disulf": 32, "pyr-ASN": 1, "pyr-THR": 2, "BETA1-3": 1, "BETA1-4": 1, "bond": 4, "metal": 6}, {}, 1.3,
    ),
    "7rin/model.pdb": ({}, {}, 1.1),
    "rnase_mir/model_bad_start.pdb": ({}, {"disulf": 2}, 20.0),
    "2r4r/model.pdb": ({"disulf": 5}, {}, 1.0),
    "insulin_ssad/model.pdb": ({"disulf": 3}, {}, 2.0),
    "hewl_ssad/model.pdb": ({"disulf": 4}, {}, 1.1),
}  # fmt: skip


def build(path: Path):
    st = gemmi.read_structure(str(path))
    st.spacegroup_hm = st.find_spacegroup().xhm()
    return st, build_model(st, crystal_from_gemmi(st.cell, st.find_spacegroup()), ChemistryOptions())


@pytest.mark.parametrize("case", CASES)
def test_links_and_geometry(case, shared_data):
    given, found, limit = CASES[case]
    st, model = build(shared_data / case)
    assert Counter(link.link for link in model.links if link.origin == "file") == given
    assert Counter(link.link for link in model.links if link.origin == "distance") == found
    bonds = model.topology.bonds
    heavy = ~model.atoms.is_hydrogen[bonds.atoms].any(axis=1)
    z = (bond_lengths(model, st) - bonds.ideal) / bonds.sigma
    assert np.sqrt(np.mean(z[heavy] ** 2)) < limit
    assert np.isfinite(model.atoms.xyz).all() and len(model.labels) == len(set(model.labels)) == len(model.atoms)
    chiral = model.topology.chirals
    x = model.atoms.xyz[chiral.atoms]
    volume = np.linalg.det(x[:, 1:] - x[:, :1])
    assert np.mean(np.sign(volume)[~chiral.both] == np.sign(chiral.ideal)[~chiral.both]) > 0.99


@pytest.mark.parametrize("case", ["4iid_glyco/model.pdb", "3t5o_tls/model.pdb"])
def test_links_are_found_where_the_records_are_missing(case, shared_data, tmp_path):
    lines = (shared_data / case).read_text().splitlines(keepends=True)
    path = tmp_path / "model.pdb"
    path.write_text("".join(line for line in lines if not line.startswith(("LINK", "SSBOND"))))
    _, model = build(path)
    wanted = {name: n for name, n in CASES[case][0].items() if name not in ("bond", "metal")}
    assert Counter(link.link for link in model.links) == wanted
    assert all(link.origin == "distance" for link in model.links)
