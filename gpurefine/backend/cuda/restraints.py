"""The restraint operations of the cuda backend."""

from __future__ import annotations

from .contacts import ContactOps
from .hydrogens import HydrogenOps
from .repulsion import RepulsionOps


class RestraintOps(HydrogenOps, ContactOps, RepulsionOps):
    """See :class:`gpurefine.backend.ops_restraints.RestraintOps` and ``HydrogenSolver`` there."""
