"""An activation as a sum of class-G terms: the analysis that the integrals rest on.

To add an elementary function, add one entry to `RULES`: its value as terms, given its argument.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import sympy

from kernelc.closedform.cells import Cells, cut, sign_of
from kernelc.closedform.special import NormalCdf
from kernelc.closedform.terms import Gate, OutsideClassError, Term, Terms, constant, merge, multiply
from kernelc.model import VARIABLE

_HALF = sympy.Rational(1, 2)


def _coefficients(argument: sympy.Expr, highest: int, name: str) -> list[sympy.Expr]:
    """The coefficients c_0..c_highest of a polynomial argument; refused where it is none."""
    expanded = sympy.expand(argument)
    if not expanded.is_polynomial(VARIABLE):
        raise OutsideClassError(f"{name} of {argument}, which is no polynomial")
    polynomial = sympy.Poly(expanded, VARIABLE)
    if polynomial.degree() > highest:
        raise OutsideClassError(f"{name} of a polynomial of degree {polynomial.degree()} (at most {highest})")
    return [polynomial.nth(k) for k in range(highest + 1)]


def _exp(argument: sympy.Expr) -> Terms:
    c0, c1, c2 = _coefficients(argument, 2, "exp")
    return (Term(sympy.exp(c0), quadratic=c2, linear=c1),)


def _cos(argument: sympy.Expr) -> Terms:
    c0, c1 = _coefficients(argument, 1, "cos")
    return merge([Term(sympy.S.One, frequency=c1, phase=c0)])


def _sin(argument: sympy.Expr) -> Terms:
    c0, c1 = _coefficients(argument, 1, "sin")
    return merge([Term(sympy.S.One, frequency=c1, phase=c0 - sympy.pi / 2)])


def _hyperbolic(sign: int) -> Callable[[sympy.Expr], Terms]:
    def rule(argument: sympy.Expr) -> Terms:
        plus, minus = _exp(argument), _exp(-argument)
        halves = ((plus[0], _HALF), (minus[0], sign * _HALF))
        return merge(replace(term, coefficient=term.coefficient * factor) for term, factor in halves)

    return rule


def _erf(argument: sympy.Expr) -> Terms:
    c0, c1 = _coefficients(argument, 1, "erf")
    if c1 == 0:
        return constant(sympy.erf(c0))
    # an odd function: the sign of the slope comes out, so that equal gates meet as equals
    sign = sympy.sign(c1)
    gate = Gate(threshold=-c0 / c1, side=1, noise=1 / (2 * c1**2))
    return merge([Term(2 * sign, gate=gate), Term(-sign)])


def _erfc(argument: sympy.Expr) -> Terms:
    return merge([Term(sympy.S.One), *(replace(a, coefficient=-a.coefficient) for a in _erf(argument))])


def _normal_cdf(argument: sympy.Expr) -> Terms:
    halves = [replace(a, coefficient=a.coefficient / 2) for a in _erf(argument / sympy.sqrt(2))]
    return merge([Term(_HALF), *halves])


#: The elementary functions of class G, each by its argument.
RULES: Mapping[type, Callable[[sympy.Expr], Terms]] = {
    sympy.exp: _exp,
    sympy.sin: _sin,
    sympy.cos: _cos,
    sympy.sinh: _hyperbolic(-1),
    sympy.cosh: _hyperbolic(1),
    sympy.erf: _erf,
    sympy.erfc: _erfc,
    NormalCdf: _normal_cdf,
}


def smooth_terms(expression: sympy.Expr) -> Terms:
    """The terms of an expression without switches. Raises `OutsideClassError`, naming what does not fit."""
    if not expression.has(VARIABLE):
        return constant(expression)
    if expression == VARIABLE:
        return (Term(sympy.S.One, power=1),)
    if expression.is_Add:
        return merge([term for argument in expression.args for term in smooth_terms(argument)])
    if expression.is_Mul:
        product = constant(sympy.S.One)
        for argument in expression.args:
            product = multiply(product, smooth_terms(argument))
        return product
    if expression.func in RULES:
        return RULES[expression.func](expression.args[0])
    if expression.is_Pow:
        return _power(expression)
    raise OutsideClassError(f"{expression.func.__name__} is outside the class of closed forms")


def _power(expression: sympy.Pow) -> Terms:
    base, exponent = expression.args
    if not base.has(VARIABLE) and base.is_positive:
        return _exp(exponent * sympy.log(base))
    if not (exponent.is_Integer and exponent > 0):
        raise OutsideClassError(f"the power {expression} is outside the class of closed forms")
    if base == VARIABLE:
        return (Term(sympy.S.One, power=int(exponent)),)
    factor = smooth_terms(base)
    product = constant(sympy.S.One)
    for _ in range(int(exponent)):
        product = multiply(product, factor)
    return product


def exact(expression: sympy.Expr) -> sympy.Expr:
    """The expression with floats replaced by the rationals they are."""
    floats = {number: sympy.Rational(str(number)) for number in expression.atoms(sympy.Float)}
    return expression.xreplace(floats)


def normal_form(expression: sympy.Expr) -> Terms:
    """The activation as a sum of terms, each with at most one half-space. Raises `OutsideClassError`."""
    expression = exact(expression)
    return merge(_gated(cut(expression)))


def _gated(cells: Cells) -> list[Term]:
    """Cells to half-spaces: each basis function jumps at some breakpoints, by known amounts."""
    columns: dict[Term, list[sympy.Expr]] = {}
    for index, piece in enumerate(cells.pieces):
        for term in smooth_terms(sympy.expand(piece)):
            basis = replace(term, coefficient=sympy.S.One)
            columns.setdefault(basis, [sympy.S.Zero] * len(cells.pieces))[index] += term.coefficient
    terms: list[Term] = []
    at_breakpoint: dict[tuple[int, int], list[Term]] = {}
    for basis, column in columns.items():
        anchor = _anchor(basis, column, cells.breakpoints)
        terms.append(replace(basis, coefficient=column[anchor]))
        for index in range(len(cells.breakpoints)):
            side = -1 if index < anchor else 1
            jump = sympy.expand(side * (column[index + 1] - column[index]))
            if jump != 0:
                at_breakpoint.setdefault((index, side), []).append(replace(basis, coefficient=jump))
    for (index, side), jumps in at_breakpoint.items():
        terms += _centred(jumps, Gate(cells.breakpoints[index], side, sympy.S.Zero))
    return terms


def _anchor(basis: Term, column: list[sympy.Expr], breakpoints: tuple[sympy.Expr, ...]) -> int:
    """The cell whose coefficient stands without a gate; the gates open outwards from it.

    Exponentials are gated on the side on which they decay, so that no half-space probability has to
    cancel an exponential that the activation does not contain. All else is anchored at 0, so that far
    breakpoints add little where the variances are small.
    """
    if basis.linear.is_number and basis.linear != 0:
        return len(breakpoints) if sign_of(basis.linear) > 0 else 0
    signs = [-1 if point.is_negative else 0 if point.is_zero else 1 for point in breakpoints]
    left = sum(sign < 0 for sign in signs)
    if 0 in signs and column[left] != 0 and column[left + 1] == 0:
        return left + 1
    return left


def _centred(jumps: list[Term], gate: Gate) -> list[Term]:
    """The jump at a breakpoint in powers of (t - c): a continuous activation then has no power 0."""
    families: dict[tuple[object, ...], list[Term]] = {}
    for term in jumps:
        if term.gate is not None:
            raise OutsideClassError("an error function times a step has no closed form here")
        families.setdefault(term.family, []).append(term)
    centred = []
    for family in families.values():
        polynomial = sympy.Poly(
            sympy.Add(*(f.coefficient * (VARIABLE + gate.threshold) ** f.power for f in family)), VARIABLE
        )
        for (power,), coefficient in polynomial.terms():
            centred.append(
                replace(family[0], coefficient=sympy.expand(coefficient), power=power, gate=gate, center=gate.threshold)
            )
    return [term for term in centred if term.coefficient != 0]
