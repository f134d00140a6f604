"""The table of operations: what every backend performs.

An operation is coarse (one spread of all atoms, one likelihood over all reflections) and planned: what does not
change between calls sits in a plan (:mod:`gpurefine.backend.plans`), so that a device can keep it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from .blocks import BlockMatrix, LinearSolution
from .ops_adp import AdpOps
from .ops_anomalous import AnomalousOps
from .ops_beside import BesideOps
from .ops_curves import CurveOps
from .ops_derivative import DerivativeOps
from .ops_friedel import FriedelOps
from .ops_information import InformationOps
from .ops_intensity import IntensityOps
from .ops_phased import PhasedOps
from .ops_reflections import Array, ReflectionOps
from .ops_restraints import RestraintOps
from .ops_twin import TwinOps
from .ops_twin_members import TwinMemberOps
from .plans import (
    DensityGradient,
    DensityPlan,
    FourierPlan,
    LikelihoodResult,
    ScaleEquations,
    ScaleSystem,
    Scatterers,
    SigmaaResult,
)

F64 = NDArray[np.float64]
C128 = NDArray[np.complex128]
Map = NDArray[Any]


class DensityOps(Protocol):
    """Atoms to density, density to structure factors, and the adjoints (method 1 and 2)."""

    def spread(self, plan: DensityPlan, atoms: Scatterers) -> Map:
        """Density of the atoms on the plan's grid, e/Å³, blur included."""

    def spread_tangent(
        self, plan: DensityPlan, atoms: Scatterers, v_xyz: F64, v_b: F64,
        v_u: F64 | None = None, v_weight: F64 | None = None,
    ) -> Map:
        """J v: the density's change for parameter shifts v."""

    def gather(self, plan: DensityPlan, atoms: Scatterers, dmap: Map, want_weight: bool = False) -> DensityGradient:
        """Jᵀ D: Σ_r D(r) ∂ρ(r)/∂p for every atom."""

    def map_to_hkl(self, plan: FourierPlan, density: Map) -> Array:
        """Structure factors (n,) of the crystal from the density of its asymmetric unit."""

    def hkl_to_map(self, plan: FourierPlan, gradient: Array) -> Map:
        """Adjoint of map_to_hkl: dL/dρ from dL/dF = ∂L/∂Re F + i ∂L/∂Im F (n,)."""

    def direct_summation(
        self, plan: DensityPlan, fourier_plan: FourierPlan, atoms: Scatterers, n_centring: int
    ) -> C128:
        """The same structure factors by exact summation over atoms, float64 (slow)."""


class TargetOps(Protocol):
    """Likelihoods per reflection (method 4)."""

    def rice(
        self, f_obs: F64, sigma: F64, f_calc: C128, d: F64, s: F64, epsilon: F64, centric: NDArray[np.bool_],
        derivatives: bool,
    ) -> LikelihoodResult:
        """−log Rice likelihood of amplitudes (paper (4)–(5)), its derivative and expected information.

        ``d`` and ``s`` (n,) are D and k_aniso² Σ_mod of each reflection; the variance is 2σ² + εS (acentric) or
        σ² + εS (centric).
        """

    def rice_sigmaa(
        self, f_obs: F64, sigma: F64, fc_abs: F64, d: F64, s: F64, epsilon: F64, centric: NDArray[np.bool_]
    ) -> SigmaaResult:
        """The same likelihood with its derivatives with respect to D and ln S of each reflection."""


class MaskOps(Protocol):
    """Bulk solvent (method 3)."""

    def solvent_mask(
        self, shape: tuple[int, int, int], orth: F64, fractional: F64, radius: F64, shrink_radius: float,
        min_volume: float,
    ) -> Map:
        """1 in bulk solvent, 0 elsewhere, on a grid of ``shape`` over the cell ``orth`` (3, 3).

        Points within ``radius`` (n,) Å of an atom at ``fractional`` (n, 3; symmetry copies listed) are marked, the
        mask is shrunk back by ``shrink_radius`` Å, and solvent regions below ``min_volume`` Å³ are removed.
        """


    def map_mean(self, density: Map) -> float:
        """Mean of a map."""


class ScaleOps(Protocol):
    """Overall scale (method 3)."""

    def scale_residuals(self, system: ScaleSystem) -> F64:
        """F_o − |F_total| (n,)."""

    def scale_misfit(self, system: ScaleSystem, want_median: bool) -> tuple[float, float]:
        """Σ|residual|, and the median of |residual| if asked for (0 otherwise)."""

    def scale_equations(self, system: ScaleSystem, floor: float) -> ScaleEquations:
        """Normal equations of the parameters, each reflection weighted by 1/max(|residual|, floor)."""


class SolveOps(Protocol):
    """Products with the normal matrix (method 7)."""

    def block_product(
        self, row_start: Any, column: Any, slot: Any, transposed: Any, diagonal: F64, off: F64, x: F64, out: F64
    ) -> None:
        """out += H x for a symmetric block matrix in row-owned storage; x, out (n, s)."""


@runtime_checkable
class SystemSolver(Protocol):
    """What a backend offers beside the table if it solves whole systems itself, compiled or without the host."""

    def conjugate_gradients(
        self, matrices: Sequence[BlockMatrix], extra_diagonal: F64, right: F64, ridge: float, tolerance: float,
        max_iterations: int,
    ) -> LinearSolution | None:
        """See :func:`gpurefine.optimise.cg.solve`; None where it has no kernels for blocks of this side."""
        ...


class Backend(
    DensityOps, InformationOps, TargetOps, IntensityOps, TwinOps, TwinMemberOps, PhasedOps, AnomalousOps, FriedelOps,
    DerivativeOps, ReflectionOps, CurveOps, MaskOps, ScaleOps, RestraintOps, AdpOps, SolveOps, BesideOps, Protocol,
):
    """Everything one device performs."""

    name: str
    threads: int

    def release(self) -> None:
        """Give back memory that is kept from one operation to the next; later operations ask for it anew."""
        ...
