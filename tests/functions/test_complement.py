"""Sums that cancel far out: found in every spelling, true on balls and in bounds, and their sign kept."""

from __future__ import annotations

from fractions import Fraction

import mpmath
import pytest
import sympy
from flint import acb, arb, ctx
from mpmath import mpf

from kernelc.analysis.growth import _settled, nonnegative_beyond, nonzero_beyond
from kernelc.balls.tape import Tape, arb_of
from kernelc.functions.complement import without_cancelling
from kernelc.model import VARIABLE as T
from tests.functions.test_envelope import Bounded, assert_inside, exact

_Z = 2 * T - 1
#: the sum, and what it is to mpmath in a form that does not cancel
SUMS = (
    (1 + sympy.erf(_Z), lambda t: mpmath.erfc(1 - 2 * t)),
    (1 - sympy.erf(_Z), lambda t: mpmath.erfc(2 * t - 1)),
    (sympy.erf(_Z) - 1, lambda t: -mpmath.erfc(2 * t - 1)),
    (T / 2 + T * sympy.erf(_Z) / 2, lambda t: t * mpmath.erfc(1 - 2 * t) / 2),
    (sympy.sqrt(2) - sympy.sqrt(2) * sympy.erf(_Z), lambda t: mpmath.sqrt(2) * mpmath.erfc(2 * t - 1)),
    (2 - sympy.erfc(_Z), lambda t: mpmath.erfc(1 - 2 * t)),
    (T * sympy.erfc(_Z) - 2 * T, lambda t: -t * mpmath.erfc(1 - 2 * t)),
    (1 + sympy.tanh(_Z), lambda t: 2 / (1 + mpmath.exp(2 - 4 * t))),
    (T - T * sympy.tanh(_Z), lambda t: 2 * t / (1 + mpmath.exp(4 * t - 2))),
    (1 - sympy.tanh(_Z) ** 2, lambda t: mpmath.sech(2 * t - 1) ** 2),
    (3 * T * sympy.tanh(_Z) ** 2 - 3 * T, lambda t: -3 * t * mpmath.sech(2 * t - 1) ** 2),
    (1 - 1 / (1 + sympy.exp(-_Z)), lambda t: 1 / (1 + mpmath.exp(2 * t - 1))),
    (T + sympy.sqrt(1 + T**2), lambda t: mpmath.exp(mpmath.asinh(t))),
    (2 * T - 2 * sympy.sqrt(1 + T**2), lambda t: -2 * mpmath.exp(-mpmath.asinh(t))),
    ((_Z + sympy.sqrt(4 + _Z**2)) / 2, lambda t: mpmath.exp(mpmath.asinh(t - mpf(1) / 2))),
    (T / (1 + sympy.exp(-_Z)) - T, lambda t: -t / (1 + mpmath.exp(2 * t - 1))),
)
_IDS = [str(f) for f, _ in SUMS]


def _holds(ball: arb, value: mpf, of: mpmath.mpc | None = None) -> bool:
    """Whether the ball holds a value, the part of a complex number `of` that mpmath rounded as a whole."""
    lower, upper = (mpf(int(m)) * mpf(2) ** int(e) for m, e in (x.man_exp() for x in (ball.lower(), ball.upper())))
    slack = abs(value if of is None else of) * mpf(10) ** -40
    return bool(lower - slack <= value <= upper + slack)


@pytest.mark.parametrize(("f", "truth"), SUMS, ids=_IDS)
def test_balls_hold_the_value_and_its_digits(f: sympy.Expr, truth: object) -> None:
    assert without_cancelling(f) is not None
    tape = Tape((f, f - 3), T)
    with mpmath.workdps(60), ctx.workprec(80):
        for t in (Fraction(-40), Fraction(-1, 3), Fraction(1, 2), Fraction(7, 5), Fraction(40)):
            value = truth(mpf(t.numerator) / t.denominator)  # type: ignore[operator]
            ball, shifted = (v.real for v in tape(acb(arb_of(t)), True))
            assert _holds(ball, value), (t, ball)
            assert _holds(shifted, value - 3), (t, shifted)
            assert ball.rad() <= abs(ball.mid()) / 2**60, (t, ball)
        # a box, off the real line too
        for centre in (-9.0, 0.25, 9.0):
            box = acb(arb(centre, 0.125), arb(0, 0.25))
            wide = tape(box, True)[0]
            for x in (-0.1, 0.0, 0.12):
                for y in (-0.2, 0.0, 0.24):
                    point = truth(mpmath.mpc(mpf(centre) + mpf(x), mpf(y)))  # type: ignore[operator]
                    assert _holds(wide.real, point.real, point)
                    assert _holds(wide.imag, point.imag, point)


