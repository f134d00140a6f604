"""Reading a model, and the crystal it stands in."""

from __future__ import annotations

import gzip
import unicodedata
import zlib
from dataclasses import dataclass
from pathlib import Path

import gemmi
import numpy as np

from ..errors import InputError
from ..model.crystal import Crystal
from .data_file import check_exists
from .symmetry import crystal_from_gemmi

Structure = gemmi.Structure
"""A model as gemmi holds it: the name by which parts above ``io`` speak of it."""

LARGEST_CELL = 10_000.0
"""Å: an edge longer than this is none."""

CIF_SUFFIXES = (".cif", ".mmcif")


@dataclass(frozen=True, slots=True, eq=False)
class InputModel:
    """A model file: ``structure``, and the ``document`` it came from where that was mmCIF (categories pass through)."""

    path: str
    structure: gemmi.Structure
    document: gemmi.cif.Document | None
    messages: tuple[str, ...]


def read_model(path: str) -> InputModel:
    """Read PDB or mmCIF, also compressed with gzip.

    The file's content decides which it is, except that .cif and .mmcif are always mmCIF.

    Raises:
        InputError: the file is not there, not readable, or does not hold exactly one model with atoms.
    """
    check_exists(path, "model file")
    text, messages = _text(path)
    document = None
    stem = path.lower().removesuffix(".gz")
    is_cif = stem.endswith(CIF_SUFFIXES) or text.lstrip().startswith(("data_", "#"))
    try:
        if is_cif:
            document = gemmi.cif.read_string(text)
            block = next((b for b in document if b.find_values("_atom_site.id")), None)
            if block is None:
                raise InputError(f"{path} has no atoms (_atom_site); give a file with a model.")
            structure = gemmi.make_structure_from_block(block)
        else:
            structure = gemmi.read_pdb_string(text)
            structure.input_format = gemmi.CoorFormat.Pdb
    except InputError:
        raise
    except (RuntimeError, ValueError, OSError, IndexError) as error:
        reason = str(error).replace("string:", "line ").strip().rstrip(".")
        raise InputError(f"{path} cannot be read as a {'mmCIF' if is_cif else 'PDB'} model: {reason}.") from None
    structure.merge_chain_parts()
    _check(structure, path)
    if structure.cell.explicit_matrices:
        structure.standardize_crystal_frame()
        messages.append(f"{path} has coordinates in a frame of its own; they are turned to the standard one (a on x).")
    if structure.name in ("", "string"):
        structure.name = structure.info["_entry.id"] if "_entry.id" in structure.info else Path(stem).stem
    structure.setup_entities()
    return InputModel(path, structure, document, tuple(messages))


def read_structure(path: str) -> gemmi.Structure:
    """The structure alone; see :func:`read_model`."""
    return read_model(path).structure


def structure_crystal(structure: gemmi.Structure) -> Crystal | None:
    """Crystal of a model; None where its file has no cell (or the 1 Å one of CRYST1 1 1 1) or no known space group.

    Raises:
        InputError: there is a cell, and it is impossible.
    """
    group = structure.find_spacegroup()
    cell = structure.cell
    edges, angles = cell.parameters[:3], cell.parameters[3:]
    given = not all(edge in (0.0, 1.0) for edge in edges)
    sound = all(0.0 < edge < LARGEST_CELL for edge in edges) and all(10.0 < angle < 170.0 for angle in angles)
    if given and not (sound and cell.volume > 1.0):
        raise InputError(
            f"The cell of {structure.name or 'the model'} ({', '.join(f'{x:g}' for x in cell.parameters)}) is "
            "impossible; correct CRYST1 or _cell, or remove it to use the cell of the data."
        )
    if group is None or not structure.cell.is_crystal():
        return None
    return crystal_from_gemmi(structure.cell, group)


def _text(path: str) -> tuple[str, list[str]]:
    """The file as text; characters outside ASCII are written without their accents, or as '?'."""
    try:
        with open(path, "rb") as file:
            data = file.read()
        if data[:2] == b"\x1f\x8b":
            data = gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"The model file {path} cannot be read ({error}).") from None
    if b"\0" in data[:4096]:
        raise InputError(f"{path} is a binary file and no PDB or mmCIF model.")
    data = data.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    if data.isascii():
        return data.decode("ascii"), []
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    plain = "".join(c if c.isascii() else _without_accent(c) for c in text)
    return plain, [f"{path} has characters outside ASCII, which are replaced by plain ones."]


def _without_accent(character: str) -> str:
    """One ASCII character for one that is not, so that columns keep their places."""
    base = unicodedata.normalize("NFKD", character)[0]
    return base if base.isascii() else "?"


def _check(structure: gemmi.Structure, path: str) -> None:
    n_models = len(structure)
    if n_models == 0 or structure[0].count_atom_sites() == 0:
        raise InputError(f"{path} has no atoms; give a PDB or mmCIF file with a model.")
    if n_models > 1:
        raise InputError(f"{path} holds {n_models} models; refinement takes one, so write it to a file of its own.")
    for cra in structure[0].all():
        atom = cra.atom
        if not np.isfinite([atom.pos.x, atom.pos.y, atom.pos.z, atom.occ, atom.b_iso]).all():
            raise InputError(
                f"Atom {cra} of {path} has a coordinate, occupancy or B that is not a number; correct or delete it."
            )
