"""The mmCIF categories that a refinement writes: _refine, _refine_ls_shell, _refine_ls_restr and _software."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gemmi

from ..config import Config
from ..model.records import Report
from .reflections import DataSet
from .software import PROGRAM, Software, program_version
from .source import method_of
from .summary import summarise

RESTRAINT_TYPES = {
    "bond": "r_bond_refined_d",
    "angle": "r_angle_refined_deg",
    "torsion_period_1": "r_dihedral_angle_1_deg",
    "torsion_period_2": "r_dihedral_angle_2_deg",
    "torsion_period_3": "r_dihedral_angle_3_deg",
    "torsion_period_6": "r_dihedral_angle_6_deg",
    "torsion_other": "r_dihedral_angle_other_deg",
    "chiral": "r_chiral_restr",
    "plane": "r_gen_planes_refined",
    "vdw": "r_nbd_refined",
    "vdw_torsion": "r_nbtor_refined",
    "vdw_hbond": "r_xyhbond_nbd_refined",
    "vdw_metal": "r_metal_ion_refined",
    "vdw_symmetry": "r_symmetry_nbd_refined",
    "adp": "r_adp_neighbour_restr",
    "adp_similarity": "r_adp_similarity_restr",
    "adp_rigid_bond": "r_rigid_bond_restr",
    "adp_sphericity": "r_sphericity_bonded",
}
"""Kind of restraint → _refine_ls_restr.type, REFMAC's name where it has one."""

Loop = dict[str, list[Any]]


def number(value: float | None, digits: int) -> str | None:
    """Text with ``digits`` decimals; None (written "?") for what is absent or not a number."""
    return None if value is None or value != value else f"{value:.{digits}f}"


def refine_items(report: Report, config: Config, dataset: DataSet, entry_id: str) -> dict[str, str | None]:
    """Items of _refine."""
    summary = summarise(report, dataset)
    final, scale = summary.final, report.scale
    tensor = dict(zip(("11", "22", "33", "12", "13", "23"), scale.b_aniso, strict=False))
    masked = config.solvent.solvent in ("mask", "both")
    probe = config.solvent.probe_radius if scale.probe_radius is None else scale.probe_radius
    ion_probe = config.solvent.ion_probe_radius if scale.ion_probe_radius is None else scale.ion_probe_radius
    shrink = config.solvent.shrink_radius if scale.shrink_radius is None else scale.shrink_radius
    solvent = {"mask": "MASK", "babinet": "BABINET MODEL", "both": "BABINET MODEL WITH MASK"}
    return {
        "pdbx_refine_id": method_of(config),
        "entry_id": entry_id,
        "pdbx_diffrn_id": "1",
        "ls_d_res_high": number(report.d_min, 3),
        "ls_d_res_low": number(report.d_max, 3),
        "ls_number_reflns_all": str(summary.n_possible),
        "ls_number_reflns_obs": str(summary.n_obs),
        "ls_number_reflns_R_work": str(report.n_work),
        "ls_number_reflns_R_free": str(report.n_free),
        "ls_percent_reflns_obs": number(summary.completeness, 2),
        "ls_percent_reflns_R_free": number(summary.percent_free, 2),
        "ls_R_factor_all": None,
        "ls_R_factor_obs": number(summary.r_all, 5),
        "ls_R_factor_R_work": number(final.r_work, 5),
        "ls_R_factor_R_free": number(final.r_free, 5),
        "pdbx_ls_sigma_F": None,
        "pdbx_ls_cross_valid_method": "FREE R-VALUE" if report.n_free else "NONE",
        "pdbx_R_Free_selection_details": "RANDOM" if report.n_free else None,
        "correlation_coeff_Fo_to_Fc": number(final.cc_work, 4),
        "correlation_coeff_Fo_to_Fc_free": number(final.cc_free, 4),
        "B_iso_mean": number(report.mean_b, 3),
        **{f"aniso_B[{k[0]}][{k[1]}]": number(value, 3) for k, value in tensor.items()},
        "overall_SU_ML": number(report.coordinate_error.esu_ml, 3),
        "pdbx_overall_ESU_R": number(report.coordinate_error.esu_r, 3),
        "pdbx_overall_ESU_R_Free": number(report.coordinate_error.esu_free_r, 3),
        "solvent_model_details": solvent.get(config.solvent.solvent),
        "solvent_model_param_ksol": number(scale.k_sol, 4),
        "solvent_model_param_bsol": number(scale.b_sol, 2),
        "pdbx_solvent_vdw_probe_radii": number(probe, 2) if masked else None,
        "pdbx_solvent_ion_probe_radii": number(ion_probe, 2) if masked else None,
        "pdbx_solvent_shrinkage_radii": number(shrink, 2) if masked else None,
        "pdbx_stereochemistry_target_values": "MAXIMUM LIKELIHOOD",
        **({} if report.tls is None or not report.tls.residual else {"pdbx_TLS_residual_ADP_flag": "LIKELY RESIDUAL"}),
    }


