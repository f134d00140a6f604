"""Friedel mates: which is which after reduction to the asymmetric unit, and where they come from."""

import gemmi
import numpy as np
import pytest

from gpurefine.backend import create
from gpurefine.config import DataOptions
from gpurefine.forward.density import plan_transform, smallest_b
from gpurefine.io.anomalous import anomalous_factors, imaginary_gaussians
from gpurefine.io.fcalc_files import model_scatterers
from gpurefine.io.friedel import merged_alone
from gpurefine.io.measurements import positions
from gpurefine.io.reflections import read_data
from gpurefine.io.scattering import xray_gaussians
from gpurefine.io.structure import read_model, structure_crystal
from gpurefine.io.symmetry import asu_rows, crystal_from_gemmi

GROUPS = {
    "P 1": (12, 14, 16, 80, 95, 105),
    "P 1 21 1": (12, 14, 16, 90, 100, 90),
    "C 1 2 1": (22, 14, 16, 90, 110, 90),
    "P 21 21 21": (15, 18, 21, 90, 90, 90),
    "P 43": (16, 16, 24, 90, 90, 90),
    "P 43 21 2": (20, 20, 26, 90, 90, 90),
    "P 31": (17, 17, 22, 90, 90, 120),
    "P 31 2 1": (18, 18, 24, 90, 90, 120),
    "P 3 1 2": (18, 18, 20, 90, 90, 120),
    "R 3 :H": (24, 24, 26, 90, 90, 120),
    "P 61": (20, 20, 24, 90, 90, 120),
    "I 21 3": (26, 26, 26, 90, 90, 90),
    "P 43 3 2": (28, 28, 28, 90, 90, 90),
}


def anomalous(crystal, hkl, seed=3):
    """F(h) (n,) of six atoms in general positions, two of them with f″, so that F(−h) is not the conjugate of F(h)."""
    rng = np.random.default_rng(seed)
    places, f = rng.random((6, 3)), np.array([8.0, 8.0, 8.0, 8.0, 30.0 + 9.0j, 14.0 + 5.0j])
    total = np.zeros(len(hkl), complex)
    for rotation, translation in zip(crystal.rotations, crystal.translations, strict=True):
        total += np.exp(2j * np.pi * (hkl @ (rotation @ places.T + translation[:, None]))) @ f
    return total / crystal.n_centring


def scattered(crystal, d_min=3.0, seed=5):
    """Every unique reflection once, moved out of the asymmetric unit by some operation, half of them by −1 too."""
    rng = np.random.default_rng(seed)
    group = gemmi.SpaceGroup(crystal.hm)
    hkl = np.asarray(gemmi.make_miller_array(gemmi.UnitCell(*crystal.cell), group, d_min), dtype=np.int32)
    rotation = crystal.rotations[rng.integers(0, crystal.n_primitive, len(hkl))]
    return np.einsum("ni,nij->nj", hkl, rotation).astype(np.int32) * rng.choice([-1, 1], len(hkl))[:, None]


def pair_columns(crystal, letters="GL", squared=False):
    def size(sign):
        power = 2 if squared else 1
        return lambda hkl, d: np.abs(anomalous(crystal, sign * np.asarray(hkl, dtype=np.int64))) ** power

    name = "I" if squared else "F"
    return {
        f"{name}(+)": (letters[0], size(1)), f"SIG{name}(+)": (letters[1], lambda hkl, d: 0.01 + 0.001 * d),
        f"{name}(-)": (letters[0], size(-1)), f"SIG{name}(-)": (letters[1], lambda hkl, d: 0.02 + 0.001 * d),
    }  # fmt: skip


def read(path, model=None, **options):
    return read_data(path, DataOptions(**options), model, "model.pdb")


