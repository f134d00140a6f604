"""The automatic weight: lowered, raised, and left alone when it should be."""

from __future__ import annotations

import math

import pytest

from gpurefine.refinement.weights import next_weight, starting_weight

BAND = (0.5, 1.0)


def test_start_is_the_published_function_of_resolution() -> None:
    assert starting_weight(2.0) == pytest.approx(math.exp(0.9104 * 2.0 + 0.2162))


def test_lowered_when_bonds_are_too_loose_and_stay_so() -> None:
    assert next_weight(8.0, 1.21, 1.21, BAND) == pytest.approx(8.0 * (1.0 / 1.21) ** 1.5)
    assert next_weight(8.0, 9.0, 9.0, BAND) == 4.0, "never by more than half"
    assert next_weight(8.0, 1.5, 2.0, BAND) == 8.0, "still falling by itself"


def test_raised_when_bonds_are_too_tight_but_not_above_the_limit() -> None:
    assert next_weight(8.0, 0.45, 0.45, BAND) == pytest.approx(8.0 * (0.5 / 0.45) ** 1.5)
    assert next_weight(8.0, 0.45, 0.45, BAND, most=8.5) == 8.5
    assert next_weight(8.0, 0.45, 0.45, BAND, most=8.0) == 8.0
    assert next_weight(4.0, 0.2, 0.2, BAND, most=8.0) == pytest.approx(5.2)
    assert next_weight(8.0, 0.45, 0.40, BAND) == 8.0, "bonds still give way"
    assert next_weight(8.0, 0.45, 0.45, BAND, most=4.0) == 8.0, "the limit does not lower it"


@pytest.mark.parametrize("rmsz", [None, 0.0, 0.7])
def test_left_alone_inside_the_band_and_without_bonds(rmsz: float | None) -> None:
    assert next_weight(8.0, rmsz, rmsz, BAND) == 8.0
