"""Make the embedded monomer library from an installed one: ``python -m gpurefine.io.make_library SOURCE_DIR``.

The result is one gzipped CIF file (:data:`EMBEDDED`): energy types, every link and modification, and the monomers of
:data:`MONOMERS`, reduced to the columns that gemmi reads.  The same source gives the same bytes.
"""

from __future__ import annotations

import gzip
import sys
from pathlib import Path

import gemmi
from gemmi import cif

from ..errors import ChemistryError
from .dictionary import known_group
from .library_corrections import corrected, dropped

EMBEDDED = Path(__file__).parent.parent / "data" / "monomers.cif.gz"

AMINO_ACIDS = (
    "ALA", "ARG", "ASN", "ASP", "CYS", "GLN", "GLU", "GLY", "HIS", "ILE", "LEU", "LYS", "MET", "PHE", "PRO", "SER",
    "THR", "TRP", "TYR", "VAL",
)  # fmt: skip
NUCLEOTIDES = (
    "A", "C", "G", "U", "DA", "DC", "DG", "DT",
)  # fmt: skip
MODIFIED = (
    "MSE", "SEP", "TPO", "PTR", "HYP", "DPN", "ACE", "NH2",
)  # fmt: skip
IONS = (
    "NA", "K", "MG", "CA", "MN", "FE", "FE2", "CO", "NI", "CU", "CU1", "ZN", "CD", "HG", "PT", "CS", "RB", "SR", "BA",
    "LI", "CL", "BR", "IOD",
)  # fmt: skip
SMALL = (
    "HOH", "SO4", "PO4", "ACT", "ACY", "FMT", "CIT", "GOL", "EDO", "PEG", "PGE", "PG4", "MPD", "MRD", "TRS", "DMS",
    "IMD", "EPE", "MES", "BME", "DTT", "NO3", "CO3", "SCN", "AZI", "OXY", "XE", "IPA", "EOH", "TLA", "MLI", "SIN",
)  # fmt: skip
SUGARS = (
    "NAG", "NDG", "BMA", "MAN", "GLC", "BGC", "GAL", "FUC", "FUL",
)  # fmt: skip
COFACTORS = ("HEM",)
MONOMERS = AMINO_ACIDS + NUCLEOTIDES + MODIFIED + IONS + SMALL + SUGARS + COFACTORS

# Columns kept of each category of a monomer; a name after "<" is an older spelling of the same item.
MONOMER_COLUMNS = {
    "_chem_comp_atom.": (
        "atom_id", "type_symbol", "type_energy", "charge<partial_charge", "alt_atom_id", "x", "y", "z",
    ),
    "_chem_comp_bond.": (
        "atom_id_1", "atom_id_2", "type", "aromatic", "value_dist", "value_dist_esd",
        "value_dist_nucleus", "value_dist_nucleus_esd",
    ),
    "_chem_comp_angle.": ("atom_id_1", "atom_id_2", "atom_id_3", "value_angle", "value_angle_esd"),
    "_chem_comp_tor.": (
        "id", "atom_id_1", "atom_id_2", "atom_id_3", "atom_id_4", "value_angle", "value_angle_esd", "period",
    ),
    "_chem_comp_chir.": ("id", "atom_id_centre", "atom_id_1", "atom_id_2", "atom_id_3", "volume_sign"),
    "_chem_comp_plane_atom.": ("plane_id", "atom_id", "dist_esd"),
    "_chem_comp_alias.": ("group", "atom_id", "atom_id_standard"),
}

# gemmi reads nothing else of links and modifications.
LINK_CATEGORIES = ("_chem_link", "_chem_link_bond", "_chem_link_angle", "_chem_link_tor", "_chem_link_chir",
                   "_chem_link_plane", "_chem_mod", "_chem_mod_atom", "_chem_mod_bond", "_chem_mod_angle",
                   "_chem_mod_tor", "_chem_mod_chir", "_chem_mod_plane_atom")  # fmt: skip


def make_library(source: Path, target: Path = EMBEDDED) -> int:
    """Write the embedded library and return its size in bytes.

    Args:
        source: an installed monomer library (``list/mon_lib_list.cif``, ``ener_lib.cif``, ``a/ALA.cif``, …).
        target: the file to write.

    Raises:
        ChemistryError: a monomer is missing or has no usable restraints.
    """
    document = cif.Document()
    energies = cif.read(str(source / "ener_lib.cif"))
    types = copy_energy_types(energies, document)
    copy_links(cif.read(str(source / "list" / "mon_lib_list.cif")), document)
    for name in MONOMERS:
        path = source / name[0].lower() / f"{name}.cif"
        if not path.is_file():
            raise ChemistryError(f"{source} has no {name}: install a complete monomer library and try again.")
        copy_monomer(cif.read(str(path)), name, document)
        check_monomer(document[-1], name, types)
    with target.open("wb") as raw, gzip.GzipFile("", "wb", 9, raw, mtime=0) as packed:
        packed.write(document.as_string().encode())
    return target.stat().st_size


