"""Plots of docs/likelihood_intensity.md, _twin.md and _mlhl.md, made by the likelihoods themselves.

    python -m perf.plot_likelihoods docs
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gpurefine.backend import create
from gpurefine.backend.ops_twin import TwinGroups
from gpurefine.target.french_wilson import posterior_amplitude

from .plot_anomalous import svg

F64 = NDArray[np.float64]


def intensity_plot() -> str:
    """⟨F cos(φ − φ_c)⟩, which D|F_c| is compared with, against I/σ: of intensities and of French–Wilson amplitudes."""
    i = np.linspace(-6.0, 8.0, 141)
    one, centric = np.ones(len(i)), np.zeros(len(i), bool)
    fc = np.full(len(i), 1.5 + 0j)
    backend = create("cpu", 1)
    own = backend.intensity(i, one, fc, one, one, one, centric, True).best.real
    f, sigma = posterior_amplitude(i, one, centric, 2.0 * one)
    rice = backend.rice(f, sigma, fc, one, one, one, centric, True).fom * f
    curves = {"intensity": own, "French-Wilson amplitude": rice}
    return svg(i, curves, "I/sigma", "expected F cos(phase error)", (-6, -3, 0, 3, 6))


def twin_plot() -> str:
    """−LL of a pair of intensities against the fraction, above its minimum."""
    fractions = np.linspace(0.02, 0.48, 93)
    groups = TwinGroups(
        np.array([0, 2], np.int32), np.array([0, 1], np.int32), np.array([[0, 1], [1, 0]], np.int32)
    )
    backend = create("cpu", 1)
    one, centric = np.ones(2), np.zeros(2, bool)
    curves: dict[str, F64] = {}
    for sigma in (0.1, 0.3, 1.0):
        values = [
            float(
                backend.twin(
                    groups, np.array([1.0 - a, a]), np.array([3.0, 1.0]), sigma * one, np.array([1.7, 0.5]), one,
                    centric,
                ).minus_ll[0]
            )
            for a in fractions
        ]
        curves[f"sigma = {sigma:g}"] = np.minimum(np.array(values) - min(values), 6.0)
    return svg(fractions, curves, "fraction of the second domain", "-LL above its minimum", (0.1, 0.2, 0.3, 0.4))


def phased_plot() -> str:
    """Figure of merit of the combined phase against the angle between the model's phase and the prior's."""
    angle = np.linspace(-180.0, 180.0, 121)
    n = len(angle)
    one, centric = np.ones(n), np.zeros(n, bool)
    fc = np.exp(1j * np.radians(angle))
    prior = np.zeros((4, n))
    prior[0] = 2.0
    backend = create("cpu", 1)
    both = backend.phased(1.5 * one, 0.0 * one, fc, prior, one, one, one, centric, False)
    alone = backend.phased(1.5 * one, 0.0 * one, fc, 0.0 * prior, one, one, one, centric, False)
    curves = {"prior and model": np.abs(both.direction), "model alone": np.abs(alone.direction)}
    return svg(angle, curves, "phase of Fc - prior phase, degrees", "figure of merit", (-180, -90, 0, 90, 180))


def main() -> None:
    """Write the files."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "docs")
    for name, plot in (("intensity", intensity_plot), ("twin", twin_plot), ("mlhl", phased_plot)):
        (folder / f"likelihood_{name}.svg").write_text(plot(), encoding="utf-8")


if __name__ == "__main__":
    main()
