"""Which torsions of the dictionary are restrained.

As REFMAC and servalcat do: side-chain χ of amino acids, ω of peptide links, torsions about bonds with double-bond
character ("sp2_sp2…") everywhere, and torsions that end in a hydrogen (they keep its rotation).
Backbone φ and ψ, sugar puckers and torsions named otherwise ("var_1", "sp3_sp3…") are left to the data.
"""

from __future__ import annotations

from fnmatch import fnmatchcase

import gemmi

RESIDUE_RULES = ("sp2_sp2*",)
PEPTIDE_RULES = ("chi*", "sp2_sp2*")
LINK_RULES = ("omega", "sp2_sp2*")
PEPTIDES = (gemmi.ChemComp.Group.Peptide, gemmi.ChemComp.Group.PPeptide, gemmi.ChemComp.Group.MPeptide)


def residue_rules(monlib: gemmi.MonLib, residue: str) -> tuple[str, ...]:
    """Patterns of the labels of restrained torsions inside a residue."""
    return PEPTIDE_RULES if monlib.monomers[residue].group in PEPTIDES else RESIDUE_RULES


def selected(label: str, rules: tuple[str, ...]) -> bool:
    """The torsion with this label is restrained."""
    return any(fnmatchcase(label, rule) for rule in rules)
