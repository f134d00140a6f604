"""Lists that lie on the device, copied to the host where their arrays are read there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..blocks import BlockPattern
from ..ops_pairs import SimilarPairs
from ..ops_restraints import Repulsions, SymmetryArrays
from .device import Device, DeviceArray
from .values import DeviceValues

F64 = NDArray[np.float64]
I32 = NDArray[np.int32]


@dataclass(frozen=True, slots=True, eq=False)
class MatrixRows:
    """Rows of a :class:`BlockPattern` on the device; ``entry`` is 2 slot + (1 if transposed).

    An entry is also the number of an atom of a pair: 2 k for the first atom of pair k, 2 k + 1 for the second.
    """

    row_start: DeviceArray
    column: DeviceArray
    entry: DeviceArray


@dataclass(frozen=True, slots=True, eq=False)
class DevicePairs:
    """:class:`Repulsions` on the device, as kernels/repulsion.cu takes them; ``kind`` is None for lists of the host."""

    atoms: DeviceArray
    op: DeviceArray
    shift: DeviceArray
    limits: DeviceArray
    symmetry: DeviceArray
    kind: DeviceArray | None = None


class _OnDevice:
    """A field that is copied to the host when it is first read."""

    def __init__(self, load: Callable[[Any], NDArray[Any]]) -> None:
        self._load = load

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        value = instance.__dict__[self._name] = self._load(instance)
        return value


def _field(load: Callable[[Any], NDArray[Any]]) -> Any:
    """What :class:`_OnDevice` makes of the field it is assigned to."""
    return _OnDevice(load)


def _part(name: str) -> Any:
    """The field that is the array ``name`` of ``there``."""
    return _field(lambda whole: whole.download(getattr(whole.there, name)))


class DevicePattern(BlockPattern):
    """A pattern of ``count`` blocks whose rows were made on the device."""

    rows: MatrixRows
    count: int

    def __init__(self, n: int, count: int, device: Device, memory: DeviceValues, capacity: int) -> None:
        """``memory`` (n + 1 + 4 ``capacity``,) int32 holds row_start, column and entry, the last two with room for
        ``capacity`` blocks."""
        object.__setattr__(self, "n", n)
        self.__dict__.update(count=count, device=device, memory=memory, rows=pattern_rows(memory.array, n, capacity))

    def __len__(self) -> int:
        return self.count

    def _entries(self, name: str) -> I32:
        return self.__dict__["device"].download(getattr(self.rows, name)[: 2 * self.count])  # type: ignore[no-any-return]

    def _pairs(self) -> I32:
        direct = ~self.transposed
        rows = np.repeat(np.arange(self.n, dtype=np.int32), np.diff(self.row_start))
        made = np.empty((self.count, 2), np.int32)
        made[self.slot[direct]] = np.stack([rows[direct], self.column[direct]], axis=1)
        return made

    row_start = _field(lambda self: self.device.download(self.rows.row_start))
    column = _field(lambda self: self._entries("column"))
    _entry = _field(lambda self: self._entries("entry"))
    slot = _field(lambda self: self._entry >> 1)
    transposed = _field(lambda self: (self._entry & 1).astype(bool))
    pairs = _field(lambda self: self._pairs())


def pattern_rows(memory: DeviceArray, n: int, capacity: int) -> MatrixRows:
    """The parts of what a :class:`DevicePattern` lies in."""
    return MatrixRows(memory[: n + 1], memory[n + 1 : n + 1 + 2 * capacity], memory[n + 1 + 2 * capacity :])


class DeviceRepulsions(Repulsions):
    """The pairs that ``there`` holds, in ``memory`` lent for them."""

    there: DevicePairs
    count: int
    download: Callable[[DeviceArray], NDArray[Any]]

    def __init__(
        self, count: int, there: DevicePairs, symmetry: SymmetryArrays, device: Device, *memory: DeviceValues
    ) -> None:
        """``count`` pairs under the operations of ``symmetry``."""
        object.__setattr__(self, "symmetry", symmetry)
        self.__dict__.update(count=count, there=there, download=device.download, memory=memory)

    def __len__(self) -> int:
        return self.count

    _atoms, _limits, op, shift = _part("atoms"), _part("limits"), _part("op"), _part("shift")
    first = _field(lambda self: np.ascontiguousarray(self._atoms[:, 0]))
    second = _field(lambda self: np.ascontiguousarray(self._atoms[:, 1]))
    critical = _field(lambda self: np.ascontiguousarray(self._limits[:, 0]))
    sigma = _field(lambda self: np.ascontiguousarray(self._limits[:, 1]))


@dataclass(frozen=True, slots=True, eq=False)
class DeviceSimilarity:
    """:class:`SimilarPairs` on the device; ``by_atom`` has 2 k + (1 if second) of the pairs k of every atom."""

    first: DeviceArray
    second: DeviceArray
    relation: DeviceArray
    op: DeviceArray
    distance: DeviceArray
    line: DeviceArray
    unit: DeviceArray
    weight: DeviceArray
    by_atom: MatrixRows


class DeviceSimilarPairs(SimilarPairs):
    """The pairs that ``there`` holds, in ``memory`` lent for them, and their ``pattern``."""

    there: DeviceSimilarity
    count: int
    download: Callable[[DeviceArray], NDArray[Any]]

    def __init__(
        self, count: int, there: DeviceSimilarity, pattern: BlockPattern, device: Device, *memory: DeviceValues
    ) -> None:
        """``count`` pairs."""
        object.__setattr__(self, "pattern", pattern)
        self.__dict__.update(count=count, there=there, download=device.download, memory=memory)

    def __len__(self) -> int:
        return self.count

    first, second, relation, op = _part("first"), _part("second"), _part("relation"), _part("op")
    distance, line, weight = _part("distance"), _part("line"), _part("weight")
