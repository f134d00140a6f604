"""Options, each with one home: a dataclass field with default, unit and help.

The command line and the TOML reader (:mod:`gpurefine.config_file`) are generated from these fields, so that an option
that is not here does not exist.  Each field's metadata holds ``help`` (for a crystallographer), ``unit``,
``choices``, ``flag`` (the option's spelling when it is not the field's name) and ``metavar``.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .config_groups import GroupOptions
from .constants import B_MAX, B_MIN
from .errors import UsageError
from .option import option

RESET_B = 30.0
"""Å²: what --reset-b takes where no number follows."""

SHAKE_MAX = 5.0
"""Å: farther than that nothing comes back."""


@dataclass(frozen=True, slots=True)
class DataOptions:
    """Which measurements are used."""

    labels: str | None = option(
        None,
        "MTZ columns to use, separated by commas: F,SIGF[,FREE], I,SIGI[,FREE], F(+),SIGF(+),F(-),SIGF(-)[,FREE] or "
        "F,SIGF,DANO,SIGDANO[,FREE]. "
        "The column types in the file decide what they are. Paths such as /crystal/dataset/FP are accepted. "
        "Default: found by type and usual names.",
        metavar="COLUMNS",
    )
    prefer: str = option(
        "amplitudes",
        "Which measurements to take where the file has both and --labels names none.",
        choices=("amplitudes", "intensities"),
    )
    free_flag: int | None = option(
        None, "Value of the free column that marks the test set. Default: worked out from the column.", metavar="N"
    )
    free_file: str | None = option(
        None, "MTZ file whose one integer column is the free set, where the data file has none.", metavar="FILE"
    )
    phases: str | None = option(
        None,
        "Phases from outside to combine with the model's: columns HLA,HLB,HLC,HLD or PHI,FOM of the data file or of "
        "--phases-file. They are brought to the model's origin and hand.",
        metavar="COLUMNS",
    )
    phases_file: str | None = option(
        None, "Reflection file with phases; its columns are found where --phases names none.", metavar="FILE"
    )
    block: str | None = option(
        None, "Block of a structure-factor mmCIF to read. Default: the first with merged measurements.", metavar="NAME"
    )
    source: str = option(
        "auto",
        "What was scattered: xray, neutron or electron; auto takes it from the model's experimental method, "
        "and X-rays where that says nothing.",
        choices=("auto", "xray", "neutron", "electron"),
    )
    d_min: float | None = option(None, "High-resolution limit.", "Å", metavar="D")
    d_max: float | None = option(None, "Low-resolution limit.", "Å", metavar="D")


@dataclass(frozen=True, slots=True)
class ChemistryOptions:
    """Where restraints come from."""

    monlib: str | None = option(
        None,
        "Monomer library directory. Default: $CLIBD_MON, else CCP4's and Debian's usual places, else the library "
        "embedded in gpurefine.",
        metavar="DIR",
    )
    ligand: tuple[str, ...] = option(
        (), "Dictionary (CIF) of a ligand or link; may be given several times.", metavar="FILE"
    )
    unknown_residues: str = option(
        "stop",
        "Residues without a dictionary: stop and list them, or keep them in place without covalent restraints.",
        choices=("stop", "keep"),
    )
    hydrogens: str = option(
        "auto",
        "Hydrogens: add riding hydrogens (and replace those given), keep those in the model, drop them all, or refine "
        "the positions of those in the model (of added ones where it has none). auto keeps them for neutrons where the "
        "model has some, and adds them otherwise.",
        choices=("auto", "add", "keep", "drop", "refine"),
    )
    write_hydrogens: bool = option(False, "Write hydrogens to the output model.")
    turning_waters: bool = option(
        False, "With neutrons and the model's own hydrogens: those that a water lacks scatter as if they turned about "
        "its oxygen.",
    )


@dataclass(frozen=True, slots=True)
class SolventOptions:
    """Bulk solvent and scaling."""

    scale: str = option(
        "smooth",
        "smooth: k_mask and k_iso are smooth functions of resolution; simple: exponential k_mask, no k_iso.",
        choices=("smooth", "simple"),
    )
    solvent: str = option(
        "mask", "Bulk-solvent model: a flat mask, Babinet's principle, both, or none.",
        choices=("mask", "babinet", "both", "none"),
    )
    probe_radius: float = option(1.0, "Radius added to van der Waals radii for the solvent mask.", "Å")
    ion_probe_radius: float = option(0.8, "Radius added to ionic radii for the solvent mask.", "Å")
    shrink_radius: float = option(0.8, "Radius by which the mask is shrunk back.", "Å")
    optimise_mask: bool = option(
        False, "Search for the probe and shrink radii that fit the working reflections best before the first cycle."
    )
    refine_solvent: bool = option(
        False, "Refine k_mask (k_sol and B_sol with --scale simple) with the atoms by the likelihood, from the first "
        "fit on; without it they are fitted to amplitudes in every cycle, which leads to lower R factors.",
    )

    def __post_init__(self) -> None:
        if self.refine_solvent and self.solvent not in ("mask", "both"):
            raise UsageError(f"--refine-solvent refines the solvent mask, which --solvent {self.solvent} has not.")
        for name in ("probe_radius", "ion_probe_radius", "shrink_radius"):
            if not 0.0 <= getattr(self, name) <= 3.0:
                raise UsageError(f"--{name.replace('_', '-')} must lie between 0 and 3 Å.")


USUAL_RMSZ = "0.5,1.0"


@dataclass(frozen=True, slots=True)
class RefineOptions:
    """How the model is refined."""

    cycles: int = option(10, "Number of refinement cycles.", metavar="N")
    weight: str = option(
        "auto", "Weight of the X-ray term: auto, which keeps the bond r.m.s.Z inside --rmsz, or a number.",
        metavar="auto|NUMBER",
    )
    rmsz: str = option(
        USUAL_RMSZ,
        "Band of bond r.m.s.Z that the automatic weight steers into; by default it is not raised above its start.",
        metavar="LOW,HIGH",
    )
    adp: str = option(
        "iso",
        "Displacement parameters. iso: one B an atom (anisotropic atoms get their equivalent B); aniso: six parameters "
        "an atom; mixed: each atom as in the input; auto: aniso where there are ten working reflections an atom, else "
        "iso with --tls domains; grouped: one shift of B a group "
        "(--b-groups); overall: one shift of all B; fixed: as in the input, not refined.",
        choices=("iso", "aniso", "mixed", "auto", "grouped", "overall", "fixed"),
    )
    fix_xyz: bool = option(False, "Do not refine coordinates.")
    adp_weight: float = option(1.0, "Weight of the restraints between displacement parameters.")
    reset_b: float | bool | None = option(
        None, f"Set every B to this before refinement, and anisotropic atoms isotropic; {RESET_B:g} where no number "
        "follows.", "Å²", metavar="[B]", bare=RESET_B,
    )
    shake: float = option(
        0.0, "Move every atom at random before refinement, by so much r.m.s. (to test how far refinement comes back).",
        "Å", metavar="RMS",
    )
    shake_seed: int = option(0, "The same seed shakes the same way.", metavar="N")

    def __post_init__(self) -> None:
        if self.cycles < 0:
            raise UsageError("--cycles must be 0 or more.")
        if self.weight != "auto":
            try:
                value = float(self.weight)
            except ValueError:
                raise UsageError(f"--weight must be auto or a number, not '{self.weight}'.") from None
            if not 0.0 < value < 1e6:
                raise UsageError("--weight must be a positive number below 1e6.")
        self.rmsz_band()
        if self.adp_weight < 0.0:
            raise UsageError("--adp-weight must be 0 or more.")
        if isinstance(self.reset_b, bool):
            object.__setattr__(self, "reset_b", RESET_B if self.reset_b else None)
        if self.reset_b is not None and not B_MIN <= self.reset_b <= B_MAX:
            raise UsageError(f"--reset-b must lie between {B_MIN:g} and {B_MAX:g} Å².")
        if not 0.0 <= self.shake <= SHAKE_MAX:
            raise UsageError(f"--shake must lie between 0 and {SHAKE_MAX:g} Å.")
        if self.shake_seed < 0:
            raise UsageError("--shake-seed must be 0 or more.")

    def rmsz_band(self) -> tuple[float, float]:
        """Lower and upper bond r.m.s.Z of the automatic weight."""
        try:
            low, high = (float(x) for x in self.rmsz.split(","))
        except ValueError:
            raise UsageError(f"--rmsz must be two numbers such as 0.5,1.0, not '{self.rmsz}'.") from None
        if not 0.0 < low < high:
            raise UsageError("--rmsz must be two positive numbers, the smaller first.")
        return low, high


@dataclass(frozen=True, slots=True)
class LikelihoodOptions:
    """What the model is refined against."""

    intensities: bool = option(
        False, "Refine against intensities also where amplitudes were chosen. Default where there are no amplitudes."
    )
    french_wilson: bool = option(
        False, "Where the file has intensities alone, refine against amplitudes made of them by French and Wilson's "
        "method instead.",
    )
    twin: bool = option(
        False, "The crystal is a twin: find its laws, drop those that data or model refute, refine the fractions."
    )
    twin_law: tuple[str, ...] = option(
        (), "Twin law to use with --twin instead of those found, such as -h,k,-l; may be given several times.",
        metavar="LAW",
    )
    fix_free: bool = option(False, "With --twin: change the test set so that twin-related reflections go together.")
    phase_blur: float = option(
        1.0, "With --phases: factor on their Hendrickson-Lattman coefficients; below 1 where phases are less certain "
        "than they claim, as after density modification.", metavar="FACTOR",
    )

    def __post_init__(self) -> None:
        for flag, given in (("--twin-law", bool(self.twin_law)), ("--fix-free", self.fix_free)):
            if given and not self.twin:
                raise UsageError(f"{flag} needs --twin.")
        if not 0.0 < self.phase_blur <= 10.0:
            raise UsageError("--phase-blur must be a positive number of at most 10.")


@dataclass(frozen=True, slots=True)
class AnomalousOptions:
    """Anomalous scattering."""

    anomalous: bool = option(False, "Refine against both mates of the Friedel pairs, which tell phases (SAD).")
    wavelength: float | None = option(
        None, "Wavelength, for f' and f'' of every element. Given, f' is part of the form factors with any likelihood. "
        "Default with --anomalous: as the data file says.", "Å", metavar="W",
    )
    anomalous_factors: tuple[str, ...] = option(
        (), "Element with its f' and f'' in electrons, instead of those of the wavelength; may be given several times.",
        metavar="ELEMENT,F',F''",
    )
    refine_fdoubleprime: bool = option(False, "Refine f'' of the elements that have most of it, one number an element.")
    derivative_data: str | None = option(
        None, "Friedel pairs of an isomorphous derivative of the native MODEL and DATA (SIRAS); --wavelength "
        "is then the derivative's.", metavar="FILE",
    )
    derivative_model: str | None = option(None, "Heavy atoms that the derivative has in addition.", metavar="FILE")

    @property
    def named(self) -> tuple[str, ...]:
        """The flags that are given."""
        flags = {
            "--anomalous": self.anomalous, "--wavelength": self.wavelength is not None,
            "--anomalous-factors": bool(self.anomalous_factors), "--derivative-data": self.derivative_data is not None,
        }  # fmt: skip
        return tuple(flag for flag, given in flags.items() if given)

    @property
    def of_pairs(self) -> bool:
        """The likelihood is one of Friedel pairs."""
        return self.anomalous or self.derivative_data is not None

    def __post_init__(self) -> None:
        if (self.derivative_data is None) != (self.derivative_model is None):
            raise UsageError("--derivative-data and --derivative-model need each other.")
        if self.refine_fdoubleprime and not self.anomalous:
            raise UsageError("--refine-fdoubleprime needs the Friedel pairs: add --anomalous.")


@dataclass(frozen=True, slots=True)
class RunOptions:
    """Where and how the program runs."""

    device: str = option("auto", "Device: auto, cpu, cuda or cuda:N.", metavar="auto|cpu|cuda[:N]")
    threads: int = option(0, "CPU threads; 0 means all cores.", metavar="N")
    quiet: bool = option(False, "Print nothing but errors.")
    profile: bool = option(False, "Print how much time each part of the run took.")
    fast_atomics: bool = option(
        False, "Let a GPU add up densities in any order: a little faster, and two runs differ in their last digits."
    )

    def __post_init__(self) -> None:
        if self.threads < 0:
            raise UsageError("--threads must be 0 (all cores) or a positive number.")


@dataclass(frozen=True, slots=True)
class FreeSetOptions:
    """The test set (gpurefine freer)."""

    fraction: float = option(0.05, "Part of the reflections in a new test set.", metavar="F")
    seed: int = option(0, "The same seed makes the same set of the same reflections.", metavar="N")
    shells: bool = option(False, "Make the test set of thin shells of resolution, for strong NCS.")
    new: bool = option(False, "Make a new test set even where there is one.")
    from_file: str | None = option(
        None, "Copy the test set of another reflection file of the same crystal form, then complete it.",
        flag="from", metavar="FILE",
    )
    column: str | None = option(
        None, "Free column of DATA to complete or replace. Default: found by its usual names.", metavar="LABEL"
    )
    free_flag: int | None = option(
        None, "Value that marks the test set in a column that is kept. Default: worked out from it.", metavar="N"
    )
    d_min: float | None = option(None, "Extend the list of reflections to this resolution.", "Å", metavar="D")

    def __post_init__(self) -> None:
        if not 0.001 <= self.fraction <= 0.5:
            raise UsageError("--fraction must lie between 0.001 and 0.5.")
        if self.seed < 0:
            raise UsageError("--seed must be 0 or more.")


@dataclass(frozen=True, slots=True)
class Config:
    """All options of one refinement."""

    model: str
    data_file: str
    prefix: str
    data: DataOptions = DataOptions()
    chemistry: ChemistryOptions = ChemistryOptions()
    solvent: SolventOptions = SolventOptions()
    refine: RefineOptions = RefineOptions()
    likelihood: LikelihoodOptions = LikelihoodOptions()
    anomalous: AnomalousOptions = AnomalousOptions()
    groups: GroupOptions = GroupOptions()  # noqa: RUF009 - frozen, as those above
    run: RunOptions = RunOptions()

    @property
    def cycles(self) -> int:
        """Number of cycles of all stages."""
        groups = self.groups
        rigid = groups.rigid_cycles if groups.wants_rigid else 0
        occupancies = groups.occupancy_cycles if groups.wants_occupancies else 0
        return self.refine.cycles + rigid + occupancies + (groups.tls_cycles if groups.wants_tls else 0)

    def output(self, suffix: str) -> Path:
        """Path of the output file with ``suffix`` (".mtz")."""
        return Path(self.prefix + suffix)

    def as_dict(self) -> dict[str, Any]:
        """Every option with its effective value, for the report."""
        return dataclasses.asdict(self)


GROUPS: dict[str, Any] = {
    field.name: type(field.default) for field in dataclasses.fields(Config) if dataclasses.is_dataclass(field.default)
}
"""Field of :class:`Config` → the dataclass that holds the group's options, in the order of the workflow."""


def config_of(model: str, data: str, prefix: str, options: dict[str, Any]) -> Config:
    """Options by name sorted into their groups.

    Raises:
        UsageError: a name belongs to no group.
    """
    chosen: dict[str, Any] = {}
    for group, kind in GROUPS.items():
        names = {f.name for f in dataclasses.fields(kind)}
        chosen[group] = kind(**{name: value for name, value in options.items() if name in names})
    known = {f.name for kind in GROUPS.values() for f in dataclasses.fields(kind)}
    unknown = sorted(set(options) - known)
    if unknown:
        raise UsageError(f"There is no option '{unknown[0]}'; the options are {', '.join(sorted(known))}.")
    return Config(model=model, data_file=data, prefix=prefix, **chosen)
