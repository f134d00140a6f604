"""Phases from outside: coefficients under symmetry and changes of origin and hand, where they are found, what they are
worth."""

import gemmi
import numpy as np
import pytest

from gpurefine.config import DataOptions
from gpurefine.errors import InputError, UsageError
from gpurefine.io.phases import read_phases
from gpurefine.io.reflections import read_data
from gpurefine.io.symmetry import crystal_from_gemmi, reflection_flags, unique_hkl
from gpurefine.model.phases import restricted_phase, turned
from gpurefine.model.reflections import Reflections
from gpurefine.refinement.phase_placement import normalised_amplitudes, place_phases
from gpurefine.target.phase_origin import find_placement

GROUPS = {
    "P 1": (20, 24, 26, 80, 95, 105),
    "P 1 21 1": (22, 24, 26, 90, 100, 90),
    "C 1 2 1": (38, 22, 26, 90, 110, 90),
    "P 21 21 21": (25, 28, 31, 90, 90, 90),
    "P 43 21 2": (30, 30, 42, 90, 90, 90),
    "P 31 2 1": (30, 30, 40, 90, 90, 120),
    "P 31 1 2": (30, 30, 40, 90, 90, 120),
    "R 3 :H": (40, 40, 36, 90, 90, 120),
    "I 21 3": (40, 40, 40, 90, 90, 90),
}
HL = ("HLA", "HLB", "HLC", "HLD")


def crystal(name):
    return crystal_from_gemmi(gemmi.UnitCell(*GROUPS[name]), gemmi.SpaceGroup(name))


def structure_factors(c, hkl, places):
    total = np.zeros(len(hkl), complex)
    for rotation, translation in zip(c.rotations, c.translations, strict=True):
        total += np.exp(2j * np.pi * (hkl @ (rotation @ places.T + translation[:, None]))).sum(axis=1)
    return total


def log_probability(hl, phase):
    basis = np.stack([np.cos(phase), np.sin(phase), np.cos(2 * phase), np.sin(2 * phase)], axis=1)
    return (hl * basis).sum(axis=1)


def scattered(c, d_min, seed=5):
    """Unique reflections moved out of the asymmetric unit by some operation, half of them by −1 too."""
    rng = np.random.default_rng(seed)
    hkl = unique_hkl(c, d_min)
    rotation = c.rotations[rng.integers(0, c.n_primitive, len(hkl))]
    return np.einsum("ni,nij->nj", hkl, rotation).astype(np.int32) * rng.choice([-1, 1], len(hkl))[:, None]


@pytest.mark.parametrize("name", GROUPS)
def test_probabilities_follow_the_phases_into_the_asymmetric_unit(make_mtz, name):
    c = crystal(name)
    places = np.random.default_rng(1).random((8, 3))
    rows = scattered(c, 4.0)
    hl = np.random.default_rng(2).normal(size=(len(rows), 4))
    columns = {label: ("A", lambda hkl, d, k=k: hl[:, k]) for k, label in enumerate(HL)}
    path = make_mtz({"F": ("F", lambda hkl, d: d), **columns}, cell=GROUPS[name], group=name, hkl=rows)
    listed = unique_hkl(c, 4.0)
    phases, told = read_phases(path, None, None, c, listed)
    assert phases.known.all() and "mean figure of merit" in told[0]
    before = log_probability(hl, np.angle(structure_factors(c, rows, places)))
    after = log_probability(phases.hl, np.angle(structure_factors(c, listed, places)))
    # rows came from the listed reflections in their order
    np.testing.assert_allclose(after, before, atol=1e-4)


@pytest.mark.parametrize("inverted", [False, True])
def test_probabilities_follow_a_change_of_origin_and_hand(inverted):
    c, shift = crystal("P 1"), np.array([0.13, 0.37, 0.71])
    hkl = unique_hkl(c, 4.0)
    places = np.random.default_rng(1).random((8, 3))
    moved = (-places if inverted else places) + shift
    hl = np.random.default_rng(2).normal(size=(len(hkl), 4))
    new = turned(hl, hkl @ shift, np.full(len(hkl), inverted))
    before = log_probability(hl, np.angle(structure_factors(c, hkl, places)))
    after = log_probability(new, np.angle(structure_factors(c, hkl, moved)))
    np.testing.assert_allclose(after, before, atol=1e-9)


