"""Anomalous scattering factors f′ and f″ of the elements at a wavelength."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import gemmi
import numpy as np
from numpy.typing import NDArray

from ..errors import UsageError

F64 = NDArray[np.float64]

WAVELENGTHS = (0.2, 6.0)
"""Å: the range for which the tables are good."""
HEAVIEST = 92
"""Last element of the Cromer–Liberman tables."""


def anomalous_factors(
    elements: Sequence[str], wavelength: float, given: Mapping[str, tuple[float, float]] | None = None
) -> tuple[F64, F64]:
    """f′ and f″ in electrons, (n,) each, of ``elements`` at ``wavelength`` (Å).

    Cromer & Liberman (1981, Acta Cryst. A37, 267) with Kissel and Pratt's correction, from gemmi; values that the user
    measured win.  Hydrogen has none.

    Args:
        given: (f′, f″) of elements by their symbol, such as {"SE": (-8.0, 4.5)}.

    Raises:
        UsageError: the wavelength is outside the tables, or an element is, and is not given.
    """
    low, high = WAVELENGTHS
    if not low <= wavelength <= high:
        raise UsageError(
            f"A wavelength of {wavelength:g} Å lies outside the tables of f′ and f″ ({low:g} to {high:g} Å); correct "
            "--wavelength."
        )
    energy = gemmi.hc / wavelength if not callable(gemmi.hc) else gemmi.hc() / wavelength
    own = {name.upper(): value for name, value in (given or {}).items()}
    f_prime, f_second = np.zeros(len(elements)), np.zeros(len(elements))
    for k, name in enumerate(elements):
        if name.upper() in own:
            f_prime[k], f_second[k] = own[name.upper()]
            continue
        number = gemmi.Element(name).atomic_number
        if number > HEAVIEST:
            raise UsageError(f"There are no tables of f′ and f″ for {name}; give them for this element.")
        if number > 1:
            f_prime[k], f_second[k] = gemmi.cromer_liberman(number, energy)
    return f_prime, f_second


def given_factors(texts: Sequence[str], elements: Sequence[str], option: str) -> dict[str, tuple[float, float]]:
    """(f′, f″) by element from texts such as "Se,-8.0,4.5".

    Args:
        elements: of the model; option: as the user knows it.

    Raises:
        UsageError: a text is of another form, its f″ negative, or its element not in the model.
    """
    found: dict[str, tuple[float, float]] = {}
    present = {name.upper() for name in elements}
    for text in texts:
        parts = [part.strip() for part in text.split(",")]
        try:
            name, f_prime, f_second = parts[0], float(parts[1]), float(parts[2])
            sound = len(parts) == 3 and np.isfinite([f_prime, f_second]).all() and gemmi.Element(name).atomic_number > 0
        except (IndexError, ValueError):
            sound, name, f_prime, f_second = False, "", 0.0, 0.0
        if not sound:
            raise UsageError(f"{option} {text} must be an element, f′ and f″ in electrons, such as Se,-8.0,4.5.")
        if f_second < 0.0:
            raise UsageError(f"{option} {text}: f″ cannot be negative.")
        if name.upper() not in present:
            raise UsageError(
                f"{option} {text}: the model has no atom of {name}; its elements are {', '.join(sorted(elements))}."
            )
        if name.upper() in found:
            raise UsageError(f"{option} names {name} twice.")
        found[name.upper()] = f_prime, f_second
    return found


def imaginary_gaussians(f_second: F64) -> tuple[F64, F64]:
    """The form factors of the imaginary density: f″ (n,) as one Gaussian with b = 0 each.

    Returns:
        a (n, 1) electrons and b (n, 1) Å².
    """
    return np.asarray(f_second, np.float64)[:, None].copy(), np.zeros((len(f_second), 1))


def with_f_prime(gaussians: tuple[F64, F64], f_prime: F64) -> tuple[F64, F64]:
    """Form factors (n, g) whose constant term, the last Gaussian with b = 0, has f′ (n,) added."""
    a, b = gaussians
    if (b[:, -1] != 0.0).any():
        raise ValueError("the last Gaussian is not the constant term")
    changed = a.copy()
    changed[:, -1] += f_prime
    return changed, b
