"""The same crystal described on other axes: how the indices of a data file become those of the model."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from fractions import Fraction

import gemmi
import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]

LENGTH_TOLERANCE = 0.03
"""Largest relative difference of cell lengths between model and data."""
ANGLE_TOLERANCE = 3.0
"""Degrees."""

SAME, LOWER, HIGHER = "same", "lower", "higher"
"""Point group (Laue class) and centring of the data file against those of the crystal."""


@dataclass(frozen=True, slots=True, eq=False)
class Setting:
    """A change of axes.

    Attributes:
        matrix: (3, 3) float64 C; the new axes are the old ones times C, so that row indices change by hkl @ C.
        cell: (6,) the data's cell on the new axes.
        relation: SAME, LOWER or HIGHER symmetry of the data than of the model.
        same_group: the operations are those of the model's space group, wherever the origin is.
        mismatch: largest difference of the cells, in units of the tolerances.
    """

    matrix: F64
    cell: F64
    relation: str
    same_group: bool
    mismatch: float

    @property
    def is_identity(self) -> bool:
        """The axes stay as they are."""
        return bool(np.array_equal(self.matrix, np.eye(3)))

    @property
    def name(self) -> str:
        """The new indices in terms of the old ones, such as "k,l,h"."""
        return ",".join(_term(column) for column in self.matrix.T)


def find_settings(
    data_cell: F64, data_group: gemmi.SpaceGroup | None, cell: F64, group: gemmi.SpaceGroup
) -> list[Setting]:
    """Changes of axes that bring a data file onto a model's crystal, the best first; none where there is no way.

    Args:
        data_cell: (6,) Å and degrees; data_group: of the data file, None where unknown.
        cell, group: of the model.
    """
    as_given = Setting(np.eye(3), data_cell, SAME, True, _mismatch(data_cell, cell))
    same_group = data_group is None or data_group.operations() == group.operations()
    if as_given.mismatch <= 1.0 and same_group:
        return [as_given]
    found = []
    laue, full = _rotations(group), _intrinsic(group, group)
    source = data_group if data_group is not None else group
    if as_given.mismatch <= 1.0 and source.centring_type() == "P" != group.centring_type():
        # a header that has lost its space group (P 1, P 2 2 2): the reflections will tell
        relation = _relation(_rotations(source), laue)
        if relation in (SAME, LOWER):
            return [Setting(np.eye(3), data_cell, LOWER, False, as_given.mismatch)]
    for matrix in _changes(data_cell, source, cell, group):
        new = _cell_of(_metric(data_cell), matrix)
        mismatch = _mismatch(new, cell)
        if mismatch > 1.0:
            continue
        relation = _relation(_rotations(source, matrix), laue)
        if relation is not None:
            found.append(Setting(matrix, new, relation, _intrinsic(source, group, matrix) == full, mismatch))
    rank = {SAME: 0, LOWER: 1, HIGHER: 2}
    found.sort(
        key=lambda s: (rank[s.relation], not s.same_group, round(s.mismatch, 2), not s.is_identity, _oddness(s.matrix))
    )
    given = [s for s in found if s.is_identity and s.relation == SAME]
    if given and (given[0].same_group or not (found[0].same_group and found[0].mismatch <= given[0].mismatch + 0.005)):
        return [given[0], *(s for s in found if not s.is_identity)]
    return found


def other_indexing(settings: list[Setting], group: gemmi.SpaceGroup) -> Setting | None:
    """Another setting that fits the first one's cell as well and is not equivalent by symmetry, or None."""
    best, rotations = settings[0], _rotations(group)
    for other in settings[1:]:
        alike = (other.relation, other.same_group) == (best.relation, best.same_group)
        if alike and other.mismatch <= best.mismatch + 0.05:
            change = _whole(np.linalg.inv(best.matrix) @ other.matrix)
            if change is not None and change not in rotations:
                return other
    return None


def reindexed(hkl: NDArray[np.int32], setting: Setting) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    """New indices (n, 3) of ``hkl`` (n, 3), and (n,) bool: they are whole numbers (else the centring forbids them)."""
    if setting.is_identity:
        return hkl, np.ones(len(hkl), dtype=bool)
    product = hkl @ setting.matrix
    rounded = np.rint(product)
    return rounded.astype(np.int32), np.asarray((np.abs(product - rounded) < 0.01).all(axis=1))


def _mismatch(first: F64, second: F64) -> float:
    lengths = np.abs(first[:3] - second[:3]) / second[:3] / LENGTH_TOLERANCE
    angles = np.abs(first[3:] - second[3:]) / ANGLE_TOLERANCE
    return float(max(lengths.max(), angles.max()))


def _metric(cell: F64) -> F64:
    """Metric tensor (3, 3) in Å²."""
    cosines = np.cos(np.radians(cell[3:]))
    full = np.array([[1.0, cosines[2], cosines[1]], [cosines[2], 1.0, cosines[0]], [cosines[1], cosines[0], 1.0]])
    return np.asarray(full * np.outer(cell[:3], cell[:3]))


def _cell_of(metric: F64, matrix: F64) -> F64:
    """Cell (6,) of the axes that ``matrix`` makes of those with ``metric``."""
    g = matrix.T @ metric @ matrix
    lengths = np.sqrt(np.diag(g))
    cosines = [g[i, j] / (lengths[i] * lengths[j]) for i, j in ((1, 2), (0, 2), (0, 1))]
    return np.concatenate([lengths, np.degrees(np.arccos(np.clip(cosines, -1.0, 1.0)))])


