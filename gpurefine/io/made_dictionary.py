"""A dictionary, to begin with, for residues that none knows: values of a similar residue, else those of the model.

Where most atoms have the names, elements and bonds of a residue of the embedded library (1MA of A, SUL of SO4), its
values are taken for what the two share.  What is left comes from the coordinates (:mod:`gpurefine.io.made_geometry`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import gemmi
from gemmi import cif

from ..errors import ChemistryError
from .dictionary import ORIGIN_TAG
from .library_places import embedded_document, embedded_names
from .made_geometry import ANGLE_SIGMA, BOND_SIGMA, PLANE_SIGMA, MadeGeometry, measure
from .software import PROGRAM, program_version

SHARED = 0.7
"""Part of a residue's atoms that a residue to copy values from must have, and the other way round."""

NOT_FLAT = 0.12
"""Å: r.m.s. distance from a plane of the similar residue from which on the model is believed, not the plane."""

STRETCHED = 0.1
"""Å by which a bond is longer than a double or aromatic one of the similar residue where it must be a single one."""

Rows = list[list[str]]


@dataclass(frozen=True, slots=True)
class MadeComponent:
    """A made dictionary of one residue: its CIF ``block`` and ``origin``, the place where its values come from."""

    name: str
    block: cif.Block
    origin: str


@dataclass(frozen=True, slots=True)
class _Likeness:
    """A residue of the library that shares ``common`` atoms.

    ``changed`` are those among them with other neighbours, or with a geometry that the residue cannot have; the latter
    alone are ``strained``.
    """

    name: str
    block: cif.Block
    common: frozenset[str]
    changed: frozenset[str]
    strained: frozenset[str]


def made_component(name: str, copies: Sequence[tuple[str, gemmi.Residue]]) -> MadeComponent:
    """Make restraints of residue ``name`` from its ``copies``, each with its place ("A/12") in the model.

    Raises:
        ChemistryError: the coordinates show no residue that holds together.
    """
    made = measure([residue for _, residue in copies])
    where = copies[0][0]
    if not made.elements:
        raise ChemistryError(f"{name} at {where} has no atom other than hydrogen: no dictionary can be made.")
    _check_whole(name, where, made)
    like = _most_alike(made)
    origin = f"coordinates of {made.copies} cop{'ies' if made.copies > 1 else 'y'} in the model (first: {where})"
    if like is not None:
        rest = len(made.elements) - len(like.common - like.changed)
        origin = f"{like.name} of the embedded library, and for {rest} atoms {origin}" if rest else (
            f"{like.name} of the embedded library, which has the same atoms and bonds"
        )
    return MadeComponent(name, _block(name, made, like, origin), origin)


def made_document(components: Sequence[MadeComponent]) -> str:
    """CIF text of a ligand file with all components, marked as made here."""
    document = cif.Document()
    listed = document.add_new_block("comp_list").init_loop(
        "_chem_comp.", ["id", "three_letter_code", "name", "group", "desc_level"]
    )
    for component in components:
        group = component.block.find_value("_chem_comp.group")
        listed.add_row([component.name, component.name, cif.quote(f"made by {PROGRAM}"), group, "M"])
        document.add_copied_block(component.block)
    lines = [
        f"# Made by {PROGRAM} {program_version()} (gpurefine dictionary) to begin with.  Ideal values come from:",
        *(f"#   {component.name}: {component.origin}" for component in components),
        "# Values from a model repeat its mistakes: replace them (AceDRG, Grade2, eLBOW) before publication.",
    ]
    return "\n".join(lines) + "\n" + str(document.as_string())


def _check_whole(name: str, where: str, made: MadeGeometry) -> None:
    """Refuse a residue whose atoms are not all connected."""
    around = made.around()
    pieces: list[set[str]] = []
    for start in made.elements:
        if any(start in piece for piece in pieces):
            continue
        seen, stack = set(), [start]
        while stack:
            atom = stack.pop()
            if atom not in seen:
                seen.add(atom)
                stack += around[atom]
        pieces.append(seen)
    largest = max(pieces, key=len)
    apart = [atom for atom in made.elements if atom not in largest]
    if apart:
        raise ChemistryError(
            f"No dictionary of {name} can be made from its coordinates: at {where} {', '.join(apart[:5])} "
            f"{'are' if len(apart) > 1 else 'is'} not bonded to the other atoms. Correct the model, or give a "
            "dictionary with --ligand."
        )


