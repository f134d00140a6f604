"""Special positions applied to a model's atoms before refinement (method 5)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..model.atoms import Atoms
from ..model.crystal import Crystal
from ..model.special import SpecialPositions, find_special_positions
from ..model.tensors import tensor_rotation

FULL_SITE = 1.001
"""Occupancy × multiplicity above which an occupancy is taken to count the whole site, not one of its copies."""


def place_on_special_positions(
    atoms: Atoms, crystal: Crystal, labels: Sequence[str]
) -> tuple[Atoms, SpecialPositions, list[str]]:
    """Snap atoms onto symmetry elements, divide occupancies that count the full site, symmetrise U.

    The occupancy that is written stays as given; only what scatters is divided.

    Args:
        labels: (n,) names for the messages.
    """
    heavy = ~atoms.is_hydrogen & (atoms.parent == np.arange(len(atoms)))
    special = find_special_positions(crystal, atoms.xyz, heavy)
    if len(special.atom) == 0:
        return atoms, special, []
    xyz, u = atoms.xyz.copy(), atoms.u_aniso.copy()
    multiplicity, weight = atoms.site_multiplicity.copy(), atoms.scattering_weight.copy()
    messages = []
    for row, atom in enumerate(special.atom):
        xyz[atom] = special.snapped[row]
        count = int(special.multiplicity[row])
        multiplicity[atom] = count
        if atoms.is_aniso[atom]:
            u[atom] = np.mean([tensor_rotation(turn) @ u[atom] for turn in special.rotations[row]], axis=0)
        text = f"{labels[atom]} lies on a special position of multiplicity {count}"
        if atoms.occ[atom] * count > FULL_SITE:
            weight[atom] /= count
            text += f"; its occupancy {atoms.occ[atom]:.2f} counts the full site and is divided by {count} for F_calc"
        messages.append(text + ".")
    # hydrogens of an atom that moved go with it
    shift = xyz - atoms.xyz
    moved = atoms.is_hydrogen & (atoms.parent != np.arange(len(atoms)))
    xyz[moved] += shift[atoms.parent[moved]]
    rides = np.isin(atoms.parent, special.atom) & moved
    weight[rides] = atoms.scattering_weight[rides] * (weight / np.maximum(atoms.scattering_weight, 1e-9))[
        atoms.parent[rides]
    ]
    return (
        replace(atoms, xyz=xyz, u_aniso=u, site_multiplicity=multiplicity, scattering_weight=weight), special, messages
    )
