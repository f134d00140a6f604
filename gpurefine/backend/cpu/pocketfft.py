"""SciPy's Fourier transforms along one axis, written into given arrays.

The public functions of ``scipy.fft`` return new arrays, so a map would be written twice, and importing them loads parts
of SciPy that nothing else here needs, for a tenth of a second.  The compiled module beneath them is therefore used by
itself where it is found and works as expected, and ``scipy.fft`` where not.
"""

from __future__ import annotations

import importlib.util
import sys
from functools import lru_cache
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Complex = NDArray[np.complex64]
Real = NDArray[np.float32]

MODULE = "scipy.fft._pocketfft.pypocketfft"


class Public:
    """The functions of ``scipy.fft``."""

    def complex(self, array: Complex, axis: int, forward: bool) -> None:
        """Transform ``array`` along ``axis`` in place, with exp(−2πi) if ``forward``; not normalised."""
        import scipy.fft

        transform = scipy.fft.fft if forward else scipy.fft.ifft
        array[...] = transform(array, axis=axis, norm="backward" if forward else "forward")

    def from_real(self, array: Real) -> Complex:
        """Coefficients 0 … n//2 of ``array`` (…, n) along its last axis, with exp(−2πi)."""
        import scipy.fft

        return np.asarray(scipy.fft.rfft(array))

    def to_real(self, half: Complex, out: Real) -> None:
        """Inverse of :meth:`from_real` without normalisation, written to ``out`` (…, n)."""
        import scipy.fft

        out[...] = scipy.fft.irfft(half, n=out.shape[-1], norm="forward")


class Direct:
    """The module beneath."""

    def __init__(self, module: Any) -> None:
        """Use ``module``."""
        self._module = module

    def complex(self, array: Complex, axis: int, forward: bool) -> None:
        """See :class:`Public`."""
        self._module.c2c(array, (axis,), forward, 0, array, 1)

    def from_real(self, array: Real) -> Complex:
        """See :class:`Public`."""
        return np.asarray(self._module.r2c(array, (array.ndim - 1,), True, 0, None, 1))

    def to_real(self, half: Complex, out: Real) -> None:
        """See :class:`Public`."""
        self._module.c2r(half, (half.ndim - 1,), out.shape[-1], False, 0, out, 1)


@lru_cache(maxsize=1)
def transforms() -> Direct | Public:
    """The faster of the two that can be used here."""
    try:
        direct = Direct(sys.modules.get(MODULE) or _module())
        real = np.array([[1.0, 2.0, 4.0, 9.0, 5.0]], np.float32)
        half, back = direct.from_real(real), np.empty_like(real)
        direct.to_real(half, back)
        turned = half.copy()
        direct.complex(turned, 1, True)
        direct.complex(turned, 1, False)
        if np.allclose(back, 5.0 * real) and np.allclose(turned, 3.0 * half):
            return direct
    except Exception:  # whatever is different in that version of SciPy
        pass
    return Public()


def _module() -> Any:
    """The compiled module without the packages that it lies in."""
    found = importlib.util.find_spec("scipy")
    if found is None or not found.submodule_search_locations:
        raise ImportError("scipy")
    folder = Path(found.submodule_search_locations[0]) / "fft" / "_pocketfft"
    path = next(path for suffix in EXTENSION_SUFFIXES if (path := folder / f"pypocketfft{suffix}").is_file())
    spec = importlib.util.spec_from_file_location(MODULE, path)
    if spec is None or spec.loader is None:
        raise ImportError(str(path))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.modules[MODULE] = module  # a later import of scipy.fft takes it from here
    return module