def _most_alike(made: MadeGeometry) -> _Likeness | None:
    """The residue of the embedded library that shares most, None where none shares enough."""
    best: tuple[tuple[int, int], _Likeness] | None = None
    around = made.around()
    for name in embedded_names():
        block = embedded_document().find_block(f"comp_{name}")
        elements = _heavy(block)
        common = {atom for atom, element in made.elements.items() if elements.get(atom) == element.upper()}
        if len(common) < 2 or len(common) < SHARED * max(len(made.elements), len(elements)):
            continue
        theirs: dict[str, set[str]] = {atom: set() for atom in elements}
        for row in block.find("_chem_comp_bond.", ["atom_id_1", "atom_id_2"]):
            if row.str(0) in theirs and row.str(1) in theirs:
                theirs[row.str(0)].add(row.str(1))
                theirs[row.str(1)].add(row.str(0))
        if any(theirs[atom] & common != set(around[atom]) & common for atom in common):
            continue
        leaving = {"OXT", "OP3"}
        changed = {atom for atom in common if theirs[atom] - leaving != set(around[atom]) - leaving}
        strained = _strained(block, made, common)
        changed |= strained
        score = (len(common) - len(changed), -len(elements))
        if score[0] > 0 and (best is None or score > best[0]):
            best = score, _Likeness(name, block, frozenset(common), frozenset(changed), frozenset(strained))
    return None if best is None else best[1]


def _strained(block: cif.Block, made: MadeGeometry, common: set[str]) -> set[str]:
    """Shared atoms that the residue of the library has in planes and multiple bonds, and the model has not."""
    strained: set[str] = set()
    planes: dict[str, list[str]] = {}
    for row in block.find("_chem_comp_plane_atom.", ["plane_id", "atom_id"]):
        if row.str(1) in common:
            planes.setdefault(row.str(0), []).append(row.str(1))
    for members in planes.values():
        if len(members) > 3 and made.out_of_plane(members) > NOT_FLAT:
            strained |= set(members)
    for row in block.find("_chem_comp_bond.", ["atom_id_1", "atom_id_2", "type", "value_dist"]):
        a, b = row.str(0), row.str(1)
        length = made.bonds.get((a, b), made.bonds.get((b, a), 0.0))
        organic = made.elements.get(a) in ("C", "N") and made.elements.get(b) in ("C", "N")
        if organic and not row.str(2).lower().startswith("sing") and length > float(row.str(3)) + STRETCHED:
            strained |= {a, b}
    return strained


def _heavy(block: cif.Block) -> dict[str, str]:
    """Elements of a block's atoms other than hydrogen."""
    return {
        row.str(0): row.str(1).upper()
        for row in block.find("_chem_comp_atom.", ["atom_id", "type_symbol"])
        if row.str(1).upper() not in ("H", "D")
    }


def _block(name: str, made: MadeGeometry, like: _Likeness | None, origin: str) -> cif.Block:
    """The whole dictionary of a residue."""
    group = _group(made) if like is None else like.block.find_value("_chem_comp.group")
    block = cif.Document().add_new_block(f"comp_{name}")
    block.set_pair("_chem_comp.id", cif.quote(name))
    block.set_pair("_chem_comp.group", cif.quote(cif.as_string(group)))
    block.set_pair("_chem_comp.desc_level", "M")
    block.set_pair(ORIGIN_TAG, cif.quote(origin))
    taken = _Taken(like)
    atoms = taken.rows("_chem_comp_atom.", ["atom_id", "type_symbol", "type_energy", "charge"], 1, alone=True)
    known = {row[0] for row in atoms}
    atoms += [
        [cif.quote(atom), element.upper(), made.types[atom], "0"]
        for atom, element in made.elements.items() if cif.quote(atom) not in known
    ]
    _loop(block, "_chem_comp_atom.", ["comp_id", "atom_id", "type_symbol", "type_energy", "charge"], name, atoms)
    bonds = taken.rows(
        "_chem_comp_bond.", ["atom_id_1", "atom_id_2", "type", "value_dist", "value_dist_esd"], 2, alone=True
    )
    taken_bonds = {frozenset(row[:2]) for row in bonds}
    for (a, b), length in made.bonds.items():
        if frozenset((cif.quote(a), cif.quote(b))) not in taken_bonds:
            bonds.append([cif.quote(a), cif.quote(b), "single", f"{length:.3f}", f"{BOND_SIGMA:.3f}"])
    _loop(
        block, "_chem_comp_bond.", ["comp_id", "atom_id_1", "atom_id_2", "type", "value_dist", "value_dist_esd"],
        name, bonds,
    )  # fmt: skip
    angles = taken.rows(
        "_chem_comp_angle.", ["atom_id_1", "atom_id_2", "atom_id_3", "value_angle", "value_angle_esd"], 3, 1
    )
    taken_angles = {(row[1], frozenset((row[0], row[2]))) for row in angles}
    for (a, b, c), value in made.angles.items():
        if (cif.quote(b), frozenset((cif.quote(a), cif.quote(c)))) not in taken_angles:
            angles.append([cif.quote(a), cif.quote(b), cif.quote(c), f"{value:.1f}", f"{ANGLE_SIGMA:.1f}"])
    _loop(
        block, "_chem_comp_angle.",
        ["comp_id", "atom_id_1", "atom_id_2", "atom_id_3", "value_angle", "value_angle_esd"], name, angles,
    )  # fmt: skip
    torsion = ["id", "atom_id_1", "atom_id_2", "atom_id_3", "atom_id_4", "value_angle", "value_angle_esd", "period"]
    torsions = taken.rows("_chem_comp_tor.", torsion, (1, 5), alone=True)
    _loop(block, "_chem_comp_tor.", ["comp_id", *torsion], name, torsions)
    _chirals(block, name, made, taken)
    _planes(block, name, made, taken)
    return block


