"""A data file as one :class:`DataSet` on all unique reflections of the crystal."""

from __future__ import annotations

from dataclasses import dataclass, replace

import gemmi
import numpy as np
from numpy.typing import NDArray

from ..config import DataOptions
from ..errors import InputError, UsageError
from ..model.crystal import Crystal
from ..model.reflections import Reflections
from ..target.french_wilson import french_wilson
from .crystal_choice import cells_agree, choose_crystal
from .data_file import open_data
from .free_set import MISSING, FreeSet, choose_free_set
from .labels import AMPLITUDES, FRIEDEL_AMPLITUDES, Selection, describe_columns, find_free_column, select_columns
from .measurements import Measurements, average_mates, clean, positions
from .software import Software, software_of_history
from .symmetry import gemmi_group, reflection_flags, unique_hkl

F64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class DataSet:
    """What was read from a data file.

    Attributes:
        path: the file.
        reflections: every unique reflection from the lowest to the highest resolution observed within the limits.
        crystal: the data's cell with the space group to refine in.
        labels: columns used, value and uncertainty (twice for pairs).
        kind: "amplitudes", "intensities", "friedel amplitudes" or "friedel intensities".
        intensity, sigma_intensity: (n,) float64 aligned with ``reflections``, NaN where not observed; None for
            amplitudes.
        free_column: name of the free column, None where there is none.
        free_value: value that marks the test set, None where there is no test set.
        free_raw: (n,) int32 values of the free column; :data:`~gpurefine.io.free_set.MISSING` (negative) for none.
        wavelength: Å, 0 where the file does not say.
        project, crystal_name, dataset_name: names in the MTZ header.
        history: MTZ history; software: programs found in it.
        messages: what the user is to be told, one sentence each.
    """

    path: str
    reflections: Reflections
    crystal: Crystal
    labels: tuple[str, ...]
    kind: str
    intensity: F64 | None
    sigma_intensity: F64 | None
    free_column: str | None
    free_value: int | None
    free_raw: NDArray[np.int32]
    wavelength: float
    project: str
    crystal_name: str
    dataset_name: str
    history: tuple[str, ...]
    software: tuple[Software, ...]
    messages: tuple[str, ...]

    @property
    def from_intensities(self) -> bool:
        """The amplitudes are French–Wilson amplitudes of intensities."""
        return self.intensity is not None


