"""Options for groups of atoms that are refined as one."""

from __future__ import annotations

from dataclasses import dataclass

from .errors import UsageError
from .option import option

DFRACTION_SIGMA = 0.05


@dataclass(frozen=True, slots=True)
class GroupOptions:
    """Groups of atoms that are refined as one."""

    rigid: bool = option(
        False,
        "Refine rigid bodies before anything else: one a chain, unless --rigid-domain or --rigid-file say otherwise.",
    )
    rigid_domain: tuple[str, ...] = option(
        (), 'Residues of one rigid body, such as "A 1-90" or "A 1-90, B 5-40"; may be given several times.',
        metavar="RANGES",
    )
    rigid_file: str | None = option(
        None, "File of rigid bodies: ranges such as A 1-90, B 5-40, one body a line, or REFMAC's RIGIDBODY lines.",
        metavar="FILE",
    )
    rigid_cycles: int = option(15, "Number of rigid-body cycles.", metavar="N")
    rigid_start: float = option(
        8.0, "Resolution of the first rigid-body cycles, from which the limit steps up to that of the data; a lower "
        "resolution (12, 15) finds bodies that are farther away.", "Å", metavar="D",
    )
    rigid_search: float = option(
        0.0, "Before the rigid-body cycles, look for every body within so far of where it is: shifts of so many Å "
        "together with turns that move its atoms as far on average. 5 is 20° for a chain of 100 residues and takes "
        "some seconds a body; the time grows with the sixth power.", "Å", metavar="R",
    )

    tls: str | None = option(
        None, "TLS groups: auto (one a chain, with what lies next to it), domains (chains cut into pieces of about 100 "
        "residues), model (those of the model's header, with their tensors), or a TLS file of REFMAC's.",
        metavar="auto|domains|model|FILE",
    )
    tls_groups: int | None = option(
        None, "Cut every chain into so many TLS groups, where the B of the model suggest.", metavar="N"
    )
    tls_cycles: int = option(
        5, "Number of cycles that refine TLS tensors, before those of the atoms; 0 keeps them as given.", metavar="N"
    )
    tls_reset: bool = option(False, "Start TLS from zero whatever tensors the model or the TLS file holds.")
    tls_residual_b: bool = option(
        False, "Write B without the motion of the TLS groups, which then has to be added by whoever uses the model."
    )

    b_groups: str | None = option(
        None, "With --adp grouped: residue (one group a residue; the default), main-side (main chain and side chain of "
        "each), chain, or a file of ranges such as A 1-90, B 5-40, one group a line.",
        metavar="residue|main-side|chain|FILE",
    )

    refine_occupancies: bool = option(
        False, "Refine occupancies of alternative conformers, those of one residue summing to 1."
    )
    occupancy_groups: str | None = option(
        None, "File of occupancy groups in REFMAC's keywords (occupancy group id …, occupancy group alts …).",
        metavar="FILE",
    )
    occupancy_of: tuple[str, ...] = option(
        (), "Refine the occupancy of residues between 0 and 1: waters, ligands, a residue's name, or one residue such "
        "as A/301; may be given several times.", metavar="WHAT",
    )

    refine_dfraction: bool = option(
        False, "With neutrons: refine the part of deuterium in hydrogens on N, O and S, and where H and D share a "
        "site. Done without being asked where the model has D there."
    )
    fix_dfraction: bool = option(False, "Keep the parts of deuterium as the model has them.")
    dfraction_sigma: float | None = option(
        None, f"How far refined parts of deuterium lie from their mean. Default: {DFRACTION_SIGMA}; "
        "more lets every site go its own way, less suits few data.", metavar="SIGMA",
    )

    occupancy_cycles: int = option(
        3, "Number of cycles that refine occupancies (and parts of deuterium) alone, before B of a wrong conformer has "
        "grown; the cycles of the atoms refine them too.", metavar="N",
    )

    def __post_init__(self) -> None:
        if self.occupancy_cycles < 0:
            raise UsageError("--occupancy-cycles must be 0 or more.")
        if self.dfraction_sigma is not None and not self.dfraction_sigma > 0.0:
            raise UsageError("--dfraction-sigma must be more than 0.")
        if self.fix_dfraction and (self.refine_dfraction or self.dfraction_sigma is not None):
            raise UsageError("--fix-dfraction contradicts --refine-dfraction and --dfraction-sigma; leave it out.")
        if self.tls_groups is not None and self.tls_groups < 1:
            raise UsageError("--tls-groups must be 1 or more.")
        if self.tls_cycles < 0:
            raise UsageError("--tls-cycles must be 0 or more.")
        if self.rigid_cycles < 1:
            raise UsageError("--rigid-cycles must be 1 or more.")
        if not 1.0 <= self.rigid_start <= 50.0:
            raise UsageError("--rigid-start must lie between 1 and 50 Å.")
        if self.rigid_search != 0.0 and not 1.0 <= self.rigid_search <= 10.0:
            raise UsageError("--rigid-search must lie between 1 and 10 Å, or be 0 for no search.")

    @property
    def files(self) -> tuple[str, ...]:
        """The files that groups are read from."""
        return tuple(name for name in (self.rigid_file, self.tls_file, self.b_file, self.occupancy_groups) if name)

    @property
    def tls_file(self) -> str | None:
        """The TLS file, where one is named."""
        return None if self.tls in (None, "auto", "domains", "model") else self.tls

    @property
    def b_file(self) -> str | None:
        """The file of B groups, where one is named."""
        return None if self.b_groups in (None, "residue", "main-side", "chain") else self.b_groups

    @property
    def wants_occupancies(self) -> bool:
        """Whether occupancies are refined."""
        return bool(self.refine_occupancies or self.occupancy_groups or self.occupancy_of)

    @property
    def wants_tls(self) -> bool:
        """Whether there are TLS groups."""
        return self.tls is not None or self.tls_groups is not None

    @property
    def wants_rigid(self) -> bool:
        """Whether rigid bodies are refined."""
        return bool(self.rigid or self.rigid_domain or self.rigid_file)
