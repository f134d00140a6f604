"""Expected information of the data about each atom (method 2; paper (32); Steiner et al. 2003).

The Fisher diagonal of a parameter p is Σ_h W(h) |∂F/∂p|² with W the expected radial information of the reflection, ½
for the acentric phase average, and all symmetry copies counted.  For one atom |∂F/∂p|² depends only on f(s), B and
s, so sums over resolution shells of W s⊗s and W s⁴ serve every atom.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..backend.gaussians import full_tensors
from ..backend.plans import AtomInformation, DensityPlan, Scatterers
from ..constants import FOUR_PI2, VOIGT
from ..model.crystal import Crystal

F64 = NDArray[np.float64]
N_SHELL = 60


@dataclass(frozen=True, slots=True, eq=False)
class InformationShells:
    """What does not change between cycles: shells, and s⊗s of every reflection averaged over the Laue group.

    Attributes:
        shell: (n,) shell of each reflection; s2: (n,) 1/d²; outer: (n, 6) Cartesian s⊗s, 11 22 33 12 13 23.
        multiplicity: (n,) (1 centric, ½ acentric) × ε × n_op × centring: sums over symmetry copies.
    """

    shell: NDArray[np.intp]
    s2: F64
    outer: F64
    multiplicity: F64

    def atoms(self, plan: DensityPlan, atoms: Scatterers, information: F64) -> AtomInformation:
        """Blocks of every atom for radial information ``information`` (n,) with respect to |F_protein|."""
        weight = information * self.multiplicity
        total = np.bincount(self.shell, weight, minlength=N_SHELL)
        safe = np.maximum(total, 1e-300)
        s2 = np.where(total > 0.0, np.bincount(self.shell, weight * self.s2, minlength=N_SHELL) / safe, 0.0)
        tensor = np.stack([np.bincount(self.shell, weight * column, minlength=N_SHELL) for column in self.outer.T], 1)
        fourth = np.bincount(self.shell, weight * self.s2**2, minlength=N_SHELL) / 16.0
        form = np.einsum("cg,cgk->ck", plan.gauss_a, np.exp(-0.25 * plan.gauss_b[:, :, None] * s2))
        b = atoms.b_iso
        power = (atoms.weight[:, None] * form[atoms.kind]) ** 2 * np.exp(-0.5 * b[:, None] * s2)
        six = FOUR_PI2 * power @ tensor
        xyz = full_tensors(six)
        occupied = atoms.weight != 0.0
        by_weight = np.divide(power @ total, atoms.weight**2, out=np.zeros(len(b)), where=occupied)
        return AtomInformation(xyz, power @ fourth, by_weight)


def plan_information(
    crystal: Crystal, hkl: NDArray[np.int32], centric: NDArray[np.bool_], epsilon: F64
) -> InformationShells:
    """Prepare the shells for reflections ``hkl`` (n, 3)."""
    s2 = crystal.inv_d2(hkl)
    order = np.argsort(s2, kind="stable")
    shell = np.empty(len(s2), np.intp)
    shell[order] = (np.arange(len(s2)) * N_SHELL) // len(s2)
    s = hkl @ crystal.frac
    outer = np.zeros((len(s2), 6))
    # a copy x' = Rx + t makes the reflection see the atom along Rᵀs
    for rotation in crystal.cartesian_rotations()[: crystal.n_primitive]:
        turned = s @ rotation
        for k, (i, j) in enumerate(VOIGT):
            outer[:, k] += turned[:, i] * turned[:, j]
    outer /= crystal.n_primitive
    multiplicity = np.where(centric, 1.0, 0.5) * epsilon * crystal.n_primitive * crystal.n_centring**2
    return InformationShells(shell, s2, outer, multiplicity)
