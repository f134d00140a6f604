"""The refined model as PDB and as mmCIF."""

from __future__ import annotations

from pathlib import Path

import gemmi

from ..config import Config
from ..model.records import Report
from .atomic import write_whole
from .refine_categories import refine_items, restraint_loop, shell_loop, software_loop
from .reflections import DataSet
from .remark3 import remark_lines
from .source import method_of
from .symmetry import gemmi_cell
from .tls_header import mmcif_loops
from .topology import isotopes_apart

WIDEST = 9999.0
"""Å: the PDB format has eight columns with three decimals for a coordinate."""

REPLACED = ("_refine", "_pdbx_refine", "_software.")
"""Beginnings of the mmCIF categories that told of an earlier refinement (software is kept and added to)."""


def pdb_misfit(structure: gemmi.Structure) -> str | None:
    """Why a model cannot be written as PDB, None where it can.

    More than 99,999 atoms and residue numbers above 9999 are no hindrance: gemmi writes them in hybrid-36.
    """
    for chain in structure[0]:
        if len(chain.name) > 2:
            return f"chain name {chain.name} has more than two characters"
        for residue in chain:
            if len(residue.name) > 3:
                return f"residue name {residue.name} has more than three characters"
            for atom in residue:
                if len(atom.name) > 4:
                    return f"atom name {atom.name} has more than four characters"
                if max(abs(x) for x in atom.pos.tolist()) > WIDEST:
                    return f"atom {chain.name}/{residue.seqid}/{atom.name} is too far away for the columns"
    return None


def pdb_text(structure: gemmi.Structure, report: Report, config: Config, dataset: DataSet) -> str:
    """The PDB file; :func:`pdb_misfit` must be None.  Parts of deuterium become atoms of their own.

    Cell and space group are the data's; REMARK 2 and 3 are written anew, the other remarks of the input kept.
    """
    model = _placed(isotopes_apart(structure), dataset, config)
    model.resolution = report.d_min
    new = remark_lines(report, config, dataset, _heavy_atoms(model))
    kept = [(_remark_number(line), line) for line in model.raw_remarks]
    model.raw_remarks = [
        *(line for k, line in kept if k < 2),
        *new,
        *(line for k, line in kept if k > 3),
    ]
    return model.make_pdb_string()


def mmcif_text(
    structure: gemmi.Structure,
    document: gemmi.cif.Document | None,
    report: Report,
    config: Config,
    dataset: DataSet,
) -> str:
    """The mmCIF file.

    Every category of ``document`` (the input, None if that was PDB) is passed through as it was, except the atoms,
    cell, symmetry, the refinement's categories, which are written anew, and _software, which is added to.
    """
    model = _placed(structure, dataset, config)
    model.resolution = report.d_min
    if document is None:
        output = model.make_mmcif_document()
        block = output[0]
    else:
        output = gemmi.cif.Document()
        for part in document:
            output.add_copied_block(part)
        block = next(b for b in output if b.find_values("_atom_site.id"))
        had_aniso = bool(block.find_values("_atom_site_anisotrop.id"))
        groups = gemmi.MmcifOutputGroups(False)
        groups.atoms = groups.cell = groups.symmetry = True
        groups.scale = bool(block.find_mmcif_category("_atom_sites."))
        groups.auth_all = bool(block.find_values("_atom_site.auth_atom_id"))
        groups.group_pdb = True
        if had_aniso:
            block.find_mmcif_category("_atom_site_anisotrop.").erase()
        model.update_mmcif_block(block, groups)
    entry_id = block.find_value("_entry.id")
    entry = gemmi.cif.as_string(entry_id) if entry_id else block.name
    software = software_loop(block, dataset.software)
    for name in block.get_mmcif_category_names():
        if name.startswith(REPLACED) and name != "_software.":
            block.find_mmcif_category(name).erase()
    block.set_mmcif_category("_refine.", {k: [v] for k, v in refine_items(report, config, dataset, entry).items()})
    shells, restraints = shell_loop(report, config), restraint_loop(report, config)
    for name, loop in (("_refine_ls_shell.", shells), ("_refine_ls_restr.", restraints)):
        if loop:
            block.set_mmcif_category(name, loop)
    if report.tls is not None:
        tensors, parts = mmcif_loops(report.tls.groups, report.tls.values, method_of(config))
        block.set_mmcif_category("_pdbx_refine_tls.", tensors)
        block.set_mmcif_category("_pdbx_refine_tls_group.", parts)
    block.set_mmcif_category("_software.", software)
    options = gemmi.cif.WriteOptions()
    options.align_pairs = 33
    options.align_loops = 30
    return output.as_string(options)


def write_pdb(
    path: str | Path, structure: gemmi.Structure, report: Report, config: Config, dataset: DataSet
) -> str | None:
    """Write the PDB file, whole or not at all; a sentence instead where the model does not fit the format.

    Raises:
        OutputError: it cannot be written.
    """
    reason = pdb_misfit(structure)
    if reason is not None:
        return no_pdb_message(path, reason)
    write_whole(path, pdb_text(structure, report, config, dataset).encode("utf-8"))
    return None


def no_pdb_message(path: str | Path, reason: str) -> str:
    """Sentence for a model that does not fit the PDB format."""
    return f"{path} is not written, because the model does not fit the PDB format: {reason}; use the .cif file."


def write_mmcif(
    path: str | Path,
    structure: gemmi.Structure,
    document: gemmi.cif.Document | None,
    report: Report,
    config: Config,
    dataset: DataSet,
) -> None:
    """Write the mmCIF file, whole or not at all.

    Raises:
        OutputError: it cannot be written.
    """
    write_whole(path, mmcif_text(structure, document, report, config, dataset).encode("utf-8"))


def _placed(structure: gemmi.Structure, dataset: DataSet, config: Config) -> gemmi.Structure:
    """A copy in the data's crystal."""
    model = structure.clone()
    model.cell = gemmi_cell(dataset.crystal)
    model.spacegroup_hm = dataset.crystal.hm
    model.setup_cell_images()
    if "_exptl.method" not in model.info:
        model.info["_exptl.method"] = method_of(config)
    return model


def _heavy_atoms(structure: gemmi.Structure) -> int:
    return sum(1 for cra in structure[0].all() if not cra.atom.is_hydrogen())


def _remark_number(line: str) -> int:
    """Number of a REMARK record; 999 where there is none."""
    field = line[6:10].strip()
    return int(field) if field.isdigit() else 999
