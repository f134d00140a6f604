"""Inputs of the operations, as plain arrays: what is fixed between calls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class DensityPlan:
    """How atoms become density on a grid.

    Attributes:
        shape: grid points along a, b, c.
        orth: (3, 3) float64 fractional to Cartesian, Å.
        gauss_a: (n_scatterer, n_gauss) float64 amplitudes of the form factor's Gaussians, electrons.
        gauss_b: (n_scatterer, n_gauss) float64 their exponents, Å².
        blur: B (Å²) added to every atom and divided out of the structure factors.
        cutoff: an atom's density (at full occupancy) is dropped where each of its Gaussians has fallen below
            this many e/Å³: one level for all atoms costs the fewest points for a given error of F.
    """

    shape: tuple[int, int, int]
    orth: NDArray[np.float64]
    gauss_a: NDArray[np.float64]
    gauss_b: NDArray[np.float64]
    blur: float
    cutoff: float

    @property
    def frac(self) -> NDArray[np.float64]:
        """(3, 3) Cartesian to fractional."""
        return np.asarray(np.linalg.inv(self.orth), np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class Scatterers:
    """The moving part: atoms as the density operations take them.

    Attributes:
        xyz: (n, 3) float64 Cartesian, Å.
        b_iso: (n,) float64, Å²; not used for anisotropic atoms.
        u_aniso: (n, 6) float64, Å², Cartesian 11 22 33 12 13 23.
        is_aniso: (n,) bool.
        weight: (n,) float64 occupancy with the special-position correction.
        kind: (n,) int32 row of the plan's Gaussians.
    """

    xyz: NDArray[np.float64]
    b_iso: NDArray[np.float64]
    u_aniso: NDArray[np.float64]
    is_aniso: NDArray[np.bool_]
    weight: NDArray[np.float64]
    kind: NDArray[np.int32]

    def of(self, own: NDArray[np.bool_]) -> Scatterers:
        """Those of the atoms where ``own`` (n,) is True."""
        return Scatterers(
            self.xyz[own], self.b_iso[own], self.u_aniso[own], self.is_aniso[own], self.weight[own], self.kind[own]
        )


@runtime_checkable
class ModelHolder(Protocol):
    """What a backend offers beside the table if it can keep the moving model in its own memory."""

    def take_up(self, arrays: Sequence[NDArray[Any]]) -> None:
        """``arrays`` are the model for a while and are not written to any more: operations that are given one of them,
        the same object, find it where it is."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class FourierPlan:
    """How a map of the asymmetric unit's atoms becomes structure factors of the crystal.

    Attributes:
        shape: grid points along a, b, c.
        hkl: (n, 3) int32 unique reflections.
        rotations: (n_op, 3, 3) int32 primitive operations; F(h) = Σ F_asu(hR) exp(2πi h·t).
        translations24: (n_op, 3) int32 translations in 24ths of a cell edge.
        factor: (n,) float64: volume element × centring × exp(blur s²/4): what multiplies the plain transform.
    """

    shape: tuple[int, int, int]
    hkl: NDArray[np.int32]
    rotations: NDArray[np.int32]
    translations24: NDArray[np.int32]
    factor: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class DensityGradient:
    """Derivatives of the target with respect to each atom's parameters.

    ``xyz`` (n, 3) per Å; ``b_iso`` (n,) per Å² (zero for anisotropic atoms); ``u_aniso`` (n, 6) per Å² with both
    off-diagonal elements moved together (zero for isotropic atoms); ``weight`` (n,) per unit occupancy.
    """

    xyz: NDArray[np.float64]
    b_iso: NDArray[np.float64]
    u_aniso: NDArray[np.float64]
    weight: NDArray[np.float64]

    def plus(self, other: DensityGradient) -> DensityGradient:
        """The sum of two gradients."""
        return DensityGradient(
            self.xyz + other.xyz, self.b_iso + other.b_iso, self.u_aniso + other.u_aniso, self.weight + other.weight
        )


