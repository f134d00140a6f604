"""Refinements of groups that go on from a checkpoint give, in every stage, what an unbroken one gives."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import gpurefine
from gpurefine import job
from gpurefine.config import Config, DataOptions, RefineOptions, RunOptions
from gpurefine.config_groups import GroupOptions
from gpurefine.errors import InterruptedRefinement, UsageError
from gpurefine.model.records import CycleRecord
from gpurefine.refinement import refine as loop
from gpurefine.refinement.checkpoint import Snapshot, fingerprint, from_plain, restore, take, to_plain
from gpurefine.refinement.objective import Objective
from gpurefine.refinement.setup import build_objective

OPTIONS = RefineOptions(cycles=2)
STAGES = ["rigid bodies", "rigid bodies", "TLS", "TLS", "occupancies", "occupancies", "atoms", "atoms"]


def objective_of(problem: Any) -> Objective:
    c = problem.chemistry
    return build_objective(
        problem.backend, c.atoms, c.topology, c.labels, problem.data.crystal, problem.data.reflections,
        problem.scattering.form_factors, problem.config.solvent, OPTIONS, problem.timer, None, problem.groups,
    )[0]


def mark(snapshot: Snapshot) -> str:
    """Of everything but the time that cycles took."""
    return fingerprint(replace(snapshot, cycles=tuple(replace(record, seconds=None) for record in snapshot.cycles)))


@pytest.fixture(scope="module")
def problem(example: tuple[Path, Path]) -> Any:
    return gpurefine.read(
        *example, threads=1, d_min=4.0, hydrogens="drop", rigid=True, rigid_cycles=2, rigid_start=6.0, tls="auto",
        tls_cycles=2, occupancy_of=("waters", "A/50"), occupancy_cycles=2,
    )  # fmt: skip


@pytest.fixture(scope="module")
def unbroken(problem: Any) -> list[Snapshot]:
    """After every cycle of all stages."""
    state = loop.start(objective_of(problem), OPTIONS)
    found = [take(state)]
    for _ in STAGES:
        loop.run_cycle(state, OPTIONS)
        found.append(take(state))
    return found


def test_every_stage_changes_its_own_values(unbroken: list[Snapshot]) -> None:
    assert [record.stage for record in unbroken[-1].cycles[1:]] == STAGES
    first = {name: STAGES.index(name) for name in STAGES}
    for name, field in (("rigid bodies", "xyz"), ("TLS", "tls"), ("occupancies", "occ"), ("atoms", "b_iso")):
        before, after = (getattr(unbroken[first[name] + k].values, field) for k in (0, 1))
        assert (before != after).any(), name


@pytest.mark.parametrize("cycle", [1, 3, 5])
def test_going_on_is_unbroken_bit_for_bit(problem: Any, unbroken: list[Snapshot], cycle: int) -> None:
    arrays, plain = to_plain(unbroken[cycle])
    state = restore(objective_of(problem), from_plain(arrays, json.loads(json.dumps(plain))))
    assert mark(take(state)) == mark(unbroken[cycle])
    for following in unbroken[cycle + 1 :]:
        loop.run_cycle(state, OPTIONS)
        assert mark(take(state)) == mark(following), len(state.cycles) - 1


# The job, with groups that the data decide on (--adp auto takes TLS where they are few)


def config(example: tuple[Path, Path], prefix: Path, cycles: int) -> Config:
    return Config(
        str(example[0]), str(example[1]), str(prefix), data=DataOptions(d_min=4.0),
        refine=RefineOptions(cycles=cycles, adp="auto"), groups=GroupOptions(tls_cycles=2), run=RunOptions(threads=1),
    )  # fmt: skip


def stopped(configuration: Config, cycle: int) -> str:
    """What is said of a run that is interrupted once ``cycle`` is finished."""

    def progress(event: Any) -> None:
        if isinstance(event, CycleRecord) and event.cycle == cycle:
            raise KeyboardInterrupt

    with pytest.raises(InterruptedRefinement) as caught:
        job.run(configuration, progress=progress)
    return str(caught.value)


@pytest.fixture(scope="module")
def whole(example: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Prefix of a run of two TLS cycles and one of the atoms that nobody disturbed."""
    prefix = tmp_path_factory.mktemp("whole") / "run"
    job.run(config(example, prefix, 1))
    return prefix


@pytest.mark.parametrize(("begun", "cycle", "asked"), [(1, 1, None), (0, 2, 1)])
def test_a_run_with_groups_goes_on(
    example: tuple[Path, Path], tmp_path: Path, whole: Path, begun: int, cycle: int, asked: int | None
) -> None:
    """``--cycles`` counts those of the atoms, also where it is another number than the run began with."""
    prefix = tmp_path / "run"
    told = stopped(config(example, prefix, begun), cycle)
    place = f"in cycle {cycle + 1} of {begun + 2}" if cycle < begun + 2 else "after its last cycle"
    assert place in told and "--resume" in told
    result = job.resume(str(prefix), asked)
    assert [record.stage for record in result.report.cycles[1:]] == ["TLS", "TLS", "atoms"]
    for suffix in (".cif", ".pdb", ".mtz", ".tls"):
        assert Path(f"{prefix}{suffix}").read_bytes() == Path(f"{whole}{suffix}").read_bytes(), suffix
    options = [Path(f"{p}.toml").read_text().replace(str(p), "") for p in (prefix, whole)]
    assert options[0] == options[1]
    assert not Path(f"{prefix}.checkpoint").exists()


def test_fewer_cycles_than_are_finished(example: tuple[Path, Path], tmp_path: Path) -> None:
    prefix = tmp_path / "run"
    stopped(config(example, prefix, 2), 3)
    with pytest.raises(UsageError, match=r"--cycles 0 is too few.*finished cycle 3.*2 cycles of groups"):
        job.resume(str(prefix), 0)
    assert Path(f"{prefix}.checkpoint").exists()