@pytest.mark.parametrize("name", [*GROUPS, "I 41 2 2", "P 6 2 2"])
def test_phases_that_centric_reflections_may_have(name):
    cell = GROUPS.get(name, (30, 30, 40, 90, 90, 120 if "6" in name else 90))
    c = crystal_from_gemmi(gemmi.UnitCell(*cell), gemmi.SpaceGroup(name))
    hkl = unique_hkl(c, 4.0)
    allowed = restricted_phase(c, hkl)
    centric, _ = reflection_flags(c, hkl)
    np.testing.assert_array_equal(np.isfinite(allowed), centric)
    f = structure_factors(c, hkl, np.random.default_rng(1).random((8, 3)))[centric]
    assert (np.abs(np.imag(f * np.exp(-1j * allowed[centric]))) < 1e-8 * np.abs(f).max(initial=1.0)).all()


MOVES = [
    ("P 1", (0.137, 0.419, 0.733), False),
    ("P 1", (0.137, 0.419, 0.733), True),
    ("P 1 21 1", (0.5, 0.2371, 0.0), False),
    ("P 1 21 1", (0.5, 0.2371, 0.5), True),
    ("C 1 2 1", (0.0, 0.3137, 0.5), False),
    ("P 21 21 21", (0.0, 0.0, 0.5), False),
    ("P 21 21 21", (0.5, 0.0, 0.5), True),
    ("P 43 21 2", (0.5, 0.5, 0.0), False),
    ("P 31 2 1", (0.0, 0.0, 0.5), False),
    ("P 31 1 2", (1 / 3, 2 / 3, 0.5), False),
    ("R 3 :H", (0.0, 0.0, 0.2137), False),
    ("I 21 3", (0.0, 0.0, 0.0), True),
]


def made(make_mtz, name, group, shift, inverted, phase_error=40.0, model_error=0.0):
    """Data, model structure factors and a file of phases in ``group``, of atoms x where the model has σx + s."""
    c = crystal(name)
    origin = crystal_from_gemmi(gemmi.UnitCell(*GROUPS[name]), gemmi.SpaceGroup(group))
    rng = np.random.default_rng(4)
    places = rng.random((40, 3))
    moved = (-places if inverted else places) + np.array(shift) + model_error * rng.normal(size=places.shape)

    def phase(hkl, d):
        f = structure_factors(origin, np.asarray(hkl, dtype=np.int64), places)
        centric, _ = reflection_flags(origin, np.asarray(hkl, dtype=np.int32))
        return np.degrees(np.angle(f)) + np.where(centric, 0.0, phase_error * rng.normal(size=len(hkl)))

    def size(hkl, d):
        return np.abs(structure_factors(origin, np.asarray(hkl, dtype=np.int64), places)) + 0.01

    columns = {"F": ("F", size), "SIGF": ("Q", lambda hkl, d: d), "PHIB": ("P", phase), "FOM": ("W", 0.7)}
    path = make_mtz(columns, name="phases.mtz", cell=GROUPS[name], group=group, hkl=scattered(origin, 3.0))
    data = read_data(path, DataOptions(phases="PHIB,FOM"), c, "model.pdb")
    return c, data, structure_factors(c, data.reflections.hkl, moved)


def agreement(phases, f, c, hkl):
    best = phases.hl[:, 0] + 1j * phases.hl[:, 1]
    known = phases.known
    return float(np.mean(np.cos(np.angle(best[known]) - np.angle(f[known]))))


@pytest.mark.parametrize(("name", "shift", "inverted"), MOVES)
def test_origin_and_hand_are_found(make_mtz, name, shift, inverted):
    c, data, f = made(make_mtz, name, name, shift, inverted)
    r = data.reflections
    placed, told = place_phases(data.phases, c, r, f)
    assert agreement(placed, f, c, r.hkl) > 0.75 > agreement(data.phases, f, c, r.hkl) + 0.3
    assert ("in the other hand" in told[0]) == inverted and "⟨cos Δφ⟩ 0." in told[0]


def test_noise_is_how_far_chance_reaches():
    """Standard deviation of the weighted mean cosine of unrelated phases."""
    c = crystal("P 1")
    hkl = unique_hkl(c, 4.0)
    rng = np.random.default_rng(3)
    n = len(hkl)
    size, weight = rng.uniform(0.1, 1.0, n), rng.exponential(size=n)
    placement, _ = find_placement(c, c, hkl, size * np.exp(2j * np.pi * rng.random(n)), np.ones(n, complex), weight)
    chance = np.cos(2 * np.pi * rng.random((4000, n))) @ (size * weight) / np.sum(size * weight)
    assert placement.noise == pytest.approx(chance.std(), rel=0.05)


