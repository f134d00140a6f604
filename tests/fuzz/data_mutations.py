"""Damage to MTZ files, the same for the same seed."""

from __future__ import annotations

import gzip
import random
import struct
from collections.abc import Callable

import numpy as np

HEADER_ODD = (
    "nan", "inf", "-1", "0", "1e30", "999999999", "99999999999999999999", "4294967295", "-2147483648", "1e-30", "''",
    "'", "90.0", "?", "P", "F", "J", "Q", "Z", "H", "I", "1", "2", "B", "Y", "R 3 :R", "'P 1'", "X,Y,Z", "X,X,X", "",
)  # fmt: skip
NUMBERS = (
    0.0, -0.0, 1.0, -1.0, 0.5, 1e38, -1e38, 1e-38, 1e9, 2147483648.0, 20001.0, -32768.0, float("nan"), float("inf"),
    float("-inf"),
)  # fmt: skip


def header_start(data: bytes) -> int:
    """Where the header of a whole MTZ file begins."""
    return 4 * (struct.unpack("<i", data[4:8])[0] - 1)


def flip_bytes(rng: random.Random, data: bytearray) -> None:
    for _ in range(rng.randint(1, 8)):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def flip_header(rng: random.Random, data: bytearray) -> None:
    start = min(max(header_start(bytes(data)), 0), len(data) - 1)
    for _ in range(rng.randint(1, 4)):
        data[rng.randrange(start, len(data))] = rng.choice((rng.randrange(256), rng.randrange(32, 127)))


def flip_front(rng: random.Random, data: bytearray) -> None:
    data[rng.randrange(min(80, len(data)))] = rng.randrange(256)


def truncate(rng: random.Random, data: bytearray) -> None:
    del data[rng.randrange(len(data)) :]


def insert(rng: random.Random, data: bytearray) -> None:
    at = rng.randrange(len(data))
    data[at:at] = bytes(rng.randrange(256) for _ in range(rng.choice((1, 3, 4, 80, 1000))))


def remove(rng: random.Random, data: bytearray) -> None:
    at = rng.randrange(len(data))
    del data[at : at + rng.choice((1, 4, 80, 400))]


def change_record(rng: random.Random, data: bytearray) -> None:
    """Another word in a header record."""
    records = _records(data)
    if records:
        at = rng.choice(records)
        words = bytes(data[at : at + 80]).decode("latin-1").split(" ")
        filled = [k for k, word in enumerate(words) if word]
        if filled:
            words[rng.choice(filled)] = rng.choice(HEADER_ODD)
            data[at : at + 80] = " ".join(words).encode("latin-1", "replace")[:80].ljust(80)


def drop_record(rng: random.Random, data: bytearray) -> None:
    records = _records(data)
    if records:
        at = rng.choice(records)
        del data[at : at + 80]


def repeat_record(rng: random.Random, data: bytearray) -> None:
    records = _records(data)
    if records:
        at, to = rng.choice(records), rng.choice(records)
        data[to:to] = data[at : at + 80]


def change_number(rng: random.Random, data: bytearray) -> None:
    """Another value somewhere in the table, in one place or down a column."""
    start, width = 80, rng.randint(4, 9)
    end = min(max(header_start(bytes(data)), start), len(data))
    table = np.frombuffer(bytes(data[start : start + 4 * ((end - start) // 4)]), dtype="<f4").copy()
    if len(table) == 0:
        return
    if rng.random() < 0.5:
        table[rng.randrange(len(table)) :: width] = rng.choice(NUMBERS)
    else:
        for _ in range(rng.randint(1, 30)):
            table[rng.randrange(len(table))] = rng.choice(NUMBERS)
    data[start : start + 4 * len(table)] = table.tobytes()


def _records(data: bytearray) -> list[int]:
    start = header_start(bytes(data)) if len(data) >= 8 else 0
    return list(range(start, len(data) - 79, 80)) if 80 <= start < len(data) else []


MUTATIONS: tuple[Callable[[random.Random, bytearray], None], ...] = (
    flip_bytes, flip_header, flip_header, flip_front, truncate, insert, remove, change_record, change_record,
    change_record, change_record, drop_record, repeat_record, change_number, change_number, change_number,
)  # fmt: skip


def mutated_mtz(data: bytes, seed: int, most: int = 3) -> bytes:
    """``data`` with one to ``most`` changes that follow from ``seed``."""
    rng = random.Random(seed)
    changed = bytearray(data)
    for _ in range(rng.randint(1, most)):
        if len(changed) > 80:
            rng.choice(MUTATIONS)(rng, changed)
    return bytes(changed)


def mutated_gzip(data: bytes, seed: int) -> bytes:
    """``data`` compressed, then damaged."""
    rng = random.Random(seed)
    packed = bytearray(gzip.compress(data, 1, mtime=0))
    rng.choice((flip_bytes, truncate, insert, remove))(rng, packed)
    return bytes(packed)
