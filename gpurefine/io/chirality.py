"""Chiral centres of the dictionary that are none: their sign only tells which of two equal arms has which name.

Dictionaries of 2013 give TRS (three CH2OH on one carbon), isopropyl groups and the sulphurs of iron–sulphur
clusters a definite sign.  A model with the names the other way round would be pulled through the mirror image, so that
these centres may have either sign.
"""

from __future__ import annotations

import gemmi


def free_false_centres(component: gemmi.ChemComp) -> list[str]:
    """Let false chiral centres of a residue have either sign; return their atom names.

    A centre is false where two of its atoms start equal arms (the same elements bonded the same way, with
    hydrogens) that do not close a ring and hold no chiral centre of their own, or where it bonds two metals or more.
    """
    elements = {atom.id: atom.el.name for atom in component.atoms}
    metals = {atom.id for atom in component.atoms if atom.el.is_metal}
    neighbours: dict[str, list[str]] = {name: [] for name in elements}
    for bond in component.rt.bonds:
        first, second = bond.id1.atom, bond.id2.atom
        if first in neighbours and second in neighbours:
            neighbours[first].append(second)
            neighbours[second].append(first)
    centres = {chir.id_ctr.atom for chir in component.rt.chirs}
    freed = []
    for chir in component.rt.chirs:
        if chir.sign == gemmi.ChiralityType.Both:
            continue
        centre = chir.id_ctr.atom
        around = neighbours.get(centre, [])
        arms = [_arm(centre, start, neighbours, elements, centres) for start in around]
        closed = [arm for arm in arms if arm is not None]
        if len(set(closed)) < len(closed) or sum(name in metals for name in around) > 1:
            chir.sign = gemmi.ChiralityType.Both
            freed.append(centre)
    return freed


def _arm(
    centre: str, start: str, neighbours: dict[str, list[str]], elements: dict[str, str], centres: set[str]
) -> str | None:
    """What hangs on ``centre`` by ``start``, as text equal for equal arms; None for rings and chiral arms."""
    seen = {centre}

    def walk(name: str, origin: str) -> str | None:
        if name in seen or name in centres:
            return None
        seen.add(name)
        parts = []
        for other in neighbours[name]:
            if other == origin:
                continue
            part = walk(other, name)
            if part is None:
                return None
            parts.append(part)
        return elements[name] + "".join(f"({part})" for part in sorted(parts))

    return walk(start, centre)
