"""The moving model: everything about atoms that refinement may change, and how it scatters."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from ..backend.plans import DensityGradient, Scatterers
from ..constants import EIGHT_PI2
from ..model.atoms import Atoms
from ..model.deuterium import DeuteriumSites
from ..model.tensors import TRACE
from ..model.tls import N_TLS, TlsGroups, by_position

F64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class AtomValues:
    """Values of all atoms, riding hydrogens included; never changed in place.

    ``xyz`` (n, 3) Å; ``b_iso`` (n,) Å² (the equivalent B of anisotropic atoms); ``u_aniso`` (n, 6) Å², Cartesian
    11 22 33 12 13 23 (zero for isotropic atoms); ``occ`` (n,) occupancies as the model file states them; ``tls``
    (g, 20) motion of the TLS groups in Å², rad², Å rad (:mod:`gpurefine.model.tls`), which adds to the atoms' own
    displacement; ``deuterium`` (s,) part of deuterium in each of the sites where it is refined.
    """

    xyz: F64
    b_iso: F64
    u_aniso: F64
    occ: F64
    tls: F64 = field(default_factory=lambda: np.zeros((0, N_TLS)))
    deuterium: F64 = field(default_factory=lambda: np.zeros(0))

    @staticmethod
    def of(atoms: Atoms) -> AtomValues:
        """The values that ``atoms`` came with."""
        return AtomValues(atoms.xyz, atoms.b_iso, atoms.u_aniso, atoms.occ)

    def at(self, xyz: F64) -> AtomValues:
        """The same atoms at other positions (n, 3) Å."""
        return replace(self, xyz=xyz)


@dataclass(frozen=True, slots=True, eq=False)
class AtomTangent:
    """A direction in the space of :class:`AtomValues`, field by field, with the same shapes and units."""

    xyz: F64
    b_iso: F64
    u_aniso: F64
    occ: F64

    @staticmethod
    def zero(n: int) -> AtomTangent:
        """No change of any of ``n`` atoms."""
        return AtomTangent(np.zeros((n, 3)), np.zeros(n), np.zeros((n, 6)), np.zeros(n))


@dataclass(frozen=True, slots=True, eq=False)
class Composition:
    """How the values of the atoms become what scatters.

    Attributes:
        is_aniso: (n,) bool, atoms that scatter by ``u_aniso`` and not by ``b_iso``.
        kind: (n,) int32 row of the form factors.
        site_factor: (n,) what an occupancy is multiplied by: 1, or 1/multiplicity on a special position whose
            occupancy counts the full site.
        tls: groups whose motion adds to the displacement of their atoms, which then scatter as anisotropic ones.
        deuterium: hydrogens whose part of deuterium is refined.
    """

    is_aniso: NDArray[np.bool_]
    kind: NDArray[np.int32]
    site_factor: F64
    tls: TlsGroups | None = None
    deuterium: DeuteriumSites | None = None

    @staticmethod
    def of(atoms: Atoms, tls: TlsGroups | None = None, deuterium: DeuteriumSites | None = None) -> Composition:
        """The composition of ``atoms``, some of which may move in groups or be partly deuterium."""
        occupied = atoms.occ != 0.0
        factor = np.divide(atoms.scattering_weight, atoms.occ, out=np.ones(len(atoms)), where=occupied)
        return Composition(atoms.is_aniso, atoms.scatterer, factor, tls, deuterium)

    def scatterers(self, values: AtomValues) -> Scatterers:
        """The atoms as the density operations take them."""
        shown = self.total(values)
        is_aniso = self.is_aniso if self.tls is None else self.is_aniso | self.tls.inside
        weight = values.occ * self.site_factor
        if self.deuterium is not None:
            weight[self.deuterium.atom] *= self.deuterium.weight(values.deuterium)
        return Scatterers(values.xyz, shown.b_iso, shown.u_aniso, is_aniso, weight, self.kind)

    def displacement(self, values: AtomValues) -> F64:
        """Total U (n, 6) Å² of anisotropic atoms and of atoms in TLS groups, zero for the others."""
        if self.tls is None:
            return values.u_aniso
        out = values.u_aniso + self.tls.displacement(values.xyz, values.tls)
        lone = self.tls.inside & ~self.is_aniso
        out[lone] += values.b_iso[lone, None] / EIGHT_PI2 * TRACE
        return out

    def total(self, values: AtomValues) -> AtomValues:
        """The atoms with the motion of their groups in their own B and U, as a model file states them."""
        if self.tls is None:
            return values
        u_aniso = self.displacement(values)
        b_iso = np.where(self.tls.inside, EIGHT_PI2 / 3.0 * (u_aniso @ TRACE), values.b_iso)
        return replace(values, b_iso=b_iso, u_aniso=u_aniso)

    def group_b(self, values: AtomValues) -> F64 | None:
        """Equivalent B (n,) Å² of the motion of groups alone; None where there are none."""
        if self.tls is None:
            return None
        return np.asarray(EIGHT_PI2 / 3.0 * (self.tls.displacement(values.xyz, values.tls) @ TRACE))

    def by_values(self, values: AtomValues, slope: DensityGradient) -> DensityGradient:
        """The slope with respect to ``values`` instead of what scatters.

        ``weight`` is per unit occupancy (of deuterium, where the part of that is refined); atoms of TLS groups, whose U
        changes with B and with their position, get these shares too, and keep the slope of their total U.
        """
        slope = replace(slope, weight=slope.weight * self.site_factor)
        if self.tls is None:
            return slope
        lone = self.tls.inside & ~self.is_aniso
        b_iso = np.where(lone, (slope.u_aniso @ TRACE) / EIGHT_PI2, slope.b_iso)
        by_motion = by_position(self.tls, values.tls, values.xyz, slope.u_aniso)
        return replace(slope, xyz=slope.xyz + by_motion, b_iso=b_iso)
