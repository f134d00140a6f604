"""A data file as one :class:`DataSet` on all unique reflections of the crystal."""

from __future__ import annotations

from dataclasses import dataclass, replace

import gemmi
import numpy as np
from numpy.typing import NDArray

from ..config import DataOptions
from ..errors import InputError, UsageError
from ..model.crystal import Crystal
from ..model.friedel import FriedelPairs
from ..model.merging import Merging
from ..model.phases import PriorPhases
from ..model.reflections import Reflections
from ..target.french_wilson import french_wilson
from .companions import find_companions
from .crystal_choice import choose_crystal
from .data_file import open_data
from .data_signs import data_signs
from .free_columns import free_consistency, no_free_column, read_free_file, spread_free
from .free_set import MISSING, FreeSet, choose_free_set
from .friedel import read_intensities, read_pairs
from .indices import check_symmetry, crystal_indices
from .labels import (
    AMPLITUDES,
    FRIEDEL_AMPLITUDES,
    FRIEDEL_INTENSITIES,
    INTENSITIES,
    Selection,
    data_set_of,
    describe_columns,
    select_columns,
)
from .measurements import Measurements, average_mates, clean, positions
from .phases import read_phases
from .software import Software, software_of_history
from .symmetry import AsuRows, reflection_flags, unique_hkl

F64 = NDArray[np.float64]

MOST_POSSIBLE = 1e8
LOWEST_COMPLETENESS = 1e-3
"""No data set is larger, or so incomplete: there is something wrong with its cell or indices."""


