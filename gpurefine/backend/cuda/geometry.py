"""Covalent restraints on the device."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..geometry_plan import build_geometry_plan
from ..ops_restraints import F64, I8, I32, KINDS, GeometryPlan, GeometryResiduals, GeometryTerms
from .device import DeviceArray
from .statistics import StatisticsOps


@dataclass(frozen=True, slots=True, eq=False)
class DeviceGeometry:
    """A plan's tables and working memory on the device; shapes as kernels/geometry.cu and collect.cu name them.

    ``ends``: where the residuals of bonds, angles, torsions and chirals end, and those of plane members begin.
    """

    n_term: int
    n_plane: int
    ends: tuple[int, ...]
    n_residual: int
    longest: int
    atoms: DeviceArray
    ideal: DeviceArray
    sigma: DeviceArray
    extra: DeviceArray
    image: DeviceArray
    count: DeviceArray
    begin: DeviceArray
    angles: DeviceArray
    angle_ideal: DeviceArray
    angle_sigma: DeviceArray
    plane_start: DeviceArray
    plane_atoms: DeviceArray
    plane_sigma: DeviceArray
    row_start: DeviceArray
    row_order: DeviceArray
    row_residual: DeviceArray
    member_start: DeviceArray
    member_order: DeviceArray
    member_plane: DeviceArray
    block_start: DeviceArray
    block_rows: DeviceArray
    plane_block_start: DeviceArray
    plane_block_members: DeviceArray
    z: DeviceArray
    rows: DeviceArray
    frame: DeviceArray
    member: DeviceArray


def _columns(atoms: I32) -> I32:
    """``atoms`` (m, k) with zeros in the columns up to the fourth."""
    padded = np.zeros((len(atoms), 4), np.int32)
    padded[:, : atoms.shape[1]] = atoms
    return padded


def _images(t: GeometryTerms) -> tuple[I32, F64]:
    """Which image (−1: none) of its second atom each bond has, and the images (k, 12): rotation, translation."""
    apart = (t.bond_op != 0) | t.bond_shift.any(axis=1)
    op, shift = t.bond_op[apart], t.bond_shift[apart]
    table = np.concatenate(
        [t.symmetry.rotation[op].reshape(-1, 9), t.symmetry.translation[op] + shift @ t.symmetry.orth.T], axis=1
    )
    which = np.full(len(t.bond_op), -1, np.int32)
    which[apart] = np.arange(len(op))
    return which, table


class GeometryOps(StatisticsOps):
    """The part of :class:`gpurefine.backend.ops_restraints.RestraintOps` on covalent geometry.

    float64 throughout, as on the CPU; values agree with it to rounding (relative 1e-12).
    """

    def plan_geometry(self, terms: GeometryTerms, owner: I32, pairs: I32) -> GeometryPlan:
        """Index tables of ``terms``; the copy on the device is made at the first use."""
        return build_geometry_plan(terms, owner, pairs)

    def geometry(
        self, plan: GeometryPlan, xyz: F64, gradient: F64 | None, diagonal: F64 | None, off: F64 | None
    ) -> Any:
        """Values by kind (5,), gradient and Gauss–Newton blocks."""
        values = self.post(len(KINDS))
        self.geometry_values(plan, xyz, gradient, diagonal, off, values.array)
        return values

    def geometry_values(
        self, plan: GeometryPlan, xyz: F64, gradient: F64 | None, diagonal: F64 | None, off: F64 | None,
        values: DeviceArray,
    ) -> None:
        """:meth:`geometry` whose values stay on the device, in ``values`` (5,)."""
        d = self._geometry_on_device(plan)
        n, n_block = plan.terms.n_atoms, plan.terms.n_atoms + len(plan.pairs)
        self._fill(d, self.send("geometry.xyz", xyz, np.float64), gradient is not None)
        self.half_squares(d.z, d.begin, 5, d.longest, values)
        if gradient is not None:
            out = self.target("geometry.gradient", gradient)
            self.launch(
                "collect_gradient", n, d.row_start, d.row_order, d.row_residual, d.z, d.rows, d.member_start,
                d.member_order, d.member_plane, d.frame, d.member, np.int32(n), out,
            )
            self.add_back(gradient, out)
        if diagonal is not None and off is not None:
            own, other = self.target("geometry.diagonal", diagonal), self.target("geometry.off", off)
            self.launch(
                "collect_blocks", n_block, d.block_start, d.block_rows, d.rows, d.plane_block_start,
                d.plane_block_members, d.member_plane, d.frame, d.member, np.int32(n), np.int32(n_block), own, other,
            )
            self.add_back(diagonal, own)
            self.add_back(off, other)

    def geometry_residuals(self, plan: GeometryPlan, xyz: F64) -> GeometryResiduals:
        """Observed minus ideal of every term."""
        t, d = plan.terms, self._geometry_on_device(plan)
        where = self.send("geometry.xyz", xyz, np.float64)
        self._fill(d, where, False)
        n_angle = len(t.angle_ideal)
        angle = self.buffer("geometry.angle", n_angle, np.float64)
        self.launch(
            "angle_residuals", n_angle, where, d.angles, d.angle_ideal, d.angle_sigma, np.int32(n_angle), angle
        )
        z = self.device.download(d.z)[: d.n_residual]
        e0, e1, e2, e3 = d.ends
        return GeometryResiduals(
            bond=z[:e0] * t.bond_sigma, angle=self.device.download(angle)[:n_angle] * t.angle_sigma,
            torsion=z[e1:e2] * t.torsion_sigma,
            chiral=z[e2:e3] * t.chiral_sigma, plane=z[e3:] * t.plane_sigma[plan.member_plane],
        )

    def geometry_sums(self, plan: GeometryPlan, kinds: I8, n_kind: int, xyz: F64) -> Any:
        """See :class:`gpurefine.backend.ops_pairs.RestraintSums`."""
        d, n_angle = self._geometry_on_device(plan), len(plan.terms.angle_ideal)
        there = self.kept("geometry.kinds", lambda: self._statistics(plan, d, kinds), plan, kinds)
        where = self.send("geometry.xyz", xyz, np.float64)
        self._fill(d, where, False)
        # the angles themselves take the place of what restrains them, of which there is as much or more
        self.launch(
            "angle_residuals", n_angle, where, d.angles, d.angle_ideal, d.angle_sigma, np.int32(n_angle),
            d.z[d.ends[0] : d.ends[0] + n_angle],
        )
        return self.deviation_sums(d.z, *there, d.n_residual, n_kind)

    def _statistics(self, plan: GeometryPlan, d: DeviceGeometry, kinds: I8) -> tuple[DeviceArray, DeviceArray]:
        """σ and kind of every place of z, as :meth:`geometry_sums` fills it."""
        t, (e0, e1, _, _) = plan.terms, d.ends
        n_angle = len(t.angle_ideal)
        parts = t.bond_sigma, t.angle_sigma, t.torsion_sigma, t.chiral_sigma, t.plane_sigma[plan.member_plane]
        sigma, kind, unused = np.concatenate(parts), kinds, e1 - e0 - n_angle
        at = e0 + n_angle
        sigma = np.concatenate([sigma[:at], np.zeros(unused), sigma[at:]])
        kind = np.concatenate([kind[:at], np.full(unused, -1, np.int8), kind[at:]])
        return self.fixed(sigma, np.float64), self.fixed(kind, np.int8)

    def _fill(self, d: DeviceGeometry, xyz: DeviceArray, derivative: bool) -> None:
        """Compute z, and with ``derivative`` the rows, of all terms, and the planes."""
        self.launch(
            "geometry_terms", d.n_term, xyz, d.atoms, d.ideal, d.sigma, d.extra, d.image, d.count,
            np.int32(derivative), d.z, d.rows,
        )
        self.launch(
            "plane_frames", d.n_plane, xyz, d.plane_start, d.plane_atoms, d.plane_sigma, np.int32(d.n_plane), d.frame,
            d.member, d.z[d.ends[3] :],
        )

    def _geometry_on_device(self, plan: GeometryPlan) -> DeviceGeometry:
        return self.kept("geometry", lambda: self._build_geometry(plan), plan)

    def _build_geometry(self, plan: GeometryPlan) -> DeviceGeometry:
        t = plan.terms
        bent, linear = plan.bent, plan.linear
        counts = [len(t.bond_ideal), len(bent), len(linear), len(t.torsion_ideal), len(t.chiral_ideal)]
        ends = np.cumsum([counts[0], counts[1] + 3 * counts[2], counts[3], counts[4]])
        begin = np.array([0, *ends, ends[-1] + len(t.plane_atoms)])
        image, images = _images(t)
        extra = np.concatenate([
            image, np.zeros(counts[1] + counts[2], np.int32), t.torsion_period.astype(np.int32),
            t.chiral_both.astype(np.int32),
        ])

        def floats(*parts: NDArray[Any]) -> DeviceArray:
            return self.fixed(np.concatenate([p.reshape(-1) for p in parts]), np.float64)

        def ints(*parts: NDArray[Any]) -> DeviceArray:
            return self.fixed(np.concatenate([p.reshape(-1) for p in parts]), np.int32)

        def memory(size: int) -> DeviceArray:
            return self.device.empty(max(size, 1), np.float64)

        angles = t.angle_atoms
        return DeviceGeometry(
            n_term=sum(counts), n_plane=len(t.plane_sigma), ends=tuple(map(int, ends)),
            n_residual=int(begin[-1]), longest=int(np.diff(begin).max()),
            atoms=ints(*map(_columns, (t.bond_atoms, angles[bent], angles[linear], t.torsion_atoms, t.chiral_atoms))),
            ideal=floats(t.bond_ideal, t.angle_ideal[bent], t.angle_ideal[linear], t.torsion_ideal, t.chiral_ideal),
            sigma=floats(t.bond_sigma, t.angle_sigma[bent], t.angle_sigma[linear], t.torsion_sigma, t.chiral_sigma),
            extra=ints(extra), image=floats(images), count=ints(np.array(counts)), begin=ints(begin),
            angles=ints(angles), angle_ideal=floats(t.angle_ideal),
            angle_sigma=floats(t.angle_sigma),
            plane_start=ints(t.plane_start), plane_atoms=ints(t.plane_atoms), plane_sigma=floats(t.plane_sigma),
            row_start=ints(plan.row_start), row_order=ints(plan.row_order), row_residual=ints(plan.row_residual),
            member_start=ints(plan.member_start), member_order=ints(plan.member_order),
            member_plane=ints(plan.member_plane), block_start=ints(plan.block_start), block_rows=ints(plan.block_rows),
            plane_block_start=ints(plan.plane_block_start), plane_block_members=ints(plan.plane_block_members),
            z=memory(int(begin[-1])), rows=memory(3 * len(plan.row_residual)), frame=memory(16 * len(t.plane_sigma)),
            member=memory(3 * len(t.plane_atoms)),
        )

