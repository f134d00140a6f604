"""Twin laws: which there are, the group they make, the reflections they relate, and test sets that respect them."""

import gemmi
import numpy as np
import pytest

from gpurefine.config import DataOptions
from gpurefine.errors import UsageError
from gpurefine.io.lattice import obliquity
from gpurefine.io.reflections import read_data
from gpurefine.io.symmetry import asu_hkl, crystal_from_gemmi, unique_hkl
from gpurefine.io.twinning import (
    ABSENT,
    UNLISTED,
    LawStatistics,
    closed,
    consistent_free,
    free_disagreements,
    law_of,
    law_statistics,
    possible_laws,
    twinning,
)
from gpurefine.target.data_quality import RelatedIntensities

CASES = {
    "P 43": ((30, 30, 42, 90, 90, 90), 1),
    "P 3": ((30, 30, 40, 90, 90, 120), 3),
    "R 3 :H": ((40, 40, 50, 90, 90, 120), 7),  # nearly cubic
    "H 3 2": ((40, 40, 68, 90, 90, 120), 0),
    "H 3": ((40, 40, 68, 90, 90, 120), 1),
    "I 21 3": ((40, 40, 40, 90, 90, 90), 1),
    "P 1 21 1": ((30, 40, 30, 90, 91, 90), 3),
    "P 21 21 21": ((30, 30.2, 29.9, 90, 90, 90), 5),
    "P 41": ((30, 30, 30, 90, 90, 90), 5),
    "C 1 2 1": ((30 * 3**0.5, 30, 45, 90, 90, 90), 5),
    "P 2 2 2": ((30, 40, 50, 90, 90, 90), 0),
}


def crystal(name, cell=None):
    return crystal_from_gemmi(gemmi.UnitCell(*(cell or CASES[name][0])), gemmi.SpaceGroup(name))


def structure_factors(c, hkl, seed=1):
    places = np.random.default_rng(seed).random((4, 3))
    total = np.zeros(len(hkl), complex)
    for rotation, translation in zip(c.rotations, c.translations, strict=True):
        total += np.exp(2j * np.pi * (hkl @ (rotation @ places.T + translation[:, None]))).sum(axis=1)
    return total


@pytest.mark.parametrize("name", CASES)
def test_number_of_cosets(name):
    c = crystal(name)
    assert len(possible_laws(c)) == CASES[name][1]


@pytest.mark.parametrize("name", [name for name in CASES if CASES[name][1]])
def test_mates_are_the_reflections_that_a_domain_adds(name):
    c = crystal(name)
    hkl = unique_hkl(c, 3.0)
    twin = twinning(c, hkl, possible_laws(c))
    intensity = np.abs(structure_factors(c, hkl)) ** 2
    assert twin.n_domains == len(twin.mates) == CASES[name][1] + 1
    np.testing.assert_array_equal(twin.mates[0], np.arange(len(hkl)))
    for law, mates in zip(twin.laws, twin.mates[1:], strict=True):
        there = np.abs(structure_factors(c, hkl @ (law.matrix / gemmi.Op.DEN))) ** 2
        listed = mates >= 0
        np.testing.assert_allclose(intensity[mates[listed]], there[listed], rtol=1e-6, atol=1e-6)
        assert (there[mates == ABSENT] < 1e-12).all()
        outside = c.inv_d2(law.apply(hkl[mates == UNLISTED]))
        assert (outside > 1 / 3.0**2).all() and (mates == UNLISTED).sum() < 0.1 * len(hkl)
        assert (twin.orbit[mates[listed]] == twin.orbit[listed]).all()
        # the whole coset T P leads to the same reflections
        for rotation in c.rotations[: c.n_primitive]:
            np.testing.assert_array_equal(asu_hkl(c, law.apply(hkl)), asu_hkl(c, law.apply(hkl) @ rotation))


def test_absences_of_the_mates():
    c = crystal("P 41")
    hkl = unique_hkl(c, 3.0)
    twin = twinning(c, hkl, possible_laws(c))
    at = int(np.flatnonzero((hkl == (3, 0, 0)).all(axis=1) | (hkl == (0, 3, 0)).all(axis=1))[0])
    assert ABSENT in twin.mates[:, at]  # 0 0 3 in P 41


def test_closure_adds_the_products():
    c = crystal("P 41")
    every = possible_laws(c)
    merohedral = law_of("k,h,-l", c)
    assert [law.name for law in closed(c, [merohedral, law_of("h,-k,-l", c)])] == ["k,h,-l"]
    assert len(closed(c, [law_of("k,l,h", c)])) == 5 == len(every)
    cube = crystal("P 1", (30, 30, 30, 90, 90, 90))
    threefold = closed(cube, [law_of("k,l,h", cube)])
    assert [law.name for law in threefold] == ["k,l,h", "l,h,k"]


