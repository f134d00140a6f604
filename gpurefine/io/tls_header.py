"""TLS groups in the headers of models: REMARK 3 of PDB files (REFMAC, Phenix, BUSTER) and mmCIF."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import gemmi
import numpy as np
from numpy.typing import NDArray

from ..constants import VOIGT
from ..errors import InputError
from ..model.tls import ResidueRange, TlsGroups
from .tls_records import TlsRecord, file_tensors, values_from

F64 = NDArray[np.float64]
FLOAT = re.compile(r"[-+]?\d+\.\d*(?:[eE][-+]?\d+)?|[-+]?\.\d+")
ELEMENT = re.compile(r"([TLS])([123])([123])\s*:\s*([-+]?\d*\.?\d+(?:[eE][-+]?\d+)?)")
RANGE = re.compile(r"^(\S+?)\s*(-?\d+[A-Za-z]?)\s+(?:TO\s+)?(\S+?)\s*(-?\d+[A-Za-z]?)$")

Loop = dict[str, list[Any]]
NINE = tuple((i, j) for i in range(3) for j in range(3))


def remark3_groups(remarks: Sequence[str], path: str) -> list[TlsRecord]:
    """The TLS groups of REMARK 3; ``remarks`` are lines of a PDB file.

    Raises:
        InputError: a group is not understood.
    """
    lines = [line[10:].rstrip() for line in remarks if line[:10].split() == ["REMARK", "3"]]
    starts = [k for k, line in enumerate(lines) if re.match(r"\s*TLS GROUP\s*:\s*\d+", line)]
    groups = []
    for k, start in enumerate(starts):
        end = starts[k + 1] if k + 1 < len(starts) else len(lines)
        groups.append(_remark3_group(lines[start:end], path))
    return groups


def _remark3_group(lines: Sequence[str], path: str) -> TlsRecord:
    name = lines[0].split(":")[1].strip()
    where = f"TLS group {name} of {path}"
    origin: F64 | None = None
    tensors = {letter: np.full((3, 3), np.nan) for letter in "TLS"}
    ranges: list[ResidueRange] = []
    selection: list[str] = []
    inside = False
    for line in lines[1:]:
        text = line.strip()
        title, colon, value = text.partition(":")
        if text.startswith(("ORIGIN", "T TENSOR")):
            inside = False
        if text.startswith("ORIGIN"):
            numbers = FLOAT.findall(value)
            origin = np.array([float(x) for x in numbers]) if len(numbers) == 3 else None
        elif title.strip() in ("SELECTION", "SET") and colon:
            inside, selection = True, [*selection, value.strip()]
        elif inside and text:
            selection[-1] += f" {text}"
        elif title.strip() == "RESIDUE RANGE":
            match = RANGE.match(value.strip())
            if match is None or match.group(1) != match.group(3):
                raise InputError(f"{where} has the range '{value.strip()}', which is not understood.")
            ranges.append(ResidueRange(match.group(1), match.group(2), match.group(4)))
        else:
            for letter, i, j, number in ELEMENT.findall(text):
                tensors[letter][int(i) - 1, int(j) - 1] = float(number)
    for letter in "TL":
        lower = np.tril_indices(3, -1)
        tensors[letter][lower] = tensors[letter].T[lower]
    whole = all(np.isfinite(tensor).all() for tensor in tensors.values())
    values = values_from(tensors["T"], tensors["L"], tensors["S"]) if whole and origin is not None else None
    if not ranges and not any(selection):
        raise InputError(
            f"{where} does not say which residues belong to it; give the groups by --tls FILE or --tls auto."
        )
    return TlsRecord(name, tuple(ranges), tuple(s for s in selection if s), origin, values)


def mmcif_groups(block: gemmi.cif.Block, path: str) -> list[TlsRecord]:
    """The groups of _pdbx_refine_tls and _pdbx_refine_tls_group.

    Raises:
        InputError: a group has no atoms.
    """
    table = block.get_mmcif_category("_pdbx_refine_tls.")
    parts = block.get_mmcif_category("_pdbx_refine_tls_group.")
    groups = []
    for k, name in enumerate(table.get("id", [])):
        ranges: list[ResidueRange] = []
        selections: list[str] = []
        for row, owner in enumerate(parts.get("refine_tls_id", [])):
            if owner != name:
                continue
            part = {key: column[row] for key, column in parts.items()}
            chain, first, last = (part.get(x) for x in ("beg_auth_asym_id", "beg_auth_seq_id", "end_auth_seq_id"))
            text = part.get("selection") or part.get("selection_details")
            if chain and first and last:
                code = part.get("beg_PDB_ins_code") or "", part.get("end_PDB_ins_code") or ""
                ranges.append(ResidueRange(str(chain), f"{first}{code[0]}", f"{last}{code[1]}"))
            elif text:
                selections.append(str(text))
        if not ranges and not selections:
            raise InputError(
                f"TLS group {name} of {path} does not say which residues belong to it; give the groups by --tls FILE "
                "or --tls auto."
            )
        groups.append(TlsRecord(str(name), tuple(ranges), tuple(selections), *_mmcif_tensors(table, k)))
    return groups


def _mmcif_tensors(table: Mapping[str, Sequence[Any]], row: int) -> tuple[F64 | None, F64 | None]:
    """Origin (3,) and parameters (20,) of one row; None where a number is missing."""

    def number(name: str) -> float:
        try:
            return float(table[name][row])
        except (KeyError, TypeError, ValueError):
            return float("nan")

    origin = np.array([number(f"origin_{axis}") for axis in "xyz"])
    tensors = {}
    for letter in "TL":
        full = np.empty((3, 3))
        for i, j in VOIGT:
            full[i, j] = full[j, i] = number(f"{letter}[{i + 1}][{j + 1}]")
        tensors[letter] = full
    s = np.array([number(f"S[{i + 1}][{j + 1}]") for i, j in NINE]).reshape(3, 3)
    if not np.isfinite(origin).all():
        return None, None
    if not all(np.isfinite(part).all() for part in (*tensors.values(), s)):
        return origin, None
    return origin, values_from(tensors["T"], tensors["L"], s)


def holds_total(structure: gemmi.Structure, block: gemmi.cif.Block | None) -> bool | None:
    """Whether the header says that B and U of the atoms hold the TLS motion; None where it does not say."""
    text = " ".join(line[10:].strip() for line in structure.raw_remarks if line[:10].split() == ["REMARK", "3"])
    if block is not None:
        flag = block.find_value("_refine.pdbx_TLS_residual_ADP_flag")
        text += gemmi.cif.as_string(flag) if flag else ""
        text += " ".join(block.get_mmcif_category("_refine.").get("details") or [""] if block else "")
    text = text.upper()
    if re.search(r"U VALUES\s*:?\s*RESIDUAL ONLY|RESIDUAL B FACTORS ONLY|LIKELY RESIDUAL", text):
        return False
    if re.search(r"U VALUES\s*:?\s*WITH TLS ADDED|SUM OF TLS AND RESIDUAL", text):
        return True
    return None


def remark3_lines(groups: TlsGroups, values: F64) -> list[str]:
    """REMARK 3's TLS section in REFMAC's words, without "REMARK   3"."""
    lines = [" TLS DETAILS", f"  NUMBER OF TLS GROUPS  : {len(groups):4d}", ""]
    for g in range(len(groups)):
        t, libration, s = file_tensors(values[g])
        lines += [
            f"  TLS GROUP : {g + 1:5d}",
            f"   NUMBER OF COMPONENTS GROUP : {len(groups.ranges[g]):4d}",
            "   COMPONENTS        C SSSEQI   TO  C SSSEQI",
        ]
        for r in groups.ranges[g]:
            lines.append(f"   RESIDUE RANGE : {r.chain:>3s}{_columns(r.first)}     {r.chain:>4s}{_columns(r.last)}")
        lines.append("   ORIGIN FOR THE GROUP (A):" + "".join(f"{x:9.4f}" for x in groups.origin[g]))
        for letter, full in (("T", t), ("L", libration)):
            e = {f"{i + 1}{j + 1}": f"{letter}{i + 1}{j + 1}:{full[i, j]:9.4f}" for i, j in VOIGT}
            lines += [
                f"   {letter} TENSOR", f"     {e['11']} {e['22']}", f"     {e['33']} {e['12']}",
                f"     {e['13']} {e['23']}",
            ]
        lines.append("   S TENSOR")
        lines += [
            "     " + " ".join(f"S{i + 1}{j + 1}:{s[i, j]:9.4f}" for j in range(3)) for i in range(3)
        ]
    return [*lines, ""]


def _columns(seqid: str) -> str:
    """Residue number right-justified, its insertion code behind."""
    return f"{seqid:>7s}" if seqid[-1].isalpha() else f"{seqid:>6s} "


def mmcif_loops(groups: TlsGroups, values: F64, refine_id: str) -> tuple[Loop, Loop]:
    """Columns of _pdbx_refine_tls and of _pdbx_refine_tls_group."""
    tensors: Loop = {}
    parts: Loop = {}
    for g, name in enumerate(groups.names):
        t, libration, s = file_tensors(values[g])
        row: dict[str, str | None] = {
            "pdbx_refine_id": refine_id, "id": str(g + 1), "details": name, "method": "refined"
        }
        row |= {f"origin_{axis}": f"{x:.4f}" for axis, x in zip("xyz", groups.origin[g], strict=True)}
        for letter, full in (("T", t), ("L", libration)):
            row |= {f"{letter}[{i + 1}][{j + 1}]": f"{full[i, j]:.6f}" for i, j in VOIGT}
        row |= {f"S[{i + 1}][{j + 1}]": f"{s[i, j]:.6f}" for i, j in NINE}
        _append(tensors, row)
        for r in groups.ranges[g]:
            first, last = (re.fullmatch(r"(-?\d+)([A-Za-z]?)", end) for end in (r.first, r.last))
            assert first is not None and last is not None
            _append(parts, {
                "pdbx_refine_id": refine_id, "id": str(len(parts.get("id", [])) + 1), "refine_tls_id": str(g + 1),
                "beg_auth_asym_id": r.chain, "beg_auth_seq_id": first.group(1),
                "beg_PDB_ins_code": first.group(2) or None, "end_auth_asym_id": r.chain,
                "end_auth_seq_id": last.group(1), "end_PDB_ins_code": last.group(2) or None,
            })  # fmt: skip
    return tensors, parts


def _append(loop: Loop, row: Mapping[str, str | None]) -> None:
    for key, value in row.items():
        loop.setdefault(key, []).append(value)
