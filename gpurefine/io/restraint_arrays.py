"""Restraints of a gemmi topology as the plain arrays of :mod:`gpurefine.model.topology`."""

from __future__ import annotations

import gemmi
import numpy as np
from numpy.typing import NDArray

from ..model.crystal import Crystal
from ..model.topology import Angles, Bonds, Chirals, Planes, Torsions
from .dictionary import Dictionary
from .gemmi_stubs import chain_infos
from .torsion_rules import LINK_RULES, residue_rules, selected

F64 = NDArray[np.float64]
I32 = NDArray[np.int32]

# σ of a bond to a metal that no link of the dictionary describes: its ideal length is only a sum of ionic radii.
METAL_SIGMA = 0.1


class Rules:
    """Which terms of a topology are used.

    Attributes:
        torsions: indices of restrained torsions.
        mates: (kind, index) of terms that reach a symmetry mate.
        automatic: indices of bonds of links that the dictionary lacks.
    """

    def __init__(self, topo: gemmi.Topo, dictionary: Dictionary) -> None:
        """Walk the residues and links of ``topo``."""
        monlib = dictionary.monlib
        self.torsions: list[int] = []
        self.mates: set[tuple[gemmi.RKind, int]] = set()
        self.automatic: set[int] = set()
        self._labels = [(t.restr.label, t.atoms) for t in topo.torsions]
        self._selected: dict[tuple[str, tuple[str, ...]], bool] = {}
        rules: dict[str, tuple[str, ...]] = {}
        for chain in chain_infos(topo):
            for info in chain.res_infos:
                for link in info.prev:
                    self._walk(link.link_rules, LINK_RULES)
                name = info.res.name
                if name not in rules:
                    rules[name] = residue_rules(monlib, name)
                self._walk(info.monomer_rules, rules[name])
        for link in topo.extras:
            mate = link.asu == gemmi.Asu.Different
            self._walk(link.link_rules, LINK_RULES, mate)
            if link.link_id not in dictionary.links:
                self.automatic |= {rule.index for rule in link.link_rules if rule.rkind == gemmi.RKind.Bond}

    def _walk(self, terms: gemmi.TopoRules, names: tuple[str, ...], mate: bool = False) -> None:
        for term in terms:
            kind = term.rkind
            if mate:
                self.mates.add((kind, term.index))
            if kind == gemmi.RKind.Torsion and self._uses(term.index, names):
                self.torsions.append(term.index)

    def _uses(self, index: int, names: tuple[str, ...]) -> bool:
        label, atoms = self._labels[index]
        key = (label, names)
        if key not in self._selected:
            self._selected[key] = selected(label, names)
        return self._selected[key] or atoms[0].is_hydrogen() or atoms[3].is_hydrogen()


def _last_of_each(*columns: NDArray[np.integer]) -> NDArray[np.intp]:
    """Indices, ascending, of the last occurrence of every distinct row of the columns."""
    order = np.lexsort(columns)  # equal rows stay in ascending order
    if not len(order):
        return order
    table = np.stack(columns, axis=1)[order]
    return np.sort(order[np.append(np.any(table[1:] != table[:-1], axis=1), True)])


def _find(keys: NDArray[np.int64], wanted: NDArray[np.int64]) -> NDArray[np.intp]:
    """Index of each ``wanted`` among the distinct ``keys``, −1 where it is not."""
    if not len(keys):
        return np.full(wanted.shape, -1, np.intp)
    order = np.argsort(keys)
    at = order[np.minimum(np.searchsorted(keys[order], wanted), len(keys) - 1)]
    return np.where(keys[at] == wanted, at, -1)


