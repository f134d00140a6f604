"""Output files, read back with gemmi and as their clients read them."""

import errno
import json
import os
from pathlib import Path

import gemmi
import numpy as np
import pytest

from gpurefine.errors import OutputError, UsageError
from gpurefine.io import atomic
from gpurefine.io.atomic import check_output_folder, publish, stage, write_whole
from gpurefine.io.json_out import json_report, write_json
from gpurefine.io.log_out import cycle_line, cycle_table_header, log_text
from gpurefine.io.model_out import mmcif_text, pdb_misfit, pdb_text, write_mmcif, write_pdb
from gpurefine.io.outputs import write_all
from gpurefine.io.structure import read_model, read_structure
from gpurefine.model.records import CoordinateError, CycleRecord


@pytest.fixture
def structure(pdb_file):
    return read_structure(pdb_file)


# PDB


def test_pdb_reads_back(tmp_path, structure, report, config, dataset):
    structure[0][0][0][0].pos = gemmi.Position(1.25, 2.5, 3.75)
    path = tmp_path / "out.pdb"
    assert write_pdb(path, structure, report, config, dataset) is None
    back = gemmi.read_structure(str(path))
    info = back.meta.refinement[0]
    assert info.r_work == pytest.approx(0.1912) and info.r_free == pytest.approx(0.2345)
    assert back.resolution == 2.5 and info.resolution_high == 2.5 and info.resolution_low == pytest.approx(26.34)
    assert info.rfree_set_count == report.n_free and info.reflection_count == report.n_work + report.n_free
    assert info.mean_b == pytest.approx(16.6)
    assert back[0][0][0][0].pos.tolist() == [1.25, 2.5, 3.75]
    assert back.spacegroup_hm == "P 21 21 21" and back.meta.software[0].name == "GPUREFINE"


def test_remark_3_as_xchemexplorer_counts_it(structure, report, config, dataset):
    """XChemExplorer splits a line at blanks and takes a fixed token."""
    found = {}
    places = {
        "RESOLUTION RANGE HIGH (ANGSTROMS) :": 7,
        "R VALUE     (WORKING + TEST SET) :": 9,
        "FREE R VALUE                     :": 6,
        "BOND LENGTHS REFINED ATOMS        (A):": 9,
        "BOND ANGLES REFINED ATOMS   (DEGREES):": 9,
    }
    for line in pdb_text(structure, report, config, dataset).splitlines():
        for words, place in places.items():
            if line.startswith("REMARK   3   " + words):
                found[words] = float(line.split()[place])
    r = dataset.reflections
    work, free = r.f[r.work].sum(), r.f[r.free].sum()
    overall = (0.1912 * work + 0.2345 * free) / (work + free)
    assert list(found) == list(places)
    assert list(found.values()) == pytest.approx([2.5, overall, 0.2345, 0.012, 1.567], abs=6e-6)


def test_absent_numbers_are_null(structure, report, config, dataset):
    report.cycles[-1] = CycleRecord(1, r_work=0.2)
    report.n_free, report.restraints, report.coordinate_error = 0, [], CoordinateError()
    text = pdb_text(structure, report, config, dataset)
    assert "REMARK   3   FREE R VALUE                     :    NULL" in text and "nan" not in text.lower()
    assert all(len(line) <= 80 for line in text.splitlines())


def test_other_remarks_and_header_are_kept(tmp_path, pdb_file, report, config, dataset):
    path = tmp_path / "old.pdb"
    old = "REMARK   2 RESOLUTION.    9.99 ANGSTROMS.\nREMARK   3   R VALUE            (WORKING SET) : 0.999\n"
    path.write_text(old + "REMARK 280 CRYSTALLIZATION CONDITIONS: SALT\n" + Path(pdb_file).read_text())
    text = pdb_text(read_structure(str(path)), report, config, dataset)
    assert "CONDITIONS: SALT" in text and "A SMALL MODEL" in text and "9.99" not in text and "0.999" not in text
    assert text.index("REMARK   2") < text.index("REMARK   3") < text.index("REMARK 280")


@pytest.mark.parametrize(
    ("chain", "residue", "fits"), [("AB", "ALA", True), ("ABC", "ALA", False), ("A", "A1LUX", False)]
)
def test_what_fits_the_pdb_format(tmp_path, structure, report, config, dataset, chain, residue, fits):
    structure[0][0].name = chain
    structure[0][0][0].name = residue
    path = tmp_path / "out.pdb"
    message = write_pdb(path, structure, report, config, dataset)
    assert path.exists() == fits and (message is None) == fits == (pdb_misfit(structure) is None)
    if fits:
        assert gemmi.read_structure(str(path))[0][0].name == chain
    else:
        assert "out.pdb is not written" in message and "use the .cif file" in message


