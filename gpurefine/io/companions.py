"""What else a file measured of the reflections chosen: Friedel mates and intensities, found by type and name."""

from __future__ import annotations

import re
from dataclasses import dataclass

import gemmi

from .labels import (
    AMPLITUDES,
    FRIEDEL_AMPLITUDES,
    FRIEDEL_INTENSITIES,
    USUAL_INTENSITIES,
    Selection,
    label_in,
    mean_candidates,
    pair_candidates,
    partner,
)

MARK = re.compile(r"\(\+\)|plus|PLUS|\+")
"""What tells the label of F(+) from that of F."""
MEAN = re.compile(r"(?i)_?mean$")


@dataclass(frozen=True, slots=True)
class PairColumns:
    """Columns with both Friedel mates, as indices into ``mtz.columns``.

    ``kind``: "friedel amplitudes" or "friedel intensities" with ``columns`` (+, σ+, −, σ−), or "anomalous differences"
    with ``columns`` (F, σF, ΔF, σΔF), ΔF = F(+) − F(−).  ``labels`` as in messages.
    """

    kind: str
    columns: tuple[int, int, int, int]
    labels: tuple[str, ...]


DIFFERENCES = "anomalous differences"


@dataclass(frozen=True, slots=True)
class Companions:
    """``pairs`` of the chosen data, ``intensities``: (value, σ) or (+, σ+, −, σ−) columns where amplitudes were chosen;
    None where the file has none that clearly belong to them."""

    pairs: PairColumns | None
    intensities: tuple[int, ...] | None


def find_companions(mtz: gemmi.Mtz, selection: Selection) -> Companions:
    """Columns that belong to the chosen ones: of the same data set, or of the same name but for (+) and (−)."""
    return Companions(_pairs(mtz, selection), _intensities(mtz, selection))


def _pairs(mtz: gemmi.Mtz, selection: Selection) -> PairColumns | None:
    first = mtz.columns[selection.values[0]]
    if selection.kind in (FRIEDEL_AMPLITUDES, FRIEDEL_INTENSITIES):
        found = [mtz.columns[k] for k in (selection.values[0], selection.sigmas[0], selection.values[1],
                                          selection.sigmas[1])]  # fmt: skip
        return _named(mtz, selection.kind, found)
    if selection.difference is not None:
        chosen = (selection.values[0], selection.sigmas[0], *selection.difference)
        return _named(mtz, DIFFERENCES, [mtz.columns[k] for k in chosen])
    for letter in "GDK" if selection.kind == AMPLITUDES else "KG":
        if letter == "D":
            group = _belonging(first, _differences(mtz))
            if group is not None:
                return _named(mtz, DIFFERENCES, [first, mtz.columns[selection.sigmas[0]], *group])
        else:
            group = _belonging(first, pair_candidates(mtz, letter))
            if group is not None:
                return _named(mtz, FRIEDEL_AMPLITUDES if letter == "G" else FRIEDEL_INTENSITIES, list(group))
    return None


def _differences(mtz: gemmi.Mtz) -> list[tuple[gemmi.Mtz.Column, ...]]:
    """(ΔF, σΔF) columns."""
    return [(d, s) for d in mtz.columns if d.type == "D" and (s := partner(mtz, d)) is not None]


def _intensities(mtz: gemmi.Mtz, selection: Selection) -> tuple[int, ...] | None:
    if selection.kind not in (AMPLITUDES, FRIEDEL_AMPLITUDES):
        return None
    first = mtz.columns[selection.values[0]]
    means = mean_candidates(mtz, "J", USUAL_INTENSITIES)
    own = [group for group in means if group[0].dataset_id == first.dataset_id]
    if own and (len(own) == 1 or own[0][0].label in USUAL_INTENSITIES):
        return tuple(c.idx for c in own[0])
    group = _belonging(first, means) if means else _belonging(first, pair_candidates(mtz, "K"))
    return None if group is None else tuple(c.idx for c in group)


def _belonging(
    mean: gemmi.Mtz.Column, groups: list[tuple[gemmi.Mtz.Column, ...]]
) -> tuple[gemmi.Mtz.Column, ...] | None:
    """The group that goes with the column ``mean``: by its name, else the only one of its data set."""
    own = [g for g in groups if g[0].dataset_id == mean.dataset_id]
    for among in (own, groups):
        alike = [g for g in among if _stem(g[0].label) == _stem(mean.label)]
        if len(alike) == 1:
            return alike[0]
    return own[0] if len(own) == 1 else None


def _stem(label: str) -> str:
    """ "F_CuKa" of F_CuKa(+), "I" of IMEAN and I(+), "F" of FP and DANO, "F_peak" of DANO_peak."""
    stem = MEAN.sub("", MARK.sub("", label))
    stem = re.sub(r"^DANO", "F", stem)
    return re.sub(r"^FP$", "F", stem).casefold()


def _named(mtz: gemmi.Mtz, kind: str, columns: list[gemmi.Mtz.Column]) -> PairColumns:
    a, b, c, d = (column.idx for column in columns)
    return PairColumns(kind, (a, b, c, d), tuple(label_in(mtz, column) for column in columns))
