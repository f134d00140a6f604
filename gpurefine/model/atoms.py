"""The atoms of the asymmetric unit as plain arrays."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Atoms:
    """Atoms of one asymmetric unit, riding hydrogens included.

    Attributes:
        xyz: (n, 3) float64 Cartesian positions in Å.
        b_iso: (n,) float64 isotropic B in Å² (the equivalent B of an anisotropic atom).
        u_aniso: (n, 6) float64 U in Å², Cartesian, 11 22 33 12 13 23; rows of isotropic atoms are zero.
        is_aniso: (n,) bool.
        occ: (n,) float64 occupancies as the model file states them.
        scatterer: (n,) int32 index into ``scatterer_names``.
        scatterer_names: element symbols (with charge where charged form factors are asked for).
        is_hydrogen: (n,) bool, H or D.
        parent: (n,) int32: the atom a riding hydrogen is attached to; an atom's own index otherwise.
        site_multiplicity: (n,) float64: number of operations that leave the site where it is
            (1 in general positions); F takes ``occ / site_multiplicity`` when ``occ`` counts the full site.
        scattering_weight: (n,) float64: the factor applied to the form factor: occupancy, corrected for
            special positions.
    """

    xyz: NDArray[np.float64]
    b_iso: NDArray[np.float64]
    u_aniso: NDArray[np.float64]
    is_aniso: NDArray[np.bool_]
    occ: NDArray[np.float64]
    scatterer: NDArray[np.int32]
    scatterer_names: tuple[str, ...]
    is_hydrogen: NDArray[np.bool_]
    parent: NDArray[np.int32]
    site_multiplicity: NDArray[np.float64]
    scattering_weight: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.xyz)

    @property
    def refined(self) -> NDArray[np.bool_]:
        """(n,) bool: the atom has parameters of its own (it rides on nobody)."""
        return np.asarray(self.parent == np.arange(len(self.parent)))

    def moved(self, xyz: NDArray[np.float64], b_iso: NDArray[np.float64]) -> Atoms:
        """The same atoms at other positions (n, 3) and isotropic B (n,)."""
        return replace(self, xyz=xyz, b_iso=b_iso)
