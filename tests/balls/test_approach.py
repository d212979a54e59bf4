"""Envelopes in y = 1 + log(w / x): the steps of which `test_local.py` sees only the majorants."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction

import pytest
import sympy
from flint import acb, arb

from kernelc.balls.approach import Approach, Order, _straightened, _with_quadratics
from kernelc.functions.envelope import Envelope, Quadratic, Size
from kernelc.model import VARIABLE as T

_ZERO, _ONE, _WIDTH = Fraction(0), Fraction(1), Fraction(1, 16)


def knowing(found: Order | None = None, value: acb | None = None) -> Approach:
    return Approach(_WIDTH, lambda f: found, lambda f: acb(arb("nan")) if value is None else value, T)


@pytest.mark.parametrize(("sign", "low", "high"), [(1, 0.0, 1.0), (-1, -1.0, 0.0), (0, -1.0, 1.0)])
def test_a_power_of_the_distance_has_the_sign_that_is_known(sign: int, low: float, high: float) -> None:
    f = knowing(Order(2, Fraction(3), Fraction(4), sign)).of(T)
    assert f.lower is not None
    assert f.upper is not None
    assert f.size is not None
    assert f.floor is not None
    most = 4 * (math.e / 16) ** 2
    assert float(f.lower.a0) == pytest.approx(low * most)
    assert float(f.upper.a0) == pytest.approx(high * most)
    assert f.size.a1 == f.floor.a1 == -2
    assert float(f.floor.scale) == pytest.approx(most * 3 / 4)


@pytest.mark.parametrize("value", [acb(arb("nan")), acb(0, 1)])
def test_nothing_is_known_of_a_constant_that_is_no_real_number(value: acb) -> None:
    approach = knowing(None, value)
    assert approach.of(sympy.Integer(3)) == Envelope()
    assert approach.size(sympy.Integer(3)) is None
    assert approach.exponent(sympy.Integer(3)) is None


def test_what_grows_like_an_exponential_lies_beyond_a_parabola() -> None:
    f = Envelope(Quadratic(), floor=Size(Fraction(3), _ZERO, Fraction(1, 2)))
    below = _with_quadratics(f).lower
    above = _with_quadratics(Envelope(upper=Quadratic(), floor=f.floor)).upper
    assert below is not None
    assert above == -below
    for y in (1.0, 2.0, 5.0, 9.0):
        assert float(below.a2) * y * y + float(below.a1) * y + float(below.a0) <= 3 * math.exp(y / 2)


@pytest.mark.parametrize(
    "f",
    [
        Envelope(Quadratic(), floor=Size(_ONE, _ZERO, _ONE, -_ONE)),
        Envelope(Quadratic(), floor=Size(_ONE, _ZERO, -_ONE)),
        Envelope(floor=Size(_ONE, _ZERO, _ONE)),
        Envelope(Quadratic()),
    ],
)
def test_no_parabola_without_a_sign_and_a_floor_that_rises(f: Envelope) -> None:
    assert _with_quadratics(f) == f


@pytest.mark.parametrize("a1", [-40, -3, 0, 2, 30])
@pytest.mark.parametrize("a2", [-30, -2, Fraction(-1, 8), 0])
def test_an_exponent_made_linear_is_no_smaller(a1: int, a2: Fraction) -> None:
    size = Size(_ONE, _ZERO, Fraction(a1), Fraction(a2))
    b, factor = _straightened(size)
    assert b >= -16
    for y in (1.0, 1.5, 4.0, 60.0):
        assert float(a2) * y * y + a1 * y <= float(factor.log()) + float(b) * y + 1e-9


def test_a_factor_beyond_any_size_says_nothing() -> None:
    size = Size(_ONE, _ZERO, Fraction(1000), Fraction(-1, 1000))
    assert not _straightened(size)[1].is_finite()
    approach = knowing()
    approach._known[T] = Envelope(size=size)
    assert approach.size(T) is None
    approach._known[T] = Envelope(size=replace(size, a2=_ONE))
    assert approach.size(T) is None


def test_a_square_grows_where_its_root_has_a_sign() -> None:
    approach = knowing()
    for root in (Envelope(Quadratic(a1=_ONE, a0=_ONE)), Envelope(upper=Quadratic(a1=-_ONE, a0=-_ONE))):
        approach._known = {T: root}
        assert approach.of(T**2).lower == Quadratic(_ONE, Fraction(2), _ONE)
    approach._known = {T: Envelope()}
    assert approach.of(T**2).lower == Quadratic()
