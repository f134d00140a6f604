"""Map coefficients and data as an MTZ file with REFMAC's labels, which Coot opens by itself."""

from __future__ import annotations

from pathlib import Path

import gemmi
import numpy as np
from numpy.typing import NDArray

from ..model.records import MapCoefficients
from .atomic import write_whole
from .free_set import MISSING
from .reflections import DataSet
from .software import PROGRAM, program_version
from .symmetry import gemmi_cell, gemmi_group

F64 = NDArray[np.float64]


def mtz_columns(dataset: DataSet, maps: MapCoefficients) -> list[tuple[str, str, F64]]:
    """(label, MTZ type, values (n,)) of every column after H K L.

    The order is REFMAC's, with the free column first; FREE is left out where the input had none.  Amplitudes are in
    the units of the input, phases in degrees; NaN stands for what was not observed, and DELFWT is 0 there.
    """
    reflections = dataset.reflections
    observed = reflections.observed
    columns: list[tuple[str, str, F64]] = []
    if dataset.free_column is not None:
        raw = dataset.free_raw
        columns.append(("FREE", "I", np.where(raw == MISSING, np.nan, raw.astype(np.float64))))
    columns += [("FP", "F", reflections.f), ("SIGFP", "Q", reflections.sigma)]
    for amplitude, phase, values in (
        ("FC", "PHIC", maps.f_protein),
        ("FC_ALL", "PHIC_ALL", maps.f_total),
        ("FWT", "PHWT", maps.fwt),
        ("DELFWT", "PHDELWT", np.where(observed, maps.delfwt, 0.0)),
    ):
        columns += _polar(amplitude, phase, values)
    columns.append(("FOM", "W", np.where(observed, maps.fom, np.nan)))
    columns += _polar("FC_ALL_LS", "PHIC_ALL_LS", maps.f_total)
    if dataset.intensity is not None and dataset.sigma_intensity is not None:
        columns += [("I", "J", dataset.intensity), ("SIGI", "Q", dataset.sigma_intensity)]
    for more in maps.extra:
        if np.iscomplexobj(more.values):
            amplitude, phase = more.labels
            columns += _polar(amplitude, phase, more.values)
        else:
            real = more.values.reshape(len(reflections), -1)
            columns += list(zip(more.labels, more.types, real.T, strict=True))
    return columns


def mtz_bytes(dataset: DataSet, maps: MapCoefficients) -> bytes:
    """The whole MTZ file."""
    crystal = dataset.crystal
    mtz = gemmi.Mtz(with_base=True)
    mtz.title = f"{PROGRAM} {program_version()}"
    mtz.spacegroup = gemmi_group(crystal)
    own = mtz.add_dataset(dataset.dataset_name or "dataset")
    own.project_name = dataset.project or "project"
    own.crystal_name = dataset.crystal_name or "crystal"
    own.wavelength = dataset.wavelength
    mtz.set_cell_for_all(gemmi_cell(crystal))
    columns = mtz_columns(dataset, maps)
    for label, kind, _ in columns:
        mtz.add_column(label, kind, dataset_id=own.id)
    table = np.empty((len(dataset.reflections), 3 + len(columns)), dtype=np.float32)
    table[:, :3] = dataset.reflections.hkl
    for k, (_, _, values) in enumerate(columns):
        table[:, 3 + k] = values
    mtz.set_data(table)
    mtz.update_reso()
    mtz.history = [f"From {PROGRAM} {program_version()}", *dataset.history][:30]
    return bytes(mtz.write_to_bytes())


def write_mtz(path: str | Path, dataset: DataSet, maps: MapCoefficients) -> None:
    """Write the MTZ file, whole or not at all.

    Raises:
        OutputError: it cannot be written.
    """
    write_whole(path, mtz_bytes(dataset, maps))


def _polar(amplitude: str, phase: str, values: NDArray[np.complex128]) -> list[tuple[str, str, F64]]:
    """Amplitude and phase columns of complex values (n,)."""
    size, angle = np.abs(values), np.degrees(np.angle(values))
    bad = ~np.isfinite(size)
    size, angle = np.where(bad, np.nan, size), np.where(bad, np.nan, angle)
    return [(amplitude, "F", size), (phase, "P", angle)]
