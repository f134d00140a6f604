"""Parts of deuterium in hydrogen sites, kept between 0 and 1 (neutrons)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..backend.plans import AtomInformation, DensityGradient
from ..model.deuterium import DeuteriumSites
from .values import AtomTangent, AtomValues

F64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class DeuteriumFractions:
    """One fraction a site: shifts (s, 1), and no step beyond 0 or 1.

    A site scatters as deuterium with q (b_H + f (b_D − b_H))/b_D in place of its occupancy q, so that what is known of
    the slope by occupancy is known of that by f.
    """

    sites: DeuteriumSites
    name: str = "deuterium fractions"
    limit: float = 0.3
    by_occupancy: bool = True

    @property
    def shape(self) -> tuple[int, int]:
        """(s, 1)."""
        return len(self.sites), 1

    def move(self, values: AtomValues, shift: F64) -> AtomValues:
        """New fractions between 0 and 1."""
        return replace(values, deuterium=np.clip(values.deuterium + shift[:, 0], 0.0, 1.0))

    def held(self, values: AtomValues, gradient: F64) -> NDArray[np.bool_]:
        """(s,) which fractions are 0 or 1 and would go beyond that downhill of ``gradient`` (s, 1)."""
        part, slope = values.deuterium, gradient[:, 0]
        return np.asarray(((slope > 0.0) & (part <= 0.0)) | ((slope < 0.0) & (part >= 1.0)))

    def tangent(self, values: AtomValues, shift: F64) -> AtomTangent:
        """The shift as one of what scatters in place of the occupancies."""
        out = AtomTangent.zero(len(values.occ))
        out.occ[self.sites.atom] = self._factor(values) * shift[:, 0]
        return out

    def pull(self, values: AtomValues, slope: DensityGradient) -> F64:
        """Slopes (s, 1) by the fractions."""
        return np.asarray((self._factor(values) * slope.weight[self.sites.atom])[:, None])

    def pull_blocks(self, values: AtomValues, information: AtomInformation) -> F64:
        """Curvature (s, 1, 1)."""
        return np.asarray((self._factor(values) ** 2 * information.weight[self.sites.atom])[:, None, None])

    def constrain(self, gradient: F64) -> F64:
        """No restraint acts on fractions."""
        return gradient

    def _factor(self, values: AtomValues) -> F64:
        return np.asarray(values.occ[self.sites.atom] * (1.0 - self.sites.hydrogen))
