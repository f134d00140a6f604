"""The total target: Σ experiments + restraints, and its local quadratic model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..backend.ops import Backend
from ..backend.plans import Scatterers
from ..model.atoms import Atoms
from ..model.topology import Topology
from ..optimise.gauss_newton import LinearBlock
from ..params.atomic import AtomicParameters
from ..restraints.adp import AdpRestraints
from ..restraints.geometry import GeometryRestraints
from ..restraints.nonbonded import NonbondedRestraints
from ..restraints.positions import PositionRestraints
from ..restraints.riding import HydrogenIdealiser
from .experiment import Experiment
from .timing import Timer

F64 = NDArray[np.float64]
C128 = NDArray[np.complex128]

DAMPING = 1.5
"""The expected information is a diagonal that leaves out how atoms share the data, so a step with it overshoots and R
oscillates from cycle to cycle; this factor on the X-ray blocks damps that.  The peer has 2 without saying so."""

DAMPING_MIN, DAMPING_MAX = 1.25, 4.0
DAMPING_UP, DAMPING_DOWN = 1.3, 0.95

LIMIT_XYZ = 1.0
LIMIT_B = 30.0


@dataclass(slots=True, eq=False)
class State:
    """The moving model: ``xyz`` (n, 3) Å, ``b_iso`` (n,) Å² and its structure factors ``f_protein`` (n_refl,)."""

    xyz: F64
    b_iso: F64
    f_protein: C128


@dataclass(slots=True, eq=False)
class Objective:
    """Weighted likelihood plus restraints of one model and one data set."""

    backend: Backend
    atoms: Atoms
    topology: Topology
    experiment: Experiment
    parameters: AtomicParameters
    geometry: GeometryRestraints
    nonbonded: NonbondedRestraints
    adp: AdpRestraints
    positions: PositionRestraints
    hydrogens: HydrogenIdealiser
    timer: Timer
    damping: float = DAMPING

    def scatterers(self, xyz: F64, b_iso: F64) -> Scatterers:
        """The atoms as the density operations take them."""
        a = self.atoms
        return Scatterers(xyz, b_iso, a.u_aniso, a.is_aniso, a.scattering_weight, a.scatterer)

    def state(self, xyz: F64, b_iso: F64) -> State:
        """A model with its structure factors."""
        return State(xyz, b_iso, self.experiment.structure_factors(self.scatterers(xyz, b_iso)))

    def regenerate_hydrogens(self, xyz: F64) -> F64:
        """Positions (n, 3) with riding hydrogens where the dictionary wants them, heavy atoms unmoved."""
        with self.timer("hydrogens"):
            return self.hydrogens.idealise(xyz)

    def list_contacts(self, xyz: F64) -> None:
        """Rebuild the lists of non-bonded and displacement pairs; they stay as they are within a cycle."""
        with self.timer("contacts"):
            contacts = self.nonbonded.update(xyz)
            self.adp.update(xyz, contacts)

    def restraints(self, xyz: F64, b_iso: F64) -> float:
        """Value of all restraints."""
        with self.timer("restraints"):
            total = 0.0
            if self.parameters.refine_xyz:
                total += self.geometry.value(xyz) + self.nonbonded.value(xyz) + self.positions.value(xyz)
            if self.parameters.refine_b:
                total += self.adp.value(b_iso)
            return total

    def value(self, state: State, weight: float) -> float:
        """weight × Σ(−LL) + restraints at fixed scale, solvent, error model, pair lists and riding offsets."""
        return weight * self.experiment.value(state.f_protein) + self.restraints(state.xyz, state.b_iso)

    def adapt_damping(self, halvings: int) -> None:
        """Stiffen the X-ray blocks after a step that had to be shortened, relax them slowly otherwise."""
        factor = DAMPING_UP if halvings else DAMPING_DOWN
        self.damping = float(np.clip(self.damping * factor, DAMPING_MIN, DAMPING_MAX))

    def linearise(self, state: State, weight: float) -> Sequence[LinearBlock]:
        """Gradient and curvature of positions and of B (those that are refined)."""
        atoms = self.scatterers(state.xyz, state.b_iso)
        slope, information = self.experiment.linearise(atoms, state.f_protein)
        p = self.parameters
        blocks: list[LinearBlock] = []
        with self.timer("restraints"):
            if p.refine_xyz:
                geometry = self.geometry.evaluate(state.xyz, True)
                nonbonded = self.nonbonded.evaluate(state.xyz, True)
                positions = self.positions.evaluate(state.xyz, True)
                gradient = weight * p.pull_vectors(slope.xyz)
                gradient += p.special.project_vectors(geometry.gradient + nonbonded.gradient + positions.gradient)
                extra = p.pull_blocks(weight * self.damping * information.xyz)
                matrices = geometry.matrices + nonbonded.matrices + positions.matrices
                blocks.append(LinearBlock(gradient, matrices, extra, LIMIT_XYZ))
            if p.refine_b:
                adp = self.adp.evaluate(state.b_iso, True)
                gradient_b = weight * p.pull_scalars(slope.b_iso) + p.pull_scalars(adp.gradient)
                extra_b = p.pull_scalars(weight * self.damping * information.b_iso)
                blocks.append(LinearBlock(gradient_b[:, None], adp.matrices, extra_b[:, None, None], LIMIT_B))
        return blocks
