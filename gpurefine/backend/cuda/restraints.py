"""The restraint operations of the cuda backend."""

from __future__ import annotations

from .contacts import ContactOps
from .geometry import GeometryOps
from .repulsion import RepulsionOps


class RestraintOps(GeometryOps, ContactOps, RepulsionOps):
    """See :class:`gpurefine.backend.ops_restraints.RestraintOps`."""
