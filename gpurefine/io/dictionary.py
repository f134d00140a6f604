"""The monomer dictionary of a model: restraints of every residue, links, modifications and energy types."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import gemmi
from gemmi import cif

from ..config import ChemistryOptions
from ..errors import ChemistryError, InputError
from .chirality import free_false_centres
from .gemmi_stubs import absent
from .library_places import (
    ENERGY_FILE,
    LIST_FILE,
    embedded_document,
    library_directory,
    read_cif,
    residue_file,
)
from .value_checks import wrong_value

EMBEDDED = "embedded"
ALIASES = {"DOD": "HOH"}
"""Residues of the embedded library under a second name: heavy water."""

ORIGIN_TAG = "_gpurefine_made.origin"
"""Item of a block made by gpurefine dictionary that says what it was made from."""

ENERGY_COLUMNS = ("type", "hb_type", "vdw_radius", "vdwh_radius", "ion_radius", "element", "valency", "sp")


@dataclass(slots=True, eq=False)
class Dictionary:
    """Restraints of the residues of one model.

    Attributes:
        monlib: what gemmi builds topologies from.
        source: where each residue's restraints come from: "embedded" or a file name.
        directory: the library directory in use, None where only the embedded library is.
        links: names of the links it has (gemmi adds links of its own to ``monlib`` for bonds that have none).
        links_source: where links, modifications and energy types come from, "embedded" or a directory.
        unknown: residues that are in no dictionary.
        messages: sentences to be told to the user.
    """

    monlib: gemmi.MonLib
    source: dict[str, str] = field(default_factory=dict)
    directory: str | None = None
    links: frozenset[str] = frozenset()
    links_source: str = EMBEDDED
    unknown: tuple[str, ...] = ()
    messages: list[str] = field(default_factory=list)

    @property
    def summary(self) -> str:
        """One line that says which library is in use."""
        place = f"monomer library {self.directory}" if self.directory else "monomer library embedded in gpurefine"
        own = sorted(name for name, path in self.source.items() if path != EMBEDDED and not self._in_directory(path))
        return place + (f"; from ligand files: {' '.join(own)}" if own else "")

    def _in_directory(self, path: str) -> bool:
        return self.directory is not None and Path(path).is_relative_to(self.directory)


def load_dictionary(
    residue_names: Iterable[str] | Mapping[str, str], options: ChemistryOptions, complete: bool = True
) -> Dictionary:
    """Load restraints of the named residues.

    A ligand file wins over the library directory, which wins over the embedded library.  A directory without links or
    energy types (Debian's refmac-dictionary) is too old for the modern links: there the embedded residues win and the
    directory gives what they lack.

    Args:
        residue_names: the residues; a mapping also gives an example of each ("A 12") for messages.
        options: library directory and ligand files.
        complete: raise where residues stay unknown.

    Raises:
        ChemistryError: residues are in no dictionary (all of them are named), or a dictionary has no ideal values.
        InputError: a directory or file that was asked for does not exist or cannot be read.
    """
    examples = dict(residue_names) if isinstance(residue_names, Mapping) else dict.fromkeys(residue_names, "")
    directory, origin = library_directory(options)
    dictionary = Dictionary(gemmi.MonLib(), directory=None if directory is None else str(directory))
    whole = _load_frame(dictionary, directory, origin)
    for name in options.ligand:
        _load_ligand_file(dictionary, Path(name))
    unreadable = _load_residues(dictionary, [n for n in examples if n not in dictionary.source], directory, whole)
    dictionary.links = frozenset(dictionary.monlib.links)
    for name in dictionary.monlib.monomers:
        free_false_centres(dictionary.monlib.monomers[name])
    unknown = [name for name in examples if name not in dictionary.source]
    dictionary.unknown = tuple(unknown)
    if unknown and complete and options.unknown_residues == "stop":
        listed = "\n".join(
            f"  {name}" + (f" (for example {examples[name]})" if examples[name] else "") + unreadable.get(name, "")
            for name in sorted(unknown)
        )
        place = f"{directory} nor in gpurefine's own library" if directory else "gpurefine's own library"
        raise ChemistryError(
            f"No restraints are known for {len(unknown)} kind{'s' if len(unknown) > 1 else ''} of residue, neither in "
            f"a ligand file nor in {place}:\n{listed}\n"
            "Give a dictionary of each with --ligand FILE.cif (made by AceDRG, Grade2 or eLBOW, for instance, or, to "
            "begin with, by gpurefine dictionary), or name a larger library with --monlib; --unknown-residues keep "
            "goes on without restraints for them."
        )
    return dictionary


def _load_frame(dictionary: Dictionary, directory: Path | None, origin: str) -> bool:
    """Load energy types, links and modifications; say whether they are the directory's own."""
    energies = [embedded_document()]
    links = embedded_document()
    whole = directory is not None and (directory / ENERGY_FILE).is_file() and (directory / LIST_FILE).is_file()
    if directory is not None and whole:
        listed = read_cif(directory / LIST_FILE, "list of links")
        if listed.find_block("link_list") is not None:
            links = listed
            dictionary.links_source = str(directory)
            energies.insert(0, read_cif(directory / ENERGY_FILE, "energy library"))
        else:
            whole = False
    if directory is not None and not whole:
        dictionary.messages.append(
            f"The monomer library {directory} ({origin}) has no links or energy types of its own: gpurefine's embedded "
            "ones are used, and so are its embedded residues where it has them."
        )
    with tempfile.TemporaryDirectory(prefix="gpurefine-") as folder:
        (Path(folder) / LIST_FILE).parent.mkdir()
        (Path(folder) / LIST_FILE).write_text("data_link_list\n", encoding="ascii")
        (Path(folder) / ENERGY_FILE).write_text(_energy_types(energies), encoding="ascii")
        dictionary.monlib.read_monomer_lib(folder, [])  # gemmi reads energy types from a directory only
    dictionary.monlib.monomer_dir = ""
    _read_blocks(dictionary.monlib, [block for block in links if block.name.startswith(("link_", "mod_"))])
    return whole


def _energy_types(documents: list[cif.Document]) -> str:
    """CIF text with the energy types of all documents; the first that has a type decides."""
    rows: dict[str, list[str]] = {}
    for document in documents:
        for block in document:
            if block.find_loop("_lib_atom.type"):
                columns = [column if column == "type" else "?" + column for column in ENERGY_COLUMNS]
                for row in block.find("_lib_atom.", columns):
                    values = [row[k] if row.has(k) else "." for k in range(len(columns))]
                    rows.setdefault(row.str(0), values)
    result = cif.Document()
    loop = result.add_new_block("energy").init_loop("_lib_atom.", list(ENERGY_COLUMNS))
    for values in rows.values():
        loop.add_row(values)
    return str(result.as_string())


def _load_residues(
    dictionary: Dictionary, names: list[str], directory: Path | None, directory_first: bool
) -> dict[str, str]:
    """Load residues from the directory and the embedded library; return why files of some could not be used."""
    unusable: dict[str, str] = {}
    for name in names:
        # CCP4's own dictionary of heavy water takes D for nitrogen
        own_first = directory_first and name not in ALIASES
        order = (_from_directory, _from_embedded) if own_first else (_from_embedded, _from_directory)
        for load in order:
            problem = load(dictionary, name, directory)
            if problem == "":
                break
            if problem is not None:
                unusable[name] = f": {problem}"
        if name in unusable and name in dictionary.source:
            dictionary.messages.append(f"{name}{unusable[name]}; the restraints embedded in gpurefine are used.")
    return unusable


def _from_embedded(dictionary: Dictionary, name: str, directory: Path | None) -> str | None:
    """Load a residue from the embedded library: "" when done, None when it is not there."""
    block = embedded_document().find_block(f"comp_{ALIASES.get(name, name)}")
    if absent(block):
        return None
    if name in ALIASES:
        block = cif.read_string(block.as_string().replace(ALIASES[name], name)).sole_block()
    _read_blocks(dictionary.monlib, [block])
    dictionary.source[name] = EMBEDDED
    return ""


def _from_directory(dictionary: Dictionary, name: str, directory: Path | None) -> str | None:
    """Load a residue from the directory: "" when done, None when it is not there, else what is wrong with its file."""
    path = residue_file(directory, name) if directory is not None else None
    if path is None:
        return None
    try:
        document = read_cif(path, "dictionary")
    except InputError as error:
        return str(error).rstrip(".")
    block = document.find_block(f"comp_{name}") or document.find_block(name)
    if block is None or not block.find_values("_chem_comp_atom.atom_id"):
        return f"{path} does not describe it"
    problem = lacking_values(block)
    if problem:
        return f"{path} {problem}"
    try:
        _read_blocks(dictionary.monlib, [block])
    except (ValueError, RuntimeError, IndexError) as error:
        return f"{path} cannot be used ({error})"
    wrong = wrong_value(dictionary.monlib.monomers[name].rt)
    if wrong:
        del dictionary.monlib.monomers[name]
        return f"{path} has an impossible value, {wrong}"
    _set_group(dictionary.monlib, name, document)
    dictionary.source[name] = str(path)
    return ""


def _load_ligand_file(dictionary: Dictionary, path: Path) -> None:
    """Load residues, links and modifications of a ligand file; they replace what is already there."""
    document = read_cif(path, "ligand file")
    monlib = dictionary.monlib
    names = []
    for block in document:
        if not block.find_values("_chem_comp_atom.atom_id"):
            continue
        name = block.name.removeprefix("comp_")
        problem = lacking_values(block)
        if problem:
            raise ChemistryError(
                f"The ligand file '{path}' {problem} of {name}, as is usual for chemical components of the wwPDB. "
                "Make restraints from it with AceDRG, Grade2 or eLBOW and give that file with --ligand."
            )
        names.append(name)
        if name in monlib.monomers:
            del monlib.monomers[name]
    links = [row.str(0) for block in document for row in block.find("_chem_link.", ["id"])]
    modifications = [row.str(0) for block in document for row in block.find("_chem_mod.", ["id"])]
    if not names and not links and not modifications:
        raise ChemistryError(f"The ligand file '{path}' describes no residue, link or modification.")
    for link in links:
        if link in monlib.links:
            del monlib.links[link]
            dictionary.messages.append(f"Link {link} is taken from {path} instead of the monomer library.")
    for old, new in _rename_modifications(document, set(monlib.modifications)).items():
        dictionary.messages.append(f"Modification {old} of {path} is called {new}: the library has another one.")
    try:
        monlib.read_monomer_doc(document)
    except (ValueError, RuntimeError, IndexError) as error:
        raise ChemistryError(f"The ligand file '{path}' cannot be used: {error}.") from None
    for name in (*names, *links):
        kind = monlib.monomers if name in names else monlib.links
        wrong = wrong_value(kind[name].rt) if name in kind else "missing"
        if wrong == "missing":
            raise ChemistryError(f"The ligand file '{path}' lists {name} and does not describe it.")
        if wrong:
            raise ChemistryError(f"The ligand file '{path}' has an impossible value in {name}: {wrong}. Correct it.")
    for name in names:
        _set_group(monlib, name, document)
        dictionary.source[name] = str(path)
        block = document.find_block(f"comp_{name}")
        origin = None if block is None else block.find_value(ORIGIN_TAG)
        if origin:
            dictionary.messages.append(
                f"Warning: {path} was made by gpurefine dictionary; its values of {name} come from "
                f"{cif.as_string(origin)}. Replace it before publication."
            )


def _rename_modifications(document: cif.Document, taken: set[str]) -> dict[str, str]:
    """Give modifications whose names are taken new names throughout a document; return what was renamed."""
    names: dict[str, str] = {}
    own = {row.str(0) for block in document for row in block.find("_chem_mod.", ["id"])}
    for name in sorted(own & taken):
        number = 1
        while f"{name}-{number}" in taken | own:
            number += 1
        names[name] = f"{name}-{number}"
    for block in document if names else ():
        if block.name.removeprefix("mod_") in names and block.name.startswith("mod_"):
            block.name = "mod_" + names[block.name.removeprefix("mod_")]
        for tag in ("_chem_mod.id", "_chem_link.mod_id_1", "_chem_link.mod_id_2"):
            column = block.find_values(tag)
            for k in range(len(column)):
                column[k] = names.get(column.str(k), column[k])
    return names


def lacking_values(block: cif.Block) -> str:
    """What ideal values the block of a residue lacks, in words that follow the file's name; "" when complete."""
    n_atoms = len(block.find_values("_chem_comp_atom.atom_id"))
    if n_atoms > 1 and not block.find_values("_chem_comp_bond.atom_id_1"):
        return "lists no bonds"
    if n_atoms > 1 and not block.find_values("_chem_comp_bond.value_dist"):
        return "gives no ideal bond lengths"
    if n_atoms > 2 and not block.find_values("_chem_comp_angle.value_angle"):
        return "gives no ideal bond angles"
    if not block.find_values("_chem_comp_atom.type_energy"):
        return "gives no energy types of the atoms"
    return ""


def _read_blocks(monlib: gemmi.MonLib, blocks: list[cif.Block]) -> None:
    """Add the content of CIF blocks to a library."""
    document = cif.Document()
    for block in blocks:
        document.add_copied_block(block)
    monlib.read_monomer_doc(document)


def known_group(name: str) -> str:
    """A residue's group in gemmi's words ("D-peptide" is a peptide, "D-SACCHARIDE" a pyranose), "" when unknown."""
    if gemmi.ChemComp.read_group(name) != gemmi.ChemComp.Group.Null:
        return name
    lower = name.lower()
    if "saccharide" in lower:
        return "pyranose"
    parts = ("peptide", "ketopyranose", "pyranose", "furanose", "rna", "dna")
    return next((part for part in parts if part in lower), "")


def _set_group(monlib: gemmi.MonLib, name: str, document: cif.Document) -> None:
    """Set the group (peptide, pyranose, …) that a document's list of residues gives."""
    for block in document:
        for row in block.find("_chem_comp.", ["id", "group"]):
            if row.str(0) == name and (group := known_group(row.str(1))):
                monlib.monomers[name].set_group(group)
