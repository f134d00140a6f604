"""Sites that hydrogen and deuterium share: found, merged, refined and written."""

import os
from pathlib import Path

import gemmi
import numpy as np
import pytest
from small_models import one_chain

import gpurefine
from gpurefine.config import ChemistryOptions, Config, DataOptions
from gpurefine.config_groups import GroupOptions
from gpurefine.errors import UsageError
from gpurefine.io.deuterium import find_deuterium_sites, shared_sites_merged
from gpurefine.io.source import resolved
from gpurefine.io.structure import structure_crystal
from gpurefine.io.topology import build_model, isotopes_apart, update_structure
from gpurefine.model.deuterium import DeuteriumResult
from gpurefine.model.occupancy import OccupancyGroups

ROWS = [
    ("SER", 1, "N", "N", "\0", 1.0, (0.0, 0.0, 0.0)), ("SER", 1, "CA", "C", "\0", 1.0, (1.458, 0.0, 0.0)),
    ("SER", 1, "C", "C", "\0", 1.0, (2.009, 1.42, 0.0)), ("SER", 1, "O", "O", "\0", 1.0, (1.251, 2.39, 0.0)),
    ("SER", 1, "CB", "C", "\0", 1.0, (1.99, -0.75, -1.21)), ("SER", 1, "OG", "O", "\0", 1.0, (1.58, -0.15, -2.42)),
    ("SER", 1, "HA", "H", "\0", 1.0, (1.80, -0.52, 0.90)), ("SER", 1, "HB2", "H", "\0", 1.0, (3.08, -0.75, -1.16)),
    ("SER", 1, "HB3", "H", "\0", 1.0, (1.64, -1.78, -1.18)), ("SER", 1, "HG", "H", "A", 0.3, (1.95, -0.65, -3.16)),
    ("SER", 1, "DG", "D", "B", 0.6, (1.95, -0.65, -3.14)), ("DOD", 2, "O", "O", "\0", 1.0, (5.0, 5.0, 5.0)),
    ("DOD", 2, "D1", "D", "\0", 1.0, (5.9, 5.2, 5.1)), ("DOD", 2, "D2", "D", "\0", 1.0, (4.6, 5.8, 5.3)),
]  # fmt: skip


def model(rows=ROWS):
    """A serine whose hydroxyl is two thirds deuterium, and a heavy water."""
    return one_chain(rows)


def built(rows=ROWS):
    st, told = shared_sites_merged(model(rows))
    options = Config("m", "d", "p", data=DataOptions(source="neutron")).chemistry
    options = type(options)(hydrogens="keep")
    return build_model(st, structure_crystal(st), options, "neutron"), told


def test_pairs_become_one_site():
    st, told = shared_sites_merged(model())
    assert told == ["1 sites that H and D share are refined as one hydrogen each."]
    hydroxyl = st[0]["A"][0].find_atom("HG", "\0")
    assert hydroxyl.occ == pytest.approx(0.9) and hydroxyl.fraction == pytest.approx(2 / 3)
    assert hydroxyl.pos.z == pytest.approx(5 - 3.16 + 0.02 * 2 / 3) and st[0].count_atom_sites() == len(ROWS) - 1
    # H and D of two conformers stay apart
    rows = [r for r in ROWS if r[2] != "OG"]
    og = next(r for r in ROWS if r[2] == "OG")
    rows[5:5] = [(*og[:4], "A", 0.4, og[6]), (*og[:4], "B", 0.6, (1.58, -0.15, -2.40))]
    assert shared_sites_merged(model(rows))[1] == []


def test_sites_and_what_is_written(tmp_path):
    chemistry, _ = built()
    found, sites, told = find_deuterium_sites(chemistry, None)
    assert [label.split("/")[-1] for label in sites.labels] == ["HG", "H1", "H2"]
    np.testing.assert_allclose(sites.start, [2 / 3, 1.0, 1.0], atol=1e-6)
    names = np.array(found.atoms.scatterer_names)[found.atoms.scatterer]
    assert (names[sites.atom] == "D").all() and sites.hydrogen == pytest.approx(-3.739 / 6.671, abs=1e-3)
    assert "3 hydrogen sites" in told[0]
    result = DeuteriumResult(sites, np.array([0.25, 1.0, 0.0]))
    atoms = found.atoms
    st = update_structure(found, atoms.xyz, atoms.b_iso, True, True, deuterium=result)
    st.make_mmcif_document().write_file(str(tmp_path / "a.cif"))
    back = gemmi.read_structure(str(tmp_path / "a.cif"))
    assert back.has_d_fraction and back[0]["A"][0].find_atom("HG", "\0").fraction == pytest.approx(0.25)
    isotopes_apart(st).write_pdb(str(tmp_path / "a.pdb"))
    pairs = {
        (c.atom.name, c.atom.element.name): c.atom.occ
        for c in gemmi.read_structure(str(tmp_path / "a.pdb"))[0].all() if c.atom.is_hydrogen()
    }  # fmt: skip
    assert pairs[("HG", "H")] == pytest.approx(0.675, abs=0.006)  # of 0.9; the format has two decimals
    assert pairs[("DG", "D")] == pytest.approx(0.225, abs=0.006)
    assert pairs[("D1", "D")] == 1.0 and pairs[("H2", "H")] == 1.0 and ("HA", "H") in pairs


