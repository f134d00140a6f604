"""The cuda backend's likelihood of a native with the Friedel pair of a derivative."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..anomalous_cases import siras_by_cases
from ..information import DRAWS_SIRAS
from ..ops_anomalous import AnomalousResult
from .anomalous import AnomalousOps, Result
from .device import DeviceArray
from .values import DeviceValues

KNOWN = 26
"""Numbers that siras_triples leaves of a reflection (Known in kernels/siras.cuh)."""

NOTHING, UNKNOWN = -1, -2
"""Rows of zeros and of NaN (pick in kernels/derivative.cu)."""

Rows = tuple[tuple[int, ...], tuple[int, ...]]


def _rows(first: tuple[int, ...], second: tuple[int, ...] = ()) -> Rows:
    return first, (*second, *(NOTHING for _ in first[len(second) :]))


@dataclass(frozen=True, slots=True)
class _Part:
    """How measurements that are no triple become arguments of the likelihood of a pair, and where its result goes.

    Rows that are picked (and added) of amplitudes with uncertainties (6, n), structure factors (3, n), D (3, n) and Σ
    (4, n); rows that those of the result, ``real`` (−LL, information, slopes, bounds) and ``spectra`` (gradient,
    posterior means), are laid into.
    """

    measured: Rows
    f_calc: Rows
    d: Rows
    s: Rows
    real: Rows
    spectra: Rows


PAIR = _Part(
    _rows((1, 2, 4, 5)), _rows((0, 2), (1,)), _rows((1, 2)), _rows((1, 2)),
    _rows((0, 2, 3, 5, 6, 8, 9, 12, 13, 15, 16), (-1, 1)), _rows((1, 2, 4, 5), (0,)),
)
"""The derivative alone: F′ = F_N + F_H is known, which moves with F_N as with F_H."""

NATIVE = _Part(
    _rows((0, UNKNOWN, 3, NOTHING)), _rows((0, NOTHING)), _rows((0, NOTHING)), _rows((0, NOTHING)),
    _rows((0, 1, -1, 4, -1, 7, -1, 11, -1, 14, -1)), _rows((0, -1, 3, -1)),
)
"""The native alone: a single mate without an anomalous part."""


@dataclass(frozen=True, slots=True, eq=False)
class _Case:
    """Reflections of which the same was measured: ``index`` (m,) of n, ε and centric flags; all on the device."""

    index: DeviceArray
    m: int
    epsilon: DeviceArray
    centric: DeviceArray


class SirasOps(AnomalousOps):
    """One warp a native with a pair."""

    def siras(
        self, f_obs: Any, sigma: Any, f_calc: Any, d: Any, s: Any, epsilon: Any, centric: Any, want_information: bool,
        scale: Any = None,
    ) -> AnomalousResult:
        """See :class:`gpurefine.backend.ops_anomalous.AnomalousOps`."""
        if isinstance(f_calc, DeviceValues):
            return self._resident(f_obs, sigma, f_calc, d, s, epsilon, centric, want_information, scale)

        def joint(*arguments: Any) -> AnomalousResult:
            return self._joint(*arguments).result()

        return siras_by_cases(joint, self.sad, f_obs, sigma, f_calc, d, s, epsilon, centric, want_information, scale)

    def _joint(
        self, f_obs: Any, sigma: Any, f_calc: Any, d: Any, s: Any, epsilon: Any, centric: Any, want_information: bool
    ) -> Result:
        n = f_calc.shape[1]
        draws = DRAWS_SIRAS if want_information else 0
        arguments = (
            self.send("siras.f_obs", f_obs, np.float64), self.send("siras.sigma", sigma, np.float64),
            self.send("siras.f_calc", f_calc, np.complex128), self.send("siras.d", d, np.float64),
            self.send("siras.s", s, np.float64), self.send("siras.epsilon", epsilon, np.float64),
            self.send("siras.centric", centric, np.bool_), np.int32(n), self._errors(n, draws, 4),
            np.int32(draws), self.buffer("siras.known", ((1 + draws) * n, KNOWN), np.float64),
        )
        out = self._result("siras", 3, 3, 7, n, isinstance(f_calc, DeviceValues))
        self.launch_warps("siras_triples", (1 + draws) * n, *arguments, block=32)
        self.launch("siras", n, *arguments, out.real, out.spectra, block=64)
        return out

    def _resident(
        self, f_obs: Any, sigma: Any, f_calc: DeviceValues, d: DeviceValues, s: DeviceValues, epsilon: Any,
        centric: Any, want_information: bool, scale: DeviceValues | None,
    ) -> AnomalousResult:
        n = f_calc.shape[1]
        measured = self.lend((6, n), np.float64)
        self.launch(
            "scaled_mates", n, self.unchanged("siras.f_obs", f_obs, np.float64),
            self.unchanged("siras.sigma", sigma, np.float64), None if scale is None else scale.array, np.int32(n),
            measured.array,
        )
        triples, pairs, natives = self.kept(
            "siras.cases", lambda: self._cases(f_obs, epsilon, centric), f_obs, epsilon, centric
        )
        if triples.m == n:
            return self._joint(
                measured.part(measured.array[:3]), measured.part(measured.array[3:]), f_calc, d, s, triples.epsilon,
                triples.centric, want_information,
            ).result()
        out = self._result("siras.all", 3, 3, 7, n, True)
        self.device.clear(out.real)
        self.device.clear(out.spectra)
        if triples.m:
            three = self._pick(measured, _whole(6), triples)
            three_f, three_d, three_s = (self._pick(x, _whole(x.shape[0]), triples) for x in (f_calc, d, s))
            found = self._joint(
                three.part(three.array[:3]), three.part(three.array[3:]), three_f, three_d, three_s, triples.epsilon,
                triples.centric, want_information,
            )
            self._lay(found.real, _whole(18), triples, out.real)
            self._lay(found.spectra, _whole(6), triples, out.spectra)
        for part, case in ((PAIR, pairs), (NATIVE, natives)):
            if case.m:
                two = self._pick(measured, part.measured, case)
                found = self._sad(
                    two.part(two.array[:2]), two.part(two.array[2:]), self._pick(f_calc, part.f_calc, case),
                    self._pick(d, part.d, case), self._pick(s, part.s, case), case.epsilon, case.centric,
                    want_information,
                )
                self._lay(found.real, part.real, case, out.real)
                self._lay(found.spectra, part.spectra, case, out.spectra)
        return out.result()

    def _cases(self, f_obs: Any, epsilon: Any, centric: Any) -> tuple[_Case, _Case, _Case]:
        """What was measured: native and derivative, derivative alone, native alone."""
        native, derivative = np.isfinite(f_obs[0]), np.isfinite(f_obs[1:]).any(axis=0)

        def case(which: NDArray[np.bool_]) -> _Case:
            index = np.flatnonzero(which)
            return _Case(
                self.fixed(index, np.int32), len(index), self.fixed(epsilon[index], np.float64),
                self.fixed(centric[index], np.bool_),
            )

        return case(native & derivative), case(derivative & ~native), case(native & ~derivative)

    def _row_list(self, rows: Rows) -> DeviceArray:
        return self.kept("siras.rows", lambda: self.fixed(np.array(rows), np.int32), rows)

    def _pick(self, values: DeviceValues, rows: Rows, case: _Case) -> DeviceValues:
        """Those rows of ``values`` (…, n) at the reflections of ``case``."""
        r, real = len(rows[0]), values.dtype != np.complex128
        out = self.lend((r, case.m), values.dtype)
        self.launch(
            "pick_real" if real else "pick_complex", r * case.m, values.array, self._row_list(rows), case.index,
            np.int32(case.m), np.int32(r), np.int32(values.shape[1]), out.array,
        )
        return out

    def _lay(self, values: DeviceArray, rows: Rows, case: _Case, out: DeviceArray) -> None:
        """Write ``values`` (r, m) to those rows of ``out`` (…, n)."""
        r, real = len(rows[0]), np.dtype(values.dtype) != np.complex128
        self.launch(
            "lay_real" if real else "lay_complex", r * case.m, values, self._row_list(rows), case.index,
            np.int32(case.m), np.int32(r), np.int32(out.shape[1]), out,
        )


WHOLE = {n: _rows(tuple(range(n))) for n in (3, 4, 6, 18)}


def _whole(n: int) -> Rows:
    """All of n rows."""
    return WHOLE[n]
