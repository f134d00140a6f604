"""One crystal from two files: the cell of the data, and the space group of the model where both can be true."""

from __future__ import annotations

import gemmi
import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..model.crystal import Crystal
from .symmetry import crystal_from_gemmi, gemmi_group

LENGTH_TOLERANCE = 0.03
"""Largest relative difference of cell lengths between model and data."""
ANGLE_TOLERANCE = 3.0
"""Degrees."""
SYMMETRY_TOLERANCE = 0.02
"""Relative deviation of a cell from the symmetry of its space group that is still put down to its measurement."""


def choose_crystal(
    data_cell: gemmi.UnitCell,
    data_group: gemmi.SpaceGroup | None,
    data_name: str,
    model: Crystal | None,
    model_name: str,
) -> tuple[Crystal, list[str]]:
    """Crystal to refine in, and what is to be told about it.

    Args:
        data_cell: cell of the data set; data_group: space group in the data file, None where it has none.
        model: crystal of the model, None where its file has no cell or no space group.
        data_name, model_name: files named in messages.

    Raises:
        InputError: cells or symmetries of model and data contradict each other, or neither file has them.
    """
    messages: list[str] = []
    cell = data_cell
    if not cell.is_crystal():
        if model is None:
            raise InputError(f"Neither {data_name} nor {model_name} has a unit cell; add it to one of them.")
        cell = gemmi.UnitCell(*model.cell)
        messages.append(f"{data_name} has no unit cell; that of {model_name} is used.")
    if model is not None:
        messages += _compare_cells(np.array(cell.parameters), data_name, model.cell, model_name)
    group, told = _choose_group(data_group, data_name, model, model_name)
    messages += told
    if not cell.is_compatible_with_spacegroup(group, SYMMETRY_TOLERANCE):
        raise InputError(
            f"The cell of {data_name} ({_words(cell.parameters)}) is impossible in space group "
            f"{group.xhm()}; correct one of them."
        )
    return crystal_from_gemmi(cell, group), messages


def cells_agree(first: NDArray[np.float64], second: NDArray[np.float64]) -> bool:
    """Lengths (3) within 3 % and angles (3) within 3°."""
    lengths = np.abs(first[:3] - second[:3]) / second[:3]
    angles = np.abs(first[3:] - second[3:])
    return bool((lengths <= LENGTH_TOLERANCE).all() and (angles <= ANGLE_TOLERANCE).all())


def _compare_cells(
    data: NDArray[np.float64], data_name: str, model: NDArray[np.float64], model_name: str
) -> list[str]:
    if not cells_agree(data, model):
        raise InputError(
            f"The cell of {data_name} ({_words(data)}) and that of {model_name} ({_words(model)}) differ by more than "
            "3 % in a length or 3° in an angle; they are different crystal forms, so place the model in the data's "
            "cell first."
        )
    if np.allclose(data, model, rtol=0.0, atol=0.0051):
        return []
    return [f"The cell of {data_name} ({_words(data)}) replaces that of {model_name} ({_words(model)})."]


def _choose_group(
    data: gemmi.SpaceGroup | None, data_name: str, model: Crystal | None, model_name: str
) -> tuple[gemmi.SpaceGroup, list[str]]:
    if model is None:
        if data is None:
            raise InputError(f"Neither {data_name} nor {model_name} has a space group; add it to one of them.")
        return data, [f"{model_name} has no unit cell or space group; those of {data_name} ({data.xhm()}) are used."]
    group = gemmi_group(model)
    if data is None:
        return group, [f"{data_name} has no space group; that of {model_name} ({group.xhm()}) is used."]
    if data.operations() == group.operations():
        return group, []
    if _lattice_symmetry(data) != _lattice_symmetry(group):
        raise InputError(
            f"The space group of {data_name} ({data.xhm()}) and that of {model_name} ({group.xhm()}) do not have the "
            "same point group and lattice; reindex or merge the data again, or correct the model."
        )
    return group, [f"Space group {group.xhm()} of {model_name} is used; {data_name} has {data.xhm()}."]


def _lattice_symmetry(group: gemmi.SpaceGroup) -> tuple[frozenset[tuple[int, ...]], frozenset[tuple[int, ...]]]:
    """Rotations with their inverses through the origin (the Laue class), and centring vectors."""
    operations = group.operations()
    rotations = np.array([op.rot for op in operations.sym_ops]).reshape(-1, 9) // gemmi.Op.DEN
    laue = frozenset(tuple(int(x) for x in sign * row) for row in rotations for sign in (1, -1))
    return laue, frozenset(tuple(int(x) for x in vector) for vector in operations.cen_ops)


def _words(cell: NDArray[np.float64] | tuple[float, ...]) -> str:
    return " ".join(f"{x:.2f}" for x in cell)
