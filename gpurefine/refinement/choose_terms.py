"""Which displacement parameters are refined, and with which restraints (``--adp``)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..backend.ops import Backend
from ..config import RefineOptions
from ..constants import B_MAX, B_MIN, EIGHT_PI2
from ..model.atoms import Atoms
from ..model.special import SpecialPositions
from ..model.tensors import TRACE, smallest_and_largest
from ..model.tls import TlsGroups
from ..params.atomic import IsotropicB
from ..params.copies import Copies
from ..params.grouped import GroupedB
from ..params.tensors import B_PER_TRACE, DisplacementTensors
from ..restraints.adp import AdpRestraints
from ..restraints.adp_tensors import TensorRestraints
from .terms import IsotropicTerms, OverGroups, TensorTerms, Term, over

ANISO_FROM = 10.0
"""Working reflections per atom (without hydrogen) from which ``--adp auto`` takes anisotropic atoms: above this,
restrained anisotropic refinement lowered R_free by two points or more; below, it widened the distance to R_work without
much gain."""


@dataclass(frozen=True, slots=True, eq=False)
class Displacements:
    """What ``--adp`` amounts to: ``kind`` (iso, aniso, mixed or fixed), the ``atoms`` as they start, ``messages``."""

    kind: str
    atoms: Atoms
    messages: list[str]


def choose_displacements(atoms: Atoms, options: RefineOptions, n_work: int) -> Displacements:
    """The atoms with the displacement parameters that ``options`` want, B within bounds.

    Args:
        n_work: number of working reflections; ``auto`` decides by it, never by the free set.
    """
    kind, messages = options.adp, list[str]()
    if kind == "auto":
        kind, reason = automatic_kind(atoms, n_work)
        messages.append(f"Displacement parameters: {kind} ({reason}).")
    if kind in ("iso", "grouped") and atoms.is_aniso.any():
        n_aniso = int((atoms.is_aniso & ~atoms.is_hydrogen).sum())
        messages.append(
            f"{n_aniso} anisotropic atoms are made isotropic with their equivalent B (--adp {options.adp})."
        )
        atoms = isotropic(atoms, atoms.is_aniso)
    atoms = replace(atoms, b_iso=np.clip(atoms.b_iso, B_MIN, B_MAX))
    atoms, told = _repaired(atoms)
    messages += told
    if kind == "aniso":
        new = ~atoms.is_hydrogen & ~atoms.is_aniso
        u = np.where(new[:, None], (atoms.b_iso / EIGHT_PI2)[:, None] * TRACE, atoms.u_aniso)
        atoms = replace(atoms, u_aniso=u, is_aniso=atoms.is_aniso | new)
    if kind in ("aniso", "mixed"):
        atoms = isotropic(atoms, atoms.is_aniso & ~atoms.refined)
    if kind == "mixed" and not atoms.is_aniso.any():
        messages.append("No atom of the model is anisotropic: --adp mixed is the same as --adp iso.")
        kind = "iso"
    return Displacements(kind, atoms, messages)


def automatic_kind(atoms: Atoms, n_work: int) -> tuple[str, str]:
    """What ``--adp auto`` takes, aniso or iso, and why: the working reflections for each atom but hydrogens."""
    heavy = int((~atoms.is_hydrogen & (atoms.occ > 0.0)).sum())
    share = n_work / max(heavy, 1)
    kind, side = ("aniso", "at least") if share >= ANISO_FROM else ("iso", "fewer than")
    return kind, f"--adp auto: {share:.1f} working reflections per atom without hydrogen, {side} {ANISO_FROM:g}"


def displacement_terms(
    chosen: Displacements, special: SpecialPositions, adp: AdpRestraints, backend: Backend,
    copies: Copies | None = None, grouped: GroupedB | None = None, tls: TlsGroups | None = None,
) -> tuple[list[Term], TensorRestraints | None]:
    """The parameters with their restraints, and the restraints on tensors where there are any.

    Args:
        adp: of the whole asymmetric unit, which has ``copies`` of the atoms where there is strict symmetry; grouped:
            shifts of B that --adp grouped refines; tls: groups whose motion adds to the atoms' own B.
    """
    atoms = chosen.atoms
    if chosen.kind == "iso":
        each = IsotropicB(atoms.parent, atoms.is_aniso.copy(), tls)
        return [Term(each, over(IsotropicTerms(adp), copies, backend), held=each.held)], None
    if chosen.kind == "grouped" and grouped is not None:
        inner = over(IsotropicTerms(adp), copies, backend)
        return [Term(grouped, OverGroups(inner, grouped, backend), held=grouped.held)], None
    if chosen.kind in ("aniso", "mixed"):
        kind = DisplacementTensors.of(atoms.parent, atoms.is_aniso, special)
        is_aniso = atoms.is_aniso if copies is None else copies.ncs.each(atoms.is_aniso)
        tensors = TensorRestraints(adp, special, is_aniso, backend)
        return [Term(kind, over(TensorTerms(tensors, is_aniso), copies, backend))], tensors
    return [], None


def isotropic(atoms: Atoms, which: NDArray[np.bool_]) -> Atoms:
    """The atoms with the tensors of ``which`` (n,) replaced by their equivalent B."""
    keep = atoms.is_aniso & ~which
    return replace(atoms, u_aniso=np.where(keep[:, None], atoms.u_aniso, 0.0), is_aniso=keep)


def _repaired(atoms: Atoms) -> tuple[Atoms, list[str]]:
    """Tensors that are not positive definite replaced by isotropic ones; equivalent B of all others as U has it."""
    index = np.flatnonzero(atoms.is_aniso)
    if len(index) == 0:
        return atoms, []
    bad = index[smallest_and_largest(atoms.u_aniso[index])[0] < B_MIN / EIGHT_PI2]
    u, b_iso = atoms.u_aniso.copy(), atoms.b_iso.copy()
    b_iso[index] = np.clip(B_PER_TRACE * (u[index] @ TRACE), B_MIN, B_MAX)
    u[bad] = (b_iso[bad] / EIGHT_PI2)[:, None] * TRACE
    message = f"{len(bad)} anisotropic atoms whose U is not positive definite start from their equivalent B."
    return replace(atoms, u_aniso=u, b_iso=b_iso), [message] if len(bad) else []
