"""Structures of a few atoms."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import gemmi
import numpy as np

Row = tuple[str, int, str, str, str, float, tuple[float, float, float]]
"""Residue, its number, atom, element, alternative ("\0": none), occupancy, place in Å."""


def xenon_sites(path: Path, model: Path | None = None) -> Path:
    """Two xenon atoms of half occupancy, in the cell of ``model`` if there is one."""
    st, chain = gemmi.Structure(), gemmi.Chain("X")
    if model is not None:
        given = gemmi.read_structure(str(model))
        st.cell, st.spacegroup_hm = given.cell, given.spacegroup_hm
    for k, x in enumerate((5.0, 12.0)):
        residue = gemmi.Residue()
        residue.name, residue.seqid, residue.het_flag = "XE", gemmi.SeqId(k + 1, " "), "H"
        atom = gemmi.Atom()
        atom.name, atom.element, atom.pos = "XE", gemmi.Element("Xe"), gemmi.Position(x, 6.0, 7.0)
        atom.occ, atom.b_iso = 0.5, 25.0
        residue.add_atom(atom)
        chain.add_residue(residue)
    st.add_model(gemmi.Model("1"))
    st[0].add_chain(chain)
    st.write_pdb(str(path))
    return path


def one_chain(rows: Sequence[Row]) -> gemmi.Structure:
    """Chain A of these atoms, moved by 5 Å along each axis, all B 15 Å², in a small orthorhombic cell."""
    st = gemmi.Structure()
    st.cell, st.spacegroup_hm = gemmi.UnitCell(20, 21, 22, 90, 90, 90), "P 21 21 21"
    chain = gemmi.Chain("A")
    for name, number, label, element, altloc, occ, place in rows:
        if len(chain) < number:
            residue = gemmi.Residue()
            residue.name, residue.seqid = name, gemmi.SeqId(number, " ")
            chain.add_residue(residue)
        atom = gemmi.Atom()
        atom.name, atom.element, atom.b_iso, atom.occ, atom.altloc = label, gemmi.Element(element), 15.0, occ, altloc
        atom.pos = gemmi.Position(*(np.array(place) + 5.0))
        chain[number - 1].add_atom(atom)
    st.add_model(gemmi.Model(1))
    st[0].add_chain(chain)
    st.setup_entities()
    return st
