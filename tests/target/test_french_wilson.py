"""French–Wilson amplitudes against direct integration, limits and simulated data."""

import numpy as np
import pytest
from scipy.integrate import quad

from gpurefine.io.symmetry import crystal_from_gemmi, reflection_flags, unique_hkl
from gpurefine.target.french_wilson import french_wilson, posterior_amplitude, wilson_fit, wilson_mean


def direct(intensity, sigma, centric, expected):
    """Posterior mean and standard deviation of F by adaptive quadrature over F, straight from Bayes' theorem."""

    def density(f):
        j = f * f
        prior = np.exp(-j / (2 * expected)) if centric else 2 * f * np.exp(-j / expected)
        return prior * np.exp(-((intensity - j) ** 2 - min(intensity, 0.0) ** 2) / (2 * sigma**2))

    top = np.sqrt(max(intensity, 0.0) + 12 * sigma)
    peak = np.sqrt(max(intensity, 0.0))
    options = {"points": [peak] if 0 < peak < top else None, "limit": 400, "epsabs": 0, "epsrel": 1e-11}
    norm = quad(density, 0, top, **options)[0]
    mean = quad(lambda f: f * density(f), 0, top, **options)[0] / norm
    variance = quad(lambda f: (f - mean) ** 2 * density(f), 0, top, **options)[0] / norm
    return mean, np.sqrt(variance)


@pytest.mark.parametrize("centric", [False, True])
@pytest.mark.parametrize("intensity", [-6.0, -2.0, 0.0, 0.5, 3.0, 20.0, 80.0])
@pytest.mark.parametrize("expected", [0.3, 4.0, 100.0])
def test_against_direct_integration(intensity, expected, centric):
    sigma = 1.7
    f, s = posterior_amplitude(
        np.array([intensity]), np.array([sigma]), np.array([centric]), np.array([expected])
    )
    mean, spread = direct(intensity, sigma, centric, expected)
    assert f[0] == pytest.approx(mean, rel=1e-7)
    assert s[0] == pytest.approx(spread, rel=1e-6)


@pytest.mark.parametrize("centric", [False, True])
def test_strong_reflections_are_square_roots(centric):
    intensity = np.array([1e4, 1e6, 1e8])
    sigma = np.array([10.0, 100.0, 1.0])
    f, s = posterior_amplitude(intensity, sigma, np.full(3, centric), np.full(3, 1e5))
    np.testing.assert_allclose(f, np.sqrt(intensity), rtol=1e-4)
    np.testing.assert_allclose(s, sigma / (2 * np.sqrt(intensity)), rtol=1e-4)


def test_hopeless_reflections_follow_the_prior():
    """σ ≫ Σ: nothing was learnt; F is the Wilson mean amplitude √(πΣ)/2 (acentric) or √(2Σ/π) (centric)."""
    f, s = posterior_amplitude(np.zeros(2), np.full(2, 1e5), np.array([False, True]), np.ones(2))
    np.testing.assert_allclose(f, [np.sqrt(np.pi) / 2, np.sqrt(2 / np.pi)], rtol=1e-4)
    np.testing.assert_allclose(s, [np.sqrt(1 - np.pi / 4), np.sqrt(1 - 2 / np.pi)], rtol=1e-4)


@pytest.fixture(scope="module")
def simulated():
    import gemmi

    crystal = crystal_from_gemmi(gemmi.UnitCell(40, 40, 70, 90, 90, 90), gemmi.SpaceGroup("P 43 21 2"))
    hkl = unique_hkl(crystal, 2.2)
    centric, epsilon = reflection_flags(crystal, hkl)
    s = hkl @ crystal.frac
    truth = 500 * np.exp(-0.5 * (15 * s[:, 0] ** 2 + 15 * s[:, 1] ** 2 + 60 * s[:, 2] ** 2)) * epsilon
    rng = np.random.default_rng(5)
    j = truth * np.where(centric, rng.chisquare(1, len(hkl)), rng.exponential(1.0, len(hkl)))
    sigma = np.full(len(hkl), 20.0)
    return crystal, hkl, j, j + sigma * rng.standard_normal(len(hkl)), sigma, centric, epsilon, truth


