"""Every LINK and SSBOND record of two glycoproteins: which link of the dictionary restrains it."""

from collections import Counter

import pytest

from gpurefine.config import ChemistryOptions
from gpurefine.io.structure import read_model, structure_crystal
from gpurefine.io.topology import build_model

METALS = {"CD", "CA", "ZN"}


@pytest.fixture(autouse=True)
def no_library(monkeypatch):
    monkeypatch.delenv("CLIBD_MON", raising=False)
    monkeypatch.delenv("CCP4", raising=False)
    monkeypatch.setattr("gpurefine.io.library_places.usual_places", lambda: iter(()))


def records(text: str) -> dict[frozenset[str], float]:
    """Bonded atoms "A/12/CYS/SG" of the records and their distance Å."""
    found = {}
    for line in text.splitlines():
        if line.startswith("SSBOND"):
            places = (line[11:14], line[15], line[17:22]), (line[25:28], line[29], line[31:36])
            ends = [f"{chain.strip()}/{number.strip()}/{name.strip()}/SG" for name, chain, number in places]
            found[frozenset(ends)] = float(line[73:78])
        elif line.startswith("LINK "):
            columns = [(21, 22), (22, 27), (17, 20), (12, 16)]
            ends = ["/".join(line[a + at : b + at].strip() for a, b in columns) for at in (0, 30)]
            found[frozenset(ends)] = float(line[73:78])
    return found


def expected(ends: frozenset[str]) -> str:
    """The link that chemistry asks for."""
    atoms = {tuple(end.split("/")[2:]) for end in ends}
    kinds = {name for name, _ in atoms}
    names = {atom for _, atom in atoms}
    if names == {"SG"}:
        return "disulf"
    if kinds & METALS:
        return "metal"
    if "C1" in names and kinds & {"ASN", "THR", "SER", "TRP"}:
        return {"ND2": "pyr-ASN", "OG1": "pyr-THR", "OG": "pyr-SER", "CD1": "bond"}[(names - {"C1"}).pop()]
    donor = next(name for name, atom in atoms if atom == "C1")
    acceptor = next(atom for _, atom in atoms if atom != "C1")
    anomer = "ALPHA" if donor in ("MAN", "FUC") else "BETA"
    return f"{anomer}1-{acceptor[1]}"


@pytest.mark.parametrize(("case", "count"), [("4iid_glyco", 89), ("3t5o_tls", 47)])
def test_every_record_has_its_link(case, count, shared_data):
    path = shared_data / case / "model.pdb"
    model = read_model(str(path))
    chemistry = build_model(
        model.structure, structure_crystal(model.structure), ChemistryOptions(unknown_residues="keep")
    )
    wanted = records(path.read_text())
    used = {frozenset((link.atom1, link.atom2)): link for link in chemistry.links}
    assert len(wanted) == count
    wrong = [
        (sorted(ends), used[ends].link if ends in used else None, expected(ends))
        for ends in wanted if ends not in used or used[ends].link != expected(ends)
    ]
    assert wrong == []
    for ends, distance in wanted.items():
        assert used[ends].distance == pytest.approx(distance, abs=0.02)
    assert set(used) == set(wanted), "a link was made up"
    bonds = {frozenset(chemistry.labels[i] for i in row) for row in chemistry.topology.bonds.atoms}
    assert all(ends in bonds for ends in wanted)
    assert Counter(link.origin for link in chemistry.links) == {"file": count}
