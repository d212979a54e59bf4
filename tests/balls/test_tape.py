"""The tape against mpmath: values, sharing, precision, and what the `analytic` flag refuses."""

from __future__ import annotations

from fractions import Fraction

import mpmath
import pytest
import sympy
from flint import acb, arb, ctx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mpmath import mpf

from kernelc.balls.tape import Tape, arb_of, constant_ball
from kernelc.errors import KernelcError, UnsupportedError
from kernelc.functions.balls import real_power
from kernelc.model import VARIABLE as T
from kernelc.parse import parse_activation
from tests.strategies import Formula, OutOfRangeError, formulas

_SWITCHES = (sympy.Abs, sympy.sign, sympy.Heaviside, sympy.Max, sympy.Min, sympy.Piecewise)


def middle_and_radius(ball: arb) -> tuple[mpf, mpf]:
    (m, e), (r, s) = ball.mid().man_exp(), ball.rad().man_exp()
    return mpmath.ldexp(int(m), int(e)), mpmath.ldexp(int(r), int(s))


@settings(max_examples=120, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(formulas(max_leaves=6), st.sampled_from([Fraction(3, 7), Fraction(-11, 8), Fraction(5, 2)]))
def test_a_formula_is_enclosed_at_a_point(formula: Formula, t: Fraction) -> None:
    """The second road is the evaluator of the strategies, which shares nothing with kernelc."""
    try:
        expression = parse_activation(formula.text, name="f", parameters=dict(formula.parameters)).expression
        if expression.has(*_SWITCHES):
            return
        value = formula.value(t)
    except (KernelcError, OutOfRangeError):
        return
    for bits in (80, 200):
        with ctx.workprec(bits), mpmath.workdps(40):
            ball = Tape((expression,), T)(acb(arb_of(t)))[0]
            middle, radius = middle_and_radius(ball.real)
            assert abs(middle - value) <= radius + mpf(10) ** -25 * (1 + abs(value))
            assert radius <= mpf(10) ** -8 * (1 + abs(value))


def test_outputs_share_one_run_and_follow_the_precision() -> None:
    f = sympy.exp(T) * sympy.sqrt(2) + sympy.pi
    tape = Tape((f, sympy.diff(f, T), f), T)
    for bits in (64, 512, 64):
        with ctx.workprec(bits):
            value, slope, again = tape(acb(arb(1) / 3))
            expected = (arb(1) / 3).exp() * arb(2).sqrt()
            assert (value - arb.pi()).real.overlaps(expected)
            assert slope.real.overlaps(expected)
            assert str(value) == str(again)
            assert arb(2) ** (-bits - 4) < value.real.rad() < arb(2) ** (8 - bits)


def test_what_cancels_beside_another_term_and_under_a_logarithm() -> None:
    """1 + erf(t) + exp(-2 t^2) + t at t = -20 without its t, and log(1 + x) where 1 + x rounds to 1."""
    t, small = mpf(-20), sympy.exp(-2 * T**2)
    with mpmath.workdps(60), ctx.workprec(80):
        for f, value in (
            (1 + sympy.erf(T) + small, mpmath.erfc(20) + mpmath.exp(-800)),
            (sympy.log(1 + sympy.exp(9 * T)), mpmath.log1p(mpmath.exp(-180))),
        ):
            ball = Tape((f,), T)(acb(int(t)), True)[0].real
            middle, radius = middle_and_radius(ball)
            assert abs(middle - value) <= radius + mpf(10) ** -50 * value
            assert radius <= value / 2**60
    # a box about the logarithm's zero
    ball = Tape((sympy.log(1 + T),), T)(acb(arb(0, 0.5)), True)[0].real
    for x in (-0.49, 0.0, 0.49):
        assert ball.contains(arb(1 + x).log().mid())


ACROSS = (
    (sympy.sqrt(T), -1.0),
    (sympy.sqrt(T), 0.0),
    (1 / sympy.sqrt(T), -1.0),
    (T ** sympy.Rational(3, 2), -1.0),
    (T ** sympy.Rational(1, 3), -1.0),
    (T ** sympy.Rational(1, 3), 0.0),
    (T**sympy.pi, -2.0),
    (sympy.log(T), -1.0),
    (T ** sympy.Rational(-5, 2), -1.0),
    (sympy.sqrt(1 + T**2), 1j),
    (sympy.log(1 + sympy.exp(T)), 0.5 + 3.14159j),
    (1 / T, 0.0),
    (1 / (1 + sympy.exp(-T)), 3.14159j),
    (sympy.asin(T / 2), 2.5),
    (sympy.atan(3 * T), 0.4j),
    (sympy.sqrt(2) ** sympy.log(T), -1.0),
    (sympy.acosh(T), 0.0),
    (T**-3, 0.0),
)


@pytest.mark.parametrize(("f", "z"), ACROSS, ids=str)
def test_a_box_across_a_cut_or_pole_is_not_finite(f: sympy.Expr, z: complex) -> None:
    tape = Tape((f,), T)
    point = complex(z)
    box = acb(arb(point.real, 0.01), arb(point.imag, 0.01))
    assert not tape(box, True)[0].is_finite()
    assert tape(acb(arb(0.9, 1e-3), arb(0, 1e-3)) + acb(2 if f == sympy.acosh(T) else 0), True)[0].is_finite()


@pytest.mark.parametrize(
    "f", [sympy.sqrt(T), T ** sympy.Rational(1, 3), T ** sympy.Rational(3, 2), sympy.log(T)], ids=str
)
def test_the_flag_is_what_refuses(f: sympy.Expr) -> None:
    box = acb(arb(-1, 0.01), arb(0, 0.01))
    assert Tape((f,), T)(box, False)[0].is_finite()


def test_a_power_is_finite_next_to_its_branch_point_without_the_flag() -> None:
    z, p = acb(arb("0.5", "0.5")), acb(arb(1) / 3)
    value = real_power(z, p, False)
    assert value.is_finite()
    for x in (0.0, 1e-9, 0.3, 1.0):
        assert value.real.contains(arb(x ** (1 / 3)).mid())
    assert not real_power(z, p, True).is_finite()
    assert not real_power(z, -p, False).is_finite()


def test_unregistered_functions_are_an_error() -> None:
    with pytest.raises(UnsupportedError, match="zeta"):
        Tape((sympy.zeta(T),), T)
    with pytest.raises(UnsupportedError, match="Abs"):
        Tape((sympy.Abs(T),), T)


def test_constants() -> None:
    with ctx.workprec(300):
        assert constant_ball(sympy.EulerGamma + sympy.Catalan - sympy.GoldenRatio, 256).overlaps(
            arb.const_euler() + arb.const_catalan() - (1 + arb(5).sqrt()) / 2
        )
        assert constant_ball(sympy.Rational(1, 3), 64).contains(arb(1) / 3)
        assert constant_ball(sympy.Rational(1, 3), 64).rad() > 0
