"""A refinement between two cycles as plain arrays and numbers, and back.

Whatever the next cycle depends on beyond the problem itself is here: what can be derived from it without loss (pair
lists, scaled structure factors) is computed anew, so that a restored refinement continues bit for bit.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..backend.ops_reflections import Array
from ..forward.scaling import Scale
from ..model.records import CycleRecord, RestraintRecord
from ..params.values import AtomValues
from ..target.sad import SadErrors
from ..target.sigmaa import SigmaA
from ..target.siras import SirasErrors
from ..target.twin import TwinErrors
from .experiment import ExperimentMemory
from .objective import Objective, State
from .refine import Refinement

F64 = NDArray[np.float64]
C128 = NDArray[np.complex128]

CLASS = "class"
ERROR_MODELS: dict[str, Any] = {model.__name__: model for model in (SigmaA, SadErrors, SirasErrors, TwinErrors)}
"""What an experiment's error model can be: flat dataclasses of arrays and numbers."""


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """A refinement after a finished cycle.

    Attributes:
        values: of the atoms; f_calc: (n_model, n_refl) electrons, of the plan in use when they were computed.
        experiment: scale, error model, solvent and the plan of the transform.
        weight, damping, length: of the X-ray term and the step in the next cycle; cycles, restraints: what was
            recorded.
    """

    values: AtomValues
    f_calc: Array
    experiment: ExperimentMemory
    weight: float
    damping: float
    length: float
    cycles: tuple[CycleRecord, ...]
    restraints: tuple[RestraintRecord, ...]


def take(refinement: Refinement) -> Snapshot:
    """The refinement as it stands between two cycles; whatever becomes of its atoms, the snapshot stays."""
    state, objective = refinement.state, refinement.objective
    return Snapshot(
        _copied(state.values), state.f_calc, objective.experiment.memory(), refinement.weight, objective.damping,
        objective.length,
        tuple(refinement.cycles), tuple(refinement.restraints),
    )


def _copied(values: AtomValues) -> AtomValues:
    """The same with arrays of its own."""
    own = {f.name: getattr(values, f.name) for f in dataclasses.fields(values)}
    return dataclasses.replace(values, **{k: v.copy() for k, v in own.items() if isinstance(v, np.ndarray)})


def restore(objective: Objective, snapshot: Snapshot) -> Refinement:
    """The refinement that ``snapshot`` was taken of, on the same problem."""
    f_calc = snapshot.f_calc
    if isinstance(f_calc, np.ndarray):  # from a file
        f_calc = objective.experiment.keep(f_calc)
    state = State(snapshot.values, f_calc)
    objective.experiment.recall(snapshot.experiment, objective.scatterers(state.values), state.f_calc)
    objective.list_contacts(state.values)
    objective.enter(snapshot.cycles[-1].cycle)
    objective.damping, objective.length = snapshot.damping, snapshot.length
    return Refinement(objective, state, list(snapshot.cycles), list(snapshot.restraints), snapshot.weight)


def to_plain(snapshot: Snapshot) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Arrays by name, and the rest as dictionaries, lists, numbers and strings."""
    arrays: dict[str, NDArray[Any]] = {}
    plain = _split(snapshot, "", arrays)
    assert isinstance(plain, dict)
    plain["experiment"]["errors"][CLASS] = type(snapshot.experiment.errors).__name__
    return arrays, plain


def from_plain(arrays: Mapping[str, NDArray[Any]], plain: Mapping[str, Any]) -> Snapshot:
    """The inverse of :func:`to_plain`.

    Raises:
        KeyError, TypeError, ValueError: something is missing or of another kind.
    """
    own = _own(arrays, plain, "")
    inner = _own(arrays, plain["experiment"], "experiment.")
    inner["scale"] = Scale(**_own(arrays, plain["experiment"]["scale"], "experiment.scale."))
    errors = dict(plain["experiment"]["errors"])
    inner["errors"] = ERROR_MODELS[errors.pop(CLASS)](**_own(arrays, errors, "experiment.errors."))
    own["experiment"] = ExperimentMemory(**inner)
    own["values"] = AtomValues(**_own(arrays, plain["values"], "values."))
    own["cycles"] = tuple(CycleRecord(**record) for record in plain["cycles"])
    own["restraints"] = tuple(RestraintRecord(**record) for record in plain["restraints"])
    snapshot = Snapshot(**own)
    n = len(snapshot.values.b_iso)
    cycles = snapshot.cycles
    if snapshot.values.xyz.shape != (n, 3) or not cycles or cycles[-1].cycle != len(cycles) - 1:
        raise ValueError("the parts of the checkpoint do not belong together")
    return snapshot


def fingerprint(*things: Any) -> str:
    """SHA-256 over everything in ``things``: arrays, dataclasses, texts, numbers, and sequences of these."""
    digest = hashlib.sha256()
    for thing in things:
        _feed(digest, thing)
    return digest.hexdigest()


def _split(value: Any, name: str, arrays: dict[str, NDArray[Any]]) -> Any:
    """``value`` without its arrays, which go into ``arrays`` under their dotted names."""
    if hasattr(value, "__array__") and not isinstance(value, np.generic):
        arrays[name] = np.asarray(value)
        return None
    if dataclasses.is_dataclass(value):
        inside = f"{name}." if name else ""
        return {f.name: _split(getattr(value, f.name), inside + f.name, arrays) for f in dataclasses.fields(value)}
    if isinstance(value, (tuple, list)):
        return [_split(item, f"{name}.{k}", arrays) for k, item in enumerate(value)]
    return value.item() if isinstance(value, np.generic) else value


def _own(arrays: Mapping[str, NDArray[Any]], plain: Mapping[str, Any], inside: str) -> dict[str, Any]:
    """The fields directly inside one dataclass; an array of that name goes before a plain value."""
    return {name: arrays.get(inside + name, value) for name, value in plain.items()}


def _feed(digest: Any, thing: Any) -> None:
    if isinstance(thing, np.ndarray):
        digest.update(f"{thing.dtype.str}{thing.shape}".encode())
        digest.update(thing.tobytes())
    elif dataclasses.is_dataclass(thing):
        for field in dataclasses.fields(thing):
            digest.update(field.name.encode())
            _feed(digest, getattr(thing, field.name))
    elif isinstance(thing, (tuple, list)):
        digest.update(f"({len(thing)}".encode())
        for item in thing:
            _feed(digest, item)
    else:
        digest.update(f"{type(thing).__name__}{thing!r};".encode("utf-8", "backslashreplace"))
