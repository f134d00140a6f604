"""Test sets made, completed, extended and copied: what ``gpurefine freer`` does."""

from __future__ import annotations

import os
from dataclasses import dataclass

import gemmi
import numpy as np
from numpy.typing import NDArray

from ..config import FreeSetOptions
from ..errors import InputError, UsageError
from ..model.crystal import Crystal
from .atomic import write_whole
from .crystal_choice import choose_crystal
from .data_file import open_data
from .free_assign import Assignment, assign, deck_like, new_deck
from .free_columns import read_free_file, spread_free
from .free_set import MISSING, choose_free_set
from .labels import describe_columns, find_free_column
from .lattice import lattice_rotations, orbits, twin_laws
from .measurements import positions
from .reflections import MOST_POSSIBLE
from .software import PROGRAM, program_version
from .symmetry import asu_hkl, unique_hkl

I32 = NDArray[np.int32]
NEW_LABEL = "FreeR_flag"


@dataclass(frozen=True, slots=True, eq=False)
class FreeSetResult:
    """A file's reflections with a complete free column.

    Attributes:
        mtz: the file's columns with the free column, on its own rows and the unique reflections that it lacked.
        hkl: (n, 3) int32 unique reflections; values: (n,) int32 their set numbers; test: the number of the test set.
        crystal: cell and space group of the file; messages: what the user is to be told.
    """

    mtz: gemmi.Mtz
    hkl: I32
    values: I32
    test: int
    crystal: Crystal
    messages: tuple[str, ...]

    def write(self, path: str) -> None:
        """Write an MTZ file, whole or not at all.

        Raises:
            OutputError: it cannot be written.
        """
        write_whole(path, bytes(self.mtz.write_to_bytes()))


def make_free_set(path: str, options: FreeSetOptions) -> FreeSetResult:
    """Make, complete or extend the test set of a reflection file.

    Args:
        path: MTZ or structure-factor mmCIF; options: see :class:`~gpurefine.config.FreeSetOptions`.

    Raises:
        InputError: a file cannot be read or used; UsageError: options contradict each other.
    """
    file = open_data(path)
    mtz, messages = file.mtz, list(file.messages)
    cell = mtz.cell if mtz.cell.is_crystal() else next((d.cell for d in mtz.datasets if d.cell.is_crystal()), mtz.cell)
    if not cell.is_crystal() or mtz.spacegroup is None:
        raise InputError(f"{path} has no unit cell or space group; add them to the file.")
    crystal = choose_crystal(cell, mtz.spacegroup, path, None, path).crystal
    rows = np.asarray(mtz.make_miller_array(), dtype=np.int32).reshape(-1, 3)
    inside = asu_hkl(crystal, rows)
    hkl = _all_reflections(crystal, inside, options.d_min, path)
    observed = _observed(mtz, inside, hkl)

    column, given, told = _given(mtz, crystal, inside, hkl, observed, options, path)
    messages += told
    test, deck = 0, new_deck(options.fraction)
    if given is not None:
        found = choose_free_set(given, given != MISSING, column, options.from_file or path, options.free_flag)
        if found.value is None:
            messages.append(f"Column {column} is the same for every reflection: a new test set is made.")
            given = None
        else:
            test, deck = found.value, deck_like(given[given != MISSING], found.value)
    if given is not None and options.shells:
        raise UsageError("--shells makes a new test set, but there is one already; add --new to replace it.")
    _, orbit = orbits(hkl, lattice_rotations(crystal))
    blank = np.full(len(hkl), MISSING, dtype=np.int32)
    made = assign(
        orbit, crystal.inv_d2(hkl), blank if given is None else given, deck, options.seed, options.shells
    )
    label = column if column in {c.label for c in mtz.columns if c.type == "I"} else NEW_LABEL
    if label == NEW_LABEL and any(c.label == NEW_LABEL and c.type != "I" for c in mtz.columns):
        raise InputError(f"{path} has a column {NEW_LABEL} that is not of type I; rename it first.")
    messages += _words(made, test, observed, label, crystal, given is not None, options, len(deck))
    _complete(mtz, label, inside, hkl, made.values)
    return FreeSetResult(mtz, hkl, made.values, test, crystal, tuple(messages))


def check_output(path: str, inputs: list[str | None]) -> None:
    """Raise UsageError where ``path`` is no MTZ name or would replace an input."""
    if not path.lower().endswith(".mtz"):
        raise UsageError(f"The output {path} must be an MTZ file, with a name that ends in .mtz.")
    for name in inputs:
        if name is not None and os.path.exists(path) and os.path.exists(name) and os.path.samefile(path, name):
            raise UsageError(f"The output {path} would replace the input {name}; choose another name with -o.")


def _unique(hkl: I32) -> I32:
    return np.asarray(np.unique(hkl, axis=0), dtype=np.int32)