def test_normalised_amplitudes_have_a_mean_square_of_one():
    """At any resolution, ε taken out; nothing where nothing was measured."""
    rng = np.random.default_rng(3)
    n = 6000
    s2, epsilon = rng.uniform(0.01, 0.25, n), rng.choice([1.0, 4.0], n)
    f = np.sqrt(epsilon * rng.exponential(size=n)) * 50.0 * np.exp(-10.0 * s2)
    f[::7] = np.nan
    no = np.zeros(n, bool)
    found = normalised_amplitudes(Reflections(np.zeros((n, 3), np.int32), s2, no, epsilon, f, 0.1 * f, no))
    seen = np.isfinite(f)
    assert not found[~seen].any()
    for part in (s2 < 0.05, s2 > 0.2, epsilon == 4.0):
        assert np.mean(found[seen & part] ** 2) == pytest.approx(1.0, abs=0.12)


def test_phases_of_the_enantiomorphous_group(make_mtz):
    c, data, f = made(make_mtz, "P 43 21 2", "P 41 21 2", (0.0, 0.0, 0.0), True)
    placed, told = place_phases(data.phases, c, data.reflections, f)
    assert agreement(placed, f, c, data.reflections.hkl) > 0.75 and "in the other hand" in told[0]
    assert placed.origin.hm == "P 43 21 2"


def test_phases_that_fit_stay_as_they_are(make_mtz):
    c, data, f = made(make_mtz, "P 1 21 1", "P 1 21 1", (0, 0, 0), False, model_error=0.01)
    placed, told = place_phases(data.phases, c, data.reflections, f)
    np.testing.assert_array_equal(placed.hl, data.phases.hl)
    assert "agree with the model's as they are" in told[0]


def test_phases_of_nothing_are_told(make_mtz):
    c, data, _ = made(make_mtz, "P 21 21 21", "P 21 21 21", (0, 0, 0), False)
    other = structure_factors(c, data.reflections.hkl, np.random.default_rng(9).random((40, 3)))
    placed, told = place_phases(data.phases, c, data.reflections, other)
    assert told[0].startswith("Warning: the phases agree with the model's at no permitted origin")
    np.testing.assert_array_equal(placed.hl, data.phases.hl)


@pytest.mark.parametrize(
    ("columns", "labels", "words"),
    [
        ({label: ("A", 0.0) for label in HL}, None, "is 0: there is no phase information"),
        ({label: ("A", np.nan) for label in HL}, None, "for none of the reflections"),
        ({"PHIC": ("P", 10.0), "FOM": ("W", 0.5)}, None, "no Hendrickson–Lattman coefficients and no phases"),
        ({"PHIB": ("P", 10.0), "PHIDM": ("P", 10.0), "FOM": ("W", 0.5)}, None, "several sets of phases"),
        ({f"{a}{label}": ("A", 1.0) for a in ("", "X_") for label in HL}, None, "HLA,HLB,HLC,HLD; X_HLA"),
        ({"PHIB": ("P", 10.0), "FOM": ("W", 0.5)}, "PHIB", "selects columns of types P in"),
        ({"PHIB": ("P", 10.0), "FOM": ("W", 0.5)}, "FOM,PHIB", "selects columns of types W, P in"),
        ({"PHIB": ("P", 10.0), "FOM": ("W", 0.5)}, "HLA", "has no column 'HLA'"),
    ],
)
def test_phases_that_cannot_be_used(make_mtz, columns, labels, words):
    path = make_mtz({"F": ("F", 5.0), **columns})
    c = crystal_from_gemmi(gemmi.UnitCell(31, 35, 40, 90, 90, 90), gemmi.SpaceGroup("P 21 21 21"))
    with pytest.raises((InputError, UsageError)) as error:
        read_phases(path, labels, None, c, unique_hkl(c, 3.0))
    assert words in str(error.value) and str(error.value).endswith(".")


@pytest.mark.parametrize(("group", "words"), [("P 2 2 2", None), ("P 1 1 2", "whose symmetry is not that")])
def test_phases_of_another_space_group(make_mtz, group, words):
    path = make_mtz({"F": ("F", 5.0), **{label: ("A", 1.0) for label in HL}}, group=group)
    c = crystal_from_gemmi(gemmi.UnitCell(31, 35, 40, 90, 90, 90), gemmi.SpaceGroup("P 21 21 21"))
    listed = unique_hkl(c, 3.0)
    with pytest.raises(InputError, match=words or "no change of origin or hand"):
        phases, _ = read_phases(path, None, None, c, listed)
        data = read_data(make_mtz({"F": ("F", lambda hkl, d: 9 + d), "SIGF": ("Q", 1.0)}), DataOptions(), c, "m")
        place_phases(phases, c, data.reflections, np.ones(len(data.reflections), complex))


