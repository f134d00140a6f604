"""Copies that strict symmetry makes: where they meet, and what need be told of one of them only."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..backend.ops_restraints import Contacts
from ..model.records import OutlierRecord
from ..model.strict_ncs import StrictNcs

NEAR = 2.0
"""Å: atoms of two copies, hydrogens left out, that come nearer than this have no place beside each other."""


def too_near(contacts: Contacts, ncs: StrictNcs, labels: Sequence[str], is_hydrogen: NDArray[np.bool_]) -> list[str]:
    """A warning where copies come nearer to each other than molecules can lie.

    Args:
        contacts: of all atoms of the asymmetric unit; labels, is_hydrogen: (n,) of the atoms of one copy.
    """
    n, first, second = len(labels), contacts.first, contacts.second
    bad = (first // n != second // n) & (contacts.distance < NEAR)
    bad &= ~is_hydrogen[first % n] & ~is_hydrogen[second % n]
    if not bad.any():
        return []
    names, worst = ncs.labels(labels), int(np.argmin(np.where(bad, contacts.distance, np.inf)))
    return [
        f"Warning: copies made by strict non-crystallographic symmetry overlap: {int(bad.sum())} pairs of their atoms "
        f"are nearer than {NEAR:g} Å, {names[first[worst]]} and {names[second[worst]]} {contacts.distance[worst]:.2f} "
        "Å; are the operators those of this model?"
    ]


def told_once(outliers: Sequence[OutlierRecord], ncs: StrictNcs, labels: Sequence[str]) -> list[OutlierRecord]:
    """The outliers without those inside a made copy, which the one that is given has too.

    Args:
        labels: (k n,) of the atoms of all copies.
    """
    copy = {label: place * len(ncs) // len(labels) for place, label in enumerate(labels)}
    found = [({copy[atom] for atom in outlier.atoms}, outlier) for outlier in outliers]
    return [outlier for copies, outlier in found if len(copies) > 1 or 0 in copies]
