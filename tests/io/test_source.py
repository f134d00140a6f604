"""Neutrons and electrons: how the source is decided, and what becomes of hydrogen and deuterium."""

import os
from pathlib import Path

import numpy as np
import pytest
from small_models import one_chain

import gpurefine
from gpurefine.config import AnomalousOptions, ChemistryOptions, Config, DataOptions
from gpurefine.errors import UsageError
from gpurefine.io.scattering import deuterium_part, isotope_name, neutron_gaussians, xray_gaussians
from gpurefine.io.source import method_of, resolved
from gpurefine.io.structure import read_model, structure_crystal
from gpurefine.io.topology import build_model, update_structure


def model(hydrogens=True):
    """A serine and a heavy water as a neutron crystallographer would deposit them, one site half exchanged."""
    rows = [
        ("SER", 1, "N", "N", (0.0, 0.0, 0.0)), ("SER", 1, "CA", "C", (1.458, 0.0, 0.0)),
        ("SER", 1, "C", "C", (2.009, 1.42, 0.0)), ("SER", 1, "O", "O", (1.251, 2.39, 0.0)),
        ("SER", 1, "CB", "C", (1.99, -0.75, -1.21)), ("SER", 1, "OG", "O", (1.58, -0.15, -2.42)),
        ("SER", 1, "HA", "H", (1.80, -0.52, 0.90)), ("SER", 1, "HB2", "H", (3.08, -0.75, -1.16)),
        ("SER", 1, "HB3", "H", (1.64, -1.78, -1.18)), ("SER", 1, "DG", "D", (1.95, -0.65, -3.16)),
        ("DOD", 2, "O", "O", (5.0, 5.0, 5.0)), ("DOD", 2, "D1", "D", (5.9, 5.2, 5.1)),
        ("DOD", 2, "D2", "D", (4.6, 5.8, 5.3)),
    ]  # fmt: skip
    kept = [row for row in rows if hydrogens or row[3] not in "HD"]
    return one_chain([(*row[:4], "\0", 1.0, row[4]) for row in kept])


@pytest.mark.parametrize(
    ("method", "asked", "source", "words"),
    [
        ("", "auto", "xray", None),
        ("X-RAY DIFFRACTION", "auto", "xray", None),
        ("NEUTRON DIFFRACTION", "auto", "neutron", "Source: neutrons, as the model's method"),
        ("ELECTRON CRYSTALLOGRAPHY", "auto", "electron", "Source: electrons, as"),
        ("X-RAY DIFFRACTION; NEUTRON DIFFRACTION", "auto", "xray", "comes from several experiments"),
        ("NEUTRON DIFFRACTION", "xray", "xray", "X-rays, as --source says, though the model's method is NEUTRON"),
        ("NEUTRON DIFFRACTION", "neutron", "neutron", None),
        ("X-RAY DIFFRACTION", "electron", "electron", "electrons, as --source says, though"),
        ("X-RAY DIFFRACTION; NEUTRON DIFFRACTION", "neutron", "neutron", None),
        ("", "neutron", "neutron", None),
        ("neutron diffraction", "auto", "neutron", "Source: neutrons, as the model's method"),
    ],
)
def test_the_source(method, asked, source, words):
    st = model()
    if method:
        st.info["_exptl.method"] = method
    config, told = resolved(Config("m", "d", "p", data=DataOptions(source=asked)), st)
    assert config.data.source == source and bool(told) == (words is not None)
    assert words is None or words in told[0]
    assert config.chemistry.hydrogens == ("keep" if source == "neutron" else "add")
    assert config.chemistry.write_hydrogens == (source == "neutron")
    assert source.upper()[:4] in method_of(config).replace("-", "")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"anomalous": True}, "--anomalous is for X-rays"),
        ({"wavelength": 1.0}, "--wavelength is for X-rays"),
        ({"anomalous_factors": ("S,0,1",)}, "--anomalous-factors is for X-rays"),
        ({"derivative_data": "d.mtz", "derivative_model": "s.pdb"}, "--derivative-data is for X-rays"),
        ({"anomalous": True, "wavelength": 1.0}, "--anomalous, --wavelength are for X-rays"),
    ],
)
@pytest.mark.parametrize("detected", [False, True])
@pytest.mark.parametrize("source", ["neutron", "electron"])
def test_only_xrays_scatter_anomalously(source, detected, options, words):
    st = model()
    if detected:
        st.info["_exptl.method"] = {"neutron": "NEUTRON DIFFRACTION", "electron": "ELECTRON CRYSTALLOGRAPHY"}[source]
    asked = DataOptions(source="auto" if detected else source)
    with pytest.raises(UsageError, match=f"^{words}, but the source is {source}; leave"):
        resolved(Config("m", "d", "p", data=asked, anomalous=AnomalousOptions(**options)), st)
    with_xrays = Config("m", "d", "p", data=DataOptions(source="xray"), anomalous=AnomalousOptions(**options))
    assert resolved(with_xrays, st)[0].anomalous == with_xrays.anomalous


def test_hydrogens_that_are_not_there_are_added():
    config, _ = resolved(Config("m", "d", "p", data=DataOptions(source="neutron")), model(hydrogens=False))
    assert config.chemistry.hydrogens == "add" and not config.chemistry.write_hydrogens
    for hydrogens, asked_for in (("keep", False), ("keep", True), ("refine", False)):
        chosen = ChemistryOptions(hydrogens=hydrogens, write_hydrogens=asked_for)
        config, _ = resolved(Config("m", "d", "p", data=DataOptions(source="xray"), chemistry=chosen), model())
        assert config.chemistry.write_hydrogens == (asked_for or hydrogens == "refine")
    asked = Config("m", "d", "p", data=DataOptions(source="neutron"), chemistry=ChemistryOptions(hydrogens="drop"))
    assert resolved(asked, model())[0].chemistry.hydrogens == "drop"


