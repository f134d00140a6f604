"""Refinement against Friedel pairs, from files: made from the embedded example, whose sulphurs tell the mates apart."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import gemmi
import numpy as np
import pytest
from chain_rule import check_chain_rule

import gpurefine
from gpurefine.errors import InputError, UsageError
from gpurefine.io.anomalous_input import with_anomalous
from gpurefine.io.scattering import xray_gaussians

WAVELENGTH = 1.9


@pytest.fixture(scope="module")
def friedel(example: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The example's model and an MTZ of Friedel pairs that its sulphurs make, with one per cent of noise."""
    model, data = example
    problem = gpurefine.read(model, data, anomalous_factors=("S,0.3,4.0",), d_min=2.6, cycles=0)
    result = problem.refine()
    hkl = problem.data.reflections.hkl
    from gpurefine.forward.density import plan_transform, smallest_b
    from gpurefine.io.anomalous import imaginary_gaussians

    atoms = problem.chemistry.atoms
    f_second = np.array([4.0 if name.upper() == "S" else 0.0 for name in atoms.scatterer_names])
    from gpurefine.backend.plans import Scatterers

    scatterers = Scatterers(
        atoms.xyz, atoms.b_iso, atoms.u_aniso, atoms.is_aniso, atoms.scattering_weight, atoms.scatterer
    )
    transform = plan_transform(
        problem.backend, problem.data.crystal, hkl, smallest_b(scatterers), scatterers.kind,
        *imaginary_gaussians(f_second),
    )
    maps = result.report.maps
    factor = np.median(np.abs(maps.f_protein)) / np.median(np.abs(problem_f(problem, scatterers)))
    rng = np.random.default_rng(4)
    second = 1j * factor * transform.structure_factors(scatterers)
    r = problem.data.reflections
    mates = [np.abs(maps.f_total + sign * second) for sign in (1.0, -1.0)]
    mates = [f * (1.0 + 0.01 * rng.normal(size=len(f))) for f in mates]
    mates[0][r.centric] = mates[1][r.centric] = np.abs(maps.f_total)[r.centric]
    table = np.column_stack(
        [hkl, 0.5 * (mates[0] + mates[1]), 0.01 * mates[0], mates[0], 0.01 * mates[0], mates[1], 0.01 * mates[1],
         np.where(r.free, 0, 1)]
    )
    mtz = gemmi.Mtz(with_base=True)
    source = gemmi.read_mtz_file(str(data))
    mtz.spacegroup = source.spacegroup
    mtz.set_cell_for_all(source.cell)
    mtz.add_dataset("made").wavelength = WAVELENGTH
    for label, kind in zip(
        ("F", "SIGF", "F(+)", "SIGF(+)", "F(-)", "SIGF(-)", "FREE"), ("F", "Q", "G", "L", "G", "L", "I"), strict=True
    ):
        mtz.add_column(label, kind)
    mtz.set_data(table[r.observed].astype(np.float32))
    path = tmp_path_factory.mktemp("friedel") / "made.mtz"
    mtz.write_to_file(str(path))
    return model, path


def problem_f(problem: Any, scatterers: Any) -> Any:
    """F of the atoms in electrons."""
    from gpurefine.forward.density import plan_transform, smallest_b

    return plan_transform(
        problem.backend, problem.data.crystal, problem.data.reflections.hkl, smallest_b(scatterers), scatterers.kind,
        *xray_gaussians(problem.chemistry.atoms.scatterer_names),
    ).structure_factors(scatterers)


def test_refinement_with_maps_and_refined_factor(friedel: tuple[Path, Path], tmp_path: Path) -> None:
    """f″ starts from 3, the data were made with 4: it is refined, and every S stands in the map."""
    model, data = friedel
    problem = gpurefine.read(
        model, data, anomalous=True, refine_fdoubleprime=True, anomalous_factors=("S,0.3,3.0",), cycles=1
    )
    assert any("Anomalous scattering at 1.9000 Å" in text for text in problem.messages)
    assert problem.scattering.anomalous is not None
    assert problem.scattering.anomalous.rows.names == ("S", "other elements")
    result = problem.refine()
    result.write(str(tmp_path / "sad"))
    last = result.report.cycles[-1]
    assert last.r_work < 0.08 and last.r_free < 0.1
    told = [text for text in result.report.messages if text.startswith("f″ of S: 3.00 electrons at the start")]
    refined = float(told[0].split(",")[1].split()[0])
    assert refined == pytest.approx(4.0, abs=0.5)
    assert json.loads((tmp_path / "sad.json").read_text())
    mtz = gemmi.read_mtz_file(str(tmp_path / "sad.mtz"))
    for labels in (("FAN", "PHAN"), ("DELFAN", "PHDELAN")):
        assert [mtz.column_with_label(name).type for name in labels] == ["F", "P"]
    grid = mtz.transform_f_phi_to_map("FAN", "PHAN", sample_rate=3.0)
    grid.normalize()
    heights = [
        grid.interpolate_value(cra.atom.pos) for cra in gemmi.read_structure(str(tmp_path / "sad.pdb"))[0].all()
        if cra.atom.element.name == "S" and cra.atom.occ > 0.9
    ]
    assert len(heights) >= 2 and min(heights) > 8.0