def test_obliquity_of_a_two_fold_is_le_pages_angle():
    # monoclinic cell taken for orthorhombic: the angle between a and a* is β − 90°
    for beta in (90.0, 90.4, 92.0):
        c = crystal("P 1 2 1", (50.0, 60.0, 70.0, 90.0, beta, 90.0))
        assert obliquity(c, law_of("h,-k,-l", c).matrix) == pytest.approx(beta - 90.0, abs=0.002)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("P 43", "k,h", "is no change of indices"),
        ("P 43", "k,h,m", "is no change of indices"),
        ("P 43", "-h,-k,l", "is a symmetry of P 43 itself"),
        ("P 43", "k,-h,-l", "is a symmetry of P 43 itself"),  # with Friedel's law
        ("P 43", "l,k,-h", "is no symmetry of the lattice (30.00 30.00 42.00 90.00 90.00 90.00) within 5°"),
        ("P 43", "2*h,k,l", "is no symmetry of the lattice"),
        ("P 2 2 2", "k,h,-l", "is no symmetry of the lattice"),
    ],
)
def test_laws_that_cannot_be(name, text, words):
    with pytest.raises(UsageError) as error:
        law_of(text, crystal(name))
    assert words in str(error.value) and str(error.value).endswith(".")


def test_a_law_may_be_written_with_an_inversion():
    c = crystal("P 43")
    assert law_of("H,-K, L", c).matrix.tolist() == law_of("-h,k,-l", c).matrix.tolist()


def test_consistent_test_sets():
    c = crystal("P 43", (60, 60, 84, 90, 90, 90))
    hkl = unique_hkl(c, 3.0)
    twin = twinning(c, hkl, possible_laws(c))
    rng = np.random.default_rng(2)
    observed = rng.random(len(hkl)) > 0.1
    free = observed & (rng.random(len(hkl)) < 0.05)
    assert free_disagreements(twin.orbit, free, observed) > 0.05 * len(hkl) / 2
    new = consistent_free(hkl, twin.orbit, free, observed)
    assert free_disagreements(twin.orbit, new, observed) == 0 and not (new & ~observed).any()
    assert abs(int(new.sum()) - int(free.sum())) < 5 * np.sqrt(2 * free.sum())
    np.testing.assert_array_equal(consistent_free(hkl, twin.orbit, new, observed), new)
    # orbits that were whole stay what they were
    whole = np.isin(twin.orbit, twin.orbit[free], invert=True)
    assert not new[whole].any()
    part = c.inv_d2(hkl) < 1 / 4.0**2
    again = consistent_free(hkl[part], twinning(c, hkl[part], twin.laws).orbit, free[part], observed[part])
    np.testing.assert_array_equal(again, new[part])  # the choice does not depend on what else is listed


def test_statistics_of_a_made_twin():
    c = crystal("P 43", (60, 60, 84, 90, 90, 90))
    hkl = unique_hkl(c, 3.0)
    twin = twinning(c, hkl, possible_laws(c))
    true = np.abs(structure_factors(c, hkl)) ** 2
    for fraction in (0.0, 0.2, 0.4):
        intensity = (1 - fraction) * true + fraction * true[twin.mates[1]]
        found = law_statistics(c, hkl, intensity, np.full(len(hkl), 0.01), twin.laws)[0]
        assert found.related.fraction == pytest.approx(fraction, abs=0.03)
        assert found.related.r_merge == pytest.approx(0.5 * (1 - 2 * fraction), abs=0.05)
    assert "-h,k,-l (R_merge 0.1" in found.words() and not found.refuted


@pytest.mark.parametrize(("r_merge", "refuted"), [(0.51, True), (0.49, False), (None, False)])
def test_a_law_that_relates_nothing_is_refuted(r_merge, refuted):
    c = crystal("P 43")
    related = None if r_merge is None else RelatedIntensities(r_merge, 0.1, 0.0, 500)
    assert LawStatistics(possible_laws(c)[0], 0.0, related).refuted == refuted


def test_the_real_twin(case_folder):
    data = read_data(str(case_folder / "1l2h_twin" / "data.mtz"), DataOptions(), None, "model")
    r = data.reflections
    at = r.observed
    laws = possible_laws(data.crystal)
    found = law_statistics(data.crystal, r.hkl[at], data.intensity[at], data.sigma_intensity[at], laws)
    assert [s.law.name for s in found] == ["-h,k,-l"] and 0.3 < found[0].related.fraction < 0.45
