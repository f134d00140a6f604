"""The moving model: everything about atoms that refinement may change, and how it scatters."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..backend.plans import DensityGradient, Scatterers
from ..model.atoms import Atoms

F64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class AtomValues:
    """Values of all atoms, riding hydrogens included; never changed in place.

    ``xyz`` (n, 3) Å; ``b_iso`` (n,) Å² (the equivalent B of anisotropic atoms); ``u_aniso`` (n, 6) Å², Cartesian
    11 22 33 12 13 23 (zero for isotropic atoms); ``occ`` (n,) occupancies as the model file states them.
    """

    xyz: F64
    b_iso: F64
    u_aniso: F64
    occ: F64

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
    """

    is_aniso: NDArray[np.bool_]
    kind: NDArray[np.int32]
    site_factor: F64

    @staticmethod
    def of(atoms: Atoms) -> Composition:
        """The composition of ``atoms``."""
        occupied = atoms.occ != 0.0
        factor = np.divide(atoms.scattering_weight, atoms.occ, out=np.ones(len(atoms)), where=occupied)
        return Composition(atoms.is_aniso, atoms.scatterer, factor)

    def scatterers(self, values: AtomValues) -> Scatterers:
        """The atoms as the density operations take them."""
        return Scatterers(
            values.xyz, values.b_iso, values.u_aniso, self.is_aniso, values.occ * self.site_factor, self.kind
        )

    def by_values(self, slope: DensityGradient) -> DensityGradient:
        """The slope with ``weight`` per unit occupancy instead of per unit scattering weight."""
        return replace(slope, weight=slope.weight * self.site_factor)
