"""A derivative's files: what fits the native is brought onto its list, what does not is said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gemmi
import numpy as np
import pytest
from small_models import xenon_sites

from gpurefine.config import AnomalousOptions, DataOptions
from gpurefine.errors import GpurefineError, InputError, UsageError
from gpurefine.io.derivative import with_derivative
from gpurefine.io.reflections import DataSet, read_data
from gpurefine.io.scattering import xray_gaussians

ELEMENTS = ["C", "N", "O", "S"]


def derivative_file(
    path: Path, source: Path, stretch: float = 1.0, keep: float = 1.0, wavelength: float = 1.5, signal: float = 0.05
) -> str:
    """Friedel pairs made of the mean amplitudes or intensities of ``source``."""
    given = gemmi.read_mtz_file(str(source))
    column = next(c for c in given.columns if c.type in "FJ")
    f = np.array(column.array)
    hkl = given.make_miller_array()
    rng = np.random.default_rng(0)
    use = np.isfinite(f) & (f > 0.0) & (rng.random(len(f)) < keep)
    f = np.sqrt(f[use]) if column.type == "J" else f[use]
    change = 1.0 + signal * rng.normal(size=len(f))
    mtz = gemmi.Mtz(with_base=True)
    mtz.spacegroup = given.spacegroup
    cell = given.cell
    mtz.set_cell_for_all(gemmi.UnitCell(*(stretch * x for x in cell.parameters[:3]), *cell.parameters[3:]))
    mtz.add_dataset("derivative").wavelength = wavelength
    for label, kind in (("F(+)", "G"), ("SIGF(+)", "L"), ("F(-)", "G"), ("SIGF(-)", "L")):
        mtz.add_column(label, kind)
    mtz.set_data(np.column_stack([hkl[use], f * change, 0.02 * f, f / change, 0.02 * f]).astype(np.float32))
    mtz.write_to_file(str(path))
    return str(path)


@pytest.fixture(scope="module")
def native(example: tuple[Path, Path]) -> tuple[DataSet, Path]:
    return read_data(str(example[1]), DataOptions(d_min=2.5), None, ""), example[1]


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(xenon_sites(tmp_path_factory.mktemp("sites") / "xe.pdb"))


def ask(native: DataSet, data: str, model: str, **options: Any) -> Any:
    chosen = AnomalousOptions(derivative_data=data, derivative_model=model, **options)
    return with_derivative(xray_gaussians(ELEMENTS), ELEMENTS, native, chosen, DataOptions(d_min=2.5))


def test_pairs_and_sites_on_the_list_of_the_native(native: Any, sites: str, tmp_path: Path) -> None:
    data, source = native
    found = ask(data, derivative_file(tmp_path / "d.mtz", source, 1.002, 0.8), sites)
    d = found.derivative
    assert len(d.pairs) == len(data.reflections) and 0.6 < d.pairs.some.mean() < 0.9
    ratio = d.pairs.plus / data.reflections.f
    assert np.nanstd(ratio[d.pairs.both]) < 0.1 * np.nanmean(ratio[d.pairs.both])
    assert d.names == ("Xe", "Xe") or d.names == ("XE", "XE")
    np.testing.assert_allclose(d.sites[:, 0] * data.crystal.cell[0], [5.0, 12.0], rtol=0.01)
    np.testing.assert_allclose(d.sites[:, 3:], [[25.0, 0.5]] * 2)
    assert len(found.form_factors) == 2 and d.f_second[0] == pytest.approx(7.0, abs=0.8)
    # the form factor at s = 0 is the number of electrons with f′
    assert d.gauss_a[0].sum() == pytest.approx(54.0, abs=1.5)
    assert any("2 heavy-atom sites" in text for text in found.messages)


def test_what_does_not_fit_is_said(native: Any, sites: str, tmp_path: Path, example: tuple[Path, Path]) -> None:
    data, source = native
    with pytest.raises(GpurefineError, match="cell"):
        ask(data, derivative_file(tmp_path / "far.mtz", source, 1.05), sites)
    with pytest.raises(InputError, match="is not isomorphous"):
        ask(data, derivative_file(tmp_path / "near.mtz", source, 1.025), sites)
    with pytest.raises(InputError, match="of the reflections of"):
        ask(data, derivative_file(tmp_path / "few.mtz", source, 1.0, 0.1), sites)
    with pytest.raises(UsageError, match="does not say at which wavelength"):
        ask(data, derivative_file(tmp_path / "no.mtz", source, wavelength=0.0), sites)
    with pytest.raises(InputError, match="no Friedel pairs that differ"):
        ask(data, derivative_file(tmp_path / "same.mtz", source, signal=0.0), sites)
    good = derivative_file(tmp_path / "good.mtz", source)
    with pytest.raises(InputError, match="heavy atoms alone"):
        ask(data, good, str(example[0]))
    with pytest.raises(UsageError, match="no atom of Hg"):
        ask(data, good, sites, anomalous_factors=("Hg,-5,8",))
    with pytest.raises(UsageError, match="need each other"):
        AnomalousOptions(derivative_data="a.mtz")
    with pytest.raises(UsageError, match="those of the derivative"):
        ask(data, good, sites, anomalous=True)
