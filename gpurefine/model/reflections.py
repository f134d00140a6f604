"""One data set on the unique reflections of a crystal."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Reflections:
    """Every unique reflection between the resolution limits, measured or not.

    Reflections that the crystal could give but that were not measured are listed too
    (``observed`` False, ``f`` NaN), because maps fill them in.  Sorted by (h, k, l) in gemmi's
    asymmetric unit; systematic absences are left out.

    Attributes:
        hkl: (n, 3) int32 Miller indices.
        inv_d2: (n,) float64, 1/d² in Å⁻².
        centric: (n,) bool.
        epsilon: (n,) float64, symmetry multiplicity factor without the centring.
        f: (n,) float64 amplitude, NaN where not observed.
        sigma: (n,) float64 standard uncertainty of ``f``, NaN where not observed.
        free: (n,) bool, in the test set (never True where not observed).
        intensity, sigma_intensity: (n,) float64, finite where observed, if intensities are refined against; else None.
    """

    hkl: NDArray[np.int32]
    inv_d2: NDArray[np.float64]
    centric: NDArray[np.bool_]
    epsilon: NDArray[np.float64]
    f: NDArray[np.float64]
    sigma: NDArray[np.float64]
    free: NDArray[np.bool_]
    intensity: NDArray[np.float64] | None = None
    sigma_intensity: NDArray[np.float64] | None = None

    def __len__(self) -> int:
        return len(self.hkl)

    @property
    def observed(self) -> NDArray[np.bool_]:
        """(n,) bool: an amplitude was measured."""
        return np.isfinite(self.f)

    @property
    def work(self) -> NDArray[np.bool_]:
        """(n,) bool: used for refinement."""
        return self.observed & ~self.free

    @property
    def d_min(self) -> float:
        """High-resolution limit in Å of what was observed."""
        return float(1.0 / np.sqrt(self.inv_d2[self.observed].max()))

    @property
    def d_max(self) -> float:
        """Low-resolution limit in Å of what was observed."""
        return float(1.0 / np.sqrt(self.inv_d2[self.observed].min()))

    def select(self, keep: NDArray[np.bool_]) -> Reflections:
        """The reflections where ``keep`` (n,) is True."""
        columns = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return replace(self, **{name: column[keep] for name, column in columns.items() if column is not None})
