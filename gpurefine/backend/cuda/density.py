"""The cuda backend's density operations (method 1 and 2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import DeviceError, NumericalError
from ..plans import DensityGradient, DensityPlan, FourierPlan, Scatterers
from .device import DeviceArray
from .maps import DeviceMap, MapOps

SIZES = {"iso": (1, 2, 3, 5), "aniso": (3, 5)}
"""Numbers of Gaussians that the kernels are written for; form factors are padded to the next."""

TILE = 8
"""Points along each edge of the tiles whose sums bound the density (TILE in atoms.cu)."""

SUM_INT32, SUM_INT64, SUM_FLOAT = 0, 1, 2
"""How densities are added (rows.cuh)."""

MOST_INT32 = 256.0
"""Largest possible density, in units of the highest atom's, up to which 32 bits resolve 5·10⁻⁷ of that atom's peak."""


@dataclass(frozen=True, slots=True, eq=False)
class _Grid:
    """A density plan on the device."""

    gauss_a: DeviceArray
    gauss_b: DeviceArray
    frac: DeviceArray
    cell: DeviceArray
    reach: DeviceArray
    width: dict[str, int]
    tiles: int


@dataclass(slots=True, eq=False)
class _Sums:
    """How the densities of a plan are added: for how many atoms that was found out, and what was found."""

    atoms: int = -1
    mode: int = SUM_INT32


@dataclass(frozen=True, slots=True, eq=False)
class _Moving:
    """Scatterers on the device: arrays as in :class:`Scatterers`, and the atoms of either kind in the order of the
    grid's tiles."""

    xyz: DeviceArray
    b_iso: DeviceArray
    u_aniso: DeviceArray | None
    weight: DeviceArray
    kind: DeviceArray


@dataclass(frozen=True, slots=True, eq=False)
class _Spheres:
    """What the kernels walk over, for the isotropic or the anisotropic atoms."""

    name: str
    list: DeviceArray
    m: int
    centre: DeviceArray
    sphere: DeviceArray
    gauss: DeviceArray
    shift: DeviceArray | None
    bound: DeviceArray


def _bits(ratio: float, most: float) -> int:
    """How to add densities of which the largest sum is at most ``ratio`` times the highest of one atom.

    Raises:
        NumericalError: that is not finite.
    """
    if not np.isfinite(ratio):
        raise NumericalError("An atom's density is not a finite number; a coordinate, B value or shift is damaged.")
    return SUM_INT32 if ratio <= most else SUM_INT64