def check_hands(data, crystal, rtol=1e-5):
    r, pairs = data.reflections, data.friedel
    plus, minus = np.abs(anomalous(crystal, r.hkl)), np.abs(anomalous(crystal, -r.hkl))
    both = pairs.both
    assert both.sum() > 0.9 * (~r.centric).sum() and not (both & r.centric).any()
    np.testing.assert_allclose(pairs.plus[both], plus[both], rtol=rtol)
    np.testing.assert_allclose(pairs.minus[both], minus[both], rtol=rtol)
    np.testing.assert_allclose(pairs.plus[r.centric & r.observed], plus[r.centric & r.observed], rtol=rtol)
    swapped = np.abs(plus - minus)[both] > 10 * rtol * plus[both]
    assert swapped.sum() > 20, "the mates hardly differ: this test would see no error of hand"


@pytest.mark.parametrize("name", GROUPS)
def test_hands_after_reduction(make_mtz, name):
    crystal = crystal_from_gemmi(gemmi.UnitCell(*GROUPS[name]), gemmi.SpaceGroup(name))
    hkl = scattered(crystal)
    # as they stand the rows are anywhere; what stands in F(+) is F of the row's own index
    path = make_mtz(pair_columns(crystal), cell=GROUPS[name], group=name, hkl=hkl)
    data = read(path)
    assert data.kind == "friedel amplitudes"
    check_hands(data, data.crystal)


@pytest.mark.parametrize("name", GROUPS)
def test_operation_and_phase_of_every_row(name):
    crystal = crystal_from_gemmi(gemmi.UnitCell(*GROUPS[name]), gemmi.SpaceGroup(name))
    hkl = scattered(crystal)
    rows = asu_rows(crystal, hkl)
    before, listed = anomalous(crystal, hkl), anomalous(crystal, rows.hkl)
    moved = before * np.exp(-2j * np.pi * rows.shift)
    mates = anomalous(crystal, -rows.hkl)
    np.testing.assert_allclose(np.where(rows.mate, mates, listed), moved, atol=1e-8 * np.abs(before).max())
    centric = np.asarray(gemmi.SpaceGroup(name).operations().centric_flag_array(hkl), dtype=bool)
    assert not (rows.mate & centric).any() and rows.mate.sum() > 0.2 * (~centric).sum()


def test_other_axes_keep_the_hand(make_mtz):
    file = crystal_from_gemmi(gemmi.UnitCell(18, 21, 15, 90, 90, 90), gemmi.SpaceGroup("P 21 21 2"))
    model = crystal_from_gemmi(gemmi.UnitCell(15, 18, 21, 90, 90, 90), gemmi.SpaceGroup("P 2 21 21"))
    path = make_mtz(pair_columns(file), cell=tuple(file.cell), group="P 21 21 2", hkl=scattered(file))
    data = read(path, model)
    r, pairs = data.reflections, data.friedel
    change = next(m for m in data.messages if "h,k,l → l,h,k" in m)
    assert change
    old = r.hkl[:, [1, 2, 0]]
    both = pairs.both
    np.testing.assert_allclose(pairs.plus[both], np.abs(anomalous(file, old))[both], rtol=1e-5)
    np.testing.assert_allclose(pairs.minus[both], np.abs(anomalous(file, -old))[both], rtol=1e-5)


def test_lower_symmetry_merges_each_mate(make_mtz):
    name = "P 21 21 21"
    crystal = crystal_from_gemmi(gemmi.UnitCell(*GROUPS[name]), gemmi.SpaceGroup(name))
    unit, operations = gemmi.UnitCell(*GROUPS[name]), gemmi.SpaceGroup(name).operations()
    hkl = gemmi.make_miller_array(unit, gemmi.SpaceGroup("P 1"), 3.0)
    hkl = hkl[~np.asarray(operations.systematic_absences(hkl), dtype=bool)]
    data = read(make_mtz(pair_columns(crystal), cell=GROUPS[name], group="P 1", hkl=hkl), crystal)
    check_hands(data, crystal)


def test_structure_factor_mmcif(make_mtz, tmp_path):
    name = "P 43 21 2"
    crystal = crystal_from_gemmi(gemmi.UnitCell(*GROUPS[name]), gemmi.SpaceGroup(name))
    path = make_mtz(pair_columns(crystal), cell=GROUPS[name], group=name, hkl=scattered(crystal))
    cif = tmp_path / "sf.cif"
    cif.write_text(gemmi.MtzToCif().write_cif_to_string(gemmi.read_mtz_file(path)))
    assert "pdbx_F_plus" in cif.read_text()
    check_hands(read(str(cif)), crystal, rtol=1e-3)


