"""Signs of twinning, pseudo-translation and anisotropy in simulated intensities."""

import gemmi
import numpy as np
import pytest

from gpurefine.io.data_signs import data_signs
from gpurefine.io.lattice import twin_laws
from gpurefine.io.measurements import positions
from gpurefine.io.symmetry import asu_hkl, crystal_from_gemmi, reflection_flags, unique_hkl
from gpurefine.target.data_quality import (
    local_statistic,
    patterson_peak,
    related_intensities,
    second_moment,
    strong_enough,
)

CELL = (60.0, 60.0, 80.0, 90.0, 90.0, 90.0)


class Simulated:
    """Wilson intensities of a crystal: Σ exp(−20/(2d²)), relative noise, perhaps a twin or with a law as symmetry."""

    def __init__(self, group="P 43", cell=CELL, alpha=0.0, d_min=2.2, seed=1, tensor=None, noise=0.03):
        rng = np.random.default_rng(seed)
        self.crystal = crystal_from_gemmi(gemmi.UnitCell(*cell), gemmi.SpaceGroup(group))
        self.hkl = unique_hkl(self.crystal, d_min)
        self.centric, self.epsilon = reflection_flags(self.crystal, self.hkl)
        n = len(self.hkl)
        z = np.where(self.centric, rng.standard_normal(n) ** 2, rng.exponential(size=n))
        if alpha:
            self.law = twin_laws(self.crystal)[0]
            mate = positions(asu_hkl(self.crystal, self.law.apply(self.hkl)), self.hkl)
            z = (1 - alpha) * z + alpha * z[mate]
        s = self.hkl @ self.crystal.frac
        b = 20.0 * np.eye(3) if tensor is None else np.asarray(tensor, dtype=float)
        self.level = 1e4 * self.epsilon * np.exp(-0.5 * np.einsum("ni,ij,nj->n", s, b, s))
        self.sigma = noise * self.level
        self.intensity = z * self.level + self.sigma * rng.standard_normal(n)

    def signs(self, twin=False):
        return data_signs(self.crystal, self.hkl, self.intensity, self.sigma, self.centric, self.epsilon, twin)


def statistics(data):
    a = ~data.centric
    return (
        second_moment(data.intensity[a], data.sigma[a], data.level[a]),
        local_statistic(data.hkl, data.intensity, a),
    )


@pytest.mark.parametrize(("alpha", "moment", "l_abs"), [(0.0, 2.0, 0.5), (0.5, 1.5, 0.375)])
def test_limits_of_twinning(alpha, moment, l_abs):
    found = statistics(Simulated(alpha=alpha, d_min=1.9, noise=0.005))
    assert found[0] == pytest.approx(moment, abs=0.06)
    assert found[1] == pytest.approx(l_abs, abs=0.012)


def test_noise_is_taken_out_of_the_moment():
    assert statistics(Simulated(d_min=1.9, noise=0.5))[0] == pytest.approx(2.0, abs=0.06)


@pytest.mark.parametrize("alpha", [0.15, 0.25, 0.35])
def test_partial_twins_are_named_with_their_law(alpha):
    data = Simulated(alpha=alpha)
    assert statistics(data)[0] == pytest.approx(2.0 - 2.0 * alpha * (1.0 - alpha), abs=0.07)
    told = data.signs()
    assert len(told) == 1 and told[0].startswith("Twinning:") and data.law.name in told[0]
    assert float(told[0].split("fraction about ")[1].split(":")[0]) == pytest.approx(alpha, abs=0.05)
    assert told[0].endswith(": --twin models it.")
    assert data.signs(twin=True) == [told[0].replace("--twin models it", "tested and refined, since --twin is given")]


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("group", ["P 43", "P 21 21 2", "P 1"])
def test_no_false_alarm(seed, group):
    assert Simulated(group=group, seed=seed, d_min=2.8 if group != "P 1" else 4.0).signs() == []


def test_no_false_alarm_from_noise():
    assert Simulated(noise=0.6).signs() == []


def test_missing_symmetry():
    data = Simulated(group="P 4")
    law = twin_laws(data.crystal)[0]
    mate = positions(asu_hkl(data.crystal, law.apply(data.hkl)), data.hkl)
    first = np.minimum(np.arange(len(mate)), mate)
    data.intensity = (data.intensity / data.epsilon)[first] * data.epsilon
    told = data.signs()
    assert len(told) == 1 and told[0].startswith("Symmetry:") and law.name in told[0]


def test_too_high_symmetry():
    data = Simulated(group="P 4 2 2", alpha=0.0)
    other = Simulated(group="P 4 2 2", seed=2)
    data.intensity = 0.5 * (data.intensity + other.intensity)
    told = data.signs()
    assert len(told) == 1 and "too high a symmetry" in told[0]


def test_anisotropy():
    told = Simulated(group="P 21 21 2", tensor=np.diag([10.0, 20.0, 70.0]), noise=0.005).signs()
    assert len(told) == 1 and told[0].startswith("Anisotropy: B of the data differs by 6")


