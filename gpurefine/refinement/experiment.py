"""One data set with its model of the crystal: scale, solvent, error model and likelihood."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..backend.ops import Backend
from ..backend.plans import DensityGradient, LikelihoodResult, Scatterers
from ..forward.density import AtomicTransform, plan_transform, smallest_b
from ..forward.fisher import AtomInformation, InformationShells, plan_information
from ..forward.scaling import Scale, ScaledModel, Scaling, plan_scaling
from ..forward.solvent import SolventMask, plan_mask
from ..model.crystal import Crystal
from ..model.reflections import Reflections
from ..target.sigmaa import SigmaA, SigmaAEstimator, plan_sigmaa
from .timing import Timer

F64 = NDArray[np.float64]
C128 = NDArray[np.complex128]

MASK_SHIFT = 0.04
"""Å r.m.s.: smaller moves than this change a mask on a 0.6 Å grid by less than its own graininess."""


@dataclass(slots=True, eq=False)
class Fit:
    """Everything about the data that is held fixed while atoms move within a cycle.

    ``f_mask`` (n,) or None, ``solvent_fraction``; ``scale``; ``scaled`` at the atoms of the last update; ``sigmaa``
    with its values ``d`` and ``s`` (k_aniso² Σ_mod) on all reflections (n,).
    """

    f_mask: C128 | None
    solvent_fraction: float | None
    scale: Scale | None
    scaled: ScaledModel
    sigmaa: SigmaA
    d: F64
    s: F64


@dataclass(frozen=True, slots=True, eq=False)
class ExperimentMemory:
    """What an experiment carries from one cycle into the next, apart from the atoms.

    ``planned_b`` (n_atom,) Å² that the transform was planned for; ``f_mask`` (n,), ``mask_xyz`` (m, 3) Å where its
    atoms were and ``solvent_fraction``, None without a mask; ``scale`` and ``sigmaa``.
    """

    planned_b: F64
    f_mask: C128 | None
    mask_xyz: F64 | None
    solvent_fraction: float | None
    scale: Scale
    sigmaa: SigmaA


class Experiment:
    """A data set and how the model's atoms explain it.

    Attributes:
        crystal, reflections: the measurements; work: (k,) indices refined against.
        fit: scale, solvent and error model as of the last :meth:`update`.
    """

    def __init__(
        self,
        backend: Backend,
        crystal: Crystal,
        reflections: Reflections,
        form_factors: tuple[F64, F64],
        mask_atoms: tuple[NDArray[np.intp], F64],
        scale_kind: str,
        solvent: str,
        shrink_radius: float,
        timer: Timer,
    ) -> None:
        """Plan the transforms.

        Args:
            form_factors: Gaussians a and b (n_scatterer, n_gauss).
            mask_atoms: indices and radii (Å, probe included) of the atoms that exclude solvent.
            scale_kind: "smooth" or "simple"; solvent: "mask", "babinet", "both" or "none".
        """
        self.backend = backend
        self.crystal = crystal
        self.reflections = reflections
        self.timer = timer
        self.work = np.flatnonzero(reflections.work)
        self.free = np.flatnonzero(reflections.free)
        self._form_factors = form_factors
        self._transform: AtomicTransform | None = None
        self._planned_b = np.zeros(0)
        self._mask_xyz: F64 | None = None
        self.scaling: Scaling = plan_scaling(crystal, reflections.hkl, scale_kind, solvent, backend)
        self.mask: SolventMask | None = None
        if self.scaling.mask:
            self.mask = plan_mask(backend, crystal, reflections.hkl, *mask_atoms, shrink_radius)
        observed = reflections.observed
        self.f_obs = np.where(observed, reflections.f, 0.0)
        self.sigma = np.where(observed, reflections.sigma, 1.0)
        self.estimator: SigmaAEstimator = plan_sigmaa(
            backend, self.f_obs, self.sigma, reflections.epsilon, reflections.centric, reflections.inv_d2,
            reflections.work, reflections.free,
        )
        self._shells: InformationShells = plan_information(
            crystal, reflections.hkl[self.work], reflections.centric[self.work], reflections.epsilon[self.work]
        )
        self.fit: Fit | None = None

    def transform(self, atoms: Scatterers) -> AtomicTransform:
        """The transform for these atoms; planned anew when the smallest B has fallen below what it was planned for."""
        smallest = smallest_b(atoms)
        low = float(smallest.min())
        if self._transform is None or low < float(self._planned_b.min()):
            # leave room, so that a falling B does not replan every cycle
            floor = np.maximum(smallest, 0.0)
            floor[int(np.argmin(floor))] = max(0.0, low - 5.0)
            return self._plan(floor, atoms)
        return self._transform

    def _plan(self, planned_b: F64, atoms: Scatterers) -> AtomicTransform:
        transform = plan_transform(
            self.backend, self.crystal, self.reflections.hkl, planned_b, atoms.kind, *self._form_factors
        )
        self._planned_b, self._transform = planned_b, transform
        return transform

    def structure_factors(self, atoms: Scatterers) -> C128:
        """F_protein (n,) in electrons."""
        with self.timer("structure factors"):
            return self.transform(atoms).structure_factors(atoms)

    def update(self, atoms: Scatterers, f_protein: C128) -> Fit:
        """Refit solvent, scale, D and Σ_mod to the atoms whose structure factors are ``f_protein`` (n,).

        The mask is made anew once the atoms have moved by more than :data:`MASK_SHIFT` since the last one.
        """
        old = self.fit
        f_mask, fraction = (None, None) if old is None else (old.f_mask, old.solvent_fraction)
        if self.mask is not None and (f_mask is None or self._moved(atoms.xyz)):
            with self.timer("solvent mask"):
                f_mask, fraction = self.mask.structure_factors(atoms.xyz)
                self._mask_xyz = atoms.xyz[self.mask.atom]
        with self.timer("scale"):
            scale = self.scaling.fit(
                self.f_obs, f_protein, f_mask, self.reflections.work, None if old is None else old.scale
            )
            scaled = self.scaling.apply(scale, f_protein, f_mask)
        with self.timer("sigmaA"):
            sigmaa = self.estimator.fit(np.abs(scaled.total), scaled.k_aniso, None if old is None else old.sigmaa)
        return self._keep(f_mask, fraction, scale, scaled, sigmaa)

    def memory(self) -> ExperimentMemory:
        """What the next cycle depends on, after :meth:`update`."""
        fit = self._fitted()
        assert fit.scale is not None
        return ExperimentMemory(
            self._planned_b, fit.f_mask, self._mask_xyz, fit.solvent_fraction, fit.scale, fit.sigmaa
        )

    def recall(self, memory: ExperimentMemory, atoms: Scatterers, f_protein: C128) -> None:
        """Return to where ``memory`` was taken, of ``atoms`` whose structure factors are ``f_protein`` (n,)."""
        if memory.planned_b is not self._planned_b:
            self._plan(memory.planned_b, atoms)
        self._mask_xyz = memory.mask_xyz
        scaled = self.scaling.apply(memory.scale, f_protein, memory.f_mask)
        self._keep(memory.f_mask, memory.solvent_fraction, memory.scale, scaled, memory.sigmaa)

    def _keep(
        self, f_mask: C128 | None, fraction: float | None, scale: Scale, scaled: ScaledModel, sigmaa: SigmaA
    ) -> Fit:
        d, model_variance = sigmaa.on(self.reflections.inv_d2)
        self.fit = Fit(f_mask, fraction, scale, scaled, sigmaa, d, model_variance * scaled.k_aniso**2)
        return self.fit

    def total(self, f_protein: C128, index: NDArray[np.intp] | slice = slice(None)) -> C128:
        """F_total at the present scale and mask, of reflections ``index`` (default: all, (n,))."""
        fit = self._fitted()
        inner = f_protein[index]
        if fit.f_mask is not None:
            inner = inner + fit.scaled.k_mask[index] * fit.f_mask[index]
        return np.asarray(fit.scaled.factor[index] * inner)

    def likelihood(self, f_protein: C128, index: NDArray[np.intp], derivatives: bool) -> LikelihoodResult:
        """−LL of reflections ``index`` (k,) with derivatives with respect to F_total."""
        fit, r = self._fitted(), self.reflections
        return self.backend.rice(
            self.f_obs[index], self.sigma[index], self.total(f_protein, index), fit.d[index], fit.s[index],
            r.epsilon[index], r.centric[index], derivatives,
        )

    def value(self, f_protein: C128) -> float:
        """Σ(−LL) over the working reflections."""
        with self.timer("likelihood"):
            return float(self.likelihood(f_protein, self.work, False).minus_ll.sum())

    def linearise(self, atoms: Scatterers, f_protein: C128) -> tuple[DensityGradient, AtomInformation]:
        """Gradient of Σ(−LL) and its expected information for every atom."""
        fit = self._fitted()
        factor = fit.scaled.factor[self.work]
        with self.timer("likelihood"):
            result = self.likelihood(f_protein, self.work, True)
            gradient = np.zeros(len(self.reflections), np.complex128)
            gradient[self.work] = result.gradient * factor
        with self.timer("gradient"):
            transform = self.transform(atoms)
            slope = transform.adjoint(atoms, gradient)
        with self.timer("curvature"):
            information = self._shells.atoms(transform.density_plan, atoms, result.information * factor**2)
        return slope, information

    def _moved(self, xyz: F64) -> bool:
        assert self.mask is not None and self._mask_xyz is not None
        shift = xyz[self.mask.atom] - self._mask_xyz
        return float(np.sqrt(np.mean(np.sum(shift**2, axis=1)))) > MASK_SHIFT

    def _fitted(self) -> Fit:
        if self.fit is None:
            raise RuntimeError("Experiment.update must come before a likelihood is asked for")
        return self.fit