class DensityOps(MapOps):
    """Spreading and gathering, and exact summation."""

    _aniso: NDArray[np.bool_] | None = None
    _lists: tuple[tuple[DeviceArray, int], tuple[DeviceArray, int]]
    _unseen: tuple[_Sums, ...] = ()
    """Of the spreads since the host last looked at the bound on their densities."""

    def _grid(self, plan: DensityPlan) -> _Grid:
        return self.kept("grid", lambda: self._make_grid(plan), plan)

    def _make_grid(self, plan: DensityPlan) -> _Grid:
        n_gauss = plan.gauss_a.shape[1]
        if n_gauss > max(SIZES["iso"]):
            raise NumericalError(f"A form factor has {n_gauss} Gaussians; the CUDA kernels take {max(SIZES['iso'])}.")
        steps = plan.orth / np.array(plan.shape)
        reach = np.linalg.norm(plan.frac, axis=1) * plan.shape
        cell = [steps[0, 0], steps[0, 1], steps[1, 1], steps[0, 2], steps[1, 2], steps[2, 2], reach[0], reach[1]]
        return _Grid(
            self.fixed(plan.gauss_a, np.float64), self.fixed(plan.gauss_b, np.float64),
            self.fixed(plan.frac, np.float64), self.fixed(np.array(cell), np.float32),
            self.fixed(reach, np.float32),
            {name: next(size for size in sizes if size >= n_gauss) for name, sizes in SIZES.items()},
            int(np.prod([-(-n // TILE) for n in plan.shape])),
        )

    def _atoms(self, atoms: Scatterers) -> _Moving:
        """All that moves in one copy; tensors only where there are anisotropic atoms."""
        n, tensors = len(atoms.weight), bool(np.any(atoms.is_aniso))
        kind = self.unchanged("kind", atoms.kind, np.int32)
        there = [self.known(a) for a in (atoms.xyz, atoms.b_iso, atoms.weight)]
        own = self.known(atoms.u_aniso) if tensors else None
        if all(a is not None for a in there) and (own is not None or not tensors):
            xyz, b_iso, weight = there
            return _Moving(xyz, b_iso, own, weight, kind)
        parts = [atoms.xyz.reshape(-1), atoms.b_iso, atoms.weight, *([atoms.u_aniso.reshape(-1)] if tensors else [])]
        values = self.send("atoms", np.concatenate(parts), np.float64)
        return _Moving(
            values[: 3 * n], values[3 * n : 4 * n], values[5 * n :] if tensors else None, values[4 * n : 5 * n],
            kind,
        )

    def _order(self, plan: DensityPlan, atoms: Scatterers) -> None:
        """Lists of isotropic and anisotropic atoms, sorted by grid tile when they are first needed.

        The order only serves the memory's caches: it stays while the atoms move, and no result depends on it.
        """
        if self._aniso is not None and np.array_equal(self._aniso, atoms.is_aniso):
            return
        tile = np.floor((atoms.xyz @ plan.frac.T) % 1.0 * plan.shape / TILE).astype(np.int64)
        order = np.lexsort((tile[:, 2], tile[:, 1], tile[:, 0]))
        aniso = np.asarray(atoms.is_aniso, bool)[order]
        iso_list, aniso_list = order[~aniso], order[aniso]
        self._lists = (
            (self.fixed(iso_list, np.int32), len(iso_list)), (self.fixed(aniso_list, np.int32), len(aniso_list))
        )
        self._aniso = np.array(atoms.is_aniso, bool)

    def _spheres(
        self, plan: DensityPlan, atoms: Scatterers, moving: _Moving, tangent: tuple[Any, Any, Any, Any] | None = None
    ) -> list[_Spheres]:
        """Spheres and Gaussians of all atoms; ``tangent`` holds v_xyz, v_b, v_u and v_weight on the device."""
        self._order(plan, atoms)
        grid, out = self._grid(plan), []
        peak = self.buffer("peak", 1, np.int32)
        self.device.clear(peak)
        for name, (index, m), size in zip(("iso", "aniso"), self._lists, (2, 7), strict=True):
            if m == 0:
                continue
            v_xyz, v_b, v_u, v_weight = tangent or (None, None, None, None)
            made = _Spheres(
                name, index, m, self.buffer(f"{name}.centre", (m, 3), np.int32),
                self.buffer(f"{name}.sphere", (m, 4), np.float32),
                self.buffer(f"{name}.gauss", (m, size * grid.width[name]), np.float32),
                self.buffer(f"{name}.shift", (m, 5 if name == "iso" else 10), np.float32) if tangent else None,
                self.buffer(f"{name}.bound", (m, 2), np.float32),
            )
            self.launch(
                f"prepare_{name}", m, moving.xyz, moving.b_iso if name == "iso" else moving.u_aniso, moving.weight,
                moving.kind, index, np.int32(m), grid.gauss_a, grid.gauss_b, np.int32(plan.gauss_a.shape[1]),
                np.int32(grid.width[name]), np.float64(plan.blur), np.float64(plan.cutoff), grid.frac,
                *map(np.int32, plan.shape), v_xyz, v_b if name == "iso" else v_u, v_weight, made.centre, made.sphere,
                made.gauss, made.shift, made.bound, peak,
            )
            out.append(made)
        return out

    def _accumulate(
        self, plan: DensityPlan, spheres: list[_Spheres], kernel: str, sums: _Sums | None = None
    ) -> DeviceMap:
        """Add up what ``kernel`` makes of all spheres, in fixed point unless fast atomics are allowed.

        ``sums`` has how they were added the last time.
        """
        n, shape, grid = int(np.prod(plan.shape)), tuple(map(np.int32, plan.shape)), self._grid(plan)
        scale = self.buffer("scale", 3, np.float32)
        mode = SUM_FLOAT if self.fast_atomics else self._choose_sum(plan, spheres, scale, sums)
        out = self.new_map(plan.shape)
        target = self.buffer("map64", n, np.int64) if mode == SUM_INT64 else out
        self.device.clear(target)
        for part in spheres:
            shift = (part.shift,) if part.shift is not None else ()
            self.launch_warps(
                f"{kernel}_{part.name}_{grid.width[part.name]}", part.m, part.centre, part.sphere, part.gauss, *shift,
                np.int32(part.m), grid.cell, *shape, np.int32(mode), scale, target,
            )
        threads = min(n, 1 << 20)
        if mode == SUM_INT32:
            self.launch("fixed32_to_float", threads, out, np.int64(n), scale, block=256)
        elif mode == SUM_INT64:
            self.launch("fixed64_to_float", threads, target, out, np.int64(n), scale, block=256)
        return self.finished(out)

    def _choose_sum(
        self, plan: DensityPlan, spheres: list[_Spheres], scale: DeviceArray, sums: _Sums | None
    ) -> int:
        """Set ``scale`` from the largest sum that any point can reach, and say how many bits it takes.

        No scale lets a sum overflow, so that the number of bits is a matter of resolution alone.  The host therefore
        need not wait for the bound: it takes as many bits as the last time, and looks at the bound with the next sum.

        Raises:
            NumericalError: a density is not finite.
        """
        number = sum(part.m for part in spheres)
        known, watch = sums is not None and sums.atoms == number, self.watch()
        grid, shape = self._grid(plan), tuple(map(np.int32, plan.shape))
        peak, tiles = self.buffer("peak", 1, np.int32), self.buffer("tiles", grid.tiles, np.uint64)
        self.device.clear(tiles)
        for part in spheres:
            self.launch(
                "tile_bounds", part.m, part.centre, part.sphere, part.bound, np.int32(part.m), grid.reach, *shape, peak,
                tiles,
            )
        self.device.launch(
            "choose_scale", (1,), (256,),
            (tiles, np.int32(grid.tiles), peak, scale, watch if known else None),
        )
        if known and sums is not None:
            if sums not in self._unseen:
                self._unseen = (*self._unseen, sums)
            return sums.mode
        mode = _bits(float(self.device.download(scale)[2]), MOST_INT32)
        if sums is not None:
            sums.atoms, sums.mode = number, mode
        return mode

    def watched(self, value: float) -> None:
        """See the largest bound of the spreads that the host has not looked at yet, and choose for those to come."""
        if not self._unseen:
            return
        unseen, self._unseen = self._unseen, ()
        self.device.clear(self.watch())
        for sums in unseen:
            # back to 32 bits only well below the limit, so that the two do not alternate
            sums.mode = _bits(value, MOST_INT32 if sums.mode == SUM_INT32 else 0.5 * MOST_INT32)

    def spread(self, plan: DensityPlan, atoms: Scatterers) -> DeviceMap:
        """See :class:`gpurefine.backend.ops.DensityOps`."""
        sums = self.kept("sums", _Sums, plan)
        return self._accumulate(plan, self._spheres(plan, atoms, self._atoms(atoms)), "spread", sums)

    def spread_tangent(
        self, plan: DensityPlan, atoms: Scatterers, v_xyz: Any, v_b: Any, v_u: Any | None = None,
        v_weight: Any | None = None,
    ) -> DeviceMap:
        """See :class:`gpurefine.backend.ops.DensityOps`."""
        tangent = (
            self.send("v_xyz", v_xyz, np.float64), self.send("v_b", v_b, np.float64),
            None if v_u is None else self.send("v_u", v_u, np.float64),
            None if v_weight is None else self.send("v_weight", v_weight, np.float64),
        )
        return self._accumulate(plan, self._spheres(plan, atoms, self._atoms(atoms), tangent), "tangent")

    def gather(
        self, plan: DensityPlan, atoms: Scatterers, dmap: Any, want_weight: bool = False
    ) -> DensityGradient:
        """See :class:`gpurefine.backend.ops.DensityOps`; the weight costs nothing and is always there."""
        n, grid, slope = len(atoms.weight), self._grid(plan), self.map_array(dmap)
        moving = self._atoms(atoms)
        spheres = self._spheres(plan, atoms, moving)
        out = self.buffer("slope", 11 * n, np.float64)
        self.device.clear(out)
        xyz, b_iso, u_aniso, weight = out[: 3 * n], out[3 * n : 4 * n], out[4 * n : 10 * n], out[10 * n :]
        for part in spheres:
            self.launch_warps(
                f"gather_{part.name}_{grid.width[part.name]}", part.m, part.centre, part.sphere, part.gauss, part.list,
                np.int32(part.m), grid.cell, *map(np.int32, plan.shape), slope, moving.weight, xyz,
                b_iso if part.name == "iso" else u_aniso, weight,
            )
        host = self.device.download(out)
        return DensityGradient(
            host[: 3 * n].reshape(n, 3), host[3 * n : 4 * n], host[4 * n : 10 * n].reshape(n, 6), host[10 * n :]
        )

    def direct_summation(
        self, plan: DensityPlan, fourier_plan: FourierPlan, atoms: Scatterers, n_centring: int
    ) -> NDArray[np.complex128]:
        """See :class:`gpurefine.backend.ops.DensityOps`."""
        own, moving = self._symmetry(fourier_plan), self._atoms(atoms)  # no tensor is read without anisotropic atoms
        n_scatterer, n_gauss = plan.gauss_a.shape
        if 8 * n_scatterer > 40_000:
            raise DeviceError(f"{n_scatterer} kinds of scatterers are too many for exact sums on a GPU. "
                              "Use --device cpu.")
        a, b, frac = self.kept("exact", lambda: (
            self.fixed(plan.gauss_a, np.float64), self.fixed(plan.gauss_b, np.float64),
            self.fixed(plan.frac, np.float64),
        ), plan)
        out = self.buffer("hkl", own.n, np.complex128)
        if own.n:
            self.device.launch(
                "direct_sum", (own.n,), (128,),
                (own.hkl, own.rotations, own.translations, np.int32(own.n_op), frac, a, b, np.int32(n_scatterer),
                 np.int32(n_gauss), moving.xyz, moving.b_iso, moving.u_aniso,
                 self.send("is_aniso", atoms.is_aniso, np.bool_), moving.weight, moving.kind,
                 np.int32(len(atoms.weight)), np.float64(n_centring), out),
                8 * n_scatterer,
            )
        return self.device.download(out)
