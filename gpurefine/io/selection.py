"""Selections of atoms as other programs write them into headers: Phenix' words and BUSTER's sets.

Understood are ``all``, ``chain``, ``resid``/``resi``/``resseq`` (one residue, ``1:57``, ``1 through 57``), ``resname``,
``name``, ``element``, ``altloc``/``altid``, ``protein``, ``water``, with ``not``, ``and``, ``or`` and parentheses; and
``{ A|1 - A|57 B|* }``.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from .atom_table import AtomTable, seqid_key

Flags = NDArray[np.bool_]

TOKEN = re.compile(r"""[()]|'[^']*'|"[^"]*"|[^\s()'"]+""")
SET_ITEM = re.compile(r"(\w+)\|(\*|-?\d+[A-Za-z]?)(?:\s*-\s*(?:(\w+)\|)?(-?\d+[A-Za-z]?))?")
LAST = 2**40


def select(table: AtomTable, text: str) -> Flags:
    """(n,) bool: the atoms that ``text`` names.

    Raises:
        InputError: it is not understood.
    """
    if text.strip().startswith("{"):
        return _buster(table, text)
    reader = _Reader(table, text)
    chosen = reader.alternatives()
    if reader.rest:
        raise reader.failure()
    return chosen


def _buster(table: AtomTable, text: str) -> Flags:
    inner = text.strip().strip("{} ")
    chosen = np.zeros(len(table), bool)
    for match in SET_ITEM.finditer(inner):
        chain, first, other, last = match.groups()
        if other not in (None, chain):
            raise InputError(f"The selection '{text}' has a range from one chain into another; name each chain alone.")
        if first == "*":
            chosen |= table.chain == chain
        else:
            chosen |= table.between(chain, seqid_key(first) or 0, seqid_key(last or first) or 0)
    if SET_ITEM.sub("", inner).strip(" ,"):
        raise InputError(f"The selection '{text}' is not understood; write it as RANGE lines of a TLS file instead.")
    return chosen


class _Reader:
    """Recursive descent: alternatives of conjunctions of terms."""

    def __init__(self, table: AtomTable, text: str) -> None:
        self.table, self.text = table, text
        self.rest: list[str] = TOKEN.findall(text)

    def failure(self) -> InputError:
        return InputError(
            f"The selection '{self.text}' is not understood"
            + (f" from '{self.rest[0]}' on" if self.rest else ", its end is missing")
            + "; write it as chain and residue numbers, such as chain A and resid 1:57."
        )

    def take(self) -> str:
        if not self.rest:
            raise self.failure()
        return self.rest.pop(0)

    def peek(self) -> str:
        return self.rest[0].lower() if self.rest else ""

    def alternatives(self) -> Flags:
        chosen = self.conjunction()
        while self.peek() == "or":
            self.take()
            chosen = chosen | self.conjunction()
        return chosen

    def conjunction(self) -> Flags:
        chosen = self.term()
        while self.peek() == "and":
            self.take()
            chosen = chosen & self.term()
        return chosen

    def term(self) -> Flags:
        word = self.peek()
        t = self.table
        if word == "not":
            self.take()
            return np.logical_not(self.term())
        if word == "(":
            self.take()
            chosen = self.alternatives()
            if self.take() != ")":
                raise self.failure()
            return chosen
        constants: dict[str, Callable[[], Flags]] = {
            "all": lambda: np.ones(len(t), bool), "*": lambda: np.ones(len(t), bool),
            "protein": lambda: t.polymer, "water": lambda: t.water,
        }
        if word in constants:
            self.take()
            return constants[word]()
        columns = {
            "chain": t.chain, "resname": t.residue_name, "name": t.atom_name, "element": t.element,
            "altloc": t.altloc, "altid": t.altloc,
        }
        if word in columns:
            self.take()
            return self.named(columns[word], word != "chain")
        if word in ("resid", "resi", "resseq"):
            self.take()
            return self.numbers()
        raise self.failure()

    def named(self, column: NDArray[np.str_], any_case: bool) -> Flags:
        value = self.take().strip("'\"").strip()
        if any_case or not np.any(column == value):  # headers are often written in capitals
            return np.asarray(np.char.upper(column) == value.upper())
        return np.asarray(column == value)

    def numbers(self) -> Flags:
        value = self.take().strip("'\"")
        first, colon, last = value.partition(":")
        if not colon and self.peek() in ("through", "-", ":"):
            self.take()
            colon, last = ":", self.take().strip("'\"")
        elif not colon and re.fullmatch(r"\d+[A-Za-z]?-\d+[A-Za-z]?", value):
            first, colon, last = value.partition("-")
        low = -LAST if colon and not first else seqid_key(first)
        high = low if not colon else LAST if not last else seqid_key(last)
        if low is None or high is None:
            self.rest.insert(0, value)
            raise self.failure()
        return np.asarray((self.table.seqid >= low) & (self.table.seqid <= high))
