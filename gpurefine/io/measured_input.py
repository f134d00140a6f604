"""What the likelihood is to use of a data set: intensities, prior phases, twin laws."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..config import LikelihoodOptions
from ..errors import InputError, UsageError
from ..model.measured import Measured, TwinInput
from .free_set import MISSING
from .lattice import TwinLaw
from .reflections import DataSet
from .twinning import (
    UNLISTED,
    LawStatistics,
    consistent_free,
    free_disagreements,
    law_of,
    law_statistics,
    possible_laws,
    twinning,
)

F64 = NDArray[np.float64]

LEAST_FRACTION = 0.05
"""Domains smaller than this are dropped."""


@dataclass(frozen=True, slots=True, eq=False)
class LikelihoodInput:
    """The data set as it is to be used, what the likelihood takes of it, and what the user is to be told.

    ``laws``: those of ``measured.twin``; ``statistics``: of every law that was considered; ``dropped``: why laws that
    were considered are not used, by name; ``untwinned``: the input without --twin, to which one without laws returns.
    """

    data: DataSet
    measured: Measured
    messages: tuple[str, ...] = ()
    laws: tuple[TwinLaw, ...] = ()
    statistics: tuple[LawStatistics, ...] = ()
    dropped: tuple[tuple[str, str], ...] = ()
    untwinned: LikelihoodInput | None = None

    def fits(self, errors: object) -> bool:
        """Whether an error model has the fractions of the laws used here."""
        twin = self.measured.twin
        return len(_fractions(errors) or ()) == (0 if twin is None else len(twin.fractions))

    def without_small_domains(self, errors: object) -> LikelihoodInput | None:
        """The input without laws that the model (its fitted ``errors``) shows to be small; None where all stay.

        A law that follows from those that stay is kept.
        """
        fractions = _fractions(errors)
        if fractions is None or self.measured.twin is None:
            return None
        return _without_small(self, fractions)

    def twin_report(self, errors: object) -> dict[str, Any] | None:
        """Laws with obliquity, R_merge, H-test, fraction, and whether they were kept and why not; None without any."""
        fractions = _fractions(errors)
        if not self.statistics:
            return None
        why = dict(self.dropped)
        refined = {} if fractions is None else {
            law.name: float(f) for law, f in zip(self.laws, fractions[1:], strict=True)
        }  # fmt: skip
        rows = [
            {
                "law": s.law.name,
                "obliquity": s.obliquity,
                "r_merge": None if s.related is None else s.related.r_merge,
                "r_noise": None if s.related is None else s.related.r_noise,
                "h_test": None if s.related is None else s.related.fraction,
                "n_pairs": None if s.related is None else s.related.n_pairs,
                "fraction": refined.get(s.law.name),
                "kept": s.law.name in refined,
                "why_dropped": why.get(s.law.name),
            }
            for s in self.statistics
        ]
        considered = {s.law.name for s in self.statistics}
        rows += [
            {"law": law.name, "fraction": refined.get(law.name), "kept": True, "why_dropped": None}
            for law in self.laws if law.name not in considered
        ]
        return {"fraction_untwinned": None if fractions is None else float(fractions[0]), "laws": rows}


def _fractions(errors: object) -> list[float] | None:
    """Twin fractions of a fitted error model, None where it has none."""
    found = getattr(errors, "fractions", None)
    return None if found is None else [float(x) for x in found]


def likelihood_input(data: DataSet, options: LikelihoodOptions, anomalous: bool) -> LikelihoodInput:
    """Follow the options of the likelihood.

    Raises:
        UsageError, InputError: the data have not what an option asks for.
    """
    if options.intensities and options.french_wilson:
        raise UsageError("--intensities and --french-wilson contradict each other; give one of them.")
    if anomalous:
        for flag, given in (("--twin", options.twin), ("--intensities", options.intensities)):
            if given:
                raise UsageError(f"{flag} and --anomalous cannot be combined; give one of them.")
        return LikelihoodInput(data, Measured())
    if options.twin:
        if data.phases is not None:
            raise UsageError("--twin and --phases cannot be combined; give one of them.")
        without = replace(options, twin=False, twin_law=(), fix_free=False)
        return _twin(_with_intensities(data, "--twin", True), options, likelihood_input(data, without, False))
    if data.phases is not None:
        if options.intensities:
            raise UsageError("--intensities and --phases cannot be combined: phases are combined with amplitudes.")
        return _phased(data, options)
    if options.intensities or (data.from_intensities and not options.french_wilson):
        used = _with_intensities(data, "--intensities", False)
        return LikelihoodInput(used, Measured(), ("The model is refined against the intensities.",))
    return LikelihoodInput(data, Measured())


def _phased(data: DataSet, options: LikelihoodOptions) -> LikelihoodInput:
    assert data.phases is not None
    hl = data.phases.hl * options.phase_blur
    known = data.phases.known & data.reflections.observed
    if not known.any():
        raise InputError(
            f"The columns {', '.join(data.phases.labels)} of {data.phases.path} say nothing of the phase of any "
            "measured reflection; check --phases."
        )
    share = 100.0 * known.sum() / max(int(data.reflections.observed.sum()), 1)
    return LikelihoodInput(
        data, Measured(prior=hl), (f"Prior phases are combined with the model's for {share:.0f} % of the reflections.",)
    )


def _with_intensities(data: DataSet, option: str, squares: bool) -> DataSet:
    """The data set whose reflections carry intensities; squares of amplitudes where there is nothing better."""
    r = data.reflections
    intensity, sigma = data.intensity, data.sigma_intensity
    if intensity is None or sigma is None:
        if not squares:
            raise UsageError(f"{option} is given, but {data.path} has no intensities that belong to the data chosen.")
        intensity, sigma = r.f**2, np.maximum(2.0 * r.f * r.sigma, r.sigma**2)
    measured = r.observed & np.isfinite(intensity) & np.isfinite(sigma) & (np.nan_to_num(sigma) > 0.0)
    if not measured.any():
        raise UsageError(f"{option} is given, but {data.path} has no intensities of the reflections chosen.")
    return replace(
        data,
        reflections=replace(
            r, f=np.where(measured, r.f, np.nan), sigma=np.where(measured, r.sigma, np.nan), free=r.free & measured,
            intensity=np.where(measured, intensity, np.nan), sigma_intensity=np.where(measured, sigma, np.nan),
        ),
    )


def _twin(data: DataSet, options: LikelihoodOptions, untwinned: LikelihoodInput) -> LikelihoodInput:
    """Laws that the lattice allows (or the user names) and the intensities do not refute."""
    r, crystal = data.reflections, data.crystal
    assert r.intensity is not None and r.sigma_intensity is not None
    named = [law_of(text, crystal) for text in options.twin_law]
    laws = named or possible_laws(crystal)
    if not laws:
        told = (f"Twin: the lattice has no symmetry beyond that of {crystal.hm}; the data are refined as untwinned.",)
        return replace(untwinned, messages=(*told, *untwinned.messages))
    at = r.observed
    statistics = law_statistics(crystal, r.hkl[at], r.intensity[at], r.sigma_intensity[at], laws)
    refuted = [] if named else [s.law.name for s in statistics if s.refuted]
    dropped = [(name, "R_merge is that of unrelated intensities") for name in refuted]
    names = set(refuted)
    about = [
        f"Twin law {s.words()}{': dropped, R_merge 0.50 or more' if s.law.name in names else ''}." for s in statistics
    ]
    kept = [s for s in statistics if s.law.name not in names]
    if not kept:
        about += ["Twin: no law is left; the data are refined as untwinned.", *untwinned.messages]
        return replace(untwinned, messages=tuple(about), statistics=tuple(statistics), dropped=tuple(dropped))
    found = LikelihoodInput(data, Measured(), tuple(about), (), tuple(statistics), tuple(dropped), untwinned)
    first = [0.1 if s.related is None else float(np.clip(s.related.fraction, 0.05, 0.45)) for s in kept]
    return _with_laws(found, [s.law for s in kept], first, options.fix_free)


def _with_laws(
    found: LikelihoodInput, laws: Sequence[TwinLaw], first: Sequence[float], fix_free: bool
) -> LikelihoodInput:
    """With the reflections that ``laws`` relate, and a test set that respects them if that is wanted."""
    data, r = found.data, found.data.reflections
    assert r.intensity is not None
    twin = twinning(data.crystal, r.hkl, laws)
    guess = {law.name: value for law, value in zip(laws, first, strict=True)}
    fractions = np.array([guess.get(law.name, 0.05) for law in twin.laws])
    fractions *= min(1.0, 0.6 / max(float(fractions.sum()), 1e-9)) if fractions.sum() > 0.6 else 1.0
    told: list[str] = []
    implied = [law.name for law in twin.laws if law.name not in guess]
    if implied:
        told.append(f"Twin laws that follow from the others: {'; '.join(implied)}.")
    lost = int((r.observed & (twin.mates == UNLISTED).any(axis=0)).sum())
    if lost:
        told.append(f"{lost} reflections whose twin mates lie beyond the resolution limits are not refined against.")
    n_mixed = free_disagreements(twin.orbit, r.free, r.observed)
    if n_mixed and fix_free:
        free = consistent_free(r.hkl, twin.orbit, r.free, r.observed)
        told.append(
            f"The test set now respects the twin laws: {n_mixed} sets of related reflections were split "
            f"({int(r.free.sum())} test reflections before, {int(free.sum())} now)."
        )
        data = replace(data, reflections=replace(r, free=free), free_raw=_raw(data, free))
    elif n_mixed:
        told.append(
            f"Warning: {n_mixed} sets of twin-related reflections are divided between test and working set, so that "
            "R_free is too low; --fix-free puts each on one side."
        )
    measured = Measured(
        twin=TwinInput(
            tuple(law.name for law in twin.laws), twin.mates, twin.orbit,
            np.concatenate([[1.0 - fractions.sum()], fractions]),
        )
    )
    return replace(
        found, data=data, measured=measured, messages=(*found.messages, *told), laws=tuple(twin.laws)
    )


def _raw(data: DataSet, free: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Values of the free column that say ``free`` (n,)."""
    value = 0 if data.free_value is None else data.free_value
    other = 1 if value == 0 else 0
    raw = data.free_raw.copy()
    raw[free & (raw != value)] = value
    raw[~free & (raw == value) & (raw != MISSING)] = other
    return raw


