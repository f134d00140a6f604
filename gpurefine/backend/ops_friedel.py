"""From the model's rows of structure factors to what Friedel pairs depend on, and back."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from .ops_anomalous import AnomalousResult
from .ops_reflections import Array, Index

F64 = NDArray[np.float64]
Flags = NDArray[np.bool_]


class FriedelOps(Protocol):
    """F″ of a crystal is the sum of rows, each with a multiplier; nothing is known of it where only a mean of the
    mates was measured (``single``, (n,) bool)."""

    def friedel_pair(self, f_total: Array, multiplier: F64, single: Flags, index: Index | None) -> Array:
        """F′ and F″ (2, k) of the reflections ``index`` (k,), None for all, from ``f_total`` (1 + p, n).

        F″ = Σ ``multiplier`` (p,) × row, and 0 where ``single``.
        """
        ...

    def friedel_slopes(
        self, result: AnomalousResult, multiplier: F64, single: Flags, index: Index
    ) -> tuple[Array, Array]:
        """Gradient and information (1 + p, n) by all rows from those (2, k) by F′ and F″ of the reflections ``index``;
        zero elsewhere."""
        ...

    def mean_mate(self, pair: Array) -> Array:
        """(|F′ + iF″| + |F′ − iF″|)/2 (n,) of F′ and F″ (2, n)."""
        ...


class HostFriedel:
    """The definition, in NumPy."""

    def friedel_pair(self, f_total: Array, multiplier: F64, single: Flags, index: Index | None) -> Array:
        """See :class:`FriedelOps`."""
        if index is not None:
            f_total, single = np.take(f_total, index, axis=1), single[index]
        return np.stack([f_total[0], np.where(single, 0.0, np.tensordot(multiplier, f_total[1:], 1))])

    def friedel_slopes(
        self, result: AnomalousResult, multiplier: F64, single: Flags, index: Index
    ) -> tuple[Array, Array]:
        """See :class:`FriedelOps`."""
        size = 1 + len(multiplier), len(single)
        gradient, information = np.zeros(size, np.complex128), np.zeros(size)
        gradient[0, index], information[0, index] = result.gradient[0], result.information[0]
        at = ~single[index]
        gradient[1:, index[at]] = multiplier[:, None] * result.gradient[1, at]
        information[1:, index[at]] = multiplier[:, None] ** 2 * result.information[1, at]
        return gradient, information

    def mean_mate(self, pair: Array) -> Array:
        """See :class:`FriedelOps`."""
        main, anomalous = pair
        return 0.5 * (np.abs(main + 1j * anomalous) + np.abs(main - 1j * anomalous))
