"""Plots of docs/likelihood_sad.md and docs/likelihood_siras.md, as SVG files without any plotting library.

    python -m perf.plot_anomalous docs
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import i0e

F64 = NDArray[np.float64]
COLOURS = ("#1b6ca8", "#c05020", "#4a8f3c", "#7a4fa0")
WIDTH, HEIGHT, MARGIN = 640, 320, 46


def svg(x: F64, curves: dict[str, F64], x_label: str, y_label: str, ticks: Sequence[float]) -> str:
    """Curves (n,) over ``x`` (n,) with axes, ticks of x and a legend."""
    top = 1.05 * max(float(y.max()) for y in curves.values())
    inner_x, inner_y = WIDTH - 2 * MARGIN, HEIGHT - 2 * MARGIN

    def place(a: float, b: float) -> str:
        return f"{MARGIN + (a - x[0]) / (x[-1] - x[0]) * inner_x:.1f},{HEIGHT - MARGIN - b / top * inner_y:.1f}"

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
        'font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<polyline fill="none" stroke="black" points="{place(x[0], top)} {place(x[0], 0)} {place(x[-1], 0)}"/>',
        f'<text x="{WIDTH / 2}" y="{HEIGHT - 8}" text-anchor="middle">{x_label}</text>',
        f'<text x="14" y="{HEIGHT / 2}" text-anchor="middle" transform="rotate(-90 14 {HEIGHT / 2})">{y_label}</text>',
    ]
    for tick in ticks:
        a, b = place(tick, 0.0).split(",")
        parts.append(f'<text x="{a}" y="{float(b) + 16:.1f}" text-anchor="middle">{tick:g}</text>')
    for k, (name, y) in enumerate(curves.items()):
        points = " ".join(place(float(a), float(b)) for a, b in zip(x, y, strict=True))
        colour = COLOURS[k % len(COLOURS)]
        parts.append(f'<polyline fill="none" stroke="{colour}" stroke-width="1.8" points="{points}"/>')
        at = f'x="{WIDTH - MARGIN}" y="{MARGIN + 16 * k}"'
        parts.append(f'<text {at} text-anchor="end" fill="{colour}">{name}</text>')
    return "\n".join([*parts, "</svg>", ""])


def pair_phase(phase: F64, a: tuple[float, float], mu: tuple[complex, complex], shared: float, own: float) -> F64:
    """Probability density (n,) of the phase (radians) of F+, that of F−* integrated out."""
    total = shared + own
    rho, v = shared / total, own * (2.0 * shared + own) / total
    z = a[0] * np.exp(1j * phase)
    other = np.abs(mu[1] + rho * (z - mu[0]))
    log_p = -np.abs(z - mu[0]) ** 2 / total - (a[1] - other) ** 2 / v + np.log(i0e(2.0 * a[1] * other / v))
    p = np.exp(log_p - log_p.max())
    return np.asarray(p / (p.sum() * (phase[1] - phase[0])))


def sad_plot() -> str:
    """One pair with three models of F′."""
    degrees = np.linspace(-180.0, 180.0, 721)
    second = 3.0 * np.exp(1j * np.radians(30.0))
    curves = {}
    for name, main, shared in (
        ("F′ = 95, Σ_c = 400: a good model", 95.0, 400.0),
        ("F′ = 60, Σ_c = 6000: a poor model", 60.0, 6000.0),
        ("F′ = 0, Σ_c = 10 000: anomalous scatterers alone", 0.0, 10_000.0),
    ):
        mu = (main + 1j * second, main - 1j * second)
        curves[name] = pair_phase(np.radians(degrees), (102.0, 98.0), mu, shared, 3.0)
    return svg(degrees, curves, "phase of F(+), degrees", "probability per radian", (-180, -90, 0, 90, 180))


def native_phase(phase: F64, r: float) -> F64:
    """Probability density (n,) of the native's phase (radians); the derivative's two are integrated out."""
    variance, own, noise = 5000.0, 8.0, 8.0
    heavy, second = 20.0 * np.exp(1j * np.pi / 3.0), 8.0 * np.exp(1j * np.pi / 3.0)
    native = 45.0 + 0.0j
    z = 100.0 * np.exp(1j * phase)
    total = variance + noise
    shift = r * variance / total * (z - native)
    rest = variance - (r * variance) ** 2 / total
    other = np.radians(np.linspace(-180.0, 180.0, 721))[:-1]
    p = np.empty(len(phase))
    for k, s in enumerate(shift):
        mu = (native + heavy + 1j * second + s, native + heavy - 1j * second + s)
        e, c = 118.0 * np.exp(1j * other) - mu[0], rest + own
        v = own * (2.0 * rest + own) / c
        size = np.abs(mu[1] + rest / c * e)
        f = np.exp(-np.abs(e) ** 2 / c - (106.0 - size) ** 2 / v) * i0e(212.0 * size / v)
        p[k] = f.sum() * np.exp(-np.abs(z[k] - native) ** 2 / total) / (c * v)
    return np.asarray(p / (p.sum() * (phase[1] - phase[0])))


def siras_plot() -> str:
    """One native with three degrees of isomorphism."""
    degrees = np.linspace(-180.0, 180.0, 361)
    curves = {
        name: native_phase(np.radians(degrees), r)
        for name, r in (("r = 0: the model alone", 0.0), ("r = 0.9", 0.9), ("r = 0.99", 0.99))
    }
    return svg(degrees, curves, "phase of the native, degrees", "probability per radian", (-180, -90, 0, 90, 180))


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the plots."""
    parser = argparse.ArgumentParser(prog="python -m perf.plot_anomalous", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args(arguments).folder
    (folder / "likelihood_sad.svg").write_text(sad_plot(), encoding="utf-8")
    (folder / "likelihood_siras.svg").write_text(siras_plot(), encoding="utf-8")


if __name__ == "__main__":
    main()
