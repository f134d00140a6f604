"""Which columns of an MTZ file are the measurements: named by the user, or found by name and type."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import gemmi

from ..errors import InputError

AMPLITUDES = "amplitudes"
INTENSITIES = "intensities"
FRIEDEL_AMPLITUDES = "friedel amplitudes"
FRIEDEL_INTENSITIES = "friedel intensities"

VALUE_TYPES = {"F": AMPLITUDES, "J": INTENSITIES, "G": FRIEDEL_AMPLITUDES, "K": FRIEDEL_INTENSITIES}
"""MTZ column type of a measured value → kind of data."""
SIGMA_TYPES = {"F": "Q", "J": "Q", "G": "L", "K": "M", "D": "Q"}

USUAL_AMPLITUDES = (
    "FP", "F", "FOBS", "F-obs", "F-obs-filtered", "F_obs", "FMEAN", "F_meas", "F_meas_au", "FO", "FOSC", "F_XDSdataset",
)  # fmt: skip
USUAL_INTENSITIES = ("IMEAN", "I", "IOBS", "I-obs", "I_obs", "I_meas", "I_meas_au", "IP", "IHL")
CALCULATED = re.compile(r"(?i)^(f_?c|f-?model|2?fo|.*fwt|fcalc|fmask|fbulk|fom|fdm|fan)")
"""Labels of amplitudes that were calculated."""
USUAL_FREE = (
    "free", "freerflag", "freer", "rfree", "rfreeflag", "rfreeflags", "freeflag", "freeflags", "rflag", "test",
    "freertestset", "pdbxrfreeflag",
)  # fmt: skip
"""Lower case, letters and digits only."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Columns chosen from a file: indices into ``mtz.columns``.

    ``values`` and ``sigmas`` hold one index for mean data and two (+, −) for Friedel pairs; ``free`` is None where no
    free column was found; ``message`` says what was chosen and what else there was; ``difference``: ΔF and σΔF where
    the user named them.
    """

    kind: str
    values: tuple[int, ...]
    sigmas: tuple[int, ...]
    free: int | None
    message: str
    difference: tuple[int, int] | None = None


def strip_path(label: str) -> tuple[str | None, str]:
    """Data set name (None where not given) and label of "/crystal/dataset/FP" or "FP"."""
    parts = [p for p in label.strip().split("/") if p]
    if not parts:
        return None, ""
    return (parts[-2] if len(parts) > 1 else None), parts[-1]


def label_in(mtz: gemmi.Mtz, column: gemmi.Mtz.Column) -> str:
    """The column's label, with /crystal/dataset/ before it where the file has the label more than once."""
    if sum(c.label == column.label for c in mtz.columns) < 2:
        return column.label
    dataset = column.dataset
    return f"/{dataset.crystal_name}/{dataset.dataset_name}/{column.label}"


def data_set_of(mtz: gemmi.Mtz, selection: Selection) -> tuple[gemmi.Mtz.Dataset, list[str]]:
    """The data set whose cell holds: that of the first value; what is to be told where there are several."""
    columns = [mtz.columns[k] for k in (*selection.values, *selection.sigmas)]
    dataset = columns[0].dataset
    others = {c.dataset.id: c.dataset for c in columns if c.dataset_id != columns[0].dataset_id}
    told = []
    if any(not _same_cell(d.cell, dataset.cell) for d in others.values()):
        told.append(
            f"The columns used belong to data sets with different cells; that of {dataset.dataset_name} (column "
            f"{columns[0].label}) is taken."
        )
    rest = [d for d in mtz.datasets if d.cell.is_crystal() and not _same_cell(d.cell, dataset.cell)]
    if rest and not told:
        told.append(
            f"The file has {len(mtz.datasets)} data sets with different cells; that of {dataset.dataset_name} (column "
            f"{columns[0].label}) is taken."
        )
    return dataset, told


def _same_cell(first: gemmi.UnitCell, second: gemmi.UnitCell) -> bool:
    return all(abs(a - b) < 0.011 for a, b in zip(first.parameters, second.parameters, strict=True))


def describe_columns(mtz: gemmi.Mtz) -> str:
    """ "FP (F), SIGFP (Q)" of every column after H K L."""
    return ", ".join(f"{c.label} ({c.type})" for c in mtz.columns[3:]) or "none"


