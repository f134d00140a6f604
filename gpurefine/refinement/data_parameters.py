"""Parameters of the experiment that are refined together with those of the atoms (method 6).

A kind moves the scale or the error model of a fit and gives the derivatives of −LL by the chain rule; its normal
equations are one more block of the Gauss–Newton step, which has the same length and the same control for all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..backend.ops_reflections import ReflectionOps
from ..forward.scale_fit import BOUNDS
from ..forward.scaling import Scale, Scaling
from ..model.anomalous import AnomalousInput
from ..model.records import DataRecord
from ..params.occupancy import nearest_allowed
from ..target.likelihood import Evaluation, Likelihood
from ..target.sad import SadLikelihood
from ..target.twin import LEAST_FRACTION, TwinLikelihood
from .experiment import Experiment, Fit

F64 = NDArray[np.float64]
Index = NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class DataSlope:
    """``gradient`` (p,) of Σ(−LL) and its expected ``information`` (p, p), symmetric and positive semidefinite."""

    gradient: F64
    information: F64

    def uncertainty(self) -> F64:
        """Standard uncertainties (p,): roots of the diagonal of the inverse information, other kinds held.

        Directions without information (that of a constraint, for one) have no share in them.
        """
        return np.asarray(np.sqrt(np.maximum(np.diag(np.linalg.pinv(self.information, 1e-10, hermitian=True)), 0.0)))


class DataParameters(Protocol):
    """Shifts (p,) of one kind of parameter and what they do to a fit.

    Attributes:
        name: what it is called in messages.
        limit: largest shift of one component in one step.
    """

    @property
    def name(self) -> str: ...  # noqa: D102

    @property
    def limit(self) -> float: ...  # noqa: D102

    def move(self, fit: Fit, shift: F64) -> tuple[Scale, Any]:
        """Scale and error model after a shift; what must stay in bounds stays there."""
        ...

    def slope(self, fit: Fit, index: Index, result: Evaluation) -> DataSlope:
        """Derivatives by the shift at the atoms of ``fit``; ``result`` is of the reflections ``index`` (k,)."""
        ...

    def records(self, fit: Fit, uncertainty: F64) -> list[DataRecord]:
        """The parameters by name, from standard uncertainties (p,) of the shifts."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class AnomalousFactors:
    """ln of what f″ of each row of F″ is multiplied by: F″ = Σ exp(x_e) F″_e.

    Attributes:
        rows: (p,) which of the anomalous rows of structure factors are refined; names: the element of every row;
        electrons: f″ of every row at a multiplier of one; backend: adds up the derivatives.
    """

    rows: Index
    names: tuple[str, ...]
    electrons: F64
    backend: ReflectionOps
    name: str = "f″"
    limit: float = 0.25

    def move(self, fit: Fit, shift: F64) -> tuple[Scale, Any]:
        """The multipliers times exp(shift)."""
        multiplier = fit.errors.multiplier.copy()
        multiplier[self.rows] *= np.exp(shift)
        return fit.scale, replace(fit.errors, multiplier=multiplier)

    def slope(self, fit: Fit, index: Index, result: Evaluation) -> DataSlope:
        """Σ Re(F″_e* dL/dF″_e), each F″_e with its multiplier held: moving its logarithm changes F″_e by itself."""
        return DataSlope(*self.backend.row_slopes(
            fit.f_total, result.gradient, result.information, 1 + self.rows, index
        ))

    def records(self, fit: Fit, uncertainty: F64) -> list[DataRecord]:
        """f″ in electrons."""
        value = self.electrons * fit.errors.multiplier
        return [
            DataRecord(self.name, self.names[row], float(value[row]), float(value[row] * relative), "electrons")
            for row, relative in zip(self.rows, uncertainty, strict=True)
        ]


@dataclass(frozen=True, slots=True, eq=False)
class TwinFractions:
    """Fractions of the domains of a twin, none below :data:`~gpurefine.target.twin.LEAST_FRACTION`, their sum one."""

    likelihood: TwinLikelihood
    name: str = "twin fractions"
    limit: float = 0.1

    def move(self, fit: Fit, shift: F64) -> tuple[Scale, Any]:
        """The allowed fractions nearest to where the shift leads."""
        before = fit.errors.fractions
        room = 1.0 - len(before) * LEAST_FRACTION
        inside = nearest_allowed((before + shift - LEAST_FRACTION) / room, True)
        return fit.scale, replace(fit.errors, fractions=LEAST_FRACTION + room * inside)

    def slope(self, fit: Fit, index: Index, result: Evaluation) -> DataSlope:
        """Slopes of the groups of related reflections along directions that keep the sum; their mean square informs."""
        each = self.likelihood.fraction_slopes(fit.values, fit.f_total, index)
        return DataSlope(*self.likelihood.backend.centred_products(each))

    def records(self, fit: Fit, uncertainty: F64) -> list[DataRecord]:
        """The fraction of every domain by its law."""
        names = ("h,k,l", *self.likelihood.twin.names)
        return [
            DataRecord(self.name, name, float(value), float(error), "")
            for name, value, error in zip(names, fit.errors.fractions, uncertainty, strict=True)
        ]


