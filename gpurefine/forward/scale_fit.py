"""Gauss–Newton fit of a scale under a robust loss."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from .hats import hat_matrix
from .scaling import TIE_ISO, TIE_MASK, Scale, Scaling

F64 = NDArray[np.float64]
C128 = NDArray[np.complex128]

_FILTER = 1e-7
"""Eigenvalues of the scaled normal matrix below this share of the largest are not inverted."""


class ScaleFit:
    """One fit: the working reflections of a :class:`Scaling` and the model's contributions there."""

    def __init__(
        self, scaling: Scaling, f_obs: F64, f_protein: C128, f_mask: C128 | None, work: NDArray[np.bool_]
    ) -> None:
        index = np.flatnonzero(work)
        self.scaling = scaling
        self.f_obs = f_obs[index]
        self.f_protein = f_protein[index]
        self.f_mask = None if f_mask is None or not scaling.mask else f_mask[index]
        self.s = scaling.s[index]
        self.s2 = self.s**2
        self.local = replace(scaling, s=self.s, columns=scaling.columns[index])

    def wilson_start(self) -> Scale:
        """Overall k and B from ln(ΣF_o²/ΣF_c²) in shells: any input scale works."""
        order = np.argsort(self.s2)
        n_shell = int(np.clip(len(order) // 100, 1, 40))
        x, y, w = [], [], []
        for shell in np.array_split(order, n_shell):
            fo2, fc2 = np.mean(self.f_obs[shell] ** 2), np.mean(np.abs(self.f_protein[shell]) ** 2)
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

    def _residual(self, scale: Scale) -> tuple[F64, C128, F64, C128]:
        model = self.local.apply(scale, self.f_protein, self.f_mask)
        amplitude = np.abs(model.total)
        inner = self.f_protein if self.f_mask is None else self.f_protein + model.k_mask * self.f_mask
        return self.f_obs - amplitude, model.total, model.factor, inner

    def loss(self, scale: Scale) -> float:
        """Σ|F_o − |F_total|| / Σ F_o over the working reflections plus the knots' ties."""
        return float(np.abs(self._residual(scale)[0]).sum() / self.f_obs.sum())

    def simple_grid(self, scale: Scale) -> Scale:
        """Best (k_sol, b_sol) of a coarse grid, k and B refitted in each cell by least squares on ln."""
        best, best_loss = scale, np.inf
        k_values = (0.0, 0.2, 0.35, 0.5) if self.f_mask is not None else (0.0,)
        for k_sol in k_values:
            for b_sol in (30.0, 60.0, 100.0) if k_sol else (50.0,):
                trial = replace(scale, k_sol=k_sol, b_sol=b_sol)
                trial = self.iterate(trial, 2, only_overall=True)
                loss = self.loss(trial)
                if loss < best_loss:
                    best, best_loss = trial, loss
        return best

    def _columns(self, scale: Scale, residual: F64, total: C128, factor: F64, inner: C128,
                 only_overall: bool) -> tuple[F64, list[str]]:
        """∂|F_total|/∂parameter (n, p) and the parameters' names."""
        amplitude = np.abs(total)
        columns = [amplitude, -0.25 * self.s2 * amplitude]
        names = ["log_k", "b_overall"]
        if only_overall:
            return np.stack(columns, axis=1), names
        for m in range(self.local.columns.shape[1]):
            columns.append(self.local.columns[:, m] * amplitude)
            names.append(f"tensor.{m}")
        if self.f_mask is not None:
            direction = np.divide(np.conj(inner), np.abs(inner), out=np.zeros_like(inner), where=np.abs(inner) > 0)
            by_mask = factor * (direction * self.f_mask).real
            if scale.mask_knots is not None:
                hats = hat_matrix(self.s, scale.mask_knots[0])
                for m in range(hats.shape[1]):
                    columns.append(by_mask * hats[:, m])
                    names.append(f"mask.{m}")
            else:
                decay = np.exp(-0.25 * scale.b_sol * self.s2)
                columns.append(by_mask * decay)
                names.append("k_sol")
                columns.append(by_mask * decay * scale.k_sol * -0.25 * self.s2)
                names.append("b_sol")
        if self.local.babinet:
            decay = np.exp(-0.25 * scale.babinet_b * self.s2)
            inverse = amplitude / (1.0 - scale.babinet_k * decay)
            columns.append(-decay * inverse)
            names.append("babinet_k")
            columns.append(0.25 * self.s2 * scale.babinet_k * decay * inverse)
            names.append("babinet_b")
        if scale.iso_knots is not None:
            hats = hat_matrix(self.s, scale.iso_knots[0])
            for m in range(hats.shape[1]):
                columns.append(amplitude * hats[:, m])
                names.append(f"iso.{m}")
        return np.stack(columns, axis=1), names

    def iterate(self, scale: Scale, iterations: int, only_overall: bool = False) -> Scale:
        """Gauss–Newton steps under the robust loss, each shortened until the loss falls."""
        loss = self._penalised(scale)
        for _ in range(iterations):
            residual, total, factor, inner = self._residual(scale)
            jacobian, names = self._columns(scale, residual, total, factor, inner, only_overall)
            # iteratively reweighted least squares for Σ|r|, flat near zero
            flat = 0.3 * float(np.median(np.abs(residual))) + 1e-12 * float(np.abs(self.f_obs).max())
            weight = 1.0 / np.maximum(np.abs(residual), flat)
            weighted = jacobian * weight[:, None]
            normal = weighted.T @ jacobian
            rhs = weighted.T @ residual
            self._tie(scale, names, normal, rhs)
            step = _filtered_solve(normal, rhs)
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
        total = float(self.f_obs.sum())
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
            strength = total * tie / len(rows)
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
        mask[1] = np.clip(mask[1], 0.0, 1.2)
    if iso is not None:
        iso[1] = np.clip(iso[1], -1.0, 1.0)
    if "k_sol" in values:
        values["k_sol"] = float(np.clip(values["k_sol"], 0.0, 0.9))
    if "b_sol" in values:
        values["b_sol"] = float(np.clip(values["b_sol"], 5.0, 300.0))
    if "babinet_k" in values:
        values["babinet_k"] = float(np.clip(values["babinet_k"], 0.0, 0.95))
    if "babinet_b" in values:
        values["babinet_b"] = float(np.clip(values["babinet_b"], 50.0, 600.0))
    return replace(scale, tensor=tensor, mask_knots=mask, iso_knots=iso, **values)
