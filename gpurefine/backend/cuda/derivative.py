"""The cuda backend's heavy-atom sites and scale of a derivative."""

from __future__ import annotations

import numpy as np

from ..ops_anomalous import AnomalousResult
from ..ops_derivative import CLIP, F64, ROUNDS, HostDerivative, ScalePlace, SitePlan, solved
from ..ops_reflections import Array, Groups, Index
from .device import DeviceArray
from .shell_sums import ShellOps
from .values import DeviceValues


class DerivativeOps(HostDerivative, ShellOps):
    """See :class:`gpurefine.backend.ops_derivative.DerivativeOps`; the host's arrays stay with the host."""

    def site_factors(self, plan: SitePlan, sites: F64, near: Array) -> Array:
        """See :class:`gpurefine.backend.ops_derivative.DerivativeOps`."""
        if not isinstance(near, DeviceValues):
            return super().site_factors(plan, sites, near)
        n = len(plan.hkl)
        hkl, inv_d2, form, f_second, rotations, translations = self.kept("sites", lambda: (
            self.fixed(plan.hkl, np.int32), self.fixed(plan.inv_d2, np.float64), self.fixed(plan.form, np.float64),
            self.fixed(plan.f_second, np.float64), self.fixed(plan.rotations, np.int32),
            self.fixed(plan.translations, np.float64),
        ), plan)
        out = self.lend((2, n), np.complex128)
        self.launch(
            "site_factors", n, hkl, inv_d2, form, f_second, rotations, translations, np.int32(len(plan.rotations)),
            self.send("sites", sites, np.float64), np.int32(len(sites)), np.int32(n), out.array,
        )
        return out

    def derivative_rows(self, f_total: Array, heavy: Array, index: Index) -> Array:
        """See :class:`gpurefine.backend.ops_derivative.DerivativeOps`."""
        if not isinstance(f_total, DeviceValues):
            return super().derivative_rows(f_total, heavy, index)
        out = self.lend((3, len(index)), np.complex128)
        self.launch(
            "derivative_rows", len(index), f_total.array, heavy.array, self.unchanged("index", index, np.int32),
            np.int32(len(index)), np.int32(f_total.shape[1]), out.array,
        )
        return out

    def derivative_slopes(self, result: AnomalousResult, index: Index, n: int) -> tuple[Array, Array]:
        """See :class:`gpurefine.backend.ops_derivative.DerivativeOps`."""
        by_rows, known = result.gradient, result.information
        if not isinstance(by_rows, DeviceValues) or not isinstance(known, DeviceValues):
            return super().derivative_slopes(result, index, n)
        out = self.lend((6, n), np.float64)  # complex numbers must lie at multiples of 16 bytes: they come first
        gradient = out.array[:4].reshape(-1).view(np.complex128).reshape(2, n)
        information = out.array[4:]
        self.device.clear(out.array)
        at, m = self.unchanged("index", index, np.int32), len(index)
        rows = self.kept("derivative.rows", lambda: self.fixed(np.array([0, -1, 1, -1, -1, -1]), np.int32))
        for kernel, values, target in (("lay_complex", by_rows, gradient), ("lay_real", known, information)):
            self.launch(kernel, 3 * m, values.array, rows, at, np.int32(m), np.int32(3), np.int32(n), target)
        return out.part(gradient), out.part(information)

    def fit_derivative(self, place: ScalePlace, f_total: Array, heavy: Array) -> F64:
        """See :class:`gpurefine.backend.ops_derivative.DerivativeOps`."""
        if not isinstance(f_total, DeviceValues):
            return super().fit_derivative(place, f_total, heavy)
        m, columns = len(place.index), self.unchanged("derivative.columns", place.columns, np.float64)
        one, products, plain = self.kept("derivative.sums", lambda: _products(place), place)
        size, ratio, medians = (self.buffer(f"derivative.{name}", k, np.float64)
                                for name, k in (("size", m), ("ratio", m), ("medians", 2)))
        self.launch(
            "derivative_ratio", m, f_total.array, heavy.array, self.unchanged("index", place.index, np.int32),
            self.unchanged("derivative.observed", place.observed, np.float64), np.int32(m), size, ratio,
        )
        self.device.launch("median", (1,), (1024,), (size, np.int32(m), medians[:1]))
        self.device.launch("median", (1,), (1024,), (ratio, np.int32(m), medians[1:]))
        weight, pull = self.lend(m, np.float64), self.lend(m, np.float64)
        found, normal = np.zeros(7), np.zeros((7, 7))
        for step in range(ROUNDS):
            self.launch(
                "derivative_pull", m, size, ratio, medians, columns, self._coefficients(found), np.bool_(step == 0),
                np.float64(CLIP), np.int32(m), weight.array, pull.array,
            )
            if step == 0:
                normal[np.triu_indices(7)] = self.group_sums(one, products, weight)[0]
                normal = np.triu(normal) + np.triu(normal, 1).T
            found = solved(normal, self.group_sums(one, plain, pull)[0])
        return found

    def derivative_scale(self, columns: F64, coefficients: F64, near: Array) -> Array:
        """See :class:`gpurefine.backend.ops_derivative.DerivativeOps`."""
        if not isinstance(near, DeviceValues):
            return super().derivative_scale(columns, coefficients, near)
        out = self.lend(len(columns), np.float64)
        self.launch(
            "derivative_scale", len(columns), self.unchanged("derivative.columns", columns, np.float64),
            self._coefficients(coefficients), np.int32(len(columns)), out.array,
        )
        return out

    def _coefficients(self, values: F64) -> DeviceArray:
        return self.send("derivative.coefficients", values, np.float64)


def _products(place: ScalePlace) -> tuple[Groups, F64, F64]:
    """All reflections as one group; products of any two columns (28, m) in the order of an upper triangle, and the
    columns (7, m)."""
    m = len(place.index)
    a, b = np.triu_indices(7)
    columns = np.ascontiguousarray(place.columns.T)
    return Groups.of(np.zeros(m, np.intp), 1, np.arange(m)), columns[a] * columns[b], columns