def test_chain_rule_of_f_second(friedel: tuple[Path, Path]) -> None:
    from gpurefine.refinement.setup import build_objective

    problem = gpurefine.read(*friedel, anomalous=True, refine_fdoubleprime=True, cycles=1, d_min=3.0)
    objective, _ = build_objective(
        problem.backend, problem.chemistry.atoms, problem.chemistry.topology, problem.chemistry.labels,
        problem.data.crystal, problem.data.reflections, problem.scattering.form_factors, problem.config.solvent,
        problem.config.refine, problem.timer, problem.scattering.anomalous,
    )
    check_chain_rule(objective, "atoms", 2, 1e-2, 1e-6)


def test_run_can_be_resumed(friedel: tuple[Path, Path], tmp_path: Path) -> None:
    """The error model of pairs passes through a checkpoint to the last bit."""
    from gpurefine.refinement import refine as loop
    from gpurefine.refinement.checkpoint import from_plain, restore, take, to_plain
    from gpurefine.refinement.setup import build_objective

    problem = gpurefine.read(*friedel, anomalous=True, cycles=2, d_min=3.0)

    def objective() -> Any:
        return build_objective(
            problem.backend, problem.chemistry.atoms, problem.chemistry.topology, problem.chemistry.labels,
            problem.data.crystal, problem.data.reflections, problem.scattering.form_factors, problem.config.solvent,
            problem.config.refine, problem.timer, problem.scattering.anomalous,
        )[0]

    state = loop.start(objective(), problem.config.refine)
    again = restore(objective(), from_plain(*to_plain(take(state))))
    for s in (state, again):
        loop.run_cycle(s, problem.config.refine)
    assert state.cycles[-1].r_free == again.cycles[-1].r_free
    np.testing.assert_array_equal(state.state.xyz, again.state.xyz)


def test_what_cannot_be_done_is_said(friedel: tuple[Path, Path]) -> None:
    from gpurefine.config import AnomalousOptions, DataOptions
    from gpurefine.io.reflections import read_data

    data = read_data(str(friedel[1]), DataOptions(), None, "")
    elements = ["C", "N", "O", "S"]
    plain = xray_gaussians(elements)

    def ask(data: Any, **options: Any) -> Any:
        return with_anomalous(plain, elements, data, AnomalousOptions(**options))

    assert ask(data, anomalous=True).anomalous is not None
    assert ask(data).form_factors == (plain,)
    with pytest.raises(InputError, match="has no Friedel pairs"):
        ask(replace(data, friedel=None), anomalous=True)
    with pytest.raises(UsageError, match="does not say at which wavelength"):
        ask(replace(data, wavelength=0.0), anomalous=True)
    with pytest.raises(UsageError, match="the model has no atom of Se"):
        ask(data, anomalous=True, anomalous_factors=("Se,-8,4",))
    with pytest.raises(UsageError, match="add --anomalous"):
        ask(data, refine_fdoubleprime=True)
    with pytest.raises(UsageError, match="--wavelength"):
        ask(data, anomalous=True, wavelength=-1.0)
    with pytest.raises(UsageError, match="no element of the model has an f″"):
        ask(data, anomalous=True, wavelength=0.7, refine_fdoubleprime=True)
    with pytest.raises(InputError, match="No element of the model has an f″ above"):
        ask(data, anomalous=True, anomalous_factors=[f"{name},0,0" for name in elements])
    equal = replace(data.friedel, minus=data.friedel.plus)
    with pytest.raises(InputError, match="equal everywhere"):
        ask(replace(data, friedel=equal), anomalous=True)
    # a wavelength alone adds f′ and leaves the likelihood as it is
    only = ask(data, wavelength=WAVELENGTH)
    change = only.form_factors[0][0][:, -1] - plain[0][:, -1]
    assert only.anomalous is None and len(only.form_factors) == 1
    assert change[3] == pytest.approx(0.38, abs=0.03) and abs(change[0]) < 0.05
    # every f″ may be given, without a wavelength
    given = ask(
        replace(data, wavelength=0.0), anomalous=True, anomalous_factors=[f"{name},0.1,0.5" for name in elements]
    )
    assert given.anomalous is not None and (given.anomalous.rows.f_second == 0.5).all()
