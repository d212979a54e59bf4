"""Proof before use: a closed form is compared with an independent quadrature before anything is emitted."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import mpmath
import sympy
from flint import arb, ctx

from kernelc.closedform.cells import cut
from kernelc.closedform.derive import ClosedForm
from kernelc.closedform.normal_form import exact
from kernelc.closedform.reference import Function, Rule, expectation, numeric, second_moment
from kernelc.closedform.special import MPMATH_NAMES
from kernelc.closedform.stable import FloatDual
from kernelc.errors import CertificationError
from kernelc.model import Q11, Q12, Q22, VARIABLE

Point = tuple[Fraction, Fraction, Fraction]
Values = Mapping[sympy.Symbol, sympy.Rational]
Formula = Callable[[Point, Values], mpmath.mpf]


@dataclass(frozen=True, slots=True)
class _Setting:
    values: Values
    point: Point
    digits: int


#: where float64 forms are compared with the moments, how well those are known, and what may differ
_END_VARIANCES = (Fraction(1, 4), Fraction(1), Fraction(4))
_END_DIGITS, _END_ERROR = 15, 1e-9
#: cosines that every proof visits first: both signs, close to both ends
_COSINES = (Fraction(1, 2), Fraction(-7, 10), 1 - Fraction(1, 2**12), -1 + Fraction(1, 2**9), Fraction(1, 10))


def prove(
    closed_form: ClosedForm, expression: sympy.Expr, samples: int = 4, digits: int = 20, *, seed: int = 0
) -> mpmath.mpf:
    """The largest discrepancy found, relative to sqrt(T11 T22), over T, Tdot and dT/dq12.

    `samples` points (q11, q12, q22) of different variances, both signs, near +-1, drawn by `seed`;
    parameters that are still symbols get positive values. Raises `CertificationError` where the
    discrepancy exceeds 10^-(digits - 3). The comparison is an estimate: it checks, it bounds nothing.
    """
    chance = random.Random(seed)
    expression = exact(expression)
    value, slopes = _formulas(closed_form)
    worst = mpmath.mpf(0)
    old = ctx.dps
    try:
        ctx.dps = digits + 10
        with mpmath.workdps(digits + 10):
            for index in range(samples):
                values = _parameters(expression, chance)
                point = _point(closed_form, values, index, chance)
                setting = _Setting(values, point, digits)
                sigma = expression.subs(values)
                breakpoints = [_ball(b) for b in cut(sigma).breakpoints]
                worst = max(worst, _check(value, numeric(sigma), breakpoints, setting))
                if slopes:
                    slope = numeric(sympy.diff(sigma, VARIABLE))
                    worst = max(worst, _check(slopes, slope, breakpoints, setting))
    finally:
        ctx.dps = old
    return worst


def _parameters(expression: sympy.Expr, chance: random.Random) -> dict[sympy.Symbol, sympy.Rational]:
    symbols = sorted(expression.free_symbols - {VARIABLE}, key=str)
    return {s: sympy.Rational(chance.randint(4, 24), 16) for s in symbols}


def _point(
    closed_form: ClosedForm, values: Mapping[sympy.Symbol, sympy.Rational], index: int, chance: random.Random
) -> Point:
    """Dyadic variances that meet the conditions, and a covariance of a chosen cosine."""
    limit = Fraction(3)
    for term in (*closed_form.terms, *closed_form.derivative_terms):
        alpha = term.quadratic.subs(values)
        if alpha > 0:
            limit = min(limit, Fraction(int(1024 / (5 * alpha)), 1024))
    cosine = _COSINES[index] if index < len(_COSINES) else Fraction(chance.randint(-1000, 1000), 1024)
    q11, q22 = (limit * Fraction(chance.randint(48, 1000), 1024) for _ in (0, 1))
    root = Fraction(float(q11 * q22) ** 0.5)
    return q11, cosine * root, q22


def _formulas(closed_form: ClosedForm) -> tuple[dict[str, Formula], dict[str, Formula]]:
    """What is compared with sigma's expectation, and with that of its derivative."""
    value = {"T": _numeric_formula(closed_form.dual)}
    if closed_form.dual_dot is None:
        return value, {}
    slope = sympy.diff(closed_form.dual, Q12)
    return value, {"Tdot": _numeric_formula(closed_form.dual_dot), "dT/dq12": _numeric_formula(slope)}


