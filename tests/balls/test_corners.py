"""Where majorants and roots give up, and say so."""

from __future__ import annotations

from fractions import Fraction

import pytest
import sympy
from flint import acb, arb, ctx

from kernelc.balls import roots as module
from kernelc.balls.approach import _outweighs
from kernelc.balls.local import EndPoint, LocalBounds, Term
from kernelc.balls.roots import ROOT_BITS, _dyadic, _hull, _newton, _shrunk_to_end, _sign, isolate_roots
from kernelc.balls.tape import Tape, arb_of
from kernelc.errors import UnsupportedError
from kernelc.functions.envelope import Size
from kernelc.functions.heads import LambertW0, Sinc
from kernelc.model import VARIABLE as T

_ZERO, _ONE = Fraction(0), Fraction(1)


def at_zero() -> LocalBounds:
    return LocalBounds(T, EndPoint(sympy.Integer(0), _ZERO, _ZERO, 1, Fraction(1, 16)))


@pytest.mark.parametrize(
    "f",
    [
        sympy.besselk(0, T),
        sympy.log(sympy.besselk(0, T)),
        T ** (-sympy.besselk(0, T)),
        (1 / T) ** sympy.Rational(1, 3) * sympy.gamma(T),
    ],
)
def test_no_majorant_without_a_proof(f: sympy.Expr) -> None:
    assert at_zero().majorant(f) is None


def test_a_bounded_function_of_what_is_not_bounded_is_bounded_by_its_larger_end() -> None:
    for f, end in ((sympy.erfc(1 / T), 2), (sympy.acos(sympy.sin(1 / T)), 4), (sympy.atan(1 / T), 2)):
        assert at_zero().majorant(f) == (Term(Fraction(end), _ZERO, 0),)


def test_no_leading_exponent_without_a_proof() -> None:
    assert at_zero().leading_exponent(sympy.besselk(0, T)) is None
    assert at_zero().leading_exponent(sympy.log(T)) is None


def test_zeros_of_a_high_order_have_none() -> None:
    assert at_zero().order(sympy.sin(T) ** 5) is not None
    assert at_zero().order(T**9) is None
    assert at_zero().majorant(sympy.log(T**5)) is not None
    assert at_zero()._logarithm(sympy.log(T**12 + T**13)) is None
    assert at_zero().majorant(sympy.log(T**12 + T**13)) == (Term(Fraction(9589731483901991745, 2**58), _ZERO, 1),)


def test_what_tends_to_zero() -> None:
    zero = at_zero()
    # its ball is bounded, which says nothing of its limit
    assert zero.tends_to_zero(T ** (sympy.pi / 10))
    assert zero.tends_to_zero(T * sympy.log(T))
    assert zero.tends_to_zero(sympy.exp(-1 / T**2) / T**5)
    assert not zero.tends_to_zero(1 / sympy.log(T))  # like no power
    assert not zero.tends_to_zero(sympy.sin(1 / T))
    assert not zero.tends_to_zero(sympy.exp(1 / T))
    assert not zero.tends_to_zero(sympy.besselk(0, T))


def test_what_vanishes_nowhere_on_a_cell() -> None:
    zero = at_zero()
    root = sympy.sqrt(T)
    assert zero.has_no_zero(root - T / 8)
    assert zero.has_no_zero(sympy.log(T) * (root - T / 8))
    assert zero.has_no_zero(T ** sympy.Rational(1, 3) - root / 8 - T / 8)
    # identically zero but for the last term
    assert not zero.has_no_zero(sympy.tan(root) - sympy.sin(root) / sympy.cos(root) + T / 1000)
    assert not zero.has_no_zero(root - 2 * T ** sympy.Rational(3, 4))  # at 1/16
    assert not zero.has_no_zero(root - sympy.Rational(1, 100))
    assert not zero.has_no_zero(sympy.log(T) * (root - sympy.Rational(1, 100)))
    assert not zero.has_no_zero(sympy.sin(1 / T))
    assert not zero.has_no_zero(sympy.sin(1 / T) + 1)
    assert not zero.has_no_zero(sympy.besselk(0, T) - T)
    assert not zero.has_no_zero(sympy.Function("unheard_of")(T))


