"""Gauss–Newton fit of a scale under a robust loss."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..backend.ops_reflections import Array, ScaleFactors
from ..backend.plans import ScaleSystem
from .scaling import TIE_ISO, TIE_MASK, FitPlace, Scale, Scaling

F64 = NDArray[np.float64]
C128 = NDArray[np.complex128]

_FILTER = 1e-7
"""Eigenvalues of the scaled normal matrix below this share of the largest are not inverted."""

BOUNDS = {
    "k_sol": (0.0, 0.9), "b_sol": (5.0, 300.0), "babinet_k": (0.0, 0.95), "babinet_b": (50.0, 600.0),
    "mask": (0.0, 1.2), "iso": (-1.0, 1.0),
}
"""Physical range of each kind of parameter: B in Å², values of k_mask, values of ln k_iso."""

THINNED = 10000
"""Reflections that suffice for the coarse search of a start."""


class ScaleFit:
    """One fit: the working reflections of a :class:`Scaling` and the model's contributions there.

    ``hold_mask``: k_mask stays as it is.
    """

    def __init__(
        self, scaling: Scaling, place: FitPlace, f_obs: Array, f_protein: Array, f_mask: Array | None,
        hold_mask: bool = False,
    ) -> None:
        """Take what ``place`` needs of f_obs, f_protein and f_mask (n,)."""
        take = scaling.backend.take
        self.scaling = scaling
        self.has_mask = f_mask is not None and scaling.mask
        self.f_obs = place.chosen(f_obs)
        self.f_protein = take(f_protein, place.index)
        self.f_mask = take(f_mask, place.index) if self.has_mask else place.no_mask
        self.local, self.s = place.local, place.local.s
        self.s2 = self.s**2
        self._common, self._mask_hats, self._iso_hats = place.common, place.mask_hats, place.iso_hats
        self._overall, self._none = np.ascontiguousarray(self._common[:, :2]), np.zeros((len(self.s), 0))
        self._sum = scaling.backend.total(self.f_obs)
        # of a residual that counts as one: differences that are only rounding do not weigh without bounds
        self._rounding = 1e-10 * self._sum / max(len(self.s), 1)
        self.hold_mask = hold_mask
        self._known: tuple[Scale, ScaleFactors] | None = None

    def thinned(self) -> ScaleFit:
        """The same fit on at most :data:`THINNED` reflections, evenly taken."""
        step = max(1, len(self.f_obs) // THINNED)
        every = np.arange(len(self.f_obs)) % step == 0
        place = self.local.place(every, np.flatnonzero(every))
        return ScaleFit(self.local, place, self.f_obs, self.f_protein, self.f_mask if self.has_mask else None)

    def wilson_start(self) -> Scale:
        """Overall k and B from ln(ΣF_o²/ΣF_c²) in shells: any input scale works."""
        f_obs, f_protein = np.asarray(self.f_obs), np.asarray(self.f_protein)  # once in a refinement
        order = np.argsort(self.s2)
        n_shell = int(np.clip(len(order) // 100, 1, 40))
        x, y, w = [], [], []
        for shell in np.array_split(order, n_shell):
            fo2, fc2 = np.mean(f_obs[shell] ** 2), np.mean(np.abs(f_protein[shell]) ** 2)
            if fo2 > 0.0 and fc2 > 0.0:
                x.append(self.s2[shell].mean())
                y.append(0.5 * np.log(fo2 / fc2))
                # below about 5 Å solvent dominates
                w.append(0.1 if self.s2[shell].mean() < 0.04 else 1.0)
        if not x:
            return Scale(tensor=np.zeros(self.scaling.columns.shape[1]))
        if len(x) < 4:
            return Scale(log_k=float(np.mean(y)), tensor=np.zeros(self.scaling.columns.shape[1]))
        slope, intercept = np.polyfit(np.array(x), np.array(y), 1, w=np.array(w))
        return Scale(
            log_k=float(intercept), b_overall=float(-4.0 * slope), tensor=np.zeros(self.scaling.columns.shape[1])
        )

    def _system(self, scale: Scale, only_overall: bool) -> tuple[ScaleSystem, list[str]]:
        """The fit at ``scale`` as the backend takes it, and the parameters' names."""
        columns = self.scaling.backend.solvent_columns
        common, babinet = self._overall if only_overall else self._common, None
        names = ["log_k", "b_overall"]
        by_mask: Array = self._none
        smooth_mask = smooth_iso = False
        if not only_overall:
            names += [f"tensor.{m}" for m in range(self.local.columns.shape[1])]
            if self.local.babinet:
                babinet = columns(self.s, self.f_protein, scale.babinet_k, scale.babinet_b, True)
                names += ["babinet_k", "babinet_b"]
            smooth_mask = self.has_mask and scale.mask_knots is not None and not self.hold_mask
            smooth_iso = scale.iso_knots is not None
            if self.has_mask and not smooth_mask and not self.hold_mask:
                by_mask = columns(self.s, self.f_protein, scale.k_sol, scale.b_sol, False)
                names += ["k_sol", "b_sol"]
        n_mask = len(self.local.mask_s) if smooth_mask else 0
        n_iso = len(self.local.iso_s) if smooth_iso else 0
        names += [f"mask.{m}" for m in range(n_mask)] + [f"iso.{m}" for m in range(n_iso)]
        k = self._factors(scale)
        system = ScaleSystem(
            f_obs=self.f_obs, factor=k.factor, k_mask=k.k_mask, f_protein=self.f_protein, f_mask=self.f_mask,
            common=common, by_mask=by_mask, babinet=babinet,
            mask_left=self._mask_hats[0], mask_weight=self._mask_hats[1], n_mask=n_mask,
            iso_left=self._iso_hats[0], iso_weight=self._iso_hats[1], n_iso=n_iso,
        )
        return system, names

    def _factors(self, scale: Scale) -> ScaleFactors:
        """Of ``scale``; those of the last one, which a step is next taken from, are kept."""
        if self._known is None or self._known[0] is not scale:
            self._known = scale, self.scaling.backend.scale_factors(self.local.curve(scale), self.f_protein, False)
        return self._known[1]

    def loss(self, scale: Scale) -> float:
        """Σ|F_o − |F_total|| / Σ F_o over the working reflections."""
        none, k = self._none, self._factors(scale)
        system = ScaleSystem(
            self.f_obs, k.factor, k.k_mask, self.f_protein, self.f_mask, none, none, *self._mask_hats, 0,
            *self._iso_hats, 0,
        )
        return self.scaling.backend.scale_misfit(system, False)[0] / self._sum

    def simple_grid(self, scale: Scale) -> Scale:
        """Best solvent parameters of a coarse grid, k and B refitted in each cell by least squares on ln."""
        best, best_loss = scale, np.inf
        masks = [(k, b) for k in (0.2, 0.35, 0.5) for b in (30.0, 60.0, 100.0)] if self.has_mask else []
        for k_sol, b_sol in [(0.0, 50.0), *masks]:
            # at babinet_k = 0 its B has no gradient, and a fit from there goes astray
            for babinet_k in (0.0, 0.3, 0.6) if self.local.babinet else (0.0,):
                trial = replace(scale, k_sol=k_sol, b_sol=b_sol, babinet_k=babinet_k)
                trial = self.iterate(trial, 2, only_overall=True)
                loss = self.loss(trial)
                if loss < best_loss:
                    best, best_loss = trial, loss
        return best

    def iterate(self, scale: Scale, iterations: int, only_overall: bool = False) -> Scale:
        """Gauss–Newton steps under the robust loss, each shortened until the loss falls."""
        loss = self._penalised(scale)
        for _ in range(iterations):
            system, names = self._system(scale, only_overall)
            # iteratively reweighted least squares for Σ|r|, flat near zero
            _, median = self.scaling.backend.scale_misfit(system, True)
            floor = 0.3 * median + self._rounding
            equations = self.scaling.backend.scale_equations(system, floor)
            normal, rhs = equations.normal, equations.right
            self._tie(scale, names, normal, rhs)
            step = _filtered_solve(normal, rhs)
            stuck = _stuck(scale, names, step)
            if stuck.any():
                step[stuck] = 0.0
                step[~stuck] = _filtered_solve(normal[np.ix_(~stuck, ~stuck)], rhs[~stuck])
            length = 1.0
            while length > 0.1:
                trial = _shifted(scale, names, length * step)
                trial_loss = self._penalised(trial)
                if trial_loss < loss:
                    break
                length *= 0.5
            else:
                break
            gain = loss - trial_loss
            scale, loss = trial, trial_loss
            if gain < 1e-5 * loss:
                break
        return scale

    def _exponential_knots(self, scale: Scale) -> F64:
        assert scale.mask_knots is not None
        return np.asarray(scale.k_sol * np.exp(-0.25 * scale.b_sol * scale.mask_knots[0] ** 2))

    def _penalised(self, scale: Scale) -> float:
        loss = self.loss(scale)
        if scale.iso_knots is not None:
            loss += 0.5 * TIE_ISO * float(np.mean(scale.iso_knots[1] ** 2))
        if scale.mask_knots is not None:
            loss += 0.5 * TIE_MASK * float(np.mean((scale.mask_knots[1] - self._exponential_knots(scale)) ** 2))
        return loss

    def _tie(self, scale: Scale, names: list[str], normal: F64, rhs: F64) -> None:
        for kind, tie in (("iso.", TIE_ISO), ("mask.", TIE_MASK)):
            rows = [k for k, name in enumerate(names) if name.startswith(kind)]
            if not rows:
                continue
            if kind == "iso.":
                assert scale.iso_knots is not None
                offset = scale.iso_knots[1]
            else:
                assert scale.mask_knots is not None
                offset = scale.mask_knots[1] - self._exponential_knots(scale)
            strength = self._sum * tie / len(rows)
            for m, row in enumerate(rows):
                normal[row, row] += strength
                rhs[row] -= strength * offset[m]


