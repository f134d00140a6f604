"""Form factors from gemmi: X-rays (IT92), electrons (International Tables C 4.3.2.2) and neutrons."""

from __future__ import annotations

from collections.abc import Sequence

import gemmi
import numpy as np
from numpy.typing import NDArray

from ..errors import InputError

F64 = NDArray[np.float64]

XRAY, NEUTRON, ELECTRON = "xray", "neutron", "electron"
SOURCES = (XRAY, NEUTRON, ELECTRON)


def form_factors(elements: Sequence[str], source: str) -> tuple[F64, F64]:
    """Gaussians a and b (n, g) of ``elements`` for a ``source`` of :data:`SOURCES`; see the functions below."""
    return {XRAY: xray_gaussians, NEUTRON: neutron_gaussians, ELECTRON: electron_gaussians}[source](elements)


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
        element = gemmi.Element("H" if name == "D" else name)
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

    Neutron News 3 (1992) 29; hydrogen (−3.74 fm) and deuterium (6.67 fm) differ.

    Returns:
        a (n, 1) fm and b (n, 1) Å².

    Raises:
        InputError: an element has no tabulated scattering length.
    """
    a = np.zeros((len(elements), 1))
    for k, name in enumerate(elements):
        element = gemmi.Element(name)
        table = element.neutron92
        a[k, 0] = 0.0 if table is None or element.atomic_number == 0 else table.get_coefs()[0]
        if a[k, 0] == 0.0:
            raise InputError(
                f"The model holds an atom of element '{name}', for which there is no neutron scattering length; "
                "correct its element column."
            )
    return a, np.zeros_like(a)


def electron_gaussians(elements: Sequence[str]) -> tuple[F64, F64]:
    """Form factors of neutral atoms for electrons, f(s) = Σ a exp(−b s²/4), table 4.3.2.2 (Peng et al. 1996).

    Returns:
        a (n, 5) Å and b (n, 5) Å².

    Raises:
        InputError: an element has no tabulated form factor.
    """
    a, b = np.zeros((len(elements), 5)), np.zeros((len(elements), 5))
    for k, name in enumerate(elements):
        element = gemmi.Element("H" if name == "D" else name)
        table = element.c4322
        if table is None or element.atomic_number == 0:
            raise InputError(
                f"The model holds an atom of element '{name}', for which there is no electron form factor; "
                "correct its element column."
            )
        a[k], b[k] = table.a, table.b
    return a, b
