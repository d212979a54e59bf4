"""Envelope rules: what they state of a combination holds at every x that mpmath looks at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import mpmath
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from mpmath import mpf
from mpmath.libmp import NoConvergence

from kernelc.functions import BY_HEAD
from kernelc.functions import envelope as env
from kernelc.functions.envelope import Envelope, Quadratic, Size

_XS = tuple(mpf(x) for x in ("1", "1.015625", "1.5", "2.75", "7", "19.5", "230"))
_NAMED = {head.__name__: record for head, record in BY_HEAD.items()}


def exact(x: Fraction) -> mpf:
    return mpf(x.numerator) / x.denominator


@dataclass(frozen=True)
class Bounded:
    """A function of x >= 1 for mpmath, and the envelope that the rules gave it."""

    value: Callable[[mpf], Any]
    envelope: Envelope
    text: str


def _quadratic(q: Quadratic, x: mpf) -> mpf:
    return exact(q.a2) * x * x + exact(q.a1) * x + exact(q.a0)


def _log_size(s: Size, x: mpf) -> mpf:
    if s.scale == 0:
        return -mpmath.inf
    return mpmath.log(exact(s.scale)) + exact(s.power) * mpmath.log1p(x) + exact(s.a1) * x + exact(s.a2) * x * x


def assert_inside(f: Bounded, x: mpf, value: mpf) -> None:
    """Every statement of the envelope, up to 30 digits of rounding in this test."""
    e, tiny = f.envelope, mpf(10) ** -30
    where = f"{f.text} at x = {x} is {mpmath.nstr(value, 12)}: {e}"
    slack = tiny * (1 + abs(value))
    if e.lower is not None:
        assert value >= _quadratic(e.lower, x) - slack * (1 + abs(_quadratic(e.lower, x))), where
    if e.upper is not None:
        assert value <= _quadratic(e.upper, x) + slack * (1 + abs(_quadratic(e.upper, x))), where
    if e.size is not None and value != 0:
        log = _log_size(e.size, x)
        assert mpmath.log(abs(value)) <= log + tiny * (1 + abs(log)), where
    if e.floor is not None:
        assert e.floor.scale > 0
        log = _log_size(e.floor, x)
        assert value != 0, where
        assert mpmath.log(abs(value)) >= log - tiny * (1 + abs(log)), where


_COEFFICIENTS = st.sampled_from([Fraction(n, d) for n in (-3, -1, 0, 1, 2, 7) for d in (1, 3, 8)])


def _polynomial(a: Fraction, b: Fraction, c: Fraction) -> Bounded:
    q = Quadratic(a, b, c)
    return Bounded(lambda x: _quadratic(q, x), Envelope(q, q).completed(), f"({a}x^2+{b}x+{c})")


def _wave(low: Fraction, width: Fraction) -> Bounded:
    high = low + width
    return Bounded(
        lambda x: exact(low) + exact(width) * (1 + mpmath.sin(11 * x)) / 2,
        env.constant(low, high),
        f"wave[{low},{high}]",
    )


_BASES = st.one_of(
    st.builds(_polynomial, _COEFFICIENTS, _COEFFICIENTS, _COEFFICIENTS),
    st.builds(_polynomial, st.just(Fraction(0)), _COEFFICIENTS, _COEFFICIENTS),
    st.builds(_wave, _COEFFICIENTS, st.sampled_from([Fraction(0), Fraction(1, 3), Fraction(5)])),
)


def _real(value: Any) -> mpf:
    """The value where it is real and of a size that mpmath is quick with.

    Raises:
        ValueError: it is not.
    """
    value = mpmath.mpmathify(value)
    if isinstance(value, mpmath.mpc) or not mpmath.isfinite(value) or mpmath.mag(value) > 10**4:
        raise ValueError
    return value


def _positive(function: Callable[[mpf], Any]) -> Callable[[mpf], Any]:
    """The function on its record's domain, x > 0."""

    def guarded(x: mpf) -> Any:
        if x <= 0:
            raise ValueError
        return function(x)

    return guarded


