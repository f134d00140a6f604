"""Which atoms form a rigid body: chains, ranges of residues, or the lines of a file."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from ..config_groups import GroupOptions
from ..errors import InputError, UsageError
from ..model.tls import ResidueRange
from .atom_table import atom_table
from .data_file import check_exists
from .tls_groups import Assigned, assign, by_chain
from .tls_records import TlsRecord
from .topology import ChemicalModel

RANGE = re.compile(r"([A-Za-z0-9]+)(?:\s+|/)(-?\d+[A-Za-z]?)\s*(?:-|–|to|:|through)\s*(-?\d+[A-Za-z]?)$", re.IGNORECASE)
ONE = re.compile(r"([A-Za-z0-9]+)(?:\s+|/)(-?\d+[A-Za-z]?)$")
WHOLE = re.compile(r"[A-Za-z0-9]{1,4}$")
KEYWORD = re.compile(r"rigi\w*\s+grou\w*\s+(\S+)\s+(.*)$", re.IGNORECASE)
FROM_TO = re.compile(r"from\s+(-?\d+[A-Za-z]?)\s+(\w+)\s+to\s+(-?\d+[A-Za-z]?)\s+(\w+)", re.IGNORECASE)

EVERY = ("-99999", "99999")
"""Ends of the range that a chain's name alone stands for."""


def find_rigid_groups(options: GroupOptions, chemistry: ChemicalModel) -> Assigned:
    """The rigid bodies that the options ask for; atoms of none stand still.

    Raises:
        InputError, UsageError: a range is not understood, bodies share atoms, or there is none.
    """
    table = atom_table(chemistry.structure)
    if options.rigid_domain and options.rigid_file:
        raise UsageError("Give the rigid bodies either by --rigid-domain or by --rigid-file, not by both.")
    if options.rigid_file is not None:
        records, source = read_rigid_file(options.rigid_file), options.rigid_file
    elif options.rigid_domain:
        source = "--rigid-domain"
        records = []
        for text in options.rigid_domain:
            ranges = parse_ranges(text)
            if ranges is None:
                raise UsageError(f"--rigid-domain '{text}' is not understood; write it as \"A 1-90, B 5-40\".")
            records.append(TlsRecord(text, ranges))
    else:
        found = by_chain(table, chemistry)
        if len(found.names) == 0:
            raise InputError("The model has no chain that could be a rigid body; name ranges by --rigid-domain.")
        return found
    return assign(records, table, chemistry, source, "rigid body")[0]


def parse_ranges(text: str) -> tuple[ResidueRange, ...] | None:
    """Ranges such as "A 1-90, B 5-40" or a chain's name alone; None where they are not understood."""
    ranges = []
    for part in re.split(r"[,;]|\band\b", text):
        word = part.strip()
        if match := RANGE.match(word):
            ranges.append(ResidueRange(*match.groups()))
        elif match := ONE.match(word):
            ranges.append(ResidueRange(match.group(1), match.group(2), match.group(2)))
        elif WHOLE.match(word):
            ranges.append(ResidueRange(word, *EVERY))
        else:
            return None
    return tuple(ranges)


def read_rigid_file(path: str) -> list[TlsRecord]:
    """Bodies of a file: a line each, or REFMAC's ``RIGIDBODY GROUP 1 FROM 1 A TO 90 A`` lines.

    Raises:
        InputError: the file is not there, empty, or a line is not understood.
    """
    check_exists(path, "file of rigid bodies")
    try:
        text = Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error}).") from None
    bodies: dict[str, tuple[ResidueRange, ...]] = {}
    for number, raw in enumerate(text.splitlines(), 1):
        line = re.split(r"[!#]", raw)[0].strip()
        if not line:
            continue
        ranges: tuple[ResidueRange, ...] | None
        if match := KEYWORD.match(line):
            name, rest = match.groups()
            pieces = FROM_TO.findall(rest)
            same = all(chain.upper() == other.upper() for _, chain, _, other in pieces)
            ranges = tuple(ResidueRange(chain, first, last) for first, chain, last, _ in pieces) if same else None
        else:
            name, ranges = line, parse_ranges(line)
        if not ranges:
            raise InputError(
                f"{path}, line {number}: '{line}' is not understood; write a rigid body as A 1-90, B 5-40."
            )
        bodies[name] = bodies.get(name, ()) + ranges
    if not bodies:
        raise InputError(f"{path} names no rigid body; write one a line as A 1-90, B 5-40.")
    return [TlsRecord(name, ranges) for name, ranges in bodies.items()]


def names_of(found: Assigned) -> str:
    """The bodies in words, with their numbers of atoms."""
    counts = np.bincount(found.member[found.member >= 0], minlength=len(found.names))
    return ", ".join(f"{name} ({count} atoms)" for name, count in zip(found.names, counts.tolist(), strict=True))
