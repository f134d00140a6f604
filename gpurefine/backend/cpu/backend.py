"""The cpu backend: NumPy and numba on all cores."""

from __future__ import annotations

import numba as nb

from ..ops_curves import HostCurves
from ..ops_derivative import HostDerivative
from ..ops_friedel import HostFriedel
from ..ops_twin_members import HostTwinMembers
from . import memory
from .adp import AdpOps
from .anomalous import AnomalousOps
from .beside import BesideOps
from .density import DensityOps
from .hydrogens import HydrogenOps
from .information import InformationOps
from .intensity import IntensityOps
from .likelihood import TargetOps
from .mask import MaskOps
from .pair_lists import PairListOps
from .phased import PhasedOps
from .reflections import ReflectionOps
from .scale import ScaleOps
from .solve import SolveOps
from .threads import start_threads
from .twin import TwinOps


class CpuBackend(
    DensityOps, InformationOps, TargetOps, IntensityOps, TwinOps, PhasedOps, AnomalousOps, MaskOps, ScaleOps,
    HydrogenOps, PairListOps, AdpOps, SolveOps, ReflectionOps, HostCurves, HostFriedel, HostDerivative,
    HostTwinMembers, BesideOps,
):
    """Performs every operation of the table on the CPU."""

    name = "cpu"

    def __init__(self, threads: int) -> None:
        """Use ``threads`` cores."""
        self.threads = min(threads, int(nb.config.NUMBA_NUM_THREADS))
        start_threads()

    def release(self) -> None:
        """See :class:`gpurefine.backend.ops.Backend`."""
        memory.release()
