"""How well a model keeps its restraints: r.m.s. deviations and outliers (terms without hydrogen, method 9)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..backend.ops_adp import TENSOR_KINDS
from ..constants import DEGREE
from ..model.records import OutlierRecord, RestraintRecord
from ..model.topology import Topology
from .adp import AdpRestraints
from .adp_tensors import TensorRestraints
from .contact_classes import CONTACT_KINDS, SIGMA
from .geometry import GeometryRestraints
from .nonbonded import NonbondedRestraints

F64 = NDArray[np.float64]
I32 = NDArray[np.int32]
Flags = NDArray[np.bool_]

OUTLIER_Z = 6.0
"""Terms with |z| at or above this are listed."""

COVALENT_KINDS = (
    ("bond", "Å"), ("angle", "degrees"), ("torsion_period_1", "degrees"), ("torsion_period_2", "degrees"),
    ("torsion_period_3", "degrees"), ("torsion_period_6", "degrees"), ("torsion_other", "degrees"), ("chiral", "Å³"),
    ("plane", "Å"),
)
"""What statistics of covalent geometry tell apart, with the units."""

OVERLAP_KINDS = ("vdw", "vdw_torsion", "vdw_hbond", "vdw_metal", "vdw_symmetry")
"""What statistics of contacts tell apart; those of bare pairs count as ``vdw``, all through symmetry as the last."""

TORSION_PERIODS = (1, 2, 3, 6)
"""Periods with a class of their own."""


@dataclass(frozen=True, slots=True, eq=False)
class _Deviations:
    """Terms of one kind: deviation, σ and ideal (m,) in ``unit``, atoms (m, k), −1 where a term has fewer."""

    kind: str
    unit: str
    deviation: F64
    sigma: F64
    ideal: F64
    atoms: I32

    def of(self, keep: Flags, kind: str | None = None) -> _Deviations:
        """The terms where ``keep`` (m,) is True."""
        return _Deviations(
            kind or self.kind, self.unit, self.deviation[keep], self.sigma[keep], self.ideal[keep], self.atoms[keep]
        )


def restraint_statistics(
    xyz: F64, topology: Topology, geometry: GeometryRestraints, nonbonded: NonbondedRestraints | None = None,
    adp: AdpRestraints | None = None, b_iso: F64 | None = None, tensors: TensorRestraints | None = None,
    u: F64 | None = None,
) -> list[RestraintRecord]:
    """r.m.s.d., r.m.s.Z, count and mean σ of every kind at ``xyz`` (n, 3) Å, ``b_iso`` (n,) Å², ``u`` (n, 6) Å².

    Contacts count where they overlap.
    """
    # a device is asked for all before anything is read
    covalent = geometry.deviation_sums(xyz, lambda: _term_kinds(topology), len(COVALENT_KINDS))
    contacts = nonbonded if nonbonded is not None and nonbonded.repulsions is not None else None
    overlaps = None if contacts is None else contacts.overlap_sums(xyz)
    similar = None if adp is None or b_iso is None else adp.deviation_sums(b_iso)
    shaped = None if tensors is None or u is None else tensors.deviation_sums(u)
    records = []
    if covalent is None:
        records += _records(_covalent(xyz, topology, geometry))
    else:
        for (kind, unit), sums in zip(COVALENT_KINDS, np.asarray(covalent), strict=True):
            scale = 1.0 / DEGREE if unit == "degrees" else 1.0
            records += _summed(kind, unit, sums * [1.0, scale**2, 1.0, scale])
    if overlaps is not None:
        for kind, (count, squares, _, _) in zip(OVERLAP_KINDS, np.asarray(overlaps), strict=True):
            # the σ that a weight makes of it is no matter here
            records += _summed(kind, "Å", np.array([count, squares, squares / SIGMA**2, count * SIGMA]))
    elif contacts is not None:
        records += _records(_contacts(xyz, ~topology.is_hydrogen, contacts))
    if similar is not None:
        records += _summed("adp", "Å²", np.asarray(similar)[0])
    if shaped is not None:
        for kind, sums in zip(TENSOR_KINDS, np.asarray(shaped), strict=True):
            records += _summed(f"adp_{kind.replace(' ', '_')}", "relative", sums)
    return records


def restraint_outliers(
    xyz: F64, topology: Topology, labels: Sequence[str], geometry: GeometryRestraints,
    nonbonded: NonbondedRestraints | None = None, z_min: float = OUTLIER_Z,
) -> list[OutlierRecord]:
    """Terms without hydrogen that deviate by ``z_min`` σ or more, worst first within each kind.

    ``labels`` name the n atoms.  For a plane the atom that lies off comes first, the others follow.
    """
    records = []
    for d in _all_kinds(xyz, topology, geometry, nonbonded):
        z = d.deviation / d.sigma
        bad = np.flatnonzero(np.abs(z) >= z_min)
        for k in bad[np.argsort(-np.abs(z[bad]), kind="stable")]:
            records.append(OutlierRecord(
                kind=d.kind, atoms=tuple(labels[a] for a in d.atoms[k] if a >= 0),
                value=float(d.ideal[k] + d.deviation[k]), ideal=float(d.ideal[k]), sigma=float(d.sigma[k]),
                z=float(z[k]),
            ))
    return records


def _records(all_kinds: Iterable[_Deviations]) -> list[RestraintRecord]:
    return [_record(d.kind, d.unit, d.deviation, d.sigma) for d in all_kinds if len(d.deviation)]


def _record(kind: str, unit: str, deviation: F64, sigma: F64) -> RestraintRecord:
    return RestraintRecord(
        kind=kind, count=len(deviation), rmsd=float(np.sqrt(np.mean(deviation**2))),
        rmsz=float(np.sqrt(np.mean((deviation / sigma) ** 2))), mean_sigma=float(np.mean(sigma)), unit=unit,
    )


def _summed(kind: str, unit: str, sums: F64) -> list[RestraintRecord]:
    """The record of terms with ``sums`` (4,): count, Σ deviation², Σ z², Σ σ; none where there are none."""
    count, squares, z2, sigma = map(float, sums)
    if count == 0.0:
        return []
    return [RestraintRecord(
        kind=kind, count=int(count), rmsd=float(np.sqrt(squares / count)), rmsz=float(np.sqrt(z2 / count)),
        mean_sigma=sigma / count, unit=unit,
    )]


def _all_kinds(
    xyz: F64, topology: Topology, geometry: GeometryRestraints, nonbonded: NonbondedRestraints | None
) -> Iterator[_Deviations]:
    """All terms without hydrogen, kind by kind."""
    yield from _covalent(xyz, topology, geometry)
    if nonbonded is not None and nonbonded.repulsions is not None:
        yield from _contacts(xyz, ~topology.is_hydrogen, nonbonded)


def _covalent(xyz: F64, topology: Topology, geometry: GeometryRestraints) -> Iterator[_Deviations]:
    """Terms of covalent geometry; kinds and units are those of :data:`COVALENT_KINDS`."""
    heavy = ~topology.is_hydrogen
    r = geometry.residuals(xyz)
    b, a, t, c = topology.bonds, topology.angles, topology.torsions, topology.chirals
    yield _Deviations("bond", "Å", r.bond, b.sigma, b.ideal, b.atoms).of(_all_of(heavy, b.atoms))
    yield _Deviations("angle", "degrees", r.angle / DEGREE, a.sigma / DEGREE, a.ideal / DEGREE, a.atoms).of(
        _all_of(heavy, a.atoms)
    )
    torsions = _Deviations("torsion", "degrees", r.torsion / DEGREE, t.sigma / DEGREE, t.ideal / DEGREE, t.atoms)
    free_of_h = _all_of(heavy, t.atoms)
    for period in TORSION_PERIODS:
        yield torsions.of(free_of_h & (t.period == period), f"torsion_period_{period}")
    yield torsions.of(free_of_h & ~np.isin(t.period, TORSION_PERIODS), "torsion_other")
    # Where either hand is right, the ideal is that of the hand the model has.
    hand = np.where(c.both, _chiral_ideal(xyz, topology), c.ideal)
    yield _Deviations("chiral", "Å³", r.chiral, c.sigma, hand, c.atoms).of(_all_of(heavy, c.atoms))
    yield _plane_members(topology, r.plane)


def _term_kinds(topology: Topology) -> NDArray[np.int8]:
    """Index into :data:`COVALENT_KINDS` of bonds, angles, torsions, chirals and plane members, −1 with hydrogens."""
    heavy, t = ~topology.is_hydrogen, topology
    torsion = np.full(len(t.torsions.period), 2 + len(TORSION_PERIODS))
    for k, period in enumerate(TORSION_PERIODS):
        torsion[t.torsions.period == period] = 2 + k
    parts = (
        (0, _all_of(heavy, t.bonds.atoms)), (1, _all_of(heavy, t.angles.atoms)),
        (torsion, _all_of(heavy, t.torsions.atoms)),
        (3 + len(TORSION_PERIODS), _all_of(heavy, t.chirals.atoms)), (4 + len(TORSION_PERIODS), heavy[t.planes.atoms]),
    )
    return np.concatenate([np.where(use, kind, -1).astype(np.int8) for kind, use in parts])


def _all_of(heavy: Flags, atoms: I32) -> Flags:
    """(m,) whether all atoms (m, k) of a term are heavy."""
    return np.asarray(heavy[atoms].all(axis=1))


def _chiral_ideal(xyz: F64, topology: Topology) -> F64:
    """Ideal volumes (m,) Å³ with the sign of the volume that the model has."""
    atoms, ideal = topology.chirals.atoms, np.abs(topology.chirals.ideal)
    first, second, third = (xyz[atoms[:, k]] - xyz[atoms[:, 0]] for k in (1, 2, 3))
    volume = np.einsum("mi,mi->m", first, np.cross(second, third))
    return np.asarray(np.where(volume >= 0.0, ideal, -ideal))


def _plane_members(topology: Topology, deviation: F64) -> _Deviations:
    """Distances of heavy atoms from their planes, the atom itself first among ``atoms``."""
    planes = topology.planes
    counts = np.diff(planes.start)
    which = np.repeat(np.arange(len(counts)), counts)
    atoms = np.full((len(planes.atoms), int(counts.max(initial=1))), -1, np.int32)
    for size in np.unique(counts):
        # planes of equal size at once: row k of the order table is k first, the others as they come
        own = np.arange(size)
        order = np.array([[k, *own[own != k]] for k in own])
        first = planes.start[:-1][counts == size]
        members = planes.atoms[first[:, None] + own]
        rows = (first[:, None] + own).ravel()
        atoms[rows, :size] = members[:, order].reshape(-1, size)
    all_members = _Deviations(
        "plane", "Å", deviation, planes.sigma[which], np.zeros(len(which)), atoms
    )
    return all_members.of(~topology.is_hydrogen[planes.atoms])


def _contacts(xyz: F64, heavy: Flags, nonbonded: NonbondedRestraints) -> Iterator[_Deviations]:
    """Overlapping contacts of heavy atoms by class; those through symmetry are one class."""
    pairs = nonbonded.repulsions
    assert pairs is not None
    overlap = nonbonded.overlaps(xyz)
    use = np.flatnonzero(overlap > 0.0)
    use = use[heavy[pairs.first[use]] & heavy[pairs.second[use]]]
    overlap = overlap[use]
    atoms = np.stack([pairs.first[use], pairs.second[use]], axis=1)
    every = _Deviations("vdw", "Å", -overlap, np.full(len(use), SIGMA), pairs.critical[use], atoms)
    symmetry = (pairs.op[use] != 0) | pairs.shift[use].any(axis=1)
    number = nonbonded.kind[use]
    number[number == CONTACT_KINDS.index("vdw_bare")] = CONTACT_KINDS.index("vdw")
    for kind in OVERLAP_KINDS[:-1]:
        yield every.of(~symmetry & (number == CONTACT_KINDS.index(kind)), kind)
    yield every.of(symmetry, OVERLAP_KINDS[-1])
