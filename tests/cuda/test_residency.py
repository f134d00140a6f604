"""What is on the device already is not copied there again."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shim_device
from counting import Counting
from refinements import refine

from gpurefine.backend import create
from gpurefine.backend.cuda.backend import CudaBackend
from gpurefine.backend.cuda.base import MODELS, REMEMBERED, DeviceOps
from gpurefine.config import Config, DataOptions, LikelihoodOptions, RefineOptions, SolventOptions
from gpurefine.refinement.experiment import Experiment
from gpurefine.target.selection import Selection

pytestmark = pytest.mark.skipif(shim_device.compiler() is None, reason="g++ is not installed")


def test_the_same_array_goes_up_once() -> None:
    ops = DeviceOps(Counting())
    arrays = [np.full(3, float(k)) for k in range(REMEMBERED + 1)]
    for _ in range(2):
        for array in arrays[:REMEMBERED]:
            copy = ops.unchanged("x", array, np.float64)
            np.testing.assert_array_equal(copy.memory, array)
    assert ops.device.up == 24 * REMEMBERED
    first, last = (ops.unchanged("x", array, np.float64) for array in (arrays[0], arrays[-1]))
    assert ops.device.up == 24 * (REMEMBERED + 1)  # the newcomer took the place of the one least recently used
    np.testing.assert_array_equal(first.memory, arrays[0])
    np.testing.assert_array_equal(last.memory, arrays[-1])
    np.testing.assert_array_equal(ops.unchanged("x", arrays[1], np.float64).memory, arrays[1])
    assert ops.device.up == 24 * (REMEMBERED + 2)
    longer = np.arange(50.0)
    np.testing.assert_array_equal(ops.unchanged("x", longer, np.float64).memory, longer)
    np.testing.assert_array_equal(ops.unchanged("x", arrays[1], np.float64).memory, arrays[1])
    there = ops.device.upload(arrays[0])
    assert ops.unchanged("x", there, np.float64) is there


def test_a_model_that_was_taken_up_goes_up_once_and_in_one_copy() -> None:
    ops = DeviceOps(Counting())
    device: Any = ops.device
    models = [(np.full((4, 3), float(k)), np.arange(4.0) + k) for k in range(MODELS + 1)]
    xyz, b_iso = models[0]
    for _ in range(2):
        ops.take_up((xyz, b_iso))
        np.testing.assert_array_equal(ops.send("x", xyz, np.float64).memory, xyz)
        np.testing.assert_array_equal(ops.send("b", b_iso, np.float64).memory, b_iso)
    assert device.ups == 1
    # equal numbers in another array are not known to stay as they are
    ops.send("x", xyz.copy(), np.float64)
    assert device.ups == 2
    # a part that stays is found in the newest, whichever is let go
    for others in models[1:-1]:
        ops.take_up((others[0], b_iso))
    ops.take_up((models[-1][0],))
    assert device.ups == 2 + MODELS
    assert ops.known(xyz) is None and ops.known(models[1][0]) is not None
    np.testing.assert_array_equal(ops.send("b", b_iso, np.float64).memory, b_iso)
    np.testing.assert_array_equal(ops.send("x", models[2][0], np.float64).memory, models[2][0])
    assert device.ups == 2 + MODELS


def test_chosen_arrays_are_the_same_objects_for_the_same_choice() -> None:
    values, index = np.arange(10.0), np.array([7, 2])
    chosen = Selection(values, -values)
    one, two = chosen.at(index)
    assert one.tolist() == [7.0, 2.0] and two.tolist() == [-7.0, -2.0]
    assert chosen.at(index)[0] is one
    others = [np.array([k]) for k in range(10)]
    assert [chosen.at(other)[0].tolist() for other in others] == [[float(k)] for k in range(10)]
    assert chosen.at(index)[0].tolist() == [7.0, 2.0]


def measured(n: int) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    return {
        "f_obs": rng.uniform(1, 9, n), "sigma": np.ones(n), "d": np.full(n, 0.9), "s": np.full(n, 4.0),
        "epsilon": np.ones(n), "centric": rng.random(n) < 0.3,
    }


def test_only_the_model_goes_up_and_only_what_is_asked_for_comes_down() -> None:
    n = 1000
    data = measured(n)
    ops = CudaBackend(Counting())
    f_calc = [np.random.default_rng(k).normal(size=(n, 2)).view(np.complex128)[:, 0] for k in range(2)]
    first = ops.rice(f_calc=f_calc[0], derivatives=True, **data)
    device: Any = ops.device
    device.up = device.down = 0
    plain = ops.rice(f_calc=f_calc[1], derivatives=False, **data)
    assert device.up == 16 * n and device.down == 16 * n
    again = ops.rice(f_calc=f_calc[0], derivatives=False, **data)
    np.testing.assert_array_equal(again.minus_ll, first.minus_ll)
    np.testing.assert_array_equal(again.fom, first.fom)
    assert not np.array_equal(plain.minus_ll, first.minus_ll) and not again.gradient.any()


def test_a_step_of_the_error_model_takes_down_what_it_reads() -> None:
    n = 500
    data = measured(n)
    fc_abs = data.pop("f_obs")
    ops, host = CudaBackend(Counting()), create("reference")
    device: Any = ops.device
    first, second = (ops.rice_sigmaa(f_obs=fc_abs * f, fc_abs=fc_abs, **data) for f in (1.0, 2.0))
    expected = [host.rice_sigmaa(f_obs=fc_abs * f, fc_abs=fc_abs, **data) for f in (1.0, 2.0)]
    device.down = 0
    for _ in range(2):
        np.testing.assert_allclose(second.d_d, expected[1].d_d, rtol=1e-9)
        np.testing.assert_allclose(second.info_d, expected[1].info_d, rtol=1e-9)
    assert device.down == 2 * 8 * n
    # what the second call found in its way was saved
    for name in ("minus_ll", "d_d", "d_log_s", "info_d", "info_s"):
        np.testing.assert_allclose(getattr(first, name), getattr(expected[0], name), rtol=1e-9, atol=1e-12)
    with pytest.raises(AttributeError):
        _ = first.nothing


SMALL = 15_000
"""Bytes of scalars, parameters on knots and sums over shells that a step may copy; less than one array over reflections
of the test below."""

PER_ATOM = {
    # the model is there already; down: the gradient and the information
    "structure_factors": (0, 0), "value": (0, 0), "linearise": (0, 11 * 8 + 8 * 8), "evaluate_fit": (0, 0),
    "agreement": (0, 0),
    "update": (0, 0),
}
"""Bytes for each atom that may go up and come down."""


@pytest.mark.parametrize(("measured", "solvent"), [
    ("amplitudes", ("smooth", "mask")), ("intensities", ("smooth", "mask")), ("intensities", ("simple", "both")),
])
def test_no_array_over_reflections_crosses_in_a_cycle(
    example: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, measured: str,
    solvent: tuple[str, str],
) -> None:
    """Bytes that every step of a refinement copies after its first times.

    What a plan keeps does not count, nor the mask's atoms with all symmetry copies.
    """
    backend = CudaBackend(Counting())
    device: Any = backend.device
    seen: list[tuple[str, int, int]] = []
    beside, sizes, done = [0], [0, 0], Counter[str]()

    def step(name: str) -> None:
        method = getattr(Experiment, name)

        def counted(self: Experiment, *arguments: Any, **named: Any) -> Any:
            up, down, other = device.up, device.down, beside[0]
            found = method(self, *arguments, **named)
            sizes[0] = len(self.reflections)
            if done[name] >= (2 if name == "update" else 1):  # the search for a start of the scale is the host's
                seen.append((name, device.up - up - (beside[0] - other), device.down - down))
            done[name] += 1
            return found

        monkeypatch.setattr(Experiment, name, counted)

    def apart(name: str) -> None:
        method = getattr(CudaBackend, name)

        def counted(self: Any, *arguments: Any) -> Any:
            before = device.up
            made = method(self, *arguments)
            beside[0] += device.up - before
            if name == "spread":
                sizes[1] = len(arguments[1].weight)
                beside[0] -= device.up - before
            return made

        monkeypatch.setattr(CudaBackend, name, counted)

    for name in PER_ATOM:
        step(name)
    for name in ("fixed", "solvent_mask", "spread"):
        apart(name)
    config = Config(
        str(example[0]), str(example[1]), str(tmp_path / "out"), data=DataOptions(d_min=4.0),
        refine=RefineOptions(cycles=2, weight="5"),
        likelihood=LikelihoodOptions(french_wilson=measured == "amplitudes"), solvent=SolventOptions(*solvent),
    )
    refine(config, backend, monkeypatch)
    assert {entry[0] for entry in seen} == set(PER_ATOM) and 8 * sizes[0] > SMALL
    for name, up, down in seen:
        most_up, most_down = (SMALL + each * sizes[1] for each in PER_ATOM[name])
        assert up <= most_up and down <= most_down, (name, up, down, sizes)
