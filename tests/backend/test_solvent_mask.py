"""The solvent mask: spheres, shrinking, cavities, symmetry, and the compiled loops against the definition."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from crystals import make_crystal

from gpurefine.backend import create
from gpurefine.forward.solvent import MIN_CAVITY_VOLUME, plan_mask
from gpurefine.io.symmetry import unique_hkl

CUBE = 20.0 * np.eye(3)
SHAPE = (40, 40, 40)


def mask_of(backend: Any, centres: Any, radii: Any, shrink: float = 0.0, volume: float = 0.0) -> Any:
    return np.asarray(
        backend.solvent_mask(SHAPE, CUBE, np.asarray(centres, float), np.asarray(radii, float), shrink, volume)
    )


@pytest.mark.parametrize("centre", [(0.5, 0.5, 0.5), (0.02, 0.97, 0.01), (-1.3, 2.4, 0.0)])
def test_one_sphere_has_its_volume(backend: Any, centre: Any) -> None:
    mask = mask_of(backend, [centre], [5.0])
    assert set(np.unique(mask)) == {0.0, 1.0}
    assert (1.0 - mask.mean()) * 8000.0 == pytest.approx(4.0 / 3.0 * np.pi * 125.0, rel=0.02)
    nearest = tuple(np.rint(np.array(centre) * 40).astype(int) % 40)
    assert mask[nearest] == 0.0


def test_shrinking_gives_back_a_shell(backend: Any) -> None:
    """A convex body shrinks to the sphere of the smaller radius; a gap narrower than twice the probe stays shut."""
    grown = mask_of(backend, [(0.5, 0.5, 0.5)], [6.0], 1.5)
    assert (1.0 - grown.mean()) * 8000.0 == pytest.approx(4.0 / 3.0 * np.pi * 4.5**3, rel=0.05)
    # two spheres of 5 Å, 6 Å apart, meet in a ring of radius 4 Å; 1 Å less would open the neck there
    apart = [(0.35, 0.5, 0.5), (0.65, 0.5, 0.5)]
    ring = (20, 20, 26)
    assert mask_of(backend, apart, [4.0, 4.0])[ring] == 1.0
    assert mask_of(backend, apart, [5.0, 5.0], 1.0)[ring] == 0.0


def shell_of_spheres(centre: Any, radius: float) -> Any:
    """Fractional centres on a sphere around a hollow."""
    k = np.arange(200)
    z, turn = 1.0 - (2.0 * k + 1.0) / 200.0, np.pi * (1.0 + np.sqrt(5.0)) * k
    points = np.stack([np.sqrt(1.0 - z * z) * np.cos(turn), np.sqrt(1.0 - z * z) * np.sin(turn), z], axis=1)
    return np.array(centre) + radius * points / 20.0


@pytest.mark.parametrize("centre", [(0.5, 0.5, 0.5), (0.0, 0.0, 0.0), (0.0, 0.5, 1.0)])
def test_small_cavities_are_filled_also_across_the_cell_edge(backend: Any, centre: Any) -> None:
    """A hollow of about 65 Å³: gone when the limit is 100 Å³, kept when it is 30 Å³, wherever the cell is cut."""
    walls, radii = shell_of_spheres(centre, 4.5), np.full(200, 2.0)
    inside = tuple(np.rint(np.array(centre) * 40).astype(int) % 40)
    open_mask = mask_of(backend, walls, radii)
    hollow = 4.0 / 3.0 * np.pi * 2.5**3
    assert open_mask[inside] == 1.0
    kept = mask_of(backend, walls, radii, 0.0, 0.45 * hollow)
    filled = mask_of(backend, walls, radii, 0.0, 1.5 * hollow)
    assert np.array_equal(kept, open_mask)
    assert filled[inside] == 0.0
    assert (open_mask - filled).sum() / 8.0 == pytest.approx(hollow, rel=0.15)


def test_bulk_that_only_the_cell_edge_divides_is_one_region(backend: Any) -> None:
    """Channels in pieces at the cell's corners belong together and stay."""
    centres = [(x, y, z) for x in (0.3, 0.5, 0.7) for y in (0.3, 0.5, 0.7) for z in np.arange(0.0, 1.0, 0.1)]
    before = mask_of(backend, centres, np.full(len(centres), 3.6))
    assert 0.05 < before.mean() < 0.5
    assert np.array_equal(mask_of(backend, centres, np.full(len(centres), 3.6), 0.0, before.mean() * 8000.0), before)
    assert mask_of(backend, centres, np.full(len(centres), 3.6), 0.0, before.mean() * 8000.0 + 1.0).max() == 0.0


def test_no_atoms_leave_solvent_alone(backend: Any) -> None:
    assert mask_of(backend, np.zeros((0, 3)), np.zeros(0), 0.8, 50.0).min() == 1.0


@pytest.mark.parametrize("hm", ["P 1", "C 1 2 1", "P 31 2 1", "I 21 3"])
def test_backends_agree_and_the_mask_has_the_symmetry_of_the_crystal(hm: str) -> None:
    crystal = make_crystal(hm, 22.0)
    hkl = unique_hkl(crystal, 3.0)
    rng = np.random.default_rng(2)
    n = 25
    xyz = (rng.random((n, 3)) * 0.4) @ crystal.orth.T
    radius = rng.uniform(2.0, 3.2, n)
    masks = []
    for name in ("reference", "cpu"):
        solvent = plan_mask(create(name, 2), crystal, hkl, np.arange(n), radius, 0.8)
        masks.append(np.asarray(solvent.compute(xyz)))
    assert 0.02 < masks[0].mean() < 0.98
    # a grid point exactly on a sphere may fall on either side
    assert (masks[0] != masks[1]).mean() < 1e-5
    size = np.array(masks[0].shape)
    index = np.stack(np.meshgrid(*[np.arange(k) for k in size], indexing="ij"), -1).reshape(-1, 3)
    for rotation, translation in zip(crystal.rotations, crystal.translations, strict=True):
        image = (index / size) @ rotation.T + translation
        place = np.rint(image * size).astype(int)
        np.testing.assert_allclose(place, image * size, atol=1e-6)
        moved = masks[1][tuple((place % size).T)]
        assert (moved != masks[1].ravel()).mean() < 1e-5


def test_structure_factors_of_a_mask_are_those_of_its_spheres(backend: Any) -> None:
    """Far from its neighbours an atom's hole has the transform of a sphere, −(4/3)πr³·3 j₁(x)/x at low angle."""
    crystal = make_crystal("P 1 21 1", 24.0)
    hkl = unique_hkl(crystal, 6.0)
    xyz = crystal.orth @ np.array([[0.2], [0.3], [0.4]])
    solvent = plan_mask(backend, crystal, hkl, np.array([0]), np.array([4.0]), 0.0)
    f, fraction = solvent.structure_factors(xyz.T)
    volume = 4.0 / 3.0 * np.pi * 4.0**3
    assert fraction == pytest.approx(1.0 - 2.0 * volume / crystal.volume, abs=0.003)
    x = 2.0 * np.pi * np.sqrt(crystal.inv_d2(hkl)) * 4.0
    shape = 3.0 * (np.sin(x) - x * np.cos(x)) / x**3
    sites = [np.array([0.2, 0.3, 0.4]), np.array([-0.2, 0.8, -0.4])]
    expected = -volume * shape * sum(np.exp(2j * np.pi * hkl @ site) for site in sites)
    assert np.abs(np.asarray(f) - expected).max() < 0.03 * volume
    assert volume > MIN_CAVITY_VOLUME
