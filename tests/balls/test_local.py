"""Majorants next to singular points: claimed on (0, width], looked at down to 1e-30 of it by mpmath."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import mpmath
import pytest
import sympy
from flint import arb
from mpmath import mpf

from kernelc.balls.local import EndPoint, LocalBounds, Majorant, Term, integrable, integral, least_exponent, squared
from kernelc.functions.heads import LambertW0
from kernelc.model import VARIABLE as T

_WIDTH = Fraction(1, 16)
_DISTANCES = tuple(mpf(x) for x in ("1e-30", "1e-17", "1e-9", "1e-5", "1e-3", "1e-2", "0.03", "0.0625"))


def exact(x: Fraction) -> mpf:
    return mpf(x.numerator) / x.denominator


def at(majorant: Majorant, x: mpf) -> mpf:
    log = mpmath.log(1 / x)
    return mpmath.fsum(exact(t.scale) * x ** exact(t.exponent) * log**t.logs for t in majorant)


def end(r: sympy.Expr, side: int, zero_of: tuple[sympy.Expr, ...] = ()) -> EndPoint:
    low = Fraction(int(sympy.floor(r * 2**200)), 2**200)
    exactly = r.is_Rational and Fraction(int(r.p), int(r.q)) == low
    return EndPoint(r, low, low if exactly else low + Fraction(1, 2**200), side, _WIDTH, zero_of)


CASES = [
    # f, r, side, the exponent of its leading behaviour
    (sympy.sqrt(T), 0, 1, Fraction(1, 2)),
    (sympy.log(T), 0, 1, Fraction(0)),
    (T * sympy.log(T), 0, 1, Fraction(1)),
    (T ** sympy.Rational(-1, 5), 0, 1, Fraction(-1, 5)),
    ((-T) ** sympy.Rational(3, 4), 0, -1, Fraction(3, 4)),
    (sympy.log(-T) ** 2 * sympy.sin(T), 0, -1, Fraction(1)),
    (sympy.sqrt(1 - T), 1, -1, Fraction(1, 2)),
    ((T**2 - 4) ** sympy.Rational(-1, 3), 2, 1, Fraction(-1, 3)),
    ((1 - sympy.cos(T)) ** sympy.Rational(-1, 8), 0, 1, Fraction(-1, 4)),
    (sympy.log(sympy.exp(T) - 1) / (T + 3), 0, 1, Fraction(0)),
    (sympy.acos(T), 1, -1, Fraction(0)),
    (sympy.sqrt(sympy.sin(T)), sympy.pi, -1, Fraction(1, 2)),
    (sympy.exp(T) + sympy.sqrt(T), 0, 1, Fraction(0)),
    (sympy.sin(1 / T) * T ** sympy.Rational(1, 3), 0, 1, Fraction(1, 3)),
    (sympy.sqrt(T**2 - 2), sympy.sqrt(2), 1, Fraction(1, 2)),
    (T**3 - 3 * T + 2, 1, 1, Fraction(2)),
    (sympy.Integer(3) * T, 0, 1, Fraction(1)),
]


@pytest.mark.parametrize(("f", "r", "side", "exponent"), CASES, ids=lambda x: str(x))
def test_majorants_hold_and_have_the_right_exponent(
    f: sympy.Expr, r: sympy.Expr, side: int, exponent: Fraction
) -> None:
    r = sympy.sympify(r)
    majorant = LocalBounds(T, end(r, side)).majorant(f)
    assert majorant is not None
    assert least_exponent(majorant) == exponent
    function = sympy.lambdify(T, f, "mpmath")
    with mpmath.workdps(80):
        root = mpmath.mpmathify(sympy.N(r, 80))
        for x in _DISTANCES:
            value = abs(function(root + side * x))
            assert value <= at(majorant, x) * (1 + mpf(10) ** -25), f"at distance {x}"


_THIRD = sympy.Rational(1, 3)

#: where powers and their logarithms say nothing, or too little: f, r, side, and the exponent that is claimed at least
APPROACHED = [
    (sympy.exp(-1 / T**2), 0, 1, Fraction(16)),
    (sympy.exp(-1 / (1 - T**2)), 1, -1, Fraction(1)),
    (2 * sympy.exp(-1 / T**2) / T**3, 0, 1, Fraction(13)),
    (sympy.exp(-(sympy.log(T) ** 2)), 0, 1, Fraction(1)),
    (sympy.exp(-(sympy.log(T) ** 2) / 50), 0, 1, Fraction(1, 10)),
    (sympy.log(1 + 100 * sympy.log(T) ** 2), 0, 1, Fraction(0)),
    (sympy.log(sympy.log(1 / T)), 0, 1, Fraction(0)),
    (sympy.log(T ** sympy.Rational(1, 10)), 0, 1, Fraction(0)),
    ((-sympy.log(T)) ** _THIRD, 0, 1, Fraction(0)),
    (1 / sympy.log(T), 0, 1, Fraction(0)),
    (T ** (sympy.pi / 10), 0, 1, Fraction(0)),
    ((-T) ** (T / 10 + sympy.Rational(5, 4)), 0, -1, Fraction(0)),
    (sympy.tan(T) ** _THIRD, sympy.pi / 2, -1, -Fraction(34, 100)),
    ((-sympy.tan(T)) ** _THIRD, sympy.pi / 2, 1, -Fraction(34, 100)),
    (LambertW0(10 * T ** sympy.Rational(-1, 10)), 0, 1, Fraction(0)),
    (3 * sympy.log(T) / (1 + 1 / T**3), 0, 1, Fraction(3)),
    # terms that cancel
    ((sympy.cosh(T) - sympy.sinh(T) / T) / T, 0, 1, Fraction(1)),
    (1 / sympy.tanh(T) - 1 / T, 0, -1, Fraction(1)),
    ((T * sympy.exp(T) - sympy.exp(T) + 1) / T**2, 0, 1, Fraction(0)),
]


@pytest.mark.parametrize(("f", "r", "side", "exponent"), APPROACHED, ids=lambda x: str(x))
def test_what_a_function_does_as_a_point_is_approached(
    f: sympy.Expr, r: sympy.Expr, side: int, exponent: Fraction
) -> None:
    r = sympy.sympify(r)
    for width in (_WIDTH, Fraction(1, 2**20), Fraction(1, 2**200)):
        point = end(r, side) if r.is_Rational else replace(end(r, side), zero_of=(sympy.cos(T),))
        majorant = LocalBounds(T, replace(point, width=width)).majorant(f)
        assert majorant is not None
        assert integrable(squared(majorant))
        assert least_exponent(majorant) >= exponent
        function = sympy.lambdify(T, f, ["mpmath", {"LambertW0": mpmath.lambertw}])
        with mpmath.workdps(300):
            root = mpmath.mpmathify(sympy.N(r, 300))
            for x in _DISTANCES:
                at_x = x * exact(width) * 16
                value = abs(function(root + side * at_x))
                assert value <= at(majorant, at_x) * (1 + mpf(10) ** -25), f"at distance {mpmath.nstr(at_x, 5)}"


@pytest.mark.parametrize(
    ("f", "r"),
    [
        (sympy.exp(1 / T), 0),
        (sympy.log(sympy.sin(1 / T) + 1), 0),
        (1 / sympy.sin(1 / T), 0),
        (sympy.exp(sympy.log(T) ** 2 / 8), 0),
        (sympy.exp(-1 / T) * sympy.exp(2 / T), 0),
    ],
    ids=str,
)
def test_what_cannot_be_bounded_is_not(f: sympy.Expr, r: int) -> None:
    assert LocalBounds(T, end(sympy.Integer(r), 1)).majorant(f) is None


def test_a_zero_that_is_only_known_by_name() -> None:
    """A root without an exact value: what vanishes there is told by `zero_of`, and only that."""
    g = sympy.cos(T) - T
    low = Fraction(int(mpmath.floor(mpmath.findroot(lambda x: mpmath.cos(x) - x, 0.7) * 2**40)), 2**40)
    point = EndPoint(None, low, low + Fraction(1, 2**39), 1, _WIDTH, (g,))
    known = LocalBounds(T, point).majorant(sympy.sqrt(-g))
    unknown = LocalBounds(T, EndPoint(None, point.lower, point.upper, 1, _WIDTH)).majorant(1 / sympy.sqrt(-g))
    assert known is not None
    assert least_exponent(known) <= Fraction(1, 2)
    assert unknown is None


def test_order_encloses_the_leading_coefficient() -> None:
    found = LocalBounds(T, end(sympy.Integer(0), 1)).order(sympy.exp(T) - 1 - T)
    assert found is not None
    k, low, high, sign = found
    assert (k, sign) == (2, 1)
    for x in (1e-6, 0.01, 0.0625):
        value = mpmath.expm1(mpf(x)) - x if x > 1e-3 else mpf(x) ** 2 / 2 + mpf(x) ** 3 / 6
        assert exact(low) * mpf(x) ** 2 <= value <= exact(high) * mpf(x) ** 2
    assert Fraction(2, 5) < low <= Fraction(1, 2) <= high < Fraction(3, 5)


@pytest.mark.parametrize(
    ("f", "exponent"),
    [
        (1 / T, Fraction(-1)),
        (T ** sympy.Rational(-3, 4), Fraction(-3, 4)),
        (sympy.sin(T) / T**3, Fraction(-2)),
        (sympy.log(T), None),
        (sympy.exp(1 / T), None),
        (1 / T + sympy.sin(1 / T), Fraction(-1)),
        (1 / (T * sympy.log(1 / T)), None),
        ((2 + 1 / T**3) ** sympy.Rational(1, 2), Fraction(-3, 2)),
    ],
    ids=str,
)
def test_leading_exponents(f: sympy.Expr, exponent: Fraction | None) -> None:
    assert LocalBounds(T, end(sympy.Integer(0), 1)).leading_exponent(f) == exponent


@pytest.mark.parametrize(
    "majorant",
    [
        (Term(Fraction(3), Fraction(1, 2), 0),),
        (Term(Fraction(1), Fraction(-1, 2), 1),),
        (Term(Fraction(2), Fraction(0), 3), Term(Fraction(1, 3), Fraction(-9, 10), 0)),
        (Term(Fraction(5), Fraction(2), 2),),
    ],
)
@pytest.mark.parametrize("width", [Fraction(1, 8), Fraction(1, 10**6)])
def test_integrals_of_majorants(majorant: Majorant, width: Fraction) -> None:
    with mpmath.workdps(40):
        # x = exp(-y): no singularity is left.
        start = -mpmath.log(exact(width))
        value = mpmath.quad(
            lambda y: at(majorant, mpmath.exp(-y)) * mpmath.exp(-y), [start, start + 5, start + 40, start + 900]
        )
        bound = mpf(integral(majorant, width).str(40, radius=False))
        assert value * (1 - mpf(10) ** -10) <= bound <= value * (1 + mpf(10) ** -8)


def test_integrability_is_strict() -> None:
    edge = (Term(Fraction(1), Fraction(-1, 2), 0),)
    assert integrable(edge)
    assert not integrable(squared(edge))
    assert integral(squared(edge), _WIDTH) == arb.pos_inf()
    assert squared((Term(Fraction(2), Fraction(1), 1), Term(Fraction(3), Fraction(0), 0))) == (
        Term(Fraction(4), Fraction(2), 2),
        Term(Fraction(6), Fraction(1), 1),
        Term(Fraction(6), Fraction(1), 1),
        Term(Fraction(9), Fraction(0), 0),
    )
