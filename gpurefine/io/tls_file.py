"""REFMAC's TLS files (TLSIN, TLSOUT).

    TLS    Chain A
    RANGE  'A   1.' 'A 100.' ALL
    ORIGIN  10.123  20.456  30.789
    T   11 22 33 12 13 23        Å²
    L   11 22 33 12 13 23        deg²
    S   S22−S11 S11−S33 12 13 23 21 31 32        Å deg
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..model.tls import ResidueRange, TlsGroups
from .atom_table import seqid_key
from .data_file import check_exists
from .tls_records import FILE_UNITS, TlsRecord

RANGE_END = re.compile(r"\s*(\S+?)\s+(-?\d+\s*[A-Za-z]?)\.?\s*$|\s*(\S)\s*(-?\d+\s*[A-Za-z]?)\.?\s*$")
QUOTED = re.compile(r"""'([^']*)'|"([^"]*)"|(\S+)""")
NUMBERS = {"ORIG": 3, "T": 6, "L": 6, "S": 8}


def read_tls_file(path: str) -> list[TlsRecord]:
    """The groups of a TLS file; tensors only where all three are given.

    Raises:
        InputError: the file is not there, holds no group, or a line of it is not understood.
    """
    check_exists(path, "TLS file")
    try:
        text = Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise InputError(f"The TLS file {path} cannot be read ({error}).") from None
    groups: list[TlsRecord] = []
    lines: list[tuple[int, str]] = []
    name: str | None = None
    for number, line in _lines(text):
        word = line.split()[0].upper()
        if word == "TLS":
            if name is not None:
                groups.append(_group(path, name, lines))
            name, lines = line[3:].strip() or f"{len(groups) + 1}", []
        elif name is not None:
            lines.append((number, line))
        elif word != "REFMAC":
            raise InputError(f"{path}, line {number}: '{line.strip()}' stands before the first TLS line.")
    if name is not None:
        groups.append(_group(path, name, lines))
    if not groups:
        raise InputError(f"{path} holds no TLS group; a group begins with a line TLS, followed by RANGE lines.")
    return groups


def _lines(text: str) -> list[tuple[int, str]]:
    """Numbered lines with content; a trailing "-" continues a line on the next one."""
    out: list[tuple[int, str]] = []
    open_end = False
    for number, raw in enumerate(text.splitlines(), 1):
        line = re.split(r"[!#]", raw)[0].rstrip()
        if not line.strip():
            continue
        go_on = line.endswith(" -")
        line = line[:-1].rstrip() if go_on else line
        if open_end:
            out[-1] = (out[-1][0], f"{out[-1][1]} {line}")
        else:
            out.append((number, line))
        open_end = go_on
    return [(number, line) for number, line in out if line.strip()]


def _group(path: str, name: str, lines: Sequence[tuple[int, str]]) -> TlsRecord:
    ranges: list[ResidueRange] = []
    kinds: list[str] = []
    found: dict[str, list[float]] = {}
    for number, line in lines:
        word = line.split()[0].upper()
        key = "ORIG" if word.startswith("ORIG") else word
        if word.startswith("RANG"):
            part, kind = _range(path, number, line)
            ranges.append(part)
            kinds.append(kind)
        elif key in NUMBERS:
            try:
                values = [float(x) for x in line.split()[1:]]
            except ValueError:
                values = []
            if len(values) != NUMBERS[key]:
                raise InputError(f"{path}, line {number}: {word} takes {NUMBERS[key]} numbers, not '{line.strip()}'.")
            found[key] = values
        else:
            raise InputError(
                f"{path}, line {number}: '{word}' is not understood; a TLS group has RANGE, ORIGIN, T, L and S lines."
            )
    if not ranges:
        raise InputError(f"TLS group {name} of {path} has no RANGE line, so that no atom belongs to it.")
    values20 = None
    if {"T", "L", "S"} <= found.keys():
        values20 = np.array([*found["T"], *found["L"], *found["S"]]) * FILE_UNITS
        if "ORIG" not in found:
            raise InputError(f"TLS group {name} of {path} has tensors but no ORIGIN line that says about which point.")
    origin = np.array(found["ORIG"]) if "ORIG" in found else None
    return TlsRecord(name, tuple(ranges), (), origin, values20, tuple(kinds))


def _range(path: str, number: int, line: str) -> tuple[ResidueRange, str]:
    words = [a or b or c for a, b, c in QUOTED.findall(line)][1:]
    ends = [_end(word) for word in words[:2]]
    kind = words[2].upper() if len(words) > 2 else "ALL"
    if len(ends) != 2 or None in ends or kind not in ("ALL", "MNC", "SDC"):
        raise InputError(
            f"{path}, line {number}: '{line.strip()}' is no range; write it as RANGE  'A   1.' 'A 100.' ALL."
        )
    (chain, first), (other, last) = (end for end in ends if end is not None)
    if chain != other:
        raise InputError(f"{path}, line {number}: a range goes from chain {chain} to {other}; write one for each.")
    if (seqid_key(first) or 0) > (seqid_key(last) or 0):
        raise InputError(f"{path}, line {number}: the range begins with {first} and ends before it, with {last}.")
    return ResidueRange(chain, first, last), kind


def _end(word: str) -> tuple[str, str] | None:
    match = RANGE_END.match(word)
    if match is None:
        return None
    chain, number = (match.group(1), match.group(2)) if match.group(1) else (match.group(3), match.group(4))
    return chain, re.sub(r"\s", "", number)


def tls_file_text(groups: TlsGroups, values: np.ndarray) -> str:
    """A TLS file of ``groups`` with the tensors ``values`` (g, 20)."""
    lines = ["REFMAC", ""]
    for g, name in enumerate(groups.names):
        lines.append(f"TLS    {name}")
        for r in groups.ranges[g]:
            lines.append(f"RANGE  '{r.chain}{_padded(r.first)}' '{r.chain}{_padded(r.last)}' ALL")
        lines.append("ORIGIN" + "".join(f"{x:12.4f}" for x in groups.origin[g]))
        numbers = values[g] / FILE_UNITS
        for word, part in (("T", numbers[:6]), ("L", numbers[6:12]), ("S", numbers[12:])):
            lines.append(f"{word:4s}" + "".join(f"{x:12.6f}" for x in part))
        lines.append("")
    return "\n".join(lines)


def _padded(seqid: str) -> str:
    """Residue number in REFMAC's columns: "   1." or "   1A"."""
    return f"{seqid:>5s}" if seqid[-1].isalpha() else f"{seqid:>4s}."
