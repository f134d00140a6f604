"""One call of every operation on a problem of a few atoms: a compiled backend then has its machine code on disk."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .blocks import BlockMatrix, BlockPattern
from .ops import Backend, SystemSolver
from .ops_adp import TensorTerms
from .ops_derivative import ScalePlace, SitePlan
from .ops_pairs import BondedNeighbours, ContactClasses, PairLister, RestraintSums, SimilarPairs
from .ops_reflections import F64, Groups, PairSums, ScaleCurve
from .ops_restraints import (
    ContactRules,
    Flags,
    GeometryTerms,
    HydrogenSolver,
    HydrogenSystem,
    Repulsions,
    SymmetryArrays,
)
from .ops_twin import TwinGroups
from .ops_twin_members import TwinMeasured
from .plans import DensityPlan, FourierPlan, ScaleSystem, Scatterers

SIDE = 12.0
"""Å, edge of the cubic cell."""


def warm_up(backend: Backend, part: str | None = None) -> None:
    """Call every operation once, with arrays of the types and layouts that a refinement gives it.

    ``part``: only the operations of that name in :data:`PARTS`.
    """
    for name, call in PARTS.items():
        if part is None or part == name:
            call(backend)
    backend.release()


def _mask_and_products(backend: Backend) -> None:
    # a cavity limit beyond the cell, so that the clearing of small regions runs too
    backend.map_mean(
        backend.solvent_mask((12, 12, 12), SIDE * np.eye(3), np.full((1, 3), 0.5), np.array([2.0]), 1.5, 1e6)
    )
    index = np.array([1, 0], np.int32)
    for size in (1, 3, 6):
        diagonal, off = np.tile(np.eye(size), (2, 1, 1)), np.zeros((1, size, size))
        backend.block_product(
            np.array([0, 1, 2], np.int32), index, np.zeros(2, np.int32), np.array([False, True]), diagonal, off,
            np.ones((2, size)), np.zeros((2, size)),
        )
        if isinstance(backend, SystemSolver):
            pattern = BlockPattern.from_pairs(2, index[:1], index[1:])
            matrix = BlockMatrix(pattern, diagonal, off)
            backend.conjugate_gradients([matrix], diagonal, np.ones((2, size)), 0.0, 0.1, 2)


def _isotropic(backend: Backend) -> None:
    _density(backend, np.array([False, False]))


def _anisotropic(backend: Backend) -> None:
    plan, fourier, atoms = _density(backend, np.array([False, True]))
    backend.spread_tangent(plan, atoms, np.ones((2, 3)), np.ones(2), np.ones((2, 6)), np.ones(2))
    backend.direct_summation(plan, fourier, atoms, 1)


def _density(backend: Backend, is_aniso: Flags) -> tuple[DensityPlan, FourierPlan, Scatterers]:
    plan = DensityPlan((12, 12, 12), SIDE * np.eye(3), np.full((1, 5), 1.2), np.full((1, 5), 20.0), 10.0, 1e-4)
    atoms = Scatterers(
        xyz=np.array([[1.0, 2.0, 3.0], [5.0, 6.0, 7.0]]),
        b_iso=np.array([20.0, 20.0]),
        u_aniso=np.array([[0.0] * 6, [0.3, 0.2, 0.25, 0.02, 0.01, 0.03]]),
        is_aniso=is_aniso,
        weight=np.ones(2),
        kind=np.zeros(2, np.int32),
    )
    fourier = FourierPlan(
        (12, 12, 12), np.array([[1, 0, 0], [0, 1, 1]], np.int32), np.eye(3, dtype=np.int32)[None],
        np.zeros((1, 3), np.int32), np.ones(2),
    )
    f = backend.map_to_hkl(fourier, backend.spread(plan, atoms))
    backend.gather(plan, atoms, backend.hkl_to_map(fourier, f))
    one = np.ones(2)
    backend.shell_products(one, np.zeros(2, np.int32), one, np.ones((1, 2)), np.ones((2, 3)))
    return plan, fourier, atoms


def _amplitudes(backend: Backend) -> None:
    one, centric = np.ones(2), np.array([False, True])
    backend.rice(one, one, one.astype(np.complex128), one, one, one, centric, True)
    backend.rice_sigmaa(one, one, one, one, one, one, centric)


def _anomalous(backend: Backend) -> None:
    one, centric, two = np.ones(2), np.array([False, True]), np.ones((2, 2))
    both = np.arange(2)
    pair = backend.friedel_pair(backend.keep(two.astype(np.complex128)), one[:1], centric, both)
    found = backend.sad(two, two, pair, two, two, one, centric, True)
    backend.friedel_slopes(found, one[:1], centric, both)
    backend.mean_mate(pair)
    three, four = np.ones((3, 2)), np.full((4, 2), 0.5)
    plan = SitePlan(
        np.ones((2, 3), np.int32), one, two[:1], one[:1], np.eye(3, dtype=np.int32)[None], np.zeros((1, 3))
    )
    rows = backend.keep(two.astype(np.complex128))
    heavy = backend.site_factors(plan, np.ones((1, 5)), rows)
    backend.fit_derivative(ScalePlace(both, np.ones((2, 7)), one), rows, heavy)
    scale = backend.derivative_scale(np.zeros((2, 7)), np.zeros(7), rows)
    found = backend.siras(
        three, three, backend.derivative_rows(rows, heavy, both), backend.keep(three), backend.keep(four), one, centric,
        True, scale,
    )
    backend.derivative_slopes(found, both, 2)


def _intensities(backend: Backend) -> None:
    one, centric = np.ones(2), np.array([False, True])
    backend.intensity(one, one, one.astype(np.complex128), one, one, one, centric, True)
    prior = np.ones((4, 2))
    backend.phased(one, one, one.astype(np.complex128), prior, one, one, one, centric, True)
    backend.phased_sigmaa(one, one, one.astype(np.complex128), prior, one, one, one, centric)
    groups = TwinGroups(
        np.array([0, 2], np.int32), np.array([0, 1], np.int32), np.array([[0, 1], [1, 0]], np.int32)
    )
    measured, fractions = TwinMeasured(groups, one, one, one, centric, 2), np.array([0.6, 0.4])
    f, real = backend.keep(one.astype(np.complex128)), backend.keep(one)
    model = backend.twin_model(measured, f, real, real)
    found = backend.twin(groups, fractions, one, one, model.mean, model.variance, centric)
    backend.twinned(groups.mate.T, fractions, f, None)
    backend.twin_slopes(measured, fractions, found, model, f, real, True)
    backend.twin_errors(measured, fractions, found, model, f, real)
    backend.centred_products(found.fraction_slope)
    backend.intensity_sigmaa(one, one, one, one, one, one, centric)


def _reflections(backend: Backend) -> None:
    both, one = np.arange(2), np.ones(2)
    f, real = backend.keep(np.ones(2, np.complex128)), backend.keep(one)
    curve = ScaleCurve(one, np.ones((2, 1)), 0.0, 0.0, np.zeros(1), 0.3, 50.0, None, None, 0.0, 200.0)
    factors = backend.scale_factors(curve, f, True)
    total = backend.scaled_total(backend.stack([f]), factors.factor, factors.k_mask, f)
    information = backend.keep(np.ones((1, 2)))
    backend.solvent_columns(one, f, 0.3, 50.0, False)
    backend.row_slopes(total, total, information, both[:1], both)
    backend.solvent_slopes(curve, factors.factor, f, total, total, information, both)
    size = backend.magnitude(total[0])
    backend.total(backend.put(backend.take(size, both), both, 2))
    backend.put(backend.take(f, both), both, 2)
    backend.product(f, real, 1), backend.product(real, real, 1)
    backend.error_values(one, np.ones(1), np.ones(1), np.zeros(1), factors.k_aniso)
    hats = _Hats()
    d, s = backend.hat_values(hats, np.ones(1), np.zeros(1), factors.k_aniso)
    backend.hat_sums(hats, d, s)
    rows, _ = backend.curves(hats, np.ones((2, 1)), np.zeros((1, 1)), factors.k_aniso, 0)
    backend.curve_sums(hats, rows, rows, 0, 1)
    backend.merged(rows)
    groups = Groups.of(np.zeros(2, np.intp), 1, both)
    backend.group_sums(groups, np.ones((1, 2)), real)
    backend.pair_sums(groups, one, size, factors.k_iso, False)
    backend.all_pair_sums([PairSums(groups, one, size, None, True)])


class _Hats:
    """One knot for two reflections."""

    left, weight, n = np.zeros(2, np.intp), np.zeros(2), 1

    def value(self, y: F64) -> F64:
        return np.full(2, y[0])

    def gradient(self, g: F64) -> F64:
        return np.array([g.sum()])

    def information(self, w: F64) -> F64:
        return np.array([[0.0], [0.0], [w.sum()]])


def _scale(backend: Backend) -> None:
    one, f = np.ones(2), np.ones(2, np.complex128)
    left, weight = np.zeros(2, np.intp), np.full(2, 0.5)
    system = ScaleSystem(one, one, one, f, f, np.ones((2, 2)), np.ones((2, 2)), left, weight, 2, left, weight, 2)
    backend.scale_residuals(system)
    backend.scale_misfit(system, True)
    backend.scale_equations(system, 1.0)


def _restraints(backend: Backend) -> None:
    box = SIDE * np.eye(3)
    symmetry = SymmetryArrays(
        orth=box, frac=np.eye(3) / SIDE, frac_rotation=np.eye(3, dtype=np.int32)[None],
        frac_translation=np.zeros((1, 3)), rotation=np.eye(3)[None], translation=np.zeros((1, 3)),
    )
    xyz = np.array([[1.0, 1.0, 1.0], [2.5, 1.0, 1.0], [3.0, 2.4, 1.0], [4.4, 2.6, 1.3]])
    four = np.array([[0, 1, 2, 3]], np.int32)
    one = np.ones(1)
    terms = GeometryTerms(
        n_atoms=4,
        bond_atoms=four[:, :2].copy(), bond_ideal=one, bond_sigma=one, bond_op=np.zeros(1, np.int32),
        bond_shift=np.zeros((1, 3), np.int32),
        angle_atoms=np.array([[0, 1, 2], [1, 2, 3]], np.int32), angle_ideal=np.array([2.0, np.pi]),
        angle_sigma=np.ones(2),
        torsion_atoms=four, torsion_ideal=one, torsion_sigma=one, torsion_period=np.ones(1, np.int32),
        chiral_atoms=four, chiral_ideal=one, chiral_sigma=one, chiral_both=np.zeros(1, bool),
        plane_start=np.array([0, 4], np.int32), plane_atoms=four[0].copy(), plane_sigma=one,
        symmetry=symmetry,
    )
    owner = np.arange(4, dtype=np.int32)
    pairs = np.array([[i, j] for i in range(4) for j in range(i + 1, 4)], np.int32)
    plan = backend.plan_geometry(terms, owner, pairs)
    gradient, diagonal, off = np.zeros((4, 3)), backend.new_blocks(4, 3), backend.new_blocks(6, 3)
    backend.host_blocks(diagonal), backend.new_gradient((4, 3))
    backend.geometry(plan, xyz, gradient, diagonal, off)
    backend.geometry_residuals(plan, xyz)
    if isinstance(backend, HydrogenSolver):
        groups = ((np.array([[3]], np.int32), np.full((1, 1, 1), -1, np.int32)),)
        backend.relax_hydrogens(plan, HydrogenSystem(groups, 1e-4, 1e-3, 0.3, 2, 0.005), xyz, 1)
    rules = ContactRules(
        radius=np.full(4, 1.7), heavy=np.ones(4, bool), altloc=np.zeros(4, np.int8), occ=np.ones(4),
        excluded_start=np.zeros(5, np.int32), excluded_atom=np.zeros(0, np.int32),
        excluded_kind=np.zeros(0, np.int8), margin=0.5, heavy_cutoff=4.0, self_distance=0.4,
    )
    contacts = backend.find_contacts(xyz, symmetry, rules)
    n = len(contacts)
    if isinstance(backend, PairLister):
        four_ones, polar = np.ones(4), np.zeros(4, np.int8)
        classes = ContactClasses(four_ones, four_ones, four_ones, four_ones, polar == 1, polar, -0.3, 0.1, 0.2)
        backend.near_contacts(contacts, classes, 0.6, symmetry)
        near = BondedNeighbours(np.zeros(5, np.int32), np.zeros(0, np.int32), np.zeros(0, np.int32), rules.heavy)
        backend.similar_pairs(xyz, contacts, near, 5, 4.0, np.ones(6))
    repulsions = Repulsions(
        contacts.first, contacts.second, contacts.op, contacts.shift, np.full(n, 5.0), np.ones(n), symmetry
    )
    backend.repulsion(repulsions, xyz, np.zeros(n))
    none = np.zeros(0, np.int32)
    backend.repulsion_derivatives(repulsions, xyz, none, owner, gradient, none, diagonal, off)
    backend.adp_divergence(
        _pair(4), np.full(4, 20.0), np.zeros(4), backend.new_blocks(4, 1), backend.new_blocks(1, 1),
    )
    if isinstance(backend, RestraintSums):
        backend.geometry_sums(plan, np.zeros(9, np.int8), 1, xyz)
        backend.overlap_sums(repulsions, xyz, np.zeros(n, np.int8), rules.heavy)
        backend.similarity_sums(_pair(4), np.full(4, 20.0))


def _pair(n: int) -> SimilarPairs:
    """The first two of ``n`` atoms."""
    one, pair = np.ones(1), np.zeros(1, np.int32)
    line, pattern = np.array([[0.0, 0.0, 1.0]]), BlockPattern.from_pairs(n, pair, pair + 1)
    return SimilarPairs(pair, pair + 1, pair, one, pair, line, one, pattern)


def _tensors(backend: Backend) -> None:
    pairs, turn = _pair(2), np.eye(6)[None]
    terms = TensorTerms(pairs, np.ones(6), turn, np.array([True, False]), np.ones(2))
    u = np.tile([0.3, 0.3, 0.3, 0.0, 0.0, 0.0], (2, 1))
    matrix = BlockMatrix(pairs.pattern, backend.new_blocks(2, 6), backend.new_blocks(1, 6))
    backend.tensor_restraints(terms, u, np.zeros((2, 6)), matrix.diagonal, matrix.off)
    backend.project_tensors(matrix, pairs.first, turn)


PARTS: dict[str, Callable[[Backend], None]] = {
    "density": _isotropic, "anomalous": _anomalous, "restraints": _restraints, "anisotropy": _anisotropic,
    "intensities": _intensities,
    "tensors": _tensors, "amplitudes": _amplitudes, "scale": _scale, "mask": _mask_and_products,
    "reflections": _reflections,
}
"""Parts that can be compiled at the same time, those that take longest first."""
