"""Form factors at a wavelength, and Friedel pairs with the anomalous scatterers of the model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..config import AnomalousOptions
from ..errors import InputError, UsageError
from ..model.anomalous import AnomalousInput, AnomalousRows, Derivative
from .anomalous import anomalous_factors, given_factors, imaginary_gaussians, with_f_prime
from .friedel import merged_alone
from .reflections import DataSet

F64 = NDArray[np.float64]

OPTION = "--anomalous-factors"
LEAST_REFINED = 0.3
"""Electrons: f″ of lighter scatterers is not refined."""
LEAST = 0.05
"""Electrons: a model whose every f″ is below this has nothing to tell two mates apart by."""


@dataclass(frozen=True, slots=True, eq=False)
class Scattering:
    """Form factors, one (a, b) a row of structure factors, and the Friedel pairs that are refined against: those of
    the data or of a derivative."""

    form_factors: tuple[tuple[F64, F64], ...]
    anomalous: AnomalousInput | None
    messages: tuple[str, ...] = ()
    derivative: Derivative | None = None


def with_anomalous(
    plain: tuple[F64, F64], elements: Sequence[str], data: DataSet, options: AnomalousOptions
) -> Scattering:
    """Add f′ and, for the SAD likelihood, rows of f″ to the form factors ``plain`` of ``elements`` (n_scatterer).

    Raises:
        UsageError, InputError: an option cannot be followed with these data or this model.
    """
    asked = options.anomalous or options.wavelength is not None or bool(options.anomalous_factors)
    if not asked:
        return Scattering((plain,), None)
    given = given_factors(options.anomalous_factors, elements, OPTION)
    wavelength = options.wavelength
    if wavelength is None and data.wavelength > 0.0:
        wavelength = data.wavelength
    if wavelength is None:
        missing = [name for name in elements if name.upper() not in given]
        if missing and options.anomalous:
            raise UsageError(
                f"{data.path} does not say at which wavelength it was measured; give it with --wavelength (Å)."
            )
        f_prime, f_second = np.zeros(len(elements)), np.zeros(len(elements))
        for k, name in enumerate(elements):
            f_prime[k], f_second[k] = given.get(name.upper(), (0.0, 0.0))
    else:
        f_prime, f_second = anomalous_factors(elements, wavelength, given)
    with_real = with_f_prime(plain, f_prime)
    notable = sorted(range(len(elements)), key=lambda k: -f_second[k])[:3]
    values = "; ".join(f"{elements[k].capitalize()} {f_prime[k]:.2f}, {f_second[k]:.2f}" for k in notable)
    where = "" if wavelength is None else f" at {wavelength:.4f} Å"
    told = [f"Anomalous scattering{where}, f′ and f″ in electrons: {values}."]
    if not options.anomalous:
        return Scattering((with_real,), None, tuple(told))
    pairs = data.friedel
    if pairs is None or not pairs.both.any():
        raise InputError(
            f"{data.path} has no Friedel pairs, F(+) and F(-) or I(+) and I(-), that --anomalous could refine "
            "against; name their columns with --labels or leave the option out."
        )
    if merged_alone(pairs):
        raise InputError(
            f"The Friedel pairs of {data.path} are equal everywhere: Friedel's law was applied when they were merged. "
            "Merge them apart, or leave --anomalous out."
        )
    if f_second.max(initial=0.0) < LEAST:
        raise InputError(
            f"No element of the model has an f″ above {LEAST:g} electrons{where}; add the anomalous scatterers to the "
            "model or leave --anomalous out."
        )
    rows = _rows(elements, f_second, options.refine_fdoubleprime)
    factors = (with_real, *(imaginary_gaussians(row) for row in rows.f_second))
    return Scattering(factors, AnomalousInput(pairs, rows), tuple(told))


def _rows(elements: Sequence[str], f_second: F64, refine: bool) -> AnomalousRows:
    names, rows, refined = [], [], []
    rest = f_second.copy()
    if refine:
        for name in dict.fromkeys(elements):
            own = np.array([other == name for other in elements])
            if f_second[own].max() >= LEAST_REFINED:
                names.append(name.capitalize())
                rows.append(np.where(own, f_second, 0.0))
                refined.append(True)
                rest[own] = 0.0
        if not names:
            raise UsageError(
                f"--refine-fdoubleprime: no element of the model has an f″ of {LEAST_REFINED:g} electrons or more."
            )
    if rest.any() or not names:
        names.append("other elements" if names else "all elements")
        rows.append(rest)
        refined.append(False)
    return AnomalousRows(tuple(names), np.array(rows), np.array(refined))
