"""f′ and f″ of the elements."""

import numpy as np
import pytest

from gpurefine.errors import UsageError
from gpurefine.io.anomalous import anomalous_factors, given_factors, imaginary_gaussians, with_f_prime
from gpurefine.io.scattering import xray_gaussians


def test_values_at_known_wavelengths():
    # International Tables C, table 4.2.6.8, Cu Kα: S 0.319 0.557, Fe -1.134 3.197, I -0.579 6.835
    f_prime, f_second = anomalous_factors(["S", "Fe", "I", "H", "D"], 1.5418)
    np.testing.assert_allclose(f_second, [0.557, 3.197, 6.835, 0, 0], atol=0.02)
    np.testing.assert_allclose(f_prime[:2], [0.319, -1.134], atol=0.03)
    at_edge, above = anomalous_factors(["Se"], 0.9795)[0], anomalous_factors(["Se"], 0.96)[1]
    assert at_edge[0] < -7 and above[0] > 3.5  # K edge at 12.658 keV
    # sulphur at 6550 eV
    assert anomalous_factors(["S"], 12398.42 / 6550)[1][0] == pytest.approx(0.82, abs=0.03)


def test_what_is_given_wins():
    given = given_factors(["SE, -8.0, 4.5"], ["C", "Se"], "--f-anomalous")
    f_prime, f_second = anomalous_factors(["C", "Se"], 1.0, given)
    assert f_prime[1] == -8.0 and f_second[1] == 4.5 and f_second[0] < 0.01


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Se", "such as Se,-8.0,4.5"), ("Se,a,b", "such as Se"), ("Qq,1,2", "such as Se"), ("Se,1,2,3", "such as Se"),
        ("Se,nan,1", "such as Se"), ("Se,-8,-1", "cannot be negative"),
        ("Hg,-5,8", "the model has no atom of Hg; its elements are C, Se"),
    ],
)  # fmt: skip
def test_what_cannot_be_given(text, words):
    with pytest.raises(UsageError) as error:
        given_factors([text], ["C", "Se"], "--f-anomalous")
    assert words in str(error.value) and str(error.value).startswith("--f-anomalous")


def test_twice_given_and_outside_the_tables():
    with pytest.raises(UsageError, match="twice"):
        given_factors(["Se,1,2", "SE,1,3"], ["Se"], "--f")
    for wavelength in (0.0, -1.0, 12.0, float("nan")):
        with pytest.raises(UsageError, match="lies outside the tables"):
            anomalous_factors(["S"], wavelength)
    with pytest.raises(UsageError, match="no tables of f′ and f″ for Pu"):
        anomalous_factors(["Pu"], 1.0)


def test_as_form_factors():
    f_prime, f_second = anomalous_factors(["C", "S"], 1.9)
    a, b = with_f_prime(xray_gaussians(["C", "S"]), f_prime)
    plain = xray_gaussians(["C", "S"])
    np.testing.assert_allclose(a.sum(axis=1), plain[0].sum(axis=1) + f_prime)
    np.testing.assert_array_equal(b, plain[1])
    a, b = imaginary_gaussians(f_second)
    assert a.shape == b.shape == (2, 1) and (b == 0).all() and (a[:, 0] == f_second).all()
