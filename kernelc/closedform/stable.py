"""A closed form as float64 arithmetic that says where it holds, and refuses where it does not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import sqrt

import numpy as np
import sympy
from numpy.typing import ArrayLike

from kernelc.closedform.derive import ClosedForm
from kernelc.closedform.homogeneous import expand
from kernelc.closedform.interpret import run
from kernelc.closedform.lowering import lower, lower_wide
from kernelc.closedform.piece import Piece
from kernelc.closedform.terms import Gate, Term, Terms
from kernelc.errors import UnsupportedError
from kernelc.model import VARIABLE
from kernelc.numerics._arithmetic import Array
from kernelc.numerics._homogeneous import HomogeneousSeries
from kernelc.program import ClosedFormDual, FloatProgram, SmallVarianceSeries, WideProgram

_BLOCK = 4096
#: rounding of one summand, in units of its size (a few operations each)
_ROUNDING = 4e-16
#: what the error estimate may reach, relative to sqrt(T11 T22)
_ALLOWED = 2e-11
_COSINES = (1.0, 1 - 1e-9, 0.999, 0.7, 0.1, -0.4, -0.9, -1 + 1e-7, -1.0)
_EXPONENTS = np.arange(-32, 33) / 2.0
#: the emitted code scales variances below this up to it, where the activation is its first power but for this share
_SCALED_BELOW, _NEGLIGIBLE = 2.0**-400, 1e-20


@dataclass(frozen=True, slots=True)
class Wide:
    """A program for q11, q22 >= above."""

    program: FloatProgram
    above: float


@dataclass(frozen=True, slots=True)
class FloatDual:
    """T or Tdot in float64.

    `program` holds for all variances in `variances` but small ones, for which `series` stands (None:
    the program holds there too) and large ones, for which `wide` stands. `variances` is where the
    summands' sizes let an error of 2e-11 relative to sqrt(T11 T22) be expected: an estimate, tested
    against mpmath, not a bound. `zero_at_origin`: the value is exactly 0 where q11 or q22 is 0.
    `at_origin`: whether the value there is known: not where it is T of an activation that jumps at 0.
    `order`: the activation goes like t^order at 0, or is smaller.
    """

    program: FloatProgram
    series: HomogeneousSeries | None
    wide: Wide | None
    variances: tuple[float, float]
    zero_at_origin: bool
    at_origin: bool
    order: int

    def to_program(self) -> ClosedFormDual:
        """What a printer has to know."""
        series, wide = self.series, self.wide
        small = None if series is None else small_variances(series)
        large = None if wide is None else WideProgram(wide.program, wide.above)
        return ClosedFormDual(
            self.program, small, large, self.variances, self.zero_at_origin, self.at_origin, self.order
        )

    def __call__(self, q11: ArrayLike, q12: ArrayLike, q22: ArrayLike) -> Array:
        """The value at arrays (or scalars) that broadcast, q11, q22 >= 0, |q12| <= sqrt(q11 q22).

        Zero variances are allowed. Raises `UnsupportedError` where a variance lies outside `variances`.
        """
        arrays = np.broadcast_arrays(q11, q12, q22)
        a, b, c = (np.asarray(x, dtype=np.float64) for x in arrays)
        self._check(a, c)
        flat = [x.reshape(-1) for x in (a, b, c)]
        value = np.empty(a.size)
        # blocks whose temporaries stay in the cache: several times faster than whole matrices
        for start in range(0, a.size, _BLOCK):
            part = slice(start, start + _BLOCK)
            value[part] = self._evaluate(*(x[part] for x in flat))[0]
        return value.reshape(a.shape)

    def _evaluate(self, a: Array, b: Array, c: Array) -> tuple[Array, Array]:
        """The value and the size of what was summed, each element by the road that serves it."""
        value, size = np.zeros_like(b), np.zeros_like(b)
        small = np.maximum(a, c) <= (self.series.below if self.series else -1.0)
        large = np.minimum(a, c) >= (self.wide.above if self.wide else np.inf)
        middle = ~(small | large)
        if self.series is not None and small.any():
            value[small] = self.series(a[small], b[small], c[small])
            size[small] = np.abs(value[small])
        if middle.all():
            value, size = run(self.program, a, b, c)
            middle = ~middle
        for where, program in ((large, self.wide.program if self.wide else self.program), (middle, self.program)):
            if where.any():
                value[where], size[where] = run(program, a[where], b[where], c[where])
        if self.zero_at_origin:
            value[(a == 0) | (c == 0)] = 0.0
        return value, size

    def _check(self, *variances: Array) -> None:
        low, high = self.variances
        for q in variances:
            outside = (q != 0) & ~((q >= low) & (q <= high))
            if outside.any():
                worst = float(q[outside].flat[0])
                raise UnsupportedError(
                    f"variance {worst:g} lies outside [{low:g}, {high:g}], where this closed form holds in float64"
                )


def small_variances(series: HomogeneousSeries) -> SmallVarianceSeries:
    """What a printer has to know of it."""
    return SmallVarianceSeries(series.plus, series.minus, series.below)


def compile_dual(
    form: ClosedForm, values: Mapping[sympy.Symbol, sympy.Expr] | None = None, *, dot: bool = False
) -> FloatDual:
    """Lower T (or Tdot, with `dot`) with numbers for its parameters.

    Raises `UnsupportedError` where Tdot is refused (infinite at rho = 1), where a parameter has no
    number, or where no range of variances about 1 holds.
    """
    if dot and form.dot_refused is not None:
        raise UnsupportedError(form.dot_refused)
    values = values or {}
    terms = tuple(_term_at(t, values) for t in (form.derivative_terms if dot else form.terms))
    derived = tuple(_term_at(t, values) for t in form.derivative_terms)
    pieces = tuple(_piece_at(p, values) for p in (form.dot_pieces if dot else form.pieces))
    left = {s for t in terms for s in t.expression().free_symbols} - {VARIABLE}
    if left:
        raise UnsupportedError(f"parameters without a value: {', '.join(sorted(map(str, left)))}")
    series = expand(terms)
    vanishes = series is not None and series.plus[0] == series.minus[0] == 0.0
    order = series.order if series is not None and vanishes else 0
    program = lower(pieces)
    rules = _dies_out(program) if series is None else _first_power_rules(series)
    continuous = series is not None and abs(series.plus[0] - series.minus[0]) <= 1e-15 * abs(series.plus[0])
    if series is not None and not _cancels(program, series):
        series = None
    at_origin = dot or continuous or form.dot_refused is None
    roads = FloatDual(program, series, _wide(terms, pieces), (0.0, float("inf")), vanishes, at_origin, order)
    low, high = _range(roads, _integrable_below((*terms, *derived)))
    return replace(roads, variances=(low if low or rules else _SCALED_BELOW, high))


def _first_power_rules(series: HomogeneousSeries) -> bool:
    """Whether the activation is its first power as far out as tiny variances are scaled up to."""
    deviation, order = sqrt(_SCALED_BELOW), series.order
    sizes = [max(abs(one), abs(other)) for one, other in zip(series.plus, series.minus, strict=True)]
    rest = sum(size * deviation ** (k - order) for k, size in enumerate(sizes) if k > order)
    return rest <= _NEGLIGIBLE * sizes[order]


def _dies_out(program: FloatProgram) -> bool:
    """Whether every summand underflows at tiny variances: an activation that is 0 about 0 has no first power."""
    variance = np.full(1, _SCALED_BELOW)
    return not any(run(program, variance, variance, variance)[1])


def _integrable_below(terms: Terms) -> float:
    """The variance at which the activation stops being square integrable: 1/(4 alpha)."""
    return min((1 / (4 * float(t.quadratic)) for t in terms if t.quadratic > 0), default=float("inf"))


def _wide(terms: Terms, pieces: tuple[Piece, ...]) -> Wide | None:
    """For piecewise polynomials with a breakpoint away from 0."""
    if any(t.quadratic != 0 or t.linear != 0 or t.frequency != 0 for t in terms):
        return None
    gates = [t.gate for t in terms if t.gate is not None]
    farthest = max((abs(float(g.threshold)) for g in gates), default=0.0)
    if farthest == 0 or not all(g.sharp for g in gates):
        return None
    return Wide(lower_wide(pieces), 16 * farthest**2)


def _term_at(term: Term, values: Mapping[sympy.Symbol, sympy.Expr]) -> Term:
    gate = term.gate
    return replace(
        term,
        coefficient=term.coefficient.subs(values),
        quadratic=term.quadratic.subs(values),
        linear=term.linear.subs(values),
        frequency=term.frequency.subs(values),
        phase=term.phase.subs(values),
        gate=gate and Gate(gate.threshold.subs(values), gate.side, gate.noise.subs(values)),
        center=term.center.subs(values),
    )


def _piece_at(piece: Piece, values: Mapping[sympy.Symbol, sympy.Expr]) -> Piece:
    arguments, tails = (tuple(a.subs(values) for a in group) for group in (piece.arguments, piece.tails))
    first = (piece.coefficient, piece.root, piece.exponent, piece.wave)
    coefficient, root, exponent, wave = (e.subs(values) for e in first)
    return Piece(coefficient, root, exponent, wave, piece.kind, arguments, tails)


def _cancels(program: FloatProgram, series: HomogeneousSeries) -> bool:
    """Whether the program's summands are far larger than its value at small variances."""
    for q in (series.below, 1e-8 * series.below):
        variance = np.full(len(_COSINES), q)
        _, size = run(program, variance, np.array(_COSINES) * q, variance)
        scale = series(variance[:1], variance[:1], variance[:1])[0]
        if not size.max() <= 8 * abs(scale):
            return True
    return False