class _Taken:
    """Rows that a similar residue gives: all their atoms are shared, or hydrogens on atoms that did not change."""

    def __init__(self, like: _Likeness | None) -> None:
        self.like = like
        self.atoms: set[str] = set()
        self.changed: frozenset[str] = frozenset()
        self.strained: frozenset[str] = frozenset()
        if like is None:
            return
        heavy = _heavy(like.block)
        self.atoms, self.changed, self.strained = set(like.common), like.changed, like.strained
        for row in like.block.find("_chem_comp_bond.", ["atom_id_1", "atom_id_2"]):
            for hydrogen, parent in ((row.str(0), row.str(1)), (row.str(1), row.str(0))):
                if hydrogen not in heavy and parent in like.common and parent not in like.changed:
                    self.atoms.add(hydrogen)

    def rows(
        self, category: str, columns: list[str], names: int | tuple[int, int], centre: int | None = None,
        alone: bool = False,
    ) -> Rows:
        """Values of ``columns``; columns ``names`` hold atoms, of which that at ``centre`` must not have changed.

        With ``alone`` rows are left out that hold nothing but strained atoms.
        """
        if self.like is None:
            return []
        first, last = names if isinstance(names, tuple) else (0, names)
        spelled = ["?" + c if c in ("type", "charge") else c for c in columns]
        chosen = []
        for row in self.like.block.find(category, spelled):
            atoms = [row.str(k) for k in range(first, last)]
            if alone and self.strained.issuperset(atoms):
                continue
            if self.atoms.issuperset(atoms) and (centre is None or atoms[centre] not in self.changed):
                values = [row[k] if row.has(k) else "." for k in range(len(columns))]
                values[first:last] = [cif.quote(atom) for atom in atoms]
                chosen.append(values)
        return chosen


def _chirals(block: cif.Block, name: str, made: MadeGeometry, taken: _Taken) -> None:
    columns = ["id", "atom_id_centre", "atom_id_1", "atom_id_2", "atom_id_3", "volume_sign"]
    rows = taken.rows("_chem_comp_chir.", columns, (1, 5))
    centres = {row[1] for row in rows}
    known = set() if taken.like is None else {cif.quote(a) for a in taken.like.common - taken.changed}
    for centre, a, b, c, sign in made.chirals:
        if cif.quote(centre) not in centres | known:
            rows.append([f"chir_{len(rows) + 1:02d}", *(cif.quote(x) for x in (centre, a, b, c)), sign])
    for k, row in enumerate(rows):
        row[0] = f"chir_{k + 1:02d}"
    _loop(block, "_chem_comp_chir.", ["comp_id", *columns], name, rows)


def _planes(block: cif.Block, name: str, made: MadeGeometry, taken: _Taken) -> None:
    rows = taken.rows("_chem_comp_plane_atom.", ["plane_id", "atom_id", "dist_esd"], (1, 2))
    held: dict[str, set[str]] = {}
    for plane, atom, _ in rows:
        held.setdefault(plane, set()).add(cif.as_string(atom))
    held = {plane: atoms for plane, atoms in held.items() if len(atoms) > 3 and not atoms & taken.strained}
    rows = [row for row in rows if row[0] in held]
    for atoms in made.planes:
        if not any(set(atoms) <= members for members in held.values()):
            plane = f"plan-made-{len(held) + 1}"
            held[plane] = set(atoms)
            rows += [[plane, cif.quote(atom), f"{PLANE_SIGMA:.3f}"] for atom in atoms]
    _loop(block, "_chem_comp_plane_atom.", ["comp_id", "plane_id", "atom_id", "dist_esd"], name, rows)


def _loop(block: cif.Block, category: str, columns: list[str], name: str, rows: Rows) -> None:
    """Add a loop where there are rows; every row gets the residue's name in front."""
    if rows:
        loop = block.init_loop(category, columns)
        for row in rows:
            loop.add_row([cif.quote(name), *row])


def _group(made: MadeGeometry) -> str:
    """Group of a residue by the atoms that links need."""
    names = set(made.elements)
    bonds = {frozenset(pair) for pair in made.bonds}
    if {frozenset(("N", "CA")), frozenset(("CA", "C")), frozenset(("C", "O"))} <= bonds:
        return "peptide"
    if {frozenset(("P", "O5'")), frozenset(("C3'", "O3'"))} <= bonds:
        return "RNA" if "O2'" in names else "DNA"
    return "non-polymer"
