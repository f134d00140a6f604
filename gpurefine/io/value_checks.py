"""Ideal values of dictionaries that cannot be right."""

from __future__ import annotations

import math

import gemmi

LONGEST = 5.0
"""Å: no bond is longer."""


def wrong_value(rt: gemmi.Restraints) -> str:
    """The first term whose ideal value or uncertainty makes no sense, in words; "" where all do.

    Terms of modifications may lack values ("delete this bond"), so that they are not checked with this.
    """
    for bond in rt.bonds:
        if not (0.0 < bond.value < LONGEST and _usable(bond.esd)):
            return f"bond {bond.id1.atom}–{bond.id2.atom} ({bond.value:g} ± {bond.esd:g} Å)"
    for angle in rt.angles:
        if not (math.isfinite(angle.value) and abs(angle.value) <= 360.0 and _usable(angle.esd)):
            names = "–".join(atom.atom for atom in (angle.id1, angle.id2, angle.id3))
            return f"angle {names} ({angle.value:g} ± {angle.esd:g}°)"
    for torsion in rt.torsions:
        if not math.isfinite(torsion.value):
            names = "–".join(atom.atom for atom in (torsion.id1, torsion.id2, torsion.id3, torsion.id4))
            return f"torsion {names} ({torsion.value:g}°)"
    for plane in rt.planes:
        if not _usable(plane.esd):
            return f"plane {plane.label} (± {plane.esd:g} Å)"
    return ""


def _usable(esd: float) -> bool:
    """An uncertainty is a number and not negative (0 switches a term off)."""
    return math.isfinite(esd) and esd >= 0.0
