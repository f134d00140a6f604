"""Unmerged measurements merged by gemmi, with the statistics of their agreement."""

from __future__ import annotations

import math

import gemmi
import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..model.merging import Merging, MergingShell
from .labels import USUAL_INTENSITIES, mean_candidates
from .measurements import positions

F64 = NDArray[np.float64]

MOST_SHELLS = 20
UNMERGED_TAGS = ("intensity_net", "intensity_sigma")
PARTIAL = 256
"""Added in CCP4's column M/ISYM to the number of the operation where an observation is only a part."""
MOST_PARTIALS = 0.01
PER_SHELL = 300
"""Unique reflections wanted in a shell."""


def is_unmerged(mtz: gemmi.Mtz) -> bool:
    """The rows are single observations."""
    return bool(len(mtz.batches) or any(c.label == "M/ISYM" or c.type in "YB" for c in mtz.columns))


def of_mtz(mtz: gemmi.Mtz, path: str) -> tuple[gemmi.Mtz, Merging, str]:
    """An unmerged MTZ (columns I, SIGI) merged; see :func:`merge`."""
    columns = mean_candidates(mtz, "J", USUAL_INTENSITIES[1:])
    if not columns:
        raise InputError(
            f"{path} holds unmerged reflections but no intensities with uncertainties to merge; merge them first (for "
            "instance with aimless)."
        )
    symmetry = [c for c in mtz.columns if c.label == "M/ISYM"]
    if symmetry:
        flags = np.clip(np.nan_to_num(np.array(symmetry[0].array, np.float64)), 0, 1e6).astype(np.int64)
        partial = int((flags // PARTIAL > 0).sum())
        if partial > MOST_PARTIALS * len(flags):
            raise InputError(
                f"{partial} of {len(flags)} observations in {path} are parts of reflections that were never summed; "
                "scale and merge them first (for instance with aimless)."
            )
        mtz.switch_to_original_hkl()
    value, sigma = (np.array(column.array, np.float64) for column in columns[0])
    named = [d for d in mtz.datasets if d.wavelength > 0.0]
    return merge(
        mtz.cell, mtz.spacegroup, mtz.make_miller_array(), value, sigma, path,
        named[-1] if named else mtz.datasets[-1],
    )


def of_block(block: gemmi.ReflnBlock, path: str) -> tuple[gemmi.Mtz, Merging, str]:
    """An mmCIF block of unmerged reflections (_diffrn_refln) merged; see :func:`merge`."""
    block.use_unmerged(True)
    lacking = [name for name in UNMERGED_TAGS if name not in block.column_labels()]
    if lacking:
        raise InputError(
            f"{path} holds unmerged reflections without {' and '.join(f'_diffrn_refln.{name}' for name in lacking)}; "
            "merge them first (for instance with aimless)."
        )
    value, sigma = (np.array(block.make_float_array(name), np.float64) for name in UNMERGED_TAGS)
    return merge(
        block.cell, block.spacegroup, block.make_miller_array(), value, sigma, path, None, block.wavelength
    )


def of_xds(path: str) -> tuple[gemmi.Mtz, Merging, str]:
    """A file XDS_ASCII merged; see :func:`merge`.  Misfits, whose σ is negative, are left out."""
    xds = gemmi.read_xds_ascii(path)
    group = gemmi.find_spacegroup_by_number(xds.spacegroup_number)
    value, sigma = np.array(xds.iobs_array, np.float64), np.array(xds.sigma_array, np.float64)
    cell = gemmi.UnitCell(*xds.cell_constants)
    return merge(cell, group, xds.miller_array, value, sigma, path, None, xds.wavelength)


def merge(
    cell: gemmi.UnitCell,
    group: gemmi.SpaceGroup | None,
    hkl: NDArray[np.int32],
    value: F64,
    sigma: F64,
    path: str,
    dataset: gemmi.Mtz.Dataset | None,
    wavelength: float = 0.0,
) -> tuple[gemmi.Mtz, Merging, str]:
    """Observations averaged with weights 1/σ², Friedel mates together (IMEAN) and apart (I(+), I(-)).

    Args:
        hkl: (m, 3) indices as measured; value, sigma: (m,).

    Returns:
        the merged file; the agreement of the observations; what the user is to be told.

    Raises:
        InputError: there is nothing to merge, or no space group to merge it in.
    """
    if group is None or not cell.is_crystal():
        raise InputError(
            f"{path} holds unmerged reflections without unit cell or space group, by which they could be merged."
        )
    indices = _indices(hkl)
    known = np.isfinite(value) & np.isfinite(sigma) & (sigma > 0.0) & (np.abs(value) < 1e30) & indices.any(axis=1)
    if not known.any():
        raise InputError(f"{path} holds unmerged reflections, none of which has an intensity and its uncertainty.")
    found = gemmi.Intensities()
    found.set_data(cell, group, indices[known], value[known], sigma[known])
    found.prepare_for_merging(gemmi.DataType.Anomalous)
    mates, mean = found.merged(gemmi.DataType.Anomalous), found.merged(gemmi.DataType.Mean)
    merging = _statistics(found, mates)
    mtz = _file(mates, mean, dataset, wavelength)
    overall = merging.overall
    told = (
        f"Unmerged: {int(known.sum())} of {len(known)} observations in {path} were merged to {len(mean)} reflections "
        f"(multiplicity with mates apart {overall.multiplicity:.1f}; R_meas {_words(overall.r_meas)}, CC½ "
        f"{_words(overall.cc_half)}, CC* {_words(overall.cc_star)}; to {overall.d_min:.2f} Å, where CC½ is "
        f"{_words(merging.shells[-1].cc_half)})."
    )
    return mtz, merging, told


def _indices(array: NDArray[np.int32]) -> NDArray[np.int32]:
    """A copy (n, 3) that gemmi can take back: it hands out strided views, of which it misreads the length."""
    return np.array(array, np.int32, order="C").reshape(-1, 3)


def _words(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.3f}"


def _statistics(found: gemmi.Intensities, mates: gemmi.Intensities) -> Merging:
    """Agreement over all data and in shells with equal numbers of unique reflections."""
    n_shell = int(np.clip(len(mates) // PER_SHELL, 1, MOST_SHELLS))
    binner = gemmi.Binner()
    binner.setup(n_shell, gemmi.Binner.Method.EqualCount, mates)
    hkl = _indices(mates.miller_array)
    inv_d2 = np.asarray(mates.unit_cell.calculate_1_d2_array(hkl), np.float64)
    ratio = np.asarray(mates.value_array) / np.asarray(mates.sigma_array)
    number = np.asarray(binner.get_bins(hkl))
    shells = []
    for k, one in enumerate(found.calculate_merging_stats(binner)):
        inside = number == k
        if inside.any():
            shells.append(_shell(one, inv_d2[inside], ratio[inside]))
    overall = _shell(found.calculate_merging_stats(None)[0], inv_d2, ratio)
    return Merging(overall, tuple(shells) or (overall,))


def _shell(one: gemmi.MergingStats, inv_d2: NDArray[np.float64], ratio: NDArray[np.float64]) -> MergingShell:
    def known(value: float) -> float | None:
        return float(value) if math.isfinite(value) else None

    several = one.stats_refl > 0
    half = known(one.cc_half()) if several else None
    return MergingShell(
        d_max=float(inv_d2.min() ** -0.5), d_min=float(inv_d2.max() ** -0.5), observations=int(one.all_refl),
        unique=int(one.unique_refl), mean_i_over_sigma=known(float(np.mean(ratio))),
        r_merge=known(one.r_merge()) if several else None, r_meas=known(one.r_meas()) if several else None,
        r_pim=known(one.r_pim()) if several else None, cc_half=half,
        cc_star=None if half is None or half <= 0.0 else math.sqrt(2.0 * half / (1.0 + half)),
    )


def _file(
    mates: gemmi.Intensities, mean: gemmi.Intensities, dataset: gemmi.Mtz.Dataset | None, wavelength: float
) -> gemmi.Mtz:
    """A merged MTZ with columns IMEAN, SIGIMEAN, I(+), SIGI(+), I(-), SIGI(-)."""
    mtz = gemmi.Mtz(with_base=True)
    mtz.spacegroup = mates.spacegroup
    mtz.set_cell_for_all(mates.unit_cell)
    own = mtz.add_dataset("unmerged" if dataset is None else dataset.dataset_name)
    own.wavelength = wavelength if dataset is None else dataset.wavelength
    if dataset is not None:
        own.project_name, own.crystal_name = dataset.project_name, dataset.crystal_name
    for label, letter in (
        ("IMEAN", "J"), ("SIGIMEAN", "Q"), ("I(+)", "K"), ("SIGI(+)", "M"), ("I(-)", "K"), ("SIGI(-)", "M"),
    ):  # fmt: skip
        mtz.add_column(label, letter, dataset_id=own.id)
    hkl = _indices(mean.miller_array)
    table = np.full((len(hkl), 9), np.nan, np.float32)
    table[:, :3] = hkl
    table[:, 3], table[:, 4] = mean.value_array, mean.sigma_array
    sign = np.asarray(mates.isign_array)
    for column, wanted in ((5, sign >= 0), (7, sign < 0)):
        at = positions(_indices(mates.miller_array)[wanted], hkl)
        there = at >= 0
        table[at[there], column] = np.asarray(mates.value_array)[wanted][there]
        table[at[there], column + 1] = np.asarray(mates.sigma_array)[wanted][there]
    mtz.set_data(table)
    return mtz
