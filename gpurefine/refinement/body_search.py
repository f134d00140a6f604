"""Rigid bodies far from their place: a search over all turns and shifts within a radius, before any refinement.

Where several bodies are out of place, what is known of the others says nothing about one of them.  Then the data must
reach far enough for a body alone to be told from a wrong one, and no step downhill leads there from so far.  Hence
every body is tried at all places on a grid with the others unknown; the one that stands out most is kept, and helps
to find the next.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..forward.density import AtomicTransform, plan_transform, smallest_b
from ..model.ball import SPREAD, ball
from ..model.crystal import Crystal
from ..model.thinning import thinned
from ..params.rigid import BodySearch, RigidBodies
from ..params.values import AtomValues
from ..target.expected_error import coherence, expected_gain, log_likelihood, slope_by_square
from .objective import Objective

F64 = NDArray[np.float64]
C64 = NDArray[np.complex64]
Index = NDArray[np.intp]

LIMITS = (8.0, 7.0, 6.0, 5.0, 4.5, 4.0, 3.5)
"""Å: resolution limits that are considered."""

COARSEST = 4.0
"""Å: limit of the first search at most; its grid has the sixth power of this in points."""

LOWEST = 20.0
"""Å: beyond, there is little but solvent."""

GAIN, FINE_GAIN = 40.0, 100.0
"""Expected log-likelihood of the smallest body alone that the first search and the second have."""

MODEL_ERROR = 1.0
"""Å r.m.s., expected of the atoms of a body in its place."""

STEP = 0.25
"""Largest distance to the next point of the grid, for turns and for shifts, in units of the resolution."""

PER_SHELL = 80
MOST = 24_000
"""Products of reflections and symmetry operations that are enough."""

KEPT, POLISHED, SAMPLE = 200, 3, 200
"""Poses that the second search tries again, those moved to their maximum, and those that tell what chance gives."""

SIGNIFICANT = 6.0
"""Standard deviations above the mean of all poses; chance reaches 4 or 5."""

LEAST_VARIANCE = 0.02
FINEST = 0.1
"""Å: last step of the approach to a maximum."""


@dataclass(frozen=True, slots=True, eq=False)
class Zone:
    """Working reflections to a resolution limit, and what single asymmetric units give them.

    ``turned`` (s, n, 3) hR of each operation, ``phase`` (s, n) of its translation; ``e_obs`` (n,) normalised
    amplitudes; ``shell`` (n,) resolution shells; ``transform`` of one asymmetric unit to all ``turned``.
    """

    limit: float
    inv_d2: F64
    centric: NDArray[np.bool_]
    epsilon: F64
    turned: NDArray[np.int32]
    phase: C64
    e_obs: F64
    shell: Index
    transform: AtomicTransform

    @staticmethod
    def of(objective: Objective, values: AtomValues, limit: float) -> Zone:
        """The reflections between :data:`LOWEST` and ``limit`` Å; of very many an even part."""
        experiment = objective.experiment
        crystal, r = experiment.crystal, experiment.reflections
        inside = r.work & (r.inv_d2 <= limit**-2) & (r.inv_d2 >= LOWEST**-2)
        index = thinned(np.flatnonzero(inside), MOST // crystal.n_primitive)
        hkl, inv_d2 = r.hkl[index], r.inv_d2[index]
        rotations = crystal.rotations[: crystal.n_primitive]
        turned = np.einsum("hi,sij->shj", hkl, rotations).astype(np.int32)
        phase = np.exp(2j * np.pi * (crystal.translations[: crystal.n_primitive] @ hkl.T))
        shells = max(1, len(index) // PER_SHELL)
        shell = np.empty(len(index), np.intp)
        shell[np.argsort(inv_d2, kind="stable")] = np.arange(len(index)) * shells // max(len(index), 1)
        square = r.f[index] ** 2 / r.epsilon[index]
        atoms = objective.scatterers(values)
        transform = plan_transform(
            experiment.backend, _without_symmetry(crystal), turned.reshape(-1, 3), np.maximum(smallest_b(atoms), 0.0),
            atoms.kind, *experiment.form_factors[0],
        )
        return Zone(
            limit, inv_d2, r.centric[index], r.epsilon[index], turned, phase.astype(np.complex64),
            np.sqrt(square / _mean(square, shell)), shell, transform,
        )

    def part(self, objective: Objective, values: AtomValues, own: NDArray[np.bool_]) -> C64:
        """What the atoms ``own`` (n_atom,) contribute through each operation: (s, n)."""
        if not own.any():
            return np.zeros_like(self.phase)
        found = self.transform.structure_factors(objective.scatterers(values).of(own))
        return np.asarray(found.reshape(self.phase.shape).astype(np.complex64) * self.phase)

    def power(self, part: C64) -> F64:
        """Mean intensity (n,) that a part gives to a reflection with ε = 1, smooth in resolution."""
        return _mean(np.sum(np.abs(part) ** 2, axis=0), self.shell)

    def shift_phases(self, shifts: F64, crystal: Crystal) -> C64:
        """Phase factors (s, n, t) of shifts (t, 3) Å."""
        fractions = (shifts @ crystal.frac.T).astype(np.float32)
        turns = self.turned.astype(np.float32) @ fractions.T
        return np.asarray(np.exp(2j * np.pi * turns.astype(np.complex64)))


@dataclass(slots=True, eq=False)
class Context:
    """What one body is tried beside, in one zone: the ``held`` contribution (n,) of what is in its place, and the
    variance (n,) that all leave; ``scale`` (n,) makes normalised amplitudes of structure factors, ``own`` (n,) is D of
    the body; ``expected`` (n,) is the normalised amplitude that both together have in the mean."""

    held: NDArray[np.complex128]
    variance: F64
    scale: F64
    own: F64
    expected: F64


class Searcher:
    """The search at work."""

    def __init__(self, objective: Objective, search: BodySearch, values: AtomValues) -> None:
        """Choose the resolution by how far bodies are looked for, and by what the smallest is expected to gain."""
        self.objective, self.search, self.values = objective, search, values
        self.bodies = RigidBodies.of(search.member, values.xyz, objective.composition.tls)
        self.count = len(search.names)
        data = objective.experiment.reflections.d_min
        # at a lower resolution than this all poses within reach are alike, and none stands out
        limits = [limit for limit in LIMITS if data < limit <= max(search.reach, COARSEST)] or [data]
        self.zones = [self._zone([limit for limit in limits if limit >= COARSEST] or limits[:1], GAIN)]
        self.zones.append(self._zone(limits, FINE_GAIN))
        self.step = STEP * self.zones[0].limit
        self.turns = ball(search.reach, self.step)
        self.shifts = ball(search.reach, self.step)
        self.grid_error = float(np.hypot(MODEL_ERROR, SPREAD * np.sqrt(6.0) * self.step))
        self.placed: dict[int, tuple[F64, F64]] = {}
        self._pieces: dict[tuple[int, int], C64] = {}

    def _zone(self, limits: list[float], gain: float) -> Zone:
        zone = None
        for limit in limits:
            zone = Zone.of(self.objective, self.values, limit)
            parts = [zone.part(self.objective, self.values, self.search.member == g) for g in range(-1, self.count)]
            power = [zone.power(part) for part in parts]
            share = coherence(MODEL_ERROR, zone.inv_d2) ** 2 / sum(power)
            if min(expected_gain(share * own) for own in power[1:]) >= gain:
                break
        assert zone is not None
        return zone

    def at(self, body: int, turn: F64, shift: F64) -> AtomValues:
        """The atoms with one body turned and shifted from where it started; the others as they started."""
        moves = np.zeros((self.count, 6))
        moves[body] = *turn, *shift
        return self.bodies.move(self.values, moves)

    def piece(self, zone: Zone, body: int, turn: F64) -> C64:
        """What a body that is turned, but not shifted, contributes (s, n)."""
        return zone.part(self.objective, self.at(body, turn, np.zeros(3)), self.search.member == body)

    def pieces(self, z: int, body: int) -> C64:
        """The same (k, s, n) for all turns of the grid."""
        if (z, body) not in self._pieces:
            self._pieces[z, body] = np.stack([self.piece(self.zones[z], body, turn) for turn in self.turns])
        return self._pieces[z, body]

    def context(self, zone: Zone, body: int, error: float) -> Context:
        """What ``body``, out by ``error`` Å, is tried beside: bodies in their place and atoms that stand still; the
        rest is unknown."""
        member = self.search.member
        good = coherence(MODEL_ERROR, zone.inv_d2)
        own = coherence(error, zone.inv_d2)
        held = np.zeros(len(zone.inv_d2), np.complex128)
        total, known, mine = (np.zeros(len(held)) for _ in range(3))
        for g in range(-1, self.count):
            part = zone.part(self.objective, self.at(g, *self.placed[g]) if g in self.placed else self.values,
                             member == g)
            power = zone.power(part)
            total += power
            if g == body:
                known += own**2 * power
                mine = power
            elif g < 0 or g in self.placed:
                held += good * part.sum(axis=0)
                known += good**2 * power
        variance = np.maximum(1.0 - known / total, LEAST_VARIANCE)
        scale = 1.0 / np.sqrt(zone.epsilon * total)
        expected = np.sqrt(np.abs(held * scale) ** 2 + own**2 * mine / total)
        return Context(held, variance, scale, own, expected)

    def ranks(self, zone: Zone, beside: Context, pieces: C64, shifts: F64) -> F64:
        """What (k, t) turns, of which ``pieces`` (k, s, n), and ``shifts`` (t, 3) Å are ranked by: the log-likelihood
        made linear in the intensities."""
        phases = zone.shift_phases(shifts, self.objective.experiment.crystal)
        weight = beside.scale**2 * slope_by_square(zone.e_obs, beside.expected, beside.variance, zone.centric)
        own, held = (beside.own.astype(np.float32), beside.held.astype(np.complex64))
        out = np.zeros((len(pieces), len(shifts)))
        for n in range(len(zone.e_obs)):
            total = own[n] * (pieces[:, :, n] @ phases[:, n]) + held[n]
            out += weight[n] * (total.real**2 + total.imag**2)
        return out

    def scores(self, zone: Zone, beside: Context, pieces: C64, turns: F64, shifts: F64) -> F64:
        """Log-likelihoods (k,) of a body turned by ``turns`` (k, 3), of which ``pieces`` (k, s, n), and shifted by
        ``shifts`` (k, 3) Å; less what bodies are not expected to be away."""
        phases = zone.shift_phases(shifts, self.objective.experiment.crystal)
        total = beside.own[:, None] * np.einsum("ksn,snk->nk", pieces, phases) + beside.held[:, None]
        found = log_likelihood(
            zone.e_obs[:, None], np.abs(total) * beside.scale[:, None], beside.variance[:, None], zone.centric
        )
        return np.asarray(found - 0.5 * np.sum(turns**2 + shifts**2, axis=1) / self.search.reach**2)

    def find(self, body: int) -> tuple[float, F64, F64]:
        """How far the best pose of a body stands out (standard deviations), its turn and its shift (3,) Å."""
        coarse, fine = self.zones
        ranks = self.ranks(
            coarse, self.context(coarse, body, self.grid_error), self.pieces(0, body), self.shifts
        ).ravel()
        sample = np.arange(0, len(ranks), max(1, len(ranks) // SAMPLE))
        best = np.argsort(-ranks, kind="stable")[:KEPT]
        tried = np.concatenate([best, sample])
        turns, shifts = self.turns[tried // len(self.shifts)], self.shifts[tried % len(self.shifts)]
        beside = self.context(fine, body, self.grid_error)
        used, which = np.unique(tried // len(self.shifts), return_inverse=True)
        pieces = np.stack([self.piece(fine, body, turn) for turn in self.turns[used]])
        known = self.scores(fine, beside, pieces[which], turns, shifts)
        chance = known[len(best) :]
        order = np.argsort(-known[: len(best)], kind="stable")[:POLISHED]
        polished = [self.polish(body, beside, turns[k], shifts[k]) for k in order]
        value, turn, shift = max(polished, key=lambda pose: pose[0])
        return (value - float(chance.mean())) / float(chance.std()), turn, shift

    def polish(self, body: int, beside: Context, turn: F64, shift: F64) -> tuple[float, F64, F64]:
        """The maximum of the log-likelihood next to a pose: its value, turn and shift; steps along all axes are halved
        where none helps."""
        fine = self.zones[1]
        size = 0.5 * self.step
        best = -np.inf
        while size >= FINEST:
            turns = turn + size * np.concatenate([np.zeros((1, 3)), np.eye(3), -np.eye(3)])
            shifts = shift + ball(1.01 * size, size / 1.2)
            pieces = np.stack([self.piece(fine, body, each) for each in turns])
            k, t = (each.ravel() for each in np.indices((len(turns), len(shifts))))
            found = self.scores(fine, beside, pieces[k], turns[k], shifts[t])
            top = int(np.argmax(found))
            if found[top] > best + 0.05:
                best, turn, shift = float(found[top]), turns[k[top]], shifts[t[top]]
            else:
                size *= 0.5
        return best, turn, shift


def search_bodies(objective: Objective, search: BodySearch, values: AtomValues) -> tuple[AtomValues, list[str]]:
    """The atoms with bodies where the data want them, and what the user is to be told."""
    at = Searcher(objective, search, values)
    evidence: dict[int, float] = {}
    while len(at.placed) < at.count:
        tried = {g: at.find(g) for g in range(at.count) if g not in at.placed}
        body = max(tried, key=lambda g: tried[g][0])
        if tried[body][0] < SIGNIFICANT:
            break
        evidence[body] = tried[body][0]
        at.placed[body] = tried[body][1:]
    if len(at.placed) > 1:
        for body, (turn, shift) in list(at.placed.items()):
            at.placed[body] = at.polish(body, at.context(at.zones[1], body, MODEL_ERROR), turn, shift)[1:]
    moves = np.zeros((at.count, 6))
    for body, (turn, shift) in at.placed.items():
        moves[body] = *turn, *shift
    told = []
    for g, name in enumerate(search.names):
        if g in at.placed:
            angle = np.degrees(np.linalg.norm(moves[g, :3]) / at.bodies.radius[g])
            what = f"shifted by {np.linalg.norm(moves[g, 3:]):.1f} Å and turned by {angle:.0f}°"
            told.append(f"{name} {what} ({evidence[g]:.0f} σ)")
        else:
            told.append(f"{name} left where it is, since no place stands out")
    zones = f"{at.zones[0].limit:.1f} and {at.zones[1].limit:.1f} Å"
    note = f"Search for rigid bodies within {search.reach:g} Å at {zones} resolution: {'; '.join(told)}."
    return at.bodies.move(values, moves), [note]


def _mean(value: F64, shell: Index) -> F64:
    """Mean of ``value`` (n,) over the reflection's shell: (n,)."""
    count = np.bincount(shell)
    return np.asarray((np.bincount(shell, value) / np.maximum(count, 1))[shell])


def _without_symmetry(crystal: Crystal) -> Crystal:
    one = np.eye(3, dtype=np.int32)[None]
    return Crystal(crystal.cell, crystal.orth, crystal.frac, one, np.zeros((1, 3)), 1, "P 1", "P 1")
