"""TLS groups in and out of files: REFMAC's TLS files, REMARK 3 and mmCIF."""

from __future__ import annotations

from pathlib import Path

import gemmi
import numpy as np
import pytest

from gpurefine.constants import DEGREE
from gpurefine.errors import InputError
from gpurefine.io.tls_file import read_tls_file, tls_file_text
from gpurefine.io.tls_header import holds_total, mmcif_groups, mmcif_loops, remark3_groups, remark3_lines
from gpurefine.model.tls import N_TLS, ResidueRange, TlsGroups

TLSIN = """\
REFMAC

TLS    Chain A
RANGE  'A   1.' 'A  96.' ALL
RANGE  'A 200.' 'A 201A' ALL
ORIGIN   -1.5 20.25 3.125
T    0.2412 0.2917 0.1882 0.0472 -0.0825 0.0397
L    1.4048 3.8599 1.2824 -0.8374 -0.0206 -1.0789
S    -0.4991 0.3036 0.1241 0.2598 -0.8039 -0.4629 0.5236 0.2378

TLS    other
RANGE  "B-5" "B10" MNC
"""

REMARK3 = """\
REMARK   3  TLS DETAILS
REMARK   3   NUMBER OF TLS GROUPS  : 2
REMARK   3   TLS GROUP : 1
REMARK   3    SELECTION: CHAIN A AND (RESID 119:536 OR RESID 1001:1003 OR
REMARK   3               RESID 601:608)
REMARK   3    ORIGIN FOR THE GROUP (A):-106.5545-185.8402 -80.4326
REMARK   3    T TENSOR
REMARK   3      T11:   0.2412 T22:   0.2917
REMARK   3      T33:   0.1882 T12:   0.0472
REMARK   3      T13:  -0.0825 T23:   0.0397
REMARK   3    L TENSOR
REMARK   3      L11:   1.4048 L22:   3.8599
REMARK   3      L33:   1.2824 L12:  -0.8374
REMARK   3      L13:  -0.0206 L23:  -1.0789
REMARK   3    S TENSOR
REMARK   3      S11:   0.3157 S12:   0.1241 S13:   0.2598
REMARK   3      S21:  -0.4629 S22:  -0.1834 S23:  -0.8039
REMARK   3      S31:   0.5236 S32:   0.2378 S33:   0.0121
REMARK   3   TLS GROUP : 2
REMARK   3    NUMBER OF COMPONENTS GROUP :    1
REMARK   3    COMPONENTS        C SSSEQI   TO  C SSSEQI
REMARK   3    RESIDUE RANGE :   B    -5        B  1000A
REMARK   3    ORIGIN FOR THE GROUP (A):   0.0000   0.0000   0.0000
"""

SAME = np.array([
    0.2412, 0.2917, 0.1882, 0.0472, -0.0825, 0.0397, *(np.array([1.4048, 3.8599, 1.2824, -0.8374, -0.0206, -1.0789])
    * DEGREE**2), *(np.array([-0.4991, 0.3036, 0.1241, 0.2598, -0.8039, -0.4629, 0.5236, 0.2378]) * DEGREE)
])
"""Parameters of the group that both texts above hold; REMARK 3 has all nine elements of S."""


def some_groups() -> tuple[TlsGroups, np.ndarray]:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(2, N_TLS))
    values[:, 6:12] *= DEGREE**2
    values[:, 12:] *= DEGREE
    ranges = ((ResidueRange("A", "-3", "96"), ResidueRange("A", "1200", "1200B")), (ResidueRange("BB", "5A", "60"),))
    origin = rng.normal(size=(2, 3)) * 100
    return TlsGroups(("one", "two"), ranges, np.zeros(0, np.int32), origin, values), values


def test_tls_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.tls"
    path.write_text(TLSIN)
    first, second = read_tls_file(str(path))
    assert first.name == "Chain A"
    assert first.ranges == (ResidueRange("A", "1", "96"), ResidueRange("A", "200", "201A"))
    assert first.values is not None and np.allclose(first.values, SAME, atol=1e-12)
    assert first.origin is not None and first.origin.tolist() == [-1.5, 20.25, 3.125]
    assert second.values is None and second.ranges == (ResidueRange("B", "-5", "10"),) and second.kinds == ("MNC",)


@pytest.mark.parametrize(("bad", "told"), [
    ("RANGE 'A 1.' 'A 5.' ALL\n", "before the first TLS"),
    ("TLS x\n", "no RANGE"),
    ("\n", "holds no TLS group"),
    ("TLS x\nRANGE 'A 9.' 'A 5.' ALL\n", "ends before it"),
    ("TLS x\nRANGE 'A 9B' 'A 9A' ALL\n", "ends before it"),
    ("TLS x\nRANGE 'A 1.' 'B 5.' ALL\n", "one for each"),
    ("TLS x\nRANGE 'A 1.'\n", "no range"),
    ("TLS x\nRANGE 'A 1.' 'A 5.' ALL\nT 1 2 3\n", "takes 6 numbers"),
    ("TLS x\nRANGE 'A 1.' 'A 5.' ALL\nT 1 2 3 4 5 6\nL 1 2 3 4 5 6\nS 1 2 3 4 5 6 7 8\n", "no ORIGIN"),
    ("TLS x\nRANGE 'A 1.' 'A 5.' ALL\nQ 3\n", "'Q' is not understood"),
])
def test_what_is_wrong_with_a_tls_file_is_told(tmp_path: Path, bad: str, told: str) -> None:
    path = tmp_path / "bad.tls"
    path.write_text(bad)
    with pytest.raises(InputError, match=told) as caught:
        read_tls_file(str(path))
    assert "bad.tls" in str(caught.value)


