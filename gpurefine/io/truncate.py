"""Amplitudes of intensities by the method of French and Wilson in a file of their own: ``gpurefine truncate``."""

from __future__ import annotations

from dataclasses import dataclass

import gemmi
import numpy as np
from numpy.typing import NDArray

from ..config import DataOptions
from ..errors import InputError
from .atomic import write_whole
from .free_set import MISSING
from .reflections import DataSet, read_data
from .software import PROGRAM, program_version
from .symmetry import gemmi_cell, gemmi_group


@dataclass(frozen=True, slots=True, eq=False)
class Truncated:
    """``data``: intensities with their amplitudes; ``messages``: what the user is to be told."""

    data: DataSet
    messages: tuple[str, ...]

    def write(self, path: str) -> None:
        """Write FREE (if there is one), F, SIGF, IMEAN and SIGIMEAN of the measured reflections.

        Raises:
            OutputError: it cannot be written.
        """
        data, r = self.data, self.data.reflections
        assert data.intensity is not None and data.sigma_intensity is not None
        at = r.observed
        mtz = gemmi.Mtz(with_base=True)
        mtz.title = f"{PROGRAM} {program_version()} truncate"
        mtz.spacegroup = gemmi_group(data.crystal)
        own = mtz.add_dataset(data.dataset_name or "dataset")
        own.project_name, own.crystal_name = data.project or "project", data.crystal_name or "crystal"
        own.wavelength = data.wavelength
        mtz.set_cell_for_all(gemmi_cell(data.crystal))
        columns: list[tuple[str, str, NDArray[np.float64]]] = []
        if data.free_column is not None:
            columns.append(("FREE", "I", np.where(data.free_raw == MISSING, np.nan, data.free_raw.astype(float))))
        columns += [
            ("F", "F", r.f), ("SIGF", "Q", r.sigma), ("IMEAN", "J", data.intensity),
            ("SIGIMEAN", "Q", data.sigma_intensity),
        ]
        for label, kind, _ in columns:
            mtz.add_column(label, kind, dataset_id=own.id)
        table = np.column_stack([r.hkl[at], *(values[at] for _, _, values in columns)])
        mtz.set_data(np.ascontiguousarray(table, np.float32))
        mtz.update_reso()
        mtz.history = [f"From {PROGRAM} {program_version()} truncate", *data.history][:30]
        write_whole(path, bytes(mtz.write_to_bytes()))


def truncate(path: str, options: DataOptions) -> Truncated:
    """Read intensities and make amplitudes of them.

    Raises:
        InputError: the file cannot be read, or the chosen columns are not intensities.
    """
    data = read_data(path, options, None, "the model")
    if not data.from_intensities:
        raise InputError(
            f"The columns {', '.join(data.labels)} of {path} are amplitudes already; name intensities with --labels or "
            "give --prefer intensities."
        )
    return Truncated(data, data.messages)