def test_pseudo_translation():
    data = Simulated(group="P 21 21 2", cell=(60.0, 75.0, 80.0, 90.0, 90.0, 90.0))
    assert patterson_peak(data.crystal, data.hkl, data.intensity / data.epsilon).height < 0.2
    phase = data.hkl @ np.array([0.5, 0.0, 0.45])
    data.intensity = data.intensity * (1.0 + 0.8 * np.cos(2.0 * np.pi * phase))
    told = [m for m in data.signs() if m.startswith("Pseudo-translation")]
    assert len(told) == 1
    peak = patterson_peak(data.crystal, data.hkl, data.intensity / data.epsilon)
    assert 0.25 < peak.height < 0.6
    np.testing.assert_allclose(np.minimum(peak.position, 1 - np.array(peak.position)), [0.5, 0.0, 0.45], atol=0.03)
    assert peak.distance == pytest.approx(np.hypot(30.0, 36.0), abs=2.5)


def test_distance_of_a_peak_in_an_oblique_cell():
    cell = (110.0, 75.0, 45.0, 90.0, 115.0, 90.0)
    data = Simulated(group="P 1", cell=cell, d_min=4.0)
    translation = np.array([0.45, 0.5, 0.4])
    intensity = data.intensity * (1.0 + 0.9 * np.cos(2.0 * np.pi * (data.hkl @ translation)))
    peak = patterson_peak(data.crystal, data.hkl, intensity / data.epsilon)
    places = [
        gemmi.UnitCell(*cell).orthogonalize(gemmi.Fractional(*(translation + np.array((i, j, k))))).length()
        for i in (-1, 0) for j in (-1, 0) for k in (-1, 0)
    ]
    assert peak.distance == pytest.approx(min(places), abs=1.5)


def test_pseudo_translation_does_not_look_like_the_opposite_of_twinning():
    data = Simulated(d_min=1.9, noise=0.005)
    data.intensity = data.intensity * np.where(data.hkl[:, 0] % 2, 0.1, 1.9)
    assert local_statistic(data.hkl, data.intensity, ~data.centric) == pytest.approx(0.5, abs=0.012)


def test_centring_is_no_pseudo_translation():
    data = Simulated(group="C 2 2 2", cell=(90.0, 75.0, 80.0, 90.0, 90.0, 90.0), d_min=3.0)
    assert patterson_peak(data.crystal, data.hkl, data.intensity / data.epsilon).height < 0.2


def test_related_pairs_of_a_known_fraction():
    rng = np.random.default_rng(5)
    j = rng.exponential(size=(4000, 2))
    alpha = 0.2
    pairs = np.concatenate([(1 - alpha) * j[:, 0] + alpha * j[:, 1], alpha * j[:, 0] + (1 - alpha) * j[:, 1]])
    partner = np.concatenate([np.arange(4000) + 4000, np.arange(4000)])
    found = related_intensities(pairs, np.full(8000, 1e-3), partner, np.ones(8000, dtype=bool))
    assert found.fraction == pytest.approx(alpha, abs=0.01)
    # Σ|J₁ − J₂| / Σ(J₁ + J₂) of exponential J is 1/2, scaled by 1 − 2α
    assert found.r_merge == pytest.approx(0.5 * (1 - 2 * alpha), abs=0.01)
    assert related_intensities(pairs[:100], np.ones(100), np.full(100, -1), np.ones(100, dtype=bool)) is None


def test_pairs_that_count():
    """Each once, acentric, and not within the noise; r_noise is what the noise alone makes of pairs that are alike."""
    rng = np.random.default_rng(6)
    true = np.tile(rng.exponential(size=20_000) + 1.0, 2)
    sigma = np.full(40_000, 0.1)
    intensity = true + sigma * rng.normal(size=40_000)
    partner = np.concatenate([np.arange(20_000) + 20_000, np.arange(20_000)])
    acentric = np.arange(40_000) % 20_000 >= 4_000
    intensity[~acentric] *= rng.exponential(size=8_000)
    found = related_intensities(intensity, sigma, partner, acentric)
    assert found.n_pairs == 16_000
    assert found.r_merge == pytest.approx(found.r_noise, rel=0.03)
    weak = np.arange(40_000) % 2 == 0
    assert related_intensities(np.where(weak, 0.1, intensity), sigma, partner, acentric).n_pairs == 8_000


def test_strong_shells_end_where_noise_begins():
    s2 = np.linspace(0.01, 0.25, 4000)
    strong = strong_enough(s2, np.full(4000, 10.0), np.where(s2 < 0.13, 1.0, 5.0))
    assert 0.11 < s2[strong].max() < 0.14
    # what comes behind a weak shell does not count
    again = strong_enough(s2, np.full(4000, 10.0), np.where((s2 < 0.13) | (s2 > 0.2), 1.0, 5.0))
    np.testing.assert_array_equal(again, strong)


def test_too_few_reflections_say_nothing():
    data = Simulated(d_min=9.0)
    assert data.signs() == [] and local_statistic(data.hkl[:30], data.intensity[:30], ~data.centric[:30]) is None
