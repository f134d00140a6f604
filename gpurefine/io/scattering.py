"""Form factors from gemmi: X-rays (IT92), electrons (International Tables C 4.3.2.2) and neutrons."""

from __future__ import annotations

import re
from collections.abc import Sequence

import gemmi
import numpy as np
from numpy.typing import NDArray

from ..errors import InputError

F64 = NDArray[np.float64]

XRAY, NEUTRON, ELECTRON = "xray", "neutron", "electron"
SOURCES = (XRAY, NEUTRON, ELECTRON)

OXYGEN_HYDROGEN = 0.97
"""Å from nucleus to nucleus in water."""
TURNING_B = 16.0 * np.pi**2 * OXYGEN_HYDROGEN**2 / 6.0
"""Å² of a point at this distance in any direction: its sin(2πrs)/(2πrs) and exp(−B s²/4) have the same curvature."""


def form_factors(elements: Sequence[str], source: str) -> tuple[F64, F64]:
    """Gaussians a and b (n, g) of ``elements`` for a ``source`` of :data:`SOURCES`; see the functions below."""
    return {XRAY: xray_gaussians, NEUTRON: neutron_gaussians, ELECTRON: electron_gaussians}[source](elements)


def isotope_name(deuterium: float) -> str:
    """Name of a hydrogen scatterer of which the part ``deuterium`` is D: "H", "D" or "D0.39"."""
    part = round(min(max(deuterium, 0.0), 1.0), 2)
    return "H" if part == 0.0 else "D" if part == 1.0 else f"D{part:.2f}"


def deuterium_part(name: str) -> float | None:
    """Part of D in a hydrogen scatterer; None of other elements."""
    if name in ("H", "D"):
        return float(name == "D")
    return float(name[1:]) if re.fullmatch(r"D0\.\d\d", name) else None


def water_name(hydrogens: int, deuterium: float) -> str:
    """Name of a water's oxygen with ``hydrogens`` freely turning ones: "O", "O+2D", "O+1D0.39"."""
    return f"O+{hydrogens}{isotope_name(deuterium)}" if hydrogens else "O"


def water_parts(name: str) -> tuple[int, float] | None:
    """Number of turning hydrogens and their part of deuterium in the oxygen of a water; None of other scatterers."""
    found = re.fullmatch(r"O\+(\d)(H|D|D0\.\d\d)", name)
    part = deuterium_part(found[2]) if found else None
    return None if found is None or part is None else (int(found[1]), part)


def xray_gaussians(elements: Sequence[str]) -> tuple[F64, F64]:
    """Gaussian form factors of neutral atoms, f(s) = Σ a exp(−b s²/4) with s = 1/d.

    The International Tables C (1992) table 6.1.1.4 has four Gaussians and a constant; the constant is a
    Gaussian with b = 0.

    Returns:
        a (n, 5) electrons and b (n, 5) Å².

    Raises:
        InputError: an element has no tabulated form factor.
    """
    a = np.zeros((len(elements), 5))
    b = np.zeros((len(elements), 5))
    for k, name in enumerate(elements):
        element = gemmi.Element(name if deuterium_part(name) is None else "H")
        coefficients = element.it92
        if coefficients is None or element.atomic_number == 0:
            raise InputError(
                f"The model holds an atom of element '{name}', for which there is no X-ray form factor; "
                "correct its element column."
            )
        a[k, :4], a[k, 4] = coefficients.a, coefficients.c
        b[k, :4] = coefficients.b
    return a, b


def neutron_gaussians(elements: Sequence[str]) -> tuple[F64, F64]:
    """Bound coherent neutron scattering lengths: one Gaussian with b = 0, since a nucleus is a point.

    Neutron News 3 (1992) 29; hydrogen (−3.74 fm) and deuterium (6.67 fm) differ.  A water's oxygen with hydrogens that
    turn freely (:func:`water_name`) has a second Gaussian, :data:`TURNING_B`.

    Returns:
        a (n, g) fm and b (n, g) Å²; g is 2 with such waters, else 1.

    Raises:
        InputError: an element has no tabulated scattering length.
    """
    waters = {k: found for k, name in enumerate(elements) if (found := water_parts(name))}
    a = np.zeros((len(elements), 2 if waters else 1))
    b = np.zeros_like(a)
    for k, name in enumerate(elements):
        if k in waters:
            count, part = waters[k]
            a[k] = _length("O"), count * _hydrogen_length(part)
            b[k, 1] = TURNING_B
            continue
        own = deuterium_part(name)
        if own is not None:
            a[k, 0] = _hydrogen_length(own)
            continue
        a[k, 0] = _length(name)
        if a[k, 0] == 0.0:
            raise InputError(
                f"The model holds an atom of element '{name}', for which there is no neutron scattering length; "
                "correct its element column."
            )
    return a, b


def _hydrogen_length(deuterium: float) -> float:
    return (1.0 - deuterium) * _length("H") + deuterium * _length("D")


def _length(name: str) -> float:
    """Scattering length in fm, 0 where there is none."""
    element = gemmi.Element(name)
    table = element.neutron92
    return 0.0 if table is None or element.atomic_number == 0 else float(table.get_coefs()[0])


def electron_gaussians(elements: Sequence[str]) -> tuple[F64, F64]:
    """Form factors of neutral atoms for electrons, f(s) = Σ a exp(−b s²/4), table 4.3.2.2 (Peng et al. 1996).

    Returns:
        a (n, 5) Å and b (n, 5) Å².

    Raises:
        InputError: an element has no tabulated form factor.
    """
    a, b = np.zeros((len(elements), 5)), np.zeros((len(elements), 5))
    for k, name in enumerate(elements):
        element = gemmi.Element(name if deuterium_part(name) is None else "H")
        table = element.c4322
        if table is None or element.atomic_number == 0:
            raise InputError(
                f"The model holds an atom of element '{name}', for which there is no electron form factor; "
                "correct its element column."
            )
        a[k], b[k] = table.a, table.b
    return a, b
