"""F by FFT: closed form, exact summation over the space groups, gemmi as a third opinion, adjoint and tangent."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import gemmi
import numpy as np
import pytest
from crystals import ELEMENTS, Small, make_crystal, rms, scatter_atoms, small, smallest_b

from gpurefine.backend import create
from gpurefine.backend.plans import Scatterers
from gpurefine.forward.density import plan_transform
from gpurefine.io.scattering import xray_gaussians
from gpurefine.io.symmetry import unique_hkl
from gpurefine.model.crystal import Crystal
from helpers import check_adjoint, precision

OVERALL, OUTER = 1e-4, 1e-3
"""Method 1: r.m.s.|ΔF|/r.m.s.|F| over all data and in the tenth at highest resolution."""

SWEEP = (
    ("P 1", 16.0, 0.9),
    ("P 1 21 1", 20.0, 1.2),
    ("C 1 2 1", 28.0, 1.5),
    ("P 21 21 21", 32.0, 2.0),
    ("P 43 21 2", 48.0, 2.5),
    ("P 31 2 1", 20.0, 1.0),
    ("P 65", 60.0, 3.0),
    ("I 21 3", 90.0, 4.0),
    ("R 3 2:H", 44.0, 1.8),
    ("F 2 3", 80.0, 3.5),
)

LINEAR = {"single": 1e-5, "double": 1e-10}


@pytest.mark.parametrize(("hm", "length", "d_min"), SWEEP, ids=[case[0] for case in SWEEP])
@pytest.mark.parametrize("aniso", [0.0, 0.5])
def test_fft_agrees_with_exact_summation(hm: str, length: float, d_min: float, aniso: float) -> None:
    case = small(create("cpu", 2), hm, length, d_min, 150, seed=1, aniso=aniso)
    difference = case.transform.structure_factors(case.atoms)
    exact = case.transform.direct_summation(case.atoms)
    difference = difference - exact
    s2 = case.crystal.inv_d2(case.hkl)
    outer = s2 >= np.quantile(s2, 0.9)
    assert rms(difference) <= OVERALL * rms(exact)
    assert rms(difference[outer]) <= OUTER * rms(exact[outer])


def test_reference_fft_agrees_with_its_own_summation() -> None:
    case = small(create("reference"), "P 31 2 1", 14.0, 2.0, 20, seed=2)
    exact = case.transform.direct_summation(case.atoms)
    assert rms(case.transform.structure_factors(case.atoms) - exact) <= OVERALL * rms(exact)


@pytest.mark.parametrize("hm", ["P 1", "C 1 2 1", "P 65", "I 21 3"])
def test_backends_agree(hm: str) -> None:
    """The compiled loops do what the reference defines, beyond the error that both share."""
    cases = [small(create(name, 2), hm, 20.0, 1.6, 40, seed=3) for name in ("reference", "cpu")]
    f = [case.transform.structure_factors(case.atoms) for case in cases]
    assert rms(f[1] - f[0]) < 5e-6 * rms(f[0])
    exact = [case.transform.direct_summation(case.atoms) for case in cases]
    assert rms(exact[1] - exact[0]) < 1e-12 * rms(exact[0])
    rng = np.random.default_rng(0)
    gradient = rng.normal(size=len(f[0])) + 1j * rng.normal(size=len(f[0]))
    back = [case.transform.adjoint(case.atoms, gradient, True) for case in cases]
    for name in ("xyz", "b_iso", "u_aniso", "weight"):
        a, b = (getattr(g, name) for g in back)
        assert rms(b - a) < 1e-5 * rms(a), name


def one_atom(element: str, b: float, xyz: Any = (0.0, 0.0, 0.0), weight: float = 1.0) -> Scatterers:
    return Scatterers(
        np.array([xyz], np.float64), np.array([b]), np.zeros((1, 6)), np.zeros(1, bool), np.array([weight]),
        np.array([ELEMENTS.index(element)], np.int32),
    )


def test_atom_at_the_origin_shows_its_form_factor(backend: Any) -> None:
    crystal = make_crystal("P 1", 14.0)
    hkl = unique_hkl(crystal, 1.5)
    atoms = one_atom("S", 12.0, weight=0.7)
    a, b = xray_gaussians(ELEMENTS)
    transform = plan_transform(backend, crystal, hkl, atoms.b_iso, atoms.kind, a, b)
    quarter = 0.25 * crystal.inv_d2(hkl)
    form = sum(a[3, g] * np.exp(-b[3, g] * quarter) for g in range(5))
    expected = 0.7 * form * np.exp(-12.0 * quarter)
    for f in (transform.structure_factors(atoms), transform.direct_summation(atoms)):
        np.testing.assert_allclose(f, expected, atol=5e-4 * float(expected.max()))
    np.testing.assert_allclose(transform.direct_summation(atoms), expected, rtol=1e-12)


def test_moved_atom_turns_the_phase(backend: Any) -> None:
    """F(h) = f exp(+2πi h·x): the sign of the exponent is the crystallographers'."""
    crystal = make_crystal("P 1", 14.0)
    hkl = unique_hkl(crystal, 2.0)
    x = np.array([0.13, 0.71, 0.42])
    atoms = one_atom("C", 20.0, crystal.orth @ x)
    transform = plan_transform(backend, crystal, hkl, atoms.b_iso, atoms.kind, *xray_gaussians(ELEMENTS))
    f = transform.structure_factors(atoms)
    phase = np.exp(2j * np.pi * hkl @ x)
    np.testing.assert_allclose(f / np.abs(f), phase, atol=3e-3)


