"""Where an expansion gives up, and says why."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from fractions import Fraction

import pytest
import sympy
from flint import arb

from kernelc.analysis import analyse
from kernelc.balls.local import EndPoint
from kernelc.balls.tape import Tape
from kernelc.errors import UnsupportedError
from kernelc.expansion import expand, hermite, panels
from kernelc.expansion.panels import Closure, PanelBuilder, Target, _log2
from kernelc.model import VARIABLE, ActivationTraits, Breakpoint, Piece
from kernelc.parse import parse_activation

_ONE = Fraction(1)


def traits(text: str) -> ActivationTraits:
    return analyse(parse_activation(text, name="f"), _ONE)


def builder() -> PanelBuilder:
    return PanelBuilder(Target(4, 32, arb(1), True))


def test_more_panels_than_are_worth_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(panels, "_MAX_PANELS", 2)
    with pytest.raises(UnsupportedError, match="could not be enclosed: too many panels"):
        expand(traits("tanh(t)"), _ONE, 4, 4, 64)


def test_a_bound_that_begins_beyond_the_range_encloses_nothing() -> None:
    found = traits("tanh(t)")
    assert found.growth is not None
    late = replace(found, growth=replace(found.growth, beyond=Fraction(10**7)))
    with pytest.raises(UnsupportedError, match="reach beyond what was analysed"):
        expand(late, _ONE, 4, 4, 64)


@pytest.mark.parametrize("text", ["exp(1000*t)", "relu(t-1)*cosh(100*t)", "exp(t^2/5)*exp(60*t)"])
def test_what_is_far_beyond_doubles_is_refused_before_it_is_integrated(text: str) -> None:
    """It took half a minute, and was called too fast."""
    start = time.monotonic()
    with pytest.raises(UnsupportedError, match=r"E\[sigma\^2\] is above 1e\+280"):
        expand(traits(text), _ONE, 4, 4, 64)
    assert time.monotonic() - start < 10


def test_a_breakpoint_that_is_not_located_is_refused() -> None:
    piece = Piece(None, None, VARIABLE, sympy.Integer(1))
    wide = EndPoint(None, Fraction(0), Fraction(1, 4), 1, Fraction(0))
    with pytest.raises(ArithmeticError, match="located closely enough"):
        builder()._close(piece, wide, Fraction(0), required=True)


def test_a_sliver_without_a_majorant_is_refused_where_it_must_be_closed() -> None:
    piece = Piece(None, None, sympy.besselk(0, VARIABLE), sympy.Integer(1))
    end = EndPoint(None, Fraction(0), Fraction(1, 2**20), 1, Fraction(0))
    assert not builder()._close(piece, end, Fraction(1, 16), required=False)
    with pytest.raises(ArithmeticError, match="next to a breakpoint"):
        builder()._close(piece, end, Fraction(0), required=True)


def test_a_sliver_that_is_not_small_is_left_to_panels() -> None:
    piece = Piece(None, None, sympy.sqrt(VARIABLE), 1 / sympy.sqrt(VARIABLE) ** sympy.Rational(1, 2))
    end = EndPoint(sympy.Integer(0), Fraction(0), Fraction(0), 1, Fraction(0))
    made = builder()
    assert not made._close(piece, end, Fraction(1, 16), required=False)
    assert not made.closures
    assert made._close(piece, end, Fraction(1, 2**80), required=False)
    assert len(made.closures) == 1


def test_a_singular_point_that_nothing_closes_is_refused() -> None:
    f = sympy.besselk(0, VARIABLE)
    piece = Piece(None, None, f, sympy.Integer(1))
    end = EndPoint(sympy.Integer(0), Fraction(0), Fraction(0), 1, Fraction(0))
    with pytest.raises(ArithmeticError, match="could not be closed"):
        builder()._cover(piece, Tape((1 / VARIABLE, VARIABLE), VARIABLE), Fraction(0), Fraction(1, 2**6001), end, None)


def test_what_closures_leave_open_is_in_every_coefficient(monkeypatch: pytest.MonkeyPatch) -> None:
    """To the side: panels' errors are so much wider than their truth that they cover for a closure's."""
    left_open = Closure(arb(2) ** -10, (arb(0), arb(0)))

    class Leaving(PanelBuilder):
        def add_piece(self, piece: Piece, low: Fraction, high: Fraction) -> None:
            super().add_piece(piece, low, high)
            self.closures = [left_open]

    monkeypatch.setattr(hermite, "PanelBuilder", Leaving)
    sums = hermite._integrate(traits("tanh(t)+t^2"), _ONE, 5, 64, Fraction(20), Fraction(20))
    assert all(a.rad() > left_open.error * 0.99 for a in sums.hermite)


def test_a_piece_outside_of_the_line_adds_nothing() -> None:
    made = builder()
    three = Breakpoint(sympy.Integer(3), Fraction(3), Fraction(3), "kink")
    made.add_piece(Piece(three, None, VARIABLE, sympy.Integer(1)), Fraction(-2), Fraction(2))
    assert not made.panels
    made.add_piece(Piece(None, three, VARIABLE, sympy.Integer(1)), Fraction(-2), Fraction(2))
    assert made.panels


def test_a_constant_has_a_slope_of_nothing() -> None:
    found = expand(traits("3"), _ONE, 2, 2, 64)
    assert found.kappa_dot is not None
    assert found.kappa_dot.moment.is_zero()
    assert found.kappa_dot.tail_is_zero_after == 0
    assert found.kappa.tail_is_zero_after == 0
    assert found.kappa.moment.overlaps(arb(9))


def test_logarithms_for_choices() -> None:
    assert _log2(arb.pos_inf()) == math.inf
    assert _log2(arb(0)) == -1e4
    assert _log2(arb(8)) == pytest.approx(3)
