"""Which Friedel pairs and intensities of a file belong to the amplitudes chosen."""

from __future__ import annotations

import gemmi
import pytest

from gpurefine.io.companions import DIFFERENCES, find_companions
from gpurefine.io.labels import AMPLITUDES, FRIEDEL_AMPLITUDES, FRIEDEL_INTENSITIES, Selection

TYPES = {"F": "Q", "J": "Q", "G": "L", "K": "M", "D": "Q"}


def file(*sets: dict[str, str]) -> gemmi.Mtz:
    """An MTZ with a data set for each {label: type}; every column has its σ, "SIG" + label."""
    mtz = gemmi.Mtz(with_base=True)
    mtz.spacegroup = gemmi.SpaceGroup("P 1")
    for number, labels in enumerate(sets):
        own = mtz.add_dataset(f"set{number}")
        for label, kind in labels.items():
            mtz.add_column(label, kind, dataset_id=own.id)
            mtz.add_column(f"SIG{label}", TYPES[kind], dataset_id=own.id)
    return mtz


def chosen(mtz: gemmi.Mtz, *labels: str, kind: str = AMPLITUDES) -> Selection:
    index = {c.label: c.idx for c in mtz.columns}
    return Selection(
        kind, tuple(index[label] for label in labels), tuple(index[f"SIG{label}"] for label in labels), None, ""
    )


def pair(label: str, kind: str) -> dict[str, str]:
    return {f"{label}(+)": kind, f"{label}(-)": kind}


F_PAIR = ("F(+)", "SIGF(+)", "F(-)", "SIGF(-)")


@pytest.mark.parametrize(("sets", "asked", "kind", "labels"), [
    # by name, also of another data set; FP and F are one name
    (({"FP": "F"}, pair("F", "G") | pair("F_peak", "G")), "FP", FRIEDEL_AMPLITUDES, F_PAIR),
    (({"F": "F", **pair("F", "G"), **pair("F_inf", "G")},), "F", FRIEDEL_AMPLITUDES, F_PAIR),
    # the only one of the data set, whatever it is called
    (({"FP": "F", **pair("peak", "G")}, pair("inf", "G")), "FP", FRIEDEL_AMPLITUDES,
     ("peak(+)", "SIGpeak(+)", "peak(-)", "SIGpeak(-)")),
    # two that could be meant
    (({"FP": "F", **pair("peak", "G"), **pair("inf", "G")},), "FP", None, ()),
    (({"FP": "F"}, pair("F", "G"), {}), "FP", FRIEDEL_AMPLITUDES, F_PAIR),
    # amplitudes of mates before differences, differences before intensities
    (({"F": "F", "DANO": "D", **pair("I", "K"), **pair("F", "G")},), "F", FRIEDEL_AMPLITUDES, F_PAIR),
    (({"F": "F", "DANO": "D", **pair("I", "K")},), "F", DIFFERENCES, ("F", "SIGF", "DANO", "SIGDANO")),
    (({"F_a": "F", "F_b": "F", "DANO_a": "D", "DANO_b": "D"},), "F_b", DIFFERENCES,
     ("F_b", "SIGF_b", "DANO_b", "SIGDANO_b")),
    (({"F": "F", **pair("I", "K")},), "F", FRIEDEL_INTENSITIES, ("I(+)", "SIGI(+)", "I(-)", "SIGI(-)")),
])  # fmt: skip
def test_pairs(sets: tuple[dict[str, str], ...], asked: str, kind: str | None, labels: tuple[str, ...]) -> None:
    mtz = file(*sets)
    found = find_companions(mtz, chosen(mtz, asked)).pairs
    if kind is None:
        assert found is None
    else:
        assert found is not None and found.kind == kind
        assert tuple(mtz.columns[k].label for k in found.columns) == labels


def test_mean_intensities_prefer_pairs_of_intensities() -> None:
    mtz = file({"IMEAN": "J", **pair("F", "G"), **pair("I", "K")})
    found = find_companions(mtz, chosen(mtz, "IMEAN", kind="intensities"))
    assert found.pairs is not None and found.pairs.kind == FRIEDEL_INTENSITIES and found.intensities is None


@pytest.mark.parametrize(("sets", "asked", "labels"), [
    (({"F": "F", "IMEAN": "J"}, {"I": "J"}), ("F",), ("IMEAN", "SIGIMEAN")),
    (({"IMEAN": "J"}, {"F": "F", "I": "J"}), ("F",), ("I", "SIGI")),
    (({"F": "F", **pair("I", "K")},), ("F",), ("I(+)", "SIGI(+)", "I(-)", "SIGI(-)")),
    (({**pair("F", "G"), "IMEAN": "J"},), ("F(+)", "F(-)"), ("IMEAN", "SIGIMEAN")),
    (({"F": "F"},), ("F",), None),
])
def test_intensities(sets: tuple[dict[str, str], ...], asked: tuple[str, ...], labels: tuple[str, ...] | None) -> None:
    mtz = file(*sets)
    kind = AMPLITUDES if len(asked) == 1 else FRIEDEL_AMPLITUDES
    found = find_companions(mtz, chosen(mtz, *asked, kind=kind)).intensities
    assert (None if found is None else tuple(mtz.columns[k].label for k in found)) == labels