@pytest.mark.parametrize(("f", "truth"), SUMS, ids=_IDS)
def test_no_zero_far_out_and_the_sign(f: sympy.Expr, truth: object) -> None:
    assert nonzero_beyond(f) is not None
    right, left = truth(mpf(9)), truth(mpf(-9))  # type: ignore[operator]
    if right * left > 0:
        positive = f if right > 0 else -f
        assert nonnegative_beyond(positive) is not None
        assert nonnegative_beyond(-positive) is None


@pytest.mark.parametrize(("f", "truth"), SUMS, ids=_IDS)
def test_bounds_hold_far_out(f: sympy.Expr, truth: object) -> None:
    """Of the sum, beside others and under what makes much of its sign."""
    with mpmath.workdps(60):
        for g, value in (
            (f, lambda y, t: y),
            (f + sympy.exp(-(T**2)), lambda y, t: y + mpmath.exp(-(t**2))),
            (f - 5 * T, lambda y, t: y - 5 * t),
            (1 / f, lambda y, t: 1 / y),
            (sympy.log(f**2), lambda y, t: 2 * mpmath.log(abs(y))),
        ):
            for sign in (1, -1):
                envelope, beyond = _settled(g, sign, Fraction(10**6))
                assert envelope.size is not None
                for x in (1, mpf(3) / 2, 4, 9, 30):
                    far = sign * (x + exact(beyond))
                    found = Bounded(lambda t: t, envelope, f"{g} on side {sign}")
                    assert_inside(found, x + exact(beyond), value(truth(far), far))  # type: ignore[operator,no-untyped-call]


def test_a_third_term_counts() -> None:
    for f in (2 + T**2 + sympy.erf(T) - 1, 1 + sympy.tanh(T) + sympy.exp(-(T**2))):
        assert nonnegative_beyond(f) is not None
        assert nonnegative_beyond(f - 3 * T**2) is None
    assert nonzero_beyond(1 + sympy.erf(T) - sympy.exp(-(T**2))) is None


@pytest.mark.parametrize(
    "f",
    [
        1 + 2 * sympy.erf(T),
        2 + sympy.erfc(T),
        1 - sympy.erfc(T),
        1 + sympy.tanh(T) ** 2,
        1 - sympy.tanh(T) ** 3,
        1 + 1 / (1 + sympy.exp(T)),
        1 - 1 / (2 + sympy.exp(T)),
        1 - sympy.erf(T) ** 2,
        T + sympy.erf(T),
        T + sympy.sqrt(1 + 2 * T**2),
        T + 2 * sympy.sqrt(1 + T**2),
        T - sympy.sqrt(T**2 - 1),
        T**2 + sympy.sqrt(1 + T**2),
        1 + sympy.sqrt(1 + T**2),
    ],
    ids=str,
)
def test_sums_that_are_something_else_are_left_alone(f: sympy.Add) -> None:
    assert without_cancelling(f) is None


def test_a_logarithm_of_nearly_one_keeps_its_digits() -> None:
    with mpmath.workdps(60), ctx.workprec(80):
        for f in (sympy.log(1 + sympy.exp(T)), sympy.log(1 + T**2 * sympy.exp(T))):
            ball = Tape((f,), T)(acb(-200), True)[0].real
            truth = mpmath.log1p(mpmath.exp(-200) * (1 if not f.has(T**2) else 40000))
            assert _holds(ball, truth)
            assert ball.rad() <= ball.mid() / 2**60
        # still refused where it is not analytic
        assert not Tape((sympy.log(1 + T),), T)(acb(arb(-1, 2), arb(0, 1)), True)[0].is_finite()
        assert Tape((sympy.log(1 + T),), T)(acb(arb(0, "0.5"), arb(0, 1)), True)[0].is_finite()
