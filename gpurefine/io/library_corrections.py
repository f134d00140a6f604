"""Corrections of the dictionaries of 2013 that the embedded library is partly made of.

Every value has a source that can be looked up.  Ions and small molecules: the CCP4 monomer library of today
(github.com/MonomerLibrary/monomers, files made by AceDRG 233).  Haem: the 2013 dictionary's own values averaged
over the four-fold symmetry, and the angles at nitrogen and methine of today's library; together they close the ring.
"""

from __future__ import annotations

import re

# The dictionaries' bonds are one Kekulé structure of an ion, or predate sulphur parameters (S–C 1.66 Å).
BONDS = {
    "NO3": {("O1", "N"): 1.226, ("O2", "N"): 1.226, ("N", "O3"): 1.226},
    "CO3": {("O1", "C"): 1.269, ("O2", "C"): 1.269, ("C", "O3"): 1.269},
    "SCN": {("S", "C"): 1.574, ("C", "N"): 1.149},
    "DMS": {("S", "O"): 1.503, ("C1", "S"): 1.774, ("C2", "S"): 1.774},
    "MES": {("C8", "S"): 1.779},
}

# O–P–O of phosphate is 119.9° in 2013, which six angles about one atom cannot all be.
TETRAHEDRAL = {"PO4"}

# The haem of 2013 has one ring system of another oxidation state, Fe–N from 1.85 to 2.09 Å and chiral nitrogens.  These
# are averages over the four-fold symmetry by kind of atom: N, α and β carbon of a pyrrole, m methine.
PORPHYRIN = {"HEM"}
PORPHYRIN_BONDS = {"FeN": 2.00, "Nα": 1.356, "αβ": 1.436, "ββ": 1.365, "mα": 1.393}
PORPHYRIN_ANGLES = {
    "αNα": 105.5, "FeNα": 127.2, "Nαβ": 110.0, "Nαm": 125.7, "mαβ": 124.3, "αββ": 107.2, "αmα": 124.2,
}  # fmt: skip
KINDS = ((r"FE", "Fe"), (r"N[ABCD]", "N"), (r"C[14][ABCD]", "α"), (r"C[23][ABCD]", "β"), (r"CH[ABCD]", "m"))


def corrected(name: str, category: str, item: str, values: dict[str, str]) -> str:
    """One value of a row of a monomer's category, put right where it is known to be wrong.

    Args:
        name: the residue.
        category: as "_chem_comp_bond.".
        item: the column.
        values: the row.
    """
    value = values[item]
    if category == "_chem_comp_atom.":
        if item == "charge" and "." in value:
            return f"{float(value):g}"
        if item in ("x", "y", "z") and value not in ".?":
            return f"{float(value):.3f}"
    if item == "value_dist":
        atoms = (values["atom_id_1"], values["atom_id_2"])
        better = BONDS.get(name, {}).get(atoms) or _porphyrin(name, atoms, PORPHYRIN_BONDS)
        return f"{better:.3f}" if better else value
    if item == "value_angle" and category == "_chem_comp_angle.":
        if name in TETRAHEDRAL:
            return "109.471"
        better = _porphyrin(name, (values["atom_id_1"], values["atom_id_2"], values["atom_id_3"]), PORPHYRIN_ANGLES)
        return f"{better:.1f}" if better else value
    return value


def dropped(name: str, category: str, values: dict[str, str]) -> bool:
    """The row is left out: a chiral nitrogen or iron of a porphyrin."""
    return name in PORPHYRIN and category == "_chem_comp_chir."


def _porphyrin(name: str, atoms: tuple[str, ...], table: dict[str, float]) -> float | None:
    """The value for atoms of a porphyrin ring, in either order."""
    if name not in PORPHYRIN:
        return None
    kinds = [next((kind for pattern, kind in KINDS if re.fullmatch(pattern, atom)), "?") for atom in atoms]
    return table.get("".join(kinds)) or table.get("".join(reversed(kinds)))
