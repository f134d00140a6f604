"""What every likelihood offers (method 4): an error model estimated from the data, and −LL with its derivatives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from ..backend.ops_reflections import Array
from ..model.records import MapColumns

F64 = NDArray[np.float64]
C128 = NDArray[np.complex128]
Index = NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class ErrorValues:
    """An error model on all reflections, fixed within a cycle.

    ``d`` (n,) and ``s`` (n,): D and k_aniso² Σ_mod, with F given F_total having the mean D F_total and the variance
    ε S.  Likelihoods with more parameters extend this class.
    """

    d: Array
    s: Array


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """A likelihood on some of the reflections, k of n.

    Attributes:
        minus_ll: (k,) −log likelihood.
        gradient: (n_model, n) ∂Σ(−LL)/∂Re F_total + i ∂Σ(−LL)/∂Im F_total, zero for reflections without influence.
        information: (n_model, n) ≥ 0, expected squared derivative with respect to |F_total|.
            Both are empty (0 columns) unless derivatives were asked for.
    """

    minus_ll: Array
    gradient: Array
    information: Array


@dataclass(frozen=True, slots=True, eq=False)
class Coefficients:
    """Map coefficients on the scale of F_obs, (n,) each.

    ``fwt`` 2mF_o − DF_c, filled with DF_c where nothing was observed; ``delfwt`` mF_o − DF_c, zero there; ``fom``
    figures of merit; ``extra``: further columns of the output file.
    """

    fwt: C128
    delfwt: C128
    fom: F64
    extra: tuple[MapColumns, ...] = ()


class Likelihood(Protocol):
    """The probability of one data set given the model's structure factors.

    The model's structure factors are ``n_model`` rows: row 0 is that of the crystal (scaled, solvent included);
    further rows are scaled like row 0 but have no solvent (the anomalous part F″, for example).  The error model that
    :meth:`fit` returns is a dataclass of arrays and numbers, so that checkpoints can hold it.
    """

    resident: ClassVar[bool]
    """Whether structure factors and error model are the backend's arrays; NumPy arrays otherwise."""

    @property
    def n_model(self) -> int: ...  # noqa: D102

    @property
    def uses_free(self) -> bool:
        """Whether the free set determines the model's error."""
        ...

    def scale_target(self, f_total: Array | None, values: ErrorValues | None) -> Array:
        """Amplitudes (n,) that |F_total| is scaled to, given the last cycle's structure factors and error model."""
        ...

    def fit(self, f_total: Array, k_aniso: Array, start: Any) -> Any:
        """The error model for structure factors ``f_total`` (n_model, n), from the last cycle's ``start`` or None."""
        ...

    def values(self, errors: Any, k_aniso: Array) -> ErrorValues:
        """An error model on all reflections whose anisotropic scale factors are ``k_aniso`` (n,)."""
        ...

    def evaluate(self, values: ErrorValues, f_total: Array, index: Index, derivatives: bool) -> Evaluation:
        """−LL of the reflections ``index`` (k,)."""
        ...

    def amplitudes(self, values: ErrorValues, f_total: Array) -> Array:
        """What the model says the measured amplitudes (n,) are: what R factors compare with F_obs."""
        ...

    def coefficients(self, values: ErrorValues, f_total: C128) -> Coefficients:
        """Map coefficients."""
        ...
