"""The atoms' expected information from tables against the diagonal of JᵀWJ itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from crystals import Small, small

from gpurefine.backend import create
from gpurefine.forward.fisher import plan_information

N = 24

OPS = create("cpu", 2)


def weights(case: Small) -> Any:
    """A radial information that depends on resolution and direction, as one from an anisotropic crystal does."""
    s = case.hkl @ case.crystal.frac
    return np.exp(-6.0 * s[:, 0] ** 2 - 2.0 * case.crystal.inv_d2(case.hkl)) * np.random.default_rng(1).uniform(
        0.5, 1.5, len(case.hkl)
    )


def diagonal(case: Small, information: Any, kind: str, axis: int = 0) -> Any:
    """Σ_h W |∂F/∂p|² of every atom by J v for one parameter at a time; W has ½ for the acentric phase average."""
    weight = information * np.where(case.centric, 1.0, 0.5)
    out = np.empty(N)
    for a in range(N):
        v = {"v_xyz": np.zeros((N, 3)), "v_b": np.zeros(N), "v_weight": np.zeros(N)}
        if kind == "v_xyz":
            v[kind][a, axis] = 1.0
        else:
            v[kind][a] = 1.0
        change = case.transform.tangent(case.atoms, v["v_xyz"], v["v_b"], None, v["v_weight"])
        out[a] = np.sum(weight * np.abs(change) ** 2)
    return out


@pytest.mark.parametrize("hm", ["P 1", "P 21 21 21", "C 1 2 1", "I 21 3", "R 3 2:H"])
def test_tables_agree_with_the_normal_matrix(hm: str) -> None:
    """Median within 10 %, for positions, B and occupancy: centring, ε, centric halves and symmetry copies included."""
    length = {"I 21 3": 30.0, "R 3 2:H": 28.0}.get(hm, 18.0)
    case = small(create("cpu", 2), hm, length, 1.8, N, seed=2, aniso=0.0, b_range=(10.0, 60.0))
    information = weights(case)
    shells = plan_information(OPS, case.crystal, case.hkl, case.centric, case.epsilon)
    found = shells.atoms(case.transform.density_plan, case.atoms, information)
    ratios = {
        "x": found.xyz[:, 0, 0] / diagonal(case, information, "v_xyz", 0),
        "z": found.xyz[:, 2, 2] / diagonal(case, information, "v_xyz", 2),
        "b": found.b_iso / diagonal(case, information, "v_b"),
        "weight": found.weight / diagonal(case, information, "v_weight"),
    }
    for name, ratio in ratios.items():
        assert np.median(ratio) == pytest.approx(1.0, abs=0.1), name
        # single atoms next to a symmetry element differ, since their copies interfere
        low, high = np.quantile(ratio, [0.1, 0.9])
        assert low > 0.7 and high < 1.4, (name, low, high)


def test_random_probes_of_the_normal_matrix_agree() -> None:
    """Hutchinson's estimate z ∘ JᵀWJz of the same diagonal, through the transposed operations."""
    case = small(create("cpu", 2), "P 21 21 21", 24.0, 2.0, 100, seed=3, aniso=0.0, b_range=(10.0, 60.0))
    information = weights(case)
    weight = information * np.where(case.centric, 1.0, 0.5)
    found = plan_information(OPS, case.crystal, case.hkl, case.centric, case.epsilon).atoms(
        case.transform.density_plan, case.atoms, information
    )
    rng = np.random.default_rng(4)
    total, total_b, count = np.zeros((100, 3)), np.zeros(100), 60
    for _ in range(count):
        z, zb = rng.choice([-1.0, 1.0], (100, 3)), rng.choice([-1.0, 1.0], 100)
        total += z * case.transform.normal_product(case.atoms, weight, z, np.zeros(100)).xyz
        total_b += zb * case.transform.normal_product(case.atoms, weight, np.zeros((100, 3)), zb).b_iso
    exact = np.stack([found.xyz[:, k, k] for k in range(3)], axis=1)
    assert np.median(total / count / exact) == pytest.approx(1.0, abs=0.1)
    assert np.median(total_b / count / found.b_iso) == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize("hm", ["P 1", "P 21 21 21", "I 21 3"])
