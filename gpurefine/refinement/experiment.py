"""One data set with its model of the crystal: scale, solvent, error model and likelihood."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..backend.ops import Backend
from ..backend.ops_reflections import Array
from ..backend.plans import AtomInformation, DensityGradient, Scatterers
from ..forward.density import AtomicTransform, plan_transform, smallest_b
from ..forward.fisher import InformationShells, plan_information
from ..forward.scaling import Scale, ScaledModel, Scaling, plan_scaling
from ..forward.solvent import SolventMask, plan_mask
from ..model.crystal import Crystal
from ..model.reflections import Reflections
from ..target.likelihood import ErrorValues, Evaluation, Likelihood
from .agreement import Agreement, measured, plan_agreement
from .timing import Timer

F64 = NDArray[np.float64]
C128 = NDArray[np.complex128]

MASK_SHIFT = 0.04
"""Å r.m.s.: smaller moves than this change a mask on a 0.6 Å grid by less than its own graininess."""


@dataclass(slots=True, eq=False)
class Fit:
    """Everything about the data that is held fixed while atoms move within a cycle.

    ``f_mask`` (n,) or None, ``solvent_fraction``; ``scale``; ``scaled`` the model at the atoms of the last update;
    ``errors`` the likelihood's error model with its ``values`` on all reflections.
    """

    f_mask: Array | None
    solvent_fraction: float | None
    scale: Scale
    scaled: ScaledModel
    errors: Any
    values: ErrorValues

    @property
    def f_total(self) -> Array:
        """F_total (n_model, n)."""
        return self.scaled.total


@dataclass(frozen=True, slots=True, eq=False)
class ExperimentMemory:
    """What an experiment carries from one cycle into the next, apart from the atoms.

    ``planned_b`` (n_atom,) Å² that the transform was planned for; ``f_mask`` (n,), ``mask_xyz`` (m, 3) Å where its
    atoms were and ``solvent_fraction``, None without a mask; ``scale`` and ``errors``; ``mask_radii`` (2,) change of
    the probe radii and shrink radius, Å, None without a mask.
    """

    planned_b: F64
    f_mask: Array | None
    mask_xyz: F64 | None
    solvent_fraction: float | None
    scale: Scale
    errors: Any
    mask_radii: F64 | None = None


class Experiment:
    """A data set and how the model's atoms explain it.

    Attributes:
        crystal, reflections: the measurements; work: (k,) indices of the working set; used: those of them that are
            refined against at present.
        fit: scale, solvent and error model as of the last :meth:`update`.
        form_factors: for each model row Gaussians a and b (n_scatterer, n_gauss).
    """

    def __init__(
        self,
        backend: Backend,
        crystal: Crystal,
        reflections: Reflections,
        likelihood: Likelihood,
        form_factors: Sequence[tuple[F64, F64]],
        mask_atoms: tuple[NDArray[np.intp], F64],
        scale_kind: str,
        solvent: str,
        shrink_radius: float,
        timer: Timer,
        solvent_is_refined: bool = False,
    ) -> None:
        """Plan the transforms.

        Args:
            likelihood: of the measurements.
            form_factors: for each of the likelihood's model rows Gaussians a and b (n_scatterer, n_gauss).
            mask_atoms: indices and radii (Å, probe included) of the atoms that exclude solvent.
            scale_kind: "smooth" or "simple"; solvent: "mask", "babinet", "both" or "none".
            solvent_is_refined: k_mask is left to others once it has been fitted.
        """
        self._solvent_is_refined = solvent_is_refined
        self.backend = backend
        self.crystal = crystal
        self.reflections = reflections
        self.likelihood = likelihood
        self.timer = timer
        self.work = np.flatnonzero(reflections.work)
        self.used = self.work
        self.free = np.flatnonzero(reflections.free)
        self.form_factors = tuple(form_factors)
        self._transforms: tuple[AtomicTransform, ...] = ()
        self._planned_b = np.zeros(0)
        self._mask_xyz: F64 | None = None
        self.scaling: Scaling = plan_scaling(crystal, reflections.hkl, scale_kind, solvent, backend)
        self.mask: SolventMask | None = None
        self.probe_change, self._mask_radius = 0.0, mask_atoms[1]
        if self.scaling.mask:
            self.mask = plan_mask(backend, crystal, reflections.hkl, *mask_atoms, shrink_radius)
        self._shells: InformationShells = plan_information(
            backend, crystal, reflections.hkl, reflections.centric, reflections.epsilon
        )
        self.fit: Fit | None = None
        self._fitted_f: Array | None = None
        self._here: Evaluation | None = None
        self._agreement = tuple(
            plan_agreement(backend, reflections, index, len(self.free)) for index in (self.work, self.free)
        )

    def restrict(self, d_min: float | None) -> None:
        """Refine against working reflections to ``d_min`` Å only; None: against all."""
        d2 = self.reflections.inv_d2[self.work]
        used = self.work if d_min is None else self.work[d2 <= 1.0 / d_min**2]
        if len(used) != len(self.used):
            self.used, self._here = used, None

    def transform(self, atoms: Scatterers) -> AtomicTransform:
        """The transform of the first model row; see :meth:`transforms`."""
        return self.transforms(atoms)[0]

    def transforms(self, atoms: Scatterers) -> tuple[AtomicTransform, ...]:
        """One transform a model row; planned anew when the smallest B has fallen below what they were planned for."""
        smallest = smallest_b(atoms)
        low = float(smallest.min())
        if not self._transforms or low < float(self._planned_b.min()):
            # leave room, so that a falling B does not replan every cycle
            floor = np.maximum(smallest, 0.0)
            floor[int(np.argmin(floor))] = max(0.0, low - 5.0)
            return self._plan(floor, atoms)
        return self._transforms

    def _plan(self, planned_b: F64, atoms: Scatterers) -> tuple[AtomicTransform, ...]:
        self._transforms = tuple(
            plan_transform(self.backend, self.crystal, self.reflections.hkl, planned_b, atoms.kind, a, b)
            for a, b in self.form_factors
        )
        self._planned_b = planned_b
        return self._transforms

    def structure_factors(self, atoms: Scatterers) -> Array:
        """F of the atoms (n_model, n) in electrons, where the likelihood is worked out."""
        with self.timer("structure factors"):
            rows = [self._own(transform.own_structure_factors(atoms)) for transform in self.transforms(atoms)]
            return self.backend.stack(rows)

    def keep(self, values: C128) -> Array:
        """Structure factors brought to where the likelihood is worked out."""
        return self.backend.keep(values) if self.likelihood.resident else values

    def _own(self, values: Array) -> Array:
        return values if self.likelihood.resident else np.asarray(values)

    def update(self, atoms: Scatterers, f_calc: Array) -> Fit:
        """Refit solvent, scale and error model to the atoms whose structure factors are ``f_calc`` (n_model, n).

        The mask is made anew once the atoms have moved by more than :data:`MASK_SHIFT` since the last one.
        """
        old = self.fit
        f_mask, fraction = (None, None) if old is None else (old.f_mask, old.solvent_fraction)
        if self.mask is not None and (f_mask is None or self._mask_xyz is None or self._moved(atoms.xyz)):
            with self.timer("solvent mask"):
                f_mask, fraction = self.mask.structure_factors(atoms.xyz)
                f_mask = self._own(f_mask)
                self._mask_xyz = atoms.xyz[self.mask.atom]
        target = self.likelihood.scale_target(None, None) if old is None else self._scale_target(old)
        fit = self._refit(target, f_calc, f_mask, fraction, old)
        if old is None:
            # a first fit can change what is scaled to: twin fractions need a model
            better = self._scale_target(fit)
            if better is not target and not np.array_equal(better, target):
                fit = self._refit(better, f_calc, f_mask, fraction, fit)
        return fit

    def _scale_target(self, fit: Fit) -> Array:
        return self.likelihood.scale_target(fit.f_total, fit.values)

    def _refit(
        self, target: Array, f_calc: Array, f_mask: Array | None, fraction: float | None, old: Fit | None
    ) -> Fit:
        with self.timer("scale"):
            scale = self.scaling.fit(
                target, f_calc[0], f_mask, self.reflections.work, None if old is None else old.scale,
                hold_mask=old is not None and self._solvent_is_refined,
            )
            scaled = self.scaling.apply(scale, f_calc, f_mask)
        with self.timer("sigmaA"):
            errors = self.likelihood.fit(scaled.total, scaled.k_aniso, None if old is None else old.errors)
        return self._keep(f_mask, fraction, scale, scaled, f_calc, errors)

    def set_mask(self, probe_change: float, shrink_radius: float) -> None:
        """Make masks with all probe radii changed by ``probe_change`` Å from now on, and with this shrink radius."""
        assert self.mask is not None
        self.mask = replace(self.mask, radius=self._mask_radius + probe_change, shrink_radius=shrink_radius)
        self.probe_change, self._mask_xyz = probe_change, None

    def take_from_scale(self, b: float) -> None:
        """Take ``b`` Å² out of the overall scale, where the next fit starts: the atoms have it now."""
        fit = self.fitted
        scale = replace(fit.scale, b_overall=fit.scale.b_overall - b, b_sol=fit.scale.b_sol + b)
        if scale.mask_knots is not None:
            s, k = scale.mask_knots
            scale = replace(scale, mask_knots=np.stack([s, k * np.exp(-0.25 * b * s**2)]))
        fit.scale = scale

    def memory(self) -> ExperimentMemory:
        """What the next cycle depends on, after :meth:`update`."""
        fit = self.fitted
        return ExperimentMemory(
            self._planned_b, fit.f_mask, self._mask_xyz, fit.solvent_fraction, fit.scale, fit.errors,
            None if self.mask is None else np.array([self.probe_change, self.mask.shrink_radius]),
        )

    def recall(self, memory: ExperimentMemory, atoms: Scatterers, f_calc: Array) -> None:
        """Return to where ``memory`` was taken, of ``atoms`` whose structure factors are ``f_calc`` (n_model, n)."""
        if memory.planned_b is not self._planned_b:
            self._plan(memory.planned_b, atoms)
        if memory.mask_radii is not None:
            self.set_mask(*(float(radius) for radius in memory.mask_radii))
        self._mask_xyz = memory.mask_xyz
        f_mask = memory.f_mask
        if isinstance(f_mask, np.ndarray):  # from a file
            f_mask = self.keep(f_mask)
        scaled = self.scaling.apply(memory.scale, f_calc, f_mask)
        self._keep(f_mask, memory.solvent_fraction, memory.scale, scaled, f_calc, memory.errors)

    def change(self, scale: Scale, errors: Any, f_calc: Array) -> None:
        """Take this scale and error model with the mask of the last :meth:`update`, for structure factors ``f_calc``
        (n_model, n): what a step tries."""
        fit = self.fitted
        scaled = self.scaling.apply(scale, f_calc, fit.f_mask)
        self._keep(fit.f_mask, fit.solvent_fraction, scale, scaled, f_calc, errors)
        self._fitted_f = None  # only a value is asked for now, and evaluate_fit would work out derivatives

    def _keep(
        self, f_mask: Array | None, fraction: float | None, scale: Scale, scaled: ScaledModel, f_calc: Array,
        errors: Any,
    ) -> Fit:
        values = self.likelihood.values(errors, scaled.k_aniso)
        self._fitted_f, self._here = f_calc, None
        self.fit = Fit(f_mask, fraction, scale, scaled, errors, values)
        return self.fit

    def total(self, f_calc: Array) -> Array:
        """F_total (n_model, n) at the present scale and mask."""
        fit = self.fitted
        return self.backend.scaled_total(f_calc, fit.scaled.factor, fit.scaled.k_mask, fit.f_mask)

    def evaluate(self, f_calc: Array, index: NDArray[np.intp], derivatives: bool) -> Evaluation:
        """−LL of reflections ``index`` (k,) with derivatives with respect to F_total."""
        return self.likelihood.evaluate(self.fitted.values, self.total(f_calc), index, derivatives)

    def evaluate_fit(self, index: NDArray[np.intp]) -> Evaluation:
        """−LL of reflections ``index`` (k,) at the atoms of the last :meth:`update`."""
        if index is self.used:
            return self._at_fit()
        return self.likelihood.evaluate(self.fitted.values, self.fitted.f_total, index, False)

    def _at_fit(self) -> Evaluation:
        """−LL of the reflections in use with derivatives at the atoms of the last :meth:`update`, worked out once.

        The end of one cycle and the beginning of the next are the same atoms under the same error model.
        """
        if self._here is None:
            fit = self.fitted
            self._here = self.likelihood.evaluate(fit.values, fit.f_total, self.used, True)
        return self._here

    def agreement(self) -> tuple[Agreement, Agreement]:
        """R factors and correlations of working and free reflections at the last :meth:`update`."""
        fit = self.fitted
        amplitude = self.likelihood.amplitudes(fit.values, fit.f_total)
        work, free = measured(self._agreement, amplitude, fit.scaled.k_iso)
        return work, free

    def amplitudes(self) -> F64:
        """What R factors compare with F_obs (n,), at the last :meth:`update`."""
        return np.asarray(self.likelihood.amplitudes(self.fitted.values, self.fitted.f_total))

    def value(self, f_calc: Array) -> float:
        """Σ(−LL) over the working reflections in use."""
        with self.timer("likelihood"):
            here = f_calc is self._fitted_f
            result = self._at_fit() if here else self.evaluate(f_calc, self.used, False)
            return self.backend.total(result.minus_ll)

    def linearise(
        self, atoms: Scatterers, f_calc: Array, want_weight: bool = False
    ) -> tuple[DensityGradient, AtomInformation]:
        """Gradient of Σ(−LL) and its expected information for every atom."""
        factor, product = self.fitted.scaled.factor, self.backend.product
        with self.timer("likelihood"):
            result = self._at_fit() if f_calc is self._fitted_f else self.evaluate(f_calc, self.used, True)
        transforms = self.transforms(atoms)
        with self.timer("gradient"):
            slope = transforms[0].adjoint(atoms, product(result.gradient[0], factor, 1), want_weight)
            for row, transform in enumerate(transforms[1:], 1):
                slope = slope.plus(transform.adjoint(atoms, product(result.gradient[row], factor, 1), want_weight))
        return slope, self._information(atoms, result)

    def information(self, atoms: Scatterers) -> AtomInformation:
        """Expected information of the working reflections about every atom at the last :meth:`update`."""
        fit = self.fitted
        whole = self.used is self.work
        result = self._at_fit() if whole else self.likelihood.evaluate(fit.values, fit.f_total, self.work, True)
        return self._information(atoms, result)

    def _information(self, atoms: Scatterers, result: Evaluation) -> AtomInformation:
        factor, transforms = self.fitted.scaled.factor, self.transforms(atoms)
        product = self.backend.product
        with self.timer("curvature"):
            first = product(result.information[0], factor, 2)
            information = self._shells.atoms(transforms[0].density_plan, atoms, first)
            for row, transform in enumerate(transforms[1:], 1):
                information = information.plus(
                    self._shells.atoms(transform.density_plan, atoms, product(result.information[row], factor, 2))
                )
        return information

    def _moved(self, xyz: F64) -> bool:
        assert self.mask is not None and self._mask_xyz is not None
        shift = xyz[self.mask.atom] - self._mask_xyz
        return float(np.sqrt(np.mean(np.sum(shift**2, axis=1)))) > MASK_SHIFT

    def fit_on_host(self) -> Fit:
        """The last fit with all arrays on the host: for maps and tables at the end."""
        fit = self.fitted
        if not self.likelihood.resident:
            return fit

        def fetched(part: Any) -> Any:
            return replace(part, **{field.name: np.asarray(getattr(part, field.name)) for field in fields(part)})

        return replace(fit, scaled=fetched(fit.scaled), values=fetched(fit.values))

    @property
    def fitted(self) -> Fit:
        """The last fit.

        Raises:
            RuntimeError: there is none yet.
        """
        if self.fit is None:
            raise RuntimeError("Experiment.update must come before a likelihood is asked for")
        return self.fit
