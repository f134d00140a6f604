"""R factors and correlations by resolution shell for the final table (method 9)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..model.records import ShellRecord
from .experiment import Experiment, Fit

F64 = NDArray[np.float64]


def r_factor(f_obs: F64, f_calc: F64) -> float | None:
    """Σ|F_o − F_c| / ΣF_o; None without reflections."""
    total = float(f_obs.sum())
    return float(np.abs(f_obs - f_calc).sum() / total) if total > 0.0 else None


def correlation(x: F64, y: F64) -> float | None:
    """Pearson correlation; None where it is not defined."""
    if len(x) < 3:
        return None
    a, b = x - x.mean(), y - y.mean()
    norm = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b / norm) if norm > 0.0 else None


def shell_table(experiment: Experiment, fit: Fit, shell: NDArray[np.intp], fom: F64) -> list[ShellRecord]:
    """One record a shell for the reflections' ``shell`` (n,) with figures of merit ``fom`` (n,)."""
    r = experiment.reflections
    amplitude = experiment.amplitudes()
    observed, work, free = r.observed, r.work, r.free
    out = []
    for k in range(int(shell.max()) + 1):
        inside = shell == k
        both, w, f = inside & observed, inside & work, inside & free
        if not both.any():
            continue
        out.append(
            ShellRecord(
                d_max=float(r.inv_d2[inside].min() ** -0.5),
                d_min=float(r.inv_d2[inside].max() ** -0.5),
                n_possible=int(inside.sum()),
                n_obs=int(both.sum()),
                n_work=int(w.sum()),
                n_free=int(f.sum()),
                completeness=100.0 * float(both.sum()) / float(inside.sum()),
                r_work=r_factor(r.f[w], amplitude[w]),
                r_free=r_factor(r.f[f], amplitude[f]),
                cc_work=correlation(r.f[w], amplitude[w]),
                cc_free=correlation(r.f[f], amplitude[f]),
                fom_work=float(fom[w].mean()) if w.any() else None,
                fom_free=float(fom[f].mean()) if f.any() else None,
                d_sigmaa=float(fit.values.d[inside].mean()),
                sigma_model=float((fit.values.s / fit.scaled.k_aniso**2)[inside].mean()),
                k_mask=float(fit.scaled.k_mask[inside].mean()),
                k_iso=float(fit.scaled.k_iso[inside].mean()),
                mean_f_obs=float(r.f[both].mean()),
                mean_f_calc=float(amplitude[both].mean()),
            )
        )
    return out
