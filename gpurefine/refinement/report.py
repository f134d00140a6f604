"""The final report of a refinement."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..model.records import AnisotropyRecord, Report, ScaleRecord
from ..model.strict_ncs import NcsRecord
from ..model.tensors import smallest_and_largest
from ..restraints.statistics import restraint_outliers
from .agreement import statistics_shells
from .coordinate_error import coordinate_error
from .data_parameters import data_records
from .experiment import Experiment
from .maps import map_coefficients
from .ncs_contacts import told_once
from .refine import Refinement
from .statistics import shell_table

FLAT = 0.2
"""Anisotropy (smallest by largest principal U) below which an atom deserves a look."""


def scale_record(experiment: Experiment) -> ScaleRecord:
    """The fitted scale in the terms a crystallographer knows."""
    fit, scaling = experiment.fitted, experiment.scaling
    scale = fit.scale
    return ScaleRecord(
        kind=scaling.kind,
        k_overall=math.exp(scale.log_k),
        b_overall=scale.b_overall,
        b_aniso=tuple(float(x) for x in scaling.anisotropic_b(scale)),
        k_sol=scale.k_sol if scaling.mask else None,
        b_sol=scale.b_sol if scaling.mask else None,
        knots_k_mask=None if scale.mask_knots is None else [(float(s), float(k)) for s, k in scale.mask_knots.T],
        knots_k_iso=None if scale.iso_knots is None else [(float(s), math.exp(k)) for s, k in scale.iso_knots.T],
        babinet_k=scale.babinet_k if scaling.babinet else None,
        babinet_b=scale.babinet_b if scaling.babinet else None,
        solvent_fraction=fit.solvent_fraction,
        shrink_radius=experiment.mask.shrink_radius if experiment.mask else None,
    )


def anisotropy(u: NDArray[np.float64]) -> AnisotropyRecord | None:
    """Statistics of tensors (m, 6) Å²; None without any."""
    if len(u) == 0:
        return None
    low, high = smallest_and_largest(u)
    ratio = low / high
    return AnisotropyRecord(
        n_aniso=len(u), mean=float(ratio.mean()), sigma=float(ratio.std()), minimum=float(ratio.min()),
        n_flat=int(np.sum(ratio < FLAT)), min_u=float(low.min()),
    )


def final_report(
    refinement: Refinement, labels: Sequence[str], free_value: int | None, device: str, messages: list[str]
) -> Report:
    """Maps, shells, restraint statistics and outliers of the model as it stands."""
    objective, state = refinement.objective, refinement.state
    experiment, r = objective.experiment, objective.experiment.reflections
    with objective.timer("maps"):
        maps = map_coefficients(experiment, state.f_calc)
    with objective.timer("statistics"):
        fit = experiment.fit_on_host()
        shell = statistics_shells(r.inv_d2, r.observed, len(experiment.free))
        heavy = ~objective.atoms.is_hydrogen
        total_b = objective.composition.total(state.values).b_iso
        copies, ncs = objective.copies, None
        if copies is not None:
            labels = copies.ncs.labels(labels)
            ncs = NcsRecord(len(copies.ncs) - 1, copies.n, copies.n * len(copies.ncs))
        outliers = restraint_outliers(
            objective.whole(state.values).xyz, objective.topology, labels, objective.geometry, objective.nonbonded
        )
        if copies is not None:
            outliers = told_once(outliers, copies.ncs, labels)
        return Report(
            cycles=refinement.cycles,
            shells=shell_table(experiment, fit, shell, maps.fom),
            restraints=refinement.restraints,
            outliers=outliers,
            scale=scale_record(experiment),
            maps=maps,
            data_parameters=data_records(experiment, objective.data),
            n_work=len(experiment.work),
            n_free=len(experiment.free),
            free_value=free_value,
            d_min=r.d_min,
            d_max=r.d_max,
            mean_b=float(np.mean(total_b[heavy])) if heavy.any() else float(np.mean(total_b)),
            coordinate_error=coordinate_error(objective, state, refinement.cycles[-1]),
            weight=refinement.weight,
            device=device,
            anisotropy=anisotropy(state.values.u_aniso[heavy & objective.composition.is_aniso]),
            timing=objective.timer.seconds,
            timing_beside=objective.timer.beside,
            ncs=ncs,
            messages=messages,
        )
