"""Refined parts of deuterium in the log and in the JSON report."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..model.deuterium import DeuteriumResult

LISTED = 20
"""Lowest fractions that the log lists; the JSON report has all."""


def deuterium_json(found: DeuteriumResult | None) -> dict[str, Any] | None:
    """Mean and every site with its fraction."""
    if found is None:
        return None
    return {
        "mean": float(found.values.mean()),
        "sites": [
            {"atom": label, "fraction": float(f)} for label, f in zip(found.sites.labels, found.values, strict=True)
        ],
    }


def deuterium_lines(found: DeuteriumResult) -> list[str]:
    """Mean, numbers at the ends, and the lowest fractions."""
    f = found.values
    lines = [
        f"Mean of {len(f)} sites {f.mean():.3f} (start {found.sites.start.mean():.3f}); {int((f <= 0.0).sum())} at 0, "
        f"{int((f >= 1.0).sum())} at 1. The lowest:"
    ]
    order = np.argsort(f, kind="stable")[:LISTED]
    width = max(len(found.sites.labels[k]) for k in order)
    return [*lines, *(f"{found.sites.labels[k]:{width}}  {f[k]:.3f}" for k in order)]