def select_columns(
    mtz: gemmi.Mtz, labels: str | None, path: str, want_free: bool = True, prefer: str = AMPLITUDES
) -> Selection:
    """Columns to read: those in ``labels`` (as in --labels) or, where it is None, those found by name and type.

    ``prefer``: "amplitudes" or "intensities" where the file has both.

    Raises:
        InputError: a named column is not in the file or of a wrong type, or the choice is not clear.
    """
    return _named(mtz, labels, path, want_free) if labels is not None else _found(mtz, path, want_free, prefer)


def find_free_column(mtz: gemmi.Mtz) -> tuple[int | None, list[str]]:
    """Index of the free column by its usual names (None: not found) and the names of other integer columns."""
    integers = [c for c in mtz.columns if c.type == "I"]
    usual = [c for c in integers if _plain(c.label) in USUAL_FREE]
    if not usual:
        usual = [c for c in integers if "free" in c.label.lower()]
    chosen = usual[0].idx if usual else None
    return chosen, [c.label for c in integers if c.idx != chosen]


def _plain(label: str) -> str:
    return re.sub(r"[^a-z0-9]", "", label.lower())


def _named(mtz: gemmi.Mtz, labels: str, path: str, want_free: bool) -> Selection:
    """Selection of the user's labels."""
    columns = [find_label(mtz, token, path) for token in labels.split(",") if token.strip()]
    if not columns:
        raise InputError(f"--labels names no column; {path} has {describe_columns(mtz)}.")
    first = columns[0]
    kind = VALUE_TYPES.get(first.type)
    if kind is None:
        raise InputError(
            f"Column {first.label} of {path} is of type {first.type}, which is no measured amplitude (F, G) or "
            f"intensity (J, K); the columns are {describe_columns(mtz)}."
        )
    free = None
    if len(columns) > 1 and columns[-1].type == "I":
        free = columns.pop().idx
    if len(columns) == 1 and kind in (AMPLITUDES, INTENSITIES):
        sigma = partner(mtz, first)
        if sigma is None:
            raise InputError(
                f"{path} has no column of standard uncertainties for {first.label} that could be found; name it after "
                f"{first.label} in --labels. The columns are {describe_columns(mtz)}."
            )
        columns.append(sigma)
    difference = None
    if kind == AMPLITUDES and [c.type for c in columns[2:]] == ["D", "Q"]:
        difference = columns[2].idx, columns[3].idx
        del columns[2:]
    pattern = first.type + SIGMA_TYPES[first.type]
    expected = pattern if kind in (AMPLITUDES, INTENSITIES) else pattern * 2
    got = "".join(c.type for c in columns)
    if got != expected:
        raise InputError(
            f"--labels {labels} selects columns of types {', '.join(got)} in {path}, where {kind} need "
            f"{', '.join(expected)} (and the free column, type I, last if there is one); the columns are "
            f"{describe_columns(mtz)}."
        )
    indices = [c.idx for c in columns]
    if free is None and want_free:
        free, _ = find_free_column(mtz)
    names = ", ".join(label_in(mtz, c) for c in columns)
    message = f"Data: columns {names} ({kind})."
    return Selection(kind, tuple(indices[0::2]), tuple(indices[1::2]), free, message, difference)


def find_label(mtz: gemmi.Mtz, token: str, path: str) -> gemmi.Mtz.Column:
    """The column that ``token`` names, as "FP" or "/crystal/dataset/FP".

    Raises:
        InputError: there is none, or there are several.
    """
    dataset, label = strip_path(token)
    same = [c for c in mtz.columns if c.label == label]
    if not same:
        raise InputError(f"{path} has no column '{label}'; its columns are {describe_columns(mtz)}.")
    full = [c for c in same if f"/{c.dataset.crystal_name}/{c.dataset.dataset_name}/{label}" == token.strip()]
    named = full or [c for c in same if dataset is not None and c.dataset.dataset_name == dataset]
    if not named and len(same) > 1:
        choices = ", ".join(label_in(mtz, c) for c in same)
        raise InputError(f"{path} has several columns '{label}'; choose one of {choices} with --labels.")
    return (named or same)[0]


def partner(mtz: gemmi.Mtz, value: gemmi.Mtz.Column) -> gemmi.Mtz.Column | None:
    """The column of standard uncertainties that belongs to ``value``, or None."""
    wanted = SIGMA_TYPES[value.type]
    candidates = [c for c in mtz.columns if c.type == wanted]
    names = {form.format(value.label) for form in ("SIG{}", "SIGMA{}", "sig{}", "{}SIG", "{}_sigma")}
    if "_meas" in value.label:
        names.add(value.label.replace("_meas", "_meas_sigma"))
    for column in candidates:
        if column.label in names and column.dataset_id == value.dataset_id:
            return column
    for column in candidates:
        if column.label in names:
            return column
    if value.idx + 1 < len(mtz.columns) and mtz.columns[value.idx + 1].type == wanted:
        return mtz.columns[value.idx + 1]
    return None


