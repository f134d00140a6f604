"""Residue names of the past: DNA called A, C, G, T, and the nucleotides of X-PLOR."""

from __future__ import annotations

import gemmi

OLD_BASES = {
    "ADE": "A", "CYT": "C", "GUA": "G", "THY": "T", "URI": "U", "URA": "U", "A": "A", "C": "C", "G": "G", "T": "T",
    "U": "U", "I": "I", "AR": "A", "CR": "C", "GR": "G", "UR": "U", "AD": "A", "CD": "C", "GD": "G", "TD": "T",
    "AR5": "A", "CR5": "C", "GR5": "G", "UR5": "U", "+A": "A", "+C": "C", "+G": "G", "+U": "U", "+T": "T", "+I": "I",
}  # fmt: skip
"""Names that may stand for a nucleotide; most mean other things today (CD cadmium), so that the atoms decide."""

SUGAR = ("C1'", "C2'", "C3'", "C4'")


def today_names(st: gemmi.Structure, messages: list[str]) -> None:
    """Give nucleotides under old names those of today, and the link records that name them.

    A nucleotide is known by its sugar.  A residue without O2' in a chain whose nucleotides all lack it is DNA.
    """
    told: dict[str, list[str]] = {}
    for chain in st[0]:
        nucleotides = [(r, {a.name.replace("*", "'") for a in r}) for r in chain if r.name.upper() in OLD_BASES]
        nucleotides = [(r, atoms) for r, atoms in nucleotides if atoms.issuperset(SUGAR)]
        ribose = any("O2'" in atoms for _, atoms in nucleotides)
        for residue, atoms in nucleotides:
            base = OLD_BASES[residue.name.upper()]
            dna = "O2'" not in atoms and (not ribose or base == "T" or residue.name.upper() in ("AD", "CD", "GD", "TD"))
            new = f"D{base}" if dna else base
            if new == "T" or new == residue.name:
                continue
            told.setdefault(f"{residue.name} → {new}", []).append(f"{chain.name}/{residue.seqid}")
            for con in st.connections:
                for partner in (con.partner1, con.partner2):
                    if partner.chain_name == chain.name and partner.res_id.seqid == residue.seqid:
                        partner.res_id.name = new
            residue.name = new
    messages += [
        f"Nucleotides have the names of today: {text} ({len(where)} of them, the first {where[0]})."
        for text, where in told.items()
    ]
