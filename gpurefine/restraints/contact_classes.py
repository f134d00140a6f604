"""What kind of contact two atoms make, and how near they may come.

Critical distances and σ as REFMAC and servalcat use them (radii: CCP4 monomer library, at most 2 Å):

=============  ============================================================  =====
kind           critical distance                                             σ (Å)
=============  ============================================================  =====
vdw            r₁ + r₂                                                       0.2
torsion (1-4)  r₁ + r₂ − 0.1 for each of N and O, − 0.15 for each other      0.2
hbond          donor and acceptor: r₁ + r₂ − 0.3; H and acceptor: r + 0.1    0.2
metal          sum of ionic radii, where the library has both                0.2
bare (1-3)     sum of covalent radii (two bonds apart, no angle restraint)   0.2
=============  ============================================================  =====
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..backend.ops_pairs import ContactClasses
from ..backend.ops_restraints import BARE, TORSION, Contacts
from ..model.topology import NonbondedTypes
from .covalent_radii import covalent_radius

F64 = NDArray[np.float64]
I8 = NDArray[np.int8]

CONTACT_KINDS = ("vdw", "vdw_torsion", "vdw_hbond", "vdw_metal", "vdw_bare")
"""Names by number of the kinds that :func:`classify` gives."""

VDW_RADIUS_MAX = 2.0
SIGMA = 0.2
HBOND_HEAVY, HBOND_HYDROGEN = -0.3, 0.1
TORSION_NO, TORSION_OTHER = -0.1, -0.15
DONOR, ACCEPTOR, BOTH, DONATED = 1, 2, 3, 4


def capped_radius(types: NonbondedTypes) -> F64:
    """Van der Waals radii (n,) Å, at most 2 Å."""
    return np.minimum(types.vdw_radius, VDW_RADIUS_MAX)


def reach(types: NonbondedTypes) -> F64:
    """(n,) Å; no critical distance exceeds the sum of the reaches of its two atoms."""
    ion = np.nan_to_num(types.ion_radius)
    return np.maximum(np.maximum(capped_radius(types), ion), covalent_radius(types.element))


def contact_classes(types: NonbondedTypes) -> ContactClasses:
    """What :func:`classify` reads, for a backend that does the same on a device."""
    return ContactClasses(
        radius=capped_radius(types), ion=types.ion_radius, covalent=covalent_radius(types.element),
        shorter=_shorter(types), is_metal=types.is_metal, hb_type=types.hb_type, hbond_heavy=HBOND_HEAVY,
        hbond_hydrogen=HBOND_HYDROGEN, sigma=SIGMA,
    )


def _shorter(types: NonbondedTypes) -> F64:
    """(n,) Å, what a torsion between two atoms takes off for each of them."""
    return np.asarray(np.where(np.isin(types.element, (7, 8)), TORSION_NO, TORSION_OTHER))


def classify(contacts: Contacts, types: NonbondedTypes) -> tuple[I8, F64]:
    """Kind (k,) int8, index into :data:`CONTACT_KINDS`, and critical distance (k,) Å of each contact."""
    i, j = contacts.first, contacts.second
    radius = capped_radius(types)
    r1, r2 = radius[i], radius[j]
    critical = r1 + r2
    kind = np.zeros(len(i), np.int8)

    ion = (types.ion_radius[i] + types.ion_radius[j])
    metal = (types.is_metal[i] | types.is_metal[j]) & np.isfinite(ion)
    critical = np.where(metal, ion, critical)
    kind[metal] = 3

    a, b = types.hb_type[i], types.hb_type[j]
    heavy_a, heavy_b = (a >= DONOR) & (a <= BOTH), (b >= DONOR) & (b <= BOTH)
    hbond = heavy_a & heavy_b & ((a != b) | (a == BOTH))
    critical = np.where(hbond, r1 + r2 + HBOND_HEAVY, critical)
    takes_a, takes_b = (a == ACCEPTOR) | (a == BOTH), (b == ACCEPTOR) | (b == BOTH)
    to_a, to_b = takes_a & (b == DONATED), takes_b & (a == DONATED)
    critical = np.where(to_a, r1 + HBOND_HYDROGEN, critical)
    critical = np.where(to_b, r2 + HBOND_HYDROGEN, critical)
    kind[hbond | to_a | to_b] = 2

    less = _shorter(types)
    torsion = contacts.relation == TORSION
    critical = np.where(torsion, r1 + r2 + less[i] + less[j], critical)
    kind[torsion] = 1

    bare = contacts.relation == BARE
    covalent = covalent_radius(types.element)
    critical = np.where(bare, covalent[i] + covalent[j], critical)
    kind[bare] = 4
    return kind, critical