def _found(mtz: gemmi.Mtz, path: str, want_free: bool, prefer: str) -> Selection:
    """Selection without labels: mean amplitudes, else mean intensities, else Friedel pairs; usual names first.

    Where intensities are preferred, mean intensities, else pairs of intensities, else amplitudes.
    """
    options: dict[str, list[tuple[gemmi.Mtz.Column, ...]]] = {
        AMPLITUDES: mean_candidates(mtz, "F", USUAL_AMPLITUDES),
        INTENSITIES: mean_candidates(mtz, "J", USUAL_INTENSITIES),
        FRIEDEL_AMPLITUDES: pair_candidates(mtz, "G"),
        FRIEDEL_INTENSITIES: pair_candidates(mtz, "K"),
    }
    order = list(options)
    if prefer == INTENSITIES:
        order.sort(key=lambda kind: kind not in (INTENSITIES, FRIEDEL_INTENSITIES))
    for kind in order:
        candidates = options[kind]
        if not candidates:
            continue
        usual = USUAL_AMPLITUDES if kind == AMPLITUDES else USUAL_INTENSITIES
        if len(candidates) > 1 and candidates[0][0].label not in usual:
            choices = "; ".join(",".join(label_in(mtz, c) for c in group) for group in candidates)
            raise InputError(f"{path} has several sets of {kind} ({choices}); choose one with --labels.")
        chosen = candidates[0]
        others = [
            ", ".join(label_in(mtz, c) for c in group) + f" ({other})"
            for other, groups in options.items()
            for group in groups
            if group is not chosen
        ]
        text = f"Data: columns {', '.join(label_in(mtz, c) for c in chosen)} ({kind})"
        if others:
            text += f"; the file also has {'; '.join(others)}, which --labels can choose"
        free = find_free_column(mtz)[0] if want_free else None
        indices = [c.idx for c in chosen]
        return Selection(kind, tuple(indices[0::2]), tuple(indices[1::2]), free, text + ".")
    bare = [c for c in mtz.columns if c.type in VALUE_TYPES and not CALCULATED.match(c.label)]
    if bare and not any(c.type in "QLM" for c in mtz.columns):
        raise InputError(
            f"{path} has {bare[0].label} ({bare[0].type}) but no column of standard uncertainties, which the "
            f"likelihood needs; write the data again with them (SIG{bare[0].label}). The columns are "
            f"{describe_columns(mtz)}."
        )
    raise InputError(
        f"{path} has no measured amplitudes or intensities with standard uncertainties that could be recognised; name "
        f"them with --labels. The columns are {describe_columns(mtz)}."
    )


def mean_candidates(mtz: gemmi.Mtz, kind: str, usual: Sequence[str]) -> list[tuple[gemmi.Mtz.Column, ...]]:
    """(value, sigma) columns of one type, usual names first in their order of preference."""
    found: list[tuple[gemmi.Mtz.Column, ...]] = [
        (c, s) for c in mtz.columns if c.type == kind and (s := partner(mtz, c)) is not None
    ]
    found.sort(key=lambda pair: usual.index(pair[0].label) if pair[0].label in usual else len(usual))
    return found


def pair_candidates(mtz: gemmi.Mtz, kind: str) -> list[tuple[gemmi.Mtz.Column, ...]]:
    """(+, σ+, −, σ−) columns: mates by their names, or two neighbours of the type."""
    columns = [c for c in mtz.columns if c.type == kind]
    by_name = {c.label: c for c in columns}
    groups: list[tuple[gemmi.Mtz.Column, ...]] = []
    for plus in columns:
        for mark, opposite in (("(+)", "(-)"), ("plus", "minus"), ("PLUS", "MINUS"), ("+", "-")):
            minus = by_name.get(plus.label.replace(mark, opposite)) if mark in plus.label else None
            if minus is not None:
                sigmas = partner(mtz, plus), partner(mtz, minus)
                if sigmas[0] is not None and sigmas[1] is not None:
                    groups.append((plus, sigmas[0], minus, sigmas[1]))
                break
    return groups