def bonds(topo: gemmi.Topo, rules: Rules, xyz: F64, crystal: Crystal, nuclear: bool = False) -> Bonds:
    """Bonds with σ > 0, every pair once; those of symmetry links with the image nearest to the first atom.

    ``nuclear``: distances of the nuclei instead of the centres of the electrons, which differ for hydrogens.
    """
    metal = [b.atoms[0].element.is_metal or b.atoms[1].element.is_metal for b in topo.bonds]
    rows = []
    for k, bond in enumerate(topo.bonds):
        first, second = bond.atoms
        ideal, sigma = bond.restr.value, bond.restr.esd
        if nuclear and bond.restr.esd_nucleus > 0.0:
            ideal, sigma = bond.restr.value_nucleus, bond.restr.esd_nucleus
        if sigma > 0.0:
            mate = (gemmi.RKind.Bond, k) in rules.mates
            sigma = max(sigma, METAL_SIGMA) if metal[k] and k in rules.automatic else sigma
            rows.append((first.serial, second.serial, ideal, sigma, mate))
    table = np.array(rows, dtype=np.float64).reshape(-1, 5)
    atoms = table[:, :2].astype(np.int32)
    image = np.zeros(len(table), np.int32)
    shift = np.zeros((len(table), 3), np.int32)
    for k in np.flatnonzero(table[:, 4]).tolist():
        image[k], shift[k] = nearest_mate(xyz[atoms[k, 0]], xyz[atoms[k, 1]], crystal)
    keep = _last_of_each(atoms.min(axis=1), atoms.max(axis=1), image, *shift.T)
    return Bonds(atoms[keep], table[keep, 2], table[keep, 3], image[keep], shift[keep])


def nearest_mate(first: F64, second: F64, crystal: Crystal) -> tuple[int, I32]:
    """Operation and cell shift (3,) that bring ``second`` (3,) Å nearest to ``first``, the identity apart."""
    fractional = crystal.rotations @ (crystal.frac @ second) + crystal.translations
    shift = np.round(crystal.frac @ first - fractional)
    best, where = np.inf, (0, np.zeros(3, np.int32))
    for step in np.ndindex(3, 3, 3):
        trial = shift + (np.array(step) - 1)
        distance = np.linalg.norm((fractional + trial) @ crystal.orth.T - first, axis=1)
        if not np.any(trial[0]):
            distance[0] = np.inf
        k = int(np.argmin(distance))
        if distance[k] < best:
            best, where = float(distance[k]), (k, trial[k].astype(np.int32))
    return where


def angles(topo: gemmi.Topo, rules: Rules) -> Angles:
    """Angles with σ > 0 inside one asymmetric unit, every one once; radians."""
    kind = gemmi.RKind.Angle
    rows = [
        (a.serial, b.serial, c.serial, angle.restr.value, angle.restr.esd)
        for angle in topo.angles
        for a, b, c in (angle.atoms,)
    ]
    table = np.array(rows, dtype=np.float64).reshape(-1, 5)
    use = table[:, 4] > 0.0
    use[[index for of, index in rules.mates if of == kind]] = False
    table = table[use]
    atoms = table[:, :3].astype(np.int32)
    keep = _last_of_each(atoms[:, [0, 2]].min(axis=1), atoms[:, 1], atoms[:, [0, 2]].max(axis=1))
    ideal = np.abs((table[keep, 3] + 180.0) % 360.0 - 180.0)
    return Angles(atoms[keep], np.radians(ideal), np.radians(table[keep, 4]))


def torsions(topo: gemmi.Topo, rules: Rules) -> Torsions:
    """Restrained torsions (:mod:`gpurefine.io.torsion_rules`) with σ > 0, every one once; radians."""
    kind = gemmi.RKind.Torsion
    rows = []
    terms = topo.torsions
    for index in sorted(rules.torsions):
        torsion = terms[index]
        if torsion.restr.esd > 0.0 and (kind, index) not in rules.mates:
            serials = [atom.serial for atom in torsion.atoms]
            rows.append((*serials, torsion.restr.value, torsion.restr.esd, max(1, torsion.restr.period)))
    table = np.array(rows, dtype=np.float64).reshape(-1, 7)
    atoms = table[:, :4].astype(np.int32)
    turned = (atoms[:, 1] > atoms[:, 2])[:, None]
    keep = _last_of_each(*np.where(turned, atoms[:, ::-1], atoms).T)
    return Torsions(
        atoms[keep], np.radians(table[keep, 4]), np.radians(table[keep, 5]), table[keep, 6].astype(np.int32)
    )