@pytest.mark.parametrize("named", [False, True])
def test_mean_and_difference(make_mtz, named):
    name = "P 31 2 1"
    crystal = crystal_from_gemmi(gemmi.UnitCell(*GROUPS[name]), gemmi.SpaceGroup(name))

    def mates(hkl):
        hkl = np.asarray(hkl, dtype=np.int64)
        return np.abs(anomalous(crystal, hkl)), np.abs(anomalous(crystal, -hkl))

    columns = {
        "F": ("F", lambda hkl, d: sum(mates(hkl)) / 2), "SIGF": ("Q", lambda hkl, d: 1.0 + 0.1 * d),
        "DANO": ("D", lambda hkl, d: mates(hkl)[0] - mates(hkl)[1]),
        "SIGDANO": ("Q", lambda hkl, d: np.where(np.arange(len(hkl)) % 7, 2.0 + 0.2 * d, np.nan)),
    }  # fmt: skip
    path = make_mtz(columns, cell=GROUPS[name], group=name, hkl=scattered(crystal))
    data = read(path, labels="F,SIGF,DANO,SIGDANO" if named else None)
    r, pairs = data.reflections, data.friedel
    assert data.kind == "amplitudes" and pairs.labels == ("F", "SIGF", "DANO", "SIGDANO")
    both = pairs.both
    assert 0.8 < both.sum() / (~r.centric).sum() < 0.9
    np.testing.assert_allclose(pairs.plus[both], np.abs(anomalous(crystal, r.hkl))[both], rtol=1e-5)
    np.testing.assert_allclose(pairs.minus[both], np.abs(anomalous(crystal, -r.hkl))[both], rtol=1e-5)
    np.testing.assert_allclose(pairs.sigma_plus[both], np.sqrt(2.0) * r.sigma[both], rtol=1e-5)
    # without a difference the mean stands for one mate, and is not counted twice
    assert (np.isfinite(pairs.plus) ^ np.isfinite(pairs.minus))[~both & r.observed].all()


def test_intensities_of_the_mates(make_mtz):
    name = "P 21 21 21"
    crystal = crystal_from_gemmi(gemmi.UnitCell(*GROUPS[name]), gemmi.SpaceGroup(name))
    columns = pair_columns(crystal, "KM", squared=True)
    data = read(make_mtz(columns, cell=GROUPS[name], group=name, hkl=scattered(crystal)))
    assert data.kind == "friedel intensities" and data.intensity is not None
    check_hands(data, crystal, rtol=2e-4)


def test_companions_are_found_by_name(make_mtz, amplitude):
    def sized(size):
        return lambda hkl, d: size * (1 + 0.001 * amplitude(hkl, d))

    columns = {"FREE": ("I", lambda hkl, d: np.arange(len(hkl)) % 20)}
    for name, size in (("F_peak", 100.0), ("F_inf", 300.0)):
        columns |= {name: ("F", sized(size)), f"SIG{name}": ("Q", lambda hkl, d: d)}
        for k, sign in enumerate("+-"):
            columns |= {f"{name}({sign})": ("G", sized(size + k)), f"SIG{name}({sign})": ("L", lambda hkl, d: d)}
    path = make_mtz(columns)
    for name, size in (("F_peak", 100.0), ("F_inf", 300.0)):
        data = read(path, labels=f"{name},SIG{name}")
        pairs = data.friedel
        assert pairs.labels[0] == f"{name}(+)" and data.labels == (name, f"SIG{name}")
        ratio = pairs.plus[pairs.both] / (1 + 0.001 * amplitude(data.reflections.hkl[pairs.both], None))
        np.testing.assert_allclose(ratio, size, rtol=0.02)


