"""Where the restraints of every residue of a model come from, and dictionaries for those that have none."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import gemmi

from ..config import ChemistryOptions
from ..errors import ChemistryError, UsageError
from .atomic import write_whole
from .dictionary import load_dictionary
from .made_dictionary import MadeComponent, made_component, made_document
from .structure import read_model


@dataclass(frozen=True, slots=True)
class ResidueSource:
    """One kind of residue: ``name``, ``count`` in the model, ``first`` ("A/12") and ``source`` of its restraints.

    The source is "embedded", the file it is read from, or "" where no dictionary has it.
    """

    name: str
    count: int
    first: str
    source: str


@dataclass(frozen=True, slots=True, eq=False)
class DictionaryReport:
    """Residues in the order of their names; ``library`` in one line, ``messages``, and what could be ``made``.

    ``refused`` tells why no dictionary could be made of the others.
    """

    residues: tuple[ResidueSource, ...]
    library: str
    messages: tuple[str, ...]
    made: tuple[MadeComponent, ...]
    refused: tuple[str, ...]

    @property
    def unknown(self) -> tuple[str, ...]:
        """Residues that no dictionary has."""
        return tuple(residue.name for residue in self.residues if not residue.source)

    def write(self, path: str) -> None:
        """Write the made dictionaries as one ligand file.

        Raises:
            UsageError: there is nothing to write; ChemistryError: nothing can be made; OutputError: as the name says.
        """
        if not self.unknown:
            raise UsageError(f"Every residue of the model has restraints, so that {path} was not written.")
        if not self.made:
            raise ChemistryError(" ".join(self.refused))
        write_whole(path, made_document(self.made).encode("ascii", "replace"))


def dictionary_report(path: str, options: ChemistryOptions) -> DictionaryReport:
    """Look up every residue of the model ``path``, and make dictionaries of those that are unknown.

    Raises:
        InputError: the model, a library or a ligand file cannot be read; ChemistryError: a ligand file is of no use.
    """
    model = read_model(path)
    copies: dict[str, list[tuple[str, gemmi.Residue]]] = {}
    for chain in model.structure[0]:
        for residue in chain:
            if residue.name != "DUM":
                copies.setdefault(residue.name, []).append((f"{chain.name}/{residue.seqid}", residue))
    counts = Counter({name: len(places) for name, places in copies.items()})
    dictionary = load_dictionary({name: places[0][0] for name, places in copies.items()}, options, complete=False)
    made, refused = [], []
    for name in sorted(dictionary.unknown):
        try:
            made.append(made_component(name, copies[name]))
        except ChemistryError as error:
            refused.append(str(error))
    residues = [
        ResidueSource(name, counts[name], copies[name][0][0], dictionary.source.get(name, ""))
        for name in sorted(copies)
    ]
    messages = (*model.messages, *dictionary.messages)
    return DictionaryReport(tuple(residues), dictionary.summary, messages, tuple(made), tuple(refused))


def short_source(residue: ResidueSource) -> str:
    """The source as a table shows it."""
    if not residue.source:
        return "none"
    return residue.source if residue.source == "embedded" else str(Path(residue.source))
