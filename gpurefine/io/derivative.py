"""Friedel pairs and heavy-atom sites of an isomorphous derivative, brought onto the native's list of reflections."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..config import AnomalousOptions, DataOptions
from ..errors import InputError, UsageError
from ..model.anomalous import Derivative
from ..model.crystal import Crystal
from ..model.friedel import FriedelPairs
from .anomalous import anomalous_factors, given_factors, imaginary_gaussians, with_f_prime
from .anomalous_input import OPTION, Scattering, with_anomalous
from .friedel import merged_alone
from .measurements import positions
from .reflections import DataSet, read_data
from .scattering import xray_gaussians
from .structure import read_model, structure_crystal

F64 = NDArray[np.float64]

SAME_SITE = 0.3
"""Å: symmetry copies of a site nearer than this are the site itself."""
CELL_TOLERANCE = 0.02
"""Relative difference of an axis, or radians of an angle, from which crystals are not isomorphous."""
MOST_SITES = 200
FEWEST_COMMON = 0.3
"""Share of the native's reflections that the derivative must have."""


def scattering_of(
    plain: tuple[F64, F64], elements: Sequence[str], data: DataSet, options: AnomalousOptions, limits: DataOptions
) -> Scattering:
    """Form factors with what ``options`` ask for; see :func:`with_derivative` and
    :func:`gpurefine.io.anomalous_input.with_anomalous`."""
    if options.derivative_data is None:
        return with_anomalous(plain, elements, data, options)
    return with_derivative(plain, elements, data, options, limits)


def with_derivative(
    plain: tuple[F64, F64], elements: Sequence[str], data: DataSet,
    options: AnomalousOptions, limits: DataOptions,
) -> Scattering:
    """Form factors of the native's model (f₀ and f″ at the derivative's wavelength) and the derivative.

    Args:
        plain: form factors of ``elements``; data: the native's; limits: its resolution limits.

    Raises:
        InputError, UsageError: files or options do not fit; the sentence says why.
    """
    assert options.derivative_data is not None and options.derivative_model is not None
    if options.anomalous:
        raise UsageError(
            "--anomalous is for the Friedel pairs of DATA; with --derivative-data those of the derivative are used."
        )
    limits = DataOptions(d_min=limits.d_min, d_max=limits.d_max)
    measured = read_data(options.derivative_data, limits, data.crystal, data.path)
    _check_cell(data, measured)
    pairs = measured.friedel
    if pairs is None or not pairs.both.any() or merged_alone(pairs):
        raise InputError(f"{options.derivative_data} has no Friedel pairs that differ; SIRAS needs F(+) and F(-).")
    pairs = _on_list(pairs, measured, data)
    sites, names = _sites(options.derivative_model, data)
    wavelength = options.wavelength if options.wavelength is not None else measured.wavelength
    if wavelength <= 0.0:
        raise UsageError(
            f"{options.derivative_data} does not say at which wavelength it was measured; give it with --wavelength "
            "(Å)."
        )
    heavy = list(dict.fromkeys(names))
    given = given_factors(options.anomalous_factors, [*elements, *heavy], OPTION)
    f_prime, f_second = anomalous_factors(heavy, wavelength, given)
    a, b = with_f_prime(xray_gaussians(heavy), f_prime)
    row = np.array([heavy.index(name) for name in names])
    derivative = Derivative(pairs, sites, tuple(names), a[row], b[row], f_second[row])
    told = [f"Derivative: {text}" for text in measured.messages if text.startswith("Friedel pairs")]
    listed = "; ".join(f"{n.capitalize()} {f_prime[k]:.2f}, {f_second[k]:.2f}" for k, n in enumerate(heavy))
    told.append(
        f"Derivative: {len(sites)} heavy-atom sites of {options.derivative_model}; f′ and f″ at {wavelength:.4f} Å in "
        f"electrons: {listed}."
    )
    _, second = anomalous_factors(elements, wavelength, given)
    return Scattering((plain, imaginary_gaussians(second)), None, tuple(told), derivative)


def _check_cell(native: DataSet, derivative: DataSet) -> None:
    ours, theirs = native.crystal.cell, derivative.crystal.cell
    change = np.abs(theirs[:3] / ours[:3] - 1.0)
    angle = np.radians(np.abs(theirs[3:] - ours[3:]))
    if max(change.max(), angle.max()) > CELL_TOLERANCE:
        def cell(values: F64) -> str:
            return " ".join(f"{x:.2f}" for x in values)

        raise InputError(
            f"The cell of {derivative.path} ({cell(theirs)}) is not that of {native.path} ({cell(ours)}) within "
            f"{100 * CELL_TOLERANCE:.0f} %: the derivative is not isomorphous, and SIRAS cannot be used. Refine a "
            "model of its own against it with --anomalous."
        )


def _on_list(pairs: FriedelPairs, measured: DataSet, native: DataSet) -> FriedelPairs:
    """The pairs aligned with the native's reflections."""
    at = positions(native.reflections.hkl, measured.reflections.hkl)
    known = at >= 0

    def moved(x: F64) -> F64:
        return np.asarray(np.where(known, x[np.maximum(at, 0)], np.nan))

    found = FriedelPairs(
        moved(pairs.plus), moved(pairs.sigma_plus), moved(pairs.minus), moved(pairs.sigma_minus), pairs.labels
    )
    share = float((found.some & native.reflections.observed).sum()) / max(int(native.reflections.observed.sum()), 1)
    if share < FEWEST_COMMON:
        raise InputError(
            f"{measured.path} has only {100 * share:.0f} % of the reflections of {native.path}; a derivative must have "
            f"at least {100 * FEWEST_COMMON:.0f} % of them."
        )
    return found


def _sites(path: str, data: DataSet) -> tuple[F64, list[str]]:
    """Sites (k, 5) in fractions of the native's cell, and their elements."""
    model = read_model(path).structure
    if any(not operator.given for operator in model.ncs):
        raise InputError(
            f"{path} holds heavy atoms of one copy and strict non-crystallographic symmetry (MTRIX, _struct_ncs_oper) "
            "that makes the others: write all heavy atoms (gemmi convert --expand-ncs=new does)."
        )
    own = structure_crystal(model)
    frac = data.crystal.frac if own is None else own.frac
    rows, names = [], []
    for cra in model[0].all():
        atom = cra.atom
        if atom.occ > 0.0:
            place = frac @ np.array(atom.pos.tolist())
            rows.append([*place, float(np.clip(atom.b_iso, 2.0, 150.0)), float(atom.occ)])
            names.append(atom.element.name)
    if not rows:
        raise InputError(f"{path} has no atom that could be a heavy-atom site.")
    if len(rows) > MOST_SITES:
        raise InputError(
            f"{path} has {len(rows)} atoms; --derivative-model is a file of the derivative's heavy atoms alone "
            f"(at most {MOST_SITES}), without the native's."
        )
    sites = np.array(rows)
    sites[:, 4] /= [_multiplicity(data.crystal, row[:3]) for row in sites]
    return sites, names


def _multiplicity(crystal: Crystal, x: F64) -> int:
    """Number of operations that leave the place ``x`` (3,), in fractions, where it is."""
    copies = crystal.rotations @ x + crystal.translations
    delta = copies - x
    delta -= np.round(delta)
    return int((np.linalg.norm(delta @ crystal.orth.T, axis=1) < SAME_SITE).sum())