def test_one_term_outweighs_others() -> None:
    """For all y >= 1: 3 exp(-y) against exp(-2 y) (1 + y)^2, whose ratio to it is 4 exp(-1) / 3 at y = 1 and falls."""
    floor = Size(Fraction(3), _ZERO, -_ONE)
    one = Size(_ONE, Fraction(2), Fraction(-2))
    assert _outweighs(floor, [one])
    assert _outweighs(floor, [one, Size(_ONE, _ZERO, -_ONE)])
    assert not _outweighs(floor, [one, one, one])
    assert not _outweighs(Size(_ONE, _ZERO, -_ONE), [one])
    assert not _outweighs(Size(Fraction(100), _ZERO, -_ONE), [Size(_ONE, Fraction(4), Fraction(-2))])  # rises at first
    assert not _outweighs(floor, [Size(_ONE / 1000, Fraction(1), -_ONE)])
    assert not _outweighs(floor, [Size(_ONE / 1000, _ZERO, Fraction(-9, 10))])
    assert not _outweighs(floor, [Size(_ONE / 1000, _ZERO, Fraction(-9), Fraction(1, 10))])
    assert _outweighs(Size(Fraction(3), _ZERO, -_ONE, _ONE), [Size(_ONE, _ZERO, -_ONE, _ONE)])
    assert not _outweighs(Size(Fraction(3), _ZERO, -_ONE, _ONE), [Size(Fraction(3), _ZERO, -_ONE, _ONE)])
    assert not _outweighs(floor, [None])
    assert not _outweighs(None, [one])
    assert not _outweighs(Size(_ZERO), [one])


# Roots


def count(g: sympy.Expr, low: int = -4, high: int = 4) -> int:
    return len(isolate_roots(g, T, Fraction(low), Fraction(high)))


def test_polynomials_with_coefficients_that_are_no_rationals() -> None:
    assert count((T + 1) ** 2 - T**2 - 2 * T) == 0
    (double,) = isolate_roots(T**2 - 2 * sympy.sqrt(2) * T + 2, T, Fraction(-4), Fraction(4))
    assert double.exact == sympy.sqrt(2)
    assert count(T**2 - 2 * sympy.sqrt(2) * T + 3) == 0
    assert count(T**2 - sympy.sqrt(2) * T - 1) == 2
    assert count(T**3 - sympy.sqrt(2)) == 1
    hidden = LambertW0(2 * sympy.exp(2)) - 2  # 0, which nothing shows
    (cluster,) = isolate_roots(T**2 - 2 * T + 1 + hidden, T, Fraction(-4), Fraction(4))
    assert cluster.lower <= 1 <= cluster.upper
    assert not cluster.simple


def test_roots_of_cubics_that_are_multiples_of_named_ones() -> None:
    """SymPy gives 5/2 times a root of another polynomial: it was refused as no function."""
    g = sympy.expand(8 * (T / 10 - sympy.Rational(5, 4)) ** 3 - 24)
    (root,) = isolate_roots(g, T, Fraction(-100), Fraction(100))
    cube = (root.lower / 10 - Fraction(5, 4)) ** 3, (root.upper / 10 - Fraction(5, 4)) ** 3
    assert cube[0] < 3 < cube[1]
    assert cube[1] - cube[0] < Fraction(1, 2**1500)


def test_more_zeros_than_are_worth_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MAX_ROOTS", 3)
    assert count(sympy.sin(T)) == 3
    with pytest.raises(UnsupportedError, match="more than 3 zeros"):
        count(sympy.sin(3 * T))


def test_two_zeros_too_close_for_a_name() -> None:
    """0 is exact; the other, at 1e-13, is not it although a double would hardly tell."""
    g = (sympy.exp(T) - 1) * (sympy.exp(T) - 1 - sympy.Rational(1, 10**13))
    first, second = isolate_roots(g, T, Fraction(-1), Fraction(1))
    assert first.exact == 0
    assert second.exact is None
    assert second.lower > 0


