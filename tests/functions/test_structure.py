"""Bounds of logarithms and quotients of exponentials that outgrow every bound by themselves."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import mpmath
import pytest
import sympy
from mpmath import mpf

from kernelc.analysis.growth import _settled
from kernelc.functions.heads import LambertW0
from kernelc.model import VARIABLE as T
from tests.functions.test_envelope import Bounded, assert_inside, exact

_CUBE, _TOWER = sympy.exp(T**3), sympy.exp(sympy.exp(T))


def _logistic(x: Any) -> Any:
    return 1 / (1 + mpmath.exp(-x))


def _softplus(x: Any) -> Any:
    return max(x, mpf(0)) + mpmath.log1p(mpmath.exp(-abs(x)))


TAME = (
    (sympy.log(1 + _CUBE), lambda t: _softplus(t**3)),
    (sympy.log(3 + 2 * _CUBE + T**2), lambda t: mpmath.log(3 + t**2 + 2 * mpmath.exp(t**3))),
    (sympy.log(sympy.cosh(T**3)), lambda t: mpmath.log(mpmath.cosh(t**3))),
    (sympy.log(sympy.cosh(T) ** 2 * (1 + _CUBE)), lambda t: 2 * mpmath.log(mpmath.cosh(t)) + _softplus(t**3)),
    (sympy.log(1 + _TOWER), lambda t: _softplus(mpmath.exp(t))),
    (LambertW0(_TOWER), lambda t: mpmath.lambertw(mpmath.exp(mpmath.exp(t))).real),
    (T**2 * _CUBE / (1 + _CUBE), lambda t: t**2 * _logistic(t**3)),
    (_CUBE / (5 + 2 * _CUBE), lambda t: 1 / (2 + 5 * mpmath.exp(-(t**3)))),
    (_TOWER / (100 + 2 * _TOWER), lambda t: 1 / (2 + 100 * mpmath.exp(-mpmath.exp(t)))),
    (_CUBE / (1 + _CUBE) ** 2, lambda t: _logistic(t**3) * _logistic(-(t**3))),
    (sympy.gamma(1 + T**2 / 16 + sympy.cos(T)), lambda t: mpmath.gamma(1 + t**2 / 16 + mpmath.cos(t))),
    (
        sympy.gamma(sympy.Rational(1, 10**6) + sympy.sqrt(T**2) * (1 - sympy.cos(2 * sympy.pi * T)) / 2),
        lambda t: mpmath.gamma(mpf(1) / 10**6 + abs(t) * (1 - mpmath.cospi(2 * t)) / 2),
    ),
    (sympy.gamma(1 + sympy.sqrt(T**2)), lambda t: mpmath.gamma(1 + abs(t))),
    (
        sympy.gamma(sympy.Rational(1, 8) + sympy.sqrt(1 + T**2)),
        lambda t: mpmath.gamma(mpf(1) / 8 + mpmath.sqrt(1 + t**2)),
    ),
)


@pytest.mark.parametrize(("f", "truth"), TAME, ids=[str(f) for f, _ in TAME])
def test_bounds_hold_far_out(f: sympy.Expr, truth: Any) -> None:
    with mpmath.workdps(40):
        for sign in (1, -1):
            envelope, beyond = _settled(f, sign, Fraction(10**6))
            if f.func is not sympy.gamma:
                assert envelope.size is not None
            for x in (0, mpf(1) / 8, mpf(1) / 2, 1, 2, 4, 9):
                at = x + exact(beyond)
                if at < 40:
                    assert_inside(Bounded(lambda t: t, envelope, f"{f} on side {sign}"), at, truth(sign * at))


def test_gamma_is_bounded_where_its_argument_is_a_line_at_most() -> None:
    envelope, _ = _settled(sympy.gamma(1 + sympy.sqrt(T**2)), 1, Fraction(10**6))
    assert envelope.size is not None
    assert envelope.size.a2 == Fraction(1, 64)
    for g in (1 + T**2, _TOWER + 1):
        assert _settled(sympy.gamma(g), 1, Fraction(10**6))[0].size is None
    huge = 10**12
    for g in (huge + sympy.sin(T), huge + sympy.sqrt(T**2), 1 + huge * (1 + sympy.sin(T))):
        assert _settled(sympy.gamma(g), 1, Fraction(10**6))[0].size is None
    assert _settled(sympy.gamma(sympy.sin(T)), 1, Fraction(10**6))[0].size is None


@pytest.mark.parametrize(
    "f",
    [
        # terms of no sign, and of no known size
        sympy.log(2 + _CUBE - sympy.exp(T)),
        sympy.log(1 + sympy.gamma(_TOWER)),
        sympy.log(2 + sympy.sinh(T**3)),
        LambertW0(sympy.sinh(T**3)),
        # no constant beside the exponential, and another exponential
        _CUBE / (T**2 + _CUBE),
        _CUBE / (1 + sympy.exp(2 * T**3)),
        _CUBE / (1 - T * _CUBE),
    ],
    ids=str,
)
def test_what_is_not_known_stays_unknown(f: sympy.Expr) -> None:
    assert _settled(f, 1, Fraction(10**6))[0].size is None