def _range(roads: FloatDual, limit: float) -> tuple[float, float]:
    """The variances about 1, below `limit`, over which the error estimate stays below what is allowed."""

    def holds(exponent: float) -> bool:
        return 10.0**exponent < limit and _holds(roads, 10.0**exponent)

    good = {float(e): holds(float(e)) for e in _EXPONENTS}
    start = min((e for e in good if good[e]), key=abs, default=None)
    if start is None:
        raise UnsupportedError("no range of variances was found in which this closed form holds in float64")
    ends = []
    for step in (-0.5, 0.5):
        end = start
        while good.get(end + step, False):
            end += step
        fails = end + step
        for _ in range(6 if fails in good else 0):
            middle = (end + fails) / 2
            end, fails = (middle, fails) if holds(middle) else (end, middle)
        ends.append(end)
    return (0.0 if ends[0] == _EXPONENTS[0] else 10.0 ** ends[0]), 10.0 ** ends[1]


def _holds(roads: FloatDual, q: float) -> bool:
    variance = np.full(len(_COSINES), q)
    value, size = roads._evaluate(variance, np.array(_COSINES) * q, variance)
    if not (np.isfinite(value).all() and np.isfinite(size).all()):
        return False
    return bool(_ROUNDING * size.max() <= _ALLOWED * abs(float(value[0])))
