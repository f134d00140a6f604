"""What happens to structure factors between their transform and the likelihood, and back: elementwise and in sums.

Between two operations arrays over reflections stay where the backend works: ``Array`` is a NumPy array, or what the
backend keeps on its device, of which ``np.asarray`` makes a copy on the host.  Results lie where the structure factors
(or the weights) lie that they are made of.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
Index = NDArray[np.intp]
Array = Any


@dataclass(frozen=True, slots=True, eq=False)
class ScaleCurve:
    """A scale on a list of reflections (n,): parameters as in :class:`gpurefine.forward.scaling.Scale`.

    ``s`` (n,) 1/d in 1/Å; ``columns`` (n, m) −2π² sᵀE s of each invariant tensor; ``k_sol`` 0 and no ``mask_knots``
    without a mask; ``babinet_k`` 0 without Babinet's principle.
    """

    s: F64
    columns: F64
    log_k: float
    b_overall: float
    tensor: F64
    k_sol: float
    b_sol: float
    mask_knots: F64 | None
    iso_knots: F64 | None
    babinet_k: float
    babinet_b: float


@dataclass(frozen=True, slots=True, eq=False)
class ScaleFactors:
    """What a scale is for every reflection (n,), real: ``factor`` ∂F_total/∂F_protein, ``k_mask``, and if asked for
    the parts ``k_aniso`` and ``k_iso`` of the factor."""

    factor: Array
    k_mask: Array
    k_aniso: Array = None
    k_iso: Array = None


@dataclass(frozen=True, slots=True, eq=False)
class Groups:
    """Groups of reflections.

    ``among`` (m,) of all reflections, each in the group ``label`` (m,) below ``n``; in the order of the groups they are
    ``order`` (m,), of group g ``order[start[g]:start[g + 1]]``, ascending where ``among`` is.
    """

    among: Index
    label: Index
    n: int
    order: Index
    start: Index

    @staticmethod
    def of(label: Index, n: int, among: Index) -> Groups:
        """Plan the groups."""
        start = np.concatenate([[0], np.cumsum(np.bincount(label, minlength=n))])
        return Groups(among, label, n, among[np.argsort(label, kind="stable")], start)


@dataclass(frozen=True, slots=True, eq=False)
class PairSums:
    """One call of :meth:`ReflectionOps.pair_sums`."""

    groups: Groups
    x: F64
    values: Array
    divisor: Array | None
    square: bool


class Hats(Protocol):
    """Interpolation of some reflections (k,) from knots (m,): :class:`gpurefine.target.shells.Hats`."""

    @property
    def left(self) -> Index: ...  # noqa: D102

    @property
    def weight(self) -> F64: ...  # noqa: D102

    @property
    def n(self) -> int: ...  # noqa: D102

    def value(self, y: F64) -> F64: ...  # noqa: D102

    def gradient(self, g: F64) -> F64: ...  # noqa: D102

    def information(self, w: F64) -> F64: ...  # noqa: D102


class ReflectionOps(Protocol):
    """Operations on arrays over reflections."""

    def keep(self, values: NDArray[Any]) -> Array:
        """``values`` where the backend works; they must not be written to any more."""
        ...

    def stack(self, rows: Sequence[Array]) -> Array:
        """(n_row, n) of rows (n,)."""
        ...

    def take(self, values: Array, index: Index) -> Array:
        """``values`` (…, n) at ``index`` (k,)."""
        ...

    def put(self, values: Array, index: Index, n: int) -> Array:
        """(…, n) with ``values`` (…, k) at ``index`` (k,) and zeros elsewhere."""
        ...

    def product(self, values: Array, factor: Array, power: int) -> Array:
        """``values`` × ``factor`` to the ``power`` 1 or 2, (n,); the factor is real."""
        ...

    def magnitude(self, values: Array) -> Array:
        """Absolute values (n,) of complex numbers."""
        ...

    def total(self, values: Array) -> float:
        """Sum of real numbers."""
        ...

    def scale_factors(self, curve: ScaleCurve, near: Array, parts: bool) -> ScaleFactors:
        """A scale on every reflection, where ``near`` lies; ``parts``: with the parts of the factor."""
        ...

    def solvent_columns(self, s: F64, near: Array, k: float, b: float, babinet: bool) -> Array:
        """Derivatives (n, 2) by k and B of k exp(−B s²/4), or of ln(1 − k exp(−B s²/4)) with ``babinet``.

        ``s`` (n,) Å⁻¹; the columns lie where ``near`` does.
        """
        ...

    def row_slopes(
        self, f: Array, gradient: Array, information: Array, rows: Index, index: Index
    ) -> tuple[F64, F64]:
        """Σ Re(F* dL/dF) (p,) of the ``rows`` (p,) of F (n_model, n), and their information (p, p), over ``index``.

        The derivative is by ln of what a row is multiplied by.  Information is half of what it is along F, whose
        direction is anything; rows share it.  ``gradient`` and ``information`` (n_model, n) are those of F.
        """
        ...

    def solvent_slopes(
        self, curve: ScaleCurve, factor: Array, f_mask: Array, f_total: Array, gradient: Array, information: Array,
        index: Index,
    ) -> tuple[F64, F64]:
        """Derivatives (p,) by the values of k_mask at the curve's knots, or by k_sol and B_sol, and information (p, p).

        Σ Re((k F_mask ∂k_mask/∂x)* dL/dF) over ``index``; information is that along F_total (n_model, n), of whose
        amplitude the likelihood knows.  Of what has rows the first counts.
        """
        ...

    def scaled_total(self, f_calc: Array, factor: Array, k_mask: Array, f_mask: Array | None) -> Array:
        """F_total (n_model, n) = factor (F + k_mask F_mask), the mask in the first row only."""
        ...

    def error_values(self, inv_d2: F64, knots: F64, d: F64, log_s: F64, k_aniso: Array) -> tuple[Array, Array]:
        """D and k_aniso² Σ_mod (n,) at reflections of 1/d² ``inv_d2`` from D and ln Σ_mod (m,) at ``knots``."""
        ...

    def hat_values(self, hats: Hats, d: F64, log_s: F64, k_aniso: Array) -> tuple[Array, Array]:
        """The same for the reflections (k,) of ``hats``, whose anisotropic factors are ``k_aniso`` (k,)."""
        ...

    def hat_sums(self, hats: Hats, slope: Array, information: Array) -> tuple[F64, F64]:
        """Derivatives by knot values (m,) from those of the reflections (k,), and the information as bands (3, m)."""
        ...

    def group_sums(self, groups: Groups, columns: F64, weight: Array) -> F64:
        """Σ weight × column (groups, n_column) over the reflections of each group, of columns (n_column, n)."""
        ...

    def pair_sums(self, groups: Groups, x: F64, values: Array, divisor: Array | None, square: bool) -> F64:
        """(groups, 6): Σx, Σy, Σ|x − y|, and with the group's means taken off Σxx, Σyy, Σxy.

        y is ``values`` (n,), divided by ``divisor`` if there is one, and squared if so asked.
        """
        ...

    def all_pair_sums(self, calls: Sequence[PairSums]) -> list[F64]:
        """:meth:`pair_sums` of several, which come to the host together."""
        ...


class HostReflections:
    """The definition, in NumPy."""

    def keep(self, values: NDArray[Any]) -> Array:
        """See :class:`ReflectionOps`."""
        return values

    def stack(self, rows: Sequence[Array]) -> Array:
        """See :class:`ReflectionOps`."""
        return np.stack(rows)

    def take(self, values: Array, index: Index) -> Array:
        """See :class:`ReflectionOps`."""
        return np.take(values, index, axis=-1)

    def put(self, values: Array, index: Index, n: int) -> Array:
        """See :class:`ReflectionOps`."""
        out = np.zeros((*values.shape[:-1], n), values.dtype)
        out[..., index] = values
        return out

    def product(self, values: Array, factor: Array, power: int) -> Array:
        """See :class:`ReflectionOps`."""
        return values * (factor if power == 1 else factor**2)

    def magnitude(self, values: Array) -> Array:
        """See :class:`ReflectionOps`."""
        return np.abs(values)

    def total(self, values: Array) -> float:
        """See :class:`ReflectionOps`."""
        return float(values.sum())

    def scale_factors(self, curve: ScaleCurve, near: Array, parts: bool) -> ScaleFactors:
        """See :class:`ReflectionOps`."""
        s, s2 = curve.s, curve.s**2
        if curve.mask_knots is not None:
            k_mask = np.interp(s, *curve.mask_knots)
        elif curve.k_sol != 0.0:
            k_mask = curve.k_sol * np.exp(-0.25 * curve.b_sol * s2)
        else:
            k_mask = np.zeros(len(s))
        log_iso = np.zeros(len(s)) if curve.iso_knots is None else np.interp(s, *curve.iso_knots)
        log_aniso = curve.columns @ curve.tensor
        factor = np.exp(curve.log_k - 0.25 * curve.b_overall * s2 + log_aniso + log_iso)
        if curve.babinet_k != 0.0:
            factor = factor * (1.0 - curve.babinet_k * np.exp(-0.25 * curve.babinet_b * s2))
        if not parts:
            return ScaleFactors(factor, k_mask)
        return ScaleFactors(factor, k_mask, np.exp(log_aniso), np.exp(log_iso))

    def solvent_columns(self, s: F64, near: Array, k: float, b: float, babinet: bool) -> Array:
        """See :class:`ReflectionOps`."""
        s2 = s**2
        decay = np.exp(-0.25 * b * s2)
        if babinet:
            decay = -decay / (1.0 - k * decay)
        return np.stack([decay, -0.25 * s2 * k * decay], axis=1)

    def row_slopes(
        self, f: Array, gradient: Array, information: Array, rows: Index, index: Index
    ) -> tuple[F64, F64]:
        """See :class:`ReflectionOps`."""
        at = rows[:, None], index[None]
        parts = np.asarray(f)[at]
        slope = (parts.conj() * np.asarray(gradient)[at]).real.sum(axis=1)
        weighted = parts * np.sqrt(np.asarray(information)[at])
        return slope, 0.5 * (weighted.conj() @ weighted.T).real

    def solvent_slopes(
        self, curve: ScaleCurve, factor: Array, f_mask: Array, f_total: Array, gradient: Array, information: Array,
        index: Index,
    ) -> tuple[F64, F64]:
        """See :class:`ReflectionOps`."""
        s = curve.s[index]
        if curve.mask_knots is None:
            by_x = HostReflections.solvent_columns(self, s, s, curve.k_sol, curve.b_sol, False).T
        else:
            by_x = np.stack([np.interp(s, curve.mask_knots[0], one) for one in np.eye(curve.mask_knots.shape[1])])
        along = np.asarray(factor)[index] * np.asarray(f_mask)[index]
        f = np.asarray(f_total)[0, index]
        slope = by_x @ (along.conj() * np.asarray(gradient)[0, index]).real
        radial = (along.conj() * f).real / np.maximum(np.abs(f), 1e-300)
        return slope, (by_x * (radial**2 * np.asarray(information)[0, index])) @ by_x.T

    def scaled_total(self, f_calc: Array, factor: Array, k_mask: Array, f_mask: Array | None) -> Array:
        """See :class:`ReflectionOps`."""
        inner = f_calc
        if f_mask is not None:
            inner = f_calc.copy()
            inner[0] += k_mask * f_mask
        return factor * inner

    def error_values(self, inv_d2: F64, knots: F64, d: F64, log_s: F64, k_aniso: Array) -> tuple[Array, Array]:
        """See :class:`ReflectionOps`."""
        return np.interp(inv_d2, knots, d), np.exp(np.interp(inv_d2, knots, log_s)) * k_aniso**2

    def hat_values(self, hats: Hats, d: F64, log_s: F64, k_aniso: Array) -> tuple[Array, Array]:
        """See :class:`ReflectionOps`."""
        return hats.value(d), np.exp(hats.value(log_s)) * k_aniso**2

    def hat_sums(self, hats: Hats, slope: Array, information: Array) -> tuple[F64, F64]:
        """See :class:`ReflectionOps`."""
        return hats.gradient(slope), hats.information(information)

    def group_sums(self, groups: Groups, columns: F64, weight: Array) -> F64:
        """See :class:`ReflectionOps`."""
        inside = weight[groups.among] if len(groups.among) < len(weight) else weight
        if inside is not weight:
            columns = columns[:, groups.among]
        return np.stack([np.bincount(groups.label, inside * column, groups.n) for column in columns], axis=1)

    def pair_sums(self, groups: Groups, x: F64, values: Array, divisor: Array | None, square: bool) -> F64:
        """See :class:`ReflectionOps`."""
        label, n = groups.label, groups.n

        def sums(of: F64) -> F64:
            return np.asarray(np.bincount(label, of, n), np.float64)

        x, y = x[groups.among], values[groups.among]
        if divisor is not None:
            y = y / divisor[groups.among]
        if square:
            y = y**2
        count, first, second = np.maximum(np.bincount(label, minlength=n), 1), sums(x), sums(y)
        a, b = x - (first / count)[label], y - (second / count)[label]
        return np.stack([first, second, sums(np.abs(x - y)), sums(a * a), sums(b * b), sums(a * b)], axis=1)

    def all_pair_sums(self, calls: Sequence[PairSums]) -> list[F64]:
        """See :class:`ReflectionOps`."""
        return [self.pair_sums(c.groups, c.x, c.values, c.divisor, c.square) for c in calls]
