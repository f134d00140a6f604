"""Phases from outside: Hendrickson–Lattman coefficients, or phase and figure of merit, found or named."""

from __future__ import annotations

import re
from dataclasses import replace

import gemmi
import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, UsageError
from ..model.crystal import Crystal
from ..model.phases import PriorPhases, restricted_phase, turned
from ..target.phase_information import coefficients_of, phase_summary
from .crystal_choice import setting_for
from .data_file import open_data
from .labels import describe_columns, find_label
from .measurements import positions
from .settings import Setting, reindexed
from .symmetry import asu_rows, crystal_from_gemmi, gemmi_cell

F64 = NDArray[np.float64]
Columns = tuple[gemmi.Mtz.Column, ...]

LARGEST = 1e4
"""Coefficients beyond this are damage: a figure of merit of 0.999 needs 500."""
CALCULATED_PHASE = re.compile(r"(?i)^(phi?_?f?-?(c|model)|phi?(del)?f?wt|phi?2?fo|phi?an|phi?delan)")
"""Labels of phases that belong to a model or a map."""
USUAL_PHASES = ("PHIB", "PHI", "PHIM", "PHIBEST", "PHIDM", "PHASE")


def read_phases(
    path: str, labels: str | None, block: str | None, crystal: Crystal, listed: NDArray[np.int32]
) -> tuple[PriorPhases, list[str]]:
    """Phase information on the ``listed`` reflections (n, 3), at the origin and of the hand that the file has.

    Args:
        path: MTZ or structure-factor mmCIF; block: of an mmCIF.
        labels: four coefficients, or phase and figure of merit, separated by commas; None: found by type and name.

    Raises:
        InputError: there are none, they are not clear, all 0, or of another crystal.
        UsageError: the labels are not those of phases.
    """
    mtz = open_data(path, block).mtz
    columns = _chosen(mtz, path, labels)
    setting = setting_for(mtz, crystal)
    if setting is None:
        raise InputError(
            f"The phases in {path} belong to a cell that differs from the data's by more than 3 % or 3° on any axes, "
            "or to another symmetry; give phases of the same crystal form."
        )
    origin = _operations(mtz.spacegroup, setting, crystal, path)
    hkl, whole = reindexed(np.asarray(mtz.make_miller_array(), dtype=np.int32).reshape(-1, 3), setting)
    rows = asu_rows(origin, hkl[whole])
    values = np.stack([np.array(c.array, dtype=np.float64)[whole] for c in columns], axis=1)
    names = tuple(c.label for c in columns)
    centric = np.isfinite(restricted_phase(crystal, rows.hkl))
    known: NDArray[np.bool_] = np.asarray(np.isfinite(values).all(axis=1))
    values = np.where(known[:, None], values, 0.0)
    hl = values if len(columns) == 4 else coefficients_of(np.radians(values[:, 0]), values[:, 1], centric)
    known = known & (np.abs(hl) < LARGEST).all(axis=1)
    # the listed reflection has s (φ − 2π h·t)
    hl = turned(hl, np.where(rows.mate, rows.shift, -rows.shift), rows.mate)
    unique, first = np.unique(rows.hkl[known], axis=0, return_index=True)
    at = positions(listed, unique)
    on_list = np.where((at >= 0)[:, None], hl[known][first][at] if len(unique) else 0.0, 0.0)
    if not (at >= 0).any():
        raise InputError(f"{path} has a value in columns {', '.join(names)} for none of the reflections.")
    if not on_list.any():
        raise InputError(
            f"Every value in columns {', '.join(names)} of {path} is 0: there is no phase information; leave the "
            "phases out or give other columns."
        )
    phases = PriorPhases(on_list, names, path, origin)
    fom = phase_summary(on_list, restricted_phase(origin, listed)).fom[phases.known]
    told = (
        f"Phases: columns {', '.join(names)} of {path} for {int(phases.known.sum())} of {len(listed)} reflections, "
        f"mean figure of merit {fom.mean():.2f}."
    )
    return phases, [told]


def _chosen(mtz: gemmi.Mtz, path: str, labels: str | None) -> Columns:
    """Four columns of type A, or a phase (P) and a figure of merit (W)."""
    if labels is not None:
        columns = tuple(find_label(mtz, token, path) for token in labels.split(",") if token.strip())
        kinds = "".join(c.type for c in columns)
        if kinds not in ("AAAA", "PW"):
            raise UsageError(
                f"--phases {labels} selects columns of types {', '.join(kinds) or 'none'} in {path}; it takes four "
                f"Hendrickson–Lattman coefficients (A) or a phase and its figure of merit (P, W). The columns are "
                f"{describe_columns(mtz)}."
            )
        return columns
    sets = _coefficient_sets(mtz) or _phase_sets(mtz)
    if len(sets) == 1:
        return sets[0]
    if not sets:
        raise InputError(
            f"{path} has no Hendrickson–Lattman coefficients and no phases with figures of merit that could be "
            f"recognised; name them with --phases. The columns are {describe_columns(mtz)}."
        )
    choices = "; ".join(",".join(c.label for c in one) for one in sets)
    raise InputError(f"{path} has several sets of phases ({choices}); choose one with --phases.")


def _coefficient_sets(mtz: gemmi.Mtz) -> list[Columns]:
    """Quadruples of type A: by their letters, else the only four."""
    found = []
    for first in (c for c in mtz.columns if c.type == "A"):
        match = re.fullmatch(r"(.*HL[_-]?)A(.*)", first.label)
        if match is None:
            continue
        rest = [
            next((c for c in mtz.columns if c.type == "A" and c.label == f"{match[1]}{letter}{match[2]}"
                  and c.dataset_id == first.dataset_id), None)
            for letter in "BCD"
        ]  # fmt: skip
        if None not in rest:
            found.append((first, *(c for c in rest if c is not None)))
    every = [c for c in mtz.columns if c.type == "A"]
    return found or ([tuple(every)] if len(every) == 4 else [])


def _phase_sets(mtz: gemmi.Mtz) -> list[Columns]:
    """The phase with a usual name and the one figure of merit, where that is clear; calculated phases are none."""
    merits = [c for c in mtz.columns if c.type == "W"]
    phases = [c for c in mtz.columns if c.type == "P" and not CALCULATED_PHASE.match(c.label)]
    usual = [c for c in phases if c.label.upper() in USUAL_PHASES]
    chosen = usual or (phases if len(phases) == 1 else [])
    return [(c, merits[0]) for c in chosen] if len(merits) == 1 else []


def _operations(group: gemmi.SpaceGroup | None, setting: Setting, crystal: Crystal, path: str) -> Crystal:
    """The operations of the file's space group on the crystal's axes; without a space group those of the crystal."""
    if group is None:
        return crystal
    own = crystal_from_gemmi(gemmi_cell(crystal), group)
    back = np.linalg.inv(setting.matrix)
    n = own.n_primitive
    rotations = np.rint(back @ own.rotations[:n] @ setting.matrix).astype(np.int32)
    translations = own.translations[:n] @ back.T
    if {r.tobytes() for r in rotations} != {r.tobytes() for r in crystal.rotations[: crystal.n_primitive]}:
        raise InputError(
            f"The phases in {path} have space group {group.xhm()}, whose symmetry is not that of {crystal.hm}; give "
            "phases in the crystal's space group or its mirror image."
        )
    centring = crystal.translations[:: crystal.n_primitive] - crystal.translations[0]
    return replace(
        crystal,
        rotations=np.concatenate([rotations] * len(centring)).astype(np.int32),
        translations=np.concatenate([(translations + c) % 1.0 for c in centring]),
    )
