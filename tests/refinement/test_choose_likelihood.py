"""Which likelihood is taken where several could be, and the words about what was refined of anomalous scattering."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from gpurefine.refinement import anomalous, choose_likelihood

KINDS = ("siras", "sad", "twin", "intensity", "phased", "rice")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ((), "rice"),
        (("prior",), "phased"),
        (("intensity",), "intensity"),
        (("intensity", "prior"), "intensity"),
        (("intensity", "twin"), "twin"),
        (("intensity", "twin", "anomalous"), "sad"),
        (("intensity", "anomalous", "derivative"), "siras"),
        (("derivative",), "siras"),
    ],
)
def test_choice(monkeypatch: pytest.MonkeyPatch, given: tuple[str, ...], expected: str) -> None:
    for kind in KINDS:
        monkeypatch.setattr(choose_likelihood, f"plan_{kind}", lambda *arguments, kind=kind: (kind, *arguments))
    reflections: Any = SimpleNamespace(intensity="I" if "intensity" in given else None)
    measured: Any = SimpleNamespace(
        twin="laws" if "twin" in given else None, prior="phases" if "prior" in given else None
    )
    pairs: Any = SimpleNamespace(pairs="pairs", rows=SimpleNamespace(refined=(True,))) if "anomalous" in given else None
    derivative: Any = "sites" if "derivative" in given else None
    backend: Any = "backend"
    crystal: Any = "crystal"
    found: Any = choose_likelihood.choose_likelihood(backend, crystal, reflections, pairs, measured, derivative)
    arguments = {
        "siras": ("crystal", reflections, "sites"), "sad": (reflections, "pairs", (True,)),
        "twin": (reflections, "laws"), "phased": (reflections, "phases"),
    }  # fmt: skip
    assert found == (expected, "backend", *arguments.get(expected, (reflections,)))


def test_without_anything_it_is_rice(monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in KINDS:
        monkeypatch.setattr(choose_likelihood, f"plan_{kind}", lambda *_, kind=kind: kind)
    nothing: Any = None
    assert choose_likelihood.choose_likelihood(nothing, nothing, SimpleNamespace(intensity=None)) == "rice"  # type: ignore[arg-type,comparison-overlap]


def test_sites_are_told_on_the_absolute_scale() -> None:
    """Refined sites carry the native's scale k exp(−B s²/4), here with k = 0.5 and B = 12 Å²."""
    s2 = np.linspace(0.01, 0.25, 50)
    experiment: Any = SimpleNamespace(
        reflections=SimpleNamespace(inv_d2=s2),
        fitted=SimpleNamespace(
            errors=SimpleNamespace(sites=np.array([[0.1, 0.2, 0.3, 32.0, 0.4], [0.5, 0.6, 0.7, 20.0, 0.25]])),
            scaled=SimpleNamespace(factor=0.5 * np.exp(-0.25 * 12.0 * s2)),
        ),
    )
    derivative: Any = SimpleNamespace(names=("XE", "I"))
    told = anomalous.refined_sites(experiment, derivative)
    assert told == [
        "Derivative: Xe at 0.1000 0.2000 0.3000 (fractions of the cell), B 20.0 Å², occupancy 0.80.",
        "Derivative: I at 0.5000 0.6000 0.7000 (fractions of the cell), B 8.0 Å², occupancy 0.50.",
    ]
    assert anomalous.refined_sites(experiment, None) == []


def test_factors_are_told_with_their_start(monkeypatch: pytest.MonkeyPatch) -> None:
    records = [
        SimpleNamespace(name="Se", kind="f″", value=4.256, uncertainty=0.0416),
        SimpleNamespace(name="law", kind="twin fraction", value=0.3, uncertainty=0.01),
    ]
    monkeypatch.setattr(anomalous, "data_records", lambda experiment, data: records)
    objective: Any = SimpleNamespace(experiment=None, data=())
    rows = SimpleNamespace(names=("S", "Se"), f_second=[np.array([0.5, 0.5]), np.array([3.8, 3.9])])
    given: Any = SimpleNamespace(rows=rows)
    assert anomalous.in_words(objective, given, None) == [
        "f″ of Se: 3.90 electrons at the start, 4.26 refined (standard uncertainty 0.042)."
    ]
    assert anomalous.in_words(objective, None, None) == []
