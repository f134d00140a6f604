"""REMARK 2 and 3 of a PDB file, in the words that REFMAC uses and that pipelines look for."""

from __future__ import annotations

from ..config import Config
from ..model.records import Report, RestraintRecord
from .reflections import DataSet
from .software import PROGRAM, program_version
from .summary import Summary, summarise
from .tls_header import remark3_lines

RESTRAINT_WORDS = (
    ("bond", "BOND LENGTHS REFINED ATOMS        (A)"),
    ("angle", "BOND ANGLES REFINED ATOMS   (DEGREES)"),
    ("torsion_period_1", "TORSION ANGLES, PERIOD 1    (DEGREES)"),
    ("torsion_period_2", "TORSION ANGLES, PERIOD 2    (DEGREES)"),
    ("torsion_period_3", "TORSION ANGLES, PERIOD 3    (DEGREES)"),
    ("torsion_period_6", "TORSION ANGLES, PERIOD 6    (DEGREES)"),
    ("chiral", "CHIRAL-CENTER RESTRAINTS       (A**3)"),
    ("plane", "GENERAL PLANES REFINED ATOMS      (A)"),
    ("vdw", "NON-BONDED CONTACTS REFINED ATOMS (A)"),
    ("vdw_torsion", "NON-BONDED TORSION REFINED ATOMS  (A)"),
    ("vdw_hbond", "H-BOND (X...Y) REFINED ATOMS      (A)"),
    ("vdw_metal", "POTENTIAL METAL-ION REFINED ATOMS (A)"),
    ("vdw_symmetry", "SYMMETRY VDW REFINED ATOMS        (A)"),
)
"""Kind of restraint and its line; XChemExplorer splits these lines at blanks and counts."""


def remark_lines(report: Report, config: Config, dataset: DataSet, n_atoms: int) -> list[str]:
    """REMARK 2 and REMARK 3, each line without its end.

    NUMBER OF REFLECTIONS counts work and test set, as the PDB's format and gemmi understand it.

    Args:
        report, config, dataset: what was refined, how, against what.
        n_atoms: atoms in the model without hydrogen.
    """
    summary, error = summarise(report, dataset), report.coordinate_error
    body = [
        "",
        "REFINEMENT.",
        f"  PROGRAM     : {PROGRAM.upper()} {program_version()}",
        "  AUTHORS     : GPUREFINE DEVELOPERS",
        "",
        "   REFINEMENT TARGET : MAXIMUM LIKELIHOOD",
        "",
        " DATA USED IN REFINEMENT.",
        f"  RESOLUTION RANGE HIGH (ANGSTROMS) : {report.d_min:6.2f}",
        f"  RESOLUTION RANGE LOW  (ANGSTROMS) : {report.d_max:6.2f}",
        "  DATA CUTOFF            (SIGMA(F)) : NONE",
        f"  COMPLETENESS FOR RANGE        (%) : {summary.completeness:6.2f}",
        f"  NUMBER OF REFLECTIONS             : {summary.n_obs:7d}",
        "",
        *_fit(report, summary),
        "",
        *_last_shell(report),
        " NUMBER OF NON-HYDROGEN ATOMS USED IN REFINEMENT.",
        f"  ALL ATOMS                : {n_atoms:8d}",
        "",
        *_b_values(report),
        "",
        " ESTIMATED OVERALL COORDINATE ERROR.",
        f"  ESU BASED ON R VALUE                            (A): {_value(error.esu_r, 7, 3)}",
        f"  ESU BASED ON FREE R VALUE                       (A): {_value(error.esu_free_r, 7, 3)}",
        f"  ESU BASED ON MAXIMUM LIKELIHOOD                 (A): {_value(error.esu_ml, 7, 3)}",
        "",
        "CORRELATION COEFFICIENTS.",
        f"  CORRELATION COEFFICIENT FO-FC      : {_value(summary.final.cc_work, 7, 3)}",
        f"  CORRELATION COEFFICIENT FO-FC FREE : {_value(summary.final.cc_free, 7, 3)}",
        "",
        " RMS DEVIATIONS FROM IDEAL VALUES        COUNT    RMS    WEIGHT",
        *_restraints(report.restraints),
        "",
    ]
    kept = [law for law in report.twin["laws"] if law["kept"]] if report.twin else []
    if report.twin and kept:
        body += [" TWIN DETAILS", f"  NUMBER OF TWIN DOMAINS : {len(kept) + 1}"]
        domains = [("H, K, L", report.twin["fraction_untwinned"]), *((law["law"], law["fraction"]) for law in kept)]
        for k, (law, fraction) in enumerate(domains, 1):
            body += [f"     TWIN DOMAIN   : {k}", f"     TWIN OPERATOR : {law.upper()}",
                     f"     TWIN FRACTION : {float(fraction):.3f}"]
        body.append("")
    if report.tls is not None:
        body += remark3_lines(report.tls.groups, report.tls.values)
    body += _solvent(report, config)
    riding = config.chemistry.hydrogens
    hydrogens = {
        "auto": "HYDROGENS HAVE BEEN ADDED IN THE RIDING POSITIONS",
        "add": "HYDROGENS HAVE BEEN ADDED IN THE RIDING POSITIONS",
        "keep": "HYDROGENS OF THE INPUT MODEL HAVE BEEN USED",
        "refine": "HYDROGEN POSITIONS HAVE BEEN REFINED",
        "drop": "HYDROGENS HAVE NOT BEEN USED",
    }.get(riding, riding.upper())
    body += [" OTHER REFINEMENT REMARKS:", f"  {hydrogens}"]
    if report.tls is not None:
        body.append(f"  U VALUES      : {'RESIDUAL ONLY' if report.tls.residual else 'WITH TLS ADDED'}")
    body.append("")
    remark2 = ["REMARK   2", f"REMARK   2 RESOLUTION. {report.d_min:7.2f} ANGSTROMS."]
    return remark2 + [f"REMARK   3 {line}".rstrip().ljust(80) for line in body]


