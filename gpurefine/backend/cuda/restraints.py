"""The restraint operations of the cuda backend."""

from __future__ import annotations

from .adp_tensors import AdpOps
from .hydrogens import HydrogenOps
from .pair_lists import PairListOps


class RestraintOps(HydrogenOps, PairListOps, AdpOps):
    """See :class:`gpurefine.backend.ops_restraints.RestraintOps`, ``HydrogenSolver`` there, and ``ops_adp.AdpOps``."""
