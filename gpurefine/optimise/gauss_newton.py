"""One damped Gauss–Newton step with its line search (paper section 4; method 7).

Knows blocks, vectors and a function to lower; nothing of crystallography.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..backend.blocks import BlockMatrix
from ..backend.ops import SolveOps
from ..errors import Status
from .cg import solve

F64 = NDArray[np.float64]

MAX_HALVINGS = 5
RIDGE = 0.5
"""Relative stiffening of the diagonal blocks when no length of the first direction lowers the target."""


@dataclass(frozen=True, slots=True, eq=False)
class LinearBlock:
    """Normal equations of one kind of parameter.

    Attributes:
        gradient: (n, s) of the target.
        matrices: block matrices whose sum, with ``extra`` (n, s, s) on the diagonal, is the curvature.
        limit: largest shift of one component.
        within: (n, s) what the equations are solved for instead, where the step of ``gradient`` would end outside of
            what is allowed.
    """

    gradient: F64
    matrices: Sequence[BlockMatrix]
    extra: F64
    limit: float
    within: F64 | None = None


@dataclass(frozen=True, slots=True)
class StepOutcome:
    """How a step ended.

    ``value`` of the target, ``halvings`` of the step, ``ridge`` in use, CG ``iterations`` and ``status``; ``length``
    that was taken of the full step, and ``best``, where the parabola through what is known has its minimum.
    """

    value: float
    halvings: int
    ridge: float
    iterations: int
    status: Status
    length: float = 0.0
    best: float = 1.0


def step(
    backend: SolveOps,
    blocks: Sequence[LinearBlock],
    value: float,
    evaluate: Callable[[Sequence[F64]], float],
    tolerance: float = 0.03,
    max_iterations: int = 200,
    length: float = 1.0,
) -> StepOutcome:
    """Solve the normal equations of each block and search along the joint direction.

    Args:
        value: the target now.
        evaluate: sets the parameters to their start plus the given shifts and returns the target.  The last call
            made is the one accepted (all shifts zero if none was).
        tolerance, max_iterations: of the conjugate gradients.  Soft directions run away when the damped equations
            are solved too exactly, and the error of the curvature is larger than the tolerance anyway.
        length: part of the full step to try first.

    Returns:
        Status NO_DESCENT or NOT_FINITE says that the target could not be lowered; the parameters are then unchanged.
    """
    if not np.isfinite(value):
        return StepOutcome(value, 0, 0.0, 0, Status.NOT_FINITE)
    iterations = 0
    for ridge in (0.0, RIDGE):
        shifts = []
        for block in blocks:
            right = -(block.gradient if block.within is None else block.within)
            solution = solve(backend, block.matrices, block.extra, right, ridge, tolerance, max_iterations)
            iterations += solution.iterations
            shifts.append(np.clip(solution.x, -block.limit, block.limit))
        slope = sum(float(np.sum(block.gradient * shift)) for block, shift in zip(blocks, shifts, strict=True))
        tried = length
        for halvings in range(MAX_HALVINGS + 1):
            trial = evaluate([tried * shift for shift in shifts])
            if np.isfinite(trial) and trial < value:
                status = Status.RIDGE if ridge else Status.REDUCED if halvings else Status.OK
                best = parabola_minimum(slope, trial - value, tried)
                return StepOutcome(trial, halvings, ridge, iterations, status, tried, best)
            tried *= 0.5
    evaluate([np.zeros_like(block.gradient) for block in blocks])
    return StepOutcome(value, MAX_HALVINGS + 1, RIDGE, iterations, Status.NO_DESCENT)


def parabola_minimum(slope: float, change: float, length: float) -> float:
    """Where a parabola that leaves 0 with ``slope`` and has changed by ``change`` at ``length`` is lowest.

    Infinite where it falls ever more steeply.
    """
    curvature = 2.0 * (change - slope * length) / length**2
    return -slope / curvature if curvature > 0.0 else float("inf")