def gemmi_structure(crystal: Crystal, atoms: Scatterers) -> gemmi.Structure:
    structure = gemmi.Structure()
    structure.cell = gemmi.UnitCell(*crystal.cell)
    structure.spacegroup_hm = crystal.hm
    model, chain, residue = gemmi.Model(1), gemmi.Chain("A"), gemmi.Residue()
    for k in range(len(atoms.weight)):
        atom = gemmi.Atom()
        atom.name, atom.element = f"X{k}", gemmi.Element(ELEMENTS[atoms.kind[k]])
        atom.pos, atom.occ, atom.b_iso = gemmi.Position(*atoms.xyz[k]), atoms.weight[k], atoms.b_iso[k]
        if atoms.is_aniso[k]:
            atom.aniso = gemmi.SMat33f(*atoms.u_aniso[k])
        residue.add_atom(atom)
    chain.add_residue(residue)
    model.add_chain(chain)
    structure.add_model(model)
    structure.setup_cell_images()
    return structure


@pytest.mark.parametrize("hm", ["P 1 21 1", "R 3 2:H", "F 2 3"])
def test_gemmi_sums_to_the_same(hm: str) -> None:
    """An implementation that is not ours: it also fixes the phase convention and the centring."""
    case = small(create("cpu", 2), hm, 30.0, 2.2, 60, seed=4)
    structure = gemmi_structure(case.crystal, case.atoms)
    calculator = gemmi.StructureFactorCalculatorX(structure.cell)
    some = np.random.default_rng(0).choice(len(case.hkl), 60, replace=False)
    theirs = np.array([calculator.calculate_sf_from_model(structure[0], case.hkl[k].tolist()) for k in some])
    exact = case.transform.direct_summation(case.atoms)[some]
    # gemmi keeps occupancy, B and U in single precision
    assert rms(exact - theirs) < 1e-5 * rms(theirs)


def directions(case: Small, seed: int, kind: str) -> dict[str, Any]:
    """Random shifts of one kind of parameter, zero elsewhere."""
    rng = np.random.default_rng(seed)
    n = len(case.atoms.weight)
    v = {"v_xyz": np.zeros((n, 3)), "v_b": np.zeros(n), "v_u": np.zeros((n, 6)), "v_weight": np.zeros(n)}
    name = {"xyz": "v_xyz", "b": "v_b", "u": "v_u", "weight": "v_weight"}[kind]
    v[name] = rng.normal(size=v[name].shape)
    v["v_b"][case.atoms.is_aniso] = 0.0
    v["v_u"][~case.atoms.is_aniso] = 0.0
    return v