def test_other_cell(make_mtz):
    path = make_mtz({"F": ("F", 5.0), **{label: ("A", 1.0) for label in HL}}, cell=(33, 35, 40, 90, 90, 90))
    c = crystal_from_gemmi(gemmi.UnitCell(31, 35, 40, 90, 90, 90), gemmi.SpaceGroup("P 21 21 21"))
    with pytest.raises(InputError, match="differs from the data's by more than 3 %"):
        read_phases(path, None, None, c, unique_hkl(c, 3.0))


def test_phases_of_an_mmcif(make_mtz, tmp_path):
    hl = lambda hkl, d: hkl @ np.array([0.1, 0.2, -0.1])  # noqa: E731
    path = make_mtz({"F": ("F", lambda hkl, d: 9 + d), "SIGF": ("Q", 1.0), **{label: ("A", hl) for label in HL}})
    cif = tmp_path / "sf.cif"
    cif.write_text(gemmi.MtzToCif().write_cif_to_string(gemmi.read_mtz_file(path)))
    c = crystal_from_gemmi(gemmi.UnitCell(31, 35, 40, 90, 90, 90), gemmi.SpaceGroup("P 21 21 21"))
    listed = unique_hkl(c, 3.0)
    np.testing.assert_allclose(
        read_phases(str(cif), None, None, c, listed)[0].hl, read_phases(path, None, None, c, listed)[0].hl, atol=1e-3
    )


def test_phases_on_other_axes(make_mtz):
    """A file in P 21 21 2 for a crystal described in P 2 21 21: operations and translations turn with the axes."""
    file = crystal_from_gemmi(gemmi.UnitCell(25, 28, 31, 90, 90, 90), gemmi.SpaceGroup("P 21 21 2"))
    c = crystal_from_gemmi(gemmi.UnitCell(31, 25, 28, 90, 90, 90), gemmi.SpaceGroup("P 2 21 21"))
    rng, listed = np.random.default_rng(3), unique_hkl(c, 4.0)
    old = listed[:, [1, 2, 0]]
    rows = np.einsum("ni,nij->nj", old, file.rotations[rng.integers(0, 4, len(old))])
    rows = rows * rng.choice([-1, 1], (len(old), 1))
    hl = rng.normal(size=(len(rows), 4))
    columns = {label: ("A", lambda hkl, d, k=k: hl[:, k]) for k, label in enumerate(HL)}
    path = make_mtz({"F": ("F", lambda hkl, d: d), **columns}, cell=(25, 28, 31, 90, 90, 90), group=file.hm, hkl=rows)
    phases, _ = read_phases(path, None, None, c, listed)
    places = rng.random((8, 3))
    before = log_probability(hl, np.angle(structure_factors(file, rows, places)))
    np.testing.assert_allclose(
        log_probability(phases.hl, np.angle(structure_factors(file, old, places))), before, atol=1e-4
    )
    # what the file calls its origin is told in the crystal's axes
    np.testing.assert_allclose(
        structure_factors(phases.origin, listed, places[:, [2, 0, 1]]), structure_factors(file, old, places),
        atol=1e-8,
    )


def test_damaged_coefficients_are_left_out(make_mtz):
    """Sharp phases have hundreds, a figure of merit of 0.9999 thousands; beyond 10,000 is no sense."""
    columns = {label: ("A", lambda hkl, d: np.choose(np.arange(len(hkl)) % 3, [5e3, 2e4, -2e4])) for label in HL[:2]}
    columns |= {label: ("A", 0.0) for label in HL[2:]}
    path = make_mtz({"F": ("F", lambda hkl, d: d), **columns})
    c = crystal_from_gemmi(gemmi.UnitCell(31, 35, 40, 90, 90, 90), gemmi.SpaceGroup("P 21 21 21"))
    hkl = np.asarray(gemmi.read_mtz_file(path).make_miller_array())
    phases, _ = read_phases(path, None, None, c, hkl)
    np.testing.assert_array_equal(phases.known, np.arange(len(hkl)) % 3 == 0)
