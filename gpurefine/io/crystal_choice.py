"""One crystal from two files: the cell of the data, and the space group of the model where both can be true."""

from __future__ import annotations

from dataclasses import dataclass

import gemmi
import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..model.crystal import Crystal
from .settings import HIGHER, LOWER, SAME, Setting, find_settings, other_indexing
from .symmetry import crystal_from_gemmi, gemmi_group

SYMMETRY_TOLERANCE = 0.02
"""Relative deviation of a cell from the symmetry of its space group that is still put down to its measurement."""
LONGEST_EDGE = 20_000.0
"""Å: no crystal has a longer cell edge."""

F64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class CrystalChoice:
    """The crystal to refine in, and how a file's reflections come to it.

    Attributes:
        crystal: cell of the data and space group of the model.
        setting: change of axes from the file to the crystal, with the relation of their symmetries.
        file_group: space group of the data file, None where it has none.
        messages: what the user is to be told, one sentence each.
    """

    crystal: Crystal
    setting: Setting
    file_group: gemmi.SpaceGroup | None
    messages: tuple[str, ...]


def choose_crystal(
    data_cell: gemmi.UnitCell,
    data_group: gemmi.SpaceGroup | None,
    data_name: str,
    model: Crystal | None,
    model_name: str,
) -> CrystalChoice:
    """Crystal to refine in, and what is to be told about it.

    Args:
        data_cell: cell of the data set; data_group: space group in the data file, None where it has none.
        model: crystal of the model, None where its file has no cell or no space group.
        data_name, model_name: files named in messages.

    Raises:
        InputError: cells or symmetries of model and data contradict each other, or neither file has them.
    """
    messages: list[str] = []
    _check_cell(data_cell, data_name)
    cell = np.array(data_cell.parameters)
    if not data_cell.is_crystal():
        if model is None:
            raise InputError(f"Neither {data_name} nor {model_name} has a unit cell; add it to one of them.")
        cell = np.array(model.cell)
        messages.append(f"{data_name} has no unit cell; that of {model_name} is used.")
    data_group = _rhombohedral(cell, data_group)
    if model is None:
        if data_group is None:
            raise InputError(f"Neither {data_name} nor {model_name} has a space group; add it to one of them.")
        group, setting = data_group, Setting(np.eye(3), cell, SAME, True, 0.0)
        messages.append(
            f"{model_name} has no unit cell or space group; those of {data_name} ({group.xhm()}) are used."
        )
    else:
        group = gemmi_group(model)
        setting, told = _bring_together(cell, data_group, data_name, model, group, model_name)
        messages += told
    final = gemmi.UnitCell(*np.round(setting.cell, 4))
    if not final.is_compatible_with_spacegroup(group, SYMMETRY_TOLERANCE):
        raise InputError(
            f"The cell of {data_name} ({_words(setting.cell)}) is impossible in space group "
            f"{group.xhm()}; correct one of them."
        )
    return CrystalChoice(crystal_from_gemmi(final, group), setting, data_group, tuple(messages))


def setting_for(mtz: gemmi.Mtz, crystal: Crystal) -> Setting | None:
    """The change of axes from another reflection file to ``crystal``, None where it is another crystal."""
    if not mtz.cell.is_crystal():
        return Setting(np.eye(3), crystal.cell, SAME, True, 0.0)
    cell = np.array(mtz.cell.parameters)
    found = find_settings(cell, _rhombohedral(cell, mtz.spacegroup), crystal.cell, gemmi_group(crystal))
    return found[0] if found else None


