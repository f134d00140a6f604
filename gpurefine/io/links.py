"""Bonds between residues: links of the file, links found by distance, and how they are reported."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gemmi
import numpy as np
from numpy.typing import NDArray

from ..model.crystal import Crystal
from ..model.topology import Bonds
from .dictionary import Dictionary
from .gemmi_stubs import absent, chain_infos
from .model_checks import atom_label, listed

# A link is found where the atoms are nearer than this many times the ideal bond, as REFMAC and servalcat do.
BOND_MARGIN = 1.3
# A metal holds an atom without hydrogen where it is nearer than the ideal distance and this many Å.
COORDINATION_MARGIN = 0.4
FAR = 1.5


@dataclass(frozen=True, slots=True)
class LinkRecord:
    """One bond between residues that is not a plain peptide or phosphodiester bond.

    Attributes:
        link: name of the link in the dictionary ("BETA1-4"); where the dictionary has none and only the distance is
            restrained, "metal" for a bond to a metal and "bond" for any other.
        atom1, atom2: labels of the bonded atoms.
        distance, ideal: Å in the model as read and in the dictionary.
        origin: "file" for LINK, SSBOND and _struct_conn, "distance" where gpurefine found it, "chain" within a polymer.
        symmetry: the second atom belongs to a symmetry mate.
    """

    link: str
    atom1: str
    atom2: str
    distance: float
    ideal: float
    origin: str
    symmetry: bool

    def __str__(self) -> str:
        """The link in one line."""
        mate = " of a symmetry mate" if self.symmetry else ""
        how = {"file": "given in the file", "distance": "found by distance", "chain": "in the chain"}[self.origin]
        return f"{self.link}: {self.atom1} – {self.atom2}{mate}, {self.distance:.2f} Å (ideal {self.ideal:.2f}), {how}"


def set_links(st: gemmi.Structure, monlib: gemmi.MonLib, messages: list[str]) -> None:
    """Name the dictionary's link of every connection of a structure, and add connections found by distance.

    Found connections are called "found1", "found2", ….  Links that match nothing are restrained by a bond alone.
    """
    lost: list[str] = []
    keep = [con for con in _distinct(st.clone().connections) if _settle(st, con, monlib, messages, lost)]
    if lost:
        number = f"{len(lost)} link records name" if len(lost) > 1 else "A link record names"
        messages.append(f"{number} atoms that are not in the model: ignored are {listed(lost, 3)}.")
    keep += _found(st, keep, monlib, messages)
    st.connections.clear()
    for con in keep:
        st.connections.append(con)


def _distinct(connections: gemmi.ConnectionList) -> list[gemmi.Connection]:
    """Connections without repeats (SSBOND and LINK may name the same bond)."""
    distinct: dict[frozenset[str], gemmi.Connection] = {}
    for con in connections:
        distinct.setdefault(frozenset((str(con.partner1), str(con.partner2))), con)
    return list(distinct.values())


def _copy(address: gemmi.AtomAddress) -> gemmi.AtomAddress:
    """The same address as an object of its own."""
    residue = address.res_id
    return gemmi.AtomAddress(address.chain_name, residue.seqid, residue.name, address.atom_name, address.altloc)


def _cra(st: gemmi.Structure, address: gemmi.AtomAddress) -> gemmi.CRA | None:
    """The atom of an address; where the address lacks an altloc, the first conformer's."""
    cra = st[0].find_cra(address, ignore_segment=True)
    if absent(cra.atom) and not absent(cra.residue):
        atom = next((a for a in cra.residue if a.name == address.atom_name), None)
        if atom is not None and address.altloc == "\0":
            address.altloc = atom.altloc
            cra = st[0].find_cra(address, ignore_segment=True)
    if absent(cra.residue) and _means_single_atom(st, address):
        cra = st[0].find_cra(address, ignore_segment=True)
    return None if absent(cra.atom) else cra


def _means_single_atom(st: gemmi.Structure, address: gemmi.AtomAddress) -> bool:
    """Let an address whose residue name is not there mean the one ion or water of that number, if there is one."""
    number = address.res_id.seqid
    there = [r for chain in st[0] if chain.name == address.chain_name for r in chain if r.seqid == number]
    if len(there) != 1 or len(there[0]) != 1:
        return False
    address.res_id.name, address.atom_name = there[0].name, there[0][0].name
    return True


