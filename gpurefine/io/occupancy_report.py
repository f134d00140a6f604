"""Refined occupancies in the log and in the JSON report."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..model.occupancy import OccupancyResult

LISTED = 60
"""Groups written to the log; the JSON report has all."""


def occupancy_json(found: OccupancyResult | None) -> dict[str, Any] | None:
    """Every group with its residues and occupancy, and which groups are alternatives of one another."""
    if found is None:
        return None
    groups = found.groups
    counts = np.bincount(groups.member[groups.member >= 0], minlength=len(groups))
    return {
        "groups": [
            {"name": name, "residues": list(residues), "n_atoms": int(count), "occupancy": float(q)}
            for name, residues, count, q in zip(groups.names, groups.residues, counts, found.values, strict=True)
        ],
        "sets": [
            {"groups": [groups.names[g] for g in members], "complete": complete}
            for members, complete in zip(groups.sets, groups.complete, strict=True)
        ],
    }


def occupancy_lines(found: OccupancyResult) -> list[str]:
    """A table of the groups, set by set."""
    groups = found.groups
    rows = [("group", "occupancy", "set", "residues")]
    for number, (members, complete) in enumerate(zip(groups.sets, groups.complete, strict=True), 1):
        for g in members:
            kind = f"{number}{' (sum 1)' if complete else ''}"
            rows.append((groups.names[g], f"{found.values[g]:.3f}", kind, _short(groups.residues[g])))
    shown = rows[: LISTED + 1]
    widths = [max(len(row[k]) for row in shown) for k in range(3)]
    lines = [
        f"{row[0]:{widths[0]}}  {row[1]:>{widths[1]}}  {row[2]:{widths[2]}}  {row[3]}".rstrip() for row in shown
    ]
    rest = len(rows) - len(shown)
    return [*lines, f"… and {rest} groups more, which the JSON report lists."] if rest else lines


def _short(residues: tuple[str, ...], most: int = 6) -> str:
    rest = len(residues) - most
    return " ".join(residues[:most]) + (f" and {rest} more" if rest > 0 else "")