@dataclass(frozen=True, slots=True, eq=False)
class DataSet:
    """What was read from a data file.

    Attributes:
        path: the file.
        reflections: every unique reflection from the lowest to the highest resolution observed within the limits.
        crystal: the data's cell with the space group to refine in.
        labels: columns used, value and uncertainty (twice for pairs).
        kind: "amplitudes", "intensities", "friedel amplitudes" or "friedel intensities".
        intensity, sigma_intensity: (n,) float64 aligned with ``reflections``, NaN where not measured; also where
            amplitudes were chosen and the file has intensities of the same data; None where it has none.
        friedel: amplitudes of the Friedel mates, aligned with ``reflections``; None where the file has none.
        merging: agreement of the observations where the file was unmerged, None where it was merged.
        phases: phase information from outside, aligned with ``reflections``, None where none was asked for.
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
    friedel: FriedelPairs | None
    phases: PriorPhases | None
    merging: Merging | None
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
        """Intensities were chosen; the amplitudes are their French–Wilson amplitudes."""
        return self.kind in (INTENSITIES, FRIEDEL_INTENSITIES)


def read_data(
    path: str, options: DataOptions, model_crystal: Crystal | None, model_name: str, twin: bool = False
) -> DataSet:
    """Read measurements and test set.

    Args:
        path: MTZ or structure-factor mmCIF, also compressed with gzip.
        options: columns, free set and resolution limits.
        model_crystal: crystal of the model, None where its file has none.
        model_name: model file named in messages; twin: the crystal is refined as a twin.

    Raises:
        InputError: the file cannot be read or used as asked; the sentence says why.
    """
    file = open_data(path, options.block)
    mtz, messages = file.mtz, list(file.messages)
    selection = select_columns(mtz, options.labels, path, options.free_file is None, options.prefer)
    messages.append(selection.message)
    dataset, told = data_set_of(mtz, selection)
    messages += told
    cell = dataset.cell if dataset.cell.is_crystal() else mtz.cell
    choice = choose_crystal(cell, mtz.spacegroup, path, model_crystal, model_name)
    crystal = choice.crystal
    messages += choice.messages
    values, sigmas, labels = _columns(mtz, selection)
    free_labels = None if selection.free is None else mtz.columns[selection.free].label
    free_values = None if selection.free is None else np.array(mtz.columns[selection.free].array, dtype=np.float64)
    rows, whole, told = crystal_indices(mtz, choice, path)
    hkl = rows.hkl
    messages += told
    if free_values is not None:
        free_values = free_values[whole]
    values, sigmas = values[whole], sigmas[whole]

    amplitudes = selection.kind in (AMPLITUDES, FRIEDEL_AMPLITUDES)
    measured, told = clean(hkl, values, sigmas, amplitudes, path)
    messages += told
    messages += check_symmetry(choice, hkl, values, sigmas, amplitudes, path)
    measured, told = _within(measured, crystal, options, path)
    messages += told
    s2 = crystal.inv_d2(measured.hkl)
    _check_extent(crystal, s2, len(measured), path)
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
    friedel, more, told = _companions(mtz, selection, rows, whole, crystal, reflections)
    messages += told
    if more is not None:
        intensity, sigma_intensity = more
    phases = None
    if options.phases is not None or options.phases_file is not None:
        block = options.block if options.phases_file is None else None
        phases, told = read_phases(options.phases_file or path, options.phases, block, crystal, listed)
        messages += told
    n = len(listed)
    if options.free_file is not None:
        column = read_free_file(options.free_file, crystal, listed)
        free_labels, raw, source = column.label, column.raw, options.free_file
    else:
        raw, source = np.full(n, MISSING, dtype=np.int32), path
        if free_values is not None:
            raw = spread_free(hkl, free_values, listed)
    if free_labels is None:
        if options.free_flag is not None:
            raise UsageError(
                f"--free-flag is given but {path} has no free column that could be found; name it last in --labels or "
                f"give --free-file. The columns are {describe_columns(mtz)}."
            )
        free_set = FreeSet(np.zeros(n, dtype=bool), None, (no_free_column(mtz, path),))
    else:
        free_set = choose_free_set(raw, reflections.observed, free_labels, source, options.free_flag)
    messages += free_set.messages
    messages += free_consistency(crystal, listed, free_set.free, reflections.observed)
    messages += _signs(crystal, reflections, *((None, None) if amplitudes else (intensity, sigma_intensity)), twin)
    return DataSet(
        path=path,
        reflections=replace(reflections, free=free_set.free),
        crystal=crystal,
        labels=labels,
        kind=selection.kind,
        intensity=intensity,
        sigma_intensity=sigma_intensity,
        friedel=friedel,
        phases=phases,
        merging=file.merging,
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


def _companions(
    mtz: gemmi.Mtz, selection: Selection, rows: AsuRows, whole: NDArray[np.bool_], crystal: Crystal, r: Reflections
) -> tuple[FriedelPairs | None, tuple[F64, F64] | None, list[str]]:
    """Friedel mates, and intensities where amplitudes were chosen; None where there are none; what is to be told."""

    def column(k: int) -> F64:
        return np.array(mtz.columns[k].array, dtype=np.float64)[whole]

    also = find_companions(mtz, selection)
    friedel, told = (None, []) if also.pairs is None else read_pairs(column, also.pairs, rows, crystal, r)
    more = None if also.intensities is None else read_intensities(column, also.intensities, rows, r)
    return friedel, more, told


def _check_extent(crystal: Crystal, s2: F64, n_measured: int, path: str) -> None:
    """Raise InputError where cell and indices promise absurdly many reflections beside those measured."""
    possible = 2.0 / 3.0 * np.pi * crystal.volume * float(s2.max()) ** 1.5 / crystal.n_op
    if possible > MOST_POSSIBLE or (possible > 1e5 and possible > LOWEST_COMPLETENESS**-1 * n_measured):
        raise InputError(
            f"{path} has {n_measured} measurements, but to {s2.max() ** -0.5:.2f} Å its cell has {possible:.3g} "
            "reflections: the cell or some indices are wrong; correct the file or give --d-min."
        )


def _signs(
    crystal: Crystal, reflections: Reflections, intensity: F64 | None, sigma_intensity: F64 | None, twin: bool
) -> list[str]:
    """Warnings from the intensities, or from squared amplitudes (σ(F²) = 2Fσ, at least σ²)."""
    r = reflections
    at = r.observed
    if intensity is None or sigma_intensity is None:
        intensity, sigma_intensity = r.f**2, np.maximum(2.0 * r.f * r.sigma, r.sigma**2)
    return data_signs(crystal, r.hkl[at], intensity[at], sigma_intensity[at], r.centric[at], r.epsilon[at], twin)


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