def _settle(
    st: gemmi.Structure, con: gemmi.Connection, monlib: gemmi.MonLib, messages: list[str], lost: list[str]
) -> bool:
    """Check a connection of the file and find its link; False where it is of no use, its atoms then being ``lost``."""
    if con.type == gemmi.ConnectionType.Hydrog:
        return False
    cra1, cra2 = _cra(st, con.partner1), _cra(st, con.partner2)
    if cra1 is None or cra2 is None:
        lost.append(f"{con.partner1} – {con.partner2}")
        return False
    _settle_image(st, con, cra1, cra2)
    if cra1.atom.element.is_metal or cra2.atom.element.is_metal:
        con.type = gemmi.ConnectionType.MetalC
    if con.link_id == "gap":
        return True
    inverted = False
    if con.link_id and not _link_fits(monlib, con.link_id, cra1, cra2):
        inverted = _link_fits(monlib, con.link_id, cra2, cra1)
        if not inverted:
            messages.append(
                f"Link {con.link_id} of {_label(cra1)} and {_label(cra2)} is not in the dictionary or does not fit "
                "their atoms: the best fitting one is used."
            )
            con.link_id = ""
    if not con.link_id:
        link, inverted, _, _ = monlib.match_link(
            cra1.residue, cra1.atom.name, cra1.atom.altloc, cra2.residue, cra2.atom.name, cra2.atom.altloc
        )
        if not absent(link):
            con.link_id = link.id
        else:
            inverted = bool(cra2.atom.element.is_metal and not cra1.atom.element.is_metal)
            _bare(cra1, cra2)
    ideal = _ideal(monlib, con.link_id, cra1, cra2)
    if not con.link_id and con.type == gemmi.ConnectionType.MetalC and con.reported_distance > FAR * ideal:
        messages.append(
            f"The linked atoms {_label(cra1)} and {_label(cra2)} are {con.reported_distance:.2f} Å apart, which is no "
            f"bond to a metal ({ideal:.2f} Å is ideal): not restrained."
        )
        return False
    if con.reported_distance > FAR * ideal:
        messages.append(
            f"The linked atoms {_label(cra1)} and {_label(cra2)} are {con.reported_distance:.2f} Å apart, but "
            f"{ideal:.2f} Å is ideal: remove the link if it is not meant."
        )
    if inverted:
        con.partner1, con.partner2 = _copy(con.partner2), _copy(con.partner1)
    return True


def _settle_image(st: gemmi.Structure, con: gemmi.Connection, cra1: gemmi.CRA, cra2: gemmi.CRA) -> None:
    """Work out whether a connection reaches a symmetry mate, and its length."""
    distance = cra1.atom.pos.dist(cra2.atom.pos)
    if con.asu == gemmi.Asu.Same and distance < 5.0:
        con.reported_distance = distance
        return
    wanted = gemmi.Asu.Different if con.asu == gemmi.Asu.Different else gemmi.Asu.Any
    image = st.cell.find_nearest_image(cra1.atom.pos, cra2.atom.pos, wanted)
    con.asu = gemmi.Asu.Same if image.same_asu() else gemmi.Asu.Different
    con.reported_distance = image.dist()


def _link_fits(monlib: gemmi.MonLib, name: str, cra1: gemmi.CRA, cra2: gemmi.CRA) -> bool:
    """The link exists and bonds these atoms, in this order."""
    link = monlib.get_link(name)
    if absent(link):
        return False
    fits = monlib.test_link(link, cra1.residue.name, cra1.atom.name, cra2.residue.name, cra2.atom.name)
    return bool(fits[0])


def _ideal(monlib: gemmi.MonLib, name: str, cra1: gemmi.CRA, cra2: gemmi.CRA) -> float:
    """Ideal length of a linking bond."""
    link = monlib.get_link(name) if name else None
    if link is not None and len(link.rt.bonds) > 0:
        return float(link.rt.bonds[0].value)
    return float(monlib.find_ideal_distance(cra1, cra2))


def _bare(cra1: gemmi.CRA, cra2: gemmi.CRA) -> None:
    """No hydrogens are put on N, O, S that a link without dictionary entry bonds: nothing says which one is lost."""
    for cra in (cra1, cra2):
        if cra.atom.element.name in ("N", "O", "S"):
            cra.atom.calc_flag = gemmi.CalcFlag.NoHydrogen


def _label(cra: gemmi.CRA) -> str:
    return atom_label(cra.chain.name, cra.residue, cra.atom)


