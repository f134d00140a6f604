"""Damaged and odd reflection files: a data set comes out or one sentence, never a traceback, never a hang.

GPUREFINE_FUZZ_N=20000 sets the number of damaged files of each kind (a longer run than the default).
"""

from __future__ import annotations

import os
import random
import signal
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gemmi
import numpy as np
import pytest
from data_mutations import mutated_gzip, mutated_mtz
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mutations import mutated

from gpurefine.config import DataOptions, FreeSetOptions
from gpurefine.errors import GpurefineError
from gpurefine.io.freer import make_free_set
from gpurefine.io.reflections import read_data
from gpurefine.io.symmetry import crystal_from_gemmi

N = int(os.environ.get("GPUREFINE_FUZZ_N", "500"))
LONGEST = 60
"""Seconds that one file may take."""

CELL = (31.0, 35.0, 40.0, 90.0, 90.0, 90.0)
MODEL = crystal_from_gemmi(gemmi.UnitCell(*CELL), gemmi.SpaceGroup("P 21 21 21"))
OTHER = crystal_from_gemmi(gemmi.UnitCell(35.0, 40.0, 31.0, 90.0, 90.0, 90.0), gemmi.SpaceGroup("P 21 21 21"))


@contextmanager
def time_limit(what: str) -> Iterator[None]:
    def stop(number: int, frame: object) -> None:
        raise AssertionError(f"{what} took more than {LONGEST} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(LONGEST)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def whole_mtz(kind: str) -> gemmi.Mtz:
    """A small file as programs write them: amplitudes or intensities or pairs, two data sets, a test set, history."""
    mtz = gemmi.Mtz(with_base=True)
    mtz.title, mtz.spacegroup = "small", gemmi.SpaceGroup("P 21 21 21")
    mtz.set_cell_for_all(gemmi.UnitCell(*CELL))
    first, second = mtz.add_dataset("native"), mtz.add_dataset("peak")
    first.cell, second.cell = gemmi.UnitCell(*CELL), gemmi.UnitCell(31.1, 35.2, 40.1, 90, 90, 90)
    hkl = gemmi.make_miller_array(gemmi.UnitCell(*CELL), gemmi.SpaceGroup("P 21 21 21"), 4.0)
    rng = np.random.default_rng(4)
    n = len(hkl)
    intensity = rng.exponential(1000.0, n)
    columns: list[tuple[str, str, Any]] = [("FreeR_flag", "I", np.arange(n) % 20)]
    if kind == "amplitudes":
        columns += [("FP", "F", np.sqrt(intensity)), ("SIGFP", "Q", rng.uniform(0.5, 2.0, n))]
        columns += [("FC", "F", np.sqrt(intensity)), ("PHIC", "P", rng.uniform(0, 360, n))]
    elif kind == "intensities":
        columns += [("IMEAN", "J", intensity - 30.0), ("SIGIMEAN", "Q", rng.uniform(20, 40, n))]
    else:
        for sign in "+-":
            missing = rng.random(n) < 0.1
            columns += [(f"I({sign})", "K", np.where(missing, np.nan, intensity + rng.normal(0, 30, n)))]
            columns += [(f"SIGI({sign})", "M", np.where(missing, np.nan, 30.0))]
    for label, letter, _ in columns:
        mtz.add_column(label, letter, dataset_id=first.id)
    table = np.column_stack([hkl, *(values for _, _, values in columns)])
    mtz.set_data(table.astype(np.float32))
    mtz.history = ["From CTRUNCATE, version 1.17", "From AIMLESS, version 0.7"]
    return mtz


KINDS = ("amplitudes", "intensities", "pairs")
FILES = {kind: bytes(whole_mtz(kind).write_to_bytes()) for kind in KINDS}
TEXTS = {kind: gemmi.MtzToCif().write_cif_to_string(whole_mtz(kind)) for kind in KINDS}


def examine(path: str, crystal: Any, labels: str | None = None) -> None:
    """Read; what is accepted must be sound."""
    data = read_data(path, DataOptions(labels=labels), crystal, "model.pdb")
    r = data.reflections
    at = r.observed
    assert at.any() and np.isfinite(r.f[at]).all() and np.isfinite(r.sigma[at]).all() and (r.sigma[at] > 0.0).all()
    assert np.isfinite(r.inv_d2).all() and len(np.unique(r.hkl, axis=0)) == len(r)
    assert not (r.free & ~at).any() and len(data.free_raw) == len(r)
    assert all(m.endswith(".") for m in data.messages)


def attempt(path: Path, seed: int, crystals: tuple[Any, ...]) -> str:
    """Read the file as refine and as freer do; the outcome in a word."""
    rng = random.Random(seed)
    outcome = "read"
    for use in (lambda: examine(str(path), rng.choice(crystals)), lambda: make_free_set(
        str(path), FreeSetOptions()
    ).mtz.write_to_bytes()):  # fmt: skip
        try:
            use()
        except GpurefineError as error:
            text = str(error)
            assert text[0].isupper() or text[0].isdigit() or text.startswith(("/", "--")), text
            assert text.rstrip().endswith((".", "…")) and "\n" not in text.strip(), text
            outcome = "refused"
    return outcome


def run(
    make: Callable[[int], bytes], path: Path, n: int, crystals: tuple[Any, ...] = (MODEL, MODEL, OTHER, None)
) -> Counter[str]:
    """Make and read ``n`` files; raises with the list of everything that went wrong."""
    outcomes: Counter[str] = Counter()
    faults: list[str] = []
    for seed in range(n):
        path.write_bytes(make(seed))
        with time_limit(f"{path.name}, seed {seed}"):
            try:
                outcomes[attempt(path, seed, crystals)] += 1
            except Exception as error:
                frames = traceback.extract_tb(error.__traceback__)
                place = next((f for f in reversed(frames) if "gpurefine" in f.filename), frames[-1])
                where = f"{Path(place.filename).name}:{place.lineno}"
                faults.append(f"seed {seed}: {type(error).__name__} {error} ({where})"[:300])
    print(f"{path.name}: {dict(outcomes)}")
    assert not faults, f"{len(faults)} faults: " + "\n".join(faults[:20])
    return outcomes


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_mtz(kind: str, tmp_path: Path) -> None:
    outcomes = run(lambda seed: mutated_mtz(FILES[kind], seed), tmp_path / "damaged.mtz", N)
    assert outcomes["read"] > 0.1 * N and outcomes["refused"] > 0.1 * N


@pytest.mark.parametrize("case", ["1dur", "1v9g_neutron", "6mw0_microed"])
def test_damaged_real_files(case: str, shared_data: Path, tmp_path: Path) -> None:
    whole = (shared_data / case / "data.mtz").read_bytes()
    run(lambda seed: mutated_mtz(whole, seed), tmp_path / f"{case}.mtz", N // 10, (None,))


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_mmcif(kind: str, tmp_path: Path) -> None:
    def make(seed: int) -> bytes:
        return mutated(TEXTS[kind], seed, tables=seed % 2 == 0).encode("utf-8")

    outcomes = run(make, tmp_path / "damaged-sf.cif", N)
    assert outcomes["read"] > 0.1 * N and outcomes["refused"] > 0.02 * N


def test_damaged_gzip(tmp_path: Path) -> None:
    run(lambda seed: mutated_gzip(FILES["amplitudes"], seed), tmp_path / "damaged.mtz.gz", N // 2)
    run(lambda seed: mutated_gzip(TEXTS["pairs"].encode(), seed), tmp_path / "damaged-sf.cif.gz", N // 4)


def test_noise(tmp_path: Path) -> None:
    def make(seed: int) -> bytes:
        rng = random.Random(seed)
        heads = (b"", b"MTZ ", b"MTZ \x00\x10\x00\x00DA", b"data_x\nloop_\n_refln.index_h\n", b"\x1f\x8b\x08")
        head = rng.choice(heads)
        return head + bytes(rng.randrange(256) for _ in range(rng.choice((0, 1, 80, 400, 3000)))) + b"\n"

    for name in ("noise.mtz", "noise.cif", "noise.hkl", "noise.gz"):
        run(make, tmp_path / name, N // 8)


values = st.floats(allow_nan=True, allow_infinity=True, width=32)
positive = st.one_of(st.floats(0.0009765625, 1e6, width=32), values)


@settings(max_examples=N // 2, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(
        st.tuples(st.integers(-12, 12), st.integers(-12, 12), st.integers(-12, 12), values, positive, values),
        min_size=1, max_size=30,
    ),
    letters=st.tuples(st.sampled_from("FJGKDR"), st.sampled_from("QLMR"), st.sampled_from("IRF")),
    labels=st.sampled_from([None, "A,B", "A,B,C", "A", "C,B", ",,", "/a/b/A,B"]),
    group=st.sampled_from(["P 1", "P 21 21 21", "I 2 2 2", "P 4 2 2", "R 3 :H", "P 2 21 21"]),
)  # fmt: skip
def test_any_values(rows: Any, letters: Any, labels: str | None, group: str, tmp_path: Path) -> None:
    mtz = gemmi.Mtz(with_base=True)
    mtz.spacegroup = gemmi.SpaceGroup(group)
    mtz.set_cell_for_all(gemmi.UnitCell(*CELL))
    for label, letter in zip("ABC", letters, strict=True):
        mtz.add_column(label, letter)
    mtz.set_data(np.array(rows, dtype=np.float32))
    path = tmp_path / "any.mtz"
    mtz.write_to_file(str(path))
    for crystal in (MODEL, None):
        try:
            examine(str(path), crystal, labels)
        except GpurefineError as error:
            assert str(error).endswith(".")
