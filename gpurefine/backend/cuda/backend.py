"""The cuda backend: everything on one GPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...errors import DeviceError
from ..ops import Backend
from .anomalous import AnomalousOps
from .density import DensityOps
from .device import Device
from .intensity import IntensityOps
from .mask import MaskOps
from .phased import PhasedOps
from .reflections import ReflectionOps
from .restraints import RestraintOps
from .scale import ScaleOps
from .shell_products import InformationOps
from .shell_sums import ShellOps
from .solve import SolveOps
from .twin import TwinOps


class CudaBackend(
    DensityOps, InformationOps, PhasedOps, IntensityOps, TwinOps, AnomalousOps, ReflectionOps, ShellOps, MaskOps,
    ScaleOps, RestraintOps, SolveOps,
):
    """Performs the operations of the table on a device.

    An operation that has no kernel yet is ``substitute``'s, or a :class:`DeviceError` where there is none.
    """

    def __init__(
        self, device: Device, threads: int = 1, fast_atomics: bool = False, substitute: Backend | None = None
    ) -> None:
        """Work on ``device``; ``threads`` CPU threads are left to the host's part."""
        super().__init__(device, fast_atomics)
        self.name = f"cuda:{device.index} ({device.name})"
        self.threads = threads
        self.substitute = substitute

    def __getattr__(self, name: str) -> Callable[..., Any]:
        # only called for what is not found otherwise
        if name.startswith("_") or not callable(getattr(Backend, name, None)):
            raise AttributeError(f"{type(self).__name__} has no attribute {name}")
        substitute = self.__dict__.get("substitute")
        if substitute is not None:
            return getattr(substitute, name)  # type: ignore[no-any-return]

        def refuse(*_arguments: Any, **_named: Any) -> Any:
            raise DeviceError(
                f"The GPU has no kernel for the operation '{name}' yet, which these options need. Use --device auto, "
                "which performs it on the CPU, or --device cpu."
            )

        return refuse
