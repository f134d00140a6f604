"""TLS groups as refinement takes them up: atoms that cannot move with them, and displacement that is theirs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..constants import B_MIN, EIGHT_PI2
from ..model.atoms import Atoms
from ..model.special import SpecialPositions
from ..model.tensors import TRACE, smallest_and_largest
from ..model.tls import TlsGroups
from ..params.carried import CarriedMotion
from ..params.tls import SMALLEST_U, validity

MANY = 0.1
"""Share of a group's atoms that may lack displacement before the tensors are told to be doubtful."""


def start_motion(
    atoms: Atoms, groups: TlsGroups, special: SpecialPositions, b_was_reset: bool
) -> tuple[Atoms, TlsGroups, list[str]]:
    """Atoms with their own displacement alone, groups without atoms on special positions, and what is to be told.

    Where the model's B and U hold the groups' motion it is subtracted, unless every B has been set anew.  Tensors that
    leave the U of an atom without a positive direction are given up.
    """
    messages: list[str] = []
    member = groups.member.copy()
    held = (member >= 0) & np.isin(np.arange(len(atoms)), special.atom)
    if held.any():
        member[held] = -1
        count = int(held.sum())
        messages.append(f"{count} atoms on special positions take no part in TLS, whose U would break symmetry.")
    groups = replace(groups, member=member[atoms.parent])
    start = groups.start.copy()
    messages += [f"Warning: {told}" for told in validity(groups, start)]
    if groups.total_given and not b_was_reset:
        atoms, lacking = _without(atoms, groups)
        for g, name in enumerate(groups.names):
            own = groups.member == g
            if lacking[own].mean() > MANY:
                messages.append(
                    f"Warning: TLS group {name} moves more than the B of {int(lacking[own].sum())} of its "
                    f"{int(own.sum())} atoms allow; do its tensors belong to this model? --tls-reset starts without."
                )
    own_u = np.where(atoms.is_aniso[:, None], atoms.u_aniso, atoms.b_iso[:, None] / EIGHT_PI2 * TRACE)
    total = own_u + groups.displacement(atoms.xyz, start)
    for g, name in enumerate(groups.names):
        own = groups.member == g
        if own.any() and smallest_and_largest(total[own])[0].min() < SMALLEST_U - 1e-9:
            start[g] = 0.0
            messages.append(
                f"Warning: TLS group {name} starts without motion, since its tensors make the displacement of an atom "
                "negative in some direction."
            )
    return atoms, replace(groups, start=start), messages


def tls_limits(groups: TlsGroups, adp: str, rigid: NDArray[np.int32] | None) -> list[str]:
    """What the user is to be told of TLS beside displacement parameters ``adp`` and ``rigid`` bodies (n,), −1 for
    atoms of none."""
    told = []
    if adp in ("aniso", "mixed"):
        told.append("Restraints on U act on the atoms' own U, without the motion of their TLS groups.")
    if rigid is not None and groups.start.any():
        told += [
            f"Warning: the atoms of TLS group {name} belong to several rigid bodies, or only in part to one; its "
            "tensors go with most of them, or stay. Where moves are large start them from zero (--tls-reset)."
            for name in CarriedMotion.of(groups, rigid).divided(rigid)
        ]
    return told


def _without(atoms: Atoms, groups: TlsGroups) -> tuple[Atoms, np.ndarray]:
    """Atoms whose displacement lacks their group's motion, and (n,) bool which had not enough of it."""
    motion = groups.displacement(atoms.xyz, groups.start)
    inside = groups.inside
    b_iso = atoms.b_iso - EIGHT_PI2 / 3.0 * (motion @ TRACE)
    lacking = inside & (b_iso < B_MIN)
    b_iso = np.where(inside, np.maximum(b_iso, B_MIN), atoms.b_iso)
    u_aniso, is_aniso = atoms.u_aniso.copy(), atoms.is_aniso
    both = np.flatnonzero(inside & is_aniso)
    if len(both):
        u_aniso[both] -= motion[both]
        low = smallest_and_largest(u_aniso[both])[0]
        bad = both[low < SMALLEST_U]  # rounding of ANISOU records leaves a little less than nothing
        lacking[bad] |= low[low < SMALLEST_U] < -0.01
        u_aniso[bad] = b_iso[bad, None] / EIGHT_PI2 * TRACE
    return replace(atoms, b_iso=b_iso, u_aniso=u_aniso), lacking