def test_occupancies_and_fractions_exclude_each_other():
    chemistry, _ = built()
    member = np.full(len(chemistry.atoms), -1, np.int32)
    member[[label.endswith("HG") for label in chemistry.labels].index(True)] = 0
    groups = OccupancyGroups(("a",), member, ((0,),), (False,))
    _, sites, told = find_deuterium_sites(chemistry, groups)
    assert len(sites) == 2 and "1 hydrogens whose occupancy is refined keep" in told[0]
    bare, _ = built([r for r in ROWS if r[3] not in "HD" or r[2].startswith(("HA", "HB"))])
    with pytest.raises(UsageError, match="finds no hydrogen on N, O or S"):
        find_deuterium_sites(bare, None)


@pytest.mark.parametrize("source", ["xray", "electron", "auto"])
@pytest.mark.parametrize(
    "options", [{"refine_dfraction": True}, {"fix_dfraction": True}, {"dfraction_sigma": 0.1}]
)  # fmt: skip
def test_only_with_neutrons(source, options):
    config = Config("m", "d", "p", data=DataOptions(source=source), groups=GroupOptions(**options))
    flag = "--" + next(iter(options)).replace("_", "-")
    with pytest.raises(UsageError, match=f"^{flag} is for neutrons, but the source is"):
        resolved(config, model())


def by_default(rows, hydrogens="auto", source="neutron", **options):
    config = Config(
        "m", "d", "p", data=DataOptions(source=source), chemistry=ChemistryOptions(hydrogens=hydrogens),
        groups=GroupOptions(**options),
    )
    return resolved(config, model(rows))[0].groups.refine_dfraction


def test_fractions_are_refined_by_default_where_hydrogen_was_exchanged():
    """Deuterium on N, O or S, or beside hydrogen at one site; not where hydrogens of the model are not kept."""
    only = {r[2]: [row for row in ROWS if row[3] not in "HD" or row[2] == r[2]] for r in ROWS if r[3] in "HD"}
    assert by_default(ROWS) and by_default(ROWS, "keep") and by_default(ROWS, "refine")
    assert by_default(only["D1"]) and by_default(only["DG"])
    assert not by_default(only["HA"]) and not by_default(only["HG"])
    assert not by_default(ROWS, "add") and not by_default(ROWS, "drop") and not by_default(ROWS, source="xray")
    assert not by_default(ROWS, fix_dfraction=True)
    # a deuterium on carbon was put there when the molecule was made, unless hydrogen shares its place
    on_carbon = [*only["HA"], (*ROWS[6][:2], "DA", "D", "\0", 1.0, (1.80, -0.52, 0.90))]
    on_carbon.remove(ROWS[6])
    assert not by_default(on_carbon)
    shared = [(*row[:4], "B" if row[3] == "D" else "\0", *row[5:]) for row in on_carbon]
    shared.insert(-1, (*ROWS[6][:4], "A", 0.5, ROWS[6][6]))
    assert by_default(shared)


def test_a_sigma_without_fractions_is_refused():
    bare = [row for row in ROWS if row[3] != "D"]
    with pytest.raises(UsageError, match="no deuterium whose part is refined by itself; add --refine-dfraction"):
        by_default(bare, dfraction_sigma=0.1)
    assert by_default(bare, dfraction_sigma=0.1, refine_dfraction=True)


def test_options():
    for other in ({"refine_dfraction": True}, {"dfraction_sigma": 0.1}):
        with pytest.raises(UsageError, match="--fix-dfraction contradicts"):
            GroupOptions(fix_dfraction=True, **other)
    with pytest.raises(UsageError, match="must be more than 0"):
        GroupOptions(refine_dfraction=True, dfraction_sigma=0.0)


def test_a_real_case(case_folder):
    """Fractions of a crystal grown from D2O are high, and refined without being asked; the test set likes it."""
    if not Path(os.environ.get("CLIBD_MON", "")).joinpath("list").is_dir():
        pytest.skip("the residues of this case need CCP4's monomer library (CLIBD_MON)")
    folder = case_folder / "1v9g_neutron"
    result, kept = (
        gpurefine.read(folder / "model.cif", folder / "data.mtz", threads=1, **options).refine()
        for options in ({}, {"fix_dfraction": True})
    )
    cycles, found = result.report.cycles, result.report.deuterium
    assert [c.stage for c in cycles[1:4]] == ["deuterium"] * 3
    assert len(found.sites) == 106 and 0.8 < found.values.mean() < 0.95 and found.values.max() <= 1.0
    assert cycles[-1].r_free < 0.315 and cycles[-1].r_free < cycles[0].r_free - 0.02
    assert kept.report.deuterium is None and cycles[-1].ll_free < kept.report.cycles[-1].ll_free - 0.004
