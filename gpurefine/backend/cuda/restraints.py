"""The restraint operations of the cuda backend."""

from __future__ import annotations

from .adp_tensors import AdpOps
from .contacts import ContactOps
from .hydrogens import HydrogenOps
from .repulsion import RepulsionOps


class RestraintOps(HydrogenOps, ContactOps, RepulsionOps, AdpOps):
    """See :class:`gpurefine.backend.ops_restraints.RestraintOps`, ``HydrogenSolver`` there, and ``ops_adp.AdpOps``."""