def test_unequal_lists_and_merged_mates_get_their_sentence(make_mtz, amplitude):
    def few(hkl, d):
        return np.where(np.arange(len(hkl)) % 3, np.nan, 5 + amplitude(hkl, d))

    sigma = ("L", lambda hkl, d: d)
    columns = {"F(+)": ("G", amplitude), "SIGF(+)": sigma, "F(-)": ("G", few), "SIGF(-)": sigma}
    data = read(make_mtz(columns))
    assert any("most reflections have one mate only" in m for m in data.messages)
    data = read(make_mtz({**columns, "F(-)": ("G", amplitude)}))
    assert merged_alone(data.friedel) and any("there is no anomalous signal" in m for m in data.messages)
    data = read(make_mtz({**columns, "F(-)": ("G", np.nan)}))
    assert any("have both mates of no reflection" in m for m in data.messages)


def test_pairs_without_a_mean_value(make_mtz, amplitude):
    columns = {
        "F": ("F", lambda hkl, d: np.where(np.arange(len(hkl)) % 10, amplitude(hkl, d), np.nan)),
        "SIGF": ("Q", lambda hkl, d: d), "F(+)": ("G", amplitude), "SIGF(+)": ("L", lambda hkl, d: d),
        "F(-)": ("G", lambda hkl, d: 3 + amplitude(hkl, d)), "SIGF(-)": ("L", lambda hkl, d: d),
    }  # fmt: skip
    data = read(make_mtz(columns))
    assert not (data.friedel.some & ~data.reflections.observed).any()
    assert any("Friedel pairs without a mean value are left out" in m for m in data.messages)


def test_intensities_beside_amplitudes(make_mtz, amplitude):
    columns = {
        "F": ("F", amplitude), "SIGF": ("Q", lambda hkl, d: d), "I": ("J", lambda hkl, d: amplitude(hkl, d) ** 2 - 9),
        "SIGI": ("Q", lambda hkl, d: 10 * d),
    }  # fmt: skip
    path = make_mtz(columns)
    data = read(path)
    assert data.kind == "amplitudes" and not data.from_intensities
    np.testing.assert_allclose(data.intensity, amplitude(data.reflections.hkl, None) ** 2 - 9, rtol=1e-5)
    chosen = read(path, prefer="intensities")
    assert chosen.from_intensities and chosen.labels == ("I", "SIGI")
    np.testing.assert_allclose(chosen.intensity, data.intensity)
    assert positions(chosen.reflections.hkl, data.reflections.hkl).min() >= 0


def test_intensities_of_mates_beside_amplitudes(make_mtz, amplitude):
    """Averaged with weights 1/σ²."""
    columns = {
        "F": ("F", amplitude), "SIGF": ("Q", lambda hkl, d: d),
        "I(+)": ("K", lambda hkl, d: amplitude(hkl, d) ** 2 + 30.0), "SIGI(+)": ("M", lambda hkl, d: 10.0 * d),
        "I(-)": ("K", lambda hkl, d: amplitude(hkl, d) ** 2 - 30.0), "SIGI(-)": ("M", lambda hkl, d: 20.0 * d),
    }  # fmt: skip
    data = read(make_mtz(columns))
    r = data.reflections
    assert data.kind == "amplitudes"
    expected = amplitude(r.hkl, None) ** 2 + 30.0 * (4.0 - 1.0) / 5.0
    np.testing.assert_allclose(data.intensity, expected, rtol=1e-5)
    np.testing.assert_allclose(data.sigma_intensity, 20.0 / np.sqrt(5.0) * r.inv_d2**-0.5, rtol=1e-4)