def _changes(
    data_cell: F64, data_group: gemmi.SpaceGroup, cell: F64, group: gemmi.SpaceGroup
) -> list[F64]:
    """Every change of axes between two lattices with nearly the same reduced cells."""
    source, target = _reduced_basis(data_cell, data_group), _reduced_basis(cell, group)
    if source is None or target is None:
        return []
    goal = target.T @ _metric(cell) @ target
    volume = np.sqrt(np.linalg.det(goal))
    own = source.T @ _metric(data_cell) @ source
    if not abs(np.sqrt(np.linalg.det(own)) / volume - 1.0) <= 0.15:
        return []
    unimodular = _unimodular()
    metrics = np.einsum("nji,jk,nkl->nil", unimodular, own, unimodular)
    scale = np.sqrt(np.diag(goal))
    close = (np.abs(metrics - goal) <= 0.12 * np.outer(scale, scale)).all(axis=(1, 2))
    back = np.linalg.inv(target)
    matrices = [np.round((source @ u @ back) * gemmi.Op.DEN) / gemmi.Op.DEN for u in unimodular[close]]
    return [m for m in matrices if abs(np.linalg.det(m)) > 1e-6]


_UNIMODULAR: list[F64] = []


def _unimodular() -> F64:
    """(n, 3, 3): all matrices of −1, 0, 1 with determinant 1; reduced bases of one lattice differ by one of them."""
    if not _UNIMODULAR:
        everything = np.array(list(itertools.product((-1.0, 0.0, 1.0), repeat=9))).reshape(-1, 3, 3)
        _UNIMODULAR.append(everything[np.abs(np.linalg.det(everything) - 1.0) < 0.5])
    return _UNIMODULAR[0]


def _reduced_basis(cell: F64, group: gemmi.SpaceGroup) -> F64 | None:
    """(3, 3): columns are the three shortest lattice vectors that span the lattice, in fractions of the cell."""
    steps = np.array(list(itertools.product(range(-3, 4), repeat=3)), dtype=np.float64)
    centrings = np.array(list(group.operations().cen_ops), dtype=np.float64) / gemmi.Op.DEN
    vectors = (steps[:, None, :] + centrings[None]).reshape(-1, 3)
    squares = np.einsum("ni,ij,nj->n", vectors, _metric(cell), vectors)
    vectors = vectors[np.lexsort((*vectors.T, np.round(squares, 6)))]
    chosen: list[F64] = []
    for vector in vectors:
        trial = np.array([*chosen, vector])
        if np.linalg.matrix_rank(trial, tol=1e-6) == len(trial):
            chosen.append(vector)
        if len(chosen) == 3:
            break
    basis = np.array(chosen).T
    if abs(abs(np.linalg.det(basis)) * len(centrings) - 1.0) > 1e-6:
        return None
    return basis if np.linalg.det(basis) > 0.0 else -basis


Rotation = tuple[int, ...]


def _whole(matrix: F64) -> Rotation | None:
    rounded = np.rint(matrix)
    return tuple(int(x) for x in rounded.ravel()) if np.abs(matrix - rounded).max() < 0.01 else None


def _rotations(group: gemmi.SpaceGroup, matrix: F64 | None = None) -> frozenset[Rotation | None]:
    """Rotations of the Laue class on the new axes; None stands for one that is no symmetry of the new lattice."""
    change = np.eye(3) if matrix is None else matrix
    back = np.linalg.inv(change)
    rotations = [np.array(op.rot) / gemmi.Op.DEN for op in group.operations().sym_ops]
    return frozenset(_whole(sign * (back @ r @ change)) for r in rotations for sign in (1, -1))


def _intrinsic(group: gemmi.SpaceGroup, target: gemmi.SpaceGroup, matrix: F64 | None = None) -> frozenset[bytes]:
    """Rotations with their screw or glide translations in 1/24 on the new axes, the lattice being that of ``target``.

    (1/n) Σ Rᵏ t of an operation of order n does not depend on the origin; every lattice translation is added to t.
    """
    change = np.eye(3) if matrix is None else matrix
    back = np.linalg.inv(change)
    centrings = np.array(list(target.operations().cen_ops), dtype=np.float64) / gemmi.Op.DEN
    corners = np.array(list(itertools.product((0.0, 1.0), repeat=3)))
    lattice = (corners[:, None, :] + centrings[None]).reshape(-1, 3)
    found: set[bytes] = set()
    for op in group.operations().sym_ops:
        rotation = back @ (np.array(op.rot) / gemmi.Op.DEN) @ change
        translation = back @ (np.array(op.tran) / gemmi.Op.DEN)
        power, total, order = rotation, np.eye(3), 1
        while not np.allclose(power, np.eye(3), atol=1e-6):
            total, power, order = total + power, power @ rotation, order + 1
        screws = (translation + lattice) @ total.T / order
        places = np.mod(np.rint(screws * gemmi.Op.DEN), gemmi.Op.DEN).astype(np.int16)
        head = np.rint(rotation * gemmi.Op.DEN).astype(np.int16).tobytes()
        found.update(head + place.tobytes() for place in places)
    return frozenset(found)


def _relation(data: frozenset[Rotation | None], model: frozenset[Rotation | None]) -> str | None:
    if None in data:
        return None
    if data == model:
        return SAME
    return LOWER if data < model else HIGHER if data > model else None


def _oddness(matrix: F64) -> tuple[float, ...]:
    """Sorts plain changes of axes before complicated ones: few entries, then few minus signs, then large indices."""
    return (float((matrix != 0).sum()), float((matrix < 0).sum()), *(-matrix.ravel()))


def _term(column: F64) -> str:
    """One new index as a sum of old ones."""
    text = ""
    for value, letter in zip(column, "hkl", strict=True):
        part = Fraction(float(value)).limit_denominator(gemmi.Op.DEN)
        if part:
            size = "" if abs(part) == 1 else f"{abs(part)}*"
            text += ("-" if part < 0 else "+" if text else "") + size + letter
    return text or "0"