def _without_small(found: LikelihoodInput, fractions: Sequence[float]) -> LikelihoodInput | None:
    """See :meth:`LikelihoodInput.without_small_domains`."""
    keep = [(law, float(f)) for law, f in zip(found.laws, fractions[1:], strict=True) if f >= LEAST_FRACTION]
    if len(keep) == len(found.laws):
        return None
    base = replace(found, messages=())
    left = _with_laws(base, [law for law, _ in keep], [f for _, f in keep], False) if keep else base
    staying = {law.name for law in left.laws} if keep else set()
    gone = [(law.name, float(f)) for law, f in zip(found.laws, fractions[1:], strict=True) if law.name not in staying]
    if not gone:
        return None
    told = [f"Twin law {name}: dropped, its fraction is {f:.3f} (below {LEAST_FRACTION})." for name, f in gone]
    if not keep:
        told.append("Twin: no law is left; the data are refined as untwinned, with the test set of the file.")
    dropped = (*found.dropped, *((name, f"fraction {f:.3f} is below {LEAST_FRACTION}") for name, f in gone))
    if not keep:
        assert found.untwinned is not None
        told += found.untwinned.messages
        return replace(found.untwinned, messages=tuple(told), statistics=found.statistics, dropped=dropped)
    return replace(left, messages=tuple(told), dropped=dropped)