def test_wilson_mean_finds_resolution_and_anisotropy(simulated):
    crystal, hkl, _, intensity, sigma, centric, epsilon, truth = simulated
    found = wilson_mean(crystal, hkl, intensity, sigma, centric, epsilon)
    error = np.log(found / truth)
    assert np.sqrt(np.mean(error**2)) < 0.12
    s = hkl @ crystal.frac
    along_c = s[:, 2] ** 2 > 0.8 * crystal.inv_d2(hkl)
    assert abs(np.median(error[along_c])) < 0.15


def test_wilson_fit_of_an_oblique_crystal():
    """Fall-off with every element of B, in a triclinic cell, and ε that many reflections have."""
    import gemmi

    crystal = crystal_from_gemmi(gemmi.UnitCell(40, 45, 50, 80, 95, 110), gemmi.SpaceGroup("P 1"))
    hkl = unique_hkl(crystal, 2.0)
    rng = np.random.default_rng(6)
    n = len(hkl)
    centric, epsilon = rng.random(n) < 0.3, rng.choice([1.0, 4.0], n)
    s = hkl @ crystal.frac
    b = np.array([[20.0, 8.0, -6.0], [8.0, 35.0, 10.0], [-6.0, 10.0, 50.0]])
    truth = epsilon * 500 * np.exp(-0.5 * np.einsum("ni,ij,nj->n", s, b, s))
    intensity = truth * np.where(centric, rng.chisquare(1, n), rng.exponential(1.0, n))
    found = wilson_fit(crystal, hkl, intensity, np.full(n, 1.0), centric, epsilon)
    np.testing.assert_allclose(found.b_aniso, b - 35.0 * np.eye(3), atol=2.5)
    assert found.b_range == pytest.approx(np.ptp(np.linalg.eigvalsh(b)), abs=4.0)
    error = np.log(found.mean / truth)
    assert abs(error.mean()) < 0.03 and np.sqrt(np.mean(error**2)) < 0.12
    assert abs(error[epsilon == 4.0].mean()) < 0.05


def test_amplitudes_are_unbiased_over_the_prior(simulated):
    crystal, hkl, j, intensity, sigma, centric, epsilon, _ = simulated
    result = french_wilson(crystal, hkl, intensity, sigma, centric, epsilon)
    pull = (np.sqrt(j) - result.f) / result.sigma
    assert abs(pull.mean()) < 0.05
    assert np.mean(pull**2) == pytest.approx(1.0, abs=0.1)
    assert (result.f > 0).all()


def test_all_negative_intensities_stay_finite():
    import gemmi

    crystal = crystal_from_gemmi(gemmi.UnitCell(20, 25, 30, 90, 90, 90), gemmi.SpaceGroup("P 21 21 21"))
    hkl = unique_hkl(crystal, 2.5)
    centric, epsilon = reflection_flags(crystal, hkl)
    n = len(hkl)
    result = french_wilson(crystal, hkl, np.full(n, -1.0), np.full(n, 2.0), centric, epsilon)
    assert np.isfinite(result.f).all() and (result.f > 0).all() and (result.sigma > 0).all()


def test_very_strong_intensities_have_the_limit_of_error_propagation():
    """h = I/σ from where quadrature serves to where it would lose its nodes: √I and σ/(2√I)."""
    intensity = np.array([1e6, 9e7, 1.1e8, 1e12, 1e30])
    f, sigma = posterior_amplitude(intensity, np.ones(5), np.zeros(5, dtype=bool), np.full(5, 1e33))
    np.testing.assert_allclose(f, np.sqrt(intensity), rtol=1e-6)
    np.testing.assert_allclose(sigma, 0.5 / np.sqrt(intensity), rtol=1e-3)