@pytest.mark.parametrize(("case", "wavelength"), [("insulin_ssad", 1.5418), ("hewl_ssad", 1.893)])
def test_hand_of_real_data(case_folder, case, wavelength):
    """Measured and calculated |F(+)| − |F(−)| go together; in the other hand they would oppose each other."""
    structure = read_model(str(case_folder / case / "model.pdb")).structure
    path = str(case_folder / case / "data.mtz")
    data = read_data(path, DataOptions(d_min=2.5), structure_crystal(structure), "model")
    atoms, names = model_scatterers(structure)
    _, f_second = anomalous_factors(names, wavelength)
    real, second = (
        plan_transform(
            create("cpu", 1), data.crystal, data.reflections.hkl, smallest_b(atoms), atoms.kind, *table
        ).structure_factors(atoms)
        for table in (xray_gaussians(names), imaginary_gaussians(f_second))
    )
    both = data.friedel.both
    calculated = np.abs(real + 1j * second) - np.abs(real - 1j * second)
    measured = data.friedel.plus - data.friedel.minus
    assert np.corrcoef(measured[both], calculated[both])[0, 1] > 0.6


def test_weak_mates_become_amplitudes_by_their_own_statistics(make_mtz):
    """French and Wilson's prior of centric reflections differs; there a mate is the mean, here at I ≈ σ and below 0."""
    name = "P 21 21 21"
    crystal = crystal_from_gemmi(gemmi.UnitCell(*GROUPS[name]), gemmi.SpaceGroup(name))

    def noisy(sign):
        return lambda hkl, d: np.abs(anomalous(crystal, sign * np.asarray(hkl, dtype=np.int64))) ** 2 + 900.0 * (
            np.random.default_rng(5 + sign).normal(size=len(hkl))
        )

    columns = {
        "I(+)": ("K", noisy(1)), "SIGI(+)": ("M", 900.0), "I(-)": ("K", noisy(-1)), "SIGI(-)": ("M", 900.0),
    }  # fmt: skip
    data = read(make_mtz(columns, cell=GROUPS[name], group=name, hkl=scattered(crystal, 2.0)))
    r, pairs = data.reflections, data.friedel
    centric = r.centric & r.observed
    assert (data.intensity[centric] < 0.0).sum() > 5
    np.testing.assert_allclose(pairs.plus[centric], r.f[centric], rtol=1e-4)
    np.testing.assert_allclose(pairs.sigma_plus[centric], r.sigma[centric], rtol=1e-4)


def pair_names(path, labels=None):
    found = read(path, labels=labels).friedel
    return None if found is None else found.labels[0]


def test_companions_that_are_not_clear_are_not_taken(make_mtz, amplitude):
    """Two sets of mates of which neither has the name of the mean; then two of the same name but for its capitals."""

    def mates(*names):
        return {
            f"{kind}{name}({sign})": (letter, amplitude if kind == "" else 1.0)
            for name in names for sign in "+-" for kind, letter in (("", "G"), ("SIG", "L"))
        }  # fmt: skip

    mean = {"F": ("F", amplitude), "SIGF": ("Q", lambda hkl, d: d)}
    assert pair_names(make_mtz(mean | mates("F_peak"))) == "F_peak(+)"
    assert pair_names(make_mtz(mean | mates("F_peak", "F_inf"))) is None
    assert pair_names(make_mtz(mean | mates("F_peak", "F_inf", "F"))) == "F(+)"
    assert pair_names(make_mtz(mean | mates("F", "f"))) is None


def test_intensities_that_are_not_clear_are_not_taken(make_mtz, amplitude):
    """The only ones of the data set, or those of a usual name, or of the name of the amplitudes."""

    def intensity(*names):
        return {
            key: value for k, name in enumerate(names, 1)
            for key, value in (
                (name, ("J", lambda hkl, d, k=k: k * amplitude(hkl, d) ** 2)), (f"SIG{name}", ("Q", 10.0))
            )
        }  # fmt: skip

    mean = {"F": ("F", amplitude), "SIGF": ("Q", lambda hkl, d: d)}

    def size(*names):
        data = read(make_mtz(mean | intensity(*names)), labels="F,SIGF")
        if data.intensity is None:
            return None
        return round(float(np.nanmedian(data.intensity / amplitude(data.reflections.hkl, None) ** 2)), 3)

    assert size("Jpeak") == 1.0
    assert size("Jpeak", "Jinf") is None
    assert size("Jpeak", "IMEAN") == 2.0
    assert size("Jpeak", "F_mean") == 2.0
