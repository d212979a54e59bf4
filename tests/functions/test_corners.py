"""Simple values, derivatives and prints of the heads; rules without the facts that they need."""

from __future__ import annotations

from fractions import Fraction

import mpmath
import pytest
import sympy
from flint import acb, arb
from sympy.core.function import ArgumentIndexError

from kernelc.errors import InputError
from kernelc.functions import BY_HEAD
from kernelc.functions import envelope as env
from kernelc.functions.balls import real_power
from kernelc.functions.envelope import Envelope, Quadratic, Size
from kernelc.functions.heads import LambertW0, Sinc, SincDerivative
from kernelc.model import VARIABLE as T
from kernelc.parse import parse_activation


def test_simple_values() -> None:
    assert Sinc(0) == 1
    assert Sinc(-T) == Sinc(T)
    assert SincDerivative(0) == 0
    assert LambertW0(0) == 0
    assert LambertW0(sympy.E) == 1


@pytest.mark.parametrize("f", [Sinc(T), LambertW0(T)])
def test_one_argument_has_one_derivative(f: sympy.Expr) -> None:
    assert f.fdiff(1).has(T)
    with pytest.raises(ArgumentIndexError):
        f.fdiff(2)


def test_numbers() -> None:
    assert sympy.N(Sinc(2), 30) == sympy.N(sympy.sin(2) / 2, 30)
    assert sympy.N(LambertW0(3), 30) == sympy.N(sympy.LambertW(3), 30)


def test_formulas_in_latex() -> None:
    assert sympy.latex(Sinc(T)) == r"\operatorname{sinc}\left(t\right)"
    assert sympy.latex(Sinc(T) ** 2) == r"\operatorname{sinc}\left(t\right)^{2}"
    assert sympy.latex(LambertW0(T)) == r"W\left(t\right)"
    assert sympy.latex(LambertW0(T) ** 3) == r"W\left(t\right)^{3}"


