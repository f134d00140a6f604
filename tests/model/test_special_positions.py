"""Atoms on symmetry elements: found, moved onto them, held there, their occupancy divided."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from crystals import ELEMENTS, make_crystal, rms, scatter_atoms

from gpurefine.backend import create
from gpurefine.backend.plans import AtomInformation, DensityGradient
from gpurefine.forward.density import plan_transform
from gpurefine.io.scattering import xray_gaussians
from gpurefine.io.symmetry import unique_hkl
from gpurefine.model.atoms import Atoms
from gpurefine.model.crystal import Crystal
from gpurefine.model.special import find_special_positions
from gpurefine.params.atomic import IsotropicB, Positions
from gpurefine.params.values import AtomValues
from gpurefine.refinement.special_sites import place_on_special_positions

# space group, a site near an element (Å in a cubic or tetragonal cell of 60 Å), its multiplicity, degrees of freedom
SITES = (
    ("P 43 21 2", (10.05, 9.98, 0.06), 2, 1),
    ("I 21 3", (3.10, 3.02, 3.04), 3, 1),
    ("F 2 3", (0.10, 0.05, 7.0), 2, 1),
    ("F 2 3", (0.15, 0.15, 0.0), 12, 0),
    ("F 2 3", (0.10, 0.10, 0.30), 12, 0),
    ("F 2 3", (15.05, 15.0, 14.95), 12, 0),
    ("P 4", (0.13, 0.13, 5.0), 4, 1),
    ("P 4", (30.02, 0.05, 5.0), 2, 1),
    ("P 6", (0.17, 0.02, 5.0), 6, 1),
    ("P 6 2 2", (0.1, 0.1, 0.1), 12, 0),
)


@pytest.mark.parametrize(("hm", "site", "multiplicity", "freedom"), SITES)
def test_sites_are_found_and_lie_on_their_element(hm: str, site: Any, multiplicity: int, freedom: int) -> None:
    crystal = make_crystal(hm, 60.0)
    xyz = np.array([[7.3, 11.9, 20.1], site])
    special = find_special_positions(crystal, xyz)
    assert special.atom.tolist() == [1] and special.multiplicity.tolist() == [multiplicity]
    snapped = special.snapped[0]
    assert np.linalg.norm(snapped - xyz[1]) < 0.45
    projector = special.projector[0]
    np.testing.assert_allclose(projector @ projector, projector, atol=1e-12)
    assert np.trace(projector) == pytest.approx(freedom, abs=1e-9)
    # the site is its own copy under exactly so many operations
    fractional = crystal.frac @ snapped
    copies = crystal.rotations @ fractional + crystal.translations - fractional
    distance = np.linalg.norm((copies - np.rint(copies)) @ crystal.orth.T, axis=1)
    assert (distance < 1e-6).sum() == multiplicity
    # and what is allowed to move stays on the element
    again = find_special_positions(crystal, (snapped + projector @ np.array([0.7, -0.4, 0.5]))[None])
    assert again.multiplicity[0] >= multiplicity
    np.testing.assert_allclose(again.snapped[0], snapped + projector @ np.array([0.7, -0.4, 0.5]), atol=1e-6)


GENERAL = (
    ("P 43 21 2", (10.2, 9.8, 0.1)), ("P 21 21 21", (0.0, 0.0, 0.0)), ("P 4", (0.25, 0.1, 1.0)),
    ("P 6", (0.25, 0.0, 5.0)),
)


@pytest.mark.parametrize(("hm", "site"), GENERAL)
def test_sites_farther_than_a_fifth_of_an_angstrom_are_general(hm: str, site: Any) -> None:
    """Also next to a fourfold or sixfold axis, where a copy is nearer than twice the distance from the axis."""
    assert len(find_special_positions(make_crystal(hm, 60.0), np.array([site])).atom) == 0


def model(crystal: Crystal, xyz: Any, occ: Any) -> Atoms:
    n = len(xyz)
    return Atoms(
        xyz=np.array(xyz, float), b_iso=np.full(n, 20.0), u_aniso=np.tile([0.3, 0.2, 0.4, 0.05, 0.03, 0.02], (n, 1)),
        is_aniso=np.ones(n, bool), occ=np.array(occ, float), scatterer=np.full(n, 2, np.int32),
        scatterer_names=ELEMENTS, is_hydrogen=np.zeros(n, bool), parent=np.arange(n, dtype=np.int32),
        site_multiplicity=np.ones(n), scattering_weight=np.array(occ, float),
    )


def test_occupancy_is_divided_only_where_it_counts_the_whole_site() -> None:
    crystal = make_crystal("P 43 21 2", 60.0)
    xyz = [[10.0, 10.0, 0.05], [20.05, 20.0, 0.0], [5.0, 17.0, 9.0]]
    given = model(crystal, xyz, [1.0, 0.5, 1.0])
    atoms, special, messages = place_on_special_positions(given, crystal, ["a", "b", "c"])
    assert special.atom.tolist() == [0, 1]
    np.testing.assert_allclose(atoms.scattering_weight, [0.5, 0.5, 1.0])
    np.testing.assert_allclose(atoms.occ, [1.0, 0.5, 1.0])
    np.testing.assert_allclose(atoms.site_multiplicity, [2.0, 2.0, 1.0])
    np.testing.assert_allclose(atoms.xyz[:2], [[10.0, 10.0, 0.0], [20.025, 20.025, 0.0]], atol=1e-9)
    assert len(messages) == 2 and "divided by 2" in messages[0] and "divided" not in messages[1]
    # the twofold along (1,1,0) leaves U as it is
    turn = special.rotations[0][1]
    full = atoms.u_aniso[0][[0, 3, 4, 3, 1, 5, 4, 5, 2]].reshape(3, 3)
    np.testing.assert_allclose(turn @ full @ turn.T, full, atol=1e-12)
    assert atoms.u_aniso[2].tolist() == [0.3, 0.2, 0.4, 0.05, 0.03, 0.02]


def test_divided_atom_scatters_once() -> None:
    """Half an atom on a twofold, counted by both operations, is one atom: the same F as the atom alone in P 1."""
    crystal, triclinic = make_crystal("P 1 2 1", 12.0), make_crystal("P 1", 12.0)
    hkl = unique_hkl(crystal, 2.5)
    site = crystal.orth @ np.array([0.5, 0.3, 0.0])
    given = model(crystal, [site + np.array([0.05, 0.0, 0.02])], [1.0])
    atoms, _, _ = place_on_special_positions(given, crystal, ["a"])
    scatterers = replace(
        scatter_atoms(crystal, 1), xyz=atoms.xyz, u_aniso=atoms.u_aniso, is_aniso=atoms.is_aniso,
        weight=atoms.scattering_weight, kind=atoms.scatterer,
    )
    form_factors = xray_gaussians(ELEMENTS)
    cpu = create("cpu", 2)
    f = plan_transform(cpu, crystal, hkl, np.array([10.0]), atoms.scatterer, *form_factors).direct_summation(scatterers)
    alone = replace(crystal, rotations=triclinic.rotations, translations=triclinic.translations, n_primitive=1)
    once = plan_transform(cpu, alone, hkl, np.array([10.0]), atoms.scatterer, *form_factors)
    assert rms(f - once.direct_summation(replace(scatterers, weight=np.ones(1)))) < 1e-12 * rms(f)


def test_gradient_has_no_forbidden_component(backend: Any) -> None:
    """Symmetry itself leaves no pull off the element, and the parameters would remove it anyway."""
    crystal = make_crystal("P 43 21 2", 20.0)
    hkl = unique_hkl(crystal, 2.0)
    atoms, special, _ = place_on_special_positions(
        model(crystal, [[5.0, 5.0, 0.0], [3.0, 9.0, 6.0]], [1.0, 1.0]), crystal, ["a", "b"]
    )
    scatterers = replace(
        scatter_atoms(crystal, 2, aniso=0.0), xyz=atoms.xyz, b_iso=atoms.b_iso, weight=atoms.scattering_weight
    )
    transform = plan_transform(
        backend, crystal, hkl, atoms.b_iso, scatterers.kind, *xray_gaussians(ELEMENTS)
    )
    # gradients of any function of F alone: what a target of the data gives
    rng = np.random.default_rng(3)
    f = transform.structure_factors(scatterers)
    gradient = transform.adjoint(scatterers, f * rng.normal(size=len(f))).xyz
    off = gradient[0] - special.projector[0] @ gradient[0]
    assert np.linalg.norm(off) < 1e-4 * np.linalg.norm(gradient[1])
    assert np.linalg.norm(gradient[0]) > 1e-3 * np.linalg.norm(gradient[1])


def values_of(xyz: Any, b_iso: Any) -> AtomValues:
    n = len(xyz)
    return AtomValues(xyz, b_iso, np.zeros((n, 6)), np.ones(n))


def test_steps_and_curvature_keep_to_the_element() -> None:
    crystal = make_crystal("P 43 21 2", 60.0)
    xyz = np.array([[10.0, 10.0, 0.0], [5.0, 17.0, 9.0]])
    special = find_special_positions(crystal, xyz)
    own = np.arange(2, dtype=np.int32)
    p, values = Positions(own, special), values_of(xyz, np.full(2, 20.0))
    shift = np.array([[0.3, -0.1, 0.2], [0.3, -0.1, 0.2]])
    moved = p.move(values, shift)
    np.testing.assert_allclose(moved.xyz, [[10.1, 10.1, 0.0], [5.3, 16.9, 9.2]], atol=1e-12)
    b = IsotropicB(own, np.zeros(2, bool)).move(values, np.array([[-50.0], [5.0]])).b_iso
    assert b[0] > 0.0 and b[1] == 25.0
    rng = np.random.default_rng(1)
    a = rng.normal(size=(2, 3, 3))
    information = AtomInformation(a @ np.swapaxes(a, 1, 2), np.ones(2), np.ones(2), np.zeros((2, 6, 6)))
    blocks = p.pull_blocks(values, information)
    assert (np.linalg.eigvalsh(blocks) > 0.0).all()
    projector = special.projector[0]
    np.testing.assert_allclose(projector @ blocks[0] @ (np.eye(3) - projector), 0.0, atol=1e-12)
    slope = DensityGradient(shift, np.zeros(2), np.zeros((2, 6)), np.zeros(2))
    np.testing.assert_allclose(p.pull(values, slope)[0], projector @ shift[0])


def test_riding_atoms_hand_their_derivatives_to_the_parent() -> None:
    """⟨move(v), w⟩ = ⟨v, pull(w)⟩ with a hydrogen and a special site, and fixed B stay."""
    crystal = make_crystal("P 43 21 2", 60.0)
    xyz = np.array([[10.0, 10.0, 0.0], [5.0, 17.0, 9.0], [5.5, 17.5, 9.5], [8.0, 8.0, 8.5]])
    special = find_special_positions(crystal, xyz, np.array([True, True, False, True]))
    owner = np.array([0, 1, 1, 3], np.int32)
    p, thermal = Positions(owner, special), IsotropicB(owner, np.array([False, False, False, True]))
    rng = np.random.default_rng(2)
    v, w, vb, wb = rng.normal(size=(4, 3)), rng.normal(size=(4, 3)), rng.normal(size=4), rng.normal(size=4)
    values = values_of(xyz, np.full(4, 50.0))
    slope = DensityGradient(w, wb, np.zeros((4, 6)), np.zeros(4))
    moved, warmed = p.move(values, v), thermal.move(values, vb[:, None])
    assert np.sum((moved.xyz - xyz) * w) == pytest.approx(np.sum(v * p.pull(values, slope)))
    assert (warmed.b_iso - 50.0) @ wb == pytest.approx(vb @ thermal.pull(values, slope)[:, 0])
    assert warmed.b_iso[3] == 50.0
    np.testing.assert_allclose(moved.xyz[2] - moved.xyz[1], xyz[2] - xyz[1])