@pytest.mark.parametrize("kind", ["xyz", "b", "u", "weight"])
@pytest.mark.parametrize("hm", ["P 21 21 21", "I 21 3"])
def test_adjoint_of_the_transform(backend: Any, hm: str, kind: str) -> None:
    case = small(backend, hm, 18.0, 2.2, 30, seed=5)
    rng = np.random.default_rng(1)
    w = rng.normal(size=len(case.hkl)) + 1j * rng.normal(size=len(case.hkl))
    v = directions(case, 2, kind)
    name = {"xyz": "xyz", "b": "b_iso", "u": "u_aniso", "weight": "weight"}[kind]
    full = {"xyz": "v_xyz", "b": "v_b", "u": "v_u", "weight": "v_weight"}[kind]
    check_adjoint(
        lambda x: case.transform.tangent(case.atoms, **{**v, full: x}),
        lambda y: getattr(case.transform.adjoint(case.atoms, y, True), name),
        v[full], w, LINEAR[precision(backend)],
    )


def test_normal_product_is_symmetric_and_not_negative(backend: Any) -> None:
    case = small(backend, "P 1 21 1", 16.0, 2.2, 25, seed=6, aniso=0.0)
    rng = np.random.default_rng(3)
    weight = rng.random(len(case.hkl))
    shifts = [(rng.normal(size=(25, 3)), rng.normal(size=25)) for _ in range(2)]
    images = [case.transform.normal_product(case.atoms, weight, *v) for v in shifts]

    def product(i: int, j: int) -> float:
        return float(np.sum(shifts[i][0] * images[j].xyz) + shifts[i][1] @ images[j].b_iso)

    size = np.sqrt(product(0, 0) * product(1, 1))
    assert product(0, 0) > 0.0 and product(1, 1) > 0.0
    assert abs(product(0, 1) - product(1, 0)) < LINEAR[precision(backend)] * size


@pytest.mark.parametrize("kind", ["xyz", "b", "u", "weight"])
def test_tangent_is_the_derivative_of_the_exact_sum(backend: Any, kind: str) -> None:
    """J v by FFT against central differences of direct summation: within the tolerance of the FFT itself."""
    case = small(backend, "P 43 21 2", 24.0, 2.2, 30, seed=7, b_range=(8.0, 60.0))
    atoms, v = case.atoms, directions(case, 4, kind)

    def moved(t: float) -> Any:
        return case.transform.direct_summation(
            replace(
                atoms, xyz=atoms.xyz + t * v["v_xyz"], b_iso=atoms.b_iso + t * v["v_b"],
                u_aniso=atoms.u_aniso + t * v["v_u"], weight=atoms.weight + t * v["v_weight"],
            )
        )

    h = 1e-4
    expected = (moved(h) - moved(-h)) / (2.0 * h)
    given = case.transform.tangent(atoms, **v)
    assert rms(given - expected) < 5e-4 * rms(expected)


@pytest.mark.parametrize("threads", [1, 2])
def test_bits_repeat(threads: int) -> None:
    """Same input, same bits; spreading does not even depend on the number of threads."""
    case = small(create("cpu", 2), "P 21 21 21", 24.0, 1.8, 80, seed=8)
    first = case.transform.backend.spread(case.transform.density_plan, case.atoms)
    f = case.transform.structure_factors(case.atoms)
    gradient = case.transform.adjoint(case.atoms, f)
    other = replace(case.transform, backend=create("cpu", threads))
    try:
        for _ in range(2):
            assert np.array_equal(other.backend.spread(other.density_plan, case.atoms), first)
            assert np.array_equal(other.structure_factors(case.atoms), f)
            again = other.adjoint(case.atoms, f)
            assert np.array_equal(again.xyz, gradient.xyz) and np.array_equal(again.u_aniso, gradient.u_aniso)
    finally:
        create("cpu", 2)


def test_atom_across_the_cell_edge_is_whole(backend: Any) -> None:
    """Whole cells do not matter, and a sphere larger than the cell wraps around more than once."""
    crystal = make_crystal("P 1", 6.0)
    hkl = unique_hkl(crystal, 2.0)
    atoms = scatter_atoms(crystal, 6, 9, aniso=0.5, b_range=(60.0, 200.0))
    transform = plan_transform(backend, crystal, hkl, smallest_b(atoms), atoms.kind, *xray_gaussians(ELEMENTS))
    exact = transform.direct_summation(atoms)
    assert rms(transform.structure_factors(atoms) - exact) < OVERALL * rms(exact)
    shifted = replace(atoms, xyz=atoms.xyz + np.array([[3, -2, 1]]) @ crystal.orth.T)
    assert rms(transform.structure_factors(shifted) - exact) < OVERALL * rms(exact)
