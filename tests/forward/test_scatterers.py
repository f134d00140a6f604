"""Neutrons, electrons and the anomalous part: the transform is as accurate as for X-rays, adjoint included."""

from __future__ import annotations

from typing import Any

import gemmi
import numpy as np
import pytest
from crystals import ELEMENTS, make_crystal, rms, scatter_atoms, small

from gpurefine.backend import create
from gpurefine.forward.density import plan_transform
from gpurefine.io.anomalous import imaginary_gaussians
from gpurefine.io.scattering import electron_gaussians, form_factors, neutron_gaussians, xray_gaussians
from gpurefine.io.symmetry import unique_hkl
from helpers import check_adjoint

OVERALL, OUTER = 1e-4, 1e-3
"""As for X-rays (test_structure_factors)."""

SWEEP = (("P 1", 16.0, 0.9), ("P 21 21 21", 32.0, 2.0), ("I 21 3", 90.0, 4.0), ("P 31 2 1", 20.0, 1.3))

F_SECOND = imaginary_gaussians(np.array([0.0, 0.0, 0.0, 0.56, 0.0, 0.68]))
"""Cu Kα: sulphur and zinc alone."""


def factors(kind: str) -> Any:
    return F_SECOND if kind == "anomalous" else form_factors(ELEMENTS, kind)


@pytest.mark.parametrize(("hm", "length", "d_min"), SWEEP, ids=[case[0] for case in SWEEP])
@pytest.mark.parametrize("kind", ["neutron", "electron", "anomalous"])
@pytest.mark.parametrize("aniso", [0.0, 0.5])
def test_fft_agrees_with_exact_summation(hm: str, length: float, d_min: float, kind: str, aniso: float) -> None:
    case = small(create("cpu", 2), hm, length, d_min, 150, seed=1, aniso=aniso, factors=factors(kind))
    exact = case.transform.direct_summation(case.atoms)
    difference = case.transform.structure_factors(case.atoms) - exact
    s2 = case.crystal.inv_d2(case.hkl)
    outer = s2 >= np.quantile(s2, 0.9)
    assert rms(difference) <= OVERALL * rms(exact)
    assert rms(difference[outer]) <= OUTER * rms(exact[outer])


@pytest.mark.parametrize("kind", ["neutron", "electron", "anomalous"])
def test_backends_agree_and_are_adjoint(kind: str) -> None:
    rng = np.random.default_rng(0)
    f = []
    for name in ("reference", "cpu"):
        case = small(create(name, 2), "P 21 21 21", 20.0, 2.0, 40, seed=3, factors=factors(kind))
        f.append(case.transform.structure_factors(case.atoms))
        n, m = len(case.atoms.xyz), len(case.hkl)
        check_adjoint(
            lambda v, case=case, n=n: case.transform.tangent(case.atoms, v, np.zeros(n)),
            lambda w, case=case: case.transform.adjoint(case.atoms, w).xyz,
            rng.normal(size=(n, 3)), rng.normal(size=m) + 1j * rng.normal(size=m),
            1e-10 if name == "reference" else 1e-5,
        )
    assert rms(f[1] - f[0]) < 5e-6 * rms(f[0])


def test_anomalous_pair_from_two_real_densities() -> None:
    """F(h) = F′(h) + iF″(h) and F(−h)* = F′(h) − iF″(h), with f = f′ + if″ summed over all atoms of the cell."""
    crystal = make_crystal("P 31 2 1", 20.0)
    hkl = unique_hkl(crystal, 2.0)
    atoms = scatter_atoms(crystal, 30, seed=2, aniso=0.0)
    backend = create("cpu", 2)
    a, b = xray_gaussians(ELEMENTS)
    real, second = (
        plan_transform(backend, crystal, hkl, atoms.b_iso, atoms.kind, *table).structure_factors(atoms)
        for table in ((a, b), F_SECOND)
    )
    fractional = atoms.xyz @ crystal.frac.T
    quarter = 0.25 * crystal.inv_d2(hkl)
    size = np.stack([
        (a[k] * np.exp(-np.outer(quarter, b[k]))).sum(axis=1) + 1j * F_SECOND[0][k, 0] for k in atoms.kind
    ], axis=1) * atoms.weight * np.exp(-np.outer(quarter, atoms.b_iso))  # fmt: skip
    for sign in (1, -1):
        total = np.zeros(len(hkl), complex)
        for rotation, translation in zip(crystal.rotations, crystal.translations, strict=True):
            places = fractional @ rotation.T + translation
            total += (size * np.exp(2j * np.pi * sign * (hkl @ places.T))).sum(axis=1)
        model = real + 1j * second if sign > 0 else np.conj(real - 1j * second)
        assert rms(model - total) < 2e-4 * rms(total)


def test_tables() -> None:
    a, b = neutron_gaussians(["H", "D", "C", "N", "O"])
    np.testing.assert_allclose(a[:, 0], [-3.739, 6.671, 6.646, 9.36, 5.803], atol=0.01)  # fm
    assert (b == 0.0).all()
    a, b = electron_gaussians(["C", "D", "H"])
    assert a[0].sum() == pytest.approx(2.509, abs=0.01) and (a[1] == a[2]).all()  # f(0) of carbon, Å
    # Mott and Bethe: f(s) = (Z − f_x(s)) / (2π² a₀ s²), 0.02393 Å⁻¹ (4/s²)
    s = 0.6
    x, y = xray_gaussians(["C"])
    mott_bethe = 0.023934 * 4.0 * (6.0 - float((x * np.exp(-0.25 * y * s * s)).sum())) / (s * s)
    assert float((a[0] * np.exp(-0.25 * b[0] * s * s)).sum()) == pytest.approx(mott_bethe, rel=0.01)
    assert gemmi.Element("D").neutron92 is not None
