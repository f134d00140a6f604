"""Covalent radii of the elements: Cordero et al. (2008), Dalton Trans., 2832."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_PICOMETRES = (
    "31 28 128 96 84 76 71 66 57 58 166 141 121 111 107 105 102 106 203 176 170 160 153 139 "
    "139 132 126 124 132 122 122 120 119 120 120 116 220 195 190 175 164 154 147 146 142 139 145 144 "
    "142 139 139 138 139 140 244 215 207 204 203 201 199 198 198 196 194 192 192 189 190 187 187 175 "
    "170 162 151 144 141 136 136 132 145 146 148 140 150 150 260 221 215 206 200 196 190 187 180 169"
)

COVALENT_RADIUS = np.array([0.31, *(int(r) / 100.0 for r in _PICOMETRES.split())])
"""Å, by atomic number (1–96; 0 stands for hydrogen isotopes and dummies)."""


def covalent_radius(element: NDArray[np.int8]) -> NDArray[np.float64]:
    """Radii (n,) Å of atomic numbers (n,); 1.5 Å beyond curium."""
    known = (element >= 0) & (element < len(COVALENT_RADIUS))
    return np.asarray(np.where(known, COVALENT_RADIUS[np.where(known, element, 0)], 1.5))