def read_data(path: str, options: DataOptions, model_crystal: Crystal | None, model_name: str) -> DataSet:
    """Read measurements and test set.

    Args:
        path: MTZ or structure-factor mmCIF, also compressed with gzip.
        options: columns, free set and resolution limits.
        model_crystal: crystal of the model, None where its file has none.
        model_name: model file named in messages.

    Raises:
        InputError: the file cannot be read or used as asked; the sentence says why.
    """
    mtz = open_data(path)
    selection = select_columns(mtz, options.labels, path, want_free=options.free_file is None)
    messages = [selection.message]
    dataset = mtz.columns[selection.values[0]].dataset
    cell = dataset.cell if dataset.cell.is_crystal() else mtz.cell
    crystal, told = choose_crystal(cell, mtz.spacegroup, path, model_crystal, model_name)
    messages += told
    values, sigmas, labels = _columns(mtz, selection)
    free_labels = None if selection.free is None else mtz.columns[selection.free].label
    free_values = None if selection.free is None else np.array(mtz.columns[selection.free].array, dtype=np.float64)
    hkl = _asu_indices(mtz, crystal)

    amplitudes = selection.kind in (AMPLITUDES, FRIEDEL_AMPLITUDES)
    measured, told = clean(hkl, values, sigmas, amplitudes, path)
    messages += told
    measured, told = _within(measured, crystal, options, path)
    messages += told
    s2 = crystal.inv_d2(measured.hkl)
    # A little beyond the outermost reflections, so that rounding cannot lose them.
    listed = unique_hkl(crystal, float(s2.max() ** -0.5) * (1 - 1e-6), float(s2.min() ** -0.5) * (1 + 1e-6))
    at = positions(measured.hkl, listed)
    n_absent = int((at < 0).sum())
    if n_absent:
        messages.append(f"{n_absent} reflections that are absent in space group {crystal.hm} are left out.")
        measured, at = measured.select(at >= 0), at[at >= 0]
        if len(measured) == 0:
            raise InputError(f"No measurement in {path} is left: all are systematically absent in {crystal.hm}.")

    reflections, intensity, sigma_intensity, told = _on_list(crystal, listed, measured, at, amplitudes)
    messages += told
    n = len(listed)
    if options.free_file is not None:
        free_labels, raw = _free_file(options.free_file, crystal, listed)
        source = options.free_file
    else:
        raw, source = np.full(n, MISSING, dtype=np.int32), path
        if free_values is not None:
            raw = _spread_free(hkl, free_values, listed)
    if free_labels is None:
        if options.free_flag is not None:
            raise UsageError(
                f"--free-flag is given but {path} has no free column that could be found; name it last in --labels or "
                f"give --free-file. The columns are {describe_columns(mtz)}."
            )
        free_set = FreeSet(np.zeros(n, dtype=bool), None, (_no_free_column(mtz, path),))
    else:
        free_set = choose_free_set(raw, reflections.observed, free_labels, source, options.free_flag)
    messages += free_set.messages
    return DataSet(
        path=path,
        reflections=replace(reflections, free=free_set.free),
        crystal=crystal,
        labels=labels,
        kind=selection.kind,
        intensity=intensity,
        sigma_intensity=sigma_intensity,
        free_column=free_labels,
        free_value=free_set.value,
        free_raw=raw,
        wavelength=float(dataset.wavelength),
        project=dataset.project_name,
        crystal_name=dataset.crystal_name,
        dataset_name=dataset.dataset_name,
        history=tuple(mtz.history),
        software=software_of_history(mtz.history),
        messages=tuple(messages),
    )


def _columns(mtz: gemmi.Mtz, selection: Selection) -> tuple[F64, F64, tuple[str, ...]]:
    """Value (m,) and sigma (m,) of every row of the file, Friedel mates averaged, and the labels read."""
    values = np.stack([np.array(mtz.columns[k].array, dtype=np.float64) for k in selection.values], axis=1)
    sigmas = np.stack([np.array(mtz.columns[k].array, dtype=np.float64) for k in selection.sigmas], axis=1)
    pairs = zip(selection.values, selection.sigmas, strict=True)
    labels = tuple(mtz.columns[k].label for pair in pairs for k in pair)
    if values.shape[1] == 1:
        return values[:, 0], sigmas[:, 0], labels
    mean, sigma = average_mates(values, sigmas)
    return mean, sigma, labels


def _asu_indices(mtz: gemmi.Mtz, crystal: Crystal) -> NDArray[np.int32]:
    """(m, 3) int32 indices of the file's rows, mapped into the asymmetric unit of the crystal."""
    bare = gemmi.Mtz(with_base=True)
    bare.spacegroup = gemmi_group(crystal)
    bare.set_cell_for_all(gemmi.UnitCell(*crystal.cell))
    bare.set_data(np.ascontiguousarray(np.asarray(mtz.array)[:, :3], dtype=np.float32))
    bare.ensure_asu()
    return np.asarray(bare.make_miller_array(), dtype=np.int32).reshape(-1, 3)


def _within(
    measured: Measurements, crystal: Crystal, options: DataOptions, path: str
) -> tuple[Measurements, list[str]]:
    """Measurements between the resolution limits; F(000) is never one."""
    for name, limit in (("--d-min", options.d_min), ("--d-max", options.d_max)):
        if limit is not None and not limit > 0.0:
            raise UsageError(f"{name} must be a positive resolution in Å.")
    if options.d_min is not None and options.d_max is not None and options.d_min >= options.d_max:
        raise UsageError("--d-min, the high-resolution limit, must be a smaller number of Å than --d-max.")
    s2 = crystal.inv_d2(measured.hkl)
    keep = s2 > 0.0
    if options.d_min is not None:
        keep &= s2 <= options.d_min**-2 * (1 + 1e-9)
    if options.d_max is not None:
        keep &= s2 >= options.d_max**-2 * (1 - 1e-9)
    if not keep.any():
        d = np.sort(s2[s2 > 0.0]) ** -0.5
        reach = f"{d[0]:.2f} to {d[-1]:.2f} Å" if len(d) else "nothing"
        raise InputError(f"No measurement in {path} lies within --d-min and --d-max; the file reaches from {reach}.")
    dropped = int((~keep & (s2 > 0.0)).sum())
    told = [f"{dropped} measurements outside the resolution limits are left out."] if dropped else []
    return measured.select(keep), told


