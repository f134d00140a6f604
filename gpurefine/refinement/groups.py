"""Groups of atoms that are refined as one, and the stages that refine them before the atoms themselves."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..model.atoms import Atoms
from ..model.deuterium import DeuteriumResult, DeuteriumSites
from ..model.occupancy import OccupancyGroups, OccupancyResult
from ..model.tls import TlsGroups, TlsResult
from ..params.grouped import GroupedB
from ..params.occupancy import GroupOccupancies
from ..params.rigid import BodySearch, RigidBodies
from ..params.tls import TlsMotion
from ..params.values import AtomValues
from .refine import Refinement
from .terms import Stage, Term

F64 = NDArray[np.float64]

FILTER = 1e-6
"""Of the eigenvalues of a group's normal matrix."""

ZONES = 5
"""Resolution zones that rigid-body cycles step through at most."""


STEP = 0.05
"""Largest shift along one axis in one rigid-body cycle in units of the resolution: few reflections overshoot."""


@dataclass(frozen=True, slots=True, eq=False)
class RigidPlan:
    """Rigid bodies and how they are refined.

    Attributes:
        names: of the bodies.
        member: (n,) int32 body of each atom, −1 for atoms that stand still.
        cycles: number of cycles; start: Å, resolution limit of the first ones.
        search: Å, how far bodies are looked for before; 0 for not.
    """

    names: tuple[str, ...]
    member: NDArray[np.int32]
    cycles: int
    start: float
    search: float = 0.0

    @property
    def wanted(self) -> BodySearch | None:
        """The search that comes before the cycles, if any."""
        return BodySearch(self.names, self.member, self.search) if self.search > 0.0 else None


@dataclass(frozen=True, slots=True, eq=False)
class TlsPlan:
    """TLS ``groups`` and the number of ``cycles`` that refine their tensors before the atoms."""

    groups: TlsGroups
    cycles: int


@dataclass(frozen=True, slots=True, eq=False)
class MovingGroups:
    """Every kind of group that a refinement has."""

    rigid: RigidPlan | None = None
    tls: TlsPlan | None = None
    occupancies: OccupancyGroups | None = None
    occupancy_cycles: int = 0
    deuterium: DeuteriumSites | None = None
    deuterium_sigma: float = 0.05
    grouped_b: GroupedB | None = None


def rigid_stages(
    plan: RigidPlan, xyz: F64, d_min: float, tls: TlsGroups | None = None
) -> tuple[Stage, ...]:
    """Cycles at rising resolution: equal numbers at limits that fall geometrically from ``plan.start`` to ``d_min``.

    Low resolution sees bodies that are far from their place; high resolution places them accurately.  Tensors of
    ``tls`` groups go with the bodies.
    """
    zones = 1 if plan.start <= 1.2 * d_min else min(ZONES, plan.cycles)
    limits = [d_min] if zones == 1 else np.geomspace(plan.start, d_min, zones).tolist()
    bodies = RigidBodies.of(plan.member, xyz, tls)
    steps = [(Term(replace(bodies, limit=STEP * limit), filter=FILTER),) for limit in limits]
    counts = [len(part) for part in np.array_split(np.arange(plan.cycles), zones)]
    return tuple(
        Stage("rigid bodies", count, steps[zone], None if zone == zones - 1 else float(limit))
        for zone, (count, limit) in enumerate(zip(counts, limits, strict=True))
    )


def tls_stage(plan: TlsPlan, groups: TlsGroups, is_aniso: NDArray[np.bool_]) -> Stage:
    """Cycles that refine the tensors of ``groups`` and leave everything else.

    Args:
        is_aniso: (n,) atoms whose own displacement is anisotropic.
    """
    motion = TlsMotion(groups, is_aniso)
    return Stage("TLS", plan.cycles, (Term(motion, filter=FILTER, within=motion.within),))


def settle_motion(refinement: Refinement) -> None:
    """Share isotropic displacement between refined TLS groups and their atoms anew; what scatters stays as it is."""
    objective = refinement.objective
    groups = objective.composition.tls
    if groups is None or not any(stage.name == "TLS" for stage in objective.stages):
        return
    motion = TlsMotion(groups, objective.composition.is_aniso)
    refinement.state.values = motion.settled(refinement.state.values)


def tls_result(refinement: Refinement, residual: bool) -> TlsResult | None:
    """The refined motion; None without groups.  ``residual``: the model is written without it."""
    objective, values = refinement.objective, refinement.state.values
    groups, motion = objective.composition.tls, objective.composition.group_b(values)
    if groups is None or motion is None:
        return None
    inside = groups.inside & ~objective.atoms.is_hydrogen
    count = np.bincount(groups.member[inside], minlength=len(groups))
    mean = np.bincount(groups.member[inside], motion[inside], minlength=len(groups)) / np.maximum(count, 1)
    cycles = sum(record.stage == "TLS" for record in refinement.cycles)
    return TlsResult(groups, values.tls, mean, residual, cycles)


def occupancy_result(refinement: Refinement, groups: OccupancyGroups | None) -> OccupancyResult | None:
    """The refined occupancies; None without groups."""
    return None if groups is None else OccupancyResult(groups, groups.occupancies(refinement.state.values.occ))


def deuterium_result(refinement: Refinement, sites: DeuteriumSites | None) -> DeuteriumResult | None:
    """The refined parts of deuterium; None where they are not refined."""
    return None if sites is None else DeuteriumResult(sites, refinement.state.values.deuterium)


def start_occupancies(atoms: Atoms, groups: OccupancyGroups) -> tuple[Atoms, GroupOccupancies]:
    """The atoms with occupancies that the constraints allow, and the parameters."""
    kind = GroupOccupancies.of(groups)
    occ = kind.begin(AtomValues.of(atoms)).occ
    factor = np.divide(atoms.scattering_weight, atoms.occ, out=np.ones(len(atoms)), where=atoms.occ != 0.0)
    return replace(atoms, occ=occ, scattering_weight=occ * factor), kind
