"""References of phases: read, averaged, compared; waters placed; a simulated derivative is what it says.  No timing."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import gemmi
import numpy as np
import pytest
from scipy.special import i0e, i1e

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from perf import complete_model, make_derivative, phase_error  # noqa: E402

CELL = gemmi.UnitCell(20.0, 24.0, 28.0, 90.0, 90.0, 90.0)


def structure(*atoms: tuple[str, tuple[float, float, float]]) -> gemmi.Structure:
    """One residue of these elements at these positions (Å), P 21 21 21."""
    made = gemmi.Structure()
    made.cell, made.spacegroup_hm = CELL, "P 21 21 21"
    model, chain, residue = gemmi.Model(1), gemmi.Chain("A"), gemmi.Residue()
    residue.name, residue.seqid = "ALA", gemmi.SeqId("1")
    for element, place in atoms:
        atom = gemmi.Atom()
        atom.name, atom.element, atom.b_iso, atom.pos = element, gemmi.Element(element), 20.0, gemmi.Position(*place)
        residue.add_atom(atom)
    chain.add_residue(residue)
    model.add_chain(chain)
    made.add_model(model)
    made.setup_entities()
    made.setup_cell_images()
    return made


def blobs(*peaks: tuple[tuple[float, float, float], float]) -> gemmi.FloatGrid:
    """A map of Gaussian peaks at positions (Å) and of heights."""
    grid = gemmi.FloatGrid(40, 48, 56)
    grid.set_unit_cell(CELL)
    grid.spacegroup = gemmi.SpaceGroup("P 21 21 21")
    index = np.stack(np.meshgrid(*map(np.arange, (40, 48, 56)), indexing="ij"), axis=-1) * 0.5
    values = np.array(grid, copy=False)
    for place, height in peaks:
        values += height * np.exp(-2.0 * np.sum((index - np.array(place)) ** 2, axis=-1))
    grid.symmetrize_max()
    return grid


def test_error_is_the_weighted_mean_and_leaves_the_unknown_out() -> None:
    f = np.exp(1j * np.radians([10.0, 350.0, 90.0]))
    reference = np.array([1.0, 2.0, 0.0], complex)
    assert phase_error.phase_error(f, reference, np.array([1.0, 3.0, 5.0])) == pytest.approx(10.0)
    f[0] = np.exp(1j * np.radians(50.0))
    assert phase_error.phase_error(f, reference, np.array([1.0, 3.0, 5.0])) == pytest.approx(20.0)
    assert math.isnan(phase_error.phase_error(f, 0.0 * reference, np.ones(3)))


def test_figures_of_merit_are_held_against_cosines() -> None:
    reference = np.exp(2j * np.pi * np.arange(5) / 5)
    f = reference * np.exp(1j * np.radians([60.0, -60.0, 0.0, 90.0, 0.0]))
    fom, used = np.array([0.42, 0.44, 1.0, 0.95, 0.1]), np.array([True, True, True, True, False])
    low, high = phase_error.calibration(f, reference, fom, used)
    assert low == pytest.approx([2, 0.43, 0.5]) and high == pytest.approx([2, 0.975, 0.5])


def test_differences_to_the_base_are_taken_seed_by_seed() -> None:
    errors = {"rice": [[5.0], [9.0]], "sad": [[4.0], [8.5]], "other": [[1.0], [1.0]]}
    base = {"rice": "rice", "sad": "rice", "other": "other"}
    lines = phase_error.paired(errors, base, {name: errors[base[name]] for name in errors})
    assert lines == [("sad − rice", "-0.75±0.25°")]


def test_prior_phases_err_as_they_say() -> None:
    n = 40_000
    rng = np.random.default_rng(3)
    f, centric = np.exp(2j * np.pi * rng.random(n)), np.arange(n) % 4 == 0
    columns = make_derivative.prior_phases(f, np.linspace(0.0, 0.3, n), centric, rng)
    assert [label for label, _, _ in columns] == ["HLA", "HLB", "HLC", "HLD"]
    prior = columns[0][2] + 1j * columns[1][2]
    certainty = np.abs(prior)
    assert certainty[0] == pytest.approx(4.0) and certainty[-1] == pytest.approx(0.5)
    right = (prior * f.conj()).real / certainty
    np.testing.assert_allclose(np.abs(right[centric]), 1.0)
    for part, expected in ((centric, np.tanh(certainty)), (~centric, i1e(certainty) / i0e(certainty))):
        assert float(right[part].mean()) == pytest.approx(float(expected[part].mean()), abs=0.01)


def test_mean_direction_is_of_unit_vectors_known_to_all() -> None:
    first, second = {(1, 0, 0): 5.0 + 0j, (2, 0, 0): 1j}, {(1, 0, 0): 0.1j}
    mean = phase_error.mean_direction([first, second])
    assert list(mean) == [(1, 0, 0)]
    assert np.degrees(np.angle(mean[1, 0, 0])) == pytest.approx(45.0)
    assert phase_error.mean_direction([]) == {}


def test_known_phases_come_back(tmp_path: Path) -> None:
    hkl = np.array([[1, 2, 3], [2, 0, 1]], np.int32)
    columns = [("FC", "F", np.array([3.0, 4.0])), ("PHIC", "P", np.array([30.0, -120.0]))]
    make_derivative.write(tmp_path / "truth.mtz", structure(("N", (5.0, 5.0, 5.0))), hkl, 1.2, columns)
    assert gemmi.read_mtz_file(str(tmp_path / "truth.mtz")).datasets[-1].wavelength == pytest.approx(1.2)
    known = phase_error.known_phases(tmp_path / "truth.mtz")
    assert known[2, 0, 1] == pytest.approx(4.0 * np.exp(1j * np.radians(-120.0)), abs=1e-5)


def test_waters_go_where_a_partner_is_and_nothing_in_the_way() -> None:
    model = structure(("N", (5.0, 5.0, 5.0)), ("C", (5.0, 5.0, 12.0)))
    # by the nitrogen; too near to it; by the carbon alone; by the first water
    peaks = [((7.8, 5.0, 5.0), 9.0), ((5.0, 6.5, 5.0), 8.0), ((5.0, 5.0, 15.2), 7.0), ((10.6, 5.0, 5.0), 6.0)]
    density, difference = blobs(*peaks), blobs(*peaks)
    assert complete_model.place(model, density, difference, 3.5) == 2
    waters = [residue[0] for chain in model[0] if chain.name == complete_model.CHAIN for residue in chain]
    for water, place in zip(waters, ((8.0, 5.0, 5.0), (10.5, 5.0, 5.0)), strict=True):
        assert model.cell.find_nearest_image(water.pos, gemmi.Position(*place), gemmi.Asu.Any).dist() < 0.5
    # the second lost its density
    assert complete_model.prune(model, blobs(peaks[0])) == 1
    assert [len(chain) for chain in model[0]] == [1, 1]


def test_neighbours_across_the_edge_of_the_cell_count() -> None:
    peak = blobs(((5.0, 5.0, 1.0), 9.0))
    assert complete_model.place(structure(("N", (5.0, 5.0, 26.2))), peak, peak, 3.5) == 1
    near = structure(("N", (5.0, 8.0, 1.0)), ("C", (5.0, 5.0, 27.5)))
    assert complete_model.place(near, peak, peak, 3.5) == 0


def test_anomalous_part_is_that_of_the_atom() -> None:
    place = np.array([3.0, 4.0, 6.0])
    model = structure(("Xe", (3.0, 4.0, 6.0)), ("H", (1.0, 1.0, 1.0)))
    hkl = np.array([[1, 2, 3], [0, 2, 5], [4, 1, 0]], np.int32)
    energy = 8041.0
    prime, second = make_derivative.anomalous(model, hkl, energy)
    x = place / [20.0, 24.0, 28.0]
    wave = np.zeros(len(hkl), complex)
    for op in gemmi.SpaceGroup("P 21 21 21").operations():
        wave += np.exp(2j * np.pi * (hkl @ np.array(op.apply_to_xyz(x.tolist()))))
    fall = np.exp(-0.25 * 20.0 * np.array([CELL.calculate_1_d2(h) for h in hkl.tolist()]))
    f1, f2 = gemmi.cromer_liberman(54, energy)
    assert np.allclose(prime, f1 * wave * fall, atol=1e-6)
    assert np.allclose(second, f2 * wave * fall, atol=1e-6)


def test_derivative_is_displaced_as_asked_and_has_its_sites() -> None:
    rng = np.random.default_rng(0)
    native = structure(*[("C", tuple(rng.uniform(0.0, 20.0, 3))) for _ in range(500)])
    sites = structure(("Xe", (3.0, 4.0, 6.0)), ("Xe", (1.0, 2.0, 3.0)))
    made = make_derivative.derivative(native, sites, (0.5, 0.0, 0.25), 0.6, 0.3, rng)
    atoms = [np.array([a.pos.tolist() for a in s[0]["A"][0]]) for s in (native, made)]
    moved = atoms[1] - atoms[0]
    own = moved - moved.mean(axis=0)
    assert np.sqrt(np.mean(np.sum(own**2, axis=1))) == pytest.approx(0.3 / np.sqrt(2.0), rel=0.06)
    added = [residue[0] for residue in made[0]["sites"]]
    assert [a.occ for a in added] == pytest.approx([0.6, 0.6])
    assert added[1].pos.tolist() == pytest.approx([11.0, 2.0, 10.0])
