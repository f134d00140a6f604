"""What atoms keep of their displacement when TLS groups take theirs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from gpurefine.backend.gaussians import full_tensors
from gpurefine.constants import B_MIN, DEGREE, EIGHT_PI2
from gpurefine.model.atoms import Atoms
from gpurefine.model.special import SpecialPositions
from gpurefine.model.tensors import TRACE
from gpurefine.model.tls import N_TLS, TlsGroups
from gpurefine.params.tls import SMALLEST_U
from gpurefine.refinement.tls_start import start_motion

N = 40
NOBODY = SpecialPositions(np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros((0, 3, 3)), (), np.zeros((0, 3)))


def model() -> tuple[Atoms, TlsGroups, np.ndarray]:
    """Totals of atoms of two groups, half of them anisotropic; one hydrogen rides on atom 3; the own part (n, 6)."""
    rng = np.random.default_rng(0)
    is_aniso = np.arange(N) % 2 == 0
    values = np.zeros((2, N_TLS))
    values[:, :6] = [0.1, 0.15, 0.2, 0.01, 0.02, -0.02]
    values[:, 6:12] = np.array([3.0, 2.0, 4.0, 0.3, -0.2, 0.1]) * DEGREE**2
    member = np.repeat([0, 1, -1], [20, 15, 5]).astype(np.int32)
    xyz = rng.normal(size=(N, 3)) * 6
    groups = TlsGroups(("one", "two"), ((), ()), member, np.zeros((2, 3)), values, True)
    root = rng.normal(size=(N, 3, 3)) * 0.1
    own = (root @ np.swapaxes(root, 1, 2) + 0.05 * np.eye(3))[:, [0, 1, 2, 0, 0, 1], [0, 1, 2, 1, 2, 2]]
    own = np.where(is_aniso[:, None], own, (own @ TRACE)[:, None] / 3.0 * TRACE)
    total = own + groups.displacement(xyz, values)
    b = EIGHT_PI2 / 3.0 * (total @ TRACE)
    parent = np.arange(N, dtype=np.int32)
    parent[13] = 3
    one = np.ones(N)
    atoms = Atoms(
        xyz, b, np.where(is_aniso[:, None], total, 0.0), is_aniso, one, np.zeros(N, np.int32), ("C",),
        parent != np.arange(N), parent, one, one,
    )
    return atoms, groups, own


def test_the_own_part_is_what_is_left() -> None:
    atoms, groups, own = model()
    kept, same, told = start_motion(atoms, groups, NOBODY, False)
    assert told == []
    aniso = atoms.is_aniso
    np.testing.assert_allclose(kept.b_iso, EIGHT_PI2 / 3.0 * (own @ TRACE), atol=1e-10)
    np.testing.assert_allclose(kept.u_aniso[aniso], own[aniso], atol=1e-12)
    assert not kept.u_aniso[~aniso].any()
    np.testing.assert_array_equal(same.start, groups.start)
    # B that were set anew hold no motion, and those of a file of residuals neither
    for given, reset in ((True, True), (False, False)):
        untouched, _, _ = start_motion(atoms, replace(groups, total_given=given), NOBODY, reset)
        assert untouched.b_iso is atoms.b_iso and untouched.u_aniso is atoms.u_aniso


def test_atoms_with_less_than_the_motion_get_the_least_and_are_told() -> None:
    atoms, groups, own = model()
    little = np.isin(np.arange(N), [0, 1, 2, 5, 8])
    b = np.where(little, 1.0, atoms.b_iso)
    u = np.where((little & atoms.is_aniso)[:, None], 0.01 * TRACE, atoms.u_aniso)
    kept, _, told = start_motion(replace(atoms, b_iso=b, u_aniso=u), groups, NOBODY, False)
    assert len(told) == 1 and "TLS group one moves more than the B of 5 of its 20 atoms allow" in told[0]
    assert (kept.b_iso[little] == B_MIN).all() and (kept.b_iso >= B_MIN).all()
    lowest = np.linalg.eigvalsh(full_tensors(kept.u_aniso[atoms.is_aniso]))[:, 0]
    assert lowest.min() >= SMALLEST_U - 1e-12
    # what rounding of a file leaves is no lack
    close = np.where((np.arange(N) < 20)[:, None] & atoms.is_aniso[:, None], atoms.u_aniso - own, atoms.u_aniso)
    kept, _, told = start_motion(replace(atoms, u_aniso=close), groups, NOBODY, False)
    assert told == [] and np.linalg.eigvalsh(full_tensors(kept.u_aniso[atoms.is_aniso]))[:, 0].min() > 0.0


def test_atoms_on_special_positions_and_what_rides_on_them_stay_out() -> None:
    atoms, groups, _ = model()
    special = replace(NOBODY, atom=np.array([3], np.int32))
    kept, without, told = start_motion(atoms, groups, special, False)
    assert without.member[3] == without.member[13] == -1 and (without.member >= 0).sum() == 33
    assert told[0].startswith("1 atoms on special positions") and kept.b_iso[3] == atoms.b_iso[3]


def test_a_motion_that_cannot_be_is_given_up() -> None:
    atoms, groups, _ = model()
    start = groups.start.copy()
    start[1, 0] = -30.0
    _, kept, told = start_motion(atoms, replace(groups, start=start, total_given=False), NOBODY, False)
    assert not kept.start[1].any() and np.array_equal(kept.start[0], start[0])
    assert any("TLS group two starts without motion" in text for text in told)
    assert any("two: T has the negative principal value" in text for text in told)