_BINARY: dict[str, tuple[Callable[..., Any], Callable[..., Envelope]]] = {
    "+": (lambda a, b: a + b, env.added),
    "*": (lambda a, b: a * b, env.multiplied),
    "max-or-min": (lambda a, b: max(a, b), env.hull),
    "second": (lambda a, b: b, env.hull),
}
_UNARY: dict[str, tuple[Callable[..., Any], Callable[..., Envelope]]] = {
    "neg": (lambda a: -a, env.negated),
    "abs": (abs, env.absolute),
    "1/": (lambda a: 1 / a, env.reciprocal),
    "square": (lambda a: a * a, lambda e: env.positive_power(e, Fraction(2))),
    "cube": (lambda a: a**3, lambda e: env.positive_power(e, Fraction(3))),
    "exp": (mpmath.exp, env.exponential),
    "log": (lambda a: mpmath.log(a), env.logarithm),
    "log1p": (
        lambda a: mpmath.log1p(a),
        lambda e: env.no_less_than_log1p(env.logarithm(env.added(e, env.constant(Fraction(1), Fraction(1)))), e),
    ),
    "sqrt": (lambda a: mpmath.sqrt(a), lambda e: env.positive_power(e, Fraction(1, 2))),
    "^(7/3)": (lambda a: a ** (mpf(7) / 3), lambda e: env.positive_power(e, Fraction(7, 3))),
    **{
        name: (getattr(mpmath, _NAMED[name].mpmath_name), lambda e, rule=_NAMED[name].envelope: rule([e]).completed())
        for name in (
            "sin",
            "cos",
            "tan",
            "sinh",
            "cosh",
            "tanh",
            "asinh",
            "acosh",
            "atanh",
            "asin",
            "acos",
            "atan",
            "erf",
            "erfc",
            "erfi",
            "airyai",
            "LambertW0",
        )
    },
    "gamma": (_positive(mpmath.gamma), lambda e: _NAMED["gamma"].envelope([e]).completed()),
    "loggamma": (_positive(mpmath.loggamma), lambda e: _NAMED["loggamma"].envelope([e]).completed()),
    "airyaiprime": (
        lambda a: mpmath.airyai(a, derivative=1),
        lambda e: _NAMED["airyaiprime"].envelope([e]).completed(),
    ),
    "digamma": (
        _positive(mpmath.digamma),
        lambda e: _NAMED["polygamma"].envelope([env.constant(Fraction(0), Fraction(0)), e]),
    ),
    "trigamma": (
        _positive(lambda a: mpmath.psi(1, a)),
        lambda e: _NAMED["polygamma"].envelope([env.constant(Fraction(1), Fraction(1)), e]),
    ),
    "J_2": (
        lambda a: mpmath.besselj(2, a),
        lambda e: _NAMED["besselj"].envelope([env.constant(Fraction(2), Fraction(2)), e]),
    ),
    "I_0": (
        lambda a: mpmath.besseli(0, a),
        lambda e: _NAMED["besseli"].envelope([env.constant(Fraction(0), Fraction(0)), e]),
    ),
}


def _binary(name: str, f: Bounded, g: Bounded) -> Bounded:
    operation, rule = _BINARY[name]
    return Bounded(
        lambda x: _real(operation(f.value(x), g.value(x))), rule(f.envelope, g.envelope), f"({f.text} {name} {g.text})"
    )


def _unary(name: str, f: Bounded) -> Bounded:
    operation, rule = _UNARY[name]
    return Bounded(lambda x: _real(operation(f.value(x))), rule(f.envelope), f"{name}({f.text})")


_EXPRESSIONS = st.recursive(
    _BASES,
    lambda inner: st.one_of(
        st.builds(_binary, st.sampled_from(sorted(_BINARY)), inner, inner),
        st.builds(_unary, st.sampled_from(sorted(_UNARY)), inner),
        st.builds(_unary, st.sampled_from(["exp", "1/", "log", "abs"]), inner),
    ),
    max_leaves=5,
)


def _value(f: Bounded, x: mpf) -> mpf | None:
    """The real value at x; None where it is not real, too large or mpmath gives up."""
    try:
        return _real(f.value(x))
    except (OverflowError, ZeroDivisionError, ValueError, NoConvergence):
        return None


@settings(max_examples=250, deadline=None, derandomize=True, database=None)
@given(_EXPRESSIONS)
def test_random_combinations_stay_inside(f: Bounded) -> None:
    """A domain that is left at one x voids the premise (every argument real for all x >= 1) at all of them."""
    with mpmath.workdps(50):
        values = [_value(f, x) for x in _XS]
        assume(all(v is not None for v in values[:5]))
        for x, value in zip(_XS, values, strict=True):
            if value is not None:
                assert_inside(f, x, value)


@pytest.mark.parametrize("name", sorted(_UNARY))
@pytest.mark.parametrize(
    "base",
    [
        _polynomial(Fraction(0), Fraction(2, 3), Fraction(1, 8)),
        _polynomial(Fraction(0), Fraction(-2), Fraction(1)),
        _polynomial(Fraction(1, 8), Fraction(0), Fraction(1)),
        _polynomial(Fraction(1), Fraction(1), Fraction(1)),
        _wave(Fraction(1, 4), Fraction(1, 2)),
        _wave(Fraction(-1, 3), Fraction(2, 3)),
        _wave(Fraction(5, 4), Fraction(3)),
    ],
    ids=lambda b: b.text,
)
def test_each_rule_on_each_kind_of_argument(name: str, base: Bounded) -> None:
    f = _unary(name, base)
    with mpmath.workdps(50):
        values = [_value(f, x) for x in _XS]
        if any(v is None for v in values[:5]):
            return
        for x, value in zip(_XS, values, strict=True):
            if value is not None:
                assert_inside(f, x, value)


