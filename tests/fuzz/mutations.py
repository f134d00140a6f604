"""Damage to text files, the same for the same seed."""

from __future__ import annotations

import random
import re
from collections.abc import Callable

Lines = list[str]

ODD = (
    "nan", "inf", "-inf", "1e30", "-1e-30", "9999.999", "-9999.99", "********", "?", ".", "0", "-1", "99999", "A0000",
    "''", "'", '"', ";", "data_x", "loop_", "#", "_", "\t", " ", "XX", "é", "H", "D", "X", "UNK", "DUM", "HOH", "ZN",
)  # fmt: skip
"""Pieces that readers trip over."""


def drop_line(rng: random.Random, lines: Lines) -> None:
    del lines[rng.randrange(len(lines))]


def drop_lines(rng: random.Random, lines: Lines) -> None:
    start = rng.randrange(len(lines))
    del lines[start : start + rng.randint(1, 30)]


def repeat_line(rng: random.Random, lines: Lines) -> None:
    lines.insert(rng.randrange(len(lines) + 1), rng.choice(lines))


def swap_lines(rng: random.Random, lines: Lines) -> None:
    i, j = rng.randrange(len(lines)), rng.randrange(len(lines))
    lines[i], lines[j] = lines[j], lines[i]


def change_character(rng: random.Random, lines: Lines) -> None:
    i = rng.randrange(len(lines))
    if lines[i]:
        k = rng.randrange(len(lines[i]))
        lines[i] = lines[i][:k] + chr(rng.randint(32, 126)) + lines[i][k + 1 :]


def overwrite(rng: random.Random, lines: Lines) -> None:
    i, piece = rng.randrange(len(lines)), rng.choice(ODD)
    k = rng.randrange(len(lines[i]) + 1)
    lines[i] = lines[i][:k] + piece + lines[i][k + len(piece) :]


def change_word(rng: random.Random, lines: Lines) -> None:
    i = rng.randrange(len(lines))
    words = lines[i].split(" ")
    words[rng.randrange(len(words))] = rng.choice(ODD)
    lines[i] = " ".join(words)


def copy_word(rng: random.Random, lines: Lines) -> None:
    i, j = rng.randrange(len(lines)), rng.randrange(len(lines))
    there, here = lines[j].split(), lines[i].split(" ")
    if there:
        here[rng.randrange(len(here))] = rng.choice(there)
        lines[i] = " ".join(here)


def replace_token(rng: random.Random, lines: Lines) -> None:
    i = rng.randrange(len(lines))
    places = list(re.finditer(r"\S+", lines[i]))
    if places:
        place = rng.choice(places)
        piece = rng.choice([p for p in ODD if p.strip() and p not in "'\";#"])
        lines[i] = lines[i][: place.start()] + piece + lines[i][place.end() :]


def cut_line(rng: random.Random, lines: Lines) -> None:
    i = rng.randrange(len(lines))
    lines[i] = lines[i][: rng.randrange(len(lines[i]) + 1)]


def cut_file(rng: random.Random, lines: Lines) -> None:
    del lines[rng.randrange(1, len(lines) + 1) :]


def shift_line(rng: random.Random, lines: Lines) -> None:
    i = rng.randrange(len(lines))
    k = rng.randrange(len(lines[i]) + 1)
    lines[i] = lines[i][:k] + " " * rng.randint(1, 3) + lines[i][k:]


def scale_number(rng: random.Random, lines: Lines) -> None:
    i = rng.randrange(len(lines))
    words = lines[i].split(" ")
    numbers = [k for k, word in enumerate(words) if word.replace(".", "", 1).lstrip("-").isdigit()]
    if numbers:
        k = rng.choice(numbers)
        words[k] = f"{float(words[k]) * rng.choice((0.0, -1.0, 0.1, 10.0, 1e4)):.3f}"[: len(words[k]) + 3]
        lines[i] = " ".join(words)


def insert_odd_line(rng: random.Random, lines: Lines) -> None:
    lines.insert(rng.randrange(len(lines) + 1), " ".join(rng.choice(ODD) for _ in range(rng.randint(1, 8))))


MUTATIONS: tuple[Callable[[random.Random, Lines], None], ...] = (
    drop_line, drop_lines, repeat_line, swap_lines, change_character, change_character, overwrite, overwrite,
    change_word, copy_word, replace_token, replace_token, replace_token, replace_token, cut_line, cut_file,
    shift_line, scale_number, scale_number, insert_odd_line,
)  # fmt: skip


def swap_tokens(rng: random.Random, lines: Lines) -> None:
    i, j = rng.randrange(len(lines)), rng.randrange(len(lines))
    a, b = lines[i].split(), lines[j].split()
    if len(a) == len(b) and len(a) > 1:
        k = rng.randrange(len(a))
        a[k], b[k] = b[k], a[k]
        lines[i], lines[j] = " ".join(a), " ".join(b)


TABLE_MUTATIONS = (replace_token, replace_token, swap_tokens, swap_lines, repeat_line, drop_line)
"""Changes that mostly leave a table of CIF a table."""


def mutated(text: str, seed: int, most: int = 4, tables: bool = False) -> str:
    """``text`` with one to ``most`` changes that follow from ``seed``; with ``tables`` mostly inside tables of CIF."""
    rng = random.Random(seed)
    lines = text.splitlines()
    if tables and rng.random() < 0.85:
        rows = [k for k, line in enumerate(lines) if len(line.split()) > 4]
        starts = [k for k in rows if k - 1 not in rows]
        start = starts[-1] if rng.random() < 0.5 else rng.choice(starts)
        end = next(k for k in range(start, len(lines) + 1) if k not in rows)
        table = lines[start:end]
        for _ in range(rng.randint(1, most)):
            if table:
                rng.choice(TABLE_MUTATIONS)(rng, table)
        lines[start:end] = table
    else:
        for _ in range(rng.randint(1, most)):
            if lines:
                rng.choice(MUTATIONS)(rng, lines)
    return rng.choice(("\n", "\n", "\n", "\r\n")).join(lines) + "\n"
