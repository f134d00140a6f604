"""The cuda backend: everything on one GPU."""

from __future__ import annotations

from ..ops_beside import OneAfterTheOther
from .data_slopes import DataSlopeOps
from .density import DensityOps
from .derivative import DerivativeOps
from .device import Device
from .friedel import FriedelOps
from .intensity import IntensityOps
from .mask import MaskOps
from .phased import PhasedOps
from .restraints import RestraintOps
from .scale import ScaleOps
from .shell_products import InformationOps
from .shell_sums import ShellOps
from .siras import SirasOps
from .solve import SolveOps
from .twin_members import TwinMemberOps


class CudaBackend(
    DensityOps, InformationOps, PhasedOps, IntensityOps, TwinMemberOps, SirasOps, FriedelOps, DerivativeOps,
    DataSlopeOps, ShellOps, MaskOps,
    ScaleOps, RestraintOps, SolveOps, OneAfterTheOther,
):
    """Performs every operation of the table on a device."""

    def __init__(self, device: Device, threads: int = 1, fast_atomics: bool = False, graphs: bool = False) -> None:
        """Work on ``device``; ``threads`` CPU threads are left to the host's part.

        ``graphs``: conjugate gradients are launched as CUDA graphs.
        """
        super().__init__(device, fast_atomics)
        self.graphs = graphs
        self.name = f"cuda:{device.index} ({device.name})"
        self.threads = threads

    def release(self) -> None:
        """Nothing is kept on the host; the device's memory serves until the end."""