B_UNIT = 100.0
"""Å², one unit of a shift of B_sol."""


@dataclass(frozen=True, slots=True, eq=False)
class SolventScale:
    """k_mask: values at the knots of a smooth scale, k_sol and B_sol (in units of :data:`B_UNIT`) of a simple one."""

    scaling: Scaling
    name: str = "solvent scale"
    limit: float = 0.1

    def move(self, fit: Fit, shift: F64) -> tuple[Scale, Any]:
        """New values within the physical range."""
        scale = fit.scale
        if scale.mask_knots is not None:
            s, k = scale.mask_knots
            return replace(scale, mask_knots=np.stack([s, np.clip(k + shift, *BOUNDS["mask"])])), fit.errors
        k_sol = float(np.clip(scale.k_sol + shift[0], *BOUNDS["k_sol"]))
        b_sol = float(np.clip(scale.b_sol + B_UNIT * shift[1], *BOUNDS["b_sol"]))
        return replace(scale, k_sol=k_sol, b_sol=b_sol), fit.errors

    def slope(self, fit: Fit, index: Index, result: Evaluation) -> DataSlope:
        """Σ Re((k F_mask ∂k_mask/∂x)* dL/dF); information: along F, of whose amplitude the likelihood knows."""
        assert fit.f_mask is not None
        gradient, information = self.scaling.backend.solvent_slopes(
            self.scaling.curve(fit.scale), fit.scaled.factor, fit.f_mask, fit.f_total, result.gradient,
            result.information, index,
        )
        unit = np.ones(len(gradient)) if fit.scale.mask_knots is not None else np.array([1.0, B_UNIT])
        return DataSlope(unit * gradient, np.outer(unit, unit) * information)

    def records(self, fit: Fit, uncertainty: F64) -> list[DataRecord]:
        """k_mask by resolution, or k_sol and B_sol."""
        scale = fit.scale
        if scale.mask_knots is None:
            return [
                DataRecord(self.name, "k_sol", scale.k_sol, float(uncertainty[0]), ""),
                DataRecord(self.name, "B_sol", scale.b_sol, float(B_UNIT * uncertainty[1]), "Å²"),
            ]
        return [
            DataRecord(self.name, f"k_mask at {1.0 / s:.2f} Å", float(k), float(error), "")
            for s, k, error in zip(*scale.mask_knots, uncertainty, strict=True)
        ]


def choose_data_parameters(
    likelihood: Likelihood, anomalous: AnomalousInput | None, solvent: Scaling | None
) -> tuple[DataParameters, ...]:
    """What is refined of the experiment: f″ of elements that were asked for, fractions of a twin, k_mask of a scale
    ``solvent`` that is given."""
    chosen: list[DataParameters] = []
    if anomalous is not None and isinstance(likelihood, SadLikelihood) and likelihood.refined.any():
        rows = anomalous.rows
        electrons = np.array([float(f_second.max()) for f_second in rows.f_second])
        chosen.append(AnomalousFactors(np.flatnonzero(likelihood.refined), rows.names, electrons, likelihood.backend))
    if isinstance(likelihood, TwinLikelihood):
        chosen.append(TwinFractions(likelihood))
    if solvent is not None:
        chosen.append(SolventScale(solvent))
    return tuple(chosen)


def data_slopes(experiment: Experiment, kinds: Sequence[DataParameters]) -> list[DataSlope]:
    """The derivatives by every kind at the atoms of the last update, of the reflections in use."""
    used = experiment.used
    return [kind.slope(experiment.fitted, used, experiment.evaluate_fit(used)) for kind in kinds]


def moved_fit(fit: Fit, kinds: Sequence[DataParameters], shifts: Sequence[F64]) -> tuple[Scale, Any]:
    """Scale and error model of ``fit`` after the shifts (1, p) of all kinds."""
    for kind, shift in zip(kinds, shifts, strict=True):
        scale, errors = kind.move(fit, shift[0])
        fit = replace(fit, scale=scale, errors=errors)
    return fit.scale, fit.errors


def data_records(experiment: Experiment, kinds: Sequence[DataParameters]) -> list[DataRecord]:
    """All parameters of the experiment with their standard uncertainties, at the last update."""
    slopes = data_slopes(experiment, kinds)
    return [
        record
        for kind, slope in zip(kinds, slopes, strict=True)
        for record in kind.records(experiment.fitted, slope.uncertainty())
    ]
