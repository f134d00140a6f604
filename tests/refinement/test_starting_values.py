"""Another start than the file's: B reset, positions shaken."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gpurefine
from gpurefine.config import RefineOptions
from gpurefine.errors import UsageError
from gpurefine.model.special import SpecialPositions
from gpurefine.refinement.starting_values import starting_atoms


@pytest.fixture(scope="module")
def atoms(example: tuple[Path, Path]) -> Any:
    return gpurefine.read(*example, threads=1).chemistry.atoms


def held(atom: int, direction: Any) -> SpecialPositions:
    """One atom that may move along ``direction`` (3,) only."""
    return SpecialPositions(
        np.array([atom], np.int32), np.array([2], np.int32), np.outer(direction, direction)[None],
        (np.stack([np.eye(3), np.diag([-1.0, -1.0, 1.0])]),), np.zeros((1, 3)),
    )


NOBODY = SpecialPositions(
    np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros((0, 3, 3)), (), np.zeros((0, 3))
)


def test_nothing_asked_nothing_changed(atoms: Any) -> None:
    same, messages = starting_atoms(atoms, NOBODY, RefineOptions())
    assert same is atoms and not messages


def test_reset_without_a_number() -> None:
    assert RefineOptions(reset_b=True).reset_b == 30.0


def test_b_is_reset_and_anisotropy_gone(atoms: Any) -> None:
    mixed = replace(atoms, is_aniso=~atoms.is_hydrogen, u_aniso=np.ones_like(atoms.u_aniso))
    flat, messages = starting_atoms(mixed, NOBODY, RefineOptions(reset_b=30.0))
    assert np.all(flat.b_iso == 30.0) and not flat.is_aniso.any() and not flat.u_aniso.any()
    assert "30" in messages[0]


def test_shaking_has_the_length_asked_for_and_repeats(atoms: Any) -> None:
    special = held(0, np.array([0.0, 0.0, 1.0]))
    options = RefineOptions(shake=0.3, shake_seed=7)
    shift = starting_atoms(atoms, special, options)[0].xyz - atoms.xyz
    assert np.sqrt(np.mean(np.sum(shift[atoms.refined] ** 2, axis=1))) == pytest.approx(0.3, rel=1e-3)
    riding = atoms.parent != np.arange(len(atoms))
    assert riding.any() and np.allclose(shift[riding], shift[atoms.parent[riding]], atol=1e-12)
    assert np.all(shift[0, :2] == 0.0) and shift[0, 2] != 0.0
    assert np.array_equal(starting_atoms(atoms, special, options)[0].xyz - atoms.xyz, shift)
    other = starting_atoms(atoms, special, RefineOptions(shake=0.3))[0].xyz - atoms.xyz
    assert not np.allclose(other, shift)


@pytest.mark.parametrize("wrong", [{"reset_b": 0.0}, {"reset_b": 2000.0}, {"shake": -0.1}, {"shake": 6.0}])
def test_bounds(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="must lie between"):
        RefineOptions(**wrong)  # type: ignore[arg-type]


def test_seeds_are_not_negative() -> None:
    with pytest.raises(UsageError, match="shake-seed"):
        RefineOptions(shake_seed=-1)
