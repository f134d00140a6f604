"""The reference backend: plain NumPy, float64, slow."""

from __future__ import annotations

from ..ops_beside import OneAfterTheOther
from ..ops_curves import HostCurves
from ..ops_derivative import HostDerivative
from ..ops_friedel import HostFriedel
from ..ops_information import ShellProducts
from ..ops_reflections import HostReflections
from ..ops_twin_members import HostTwinMembers
from .adp import AdpOps
from .anomalous import AnomalousOps
from .density import DensityOps
from .intensity import IntensityOps
from .likelihood import TargetOps
from .mask import MaskOps
from .phased import PhasedOps
from .restraints import RestraintOps
from .scale import ScaleOps
from .solve import SolveOps
from .twin import TwinOps


class ReferenceBackend(
    DensityOps, ShellProducts, TargetOps, IntensityOps, TwinOps, PhasedOps, AnomalousOps, MaskOps, ScaleOps,
    RestraintOps, AdpOps, SolveOps, HostReflections, HostCurves, HostFriedel, HostDerivative, HostTwinMembers,
    OneAfterTheOther,
):
    """Performs every operation of the table by its definition."""

    name = "reference"
    threads = 1

    def release(self) -> None:
        """Nothing is kept."""