def _on_list(
    crystal: Crystal, listed: NDArray[np.int32], measured: Measurements, at: NDArray[np.int64], amplitudes: bool
) -> tuple[Reflections, F64 | None, F64 | None, list[str]]:
    """Reflections without test set, and intensities with sigma where those were measured; ``at`` (n_measured,)."""
    centric, epsilon = reflection_flags(crystal, listed)
    columns = {name: np.full(len(listed), np.nan) for name in ("f", "sigma", "intensity", "sigma_intensity")}
    told = []
    if amplitudes:
        columns["f"][at], columns["sigma"][at] = measured.value, measured.sigma
    else:
        found = french_wilson(crystal, measured.hkl, measured.value, measured.sigma, centric[at], epsilon[at])
        columns["f"][at], columns["sigma"][at] = found.f, found.sigma
        columns["intensity"][at], columns["sigma_intensity"][at] = measured.value, measured.sigma
        n_negative = int((measured.value <= 0.0).sum())
        told.append(
            f"Amplitudes were estimated from the intensities by the method of French and Wilson; {n_negative} of "
            f"{len(measured)} intensities are not positive."
        )
    reflections = Reflections(
        hkl=listed,
        inv_d2=crystal.inv_d2(listed),
        centric=centric,
        epsilon=epsilon,
        f=columns["f"],
        sigma=columns["sigma"],
        free=np.zeros(len(listed), dtype=bool),
    )
    if amplitudes:
        return reflections, None, None, told
    return reflections, columns["intensity"], columns["sigma_intensity"], told


def _spread_free(hkl: NDArray[np.int32], values: F64, listed: NDArray[np.int32]) -> NDArray[np.int32]:
    """Free column (m,) of file rows on the listed reflections (n,) int32; of equivalents the first row counts."""
    known = np.isfinite(values)
    unique, first = np.unique(hkl[known], axis=0, return_index=True)
    raw = np.full(len(listed), MISSING, dtype=np.int32)
    if len(unique):
        at = positions(listed, unique)
        raw[at >= 0] = np.rint(values[known][first][at[at >= 0]]).astype(np.int32)
    return raw


def _free_file(path: str, crystal: Crystal, listed: NDArray[np.int32]) -> tuple[str, NDArray[np.int32]]:
    """Name and values (n,) of the one integer column of a --free-file."""
    mtz = open_data(path)
    integers = [c for c in mtz.columns if c.type == "I"]
    index = integers[0].idx if len(integers) == 1 else find_free_column(mtz)[0]
    if index is None:
        what = "several integer columns" if integers else "no integer column"
        raise InputError(
            f"--free-file {path} has {what} and none with a usual name (FREE, FreeR_flag, R-free-flags); its columns "
            f"are {describe_columns(mtz)}."
        )
    if mtz.cell.is_crystal() and not cells_agree(np.array(mtz.cell.parameters), crystal.cell):
        raise InputError(f"--free-file {path} has a cell that differs from the data's by more than 3 % or 3°.")
    column = mtz.columns[index]
    raw = _spread_free(_asu_indices(mtz, crystal), np.array(column.array, dtype=np.float64), listed)
    if (raw == MISSING).all():
        raise InputError(f"--free-file {path} has a value in column {column.label} for none of the reflections.")
    return column.label, raw


def _no_free_column(mtz: gemmi.Mtz, path: str) -> str:
    others = find_free_column(mtz)[1]
    hint = f"; if {' or '.join(others)} is one, name it last in --labels" if others else ""
    return f"Free set: {path} has no free column, so all data are used for refinement{hint}."