def test_more_atoms_than_five_digits(tmp_path, structure, report, config, dataset):
    water = structure[0][0][-1]
    chain = gemmi.Chain("W")
    for k in range(100_010):
        copy = chain.add_residue(water)
        copy.seqid = gemmi.SeqId(k % 9999 + 1, "ABCDEFGHIJKLMNOPQ"[k // 9999])
    structure[0].add_chain(chain)
    assert write_pdb(tmp_path / "big.pdb", structure, report, config, dataset) is None
    assert gemmi.read_structure(str(tmp_path / "big.pdb"))[0].count_atom_sites() == 100_016


# mmCIF


def test_mmcif_from_pdb_reads_back(tmp_path, structure, report, config, dataset):
    path = tmp_path / "out.cif"
    write_mmcif(path, structure, None, report, config, dataset)
    back = gemmi.read_structure(str(path))
    info = back.meta.refinement[0]
    assert info.r_work == pytest.approx(0.1912) and info.r_free == pytest.approx(0.2345)
    assert back.resolution == 2.5 and info.resolution_high == 2.5
    assert back[0].count_atom_sites() == 6
    block = gemmi.cif.read(str(path))[0]
    assert block.find_value("_refine.entry_id") == "1ABC"
    items = """
        ls_d_res_high ls_d_res_low ls_number_reflns_obs ls_number_reflns_R_free ls_percent_reflns_obs ls_R_factor_obs
        pdbx_ls_cross_valid_method pdbx_refine_id B_iso_mean aniso_B[1][1] solvent_model_details
        pdbx_solvent_vdw_probe_radii
    """
    for item in items.split():
        assert block.find_value("_refine." + item) not in (None, "?", "."), item
    shells = block.get_mmcif_category("_refine_ls_shell.")
    assert shells["d_res_high"] == ["2.500", "4.000"] and shells["R_factor_R_free"] == ["0.3000", "0.2000"]
    restraints = block.get_mmcif_category("_refine_ls_restr.")
    assert restraints["type"][:2] == ["r_bond_refined_d", "r_angle_refined_deg"]
    assert float(restraints["dev_ideal"][0]) == 0.0123 and restraints["number"][0] == "1500"


def test_mmcif_passes_everything_through(tmp_path, structure, report, config, dataset):
    document = structure.make_mmcif_document()
    block = document[0]
    block.set_mmcif_category("_mine.", {"id": ["1", "2"], "text": ["don't", "two\nlines"]})
    block.set_mmcif_category("_citation.", {"id": ["primary"], "title": ["A 'quoted' title"]})
    block.set_mmcif_category("_refine.", {"entry_id": ["1ABC"], "ls_R_factor_R_work": ["0.999"], "details": ["old"]})
    block.set_mmcif_category("_refine_hist.", {"cycle_id": ["LAST"]})
    block.set_mmcif_category(
        "_software.",
        {
            "name": ["XDS", "REFMAC", "gpurefine"], "classification": ["data reduction", "refinement", "refinement"],
            "version": ["1", "5.8", "0.0"], "contact_author": ["K", None, None], "pdbx_ordinal": ["1", "2", "3"],
        },
    )  # fmt: skip
    document.add_new_block("comp_LIG").set_pair("_chem_comp.id", "LIG")
    path = tmp_path / "in.cif"
    document.write_file(str(path))
    model = read_model(str(path))
    model.structure[0][0][0][0].b_iso = 77.5
    given = gemmi.cif.read(str(path))
    output = gemmi.cif.read_string(mmcif_text(model.structure, model.document, report, config, dataset))
    assert [b.name for b in output] == [b.name for b in given]
    changed = {"_atom_site.", "_cell.", "_symmetry.", "_refine.", "_refine_hist.", "_software."}
    for name in given[0].get_mmcif_category_names():
        if name not in changed:
            assert output[0].get_mmcif_category(name) == given[0].get_mmcif_category(name), name
    assert output[1].find_value("_chem_comp.id") == "LIG"
    assert not output[0].find_mmcif_category("_refine_hist.")
    assert output[0].find_value("_refine.details") is None
    assert output[0].find_values("_atom_site.B_iso_or_equiv")[0] == "77.5"
    software = output[0].get_mmcif_category("_software.")
    assert software["name"] == ["XDS", "REFMAC", "AIMLESS", "gpurefine"]
    assert software["contact_author"][0] == "K" and software["pdbx_ordinal"] == ["1", "2", "3", "4"]
    assert software["version"][-1] != "0.0"
    # the input itself is not touched
    assert model.document[0].find_value("_refine.details") == "old"


def test_anisotropic_atoms_come_and_go(structure, report, config, dataset):
    atom = structure[0][0][0][0]
    atom.aniso = gemmi.SMat33f(0.1, 0.2, 0.3, 0.01, 0.02, 0.03)
    document = structure.make_mmcif_document()
    with_aniso = gemmi.cif.read_string(mmcif_text(structure, document, report, config, dataset))[0]
    assert len(with_aniso.find_values("_atom_site_anisotrop.id")) == 1
    atom.aniso = gemmi.SMat33f(0, 0, 0, 0, 0, 0)
    without = gemmi.cif.read_string(mmcif_text(structure, document, report, config, dataset))[0]
    assert not without.find_values("_atom_site_anisotrop.id")


@pytest.mark.parametrize("hm", ["R 3 :H", "R 3 2 :H", "I 21 3", "C 1 2 1", "P 1 21 1", "P 31 2 1"])
def test_space_groups_survive(structure, report, config, dataset, hm):
    from dataclasses import replace

    from gpurefine.io.symmetry import crystal_from_gemmi

    group = gemmi.SpaceGroup(hm.replace(" :", ":"))
    cells = {"R": (50, 50, 60, 90, 90, 120), "I": (50, 50, 50, 90, 90, 90), "C": (50, 40, 60, 90, 100, 90)}
    cells["P"] = cells["R"] if hm.startswith("P 3") else cells["C"]
    data = replace(dataset, crystal=crystal_from_gemmi(gemmi.UnitCell(*cells[hm[0]]), group))
    for text in (pdb_text(structure, report, config, data), mmcif_text(structure, None, report, config, data)):
        back = gemmi.read_pdb_string(text) if not text.startswith("data_") else gemmi.make_structure_from_block(
            gemmi.cif.read_string(text)[0]
        )  # fmt: skip
        assert back.find_spacegroup() == group
        assert back.cell.parameters == pytest.approx(cells[hm[0]])


@pytest.mark.parametrize("name", ["1l2h_twin/model.cif", "7rin/model.pdb"])
def test_real_models_pass_through(case_folder, report, config, dataset, name):
    model = read_model(str(case_folder / name))
    block = gemmi.cif.read_string(mmcif_text(model.structure, model.document, report, config, dataset))[0]
    if model.document is not None:
        skipped = ("_atom_site", "_cell.", "_symmetry.", "_refine", "_pdbx_refine", "_software.")
        for category in model.document[0].get_mmcif_category_names():
            if not category.startswith(skipped):
                assert block.get_mmcif_category(category) == model.document[0].get_mmcif_category(category), category
        before = model.document[0].get_mmcif_category("_atom_site.")
        after = block.get_mmcif_category("_atom_site.")
        for item in ("label_asym_id", "auth_asym_id", "auth_seq_id", "label_seq_id", "label_atom_id", "Cartn_x"):
            if item.startswith("Cartn"):
                np.testing.assert_allclose(np.array(after[item], float), np.array(before[item], float))
            else:
                assert after[item] == before[item], item
    assert gemmi.make_structure_from_block(block).meta.refinement[0].r_free == pytest.approx(0.2345)


# JSON


def test_json(tmp_path, report, config, dataset):
    path = tmp_path / "out.json"
    write_json(path, report, config, "gpurefine refine é", dataset)
    tree = json.loads(path.read_text(encoding="ascii"), parse_constant=lambda word: pytest.fail(word))
    required = (
        "program version device command input cycles shells outliers scale timing timing_beside n_work n_free "
        "free_value d_min twin tls"
    )
    assert set(required.split()) <= set(tree)
    assert tree["program"] == "gpurefine" and tree["command"].endswith("é") and tree["twin"] is None
    cycle = (
        "r_work r_free r_work_plain r_free_plain cc_work cc_free target ll_work ll_free weight rmsd_bond rmsz_bond "
        "rmsd_angle rmsz_angle rmsd_chiral halvings ridge cg_iterations status seconds"
    )
    assert all(set(cycle.split()) <= set(record) for record in tree["cycles"]) and len(tree["cycles"]) == 2
    assert tree["cycles"][1]["r_free"] == 0.2345 and tree["cycles"][1]["ll_work"] is None
    assert tree["scale"]["solvent_fraction"] is None and tree["mean_b"] == 16.6
    assert tree["outliers"][0]["atoms"] == ["A/1/ALA/N", "A/1/ALA/CA"]
    assert tree["options"]["refine"]["cycles"] == 10 and tree["input"]["labels"] == ["F", "SIGF"]


def test_json_without_data_set(report, config):
    assert json_report(report, config, "x")["input"] == {"model": config.model, "data": config.data_file}


# log


def test_log(report, config, dataset):
    text = log_text(report, config, dataset, "gpurefine refine a b", ["refined.mtz"])
    for words in ("Free set: column FreeR_flag, value 0", "0.1912", "Bond lengths", "A/1/ALA/N", "refined.mtz",
                  "k_mask", "P 21 21 21", "Cycle 1: the step was shortened."):  # fmt: skip
        assert words in text, words
    assert "nan" not in text


def test_cycle_table_is_aligned():
    header = cycle_table_header()
    record = CycleRecord(3, r_work=0.2, r_free=0.25, seconds=1.0, cg_iterations=7)
    line = cycle_line(record)
    assert "\n" not in line and "0.2000" in line and "0.2500" in line and "nan" not in line.lower()
    assert header.index("R_free") + 6 == line.index("0.2500") + 6
    assert abs(len(header) - len(line)) <= 1


# whole or not at all


def test_write_all(structure, report, config, dataset):
    messages = write_all(config.prefix, structure, None, dataset, report, config, "gpurefine refine")
    folder = Path(config.prefix).parent
    names = sorted(p.name for p in folder.iterdir() if p.name.startswith(("refined", ".")))
    assert names == [f"refined.{suffix}" for suffix in ("cif", "json", "log", "mtz", "pdb", "toml")]
    assert all(name in messages[0] for name in names)


def test_write_all_without_pdb(structure, report, config, dataset):
    Path(config.prefix + ".pdb").write_text("an earlier run")
    structure[0][0].name = "LONG"
    messages = write_all(config.prefix, structure, None, dataset, report, config, "gpurefine refine")
    assert not Path(config.prefix + ".pdb").exists() and "LONG" in messages[1]
    assert "LONG" in json.loads(Path(config.prefix + ".json").read_text())["messages"][-1]


def test_full_disk_leaves_the_old_files(monkeypatch, structure, report, config, dataset):
    Path(config.prefix + ".mtz").write_text("old")
    synced = []

    def fsync(descriptor):
        synced.append(descriptor)
        if len(synced) == 3:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(atomic.os, "fsync", fsync)
    with pytest.raises(OutputError, match="disk is full"):
        write_all(config.prefix, structure, None, dataset, report, config, "gpurefine refine")
    left = sorted(p.name for p in Path(config.prefix).parent.iterdir() if p.name.startswith(("refined", ".")))
    assert left == ["refined.mtz"] and Path(config.prefix + ".mtz").read_text() == "old"


def test_failing_rename_leaves_no_parts(tmp_path):
    staged = [stage(tmp_path / name, b"1") for name in ("a", "folder.b", "c")]
    (tmp_path / "folder.b").mkdir()
    with pytest.raises(OutputError, match=r"folder\.b cannot be written"):
        publish(staged)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "folder.b"]


def test_interrupt_leaves_no_part(monkeypatch, tmp_path):
    def fsync(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(atomic.os, "fsync", fsync)
    with pytest.raises(KeyboardInterrupt):
        write_whole(tmp_path / "a", b"1")
    assert list(tmp_path.iterdir()) == []


def test_permissions_follow_the_umask(tmp_path):
    old = os.umask(0o027)
    try:
        write_whole(tmp_path / "a", b"1")
    finally:
        os.umask(old)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640


def test_output_folder_is_checked(tmp_path, pdb_file):
    check_output_folder(str(tmp_path / "good"), [pdb_file])
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model.pdb"]
    with pytest.raises(OutputError, match="does not exist"):
        check_output_folder(str(tmp_path / "none" / "x"))
    with pytest.raises(OutputError, match="is not a folder"):
        check_output_folder(pdb_file + "/x")
    with pytest.raises(UsageError, match="must end in a name"):
        check_output_folder(str(tmp_path) + "/")
    with pytest.raises(UsageError, match="would replace the input"):
        check_output_folder(str(tmp_path / "model"), [pdb_file])
    with pytest.raises(OutputError, match="too long"):
        check_output_folder(str(tmp_path / ("x" * 400)))
    (tmp_path / "dir.mtz").mkdir()
    with pytest.raises(OutputError, match="is a folder"):
        check_output_folder(str(tmp_path / "dir"))