def _value(value: float | None, width: int, digits: int) -> str:
    return f"{'NULL':>{width}}" if value is None or value != value else f"{value:{width}.{digits}f}"


def _fit(report: Report, summary: Summary) -> list[str]:
    method = "THROUGHOUT" if report.n_free else "NONE"
    return [
        " FIT TO DATA USED IN REFINEMENT.",
        f"  CROSS-VALIDATION METHOD          : {method}",
        f"  FREE R VALUE TEST SET SELECTION  : {'RANDOM' if report.n_free else 'NULL'}",
        f"  R VALUE     (WORKING + TEST SET) : {_value(summary.r_all, 7, 5)}",
        f"  R VALUE            (WORKING SET) : {_value(summary.final.r_work, 7, 5)}",
        f"  FREE R VALUE                     : {_value(summary.final.r_free, 7, 5)}",
        f"  FREE R VALUE TEST SET SIZE   (%) : {_value(summary.percent_free, 4, 1)}",
        f"  FREE R VALUE TEST SET COUNT      : {report.n_free:4d}",
    ]


def _last_shell(report: Report) -> list[str]:
    if not report.shells:
        return []
    shell = min(report.shells, key=lambda s: s.d_min)
    return [
        " FIT IN THE HIGHEST RESOLUTION BIN.",
        f"  TOTAL NUMBER OF BINS USED           : {len(report.shells):7d}",
        f"  BIN RESOLUTION RANGE HIGH           : {shell.d_min:8.3f}",
        f"  BIN RESOLUTION RANGE LOW            : {shell.d_max:8.3f}",
        f"  REFLECTION IN BIN     (WORKING SET) : {shell.n_work:7d}",
        f"  BIN COMPLETENESS (WORKING+TEST) (%) : {shell.completeness:8.2f}",
        f"  BIN R VALUE           (WORKING SET) : {_value(shell.r_work, 8, 3)}",
        f"  BIN FREE R VALUE SET COUNT          : {shell.n_free:7d}",
        f"  BIN FREE R VALUE                    : {_value(shell.r_free, 8, 3)}",
        "",
    ]


def _b_values(report: Report) -> list[str]:
    names = ("B11", "B22", "B33", "B12", "B13", "B23")
    return [
        " B VALUES.",
        "  FROM WILSON PLOT           (A**2) : NULL",
        f"  MEAN B VALUE      (OVERALL, A**2) : {report.mean_b:8.3f}",
        "  OVERALL ANISOTROPIC B VALUE.",
        *(f"   {name} (A**2) : {value:8.2f}" for name, value in zip(names, report.scale.b_aniso, strict=False)),
    ]


def _restraints(restraints: list[RestraintRecord]) -> list[str]:
    by_kind = {r.kind: r for r in restraints}
    lines = []
    for kind, words in RESTRAINT_WORDS:
        record = by_kind.get(kind)
        if record is not None:
            lines.append(f"  {words}:{record.count:6d} ;{record.rmsd:6.3f} ;{record.mean_sigma:6.3f}")
        elif kind in ("bond", "angle"):
            lines.append(f"  {words}:  NULL ;  NULL ;  NULL")
    return lines


def _solvent(report: Report, config: Config) -> list[str]:
    kind, scale = config.solvent.solvent, report.scale
    words = {"mask": "MASK", "babinet": "BABINET MODEL", "both": "BABINET MODEL WITH MASK", "none": "NONE"}
    lines = [" BULK SOLVENT MODELLING.", f"  METHOD USED : {words.get(kind, kind.upper())}"]
    if kind in ("mask", "both"):
        probe = config.solvent.probe_radius if scale.probe_radius is None else scale.probe_radius
        ion_probe = config.solvent.ion_probe_radius if scale.ion_probe_radius is None else scale.ion_probe_radius
        shrink = config.solvent.shrink_radius if scale.shrink_radius is None else scale.shrink_radius
        lines += [
            "  PARAMETERS FOR MASK CALCULATION",
            f"  VDW PROBE RADIUS   : {probe:6.2f}",
            f"  ION PROBE RADIUS   : {ion_probe:6.2f}",
            f"  SHRINKAGE RADIUS   : {shrink:6.2f}",
        ]
    return [*lines, ""]
