"""Physical constants and array conventions used everywhere.

Units inside the program: Å, Å², electrons, radians.  Six-vectors of symmetric
tensors are ordered 11 22 33 12 13 23 (Cartesian) unless a name says otherwise.
"""

import math

EIGHT_PI2 = 8.0 * math.pi**2
"""B = 8π²U."""

TWO_PI2 = 2.0 * math.pi**2
FOUR_PI2 = 4.0 * math.pi**2
DEGREE = math.pi / 180.0
"""Radians in one degree."""

VOIGT = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))
"""Rows and columns of a symmetric tensor in the order of its six-vector."""

B_MIN = 0.5
"""Smallest isotropic B (Å²) a refinement step may reach."""

B_MAX = 999.0
"""Largest isotropic B (Å²) that the PDB format's two-decimal field conventionally holds."""

SPECIAL_POSITION_DISTANCE = 0.2
"""Å: an atom nearer than this to a symmetry element is taken to sit on it (method 5)."""