@pytest.mark.parametrize(
    ("f", "g"),
    [(Quadratic(a1=Fraction(1)), Quadratic(a1=Fraction(-1))), (Quadratic(a0=Fraction(2)), Quadratic(a0=Fraction(-2)))],
)
def test_a_sum_of_opposite_signs_has_no_floor(f: Quadratic, g: Quadratic) -> None:
    first, second = Envelope(f, f, floor=Size(Fraction(1))), Envelope(g, g, floor=Size(Fraction(1)))
    assert env.added(first, second).floor is None


_SIZES = st.builds(
    lambda scale, *exponents: Size(abs(scale), *exponents),
    *[st.sampled_from([Fraction(n, 3) for n in (-7, -1, 0, 2, 40)])] * 4,
)


@settings(max_examples=100, deadline=None, derandomize=True, database=None)
@given(_SIZES, _SIZES)
def test_sums_and_unions_of_sizes_hold_both(f: Size, g: Size) -> None:
    with mpmath.workdps(50):
        for x in _XS:
            sizes = [mpmath.exp(_log_size(s, x)) for s in (f, g)]
            assert mpmath.log(sum(sizes)) <= _log_size(f + g, x) + mpf(10) ** -14
            assert mpmath.log(max(sizes)) <= _log_size(f.union(g), x) + mpf(10) ** -14


def test_a_narrow_bump_beside_a_line_is_no_exponential() -> None:
    line, bump = Size(Fraction(3), Fraction(1)), Size(Fraction(5), Fraction(0), Fraction(300), Fraction(-500_000))
    for both in (line + bump, bump + line, line.union(bump), bump.union(line)):
        assert (both.power, both.a1, both.a2) == (Fraction(1), Fraction(0), Fraction(0))
        assert both.scale < 9
    # where it would cost more than it saves
    high = Size(Fraction(1), Fraction(0), Fraction(100), Fraction(-1))
    assert (line + high).a1 == 100


def test_of_two_envelopes_the_one_that_tells_the_sign() -> None:
    wide, narrow = env.constant(Fraction(-1), Fraction(2)), env.constant(Fraction(0), Fraction(3))
    assert env.either(wide, narrow).lower == narrow.lower
    assert env.either(wide, narrow).upper == wide.upper
    assert env.either(narrow, wide) == narrow
    below = env.constant(Fraction(-3), Fraction(0))
    assert env.either(wide, below).upper == below.upper
    assert env.either(wide, below).lower == wide.lower
    assert env.either(Envelope(), narrow) == narrow
    assert env.either(narrow, Envelope()) == narrow
    assert env.either(env.constant(Fraction(-2), Fraction(-1)), narrow).lower == Quadratic(a0=Fraction(-2))


def test_what_is_not_known_stays_unknown() -> None:
    nothing, one = Envelope(), env.constant(Fraction(1), Fraction(1))
    assert env.reciprocal(env.constant(Fraction(-1), Fraction(1))) == nothing
    assert env.added(nothing, one).size is None
    assert env.multiplied(nothing, one).size is None
    assert env.hull(nothing, one).size is None
    assert env.exponential(nothing).size is None
    assert env.exponential(_polynomial(Fraction(0), Fraction(1), Fraction(0)).envelope).size == Size(
        Fraction(1), Fraction(0), Fraction(1)
    )


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(
    st.fractions(),
    st.fractions(min_value=-40, max_value=40),
    st.sampled_from([Fraction(1, 3), Fraction(5, 2), Fraction(4)]),
)
def test_roundings_go_outwards(x: Fraction, y: Fraction, exponent: Fraction) -> None:
    assert env.round_down(x) <= x <= env.round_up(x)
    assert env.round_up(x) - env.round_down(x) <= abs(x) / 2**60
    assert env.round_up(x).denominator.bit_length() <= 65 + x.denominator.bit_length()
    with mpmath.workdps(60):
        below, above = env.exp_down(y), env.exp_up(y)
        assert below is not None
        assert above is not None
        assert exact(below) <= mpmath.exp(exact(y)) <= exact(above)
        assert above - below <= above / 2**60
        if y > 0:
            low, high = env.power_down(y, exponent), env.power_up(y, exponent)
            assert low is not None
            assert high is not None
            assert exact(low) <= exact(y) ** exact(exponent) <= exact(high)
            least, most = env.log_down(y), env.log_up(y)
            assert least is not None
            assert most is not None
            assert exact(least) <= mpmath.log(exact(y)) <= exact(most)