def _filtered_solve(normal: F64, rhs: F64) -> F64:
    """Solve by eigenvalues of the diagonally scaled matrix, leaving out those that carry no information."""
    scale = 1.0 / np.sqrt(np.maximum(np.diag(normal), 1e-300))
    values, vectors = np.linalg.eigh(normal * np.outer(scale, scale))
    keep = values > _FILTER * values[-1]
    projected = vectors[:, keep].T @ (scale * rhs)
    return np.asarray(scale * (vectors[:, keep] @ (projected / values[keep])))


def _shifted(scale: Scale, names: list[str], step: F64) -> Scale:
    """The scale moved by ``step``, kept inside its physical range."""
    values: dict[str, float] = {}
    tensor = scale.tensor.copy()
    mask = None if scale.mask_knots is None else scale.mask_knots.copy()
    iso = None if scale.iso_knots is None else scale.iso_knots.copy()
    for name, shift in zip(names, step, strict=True):
        kind, _, number = name.partition(".")
        if kind == "tensor":
            tensor[int(number)] += shift
        elif kind == "mask" and mask is not None:
            mask[1, int(number)] += shift
        elif kind == "iso" and iso is not None:
            iso[1, int(number)] += shift
        else:
            values[name] = getattr(scale, name) + float(shift)
    if mask is not None:
        mask[1] = np.clip(mask[1], *BOUNDS["mask"])
    if iso is not None:
        iso[1] = np.clip(iso[1], *BOUNDS["iso"])
    for name in values.keys() & BOUNDS.keys():
        values[name] = float(np.clip(values[name], *BOUNDS[name]))
    return replace(scale, tensor=tensor, mask_knots=mask, iso_knots=iso, **values)


def _stuck(scale: Scale, names: list[str], step: F64) -> NDArray[np.bool_]:
    """Parameters (p,) at a bound that the step would push further out: the others must be solved for without them."""
    out = np.zeros(len(names), bool)
    for k, (name, shift) in enumerate(zip(names, step, strict=True)):
        kind, _, number = name.partition(".")
        if kind not in BOUNDS:
            continue
        knots = scale.mask_knots if kind == "mask" else scale.iso_knots if kind == "iso" else None
        value = float(getattr(scale, name)) if knots is None else float(knots[1, int(number)])
        low, high = BOUNDS[kind]
        out[k] = (value <= low and shift < 0.0) or (value >= high and shift > 0.0)
    return out
