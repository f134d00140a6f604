"""Reading models: formats, damage, and what is no model."""

import gzip
from pathlib import Path

import gemmi
import numpy as np
import pytest

from gpurefine.errors import InputError
from gpurefine.io.structure import read_model, read_structure, structure_crystal


def test_pdb(pdb_file):
    model = read_model(pdb_file)
    assert model.structure[0].count_atom_sites() == 6 and model.document is None and model.messages == ()
    crystal = structure_crystal(model.structure)
    assert crystal is not None and crystal.hm == "P 21 21 21"
    np.testing.assert_allclose(crystal.cell, (31, 35, 40, 90, 90, 90))


def test_mmcif_and_compression(tmp_path, pdb_file):
    document = read_structure(pdb_file).make_mmcif_document()
    document[0].set_pair("_mine.item", "kept")
    path = tmp_path / "model.cif.gz"
    path.write_bytes(gzip.compress(document.as_string().encode()))
    model = read_model(str(path))
    assert model.structure[0].count_atom_sites() == 6
    assert model.document[0].find_value("_mine.item") == "kept"


def test_content_decides_for_other_suffixes(tmp_path, pdb_file):
    text = read_structure(pdb_file).make_mmcif_document().as_string()
    for name, content in (("a.ent", Path(pdb_file).read_text()), ("b.txt", text)):
        path = tmp_path / name
        path.write_text(content)
        assert read_structure(str(path))[0].count_atom_sites() == 6


@pytest.mark.parametrize("record", ["CRYST1    1.000    1.000    1.000  90.00  90.00  90.00 P 1           1\n", ""])
def test_no_crystal(tmp_path, pdb_file, record):
    lines = Path(pdb_file).read_text().splitlines(keepends=True)
    path = tmp_path / "none.pdb"
    path.write_text(record + "".join(line for line in lines if not line.startswith("CRYST1")))
    assert structure_crystal(read_structure(str(path))) is None


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("empty.pdb", b"", "is empty"),
        ("remarks.pdb", b"REMARK   1 NOTHING\nEND\n", "has no atoms"),
        ("text.cif", b"hello", "cannot be read as a mmCIF model"),
        ("no_atoms.cif", b"data_x\n_cell.length_a 10\n", "has no atoms"),
        ("binary.pdb", bytes(range(256)), "binary file"),
        ("cut.pdb.gz", gzip.compress(b"ATOM" * 1000)[:30], "cannot be read"),
    ],
)
def test_what_is_no_model(tmp_path, name, content, words):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError) as error:
        read_structure(str(path))
    assert words in str(error.value) and name in str(error.value) and str(error.value).endswith(".")


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(InputError, match="No such file"):
        read_structure(str(tmp_path / "none.pdb"))
    with pytest.raises(InputError, match="is a folder"):
        read_structure(str(tmp_path))


def test_several_models_and_bad_numbers(tmp_path, pdb_file):
    structure = read_structure(pdb_file)
    structure.add_model(structure[0])
    structure.renumber_models()
    several = tmp_path / "several.pdb"
    structure.write_pdb(str(several))
    with pytest.raises(InputError, match="holds 2 models"):
        read_structure(str(several))

    document = read_structure(pdb_file).make_mmcif_document()
    document[0].find_values("_atom_site.Cartn_x")[1] = "nan"
    path = tmp_path / "nan.cif"
    path.write_text(document.as_string())
    with pytest.raises(InputError, match=r"CA of .*nan\.cif has a coordinate"):
        read_structure(str(path))


def test_frame_of_its_own_is_turned(tmp_path, pdb_file):
    """SCALE records that put a along y."""
    scale = (
        f"SCALE1    {0:10.6f}{1 / 31:10.6f}{0:10.6f}     {0:10.5f}\n"
        f"SCALE2    {-1 / 35:10.6f}{0:10.6f}{0:10.6f}     {0:10.5f}\n"
        f"SCALE3    {0:10.6f}{0:10.6f}{1 / 40:10.6f}     {0:10.5f}\n"
    )
    path = tmp_path / "turned.pdb"
    path.write_text(Path(pdb_file).read_text().replace("ATOM      1", scale + "ATOM      1"))
    model = read_model(str(path))
    assert model.structure[0][0][0][0].pos.tolist() == pytest.approx([6.134, -11.104, 6.504], abs=1e-3)
    assert "frame of its own" in model.messages[0] and not model.structure.cell.explicit_matrices


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_characters_outside_ascii(tmp_path, pdb_file, encoding):
    path = tmp_path / "accents.pdb"
    path.write_bytes("TITLE     CAFÉ Å\nREMARK   5 é\n".encode(encoding) + Path(pdb_file).read_bytes())
    model = read_model(str(path))
    assert model.structure.info["_struct.title"].startswith("CAFE A")
    assert "ASCII" in model.messages[0]
    assert isinstance(model.structure, gemmi.Structure) and "REMARK   5 e" in model.structure.make_pdb_string()


@pytest.mark.parametrize("name", ["7rin/model.pdb", "1l2h_twin/model.cif", "3t5o_tls/model.pdb"])
def test_real_models(case_folder, name):
    model = read_model(str(case_folder / name))
    assert structure_crystal(model.structure) is not None
    assert (model.document is not None) == name.endswith(".cif")


@pytest.mark.parametrize("end", [b"\r\n", b"\r"])
def test_line_ends_and_byte_order_mark(tmp_path, pdb_file, end):
    path = tmp_path / "other.pdb"
    path.write_bytes(b"\xef\xbb\xbf" + Path(pdb_file).read_bytes().replace(b"\n", end))
    model = read_model(str(path))
    assert model.structure[0].count_atom_sites() == 6 and structure_crystal(model.structure) is not None
    assert model.messages == ()
