"""Normal equations of the scale fit by their definition."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..plans import ScaleEquations, ScaleSystem


class ScaleOps:
    """The scale fit's sums in vectorised NumPy."""

    def scale_residuals(self, system: ScaleSystem) -> NDArray[np.float64]:
        """See :class:`gpurefine.backend.ops.ScaleOps`."""
        return np.asarray(system.f_obs - system.factor * np.abs(system.f_protein + system.k_mask * system.f_mask))

    def scale_misfit(self, system: ScaleSystem, want_median: bool) -> tuple[float, float]:
        """See :class:`gpurefine.backend.ops.ScaleOps`."""
        size = np.abs(self.scale_residuals(system))
        return float(size.sum()), float(np.median(size)) if want_median else 0.0

    def scale_equations(self, system: ScaleSystem, floor: float) -> ScaleEquations:
        """See :class:`gpurefine.backend.ops.ScaleOps`."""
        inner = system.f_protein + system.k_mask * system.f_mask
        length = np.abs(inner)
        amplitude = system.factor * length
        direction = np.divide(np.conj(inner), length, out=np.zeros_like(inner), where=length > 0.0)
        slope = system.factor * (direction * system.f_mask).real
        jacobian = np.concatenate(
            [
                amplitude[:, None] * system.all_common,
                slope[:, None] * system.by_mask,
                slope[:, None] * _hats(system.mask_left, system.mask_weight, system.n_mask),
                amplitude[:, None] * _hats(system.iso_left, system.iso_weight, system.n_iso),
            ],
            axis=1,
        )
        residual = self.scale_residuals(system)
        weighted = jacobian / np.maximum(np.abs(residual), floor)[:, None]
        return ScaleEquations(weighted.T @ jacobian, weighted.T @ residual)


def _hats(left: NDArray[np.intp], weight: NDArray[np.float64], n: int) -> NDArray[np.float64]:
    out = np.zeros((len(weight), n))
    if n:
        row = np.arange(len(weight))
        out[row, left] = 1.0 - weight
        out[row, left + 1] += weight
    return out
