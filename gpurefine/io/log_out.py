"""The log: what a crystallographer wants to read afterwards, and the line of a cycle that the console shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..config import Config
from ..model.merging import Merging
from ..model.records import (
    CycleRecord,
    DataRecord,
    OutlierRecord,
    Report,
    RestraintRecord,
    ScaleRecord,
    ShellRecord,
)
from .deuterium_report import deuterium_lines
from .occupancy_report import occupancy_lines
from .reflections import DataSet
from .software import PROGRAM, program_version
from .summary import summarise
from .tls_report import tls_lines

LISTED_OUTLIERS = 50
"""Outliers written to the log, the worst first; the JSON report has all."""

KIND_NAMES = {
    "bond": "Bond lengths",
    "angle": "Bond angles",
    "torsion_period_1": "Torsion angles, period 1",
    "torsion_period_2": "Torsion angles, period 2",
    "torsion_period_3": "Torsion angles, period 3",
    "torsion_period_6": "Torsion angles, period 6",
    "torsion_other": "Torsion angles, other",
    "chiral": "Chiral volumes",
    "plane": "Planes",
    "vdw": "Non-bonded contacts",
    "vdw_hbond": "Non-bonded, hydrogen bonds",
    "vdw_torsion": "Non-bonded, 1-4",
    "vdw_metal": "Non-bonded, metals",
    "vdw_symmetry": "Non-bonded, symmetry",
    "adp": "B of neighbours",
    "adp_similarity": "U of neighbours",
    "adp_rigid_bond": "U along bonds (rigid bond)",
    "adp_sphericity": "Sphericity of U",
}
"""What each kind of restraint is called in tables."""


def cycle_table_header() -> str:
    """Heading of the table that :func:`cycle_line` fills, without a line end."""
    return "cycle  R_work  R_free  CC_work CC_free     bond/Å (Z)    angle/° (Z)   weight  halvings  CG  seconds"


def cycle_line(record: CycleRecord) -> str:
    """One cycle as a row of the table; "-" where a value does not exist."""
    bond = f"{_number(record.rmsd_bond, 6, 4)} ({_number(record.rmsz_bond, 4, 2)})"
    angle = f"{_number(record.rmsd_angle, 6, 3)} ({_number(record.rmsz_angle, 4, 2)})"
    return (
        f"{record.cycle:5d}  {_number(record.r_work, 6, 4)}  {_number(record.r_free, 6, 4)}  "
        f"{_number(record.cc_work, 7, 4)} {_number(record.cc_free, 7, 4)}  {bond}  {angle}  "
        f"{_number(record.weight, 7, 3)}  {_integer(record.halvings, 8)} {_integer(record.cg_iterations, 3)}  "
        f"{_number(record.seconds, 7, 2)}"
    )


def log_text(
    report: Report, config: Config, dataset: DataSet, command: str, written: Sequence[str], notes: Sequence[str] = ()
) -> str:
    """The whole log.

    Args:
        report: what the refinement found.
        config: options; dataset: the data read; command: the command line.
        written: names of the files of this run; notes: what else is to be told.
    """
    summary = summarise(report, dataset)
    final = summary.final
    lines = [
        f"{PROGRAM} {program_version()}  macromolecular crystallographic refinement",
        "",
        *_section("Input"),
        f"Command      {command}",
        f"Model        {config.model}",
        f"Data         {config.data_file}",
        f"Device       {report.device}",
        f"Space group  {dataset.crystal.hm}",
        f"Cell         {' '.join(f'{x:.3f}' for x in dataset.crystal.cell)}",
        "",
        *_section("Data"),
        *dataset.messages,
        f"Resolution {report.d_max:.2f} - {report.d_min:.2f} Å, {summary.n_obs} reflections "
        f"({report.n_work} for refinement, {report.n_free} for tests), completeness {summary.completeness:.1f} %.",
        *(_merging_table(dataset.merging) if dataset.merging is not None else ()),
        "",
        *_section("Messages"),
        *(dict.fromkeys(report.messages) or ["None."]),
        "",
        *_section("Cycles (0: before refinement)"),
        cycle_table_header(),
        *map(cycle_line, report.cycles),
        "",
        *_statuses(report.cycles),
        *_section("Result"),
        f"R (work + test set)  {_number(summary.r_all, 7, 4)}",
        f"R_work               {_number(final.r_work, 7, 4)}",
        f"R_free               {_number(final.r_free, 7, 4)}",
        f"Weight of the data   {report.weight:.4g}",
        f"Mean B               {report.mean_b:.2f} Å²",
    ]
    if report.anisotropy is not None:
        a = report.anisotropy
        lines.append(
            f"Anisotropy           {a.mean:.2f} ± {a.sigma:.2f} (smallest by largest U) over {a.n_aniso} atoms, "
            f"{a.n_flat} below 0.2; smallest U {a.min_u:.4f} Å²"
        )
    error = report.coordinate_error
    named = (("R", error.esu_r), ("free R", error.esu_free_r), ("likelihood", error.esu_ml))
    found = [f"{value:.3f} Å ({name})" for name, value in named if value is not None]
    if found:
        lines.append(f"Coordinate error     {', '.join(found)}")
    if report.ncs is not None:
        lines.append(
            f"Strict NCS           {report.ncs.n_operators} operators; {report.ncs.n_atoms_copy} atoms in the copy, "
            f"{report.ncs.n_atoms} in the asymmetric unit (hydrogens included)"
        )
    if report.tls is not None:
        lines += ["", *_section("TLS groups"), *tls_lines(report.tls)]
    if report.occupancies is not None:
        lines += ["", *_section("Occupancies"), *occupancy_lines(report.occupancies)]
    if report.deuterium is not None:
        lines += ["", *_section("Deuterium"), *deuterium_lines(report.deuterium)]
    if report.twin is not None:
        lines += ["", *_section("Twinning"), *_twin_table(report.twin)]
    if report.data_parameters:
        lines += ["", *_section("Parameters of the data"), *_data_table(report.data_parameters)]
    last = report.cycles[-1]
    if last.r1_work is not None:
        lines += [
            "", *_section("Intensities"),
            f"R1 over I > 2 sigma   work {_number(last.r1_work, 7, 4)}   test {_number(last.r1_free, 7, 4)}",
            f"CC of intensities     work {_number(last.cci_work, 7, 4)}   test {_number(last.cci_free, 7, 4)}",
            "R factors elsewhere in this file are of French-Wilson amplitudes.",
        ]
    lines += ["", *_section("Resolution shells"), *_shell_table(report.shells)]
    lines += ["", *_section("Geometry (without hydrogen)"), *_restraint_table(report.restraints)]
    lines += ["", *_section("Scale and solvent"), *_scale_lines(report.scale)]
    lines += ["", *_section("Outliers of geometry"), *_outlier_table(report.outliers)]
    if report.timing:
        lines += ["", *_section("Time"), *(f"{name:30s}{value:10.2f}" for name, value in report.timing.items())]
    if report.timing_beside:
        lines += ["", *_section("Time of another core meanwhile")]
        lines += [f"{name:30s}{value:10.2f}" for name, value in report.timing_beside.items()]
    lines += ["", *_section("Files written"), *written, *notes]
    return "\n".join(lines) + "\n"


def _section(title: str) -> list[str]:
    return [title, "-" * len(title)]


def _number(value: float | None, width: int, digits: int) -> str:
    return f"{'-':>{width}}" if value is None or value != value else f"{value:{width}.{digits}f}"


def _integer(value: int | None, width: int) -> str:
    return f"{'-':>{width}}" if value is None else f"{value:{width}d}"


def _statuses(cycles: Sequence[CycleRecord]) -> list[str]:
    told = [f"Cycle {c.cycle}: {c.status}." for c in cycles if c.status and c.status not in ("converged", "OK")]
    return [*told, ""] if told else []


def _merging_table(merging: Merging) -> list[str]:
    rows = ["", "   d_max -  d_min  observed  unique  mult.  <I/σ>  R_merge  R_meas   R_pim     CC½     CC*"]
    for s in (*merging.shells, merging.overall):
        rows.append(
            f"{s.d_max:8.3f} -{s.d_min:7.3f}{s.observations:10d}{s.unique:8d}{s.multiplicity:7.1f}"
            f"{_number(s.mean_i_over_sigma, 7, 1)}{_number(s.r_merge, 9, 3)}{_number(s.r_meas, 8, 3)}"
            f"{_number(s.r_pim, 8, 3)}{_number(s.cc_half, 8, 3)}{_number(s.cc_star, 8, 3)}"
        )
    return rows


def _shell_table(shells: Sequence[ShellRecord]) -> list[str]:
    rows = [
        "   d_max -  d_min   n_obs  n_free  compl%  R_work  R_free  CC_work CC_free  FOM_w  D_sigA    k_mask  k_iso  "
        "  <Fo>     <Fc>"
    ]
    for s in shells:
        rows.append(
            f"{s.d_max:8.3f} -{s.d_min:7.3f}{s.n_obs:8d}{s.n_free:8d}{s.completeness:8.1f}"
            f"  {_number(s.r_work, 6, 4)}  {_number(s.r_free, 6, 4)}  {_number(s.cc_work, 7, 4)} "
            f"{_number(s.cc_free, 7, 4)}  {_number(s.fom_work, 5, 3)}  {_number(s.d_sigmaa, 6, 3)}  "
            f"{_number(s.k_mask, 8, 3)}  {_number(s.k_iso, 5, 3)}  "
            f"{_number(s.mean_f_obs, 7, 1)}  {_number(s.mean_f_calc, 7, 1)}"
        )
    return rows


def _data_table(records: Sequence[DataRecord]) -> list[str]:
    rows = [f"{'kind':16s}{'name':24s}{'value':>9s}  {'s.u.':>8s}"]
    for r in records:
        rows.append(f"{r.kind:16s}{r.name:24s}{r.value:9.4f}  {r.uncertainty:8.4f} {r.unit}".rstrip())
    return rows


def _twin_table(twin: Mapping[str, Any]) -> list[str]:
    rows = ["law             obliquity  R_merge  H-test  fraction"]
    if twin["fraction_untwinned"] is not None:
        rows.append(f"{'h,k,l':16s}{'-':>9s}  {'-':>7s}  {'-':>6s}  {_number(twin['fraction_untwinned'], 8, 3)}")
    for law in twin["laws"]:
        told = f"{_number(law.get('obliquity'), 9, 2)}  {_number(law.get('r_merge'), 7, 3)}  "
        told += _number(law.get("h_test"), 6, 3)
        ending = _number(law["fraction"], 8, 3) if law["kept"] else f"dropped: {law['why_dropped']}"
        rows.append(f"{law['law']:16s}{told}  {ending}")
    return rows


def _restraint_table(restraints: Sequence[RestraintRecord]) -> list[str]:
    if not restraints:
        return ["No restraints were used."]
    rows = ["                                count     r.m.s.d.   r.m.s.Z  mean sigma"]
    for r in restraints:
        rows.append(
            f"{KIND_NAMES.get(r.kind, r.kind):28s}{r.count:9d}  {r.rmsd:10.4f}  {_number(r.rmsz, 8, 3)}  "
            f"{r.mean_sigma:10.4f} {r.unit}"
        )
    return rows


def _scale_lines(scale: ScaleRecord) -> list[str]:
    names = ("B11", "B22", "B33", "B12", "B13", "B23")
    aniso = "  ".join(f"{name} {value:.2f}" for name, value in zip(names, scale.b_aniso, strict=False))
    lines = [
        f"Kind {scale.kind}, overall scale {scale.k_overall:.4g}, overall B {scale.b_overall:.2f} Å²",
        f"Anisotropy (Å², traceless)  {aniso}",
    ]
    if scale.k_sol is not None and scale.b_sol is not None:
        lines.append(f"Solvent k_sol {scale.k_sol:.3f}, B_sol {scale.b_sol:.1f} Å²")
    if scale.babinet_k is not None and scale.babinet_b is not None:
        lines.append(f"Babinet k {scale.babinet_k:.3f}, B {scale.babinet_b:.1f} Å²")
    if scale.solvent_fraction is not None:
        lines.append(f"Solvent fraction {100 * scale.solvent_fraction:.1f} % of the cell")
    for name, knots in (("k_mask", scale.knots_k_mask), ("k_iso", scale.knots_k_iso)):
        if knots:
            pairs = "  ".join(f"{1 / s if s > 0 else float('inf'):.2f} Å: {value:.3f}" for s, value in knots)
            lines.append(f"{name}  {pairs}")
    return lines


def _outlier_table(outliers: Sequence[OutlierRecord]) -> list[str]:
    if not outliers:
        return ["None."]
    worst = sorted(outliers, key=lambda o: -abs(o.z))
    rows = [f"{'kind':18s}{'value':>10s}{'ideal':>10s}{'sigma':>9s}{'Z':>8s}  atoms"]
    for o in worst[:LISTED_OUTLIERS]:
        rows.append(f"{o.kind:18s}{o.value:10.3f}{o.ideal:10.3f}{o.sigma:9.4f}{o.z:8.2f}  {' - '.join(o.atoms)}")
    if len(worst) > LISTED_OUTLIERS:
        rows.append(f"... and {len(worst) - LISTED_OUTLIERS} more, all of them in the .json file.")
    return rows