@dataclass(frozen=True, slots=True, eq=False)
class AtomInformation:
    """Expected information of the data about each atom.

    Diagonal blocks: ``xyz`` (n, 3, 3) per Å², ``b_iso`` (n,) per Å⁴, ``weight`` (n,) per squared occupancy;
    ``u_aniso`` (n, 6, 6) per Å⁴, both off-diagonal elements of U moved together (None in models without anisotropic
    atoms; zero for isotropic atoms).
    """

    xyz: NDArray[np.float64]
    b_iso: NDArray[np.float64]
    weight: NDArray[np.float64]
    u_aniso: NDArray[np.float64] | None = None

    def plus(self, other: AtomInformation) -> AtomInformation:
        """The sum of two pieces of information."""
        tensors = self.u_aniso
        if tensors is not None and other.u_aniso is not None:
            tensors = tensors + other.u_aniso
        return AtomInformation(self.xyz + other.xyz, self.b_iso + other.b_iso, self.weight + other.weight, tensors)


@dataclass(frozen=True, slots=True, eq=False)
class LikelihoodResult:
    """A likelihood on every reflection given to it.

    Attributes:
        minus_ll: (n,) float64, −log likelihood.
        gradient: (n,) complex128, ∂(−LL)/∂Re F + i ∂(−LL)/∂Im F of the model structure factor F (zeros if not asked
            for).
        information: (n,) float64 ≥ 0, E[(∂(−LL)/∂|F|)²] over the data's own distribution (zeros if not asked for).
        fom: (n,) float64, figure of merit m = ⟨cos(φ − φ_calc)⟩.
    """

    minus_ll: NDArray[np.float64]
    gradient: NDArray[np.complex128]
    information: NDArray[np.float64]
    fom: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class SigmaaResult:
    """Rice's likelihood as a function of its parameters D and S, per reflection, (n,) float64 each.

    ``minus_ll``; ``d_d`` and ``d_log_s`` its derivatives with respect to D and ln S; ``info_d`` and ``info_s``
    bounds on the expected information, from above, so that scoring steps never overshoot.
    """

    minus_ll: NDArray[np.float64]
    d_d: NDArray[np.float64]
    d_log_s: NDArray[np.float64]
    info_d: NDArray[np.float64]
    info_s: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class ScaleSystem:
    """The scale fit at one set of parameters, on its working reflections (n,).

    |F_total| = factor |F_protein + k_mask F_mask|.  The parameters are, in this order: those that multiply the
    amplitude by exp(p · column), of ``common`` and then of ``babinet``; those that change k_mask by p · by_mask column;
    knot values of a piecewise linear k_mask; knot values of ln k_iso.

    Attributes:
        f_obs, factor, k_mask: (n,); f_protein, f_mask: (n,) complex128 (zeros without a mask).  Those of the model may
            be the backend's own arrays (:mod:`.ops_reflections`).
        common: (n, p); babinet: (n, 2) or None; by_mask: (n, q).  The latter two may be the backend's own.
        mask_left, mask_weight, n_mask: left knot (n,), weight of the right one (n,), number of knots (0: none).
        iso_left, iso_weight, n_iso: the same for ln k_iso.
    """

    f_obs: NDArray[np.float64]
    factor: Any
    k_mask: Any
    f_protein: Any
    f_mask: Any
    common: NDArray[np.float64]
    by_mask: Any
    mask_left: NDArray[np.intp]
    mask_weight: NDArray[np.float64]
    n_mask: int
    iso_left: NDArray[np.intp]
    iso_weight: NDArray[np.float64]
    n_iso: int
    babinet: Any | None = None

    @property
    def n_parameters(self) -> int:
        """Number of parameters."""
        columns = sum(part.shape[1] for part in (self.common, self.babinet, self.by_mask) if part is not None)
        return int(columns + self.n_mask + self.n_iso)

    @property
    def all_common(self) -> NDArray[np.float64]:
        """Columns (n, p) that multiply the amplitude, those of Babinet's term last."""
        return self.common if self.babinet is None else np.concatenate([self.common, self.babinet], axis=1)


@dataclass(frozen=True, slots=True, eq=False)
class ScaleEquations:
    """Reweighted normal equations: ``normal`` (p, p) Σ w JᵀJ and ``right`` (p,) Σ w J r, w = 1/max(|r|, floor)."""

    normal: NDArray[np.float64]
    right: NDArray[np.float64]