def _found(
    st: gemmi.Structure, given: list[gemmi.Connection], monlib: gemmi.MonLib, messages: list[str]
) -> list[gemmi.Connection]:
    """Connections of the dictionary's links that the distances show and the file does not list."""
    hunt = gemmi.LinkHunt()
    hunt.index_chem_links(monlib)
    matches = hunt.find_possible_links(st, BOND_MARGIN, 0.0, gemmi.ContactSearch.Ignore.SameResidue)
    used = {_label(cra) for con in given for cra in (_cra(st, con.partner1), _cra(st, con.partner2)) if cra is not None}
    order = _residue_order(st)
    found: list[gemmi.Connection] = []
    for match in sorted(matches, key=lambda m: m.bond_length):
        cra1, cra2 = match.cra1, match.cra2
        if absent(match.chem_link) or cra1.atom.element.is_metal or cra2.atom.element.is_metal:
            continue
        # gemmi's same_image is true for a mate a whole cell edge away, too
        same = abs(cra1.atom.pos.dist(cra2.atom.pos) - match.bond_length) < 0.01
        if _label(cra1) in used or _label(cra2) in used or _in_chain(cra1, cra2, order, same):
            continue
        link, inverted, _, _ = monlib.match_link(
            cra1.residue, cra1.atom.name, cra1.atom.altloc, cra2.residue, cra2.atom.name, cra2.atom.altloc,
            (match.bond_length / 1.4) ** 2,
        )  # fmt: skip
        if absent(link) or match.bond_length > BOND_MARGIN * _ideal(monlib, link.id, cra1, cra2):
            continue
        if _label(cra1).rpartition("/")[0] == _label(cra2).rpartition("/")[0]:
            messages.append(f"{_label(cra1)} may be bonded to its own symmetry mate (link {link.id}): not restrained.")
            continue
        first, second = (cra2, cra1) if inverted else (cra1, cra2)
        kept = [*_replaced(monlib, link.side1, first), *_replaced(monlib, link.side2, second)]
        if kept and all(cra.residue.entity_type == gemmi.EntityType.Polymer for cra in (cra1, cra2)):
            # chains that are not yet in their place overlap
            messages.append(
                f"Warning: {_label(cra1)} and {_label(cra2)} are {match.bond_length:.2f} Å apart, but are not bonded "
                f"by link {link.id}, since {listed(kept)}, which it replaces, is there; do chains overlap?"
            )
            continue
        con = gemmi.Connection()
        con.name = f"found{len(found) + 1}"
        con.link_id = link.id
        con.type = gemmi.ConnectionType.Disulf if link.id in ("disulf", "SS") else gemmi.ConnectionType.Covale
        con.asu = gemmi.Asu.Same if same else gemmi.Asu.Different
        con.partner1, con.partner2 = _address(first), _address(second)
        con.reported_distance = match.bond_length
        used |= {_label(cra1), _label(cra2)}
        found.append(con)
    return found


def _replaced(monlib: gemmi.MonLib, side: Any, cra: gemmi.CRA) -> list[str]:
    """Atoms without hydrogen of the residue that one side of a link takes away."""
    if side.mod not in monlib.modifications:
        return []
    changes = monlib.modifications[side.mod].atom_mods
    gone = {change.old_id for change in changes if chr(change.func) == "d"} - {change.new_id for change in changes}
    present = [atom for atom in cra.residue if atom.name in gone and not atom.is_hydrogen()]
    return [atom_label(cra.chain.name, cra.residue, atom) for atom in present]


def _address(cra: gemmi.CRA) -> gemmi.AtomAddress:
    return gemmi.AtomAddress(cra.chain.name, cra.residue.seqid, cra.residue.name, cra.atom.name, cra.atom.altloc)


def _residue_order(st: gemmi.Structure) -> dict[tuple[str, str], int]:
    """Running number of every residue position of every chain; microheterogeneous residues share one."""
    order: dict[tuple[str, str], int] = {}
    for chain in st[0]:
        for residue in chain:
            order.setdefault((chain.name, str(residue.seqid)), len(order))
    return order


def _in_chain(cra1: gemmi.CRA, cra2: gemmi.CRA, order: dict[tuple[str, str], int], same_image: bool) -> bool:
    """The bond is an ordinary one between neighbours of a polymer, which needs no connection."""
    polymer = gemmi.EntityType.Polymer
    if not same_image or not cra1.residue.entity_type == cra2.residue.entity_type == polymer:
        return False
    if cra1.chain.name != cra2.chain.name or {cra1.atom.name, cra2.atom.name} not in ({"C", "N"}, {"O3'", "P"}):
        return False
    step = order[(cra2.chain.name, str(cra2.residue.seqid))] - order[(cra1.chain.name, str(cra1.residue.seqid))]
    return step * (1 if cra1.atom.name in ("C", "O3'") else -1) in (0, 1)


