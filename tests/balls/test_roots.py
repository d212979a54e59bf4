"""Certified roots: every one is found, enclosed, and called simple or exact only where it is."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import mpmath
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st
from mpmath import mpf

from kernelc.balls.roots import RealRoot, enclose_constant, isolate_roots
from kernelc.errors import UnsupportedError
from kernelc.model import VARIABLE as T

_LOW, _HIGH = Fraction(-10), Fraction(10)


def roots(g: sympy.Expr, low: Fraction = _LOW, high: Fraction = _HIGH) -> list[RealRoot]:
    found = isolate_roots(g, T, low, high)
    assert all(a.upper < b.lower for a, b in pairwise(found)), "the enclosures are in order and apart"
    return found


def holds(root: RealRoot, value: str | mpf) -> bool:
    with mpmath.workdps(600):
        x = mpf(value)
        low, high = (mpf(e.numerator) / e.denominator for e in (root.lower, root.upper))
        tiny = mpf(10) ** -450
        return bool(low - tiny <= x <= high + tiny)


def narrow(root: RealRoot) -> bool:
    return root.upper - root.lower <= Fraction(1, 2**1500)


@settings(max_examples=40, deadline=None, derandomize=True, database=None)
@given(st.lists(st.fractions(min_value=-12, max_value=12, max_denominator=9), min_size=1, max_size=5))
def test_rational_roots_of_polynomials_with_multiplicity(points: list[Fraction]) -> None:
    g = sympy.expand(sympy.Mul(*[T - sympy.Rational(p.numerator, p.denominator) for p in points]))
    found = roots(g)
    expected = sorted({p for p in points if _LOW <= p <= _HIGH})
    assert [r.exact for r in found] == [sympy.Rational(p.numerator, p.denominator) for p in expected]
    assert all(r.lower <= p <= r.upper and narrow(r) for r, p in zip(found, expected, strict=True))


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("t**2 - 2", [-(mpmath.mpf(2) ** 0.5), mpmath.mpf(2) ** 0.5]),
        ("t**5 - t - 1", None),
        ("t**3 - 3*t + 1", None),
        ("t**4 + 1", []),
        ("sqrt(2)*t**2 - pi*t + 1", None),
        ("sqrt(2)*t**2 - t + 5", []),
        ("pi*t - 3", None),
    ],
)
def test_irrational_roots_of_polynomials(text: str, values: list[mpf] | None) -> None:
    g = sympy.sympify(text, locals={"t": T})
    with mpmath.workdps(500):
        coefficients = [mpmath.mpmathify(sympy.N(c, 500)) for c in sympy.Poly(g, T).all_coeffs()]
        every = mpmath.polyroots(coefficients, maxsteps=2000, extraprec=2000) if len(coefficients) > 1 else []
        real = sorted(mpmath.re(z) for z in every if abs(mpmath.im(z)) < mpf(10) ** -300)
    found = roots(g)
    assert len(found) == len(real)
    if values is not None:
        assert len(found) == len(values)
    assert all(holds(r, x) and narrow(r) and r.simple for r, x in zip(found, real, strict=True))


@pytest.mark.parametrize(
    ("g", "guesses"),
    [
        (sympy.exp(T) - 2, [0.7]),
        (sympy.cos(T) - T, [0.74]),
        (sympy.exp(T) - T**2, [-0.7]),
        (sympy.tanh(T) - T / 2, [-1.9, 0.0, 1.9]),
        (sympy.erf(T) - sympy.Rational(1, 2), [0.47]),
        (sympy.besselj(0, T), [-8.65, -5.5, -2.4, 2.4, 5.5, 8.65]),
        (T * sympy.exp(T) + sympy.Rational(1, 10), [-3.5, -0.11]),
        (sympy.sin(T), [k * 3.141592653589793 for k in range(-3, 4)]),
        (sympy.exp(T) + 1, []),
        (sympy.cosh(T), []),
    ],
)
def test_transcendental_roots(g: sympy.Expr, guesses: list[float]) -> None:
    found = roots(g)
    assert len(found) == len(guesses)
    f = sympy.lambdify(T, g, "mpmath")
    for root, guess in zip(found, guesses, strict=True):
        with mpmath.workdps(500):
            value = mpmath.findroot(f, mpf(guess) + mpf("1e-3"))
        assert holds(root, value)
        assert root.exact is not None or (root.simple and narrow(root))


def test_roots_are_named_where_they_are_recognised() -> None:
    assert [r.exact for r in roots(sympy.sin(T))] == [k * sympy.pi for k in range(-3, 4)]
    assert [r.exact for r in roots(sympy.exp(T - 3) - 1)] == [3]
    assert [r.exact for r in roots(sympy.tanh(2 * T - 1))] == [sympy.Rational(1, 2)]
    # 0.333333 is not a third.
    near = roots(sympy.exp(T - sympy.Rational(333333, 10**6)) - 1)
    assert [r.exact for r in near] == [None]
    assert near[0].lower <= Fraction(333333, 10**6) <= near[0].upper


@pytest.mark.parametrize("g", [1 - sympy.cos(T), sympy.sin(T) ** 2, (sympy.exp(T) - 1) ** 2, sympy.exp(T) - 1 - T])
def test_multiple_roots_are_kept_and_never_called_simple(g: sympy.Expr) -> None:
    low, high = Fraction(-1), Fraction(2)
    (root,) = roots(g, low, high)
    assert root.exact == 0
    assert not root.simple
    assert root.lower <= 0 <= root.upper
    assert root.upper - root.lower < Fraction(1, 2**40)


def test_two_near_roots_are_told_apart_or_said_not_to_be() -> None:
    """Roots 2e-10 apart are two; 2e-50 apart they are one cluster that encloses both and is not simple."""
    apart = roots(sympy.cosh(T) - 1 - sympy.Rational(1, 2 * 10**20))
    assert len(apart) == 2
    assert all(r.simple and narrow(r) for r in apart)
    cluster = roots(sympy.cosh(T) - 1 - sympy.Rational(1, 2 * 10**100))
    assert len(cluster) == 1
    assert not cluster[0].simple
    assert cluster[0].lower < -Fraction(1, 10**50)
    assert cluster[0].upper > Fraction(1, 10**50)


def test_roots_at_the_ends_of_the_interval_count() -> None:
    for g in (T**2 - 1, sympy.exp(T) * (T**2 - 1), sympy.sin(sympy.pi * T)):
        found = roots(g, Fraction(-1), Fraction(1))
        assert found[0].lower <= -1 <= found[0].upper
        assert found[-1].lower <= 1 <= found[-1].upper


def test_a_root_outside_is_left_out() -> None:
    assert roots(sympy.exp(T) - 2, Fraction(1), Fraction(2)) == []
    assert roots(T - 11) == []
    assert isolate_roots(sympy.exp(sympy.Integer(1)) - 2, T, _LOW, _HIGH) == []


def test_a_function_that_vanishes_everywhere_is_refused() -> None:
    with pytest.raises(UnsupportedError, match="zeros"):
        isolate_roots(sympy.sin(T) ** 2 + sympy.cos(T) ** 2 - 1, T, Fraction(0), Fraction(1))


def test_a_slope_whose_terms_cancel_is_joined() -> None:
    """softplus(t) > silu(t), which balls of the slope do not tell where both are near t, or near 0."""
    g = sympy.log(sympy.exp(T) + 1) - T / (1 + sympy.exp(-T))
    assert isolate_roots(g, T, Fraction(-40), Fraction(40)) == []


def test_more_zeros_than_are_kept_are_refused() -> None:
    with pytest.raises(UnsupportedError, match="more than 400 zeros"):
        isolate_roots(sympy.sin(T**2), T, Fraction(-40), Fraction(40))


@pytest.mark.parametrize(
    "value", [sympy.pi, sympy.sqrt(2) / 3, -sympy.exp(3), sympy.Rational(1, 3), sympy.Rational(5, 8)]
)
def test_constants_are_enclosed(value: sympy.Expr) -> None:
    lower, upper = enclose_constant(value)
    with mpmath.workdps(600):
        x = mpmath.mpmathify(sympy.N(value, 600))
        assert mpf(lower.numerator) / lower.denominator - mpf(10) ** -590 <= x
        assert x <= mpf(upper.numerator) / upper.denominator + mpf(10) ** -590
    assert (lower == upper) == (value == sympy.Rational(5, 8))
    assert upper - lower < Fraction(1, 2**1500)
