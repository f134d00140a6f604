"""The search for radii of the solvent mask, on R factors that are functions of them."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from gpurefine.refinement.mask_search import optimise_mask


class Fake:
    """An experiment whose R is ``r`` of the change of the probe radii and of the shrink radius."""

    def __init__(self, r: Callable[[float, float], float], shrink: float) -> None:
        self.r, self.mask, self.probe_change, self.fitted = r, SimpleNamespace(shrink_radius=shrink), 0.0, (0.0, 0.0)

    def set_mask(self, probe_change: float, shrink_radius: float) -> None:
        self.probe_change, self.mask = probe_change, SimpleNamespace(shrink_radius=shrink_radius)

    def update(self, atoms: Any, f_calc: Any) -> None:
        self.fitted = self.probe_change, self.mask.shrink_radius

    def agreement(self) -> tuple[Any, Any]:
        return SimpleNamespace(r=self.r(*self.fitted)), None


def searched(r: Callable[[float, float], float], shrink: float = 0.9) -> tuple[tuple[float, float], str]:
    experiment = Fake(r, shrink)
    objective = SimpleNamespace(experiment=experiment, scatterers=lambda values: None)
    (told,) = optimise_mask(objective, SimpleNamespace(values=None, f_calc=None))  # type: ignore[arg-type]
    assert experiment.fitted == (experiment.probe_change, experiment.mask.shrink_radius)
    return experiment.fitted, told


def test_wide_steps_then_narrow_ones_lead_to_the_lowest() -> None:
    found, told = searched(lambda a, b: 0.2 + (a - 0.3) ** 2 + (b - 0.6) ** 2)
    assert found == pytest.approx((0.3, 0.6))
    assert "probe radii +0.3 Å, shrink radius 0.6 Å" in told and "→ 0.2000" in told


def test_a_valley_in_which_both_grow() -> None:
    assert searched(lambda a, b: 0.2 + 50 * (a - b + 0.9) ** 2 - 0.1 * a)[0] == pytest.approx((0.4, 1.3))


def test_no_radius_goes_farther_than_allowed_or_below_nothing() -> None:
    assert searched(lambda a, b: 1.0 - 0.1 * a)[0][0] == pytest.approx(0.4)
    assert searched(lambda a, b: 1.0 + 0.1 * b, 0.2)[0][1] == pytest.approx(0.0)


def test_radii_stay_where_nothing_is_better() -> None:
    found, told = searched(lambda a, b: 0.2)
    assert found == (0.0, 0.9) and "probe radii unchanged" in told