def test_comments_and_lines_that_go_on(tmp_path: Path) -> None:
    path = tmp_path / "c.tls"
    path.write_text(TLSIN.replace("0.1882 0.0472", "0.1882 -\n 0.0472").replace("3.125", "3.125 # centre"))
    first, second = read_tls_file(str(path))
    assert first.values is not None and np.allclose(first.values, SAME, atol=1e-12)
    assert first.kinds == ("ALL", "ALL") and second.kinds == ("MNC",)


@pytest.mark.parametrize(("line", "total"), [
    ("ATOMIC U VALUES      : RESIDUAL ONLY", False), ("B VALUES REFER TO: U VALUES: WITH TLS ADDED", True),
    ("ATOM RECORD CONTAINS SUM OF TLS AND RESIDUAL B FACTORS", True),
    ("ATOM RECORD CONTAINS RESIDUAL B FACTORS ONLY", False), ("HYDROGENS HAVE BEEN ADDED", None),
])
def test_what_a_header_says_about_its_b(line: str, total: bool | None) -> None:
    structure = gemmi.Structure()
    structure.raw_remarks = [f"REMARK   3  {line}".ljust(80)]
    assert holds_total(structure, None) is total
    block = gemmi.cif.Document().add_new_block("x")
    block.set_pair("_refine.details", gemmi.cif.quote(line))
    assert holds_total(gemmi.Structure(), block) is total


def test_tls_file_round_trip(tmp_path: Path) -> None:
    groups, values = some_groups()
    path = tmp_path / "b.tls"
    path.write_text(tls_file_text(groups, values))
    for g, record in enumerate(read_tls_file(str(path))):
        assert record.name == groups.names[g] and record.ranges == groups.ranges[g]
        assert record.values is not None and np.allclose(record.values, values[g], atol=6e-7)
        assert record.origin is not None and np.allclose(record.origin, groups.origin[g], atol=6e-5)


def test_remark3_of_two_programs() -> None:
    first, second = remark3_groups(REMARK3.splitlines(), "x.pdb")
    assert first.selections == ("CHAIN A AND (RESID 119:536 OR RESID 1001:1003 OR RESID 601:608)",)
    assert first.values is not None and np.allclose(first.values, SAME, atol=1e-12)
    assert first.origin is not None and first.origin.tolist() == [-106.5545, -185.8402, -80.4326]
    assert second.ranges == (ResidueRange("B", "-5", "1000A"),) and second.values is None


def test_remark3_round_trip_and_gemmi_reads_it() -> None:
    groups, values = some_groups()
    lines = [f"REMARK   3 {line}".ljust(80) for line in ["REFINEMENT.", *remark3_lines(groups, values)]]
    for g, record in enumerate(remark3_groups(lines, "x.pdb")):
        assert record.ranges == groups.ranges[g]
        assert record.values is not None
        assert np.abs(record.values - values[g])[:6].max() < 6e-5
        assert np.abs(record.values - values[g])[6:12].max() < 6e-5 * DEGREE**2
    simple = TlsGroups(
        groups.names, ((ResidueRange("A", "1", "96"),), (ResidueRange("B", "5", "60"),)), groups.member, groups.origin,
        values,
    )
    head = ["REFINEMENT.", "  PROGRAM     : X", " DATA USED IN REFINEMENT."]
    lines = [f"REMARK   3 {line}".ljust(80) for line in [*head, *remark3_lines(simple, values)]]
    read = gemmi.read_pdb_string("\n".join(lines) + "\nEND\n").meta.refinement[0].tls_groups
    assert len(read) == 2
    part = read[1].selections[0]
    assert (part.chain, str(part.res_begin), str(part.res_end)) == ("B", "5", "60")
    assert read[0].T.u12 == pytest.approx(values[0, 3], abs=6e-5)
    assert read[0].S.tolist()[2][1] == pytest.approx(values[0, 19] / DEGREE, abs=6e-5)


def test_mmcif_round_trip_and_gemmi_reads_it() -> None:
    groups, values = some_groups()
    block = gemmi.cif.Document().add_new_block("x")
    block.set_mmcif_category("_refine.", {"pdbx_refine_id": ["X-RAY DIFFRACTION"], "entry_id": ["x"]})
    for name, loop in zip(
        ("_pdbx_refine_tls.", "_pdbx_refine_tls_group."), mmcif_loops(groups, values, "X-RAY DIFFRACTION"), strict=True
    ):
        block.set_mmcif_category(name, loop)
    again = gemmi.cif.read_string(block.as_string())[0]
    for g, record in enumerate(mmcif_groups(again, "x.cif")):
        assert record.ranges == groups.ranges[g]
        assert record.values is not None and np.allclose(record.values, values[g], atol=6e-7)
    read = gemmi.make_structure_from_block(again).meta.refinement[0].tls_groups
    assert [len(group.selections) for group in read] == [2, 1]
    assert read[1].L.u23 == pytest.approx(values[1, 11] / DEGREE**2, abs=1e-6)
