"""Figures of merit and coefficients from each other, against quadrature."""

import numpy as np
import pytest

from gpurefine.target.phase_information import coefficients_of, inverse_sim, phase_summary


@pytest.mark.parametrize("size", [0.0, 0.3, 3.0, 40.0, 1500.0])
def test_centroid_against_fine_quadrature(size):
    hl = size * np.random.default_rng(0).normal(size=(20, 4))
    phi = 2 * np.pi * np.arange(200_000) / 200_000
    basis = np.stack([np.cos(phi), np.sin(phi), np.cos(2 * phi), np.sin(2 * phi)])
    log_p = hl @ basis
    p = np.exp(log_p - log_p.max(axis=1, keepdims=True))
    exact = (p * np.exp(1j * phi)).sum(axis=1) / p.sum(axis=1)
    found = phase_summary(hl, np.full(20, np.nan)).centroid
    assert np.abs(found - exact).max() < (1e-9 if size < 10 else 2e-3)


def test_centric_centroid():
    hl = np.array([[1.0, 0.5, 3.0, 3.0], [0.0, -2.0, 0.0, 0.0]])
    found = phase_summary(hl, np.array([0.0, np.pi / 2]))
    np.testing.assert_allclose(found.centroid, [np.tanh(1.0), 1j * np.tanh(-2.0)], atol=1e-12)


def test_phase_and_figure_of_merit_come_back():
    fom = np.array([0.0, 1e-6, 0.01, 0.3, 0.52, 0.54, 0.84, 0.86, 0.97, 0.998, 1.0])
    phase = np.linspace(-3, 3, len(fom))
    summary = phase_summary(coefficients_of(phase, fom, np.zeros(len(fom), bool)), np.full(len(fom), np.nan))
    np.testing.assert_allclose(summary.fom, np.minimum(fom, 0.999), atol=1e-3)
    np.testing.assert_allclose(summary.fom[:9], fom[:9], atol=1e-8)
    np.testing.assert_allclose(summary.phase[1:], phase[1:], atol=1e-6)
    restricted = np.where(phase > 0, phase, phase + np.pi)
    centric = phase_summary(coefficients_of(phase, fom, np.ones(len(fom), bool)), restricted)
    np.testing.assert_allclose(centric.fom, np.minimum(fom, 0.999), atol=1e-9)


def test_inverse_sim_is_finite_and_monotonic():
    m = np.linspace(0.0, 0.9999, 5000)
    x = inverse_sim(m)
    assert np.isfinite(x).all() and (np.diff(x) > 0).all() and x[0] == 0.0