def _bring_together(
    cell: F64,
    data_group: gemmi.SpaceGroup | None,
    data_name: str,
    model: Crystal,
    group: gemmi.SpaceGroup,
    model_name: str,
) -> tuple[Setting, list[str]]:
    """The change of axes from data to model, and what is to be told of cells, space groups and indices."""
    settings = find_settings(cell, data_group, model.cell, group)
    cells_differ = not _cells_agree(cell, model.cell)
    if not settings and (cells_differ or data_group is None):
        raise InputError(
            f"The cell of {data_name} ({_words(cell)}) and that of {model_name} ({_words(model.cell)}) differ by more "
            "than 3 % in a length or 3° in an angle, also on other axes; they are different crystal forms: use "
            "files of one form, or place the model in the data's cell first."
        )
    if not settings:
        assert data_group is not None
        raise InputError(
            f"The space group of {data_name} ({data_group.xhm()}) and that of {model_name} ({group.xhm()}) do not have "
            "the same point group and lattice; reindex or merge the data again, or correct the model."
        )
    setting = settings[0]
    told = []
    if not setting.is_identity:
        source = "no space group" if data_group is None else data_group.xhm()
        told.append(
            f"{data_name} ({_words(cell)}, {source}) has other axes than {model_name}; its indices were changed "
            f"h,k,l → {setting.name}, which makes the cell {_words(setting.cell)}."
        )
        other = other_indexing(settings, group)
        if other is not None:
            told.append(
                f"The indices {other.name} fit the cell as well; should R stay above 0.45, reindex {data_name} so."
            )
    if not np.allclose(setting.cell, model.cell, rtol=0.0, atol=0.0051):
        told.append(
            f"The cell of {data_name} ({_words(setting.cell)}) replaces that of {model_name} ({_words(model.cell)})."
        )
    if data_group is None:
        told.append(f"{data_name} has no space group; that of {model_name} ({group.xhm()}) is used.")
    elif not setting.same_group or setting.relation != SAME:
        what = {
            SAME: "",
            LOWER: ", a lower symmetry, so that equivalent reflections are merged",
            HIGHER: ", a higher symmetry",
        }[setting.relation]
        told.append(f"Space group {group.xhm()} of {model_name} is used; {data_name} has {data_group.xhm()}{what}.")
    return setting, told


def _cells_agree(first: F64, second: F64) -> bool:
    """Lengths (3) within 3 % and angles (3) within 3°."""
    lengths = np.abs(first[:3] - second[:3]) / second[:3]
    return bool((lengths <= 0.03).all() and (np.abs(first[3:] - second[3:]) <= 3.0).all())


def _check_cell(cell: gemmi.UnitCell, name: str) -> None:
    """Raise InputError for a cell that cannot be one (1 × 1 × 1 Å stands for none and passes)."""
    values = np.array(cell.parameters)
    possible = bool(np.isfinite(values).all())
    if possible and cell.is_crystal():
        cosines = np.cos(np.radians(values[3:]))
        squared_volume = 1.0 - float(cosines @ cosines) + 2.0 * float(np.prod(cosines))
        possible = bool((values > 0.0).all() and (values[:3] < LONGEST_EDGE).all() and (values[3:] < 180.0).all())
        possible = possible and squared_volume > 1e-4 and bool((values[:3] >= 2.0).all())
    if not possible:
        raise InputError(f"The unit cell in {name} ({_words(values)}) is impossible; correct the file.")


def _rhombohedral(cell: F64, group: gemmi.SpaceGroup | None) -> gemmi.SpaceGroup | None:
    """``group`` with the axes, hexagonal or rhombohedral, that the cell (6,) has."""
    if group is None or group.ext not in ("H", "R"):
        return group
    unit = gemmi.UnitCell(*cell)
    if unit.is_compatible_with_spacegroup(group, SYMMETRY_TOLERANCE):
        return group
    other = gemmi.find_spacegroup_by_name(f"{group.hm}:{'R' if group.ext == 'H' else 'H'}")
    return other if other is not None and unit.is_compatible_with_spacegroup(other, SYMMETRY_TOLERANCE) else group


def _words(cell: F64 | tuple[float, ...]) -> str:
    return " ".join(f"{x:.2f}" for x in cell)
