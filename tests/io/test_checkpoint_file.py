"""PREFIX.checkpoint: whole or not at all, and nothing else is taken for one."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from gpurefine.errors import InputError, OutputError
from gpurefine.io import atomic, checkpoint

ARRAYS = {"xyz": np.arange(6.0).reshape(2, 3), "experiment.f_mask": np.array([1 + 2j, np.nan])}
META = {"state": {"weight": 0.1 + 0.2, "none": None}, "folder": "/träger"}


def test_what_is_written_is_read_back_bit_by_bit(tmp_path: Path) -> None:
    prefix = str(tmp_path / "run")
    checkpoint.write_checkpoint(prefix, ARRAYS, META)
    assert [p.name for p in tmp_path.iterdir()] == ["run.checkpoint"]
    stored = checkpoint.read_checkpoint(prefix)
    assert {k: v for k, v in stored.meta.items() if k in META} == META
    assert stored.arrays.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert stored.arrays[name].tobytes() == array.tobytes() and stored.arrays[name].dtype == array.dtype
    checkpoint.remove_checkpoint(prefix)
    checkpoint.remove_checkpoint(prefix)
    assert list(tmp_path.iterdir()) == []


def test_every_cut_and_every_flipped_byte_is_seen(tmp_path: Path) -> None:
    prefix = str(tmp_path / "run")
    checkpoint.write_checkpoint(prefix, ARRAYS, META)
    path = checkpoint.checkpoint_path(prefix)
    whole = path.read_bytes()
    for length in range(0, len(whole), 37):
        path.write_bytes(whole[:length])
        with pytest.raises(InputError, match="damaged or no checkpoint"):
            checkpoint.read_checkpoint(prefix)
    rng = np.random.default_rng(0)
    intact = 0
    for at in rng.integers(0, len(whole), 300):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :])
        try:
            stored = checkpoint.read_checkpoint(prefix)
        except InputError:
            continue
        # Times and the like in the archive's headers carry nothing of ours.
        intact += 1
        names = sorted(stored.arrays)
        if names == sorted(ARRAYS):
            assert all(stored.arrays[n].tobytes() == ARRAYS[n].tobytes() for n in names)
    assert intact < 100


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"hello", b"\x93NUMPY\x01\x00"])
def test_other_files_are_no_checkpoints(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.checkpoint").write_bytes(content)
    with pytest.raises(InputError, match=r"x\.checkpoint is damaged"):
        checkpoint.read_checkpoint(str(tmp_path / "x"))


def test_pickles_are_not_opened(tmp_path: Path) -> None:
    with open(tmp_path / "x.checkpoint", "wb") as file:
        np.savez(file, meta=np.array([{"gpurefine_checkpoint": 1}], dtype=object))
    with pytest.raises(InputError, match="damaged"):
        checkpoint.read_checkpoint(str(tmp_path / "x"))


def test_absent_foreign_and_newer_checkpoints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prefix = str(tmp_path / "run")
    with pytest.raises(InputError, match="There is no checkpoint"):
        checkpoint.read_checkpoint(prefix)
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    (tmp_path / "other.npz").rename(tmp_path / "run.checkpoint")
    with pytest.raises(InputError, match="damaged or no checkpoint"):
        checkpoint.read_checkpoint(prefix)
    monkeypatch.setattr(checkpoint, "FORMAT", 99)
    checkpoint.write_checkpoint(prefix, ARRAYS, META)
    monkeypatch.undo()
    with pytest.raises(InputError, match="another version"):
        checkpoint.read_checkpoint(prefix)
    checkpoint.checkpoint_path(prefix).unlink()
    checkpoint.checkpoint_path(prefix).mkdir()
    with pytest.raises(InputError, match="cannot be read"):
        checkpoint.read_checkpoint(prefix)


def test_a_failed_write_leaves_the_checkpoint_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prefix = str(tmp_path / "run")
    checkpoint.write_checkpoint(prefix, ARRAYS, META)
    before = checkpoint.checkpoint_path(prefix).read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(atomic.os, "fsync", full)
    with pytest.raises(OutputError, match="disk is full"):
        checkpoint.write_checkpoint(prefix, {"xyz": np.zeros(9)}, {})
    assert checkpoint.checkpoint_path(prefix).read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1


def test_digest_is_that_of_the_content(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"abc")
    assert checkpoint.file_digest(path) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert checkpoint.file_digest(tmp_path / "missing") is None


def test_signals_wait_until_all_files_have_their_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    staged = [atomic.stage(tmp_path / name, name.encode()) for name in ("a", "b", "c")]
    replace = os.replace

    def interrupted(source: Path, target: Path) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.01)
        replace(source, target)

    monkeypatch.setattr(atomic.os, "replace", interrupted)
    # a shell starts background jobs with Ctrl-C ignored; the test must not depend on how it was started
    started_with = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            atomic.publish(staged)
        assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "b", "c"]
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, started_with)


def test_old_leftovers_are_swept_and_young_ones_left(tmp_path: Path) -> None:
    old, young, other = (tmp_path / f".{n}.part" for n in ("x.mtz.1", "x.cif.2", "y.mtz.3"))
    for path in (old, young, other):
        path.write_bytes(b"half")
    for path in (old, other):
        os.utime(path, (0, 0))
    atomic.check_output_folder(str(tmp_path / "x"))
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([young.name, other.name])
