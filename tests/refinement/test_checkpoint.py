"""Snapshots of a refinement: nothing is lost on the way to plain arrays and back."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from gpurefine.forward.scaling import Scale
from gpurefine.model.records import CycleRecord, RestraintRecord
from gpurefine.params.values import AtomValues
from gpurefine.refinement.checkpoint import Snapshot, fingerprint, from_plain, to_plain
from gpurefine.refinement.experiment import ExperimentMemory
from gpurefine.target.sigmaa import SigmaA


def snapshot(mask: bool = True) -> Snapshot:
    rng = np.random.default_rng(3)
    memory = ExperimentMemory(
        planned_b=rng.random(4),
        f_mask=rng.random(5) + 1j if mask else None,
        mask_xyz=rng.random((3, 3)) if mask else None,
        solvent_fraction=0.1 + 0.2 if mask else None,
        scale=Scale(1 / 3, 2.0, rng.random(2), 0.35, 46.0, rng.random((2, 7)) if mask else None, rng.random((2, 8))),
        errors=SigmaA(rng.random(6), rng.random(6), rng.random(6)),
    )
    cycles = (CycleRecord(0, r_work=0.1, r_free=None), CycleRecord(1, r_work=1e-17, status="converged"))
    restraints = (RestraintRecord("bond", 3, 0.01, None, 0.02, "Å"),)
    values = AtomValues(rng.random((4, 3)), rng.random(4), rng.random((4, 6)), rng.random(4))
    return Snapshot(values, rng.random((1, 5)) * 1j, memory, np.pi, 1.5, 0.75, cycles, restraints)


@pytest.mark.parametrize("mask", [True, False])
def test_plain_form_is_complete(mask: bool) -> None:
    before = snapshot(mask)
    arrays, plain = to_plain(before)
    after = from_plain(arrays, json.loads(json.dumps(plain)))
    assert fingerprint(after) == fingerprint(before)
    assert after.cycles == before.cycles and after.restraints == before.restraints
    assert (after.experiment.f_mask is None) is not mask


def test_missing_and_foreign_parts_are_refused() -> None:
    arrays, plain = to_plain(snapshot())
    for broken in (
        {k: v for k, v in plain.items() if k != "experiment"},
        {**plain, "more": 1},
        {**plain, "cycles": []},
        {**plain, "cycles": plain["cycles"][1:]},
    ):
        with pytest.raises((KeyError, TypeError, ValueError)):
            from_plain(arrays, broken)
    with pytest.raises((TypeError, ValueError, AttributeError)):
        from_plain({**arrays, "values.xyz": np.zeros((3, 3))}, plain)


def test_fingerprint_sees_every_change() -> None:
    before = snapshot()
    seen = {fingerprint(before)}
    values = before.values
    xyz = values.xyz.copy()
    xyz[2, 1] = np.nextafter(xyz[2, 1], 9.0)
    changed = [
        dataclasses.replace(before, values=dataclasses.replace(values, xyz=xyz)),
        dataclasses.replace(before, values=dataclasses.replace(values, xyz=values.xyz.reshape(3, 4))),
        dataclasses.replace(before, values=dataclasses.replace(values, b_iso=values.b_iso.astype(np.float32))),
        dataclasses.replace(before, weight=float(np.nextafter(before.weight, 9.0))),
        dataclasses.replace(before, cycles=before.cycles[:1]),
        dataclasses.replace(before, experiment=dataclasses.replace(before.experiment, f_mask=None)),
    ]
    for one in changed:
        seen.add(fingerprint(one))
    assert len(seen) == len(changed) + 1
    assert fingerprint(snapshot()) == fingerprint(before)
    assert fingerprint(("a", "bc")) != fingerprint(("ab", "c"))
