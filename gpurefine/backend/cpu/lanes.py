"""Arithmetic on eight neighbouring grid points at once.

Rows of a sphere hold about ten points, too few for a compiler's own vector code: its checks for overlapping arrays and
its loops for what is left over cost more than the arithmetic.  These functions are the loop bodies written out.  Each
works on :data:`~.rows.LANES` consecutive single-precision numbers that begin at an address, ``array.ctypes.data`` plus
four bytes for each element.  Addresses, because numba counts references to arrays with atomic operations, several for
each call; the arrays must be arguments of the function that takes their address, so as to outlive it.  Nothing is
checked.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .exponential import COEFFICIENTS
from .rows import LANES

FLOAT = 4
"""Bytes of a number."""

_INDEX = ir.IntType(32)
_VECTOR = ir.VectorType(ir.FloatType(), LANES)
_WHOLE = ir.VectorType(_INDEX, LANES)
_LOWEST = -60.0  # a product of two powers is then still a normal number
_FUSED = ("contract",)  # a processor that multiplies and adds in one instruction may do so


class _Emitter:
    """Writes vector code for one call with arguments ``given``."""

    def __init__(self, builder: Any, given: Any) -> None:
        self.builder, self.given = builder, given

    def load(self, address: Any) -> Any:
        """Eight numbers."""
        return self.builder.load(self.builder.inttoptr(address, _VECTOR.as_pointer()), align=FLOAT)

    def store(self, value: Any, address: Any) -> None:
        """Put eight numbers there."""
        self.builder.store(value, self.builder.inttoptr(address, _VECTOR.as_pointer()), align=FLOAT)

    def add_to(self, address: Any, value: Any) -> None:
        """Add eight numbers to those there."""
        self.store(self.plus(self.load(address), value), address)

    def number(self, address: Any) -> Any:
        """One number."""
        return self.builder.load(self.builder.inttoptr(address, ir.FloatType().as_pointer()), align=FLOAT)

    def everywhere(self, value: Any) -> Any:
        """One number in all lanes."""
        none = ir.Constant(_VECTOR, ir.Undefined)
        one = self.builder.insert_element(none, value, ir.Constant(_INDEX, 0))
        return self.builder.shuffle_vector(one, none, ir.Constant(_WHOLE, [0] * LANES))

    def further(self, address: Any, step: Any, times: int = 1) -> Any:
        """``times`` steps of bytes further on."""
        if isinstance(step, int):
            return self.builder.add(address, ir.Constant(address.type, step * times))
        return self.builder.add(address, self.builder.mul(step, ir.Constant(step.type, times)))

    def times(self, a: Any, b: Any) -> Any:
        """a b"""
        return self.builder.fmul(a, b, flags=_FUSED)

    def plus(self, a: Any, b: Any) -> Any:
        """a + b"""
        return self.builder.fadd(a, b, flags=_FUSED)

    def power(self, x: Any) -> Any:
        """2^x of eight x ≤ 0, as :func:`~.exponential.exp2_negative`; below 2⁻⁶⁰ about 2⁻⁶⁰."""
        b = self.builder
        low = ir.Constant(_VECTOR, [_LOWEST] * LANES)
        x = b.select(b.fcmp_ordered(">", x, low), x, low)
        whole = b.fptosi(x, _WHOLE)
        rest = b.fsub(x, b.sitofp(whole, _VECTOR))
        value = ir.Constant(_VECTOR, [float(COEFFICIENTS[0])] * LANES)
        for coefficient in COEFFICIENTS[1:]:
            value = self.plus(self.times(value, rest), ir.Constant(_VECTOR, [float(coefficient)] * LANES))
        bits = b.shl(b.add(whole, ir.Constant(_WHOLE, [127] * LANES)), ir.Constant(_WHOLE, [23] * LANES))
        return b.fmul(value, b.bitcast(bits, _VECTOR))

    def first(self, n: Any, value: Any) -> Any:
        """The first ``n`` lanes of a vector, zeros beyond."""
        b = self.builder
        none = ir.Constant(_WHOLE, ir.Undefined)
        one = b.insert_element(none, b.trunc(n, _INDEX), ir.Constant(_INDEX, 0))
        many = b.shuffle_vector(one, none, ir.Constant(_WHOLE, [0] * LANES))
        inside = b.icmp_signed("<", ir.Constant(_WHOLE, list(range(LANES))), many)
        return b.select(inside, value, ir.Constant(_VECTOR, [0.0] * LANES))

    def combined(self, n: int, table: Any, stride: Any, weights: Any) -> Any:
        """Σ_g weights[g] table[g stride + l] over n Gaussians."""
        total = None
        for g in range(n):
            weight = self.everywhere(self.number(self.further(weights, FLOAT, g)))
            term = self.times(weight, self.load(self.further(table, stride, g)))
            total = term if total is None else self.plus(term, total)
        return total


def _emit(arguments: tuple[Any, ...], write: Callable[[_Emitter], None]) -> Any:
    """What numba wants of an intrinsic that returns nothing."""

    def code(context: Any, builder: Any, _signature: Any, given: Any) -> Any:
        write(_Emitter(builder, given))
        return context.get_dummy_value()

    return types.void(*arguments), code


_ADDRESS, _NUMBER = types.intp, types.float32


@intrinsic
def powers(_context: Any, table: Any, scale: Any, first: Any) -> Any:
    """powers(table, scale, first): table[l] = 2^(scale (first + l)²) for scale ≤ 0."""

    def write(e: _Emitter) -> None:
        steps = e.plus(e.everywhere(e.given[2]), ir.Constant(_VECTOR, [float(k) for k in range(LANES)]))
        e.store(e.power(e.times(e.everywhere(e.given[1]), e.times(steps, steps))), e.given[0])

    return _emit((_ADDRESS, _NUMBER, _NUMBER), write)


@intrinsic
def weigh(_context: Any, out: Any, factor: Any, rate: Any, x: Any) -> Any:
    """weigh(out, factor, rate, x): out[l] = factor[l] 2^(rate[l] x) for rate[l] x ≤ 0; lanes are Gaussians."""

    def write(e: _Emitter) -> None:
        exponential = e.power(e.times(e.load(e.given[2]), e.everywhere(e.given[3])))
        e.store(e.times(e.load(e.given[1]), exponential), e.given[0])

    return _emit((_ADDRESS, _ADDRESS, _ADDRESS, _NUMBER), write)


@intrinsic
def weigh_twice(_context: Any, out: Any, factor: Any, other: Any, rate: Any, x: Any) -> Any:
    """As :func:`weigh`; then out[8 + l] = other[l] out[l]."""

    def write(e: _Emitter) -> None:
        exponential = e.power(e.times(e.load(e.given[3]), e.everywhere(e.given[4])))
        first = e.times(e.load(e.given[1]), exponential)
        second = e.times(e.load(e.given[2]), first)
        e.store(first, e.given[0])
        e.store(second, e.further(e.given[0], FLOAT, LANES))

    return _emit((_ADDRESS, _ADDRESS, _ADDRESS, _ADDRESS, _NUMBER), write)


def _adder(n: int) -> Any:
    @intrinsic
    def add(_context: Any, target: Any, n_points: Any, table: Any, stride: Any, weights: Any) -> Any:
        def write(e: _Emitter) -> None:
            target, n_points, table, stride, weights = e.given
            e.add_to(target, e.first(n_points, e.combined(n, table, stride, weights)))

        return _emit((_ADDRESS,) * 5, write)

    return add


def _dotter(n: int) -> Any:
    @intrinsic
    def dot(_context: Any, sums: Any, values: Any, n_points: Any, table: Any, stride: Any, weights: Any) -> Any:
        def write(e: _Emitter) -> None:
            sums, values, n_points, table, stride, weights = e.given
            d = e.first(n_points, e.load(values))
            e.add_to(sums, e.times(d, e.combined(n, table, stride, weights)))

        return _emit((_ADDRESS,) * 6, write)

    return dot


def _collector(n: int) -> Any:
    @intrinsic
    def collect(
        _context: Any, sums: Any, values: Any, n_points: Any, table: Any, stride: Any, weights: Any, squares: Any,
        v: Any, rho2: Any,
    ) -> Any:
        def write(e: _Emitter) -> None:
            sums, values, n_points, table, stride, weights, squares, v, rho2 = e.given
            d = e.first(n_points, e.load(values))
            radial = e.times(d, e.combined(n, table, stride, weights))
            curved = e.times(d, e.combined(n, table, stride, e.further(weights, FLOAT, LANES)))
            distance = e.plus(e.load(squares), e.everywhere(rho2))
            e.add_to(sums, radial)
            e.add_to(e.further(sums, stride), e.times(radial, e.everywhere(v)))
            e.add_to(e.further(sums, stride, 2), e.times(curved, distance))

        return _emit((_ADDRESS,) * 7 + (_NUMBER,) * 2, write)

    return collect


add3, add5 = _adder(3), _adder(5)
"""add(target, n, table, stride, weights): target[l] += Σ_g weights[g] table[g stride + l] for l < n; the stride is in
bytes."""

dot3, dot5 = _dotter(3), _dotter(5)
"""dot(sums, values, n, table, stride, weights): sums[l] += values[l] Σ_g weights[g] table[g stride + l] for l < n."""

collect3, collect5 = _collector(3), _collector(5)
"""collect(sums, values, n, table, stride, weights, squares, v, rho2): with D = values[l] for l < n, zero beyond,
R = Σ_g weights[g] table[g stride + l] and S = Σ_g weights[8 + g] table[g stride + l], sums[l] += D R,
sums[stride + l] += v D R and sums[2 stride + l] += D S (squares[l] + rho2).
"""


@intrinsic
def add_one(_context: Any, target: Any, source: Any) -> Any:
    """add_one(target, source): target[0] += source[0]."""

    def write(e: _Emitter) -> None:
        place = e.builder.inttoptr(e.given[0], ir.FloatType().as_pointer())
        e.builder.store(e.plus(e.number(e.given[0]), e.number(e.given[1])), place, align=FLOAT)

    return _emit((_ADDRESS,) * 2, write)


@intrinsic
def copy_one(_context: Any, target: Any, source: Any) -> Any:
    """copy_one(target, source): target[0] = source[0]."""

    def write(e: _Emitter) -> None:
        place = e.builder.inttoptr(e.given[0], ir.FloatType().as_pointer())
        e.builder.store(e.number(e.given[1]), place, align=FLOAT)

    return _emit((_ADDRESS,) * 2, write)


@intrinsic
def clear(_context: Any, target: Any) -> Any:
    """clear(target): target[l] = 0."""

    def write(e: _Emitter) -> None:
        e.store(ir.Constant(_VECTOR, [0.0] * LANES), e.given[0])

    return _emit((_ADDRESS,), write)


@intrinsic
def fill_bytes(_context: Any, target: Any, value: Any, n: Any) -> Any:
    """fill_bytes(target, value, n): n bytes of one value; none for n ≤ 0."""

    def write(e: _Emitter) -> None:
        b, (target, value, n) = e.builder, e.given
        with b.if_then(b.icmp_signed(">", n, ir.Constant(n.type, 0))):
            cgutils.memset(b, b.inttoptr(target, ir.IntType(8).as_pointer()), n, b.trunc(value, ir.IntType(8)))

    return _emit((_ADDRESS,) * 3, write)