@pytest.mark.parametrize(
    ("text", "reason"), [("floor(t)", "jump without end"), ("besselj(-1, t)", "order"), ("besseli(t, t)", "order")]
)
def test_names_that_are_refused(text: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        parse_activation(text, name="f")


def test_bessel_functions_of_broken_order_live_on_the_half_line() -> None:
    record = BY_HEAD[sympy.besselj]
    assert record.at_least_zero([sympy.Rational(1, 2), T]) == (T,)
    assert record.at_least_zero([sympy.Integer(2), T]) == ()


def test_powers_of_balls_without_end() -> None:
    half = acb(arb(1) / 2)
    assert not real_power(acb(arb(0, arb.pos_inf())), half, False).is_finite()
    assert not real_power(acb(arb(0, 1)), half, True).is_finite()
    assert real_power(acb(arb(0, 4)), half, False).real.overlaps(arb(2))
    assert real_power(acb(arb(0)), half, False).contains(acb(0))


_NOTHING = Envelope()


@pytest.mark.parametrize(
    ("head", "arguments"),
    [
        (sympy.loggamma, [_NOTHING]),
        (sympy.loggamma, [Envelope(Quadratic(a0=Fraction(1)), Quadratic(a1=Fraction(1)))]),
        (sympy.polygamma, [_NOTHING, _NOTHING]),
        (sympy.polygamma, [env.constant(Fraction(0), Fraction(0)), _NOTHING]),
        (sympy.erfi, [_NOTHING]),
        (sympy.erfi, [Envelope(Quadratic(), Quadratic(a1=Fraction(10**7), a0=Fraction(10**7)))]),
        (sympy.besselj, [_NOTHING, _NOTHING]),
        (sympy.besseli, [_NOTHING, _NOTHING]),
        (sympy.airyaiprime, [_NOTHING]),
        (sympy.gamma, [_NOTHING]),
        (sympy.tan, [_NOTHING]),
        (sympy.atanh, [_NOTHING]),
    ],
)
def test_a_rule_without_its_facts_says_nothing(head: type, arguments: list[Envelope]) -> None:
    assert BY_HEAD[head].envelope(arguments).size is None


def test_lambert_of_what_grows_exponentially_grows_linearly() -> None:
    found = BY_HEAD[LambertW0].envelope([Envelope(Quadratic(), None, Size(Fraction(3), Fraction(0), Fraction(2)))])
    assert found.size is not None
    assert found.size.a1 == found.size.a2 == Fraction(0)
    assert found.size.power == Fraction(1)
    assert found.nonnegative
    assert BY_HEAD[LambertW0].envelope([_NOTHING]).upper is None


@pytest.mark.parametrize(("a1", "a0", "size"), [(0, 3, None), (2, 1, None), (-1, 5, 7), (-1, 5, None)])
def test_lambert_has_a_floor_where_its_argument_has_one(a1: int, a0: int, size: int | None) -> None:
    floor = Size(Fraction(a0), Fraction(0), Fraction(a1))
    found = BY_HEAD[LambertW0].envelope(
        [Envelope(Quadratic(), None, None if size is None else Size(Fraction(size)), floor)]
    )
    if a1 < 0 and size is None:
        assert found.floor is None
        return
    assert found.floor is not None
    for x in (0, 1, 4):
        argument = a0 * mpmath.exp(a1 * x)
        claimed = float(found.floor.scale) * mpmath.exp(float(found.floor.a1) * x)
        assert 0 < claimed <= mpmath.lambertw(argument).real


def test_nothing_is_known_of_the_logarithm_of_nothing() -> None:
    assert env.logarithm(_NOTHING) == _NOTHING
    assert env.logarithm(Envelope(size=Size(Fraction(0)))).upper is None


def test_a_reciprocal_has_a_floor_where_its_base_has_a_size() -> None:
    one = Size(Fraction(1))
    assert env.reciprocal(Envelope(floor=one)).floor is None
    assert env.reciprocal(Envelope(size=Size(Fraction(1), Fraction(10**7)), floor=one)).floor is None
    found = env.reciprocal(Envelope(size=Size(Fraction(3), Fraction(2)), floor=one)).floor
    assert found is not None
    for x in (1, 4, 90):
        assert float(found.scale) * mpmath.exp(float(found.a1) * x) <= 1 / (3 * (1 + x) ** 2)


@pytest.mark.parametrize(
    ("a2", "a1", "a0", "holds"),
    [(1, -2, 1, True), (1, -3, 2, False), (0, -1, 5, False), (0, 1, 0, True), (-1, 9, 9, False)],
)
def test_where_a_parabola_stays_above_zero(a2: int, a1: int, a0: int, holds: bool) -> None:
    assert Quadratic(Fraction(a2), Fraction(a1), Fraction(a0)).never_below(Fraction(0)) is holds
    assert Quadratic(-Fraction(a2), -Fraction(a1), -Fraction(a0)).never_above(Fraction(0)) is holds


@pytest.mark.parametrize(("a1", "top"), [(4, mpmath.e**4), (-4, mpmath.exp(-5)), (0, mpmath.exp(-1))])
def test_the_exponential_of_a_parabola_has_a_top(a1: int, top: mpmath.mpf) -> None:
    found = env.exponential(Envelope(upper=Quadratic(Fraction(-1), Fraction(a1)))).upper
    assert found is not None
    assert float(found.a0) == pytest.approx(float(top))
    assert env.exponential(Envelope(upper=Quadratic(a1=Fraction(1)))).upper is None


@pytest.mark.parametrize("head", [sympy.tanh, sympy.erf, sympy.atan, sympy.asin, sympy.asinh])
def test_what_falls_to_nothing_keeps_no_floor(head: type) -> None:
    rule = BY_HEAD[head].envelope
    falling = Envelope(
        Quadratic(), Quadratic(a0=Fraction(1)), Size(Fraction(1)), Size(Fraction(1), Fraction(0), Fraction(-1))
    )
    assert rule([falling]).completed().floor is None
    rising = Envelope(Quadratic(), Quadratic(a0=Fraction(1)), Size(Fraction(1)), Size(Fraction(1, 2)))
    assert rule([rising]).completed().floor is not None


def test_only_the_first_bessel_function_stays_above_one() -> None:
    argument = Envelope(Quadratic(), Quadratic(a1=Fraction(1)))
    rule = BY_HEAD[sympy.besseli].envelope
    assert rule([env.constant(Fraction(0), Fraction(0)), argument]).lower == Quadratic(a0=Fraction(1))
    assert rule([env.constant(Fraction(1), Fraction(1)), argument]).lower is None


def test_bessel_functions_of_a_negative_argument_divide_by_nothing() -> None:
    for name, n, sign in (("besselj", 1, -1), ("besselj", 2, 1), ("besseli", 3, -1)):
        f = parse_activation(f"{name}({n}, 2-t)", name="f").expression
        assert f == sign * getattr(sympy, name)(n, T - 2)


def test_numbers_beyond_any_size_are_unknown() -> None:
    assert env.exp_up(Fraction(10**7)) is None
    assert env.exp_down(Fraction(-(10**7))) is None
    assert env.log_up(Fraction(0)) is None
    assert env.power_up(Fraction(0), Fraction(-1)) is None
    assert Size(Fraction(0)).to_power(Fraction(2)) == Size(Fraction(0))
    assert Size(Fraction(0)).to_power(Fraction(0)) == Size(Fraction(1))
