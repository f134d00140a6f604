"""Strict non-crystallographic symmetry of a model file: MTRIX records and _struct_ncs_oper that generate copies."""

from __future__ import annotations

import numpy as np

from ..errors import InputError
from ..model.crystal import Crystal
from ..model.special import find_special_positions
from ..model.strict_ncs import StrictNcs
from .structure import InputModel
from .topology import ChemicalModel

IDENTITY = 1e-4
"""Operators that differ from the identity by less do nothing."""

ROUNDING = 2e-3
"""How far R Rᵀ of a rotation matrix with six decimals, or with four, may be from unity."""


def find_copies(model: InputModel, chemistry: ChemicalModel, crystal: Crystal) -> tuple[StrictNcs | None, list[str]]:
    """The operators of ``model`` that make copies of its atoms, None without any, and what the user is to be told.

    Rotations are those nearest to the matrices as rounded in the file.  Operators that the file marks as given, whose
    copies it holds, are not applied.

    Raises:
        InputError: an operator is no rotation, two copies are the same, or an atom lies on a special position.
    """
    path, names, turns, shifts = model.path, ["1"], [np.eye(3)], [np.zeros(3)]
    for operator in model.structure.ncs:
        turn, shift = np.array(operator.tr.mat.tolist()), np.array(operator.tr.vec.tolist())
        if operator.given or (np.abs(turn - np.eye(3)).max() < IDENTITY and np.abs(shift).max() < IDENTITY):
            continue
        if np.abs(turn @ turn.T - np.eye(3)).max() > ROUNDING or np.linalg.det(turn) < 0.0:
            raise InputError(
                f"Operator {operator.id} of the strict non-crystallographic symmetry in {path} (MTRIX, "
                "_struct_ncs_oper) is no rotation: its matrix is not orthogonal with determinant 1; correct it."
            )
        left, _, right = np.linalg.svd(turn)
        names.append(operator.id)
        turns.append(left @ right)
        shifts.append(shift)
    messages = []
    given = sum(operator.given for operator in model.structure.ncs)
    if given:
        messages.append(f"{given} operators of non-crystallographic symmetry whose copies are given are not applied.")
    if len(names) == 1:
        return None, messages
    ncs = StrictNcs(tuple(names), np.array(turns), np.array(shifts))
    atoms = chemistry.atoms
    same = ncs.repeated_by(crystal, atoms.xyz)
    if same is not None:
        first, second = (f"operator {names[k]}" if k else "the model itself" for k in same)
        raise InputError(
            f"The copy that {second} of {path} makes by strict non-crystallographic symmetry (MTRIX, _struct_ncs_oper) "
            f"is that of {first}, or its mate by crystallographic symmetry; remove the operator."
        )
    heavy = ncs.each(~atoms.is_hydrogen & atoms.refined)
    special = find_special_positions(crystal, ncs.positions(atoms.xyz), heavy)
    if len(special.atom):
        raise InputError(
            f"{ncs.labels(chemistry.labels)[special.atom[0]]} of {path} lies on a special position, where strict "
            "non-crystallographic symmetry cannot hold it for all copies: delete it, or refine a model with all copies "
            "(gemmi convert --expand-ncs=new makes one)."
        )
    n = len(atoms)
    messages.append(
        f"Strict non-crystallographic symmetry: {len(ncs) - 1} operators make {len(ncs)} copies, {n * len(ncs)} atoms "
        f"(hydrogens included) out of {n}; the parameters are those of one copy."
    )
    return ncs, messages
