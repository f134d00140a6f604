"""The cuda backend's members of a twin's groups."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..ops_reflections import Array
from ..ops_twin import TwinPosterior
from ..ops_twin_members import F64, HostTwinMembers, TwinMeasured, TwinModel, TwinSlopes
from .device import Argument
from .twin import TwinOps
from .values import DeviceValues


class TwinMemberOps(HostTwinMembers, TwinOps):
    """See :class:`gpurefine.backend.ops_twin_members.TwinMemberOps`; the host's arrays stay with the host."""

    def twinned(self, mates: NDArray[np.signedinteger[Any]], fractions: F64, f: Array, f_obs: F64 | None) -> Array:
        """See :class:`gpurefine.backend.ops_twin_members.TwinMemberOps`."""
        if not isinstance(f, DeviceValues):
            return super().twinned(mates, fractions, f, f_obs)
        n = len(f)
        out = self.lend(n, np.float64)
        self.launch(
            "twinned", n, f.array, self.unchanged("twin.mates", mates, np.int32),
            self.send("twin.fractions", fractions, np.float64), np.int32(len(fractions)),
            None if f_obs is None else self.unchanged("twin.f_obs", f_obs, np.float64), np.int32(n), out.array,
        )
        return out

    def twin_model(self, measured: TwinMeasured, f: Array, d: Array, s: Array) -> TwinModel:
        """See :class:`gpurefine.backend.ops_twin_members.TwinMemberOps`."""
        if not isinstance(f, DeviceValues):
            return super().twin_model(measured, f, d, s)
        m, plan = len(measured.groups.member), self.planned_twin(measured.groups)
        out = self.lend((2, m), np.float64)
        mean, variance = out[0], out[1]
        self.launch(
            "twin_model", m, plan.member, f.array, d.array, s.array,
            self.unchanged("twin.epsilon", measured.epsilon, np.float64), np.int32(m), mean.array, variance.array,
        )
        return TwinModel(mean, variance)

    def twin_slopes(
        self, measured: TwinMeasured, fractions: F64, found: TwinPosterior, model: TwinModel, f: Array, d: Array,
        derivatives: bool,
    ) -> TwinSlopes:
        """See :class:`gpurefine.backend.ops_twin_members.TwinMemberOps`."""
        if not isinstance(f, DeviceValues):
            return super().twin_slopes(measured, fractions, found, model, f, d, derivatives)
        n, groups = measured.n, measured.groups
        out = self.lend((4 if derivatives else 1, n), np.float64)
        # complex numbers must lie at multiples of 16 bytes: they come first
        gradient = out.array[:2].reshape(-1).view(np.complex128) if derivatives else None
        information, minus_ll = (out[2], out[3]) if derivatives else (None, out[0])
        self.device.clear(out.array)
        self.launch(
            "twin_slopes", len(groups.start) - 1, *self._related(measured, fractions, model), found.minus_ll.array,
            found.fm.array, f.array, d.array, np.int32(len(groups.start) - 1), np.bool_(derivatives), minus_ll.array,
            gradient, None if information is None else information.array,
        )
        return TwinSlopes(minus_ll, None if gradient is None else out.part(gradient), information)

    def twin_errors(
        self, measured: TwinMeasured, fractions: F64, found: TwinPosterior, model: TwinModel, f: Array, d: Array
    ) -> Array:
        """See :class:`gpurefine.backend.ops_twin_members.TwinMemberOps`."""
        if not isinstance(f, DeviceValues):
            return super().twin_errors(measured, fractions, found, model, f, d)
        n, groups = measured.n, measured.groups
        out = self.lend((4, n), np.float64)
        self.device.clear(out.array)
        self.launch(
            "twin_errors", len(groups.start) - 1, *self._related(measured, fractions, model), found.f2.array,
            found.fm.array, f.array, np.int32(len(groups.start) - 1), np.int32(n), out.array,
        )
        return out

    def centred_products(self, slopes: Array) -> tuple[F64, F64]:
        """See :class:`gpurefine.backend.ops_twin_members.TwinMemberOps`."""
        if not isinstance(slopes, DeviceValues):
            return super().centred_products(slopes)
        g, d = slopes.shape
        out = self.buffer("twin.products", d + d * d, np.float64)
        self.device.launch("centred_products", (d + d * d,), (256,), (slopes.array, np.int32(g), np.int32(d), out))
        host = self.device.download(out)
        return host[:d], host[d:].reshape(d, d)

    def _related(self, measured: TwinMeasured, fractions: F64, model: TwinModel) -> tuple[Argument, ...]:
        """Arguments of both kernels: groups, what was measured and what the model says of them."""
        plan = self.planned_twin(measured.groups)
        return (
            plan.start, plan.member, plan.mate, self.send("twin.fractions", fractions, np.float64),
            np.int32(len(fractions)), self.unchanged("twin.sigma", measured.sigma, np.float64),
            self.unchanged("twin.centric", measured.centric, np.bool_), model.mean.array, model.variance.array,
        )