def copy_energy_types(energies: cif.Document, document: cif.Document) -> set[str]:
    """Copy the table of energy types, and return their names."""
    block = next(block for block in energies if block.find_loop("_lib_atom.type"))
    table = block.find("_lib_atom.", list(ENERGY_COLUMNS))
    loop = document.add_new_block("energy").init_loop("_lib_atom.", list(ENERGY_COLUMNS))
    for row in table:
        loop.add_row(list(row))
    return {row.str(0) for row in table}


ENERGY_COLUMNS = ("type", "weight", "hb_type", "vdw_radius", "vdwh_radius", "ion_radius", "element", "valency", "sp")


def copy_links(source: cif.Document, document: cif.Document) -> None:
    """Copy the lists of links and modifications and every link and modification."""
    for block in source:
        if not block.name.startswith(("link_", "mod_")):
            continue
        new = document.add_new_block(block.name)
        for category in LINK_CATEGORIES:
            table = block.find_mmcif_category(category + ".")
            if len(table) == 0:
                continue
            loop = new.init_loop("", list(table.tags))
            for row in table:
                loop.add_row(list(row))


def copy_monomer(source: cif.Document, name: str, document: cif.Document) -> None:
    """Copy one monomer as a block ``comp_NAME`` with its group and the columns of :data:`MONOMER_COLUMNS`."""
    groups = {row.str(0): row.str(1) for block in source for row in block.find("_chem_comp.", ["id", "group"])}
    block = source.find_block(f"comp_{name}")
    new = document.add_new_block(f"comp_{name}")
    new.set_pair("_chem_comp.id", cif.quote(name))
    new.set_pair("_chem_comp.group", cif.quote(known_group(groups[name]) or "non-polymer"))
    for category, columns in MONOMER_COLUMNS.items():
        spelled = [(column.partition("<")[0], spelling(block, category, column)) for column in columns]
        kept = [(new_name, old_name) for new_name, old_name in spelled if old_name is not None]
        if not kept:
            continue
        table = block.find(category, [old_name for _, old_name in kept])
        names = [new_name for new_name, _ in kept]
        rows = [dict(zip(names, row, strict=True)) for row in table]
        rows = [values for values in rows if not dropped(name, category, values)]
        if rows:
            loop = new.init_loop(category, names)
            for values in rows:
                loop.add_row([corrected(name, category, item, values) for item in names])


def spelling(block: cif.Block, category: str, column: str) -> str | None:
    """The spelling of ``column`` ("new<old") that the block has."""
    for item in column.split("<"):
        if block.find_values(category + item):
            return item
    return None


def check_monomer(block: cif.Block, name: str, types: set[str]) -> None:
    """Refuse a monomer that has atoms of unknown energy type, unbonded atoms or restraints without values."""
    component = gemmi.MonLib()
    document = cif.Document()
    document.add_copied_block(block)
    component.read_monomer_doc(document)
    comp = component.monomers[name]
    unknown = [atom.id for atom in comp.atoms if atom.chem_type not in types]
    if unknown:
        raise ChemistryError(f"{name}: atoms {' '.join(unknown)} have energy types that ener_lib.cif lacks.")
    bonded = {atom.atom for bond in comp.rt.bonds for atom in (bond.id1, bond.id2)}
    loose = [atom.id for atom in comp.atoms if atom.id not in bonded]
    if loose and len(comp.atoms) > 1:
        raise ChemistryError(f"{name}: atoms {' '.join(loose)} have no bond.")
    for term in [*comp.rt.bonds, *comp.rt.angles]:
        if not (term.value > 0.0 and term.esd > 0.0):
            raise ChemistryError(f"{name}: a bond or angle has no ideal value or no uncertainty.")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("Usage: python -m gpurefine.io.make_library SOURCE_DIR")
    try:
        size = make_library(Path(sys.argv[1]))
    except ChemistryError as error:
        sys.exit(str(error))
    sys.stdout.write(f"{EMBEDDED}: {len(MONOMERS)} monomers, {size} bytes\n")
