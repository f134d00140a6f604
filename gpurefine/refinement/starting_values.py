"""The model as refinement takes it up, where the user wants another start than the file's."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..config import RefineOptions
from ..model.atoms import Atoms
from ..model.special import SpecialPositions


def starting_atoms(atoms: Atoms, special: SpecialPositions, options: RefineOptions) -> tuple[Atoms, list[str]]:
    """B set to one value and positions shaken, as ``options`` ask, and what the user is to be told."""
    messages = []
    if options.reset_b is not None:
        flat = np.zeros_like(atoms.u_aniso)
        atoms = replace(
            atoms, b_iso=np.full(len(atoms), options.reset_b), u_aniso=flat, is_aniso=np.zeros_like(atoms.is_aniso)
        )
        messages.append(f"Every B is set to {options.reset_b:g} Å² (--reset-b).")
    if options.shake > 0.0:
        atoms = replace(atoms, xyz=atoms.xyz + shake(atoms, special, options.shake, options.shake_seed))
        messages.append(f"Atoms are moved at random by {options.shake:g} Å r.m.s. (--shake).")
    return atoms, messages


def shake(atoms: Atoms, special: SpecialPositions, rms: float, seed: int) -> NDArray[np.float64]:
    """Random shifts (n, 3) Å of length ``rms`` r.m.s.; riding atoms go with their parents.

    Atoms on special positions move only as their site allows, hence less.
    """
    shift = np.random.default_rng(seed).normal(size=(len(atoms), 3))
    own = shift[atoms.refined]
    shift *= rms / np.sqrt(max(float(np.mean(np.sum(own**2, axis=1))) if len(own) else 1.0, 1e-300))
    return special.project_vectors(shift)[atoms.parent]
