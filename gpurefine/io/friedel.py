"""Friedel mates and intensities of a file, brought onto the list of reflections beside the mean amplitudes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ..model.crystal import Crystal
from ..model.friedel import FriedelPairs
from ..model.reflections import Reflections
from ..target.french_wilson import posterior_amplitude, wilson_mean
from .companions import DIFFERENCES, PairColumns
from .labels import FRIEDEL_INTENSITIES
from .measurements import average_mates, on_list, usable
from .symmetry import AsuRows

F64 = NDArray[np.float64]
ColumnReader = Callable[[int], F64]
"""Values (m,) of a column of the file, by its index, in the order of the rows in the asymmetric unit."""

FEWEST_PAIRS = 0.5
"""A smaller part of the measured acentric reflections with both mates is told."""


def read_pairs(
    column: ColumnReader, pairs: PairColumns, rows: AsuRows, crystal: Crystal, reflections: Reflections
) -> tuple[FriedelPairs | None, list[str]]:
    """Both mates on the list of reflections; None where nothing is left of them, and what is to be told.

    Where the file has intensities, the mates are turned into amplitudes one by one with the Wilson mean of their
    averages (French & Wilson 1978).
    """
    plus, sigma_plus, minus, sigma_minus = _of_rows(column, pairs)
    is_intensity = pairs.kind == FRIEDEL_INTENSITIES
    r = reflections
    mates = []
    for on_plus, on_minus in (((plus, sigma_plus), (minus, sigma_minus)), ((minus, sigma_minus), (plus, sigma_plus))):
        value, sigma = np.where(rows.mate, on_minus, on_plus)
        mates.append(on_list(usable(rows.hkl, value, sigma, not is_intensity), r.hkl))
    values = np.stack([mate[0] for mate in mates], axis=1)
    sigmas = np.stack([mate[1] for mate in mates], axis=1)
    mean, sigma_mean = average_mates(values, sigmas)
    values[r.centric], sigmas[r.centric] = np.nan, np.nan
    values[r.centric, 0], sigmas[r.centric, 0] = mean[r.centric], sigma_mean[r.centric]
    lone = np.isfinite(values).any(axis=1) & ~r.observed
    values[~r.observed], sigmas[~r.observed] = np.nan, np.nan
    told = [f"{int(lone.sum())} Friedel pairs without a mean value are left out."] if lone.any() else []
    at = np.isfinite(mean) & r.observed
    if not at.any():
        return None, [*told, f"Friedel pairs: columns {', '.join(pairs.labels)} have no value that could be used."]
    if is_intensity:
        expected = np.full(len(r), np.nan)
        expected[at] = wilson_mean(crystal, r.hkl[at], mean[at], sigma_mean[at], r.centric[at], r.epsilon[at])
        for k in range(2):
            known = np.isfinite(values[:, k])
            values[known, k], sigmas[known, k] = posterior_amplitude(
                values[known, k], sigmas[known, k], r.centric[known], expected[known]
            )
    found = FriedelPairs(values[:, 0], sigmas[:, 0], values[:, 1], sigmas[:, 1], pairs.labels)
    return found, [*told, *_words(found, r)]


def merged_alone(pairs: FriedelPairs) -> bool:
    """The mates are everywhere the same: Friedel's law was applied before they were written."""
    at = pairs.both
    return bool(at.sum() > 20 and (pairs.plus[at] == pairs.minus[at]).all())


def _of_rows(column: ColumnReader, pairs: PairColumns) -> tuple[F64, F64, F64, F64]:
    """(m,) value and σ of F(+) and of F(−) of every row."""
    first, sigma_first, second, sigma_second = (column(k) for k in pairs.columns)
    if pairs.kind != DIFFERENCES:
        return first, sigma_first, second, sigma_second
    # F = (F₊ + F₋)/2 and ΔF = F₊ − F₋ are uncorrelated where both mates are equally precise
    known = np.isfinite(second) & np.isfinite(sigma_second) & (sigma_second > 0.0)
    half = np.where(known, 0.5 * second, 0.0)
    sigma = np.where(known, np.hypot(sigma_first, 0.5 * np.where(known, sigma_second, 0.0)), sigma_first)
    return first + half, sigma, np.where(known, first - half, np.nan), np.where(known, sigma, np.nan)


def _words(pairs: FriedelPairs, r: Reflections) -> list[str]:
    names = ", ".join(pairs.labels)
    if merged_alone(pairs):
        return [f"Friedel pairs: the mates in columns {names} are equal everywhere: there is no anomalous signal."]
    acentric = r.observed & ~r.centric
    n_both, n_acentric = int(pairs.both.sum()), int(acentric.sum())
    if n_both == 0:
        return [f"Friedel pairs: columns {names} have both mates of no reflection."]
    text = (
        f"Friedel pairs: columns {names}, both mates of {n_both} of {n_acentric} acentric reflections; "
        f"⟨|F(+) − F(−)|⟩/⟨F⟩ {pairs.difference:.3f}, of which the uncertainties explain {pairs.noise:.3f}"
    )
    if n_both < FEWEST_PAIRS * n_acentric:
        text += "; most reflections have one mate only"
    return [text + "."]


def read_intensities(
    column: ColumnReader, columns: tuple[int, ...], rows: AsuRows, reflections: Reflections
) -> tuple[F64, F64] | None:
    """Intensity and σ (n,) on the list, NaN where not measured; None where there is none.

    Args:
        columns: (value, σ), or (+, σ+, −, σ−), whose mates are averaged.
    """
    values = [column(k) for k in columns]
    if len(values) == 2:
        value, sigma = values
    else:
        value, sigma = average_mates(np.stack(values[0::2], axis=1), np.stack(values[1::2], axis=1))
    value, sigma = on_list(usable(rows.hkl, value, sigma, False), reflections.hkl)
    return (value, sigma) if np.isfinite(value).any() else None