def _all_reflections(crystal: Crystal, inside: I32, d_min: float | None, path: str) -> I32:
    """(n, 3): every unique reflection to the higher of the file's resolution and ``d_min``, and every row's."""
    if d_min is not None and not d_min > 0.0:
        raise UsageError("--d-min must be a positive resolution in Å.")
    s2 = crystal.inv_d2(inside)
    s2 = s2[s2 > 0.0]
    if len(s2) == 0:
        raise InputError(f"{path} holds no reflection but 0 0 0.")
    reach = max(float(s2.max()), 0.0 if d_min is None else d_min**-2)
    if 2.0 / 3.0 * np.pi * crystal.volume * reach**1.5 / crystal.n_op > min(MOST_POSSIBLE, 1e7 + 1000 * len(s2)):
        raise InputError(
            f"To {reach**-0.5:.2f} Å the cell of {path} has far too many reflections; the cell, some indices or "
            "--d-min are wrong."
        )
    listed = unique_hkl(crystal, reach**-0.5 * (1 - 1e-6))
    return _unique(np.concatenate([listed, inside[(inside != 0).any(axis=1)]]))


def _observed(mtz: gemmi.Mtz, inside: I32, hkl: I32) -> NDArray[np.bool_]:
    """(n,) bool: some measured value is a number."""
    measured = np.zeros(len(inside), dtype=bool)
    for column in mtz.columns:
        if column.type in "FJGK":
            measured |= np.isfinite(np.array(column.array))
    observed = np.zeros(len(hkl), dtype=bool)
    at = positions(inside[measured], hkl) if measured.any() else np.zeros(0, dtype=np.int64)
    observed[at[at >= 0]] = True
    return observed


def _given(
    mtz: gemmi.Mtz,
    crystal: Crystal,
    inside: I32,
    hkl: I32,
    observed: NDArray[np.bool_],
    options: FreeSetOptions,
    path: str,
) -> tuple[str, I32 | None, list[str]]:
    """Label and values (n,) of the test set to keep, None where a new one is to be made, and what is to be told."""
    own = find_free_column(mtz)[0]
    if options.column is not None:
        named = [c for c in mtz.columns if c.label == options.column and c.type == "I"]
        if not named:
            raise InputError(
                f"{path} has no integer column '{options.column}'; its columns are {describe_columns(mtz)}."
            )
        own = named[0].idx
    if options.from_file is not None:
        if options.new:
            raise UsageError("--new and --from contradict each other; give one of them.")
        column = read_free_file(options.from_file, crystal, hkl, "--from")
        told = [f"Copied: column {column.label} of {options.from_file}."]
        if own is not None:
            told.append(f"Column {mtz.columns[own].label} of {path} is replaced.")
        return (NEW_LABEL if own is None else mtz.columns[own].label), column.raw, told
    if own is None:
        return NEW_LABEL, None, []
    label = mtz.columns[own].label
    if options.new:
        return label, None, [f"Column {label} of {path} is replaced by a new test set."]
    raw = spread_free(inside, np.array(mtz.columns[own].array, dtype=np.float64), hkl)
    return label, raw, []


def _words(
    made: Assignment,
    test: int,
    observed: NDArray[np.bool_],
    label: str,
    crystal: Crystal,
    kept: bool,
    options: FreeSetOptions,
    n_set: int,
) -> list[str]:
    told = []
    if kept:
        told.append(
            f"{made.n_kept} reflections keep their set; {made.n_completed} got that of a reflection related to them, "
            f"{made.n_new} a new one."
        )
        if made.n_torn:
            told.append(
                f"In {made.n_torn} groups of reflections that the lattice relates the given sets disagree; they were "
                "kept as given, so the test set is not consistent under twinning there (--new makes one that is)."
            )
    else:
        how = "thin shells of resolution" if options.shells else "groups of reflections that the lattice relates"
        told.append(f"A new test set was made from {how}: {n_set} sets, 0 being the test set; seed {options.seed}.")
    free = made.values == test
    share = 100.0 * free.mean()
    told.append(
        f"Free set: column {label}, value {test}, {int((free & observed).sum())} of {int(observed.sum())} measured "
        f"reflections ({100.0 * (free & observed).sum() / max(observed.sum(), 1):.1f} %), {int(free.sum())} of "
        f"{len(free)} possible ({share:.1f} %)."
    )
    laws = ", ".join(law.name for law in twin_laws(crystal))
    if laws and not made.n_torn:
        told.append(
            f"Reflections that the lattice relates beyond {crystal.hm} ({laws}) are in the same set, as twins and NCS "
            "along its axes need."
        )
    return told


def _complete(mtz: gemmi.Mtz, label: str, inside: I32, hkl: I32, values: I32) -> None:
    """Put the free column into ``mtz``, whose rows (m, 3) are ``inside``, and append the rows it lacks."""
    at = positions(inside, hkl)
    lacking = positions(hkl, _unique(inside)) < 0
    old = np.array(mtz.array, dtype=np.float32)
    existing = [c.idx for c in mtz.columns if c.label == label and c.type == "I"]
    if not existing:
        mtz.add_column(label, "I", dataset_id=mtz.columns[-1].dataset_id)
    width = len(mtz.columns)
    place = existing[0] if existing else width - 1
    table = np.full((len(old) + int(lacking.sum()), width), np.nan, dtype=np.float32)
    table[: len(old), : old.shape[1]] = old
    table[len(old) :, :3] = hkl[lacking]
    table[: len(old), place] = np.where(at >= 0, values[at].astype(np.float32), np.float32(np.nan))
    table[len(old) :, place] = values[lacking]
    mtz.set_data(table)
    mtz.sort()
    mtz.update_reso()
    mtz.history = [f"From {PROGRAM} {program_version()} freer: column {label}", *mtz.history][:30]
