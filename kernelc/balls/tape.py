"""An analytic expression compiled to a straight tape that runs on complex balls (Arb).

A tape is compiled once, runs at whatever precision the caller has set, and forwards `analytic`
to every operation that has a branch cut: with the flag, a box on which the expression is not
analytic gives a result that is not finite, never a plausible number.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction

import sympy
from flint import acb, arb, ctx

from kernelc.errors import UnsupportedError
from kernelc.functions import BY_HEAD
from kernelc.functions.balls import real_power
from kernelc.functions.complement import without_cancelling

Operation = Callable[[list[acb], bool], acb]
_ZERO = acb(0)
_SIMPLE_CONSTANTS: dict[sympy.Expr, Callable[[], arb]] = {
    sympy.pi: arb.pi,
    sympy.E: arb.const_e,
    sympy.EulerGamma: arb.const_euler,
    sympy.Catalan: arb.const_catalan,
    sympy.GoldenRatio: lambda: (1 + arb(5).sqrt()) / 2,
}


def arb_of(x: Fraction) -> arb:
    """A ball about a rational at the current precision (exact where it is a short dyadic)."""
    return arb(x.numerator) / arb(x.denominator)


def _cut(value: acb, other: Callable[[], acb]) -> acb:
    """A ball of a value; where it holds 0, cut to another ball of it if that is finite."""
    if not value.is_finite() or not value.overlaps(_ZERO):
        return value
    second = other()
    if not second.is_finite():
        return value
    return acb(value.real.intersection(second.real), value.imag.intersection(second.imag))


class Tape:
    """Evaluates expressions f_1(t), ..., f_n(t) at once on a ball t, sharing subexpressions.

    `Tape((f, g), t)(z, analytic)` returns a tuple of n `acb`. The expressions may hold numbers, sums,
    products, powers and registered analytic functions; anything else raises `UnsupportedError`.
    """

    def __init__(self, expressions: Sequence[sympy.Expr], variable: sympy.Symbol) -> None:
        self._variable = variable
        self._slots: dict[sympy.Basic, int] = {variable: 0}
        self._operations: list[Operation | None] = [None]
        self._constant: list[bool] = [False]
        self._outputs = tuple(self._compile(sympy.sympify(e)) for e in expressions)
        self._cache: tuple[int, list[acb]] = (-1, [])

    def __call__(self, z: acb, analytic: bool = False) -> tuple[acb, ...]:
        """The expressions' values on the ball z; with `analytic`, not finite where one is not analytic on all of z."""
        values = self._constants()[:]
        values[0] = z
        operations = self._operations
        for i in self._varying:
            operation = operations[i]
            assert operation is not None
            values[i] = operation(values, analytic)
        return tuple(values[i] for i in self._outputs)

    def _constants(self) -> list[acb]:
        """Values of the slots that do not depend on t, kept for the precision they were made at."""
        if self._cache[0] != ctx.prec:
            values = [acb(0)] * len(self._operations)
            for i, operation in enumerate(self._operations):
                if operation is not None and self._constant[i]:
                    values[i] = operation(values, False)
            self._varying = [i for i, c in enumerate(self._constant) if not c and i]
            self._cache = (ctx.prec, values)
        return self._cache[1]

    def _emit(self, key: sympy.Basic, operation: Operation, arguments: Sequence[int]) -> int:
        self._operations.append(operation)
        self._constant.append(all(self._constant[a] for a in arguments))
        self._slots[key] = len(self._operations) - 1
        return self._slots[key]

    def _compile(self, e: sympy.Basic) -> int:
        if e in self._slots:
            return self._slots[e]
        if isinstance(e, sympy.Rational):
            exact = Fraction(int(e.p), int(e.q))
            return self._emit(e, lambda v, a: acb(arb_of(exact)), ())
        if e in _SIMPLE_CONSTANTS:
            make = _SIMPLE_CONSTANTS[e]
            return self._emit(e, lambda v, a: acb(make()), ())
        if isinstance(e, sympy.Add) and (other := without_cancelling(e)) is not None:
            return self._cut_sum(e, other)
        if isinstance(e, (sympy.Add, sympy.Mul)):
            return self._fold(e)
        if isinstance(e, sympy.Pow):
            return self._power(e)
        record = BY_HEAD.get(e.func)
        if record is None:
            raise UnsupportedError(f"'{e}' cannot be evaluated: '{e.func.__name__}' is not a registered function")
        if isinstance(e, sympy.log) and isinstance(e.args[0], sympy.Add) and sympy.S.One in e.args[0].args:
            return self._log1p(e)
        arguments = [self._compile(a) for a in e.args]
        rule = record.ball
        return self._emit(e, lambda v, a: rule([v[i] for i in arguments], a), arguments)

    def _fold(self, e: sympy.Expr) -> int:
        # Constant terms first, so that they fold into one constant slot.
        terms = sorted((self._compile(a) for a in e.args), key=lambda i: (not self._constant[i], i))
        add = isinstance(e, sympy.Add)
        total = terms[0]
        for n, term in enumerate(terms[1:], 1):
            left, right = total, term
            partial = e if n == len(terms) - 1 else e.func(*e.args, sympy.Dummy())
            if add:
                total = self._emit(partial, lambda v, a, i=left, j=right: v[i] + v[j], (left, right))  # type: ignore[misc]
            else:
                total = self._emit(partial, lambda v, a, i=left, j=right: v[i] * v[j], (left, right))  # type: ignore[misc]
        self._slots[e] = total
        return total

    def _cut_sum(self, e: sympy.Add, other: sympy.Expr) -> int:
        """The sum; where its ball holds 0, cut to that of another form of it."""
        plain, tape = self._fold(e), Tape((other,), self._variable)
        return self._emit(e, lambda v, a: _cut(v[plain], lambda: tape(v[0], a)[0]), (plain,))

    def _log1p(self, e: sympy.log) -> int:
        """log(1 + g); where its ball holds 0, cut to what is known from g."""
        whole, g = self._compile(e.args[0]), self._compile(e.args[0] - 1)

        def operation(v: list[acb], a: bool) -> acb:
            return _cut(v[whole].log(analytic=a), lambda: v[g].log1p())

        return self._emit(e, operation, (whole, g))

    def _power(self, e: sympy.Expr) -> int:
        base, exponent = e.args
        b = self._compile(base)
        if isinstance(exponent, sympy.Integer):
            n = int(exponent)
            return self._emit(e, lambda v, a: v[b] ** n, (b,))
        if exponent == sympy.Rational(1, 2):
            return self._emit(e, lambda v, a: v[b].sqrt(analytic=a), (b,))
        if exponent == sympy.Rational(-1, 2):
            return self._emit(e, lambda v, a: v[b].rsqrt(analytic=a), (b,))
        if isinstance(exponent, sympy.Rational) and exponent.q == 2:
            n = int(exponent - sympy.Rational(1, 2))
            return self._emit(e, lambda v, a: v[b] ** n * v[b].sqrt(analytic=a), (b,))
        p = self._compile(exponent)
        return self._emit(e, lambda v, a: real_power(v[b], v[p], a), (b, p))


def constant_ball(expression: sympy.Expr, precision: int) -> arb:
    """A ball about a real constant expression at `precision` bits."""
    with ctx.workprec(precision):
        value = Tape((expression,), sympy.Dummy())(acb(0))[0]
        return value.real