def planes(topo: gemmi.Topo, rules: Rules) -> Planes:
    """Planes of at least four atoms (three always lie in one) with σ > 0 inside one asymmetric unit, every one once."""
    distinct: dict[tuple[int, ...], float] = {}
    for k, plane in enumerate(topo.planes):
        if plane.restr.esd > 0.0 and len(plane.atoms) > 3 and (gemmi.RKind.Plane, k) not in rules.mates:
            distinct[tuple(sorted(atom.serial for atom in plane.atoms))] = plane.restr.esd
    lengths = [len(serials) for serials in distinct]
    return Planes(
        np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32),
        np.array([serial for serials in distinct for serial in serials], dtype=np.int32),
        np.array(list(distinct.values()), dtype=np.float64),
    )


def chirals(topo: gemmi.Topo, rules: Rules, bond: Bonds, angle: Angles) -> Chirals:
    """Chiral centres whose bonds and angles are all restrained; their volumes follow from those (Å³)."""
    sign = {gemmi.ChiralityType.Positive: 1.0, gemmi.ChiralityType.Negative: -1.0, gemmi.ChiralityType.Both: 1.0}
    rows = [
        (*(atom.serial for atom in chir.atoms), sign[chir.restr.sign], chir.restr.sign == gemmi.ChiralityType.Both)
        for k, chir in enumerate(topo.chirs)
        if (gemmi.RKind.Chirality, k) not in rules.mates
    ]
    table = np.array(rows, dtype=np.float64).reshape(-1, 6)
    atoms = table[:, :4].astype(np.int32)
    n = 1 + max(int(part.max(initial=0)) for part in (bond.atoms, angle.atoms, atoms))

    def joined(a: I32, b: I32) -> NDArray[np.int64]:
        """A number for every unordered pair."""
        return np.minimum(a, b).astype(np.int64) * n + np.maximum(a, b)

    inside = np.flatnonzero((bond.image == 0) & ~bond.shift.any(axis=1))
    pairs = bond.atoms[inside]
    length_keys = joined(pairs[:, 0], pairs[:, 1])
    corner_keys = joined(angle.atoms[:, 0], angle.atoms[:, 2]) * n + angle.atoms[:, 1]
    used = np.full((len(atoms), 6), -1, np.intp)
    for k in range(3):
        arm, other = atoms[:, 1 + k], atoms[:, 1 + (k + 1) % 3]
        at = _find(length_keys, joined(atoms[:, 0], arm))
        used[:, k] = np.where(at >= 0, inside[at], -1) if len(inside) else -1
        used[:, 3 + k] = _find(corner_keys, joined(arm, other) * n + atoms[:, 0])
    keep = np.all(used >= 0, axis=1)
    ln, cn = used[keep, :3], used[keep, 3:]
    volume, sigma = chiral_volume(bond.ideal[ln], bond.sigma[ln], angle.ideal[cn], angle.sigma[cn])
    sound = np.isfinite(volume) & (sigma > 0.0)
    table, atoms = table[keep][sound], atoms[keep][sound]
    return Chirals(atoms, table[:, 4] * volume[sound], sigma[sound], table[:, 5].astype(bool))


def chiral_volume(length: F64, length_sigma: F64, angle: F64, angle_sigma: F64) -> tuple[F64, F64]:
    """Volume a b c √(1 + 2 cosα cosβ cosγ − cos²α − cos²β − cos²γ) of three bonds (m, 3) and its uncertainty.

    ``angle`` (m, 3) radians are those between bonds 1-2, 2-3 and 3-1.  First-order propagation of independent
    uncertainties; where the bonds are flat the uncertainty is not finite.
    """
    cosine = np.cos(angle)
    c1, c2, c3 = cosine.T
    flat = 1.0 + 2.0 * c1 * c2 * c3 - c1**2 - c2**2 - c3**2
    product = np.prod(length, axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        root = np.sqrt(flat)
        by_length = (product * root)[:, None] / length
        others = np.stack([c2 * c3, c3 * c1, c1 * c2], axis=1)
        by_angle = (product / root)[:, None] * (cosine - others) * np.sin(angle)
        variance = np.sum((by_length * length_sigma) ** 2 + (by_angle * angle_sigma) ** 2, axis=1)
        return product * root, np.sqrt(variance)
