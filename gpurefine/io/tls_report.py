"""TLS groups in the log and in the JSON report."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..constants import DEGREE, EIGHT_PI2
from ..model.tls import Tensors, TlsResult
from .tls_records import file_tensors


def tls_json(found: TlsResult | None) -> dict[str, Any] | None:
    """Every group with its ranges, tensors in the units of files (Å², deg², Å deg) and principal axes."""
    if found is None:
        return None
    groups = []
    tensors = Tensors.of(found.values)
    for g, name in enumerate(found.groups.names):
        t, libration, s = file_tensors(found.values[g])
        axes = {}
        for key, full, unit in (("t", tensors.t[g], 1.0), ("l", tensors.l[g], DEGREE**-2)):
            values, vectors = np.linalg.eigh(full)
            axes[f"{key}_axes"] = [
                {"value": float(v) * unit, "direction": direction.tolist()}
                for v, direction in zip(values[::-1], vectors.T[::-1], strict=True)
            ]
        own = found.groups.member == g
        groups.append({
            "name": name,
            "ranges": [{"chain": r.chain, "first": r.first, "last": r.last} for r in found.groups.ranges[g]],
            "n_atoms": int(own.sum()),
            "origin": found.groups.origin[g].tolist(),
            "t": t.tolist(), "l": libration.tolist(), "s": s.tolist(),
            **axes,
            "b_t": float(EIGHT_PI2 / 3.0 * np.trace(t)),
            "libration": float(np.sqrt(max(np.trace(libration), 0.0) / 3.0)),
            "mean_b": float(found.mean_b[g]),
        })  # fmt: skip
    return {"groups": groups, "residual_b": found.residual, "cycles": found.cycles}


def tls_lines(found: TlsResult) -> list[str]:
    """The groups for people: equivalent B, libration, principal values."""
    lines = ["B and ANISOU of the model are " + (
        "residual: the motion of the groups has to be added." if found.residual
        else "totals: the motion of the groups is in them."
    )]  # fmt: skip
    tensors = Tensors.of(found.values)
    for g, name in enumerate(found.groups.names):
        t = np.linalg.eigvalsh(tensors.t[g])[::-1]
        libration = np.linalg.eigvalsh(tensors.l[g])[::-1] / DEGREE**2
        lines += [
            "",
            f"Group {g + 1}: {name} ({int((found.groups.member == g).sum())} atoms): "
            + ", ".join(str(r) for r in found.groups.ranges[g]),
            f"  origin       {'  '.join(f'{x:9.3f}' for x in found.groups.origin[g])} Å",
            f"  B equivalent {found.mean_b[g]:9.2f} Å² on average over its atoms; of T {EIGHT_PI2 * t.mean():.2f} Å²",
            f"  T principal  {'  '.join(f'{x:9.4f}' for x in t)} Å²",
            f"  L principal  {'  '.join(f'{x:9.4f}' for x in libration)} deg² "
            f"(r.m.s. libration {np.sqrt(max(libration.mean(), 0.0)):.2f}°)",
        ]
        _, _, s = file_tensors(found.values[g])
        lines.append("  S            " + " / ".join("  ".join(f"{x:8.4f}" for x in row) for row in s) + " Å deg")
    return lines
