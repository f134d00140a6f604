"""cctbx's maximum-likelihood target and gradients on a model and data; prints one line of JSON.

    PYTHON perf/cctbx_gradient.py MODEL.pdb DATA.mtz D_MIN

PYTHON is an interpreter that has cctbx (``pip install cctbx-base`` in an environment of its own); nothing of gpurefine
is needed there.  Positions and isotropic B together, FFT included, no bulk solvent, one core.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from statistics import median


def main() -> None:
    """Measure and print."""
    import iotbx.mtz
    import iotbx.pdb
    import mmtbx.f_model
    from cctbx import xray
    from libtbx.version import get_version

    model, data, d_min = sys.argv[1], sys.argv[2], float(sys.argv[3])
    columns = iotbx.mtz.object(data).as_miller_arrays()
    amplitudes = [c for c in columns if c.is_xray_amplitude_array()]
    f_obs = amplitudes[0] if amplitudes else next(c for c in columns if c.is_xray_intensity_array()).f_sq_as_f()
    f_obs = f_obs.resolution_filter(d_min=d_min)
    flags = next(c for c in columns if c.is_integer_array())
    f_obs, flags = f_obs.map_to_asu().common_sets(flags.map_to_asu())
    structure = iotbx.pdb.input(model).xray_structure_simple(crystal_symmetry=f_obs.crystal_symmetry())
    structure.convert_to_isotropic()
    manager = mmtbx.f_model.manager(
        f_obs=f_obs, r_free_flags=flags.array(flags.data() == 0), xray_structure=structure, target_name="ml"
    )
    functor = manager.target_functor()
    xray.set_scatterer_grad_flags(scatterers=structure.scatterers(), site=True, u_iso=True)

    def typical(function: Callable[[], object]) -> float:
        function()
        times: list[float] = []
        while len(times) < 5 or sum(times) < 0.5:
            began = time.perf_counter()
            function()
            times.append(time.perf_counter() - began)
        return median(times)

    def forward() -> None:
        manager.update_xray_structure(xray_structure=structure, update_f_calc=True)

    result = functor(compute_gradients=True)

    def gradient() -> None:
        result.gradients_wrt_atomic_parameters()

    def evaluation() -> None:
        forward()
        functor(compute_gradients=True).gradients_wrt_atomic_parameters()

    print(
        json.dumps(
            {
                "version": get_version(), "atoms": structure.scatterers().size(), "reflections": f_obs.size(),
                "forward": typical(forward), "gradient": typical(gradient), "evaluation": typical(evaluation),
            }
        )
    )


if __name__ == "__main__":
    main()
