"""What a refinement reports: the plain results that files and tables are written from.

Field names of :class:`CycleRecord` and :class:`ShellRecord` are the keys of the JSON report; a value that
does not exist is None, never NaN.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .deuterium import DeuteriumResult
from .occupancy import OccupancyResult
from .strict_ncs import NcsRecord
from .tls import TlsResult


@dataclass(slots=True)
class CycleRecord:
    """Statistics after one cycle (cycle 0: before refinement).

    R factors are on amplitudes over the work and the free set; ``*_plain`` leaves the smooth scale k_iso(s)
    out.  ``cc_*`` are count-weighted means of the shell correlations of F_o and |F_c|.  ``ll_*`` are mean
    −log-likelihoods per reflection; ``target`` is weight × Σ(−LL) + restraints at the end of the cycle.
    r.m.s.d. and r.m.s.Z are over terms without hydrogen: bonds Å, angles degrees, chiral volumes Å³.
    ``r1_*`` and ``cci_*`` only where intensities were refined against.  ``stage`` says what the cycle refined.
    """

    cycle: int
    r_work: float | None = None
    r_free: float | None = None
    r_work_plain: float | None = None
    r_free_plain: float | None = None
    cc_work: float | None = None
    cc_free: float | None = None
    target: float | None = None
    ll_work: float | None = None
    ll_free: float | None = None
    weight: float | None = None
    rmsd_bond: float | None = None
    rmsz_bond: float | None = None
    rmsd_angle: float | None = None
    rmsz_angle: float | None = None
    rmsd_chiral: float | None = None
    halvings: int | None = None
    ridge: float | None = None
    cg_iterations: int | None = None
    status: str | None = None
    seconds: float | None = None
    r1_work: float | None = None
    r1_free: float | None = None
    cci_work: float | None = None
    cci_free: float | None = None
    stage: str | None = None


@dataclass(slots=True)
class ShellRecord:
    """One resolution shell of the final model; d in Å, completeness in per cent of the possible reflections."""

    d_max: float
    d_min: float
    n_possible: int
    n_obs: int
    n_work: int
    n_free: int
    completeness: float
    r_work: float | None
    r_free: float | None
    cc_work: float | None
    cc_free: float | None
    fom_work: float | None
    fom_free: float | None
    d_sigmaa: float | None
    sigma_model: float | None
    k_mask: float | None
    k_iso: float | None
    mean_f_obs: float | None
    mean_f_calc: float | None


@dataclass(slots=True)
class RestraintRecord:
    """Deviation of one kind of restraint over terms without hydrogen.

    ``kind`` is one of bond, angle, torsion_period_1, torsion_period_2, torsion_period_3, torsion_period_6,
    torsion_other, chiral, plane, vdw, vdw_hbond, vdw_torsion, vdw_metal, vdw_symmetry, adp, adp_similarity,
    adp_rigid_bond, adp_sphericity; ``unit`` Å, degrees, Å³, Å² or relative.
    """

    kind: str
    count: int
    rmsd: float
    rmsz: float | None
    mean_sigma: float
    unit: str


@dataclass(slots=True)
class AnisotropyRecord:
    """How anisotropic the atoms of a model are, hydrogens left out.

    The anisotropy of an atom is its smallest by its largest principal U.  ``n_aniso`` atoms are anisotropic; ``mean``,
    ``sigma`` (standard deviation) and ``minimum`` of their anisotropies; ``n_flat`` lie below 0.2; ``min_u`` is the
    smallest principal U, Å².
    """

    n_aniso: int
    mean: float
    sigma: float
    minimum: float
    n_flat: int
    min_u: float


@dataclass(slots=True)
class OutlierRecord:
    """One restraint that the final model violates; atoms as "A/12/LEU/CD1" (with ".B" appended for altloc B)."""

    kind: str
    atoms: tuple[str, ...]
    value: float
    ideal: float
    sigma: float
    z: float


@dataclass(slots=True)
class ScaleRecord:
    """The scale of the final model.

    F_total = k_overall k_aniso k_iso(s) (1 − babinet) (F_protein + k_mask(s) F_mask).
    """

    kind: str
    k_overall: float
    b_overall: float
    b_aniso: tuple[float, ...]
    """Traceless part of the overall B, Å², Cartesian 11 22 33 12 13 23."""
    k_sol: float | None
    b_sol: float | None
    knots_k_mask: list[tuple[float, float]] | None
    """(s in 1/Å, value) of the piecewise linear k_mask; likewise k_iso."""
    knots_k_iso: list[tuple[float, float]] | None
    babinet_k: float | None = None
    babinet_b: float | None = None
    solvent_fraction: float | None = None
    probe_radius: float | None = None
    ion_probe_radius: float | None = None
    shrink_radius: float | None = None


@dataclass(frozen=True, slots=True)
class DataRecord:
    """A refined parameter of the experiment: its ``kind`` and ``name``, ``value`` and standard ``uncertainty`` in
    ``unit``, by the curvature of the likelihood with everything else held."""

    kind: str
    name: str
    value: float
    uncertainty: float
    unit: str


@dataclass(frozen=True, slots=True, eq=False)
class MapColumns:
    """Further columns of the output MTZ on all unique reflections.

    ``labels`` and MTZ ``types`` (one letter each) of: the amplitude and the phase of complex ``values`` (n,); one real
    column (n,); or several real columns (n, k).
    """

    labels: tuple[str, ...]
    types: str
    values: NDArray[Any]


@dataclass(slots=True, eq=False)
class MapCoefficients:
    """Map coefficients and structure factors on all unique reflections (Reflections order), complex128 (n,).

    ``fwt`` 2mFo−DFc (missing F filled by DFc), ``delfwt`` mFo−DFc (0 where missing), ``f_protein`` the scaled atoms'
    contribution, ``f_total`` with solvent; ``fom`` (n,) float64; ``extra``: what else belongs into the
    output file.
    """

    fwt: NDArray[np.complex128]
    delfwt: NDArray[np.complex128]
    f_protein: NDArray[np.complex128]
    f_total: NDArray[np.complex128]
    fom: NDArray[np.float64]
    extra: tuple[MapColumns, ...] = ()


@dataclass(slots=True)
class CoordinateError:
    """Estimated standard uncertainty of a coordinate of an average atom, Å: from R, from R_free, by likelihood."""

    esu_r: float | None = None
    esu_free_r: float | None = None
    esu_ml: float | None = None


@dataclass(slots=True, eq=False)
class Report:
    """Everything a finished refinement tells, apart from the model itself."""

    cycles: list[CycleRecord]
    shells: list[ShellRecord]
    restraints: list[RestraintRecord]
    outliers: list[OutlierRecord]
    scale: ScaleRecord
    maps: MapCoefficients
    n_work: int
    n_free: int
    free_value: int | None
    d_min: float
    d_max: float
    mean_b: float
    coordinate_error: CoordinateError
    weight: float
    device: str
    anisotropy: AnisotropyRecord | None = None
    timing: dict[str, float] = field(default_factory=dict)
    timing_beside: dict[str, float] = field(default_factory=dict)
    data_parameters: list[DataRecord] = field(default_factory=list)
    twin: dict[str, Any] | None = None
    tls: TlsResult | None = None
    occupancies: OccupancyResult | None = None
    deuterium: DeuteriumResult | None = None
    ncs: NcsRecord | None = None
    messages: list[str] = field(default_factory=list)
