"""Rounding bounds are never below an error that is observed, in exact rational arithmetic."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
from flint import arb
from hypothesis import given, settings
from hypothesis import strategies as st

from kernelc.certificate.rounding import UNIT, double_above, evaluation_bound, gamma, nearest_double, roundings
from kernelc.functions.envelope import fraction_of

_RHOS = (1.0, -1.0, 0.9999999, 0.7071067811865476, -0.333333333333, 0.1, 1e-9, 0.0, -0.9876543210987)
Scheme = Callable[[list[np.floating], np.floating], np.floating]


def horner(c: list[np.floating], x: np.floating) -> np.floating:
    total = c[-1]
    for value in c[-2::-1]:
        total = total * x + value
    return total


def by_parity(c: list[np.floating], x: np.floating) -> np.floating:
    """Even and odd halves in rho^2, one last factor rho."""
    square = x * x
    even = horner(c[0::2], square)
    return even + x * horner(c[1::2], square) if len(c) > 1 else even


def paterson_stockmeyer(c: list[np.floating], x: np.floating) -> np.floating:
    step = max(1, math.isqrt(len(c)))
    power = x
    for _ in range(step - 1):
        power = power * x
    blocks = [horner(c[i : i + step], x) for i in range(0, len(c), step)]
    return horner(blocks, power)


def observed(
    coefficients: list[float], rho: float, dtype: type[np.floating], scheme: Scheme
) -> tuple[Fraction, Fraction]:
    """(error, value) of one evaluation; both exact. The series is that of the doubles, at the rounded rho."""
    x = dtype(rho)
    computed = scheme([dtype(c) for c in coefficients], x)
    point = Fraction(float(x))
    value = Fraction(0)
    for c in reversed(coefficients):
        value = value * point + Fraction(c)
    return abs(Fraction(float(computed)) - value), value


_COEFFICIENTS = st.one_of(
    st.floats(0, 4), st.floats(0, 1e-6), st.sampled_from([0.0, 1.0, 0.1, 1 / 3, 1e-40, 5e-324, 1e-30, 2.0**-126])
)


@pytest.mark.parametrize("scheme", [horner, by_parity, paterson_stockmeyer])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(coefficients=st.lists(_COEFFICIENTS, min_size=1, max_size=70))
def test_the_bound_covers_every_scheme(scheme: Scheme, dtype: type[np.floating], coefficients: list[float]) -> None:
    bound = fraction_of(evaluation_bound(coefficients, dtype.__name__).lower())
    for rho in _RHOS:
        assert observed(coefficients, rho, dtype, scheme)[0] <= bound


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_bound_is_not_far_off_the_worst_case(dtype: type[np.floating]) -> None:
    """One rounding of a constant in float32, and long sums: within a factor that a gamma_n bound always costs."""
    unit = Fraction(float(dtype(1)) * 2.0 ** (-24 if dtype is np.float32 else -53))
    assert fraction_of(evaluation_bound([1.0], dtype.__name__).upper()) <= 6 * unit
    worst = max(observed([1 / 3] * 60, rho, dtype, horner)[0] for rho in np.linspace(0.97, 1.0, 60))
    assert worst > unit
    assert fraction_of(evaluation_bound([1 / 3] * 60, dtype.__name__).upper()) <= 100 * worst


def test_gamma_is_infinite_where_it_says_nothing() -> None:
    assert gamma(3, arb(1) / 4) == arb(3)
    assert gamma(4, arb(1) / 4) == arb.pos_inf()
    assert gamma(2**24, UNIT["float32"]) == arb.pos_inf()
    assert [roundings(d) for d in (0, 1, 10)] == [4, 7, 34]
    for degree in (0, 1, 64, 1024):
        n, u = roundings(degree), Fraction(1, 2**53)
        assert gamma(n, UNIT["float64"]) >= arb(n) * arb(2) ** -53
        assert fraction_of(gamma(n, UNIT["float64"]).upper()) >= n * u / (1 - n * u)


@settings(max_examples=100, deadline=None, derandomize=True, database=None)
@given(st.floats(allow_nan=False, allow_infinity=False), st.floats(0, 1e10))
def test_doubles_are_rounded_outwards(mid: float, rad: float) -> None:
    ball = arb(mid, rad)
    above = double_above(ball)
    exact = fraction_of(ball.upper())
    if math.isfinite(above):
        assert Fraction(above) >= exact
        below = math.nextafter(above, -math.inf)
        assert not math.isfinite(below) or Fraction(below) < exact
    assert nearest_double(arb(mid)) == mid
    assert nearest_double(ball) in (mid, 0.0)
    assert nearest_double(ball) == mid or ball.contains(0)
    third = arb(mid) / 3
    assert abs(Fraction(nearest_double(third)) - Fraction(mid) / 3) <= abs(Fraction(mid) / 3) * Fraction(
        1, 2**52
    ) + Fraction(1, 2**1074)


def test_what_is_not_finite_becomes_infinity() -> None:
    assert double_above(arb.pos_inf()) == math.inf
    assert double_above(arb.nan()) == math.inf
    assert double_above(arb(10) ** 400) == math.inf
    assert double_above(arb(10) ** -400) == 5e-324
    assert double_above(arb(0)) == 0.0