def test_isotopes_and_nuclear_distances():
    st = model()
    crystal = structure_crystal(st)
    neutron = build_model(st, crystal, ChemistryOptions(hydrogens="keep"), "neutron")
    atoms, topology = neutron.atoms, neutron.topology
    names = np.array(atoms.scatterer_names)[atoms.scatterer]
    at = {label.split("/", 1)[1]: k for k, label in enumerate(neutron.labels)}
    assert names[at["1/SER/HA"]] == "H" and (names == "D").sum() == 3
    assert atoms.is_hydrogen.sum() == 6
    # hydrogens that can turn have places of their own; all take the shift of B from their neighbours
    own = topology.parent == np.arange(len(atoms))
    assert {label for label, k in at.items() if atoms.is_hydrogen[k] and own[k]} == {
        "1/SER/HG", "2/DOD/H1", "2/DOD/H2"
    }  # fmt: skip
    assert own[~atoms.is_hydrogen].all() and atoms.parent[at["1/SER/HG"]] == at["1/SER/OG"]
    assert atoms.parent[at["1/SER/HA"]] == at["1/SER/CA"] == topology.parent[at["1/SER/HA"]]
    assert any(m.startswith("3 hydrogens that can turn") and "the other 3 ride" in m for m in neutron.messages)
    refined = build_model(st, crystal, ChemistryOptions(hydrogens="refine"), "neutron").topology
    assert (refined.parent == np.arange(len(atoms))).all()
    bonds = topology.bonds
    ideal = {tuple(sorted(pair)): d for pair, d in zip(bonds.atoms.tolist(), bonds.ideal, strict=True)}
    bond = tuple(sorted((at["1/SER/CA"], at["1/SER/HA"])))
    assert ideal[bond] == pytest.approx(1.09, abs=0.01)
    xray = build_model(st, crystal, ChemistryOptions(hydrogens="keep"))
    there = dict(zip(map(tuple, np.sort(xray.topology.bonds.atoms, axis=1).tolist()), xray.topology.bonds.ideal,
                     strict=True))  # fmt: skip
    assert there[bond] < 1.0 and "D" not in xray.atoms.scatterer_names
    water = [d for pair, d in ideal.items() if any("DOD" in neutron.labels[k] for k in pair)]
    assert len(water) == 2 and np.allclose(water, 0.97, atol=0.02)
    # deuterium comes out as it went in
    written = update_structure(neutron, atoms.xyz, atoms.b_iso, True, True)
    assert sorted(c.atom.name for c in written[0].all() if c.atom.element.name == "D") == ["D1", "D2", "DG"]


def test_added_hydrogens_stand_where_the_nuclei_are():
    st = model(hydrogens=False)
    crystal = structure_crystal(st)
    lengths = {}
    for source in ("xray", "neutron", "electron"):
        made = build_model(st, crystal, ChemistryOptions(hydrogens="add"), source)
        labels = [label.rsplit("/", 1)[1] for label in made.labels]
        places = made.atoms.xyz[labels.index("CA")] - made.atoms.xyz[labels.index("HA")]
        lengths[source] = float(np.linalg.norm(places))
        assert made.topology.parent[labels.index("HA")] == labels.index("CA")
    assert lengths["xray"] < 1.0 and lengths["neutron"] == pytest.approx(1.09, abs=0.01) == lengths["electron"]


def test_names_of_mixed_sites():
    assert [isotope_name(x) for x in (0.0, 0.001, 0.39, 0.999, 1.0)] == ["H", "H", "D0.39", "D", "D"]
    assert [deuterium_part(n) for n in ("H", "D", "D0.39", "Dy", "C", "D0.3")] == [0.0, 1.0, 0.39, None, None, None]
    a, _ = neutron_gaussians(["H", "D", "D0.39"])
    assert a[2, 0] == pytest.approx(0.61 * a[0, 0] + 0.39 * a[1, 0])
    np.testing.assert_array_equal(xray_gaussians(["D0.39"])[0], xray_gaussians(["H"])[0])


@pytest.mark.parametrize(
    ("case", "options", "start", "fall", "r_free"),
    [
        # published 0.222/0.294 to 1.8 Å and F > 3σ; the default keeps H and D and refines those that can turn
        ("1v9g_neutron", {}, (0.286, 0.335), 0.04, 0.315),
        ("1v9g_neutron", {"hydrogens": "refine", "fix_dfraction": True}, (0.285, 0.336), 0.03, 0.32),
        ("1v9g_neutron", {"turning_waters": True}, (0.272, 0.327), 0.03, 0.32),
        ("6mw0_microed", {"source": "electron"}, (0.229, None), 0.02, None),
    ],
)
def test_real_cases(case_folder, case, options, start, fall, r_free):
    """R_work falls by a margin, R_free to what is asked of the case."""
    if not Path(os.environ.get("CLIBD_MON", "")).joinpath("list").is_dir():
        pytest.skip("the residues of this case need CCP4's monomer library (CLIBD_MON)")
    folder = case_folder / case
    problem = gpurefine.read(folder / "model.cif", folder / "data.mtz", threads=1, **options)
    cycles = problem.refine(cycles=10).report.cycles
    assert cycles[0].r_work == pytest.approx(start[0], abs=0.006) and cycles[-1].r_work < cycles[0].r_work - fall
    if r_free is not None:
        assert cycles[0].r_free == pytest.approx(start[1], abs=0.006) and cycles[-1].r_free < r_free


def test_old_messages_are_gone(case_folder):
    assert read_model(str(case_folder / "1v9g_neutron" / "model.cif")).messages == ()