def _ball(value: sympy.Expr) -> arb:
    return arb(str(sympy.N(value, 60)))


def _to_mpf(value: arb) -> mpmath.mpf:
    mantissa, exponent = value.mid().man_exp()
    return mpmath.ldexp(mpmath.mpf(int(mantissa)), int(exponent))


def _numeric_formula(formula: sympy.Expr) -> Formula:
    """A closed form as a function of exact rational (q11, q12, q22), at mpmath's working precision.

    Printed once for all points: the text of a long formula takes longer than all its values.
    """
    symbols = sorted(formula.free_symbols - {Q11, Q12, Q22}, key=str)
    function = sympy.lambdify((Q11, Q12, Q22, *symbols), formula, modules=[MPMATH_NAMES, "mpmath"])

    def value(point: Point, values: Values) -> mpmath.mpf:
        numbers = (*point, *(Fraction(int(values[s].p), int(values[s].q)) for s in symbols))
        return function(*(mpmath.mpf(x.numerator) / x.denominator for x in numbers))

    return value


def evaluate(formula: sympy.Expr, point: Point, values: Values) -> mpmath.mpf:
    """A closed form at exact rational (q11, q12, q22), at mpmath's working precision."""
    return _numeric_formula(formula)(point, values)


def _check(
    formulas: Mapping[str, Formula], function: Function, breakpoints: Sequence[arb], setting: _Setting
) -> mpmath.mpf:
    """Compare formulas of one expectation with its quadrature; the worst error relative to sqrt(T11 T22).

    The quadrature is refined before it is believed against a formula.
    """
    values = {name: formula(setting.point, setting.values) for name, formula in formulas.items()}
    allowed = mpmath.mpf(10) ** (3 - setting.digits)
    errors: dict[str, mpmath.mpf] = {}
    for rule in (Rule.of(setting.digits), Rule.of(setting.digits).finer(), Rule.of(setting.digits).finer().finer()):
        reference, scale = _reference(function, breakpoints, setting.point, rule)
        errors = {name: abs(value - reference) / (scale or 1) for name, value in values.items()}
        if all(error < allowed for error in errors.values()):
            return max(errors.values())
    worst = max(errors, key=lambda name: errors[name])
    raise CertificationError(
        f"{worst} disagrees with quadrature by {mpmath.nstr(errors[worst], 5)} (relative) at (q11, q12, q22) = "
        f"({', '.join(map(str, setting.point))}), parameters {dict(setting.values)}"
    )


def _reference(
    function: Function, breakpoints: Sequence[arb], point: Point, rule: Rule
) -> tuple[mpmath.mpf, mpmath.mpf]:
    """T and sqrt(T11 T22) by quadrature."""
    q11, q12, q22 = (arb(p.numerator) / p.denominator for p in point)
    reference = _to_mpf(expectation(function, breakpoints, (q11, q12, q22), rule))
    moments = [second_moment(function, breakpoints, q, rule) for q in (q11, q22)]
    return reference, _to_mpf((moments[0] * moments[1]).sqrt())


def holds_at_equal_inputs(dual: FloatDual, function: sympy.Expr) -> bool:
    """Whether the float64 form of E[f(u) f(v)] is E[f(sZ)^2] at q11 = q12 = q22, f a formula in the variable.

    The determinant vanishes there: an evaluation can fail at that very point and be right beside it. A comparison
    with quadrature at a few variances, not a proof; variances at which f^2 does not decay are left out.
    """
    rule = Rule.of(_END_DIGITS)
    breakpoints = [_ball(b) for b in cut(function).breakpoints]
    low, high = dual.variances
    old = ctx.dps
    try:
        ctx.dps = _END_DIGITS + 10
        for variance in _END_VARIANCES:
            if not low <= float(variance) <= high:
                continue
            try:
                expected = float(second_moment(numeric(function), breakpoints, arb(str(float(variance))), rule))
            except ValueError:
                continue
            q = float(variance)
            if abs(float(dual(q, q, q)) - expected) > _END_ERROR * abs(expected):
                return False
    finally:
        ctx.dps = old
    return True
