"""The operations of one refinement, ready to be called one at a time, each with the least work it must do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.fft

import gpurefine
from gpurefine.backend.gaussians import isotropic_gaussians
from gpurefine.backend.ops import Backend
from gpurefine.io.scattering import xray_gaussians
from gpurefine.job import Problem
from gpurefine.params.values import AtomValues
from gpurefine.refinement.objective import Objective, State
from gpurefine.refinement.setup import build_objective
from gpurefine.refinement.timing import Timer

from .ceilings import Work


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation: a name, a call without arguments, and its least work."""

    name: str
    call: Callable[[], object]
    work: Work


def read(model: Path, data: Path, d_min: float) -> Problem:
    """A model without hydrogens and its data to ``d_min`` Å."""
    return gpurefine.read(model, data, hydrogens="drop", d_min=d_min)


def objective_of(problem: Problem, backend: Backend) -> tuple[Objective, State]:
    """The target of a refinement on ``backend`` that is about to take its first step."""
    chemistry, data, config = problem.chemistry, problem.data, problem.config
    objective, _ = build_objective(
        backend, chemistry.atoms, chemistry.topology, chemistry.labels, data.crystal, data.reflections,
        [xray_gaussians(chemistry.atoms.scatterer_names)], config.solvent, config.refine, Timer(),
    )
    state = objective.state(AtomValues.of(objective.atoms))
    objective.experiment.update(objective.scatterers(state.values), state.f_calc)
    objective.list_contacts(state.values)
    return objective, state


def operations(objective: Objective, state: State) -> list[Operation]:
    """All operations at the given state."""
    return [*_density(objective, state), *_data(objective, state), *_restraints(objective, state)]


def points(objective: Objective, state: State) -> float:
    """Grid points inside the cut-off spheres of all atoms."""
    atoms = objective.scatterers(state.values)
    plan = objective.experiment.transform(atoms).density_plan
    radius = isotropic_gaussians(plan, atoms, np.arange(len(atoms.weight)))[2]
    voxel = abs(float(np.linalg.det(plan.orth))) / float(np.prod(plan.shape))
    return float((4.0 / 3.0 * np.pi * radius**3).sum()) / voxel


def _density(objective: Objective, state: State) -> list[Operation]:
    backend, experiment = objective.backend, objective.experiment
    atoms = objective.scatterers(state.values)
    transform = experiment.transform(atoms)
    plan, fourier = transform.density_plan, transform.fourier_plan
    size = float(np.prod(plan.shape))
    exps = points(objective, state) * plan.gauss_a.shape[1]
    density = backend.spread(plan, atoms)
    gradient = np.ones(len(fourier.hkl), np.complex128)
    dmap = backend.hkl_to_map(fourier, gradient)
    # three passes read and write the grid (real or half complex), then one value a reflection and symmetry operation
    fft = Work(24.0 * size + len(fourier.hkl) * (8.0 * len(fourier.rotations) + 36.0))

    def evaluation() -> object:
        f = transform.own_structure_factors(atoms)
        return transform.adjoint(atoms, experiment.evaluate(f[None], experiment.work, True).gradient[0])

    copy = density.copy()

    def to_hkl() -> object:
        np.copyto(copy, density)  # the transform may overwrite its input
        return backend.map_to_hkl(fourier, copy)

    return [
        # the grid is cleared, read and written once; everything else can stay in the caches
        Operation("spread", lambda: backend.spread(plan, atoms), Work(12.0 * size, exps)),
        Operation("gather", lambda: backend.gather(plan, atoms, dmap), Work(4.0 * size, exps)),
        Operation("map to hkl (FFT, symmetry)", to_hkl, fft),
        Operation("hkl to map (FFT, symmetry)", lambda: backend.hkl_to_map(fourier, gradient), fft),
        Operation("target + gradient", evaluation, Work(16.0 * size + 2.0 * fft.bytes, 2.0 * exps)),
    ]


def _data(objective: Objective, state: State) -> list[Operation]:
    experiment, r = objective.experiment, objective.experiment.reflections
    atoms = objective.scatterers(state.values)
    fit, likelihood = experiment.fitted, experiment.likelihood
    target = likelihood.scale_target(fit.f_total, fit.values)
    n, index, f = float(len(r)), experiment.work, state.f_calc
    found = [
        # seven columns and F in; value, gradient, information, figure of merit out; a logarithm and a Bessel ratio
        Operation("likelihood, value", lambda: experiment.evaluate(f, index, False), Work(81.0 * n, 3.0 * n)),
        Operation("likelihood, derivatives", lambda: experiment.evaluate(f, index, True), Work(113.0 * n, 4.0 * n)),
        Operation(
            "D and Σ, warm", lambda: likelihood.fit(fit.f_total, fit.scaled.k_aniso, fit.errors),
            Work(57.0 * n, 3.0 * n),
        ),
        Operation(
            "scale, warm", lambda: experiment.scaling.fit(target, f[0], fit.f_mask, r.work, fit.scale),
            Work(88.0 * n, 2.0 * n),
        ),
    ]
    mask = experiment.mask
    if mask is not None:
        size = float(np.prod(mask.grid.shape))
        found.append(
            Operation("solvent mask", lambda: mask.structure_factors(atoms.xyz), Work(30.0 * size + 24.0 * n))
        )
    return found


def _restraints(objective: Objective, state: State) -> list[Operation]:
    geometry, nonbonded, xyz = objective.geometry, objective.nonbonded, state.xyz
    matrix = geometry.evaluate(xyz, True).matrices[0]
    pattern = matrix.pattern
    n, m = float(pattern.n), float(len(pattern.pairs))
    x, out = np.ones((pattern.n, 3)), np.zeros((pattern.n, 3))
    listed = float(len(nonbonded.contacts)) if nonbonded.contacts is not None else 0.0
    active = float(len(nonbonded.repulsions.first)) if nonbonded.repulsions is not None else 0.0

    def product() -> None:
        objective.backend.block_product(
            pattern.row_start, pattern.column, pattern.slot, pattern.transposed, matrix.diagonal, matrix.off, x, out
        )

    contact_work = Work(29.0 * listed + 45.0 * active + 32.0 * n)
    return [
        Operation("contacts", lambda: objective.list_contacts(state.values), contact_work),
        Operation("repulsion, derivatives", lambda: nonbonded.evaluate(xyz, True), Work(60.0 * active + 120.0 * n)),
        Operation("geometry, value", lambda: geometry.value(xyz), Work(60.0 * m + 24.0 * n)),
        # every block is cleared and written once, every term read once
        Operation("geometry, derivatives", lambda: geometry.evaluate(xyz, True), Work((144.0 + 60.0) * m + 216.0 * n)),
        # each block is read for both of its rows
        Operation("CG product", product, Work(2.0 * m * 81.0 + 148.0 * n)),
    ]


def plain_fft(objective: Objective, state: State) -> Callable[[], object]:
    """SciPy's transform of a grid of the same shape with the same workers, nothing else."""
    atoms = objective.scatterers(state.values)
    shape = objective.experiment.transform(atoms).density_plan.shape
    grid = np.random.default_rng(1).standard_normal(shape, dtype=np.float32)
    return lambda: scipy.fft.rfftn(grid, workers=objective.backend.threads)