def test_tensor_blocks_agree_with_the_normal_matrix(hm: str) -> None:
    """Anisotropic atoms: the whole block of U against J v for each pair of components, median within 10 %."""
    n = 16
    length = 26.0 if hm == "I 21 3" else 16.0
    case = small(create("cpu", 2), hm, length, 1.5, n, seed=5, aniso=1.0, b_range=(8.0, 40.0))
    information = weights(case)
    found = plan_information(OPS, case.crystal, case.hkl, case.centric, case.epsilon).atoms(
        case.transform.density_plan, case.atoms, information
    ).u_aniso
    assert found is not None
    weight = information * np.where(case.centric, 1.0, 0.5)
    exact = np.empty((n, 6, 6))
    for a in range(n):
        change = []
        for k in range(6):
            v = np.zeros((n, 6))
            v[a, k] = 1.0
            change.append(case.transform.tangent(case.atoms, np.zeros((n, 3)), np.zeros(n), v))
        stacked = np.array(change)
        exact[a] = np.real((stacked * weight) @ stacked.conj().T)
    for k in range(6):
        assert np.median(found[:, k, k] / exact[:, k, k]) == pytest.approx(1.0, abs=0.1), k
    for i, j in ((0, 1), (0, 2), (1, 2)):
        assert np.median(found[:, i, j] / exact[:, i, j]) == pytest.approx(1.0, abs=0.15), (i, j)
    # with the exact block as metric, the stiffest and softest direction of each atom's block are near 1
    values = np.array([np.linalg.eigvals(np.linalg.solve(e, f)).real for e, f in zip(exact, found, strict=True)])
    assert np.median(values.min(axis=1)) > 0.5 and np.median(values.max(axis=1)) < 2.0


def test_random_probes_of_tensors_agree() -> None:
    """Hutchinson's estimate of the diagonal for U, where symmetry copies and other atoms overlap."""
    case = small(create("cpu", 2), "P 21 21 21", 22.0, 1.8, 60, seed=7, aniso=1.0, b_range=(8.0, 40.0))
    information = weights(case)
    weight = information * np.where(case.centric, 1.0, 0.5)
    found = plan_information(OPS, case.crystal, case.hkl, case.centric, case.epsilon).atoms(
        case.transform.density_plan, case.atoms, information
    ).u_aniso
    assert found is not None
    rng = np.random.default_rng(4)
    total, count = np.zeros((60, 6)), 60
    none = np.zeros(60)
    for _ in range(count):
        z = rng.choice([-1.0, 1.0], (60, 6))
        change = case.transform.tangent(case.atoms, np.zeros((60, 3)), none, z)
        total += z * case.transform.adjoint(case.atoms, weight * change).u_aniso
    # a random sign for each component leaves what couples them, which has no sign
    ratio = total / count / np.einsum("nkk->nk", found)
    assert np.median(ratio) == pytest.approx(1.0, abs=0.1)


def test_isotropic_models_have_no_tensor_blocks() -> None:
    case = small(create("cpu", 2), "P 1", 14.0, 2.0, 8, seed=8, aniso=0.0)
    shells = plan_information(OPS, case.crystal, case.hkl, case.centric, case.epsilon)
    assert shells.atoms(case.transform.density_plan, case.atoms, weights(case)).u_aniso is None


def test_blocks_are_positive_and_empty_atoms_weigh_nothing() -> None:
    case = small(create("cpu", 2), "P 1 21 1", 20.0, 2.0, N, seed=5, aniso=0.0)
    case.atoms.weight[3] = 0.0
    shells = plan_information(OPS, case.crystal, case.hkl, case.centric, case.epsilon)
    found = shells.atoms(case.transform.density_plan, case.atoms, weights(case))
    rest = np.arange(N) != 3
    assert (np.linalg.eigvalsh(found.xyz)[rest] > 0.0).all() and (found.b_iso[rest] > 0.0).all()
    assert not found.xyz[3].any() and found.b_iso[3] == 0.0 and np.isfinite(found.weight).all()
    nothing = shells.atoms(case.transform.density_plan, case.atoms, np.zeros(len(case.hkl)))
    assert not nothing.xyz.any() and np.isfinite(nothing.b_iso).all()
