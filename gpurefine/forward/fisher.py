"""Expected information of the data about each atom (method 2; paper (32); Steiner et al. 2003).

The Fisher diagonal of a parameter p is Σ_h W(h) |∂F/∂p|² with W the expected radial information of the reflection, ½
for the acentric phase average, and all symmetry copies counted.  For one atom |∂F/∂p|² depends only on f(s), B and
s, so sums over resolution shells of W s⊗s, W s⁴ and W s⊗s⊗s⊗s serve every atom.  For this an anisotropic atom counts
with its equivalent B: what its own U changes is small beside what the neglect of overlap between atoms leaves out.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..backend.gaussians import full_tensors
from ..backend.ops import Backend
from ..backend.ops_reflections import Array, Groups
from ..backend.plans import AtomInformation, DensityPlan, Scatterers
from ..constants import EIGHT_PI2, FOUR_PI2, VOIGT
from ..model.crystal import Crystal

F64 = NDArray[np.float64]
N_SHELL = 60


@dataclass(frozen=True, slots=True, eq=False)
class InformationShells:
    """What does not change between cycles: shells, and s⊗s of every reflection averaged over the Laue group.

    Attributes:
        backend: performs the sums over shells.
        shells: of all reflections (n,).
        columns: (9, n) what is summed: 1, 1/d², Cartesian s⊗s (11 22 33 12 13 23), 1/d⁴.
        s, rotations: (n, 3) Cartesian s and (n_op, 3, 3) what is averaged over.
        multiplicity: (n,) (1 centric, ½ acentric) × ε × n_op × centring: sums over symmetry copies.
    """

    backend: Backend
    shells: Groups
    columns: F64
    s: F64
    rotations: F64
    multiplicity: F64
    _fourth: list[F64] = field(default_factory=list)

    def atoms(self, plan: DensityPlan, atoms: Scatterers, information: Array) -> AtomInformation:
        """Blocks of every atom for radial information ``information`` (n,) with respect to |F_protein|."""
        weight = self.backend.product(information, self.multiplicity, 1)
        sums = self.backend.group_sums(self.shells, self.columns, weight)
        total, tensor, fourth = sums[:, 0], sums[:, 2:8], sums[:, 8] / 16.0
        s2 = np.where(total > 0.0, sums[:, 1] / np.maximum(total, 1e-300), 0.0)
        form = np.einsum("cg,cgk->ck", plan.gauss_a, np.exp(-0.25 * plan.gauss_b[:, :, None] * s2))
        b = atoms.b_iso
        if atoms.is_aniso.any():
            b = np.where(atoms.is_aniso, EIGHT_PI2 / 3.0 * atoms.u_aniso[:, :3].sum(axis=1), b)
        # one product for positions (6), B and the weight, of atoms of unit weight
        columns = np.column_stack([FOUR_PI2 * tensor, fourth, total])
        unit = self.backend.shell_products(b, atoms.kind, s2, form, columns)
        scaled = unit * (atoms.weight**2)[:, None]
        xyz = full_tensors(scaled[:, :6])
        by_weight = unit[:, 7].copy()
        tensors = None
        if atoms.is_aniso.any():
            own = atoms.is_aniso
            tensors = np.zeros((len(b), 6, 6))
            flat = self.backend.shell_products(b[own], atoms.kind[own], s2, form, self._tensor_columns(weight))
            tensors[own] = _filled((atoms.weight[own] ** 2)[:, None] * flat)
        return AtomInformation(xyz, scaled[:, 6].copy(), by_weight, tensors)

    def _tensor_columns(self, weight: Array) -> F64:
        """(N_SHELL, 21) of blocks of U: 4π⁴ Σ W q_a q_b, a ≤ b, q = ∂(sᵀUs)/∂U."""
        if not self._fourth:
            self._fourth.append(_fourth_moments(self.s, self.rotations))
        return (0.25 * FOUR_PI2**2) * self.backend.group_sums(self.shells, self._fourth[0], weight)


def _filled(flat: F64) -> F64:
    """Symmetric blocks (m, 6, 6) of their upper triangles (m, 21)."""
    upper, out = np.triu_indices(6), np.empty((len(flat), 6, 6))
    out[:, upper[0], upper[1]] = flat
    out[:, upper[1], upper[0]] = flat
    return out


def _fourth_moments(s: F64, rotations: F64) -> F64:
    """(21, n) products q_a q_b, a ≤ b, of each reflection averaged over the copies that ``rotations`` make of s (n, 3).

    q = s₁², s₂², s₃², 2s₁s₂, 2s₁s₃, 2s₂s₃ is the derivative of sᵀUs with respect to U.
    """
    out = np.zeros((21, len(s)))
    for rotation in rotations:
        turned = s @ rotation
        q = [turned[:, i] * turned[:, j] * (1.0 if i == j else 2.0) for i, j in VOIGT]
        for k, (a, b) in enumerate(zip(*np.triu_indices(6), strict=True)):
            out[k] += q[a] * q[b]
    return out / len(rotations)


def plan_information(
    backend: Backend, crystal: Crystal, hkl: NDArray[np.int32], centric: NDArray[np.bool_], epsilon: F64
) -> InformationShells:
    """Prepare the shells for reflections ``hkl`` (n, 3)."""
    s2 = crystal.inv_d2(hkl)
    order = np.argsort(s2, kind="stable")
    shell = np.empty(len(s2), np.intp)
    shell[order] = (np.arange(len(s2)) * N_SHELL) // len(s2)
    s = hkl @ crystal.frac
    outer = np.zeros((len(s2), 6))
    # a copy x' = Rx + t makes the reflection see the atom along Rᵀs
    rotations = crystal.cartesian_rotations()[: crystal.n_primitive]
    for rotation in rotations:
        turned = s @ rotation
        for k, (i, j) in enumerate(VOIGT):
            outer[:, k] += turned[:, i] * turned[:, j]
    outer /= crystal.n_primitive
    multiplicity = np.where(centric, 1.0, 0.5) * epsilon * crystal.n_primitive * crystal.n_centring**2
    columns = np.stack([np.ones(len(s2)), s2, *outer.T, s2**2])
    return InformationShells(
        backend, Groups.of(shell, N_SHELL, np.arange(len(s2))), columns, s, rotations, multiplicity
    )