def test_an_end_whose_sign_nobody_knows_stays() -> None:
    tape = Tape((T,), T)
    assert _shrunk_to_end(tape, _ZERO, _ONE, 0, 0) == (_ZERO, _ONE)
    assert _shrunk_to_end(tape, _ZERO, _ONE, 0, 1)[1] < Fraction(1, 2**100)
    assert _shrunk_to_end(tape, -_ONE, _ZERO, -1, 0)[0] > -Fraction(1, 2**100)


def test_newton_refuses_what_it_cannot_isolate() -> None:
    with pytest.raises(UnsupportedError, match="a zero of a condition in the formula could not be isolated"):
        _newton(Tape((T, sympy.Integer(0)), T), -_ONE, _ONE)
    exponential = Tape((sympy.exp(T), sympy.exp(T)), T)
    with pytest.raises(UnsupportedError, match="a zero could not be isolated"):
        _newton(exponential, _ZERO, _ONE)


class Vague(Tape):
    """t - 1/3 with a slope known to a factor of 10,000, and a value known to `radius`."""

    def __init__(self, radius: float) -> None:
        self._radius = radius

    def __call__(self, z: acb, analytic: bool = False) -> tuple[acb, ...]:
        value = z.real - arb(1) / 3 + arb(0, self._radius)
        return acb(value), acb(arb(50, 49.99))


def test_newton_halves_where_it_hardly_moves() -> None:
    with ctx.workprec(2000):
        found = _newton(Vague(0.0), _ZERO, _ONE)
        assert found.lower <= Fraction(1, 3) <= found.upper
        assert found.upper - found.lower <= Fraction(1, 2**ROOT_BITS)


def test_newton_ends_where_no_sign_is_known() -> None:
    with ctx.workprec(64):
        found = _newton(Vague(0.125), _ZERO, _ONE)
        assert found.lower <= Fraction(1, 3) <= found.upper
        assert found.upper - found.lower > Fraction(1, 8)


def test_signs_hulls_and_dyadic_numbers() -> None:
    tape = Tape((T,), T)
    assert [_sign(tape, Fraction(x)) for x in (-2, 0, 3)] == [-1, 0, 1]
    hull = _hull(Fraction(1, 3), Fraction(5, 2)).real
    assert hull.contains(arb(1) / 3)
    assert hull.contains(arb(5) / 2)
    third = Fraction(1, 3)
    assert _dyadic(third, down=True) < third < _dyadic(third, down=False)
    assert _dyadic(Fraction(1, 2), down=True) == Fraction(1, 2) == _dyadic(Fraction(1, 2), down=False)


@pytest.mark.parametrize(("g", "number"), [(sympy.exp(T) - 2, 1), (sympy.cos(T) - T, 1), (sympy.sin(3 * T + 1), 8)])
def test_the_function_changes_its_sign_within_every_enclosure(g: sympy.Expr, number: int) -> None:
    found = isolate_roots(g, T, Fraction(-4), Fraction(4))
    assert len(found) == number
    tape = Tape((g,), T)
    with ctx.workprec(6000):
        for root in found:
            assert _sign(tape, root.lower) * _sign(tape, root.upper) == -1


def test_a_cluster_is_not_called_simple() -> None:
    """Two zeros nearer than balls tell apart, and one that touches."""
    tiny = sympy.Rational(1, 2**200)
    for g in (1 - sympy.cos(T), (sympy.exp(T) - 1) * (sympy.exp(T) - 1 - tiny)):
        found = isolate_roots(g, T, -_ONE, _ONE)
        assert len(found) == 1
        assert not found[0].simple


def test_newton_where_the_balls_of_a_slope_get_wider_on_narrower_brackets() -> None:
    """The derivative of sinc so far out: what enclosed it on the wider bracket still does."""
    g = sympy.sin(10 * T - sympy.Rational(1, 2)) - Sinc(T)
    tape = Tape((g, sympy.diff(g, T)), T)
    with ctx.workprec(304):
        found = _newton(tape, Fraction(15879411935, 2**29), Fraction(254070590965, 2**33))
    with ctx.workprec(8000):
        low, high = (tape(acb(arb_of(end)))[0].real for end in (found.lower, found.upper))
    assert found.simple
    assert low < 0 < high
    assert found.upper - found.lower < Fraction(1, 2**80)
