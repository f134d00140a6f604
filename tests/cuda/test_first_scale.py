"""The search for a first scale stays on the device."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import shim_device
from counting import Counting
from crystals import make_crystal

from gpurefine.backend import create
from gpurefine.backend.cuda.backend import CudaBackend
from gpurefine.forward.scale_fit import THINNED
from gpurefine.forward.scaling import Scale, plan_scaling
from gpurefine.io.symmetry import unique_hkl

pytestmark = pytest.mark.skipif(shim_device.compiler() is None, reason="g++ is not installed")


@pytest.mark.parametrize(("kind", "solvent", "d_min"), [("smooth", "mask", 3.0), ("simple", "both", 1.25)])
def test_no_array_over_reflections_crosses_in_a_first_fit(kind: str, solvent: str, d_min: float) -> None:
    """But those that the first estimate of k and B needs; what the plan keeps goes up once."""
    crystal = make_crystal("P 21 21 21", 45.0)
    hkl = unique_hkl(crystal, d_min)
    rng, s2, n = np.random.default_rng(0), crystal.inv_d2(hkl), len(hkl)
    wave = rng.normal(size=(2, n)) + 1j * rng.normal(size=(2, n))
    protein = wave[0] * 200.0 * np.exp(-4.0 * s2)
    mask = (-0.8 * wave[0] + 0.6 * wave[1]) * 600.0 * np.exp(-30.0 * s2)
    work, backend = rng.random(n) > 0.05, CudaBackend(Counting())
    assert (n > THINNED) == (d_min < 2.0)
    found, device = [], backend.device
    assert isinstance(device, Counting)
    for used in (create("cpu", 2), backend):
        scaling = plan_scaling(crystal, hkl, kind, solvent, used)
        true = Scale(log_k=0.7, b_overall=7.0, tensor=np.zeros(scaling.columns.shape[1]), k_sol=0.38, b_sol=48.0)
        f_obs = np.abs(np.asarray(scaling.apply(true, used.keep(protein[None]), used.keep(mask)).total)[0])
        model: list[Any] = [used.keep(part) for part in (f_obs, protein, mask)]
        for _ in range(2):  # the first time the plan's tables go up
            device.up = device.down = device.ups = 0
            found.append(scaling.fit(*model, work, None))
    assert device.ups > 50 and device.up < 60_000 + 40 * THINNED and device.down < 24 * n + 100_000
    for name in ("log_k", "b_overall", "k_sol", "b_sol"):
        assert getattr(found[3], name) == pytest.approx(getattr(found[1], name), rel=1e-3, abs=1e-4)