def strip_coordinated(st: gemmi.Structure, monlib: gemmi.MonLib, messages: list[str]) -> None:
    """Let no hydrogen be put on N, O, S next to a metal; tell which metal contacts have no link, hence no restraint."""
    metals = [cra for cra in st[0].all() if cra.atom.element.is_metal]
    if not metals:
        return
    linked = {
        frozenset((_label(a), _label(b)))
        for con in st.connections
        if (a := _cra(st, con.partner1)) is not None and (b := _cra(st, con.partner2)) is not None
    }
    search = gemmi.NeighborSearch(st[0], st.cell, 4.0).populate(include_h=False)
    free: list[str] = []
    for metal in metals:
        for mark in search.find_atoms(metal.atom.pos, metal.atom.altloc, radius=3.2):
            cra = mark.to_cra(st[0])
            if cra.atom.element.name not in ("N", "O", "S"):
                continue
            distance = search.dist(metal.atom.pos, mark.pos)
            if distance > float(monlib.find_ideal_distance(metal, cra)) + COORDINATION_MARGIN:
                continue
            same = metal.residue.seqid == cra.residue.seqid and metal.chain.name == cra.chain.name
            if not same and frozenset((_label(metal), _label(cra))) not in linked:
                free.append(f"{_label(metal)} – {_label(cra)} {distance:.2f} Å")
            if not cra.residue.is_water():
                cra.atom.calc_flag = gemmi.CalcFlag.NoHydrogen
    if free:
        messages.append(
            f"{len(free)} metal contacts have no LINK record and are held by no bond restraint: {listed(free, 6)}."
        )


# Links of a plain chain, which are not listed.
PLAIN = frozenset(["TRANS", "PTRANS", "NMTRANS", "CIS", "PCIS", "NMCIS", "p", "gap", ""])


def link_records(
    st: gemmi.Structure,
    topo: gemmi.Topo,
    dictionary: Dictionary,
    labels: tuple[str, ...],
    bonds: Bonds,
    xyz: NDArray[np.float64],
    crystal: Crystal,
) -> tuple[LinkRecord, ...]:
    """Every bond between residues that is restrained and is not a plain link of a chain, in the order of the topology.

    Args:
        st, topo: the model and its topology; serial numbers are 0, 1, 2, ….
        dictionary: its links have names; all others are mere bonds.
        labels: names of the atoms.
        bonds: the restrained bonds.
        xyz: (n, 3) Å.
        crystal: for the lengths of bonds to symmetry mates.
    """
    mates = {
        tuple(sorted(bonds.atoms[k].tolist())): k
        for k in np.flatnonzero((bonds.image != 0) | bonds.shift.any(axis=1)).tolist()
    }
    found = {
        frozenset((str(con.partner1), str(con.partner2))) for con in st.connections if con.name.startswith("found")
    }
    terms = topo.bonds
    records = []
    in_chain = [(link, "chain") for chain in chain_infos(topo) for info in chain.res_infos for link in info.prev]
    for link, origin in in_chain + [(link, "file") for link in topo.extras]:
        if origin == "chain" and link.link_id in PLAIN:
            continue
        for rule in link.link_rules:
            if rule.rkind != gemmi.RKind.Bond:
                continue
            bond = terms[rule.index]
            first, second = (atom.serial for atom in bond.atoms)
            metal = any(atom.element.is_metal for atom in bond.atoms)
            if frozenset((_spelled(labels[first]), _spelled(labels[second]))) in found:
                origin = "distance"
            end = xyz[second]
            mate = mates.get((min(first, second), max(first, second)))
            if mate is not None and link.asu == gemmi.Asu.Different:
                k, other = bonds.image[mate], int(bonds.atoms[mate, 1])
                first, second = int(bonds.atoms[mate, 0]), other
                fractional = crystal.rotations[k] @ (crystal.frac @ xyz[other]) + crystal.translations[k]
                end = crystal.orth @ (fractional + bonds.shift[mate])
            records.append(
                LinkRecord(
                    link=link.link_id if link.link_id in dictionary.links else "metal" if metal else "bond",
                    atom1=labels[first],
                    atom2=labels[second],
                    distance=float(np.linalg.norm(xyz[first] - end)),
                    ideal=float(bond.restr.value),
                    origin=origin,
                    symmetry=link.asu == gemmi.Asu.Different,
                )
            )
    return tuple(records)


def _spelled(label: str) -> str:
    """A label as gemmi spells the atom's address."""
    chain, number, residue, atom = label.split("/", 3)
    return f"{chain}/{residue} {number}/{atom}"
