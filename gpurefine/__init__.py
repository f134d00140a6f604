"""gpurefine: macromolecular crystallographic refinement on GPU and CPU.

The same job as ``gpurefine refine`` in a few lines::

    import gpurefine

    problem = gpurefine.read("model.pdb", "data.mtz")
    result = problem.refine(cycles=10)
    result.write("refined")

Importing this package loads nothing heavy and touches no device; what stands below is loaded when first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from .config import Config
from .errors import GpurefineError

if TYPE_CHECKING:
    from .job import Problem, Result, read, resume, run, structure_factors

__version__ = "0.1.0"

__all__ = [
    "Config", "GpurefineError", "Problem", "Result", "__version__", "read", "resume", "run", "structure_factors",
]

_FROM_JOB = ("Problem", "Result", "read", "resume", "run", "structure_factors")


def __getattr__(name: str) -> Any:
    """Load the parts that need numpy, gemmi and numba when they are asked for."""
    if name in _FROM_JOB:
        return getattr(importlib.import_module(".job", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