def shell_loop(report: Report, config: Config) -> Loop:
    """Columns of _refine_ls_shell, the highest resolution first."""
    columns: Loop = {}
    for shell in sorted(report.shells, key=lambda s: s.d_min):
        percent_free = 100.0 * shell.n_free / max(shell.n_obs, 1)
        row = {
            "pdbx_refine_id": method_of(config),
            "d_res_high": number(shell.d_min, 3),
            "d_res_low": number(shell.d_max, 3),
            "number_reflns_all": str(shell.n_possible),
            "number_reflns_obs": str(shell.n_obs),
            "number_reflns_R_work": str(shell.n_work),
            "number_reflns_R_free": str(shell.n_free),
            "percent_reflns_obs": number(shell.completeness, 2),
            "percent_reflns_R_free": number(percent_free, 2),
            "R_factor_R_work": number(shell.r_work, 4),
            "R_factor_R_free": number(shell.r_free, 4),
            "correlation_coeff_Fo_to_Fc": number(shell.cc_work, 4),
            "correlation_coeff_Fo_to_Fc_free": number(shell.cc_free, 4),
        }
        for name, value in row.items():
            columns.setdefault(name, []).append(value)
    return columns


def restraint_loop(report: Report, config: Config) -> Loop:
    """Columns of _refine_ls_restr; dev_ideal_target is the mean σ of the restraints."""
    columns: Loop = {}
    for restraint in report.restraints:
        row = {
            "pdbx_refine_id": method_of(config),
            "type": RESTRAINT_TYPES.get(restraint.kind, restraint.kind),
            "number": str(restraint.count),
            "dev_ideal": number(restraint.rmsd, 4),
            "dev_ideal_target": number(restraint.mean_sigma, 4),
            "weight": None,
        }
        for name, value in row.items():
            columns.setdefault(name, []).append(value)
    return columns


def software_loop(block: gemmi.cif.Block, history: Sequence[Software]) -> Loop:
    """Columns of _software: the items the block has, then those of the data's history, then gpurefine.

    Entries that gpurefine left in an earlier run are replaced; a program of the history that is listed already is not
    repeated.
    """
    had: Loop = dict(block.get_mmcif_category("_software."))
    columns: Loop = {name: [] for name in ("pdbx_ordinal", "name", "version", "classification", *had)}
    n_had = len(had.get("name", []))

    def add(row: dict[str, Any]) -> None:
        row["pdbx_ordinal"] = str(len(columns["name"]) + 1)
        for name, column in columns.items():
            column.append(row.get(name))

    for k in range(n_had):
        row = {name: column[k] for name, column in had.items()}
        if str(row["name"]).lower() != PROGRAM:
            add(row)
    known = {(str(n).lower(), str(c).lower()) for n, c in zip(columns["name"], columns["classification"], strict=True)}
    for item in history:
        if item.name and (item.name.lower(), item.classification.lower()) not in known:
            add({"name": item.name, "version": item.version or None, "classification": item.classification or None})
    add({"name": PROGRAM, "version": program_version(), "classification": "refinement"})
    return columns
