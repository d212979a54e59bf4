"""A given T (or Tdot) as float64 arithmetic, and the variances at which it was seen to hold.

There are no summands of which an error estimate could be made, as derived forms have them: the float
program is compared with balls at sampled variances and correlations, and serves where it agrees.
"""

from __future__ import annotations

import numpy as np
import sympy
from flint import acb, arb, ctx

from kernelc.balls import Tape
from kernelc.closedform.interpret import run
from kernelc.closedform.lowering import Builder, in_determinant
from kernelc.errors import UnsupportedError
from kernelc.model import Q11, Q12, Q22
from kernelc.program import ClosedFormDual, FloatProgram

#: error allowed, relative to sqrt(T11 T22), for variances in [1e-3, 1e3] and beyond
_NEAR, _FAR = 3e-14, 3e-11
_COSINES = (1.0, 1 - 1e-14, 1 - 1e-9, 0.999, 0.7, 0.1, 0.0, -0.4, -0.9, -1 + 1e-7, -1.0)
_EXPONENTS = tuple(k / 2 for k in range(-20, 21))
_BITS = 900
#: bits from the boundary |rho| = 1 at which a value on it is taken
_INSIDE = 300


def compile_given(expression: sympy.Expr) -> ClosedFormDual:
    """The float program of an expression in q11, q12, q22, and the range of variances about 1 that it serves.

    Raises:
        UnsupportedError: it has no float64 form here, or none that holds about variance 1.
    """
    builder = Builder()
    try:
        index = builder.lower(_with_determinant(expression))
        program = FloatProgram(tuple(builder.instructions), (index,))
    except KeyError as error:
        raise UnsupportedError(f"no float64 form of {error.args[0]}") from error
    low, high = _range(program, expression)
    vanishes = expression.subs({Q11: 0, Q12: 0}) == 0 == expression.subs({Q22: 0, Q12: 0})
    return ClosedFormDual(program, None, None, (low, high), bool(vanishes), at_origin=True)


def _with_determinant(expression: sympy.Expr) -> sympy.Expr:
    """What is under a root or a fraction's bar in q11 q22 - q12^2, one symbol that is computed without cancellation."""
    if not expression.has(Q12) or not expression.args:
        return expression
    arguments = [_with_determinant(argument) for argument in expression.args]
    if expression.is_Pow and not (expression.exp.is_Integer and expression.exp > 0):
        above, below = sympy.fraction(sympy.together(arguments[0]))
        arguments[0] = in_determinant(above) / below
    return expression.func(*arguments)


class _Reference:
    """The expression in balls at two variances, both doubles, and any covariance."""

    def __init__(self, expression: sympy.Expr, q11: float, q22: float) -> None:
        self._variances = q11, q22
        self._tape = Tape((expression.subs({Q11: _rational(q11), Q22: _rational(q22)}),), Q12)

    def __call__(self, q12: float) -> arb | None:
        """A ball about the value; None where it is not finite and real.

        On the boundary |q12| = sqrt(q11 q22), or a rounding beyond it, the value just inside is taken.
        """
        with ctx.workprec(_BITS):
            limit = (arb(self._variances[0]) * arb(self._variances[1])).sqrt() * (1 - arb(2) ** -_INSIDE)
            exact = arb(q12)
            if not abs(exact) < limit:
                exact = limit if q12 > 0 else -limit
            ball = self._tape(acb(exact))[0]
            return ball.real if ball.is_finite() and ball.imag.abs_lower() < arb(2) ** -64 else None


def _rational(value: float) -> sympy.Rational:
    numerator, denominator = value.as_integer_ratio()
    return sympy.Rational(numerator, denominator)


def _range(program: FloatProgram, expression: sympy.Expr) -> tuple[float, float]:
    good = {e: _holds(program, expression, 10.0**e, 10.0**e) for e in _EXPONENTS}
    if not good[0.0]:
        raise UnsupportedError("no range of variances was found in which this form holds in float64")
    ends = []
    for step in (-0.5, 0.5):
        end = 0.0
        while good.get(end + step, False):
            end += step
        ends.append(end)
    # variances that differ: the ends against each other and against the middle
    while not all(_holds(program, expression, 10.0**a, 10.0**b) for a in ends for b in (*ends, 0.0)):
        if ends == [0.0, 0.0]:
            raise UnsupportedError("no range of variances was found in which this form holds in float64")
        ends = [min(ends[0] + 0.5, 0.0), max(ends[1] - 0.5, 0.0)]
    whole = ends[0] == _EXPONENTS[0] and all(_holds(program, expression, 0.0, q) for q in (0.0, 1.0, 10.0 ** ends[1]))
    return 0.0 if whole else 10.0 ** ends[0], 10.0 ** ends[1]


def _holds(program: FloatProgram, expression: sympy.Expr, q11: float, q22: float) -> bool:
    """Whether the program agrees with balls at these variances and all sampled correlations."""
    near = all(1e-3 <= q <= 1e3 or q == 0.0 for q in (q11, q22))
    limit = q11 if q11 == q22 else float(np.sqrt(q11) * np.sqrt(q22))
    cross = np.array([c * limit for c in (_COSINES if limit else (0.0,))])
    values, _ = run(program, np.full(len(cross), q11), cross, np.full(len(cross), q22))
    sizes = [_Reference(expression, q, q)(q) for q in (q11, q22)]
    if not np.isfinite(values).all() or any(size is None or not size >= 0 for size in sizes):
        return False
    reference = _Reference(expression, q11, q22)
    with ctx.workprec(_BITS):
        allowed = (sizes[0] * sizes[1]).sqrt() * (_NEAR if near else _FAR)  # type: ignore[operator]
        for value, q12 in zip(values, cross, strict=True):
            truth = reference(float(q12))
            if truth is None or not abs(truth - arb(float(value))) <= allowed:
                return False
    return True
