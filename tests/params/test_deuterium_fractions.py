"""Parts of deuterium as parameters: what scatters, bounds, chain rule, and their likeness."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gpurefine.backend.plans import AtomInformation, DensityGradient
from gpurefine.model.deuterium import DeuteriumSites
from gpurefine.params.deuterium import DeuteriumFractions
from gpurefine.params.values import AtomValues, Composition
from gpurefine.restraints.deuterium import FractionRestraints
from helpers import check_adjoint, check_gradient

N = 7
RATIO = -3.739 / 6.671
SITES = DeuteriumSites(np.array([1, 4, 6]), np.array([0.2, 0.5, 0.9]), ("a", "b", "c"), RATIO)
KIND = DeuteriumFractions(SITES)
FACTOR = np.array([1.0, 1.0, 0.5, 1.0, 0.25, 1.0, 1.0])


def composition() -> Composition:
    return Composition(np.zeros(N, bool), np.zeros(N, np.int32), FACTOR, None, SITES)


def values() -> AtomValues:
    occ = np.array([1.0, 0.7, 1.0, 0.4, 0.5, 1.0, 1.0])
    return AtomValues(np.zeros((N, 3)), np.ones(N), np.zeros((N, 6)), occ, deuterium=SITES.start)


def test_what_scatters() -> None:
    """Hydrogen at 0, deuterium at 1, nothing at 0.36."""
    here = values()
    for fraction, weight in ((0.0, RATIO), (1.0, 1.0), (-RATIO / (1.0 - RATIO), 0.0)):
        found = composition().scatterers(replace(here, deuterium=np.full(3, fraction))).weight
        expected = here.occ * FACTOR
        expected[SITES.atom] *= weight
        np.testing.assert_allclose(found, expected, atol=1e-15)
    np.testing.assert_array_equal(here.occ, values().occ)


def test_fractions_at_a_bound_are_held_where_they_would_cross_it() -> None:
    here = replace(values(), deuterium=np.array([0.0, 1.0, 0.5]))
    assert KIND.held(here, np.ones((3, 1))).tolist() == [True, False, False]
    assert KIND.held(here, -np.ones((3, 1))).tolist() == [False, True, False]


def test_chain_rule() -> None:
    """Central differences of a function of what scatters, and the transpose."""
    here, parts = values(), composition()
    rng = np.random.default_rng(1)
    c = rng.normal(size=N)

    def slope(by_weight: np.ndarray) -> np.ndarray:
        nothing = np.zeros((N, 3)), np.zeros(N), np.zeros((N, 6))
        return KIND.pull(here, parts.by_values(here, DensityGradient(*nothing, by_weight)))

    def value(shift: np.ndarray) -> float:
        return float(np.sum(c * parts.scatterers(KIND.move(here, shift)).weight ** 3))

    check_gradient(value, slope(3.0 * c * parts.scatterers(here).weight ** 2), np.zeros((3, 1)))
    check_adjoint(
        lambda v: KIND.tangent(here, v).occ * FACTOR, slope, rng.normal(size=(3, 1)), rng.normal(size=N)
    )
    weight = rng.uniform(1, 2, N)
    blocks = KIND.pull_blocks(here, AtomInformation(np.zeros((N, 3, 3)), np.zeros(N), weight))
    v = rng.normal(size=(3, 1))
    expected = float(np.sum(weight * KIND.tangent(here, v).occ ** 2))
    assert np.einsum("mi,mij,mj->", v, blocks, v) == pytest.approx(expected)


def test_fractions_stay_between_0_and_1() -> None:
    now, rng = values(), np.random.default_rng(0)
    for _ in range(30):
        now = KIND.move(now, rng.normal(size=(3, 1)) * 0.5)
        assert now.deuterium.min() >= 0.0 and now.deuterium.max() <= 1.0
    assert KIND.move(values(), np.array([[-1.0], [0.1], [1.0]])).deuterium.tolist() == [0.0, 0.6, 1.0]


def test_likeness() -> None:
    restraints = FractionRestraints(3, 0.1)
    f = np.array([0.2, 0.5, 0.9])
    assert restraints.value(np.full(3, 0.7)) == pytest.approx(0.0, abs=1e-20)
    assert restraints.value(np.array([0.4, 0.6, 0.5])) == pytest.approx(1.0)
    check_gradient(restraints.value, restraints.gradient(f), f)
    assert restraints.curvature().diagonal[:, 0, 0] == pytest.approx(100.0)
