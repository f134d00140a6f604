"""X-ray form factors (IT92) from gemmi."""

from __future__ import annotations

from collections.abc import Sequence

import gemmi
import numpy as np
from numpy.typing import NDArray

from ..errors import InputError


def xray_gaussians(elements: Sequence[str]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
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
