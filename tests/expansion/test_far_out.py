"""Integrals that a growth bound makes long: what holds only far out, what is steep, and what next to nothing adds."""

from __future__ import annotations

from fractions import Fraction

import pytest
import sympy
from flint import acb, arb, ctx

from kernelc.analysis import analyse
from kernelc.balls.tape import Tape
from kernelc.expansion import expand
from kernelc.expansion.hermite import _integrate, _reach
from kernelc.expansion.panels import PanelBuilder, Target
from kernelc.model import VARIABLE, ActivationTraits
from kernelc.parse import parse_activation
from tests.expansion.test_expand import assert_expansion

_ONE = Fraction(1)


def traits(text: str, variance: Fraction = _ONE) -> ActivationTraits:
    return analyse(parse_activation(text, name="f"), variance)


@pytest.mark.parametrize(
    ("text", "variance", "digits"),
    [
        # bounds that held far out only
        ("3/2*(5-t)^5", "1", 12),
        ("sqrt(1+(t/10000+1/1000)^2)", "1/100", 15),
        ("max(atan(t/4-2), log(abs(t/2+2)))", "1", 12),
        # lost to cancellation in the right half plane
        ("asinh(100*t-1/2)", "1", None),
        # squares of balls about 0
        ("(sigmoid(t)-softplus(t))/4", "100", None),
        # sigma' grows too fast, sigma does not
        ("min(exp(t^2/3), relu(t))", "2", None),
        ("lambertw(exp(t))", "1", 12),
    ],
)
def test_activations_that_were_refused_for_no_reason(text: str, variance: str, digits: int | None) -> None:
    q = Fraction(variance)
    found = expand(traits(text, q), q, 4, 6, None)
    assert found.proved
    assert found.panels < 400
    assert found.kappa.moment.rad() < found.kappa.moment.mid() * arb(2) ** -60
    if digits is not None:
        assert_expansion(text, q, found, (0, 3), digits)


def test_a_piece_beyond_the_integrals() -> None:
    """|t - 30| is 30 - t on all that counts; its square is (t - 30)^2 everywhere."""
    found = expand(traits("abs(t-30)"), _ONE, 2, 4, None)
    assert found.kappa.moment.contains(901)
    assert found.kappa.moment.rad() < 1e-15
    assert 0 < 1 - found.kappa.coefficients[1] < arb(10) ** -190  # 4 (1 - Phi(30))


@pytest.mark.parametrize("text", ["t + tanh(t)", "t^2*exp(t)", "abs(t-1/3)"])
def test_what_is_far_out_is_counted(text: str) -> None:
    """A bulk that is too small by far, at few bits: only what is bounded there keeps the balls around the truth."""
    found = traits(text)
    with ctx.workprec(200):
        truth = _integrate(found, _ONE, 8, 120, Fraction(30), Fraction(30))
        for bulk in (Fraction(5), Fraction(9)):
            rough = _integrate(found, _ONE, 8, 16, bulk, Fraction(1000))
            for a, b in zip(
                [rough.moment, rough.derivative_moment, *rough.hermite],
                [truth.moment, truth.derivative_moment, *truth.hermite],
                strict=True,
            ):
                assert a.overlaps(b)
                assert a.rad() < arb(2) ** -8 * (1 + abs(b))
            assert rough.panels < 40


def test_bounds_far_out_are_the_integrands() -> None:
    f = sympy.exp(VARIABLE)
    tape = Tape((f, 3 * f), VARIABLE)
    builder = PanelBuilder(Target(4, 4, arb(2), True, Fraction(30)))
    assert not builder._is_far_out(tape, Fraction(29), Fraction(31))
    assert not builder._is_far_out(tape, Fraction(-31), Fraction(31))
    assert builder._is_far_out(tape, Fraction(32), Fraction(34))
    assert builder._is_far_out(tape, Fraction(-34), Fraction(-32))
    closure = builder.closures[0]
    root = (2 * arb.pi()).sqrt() * 2
    size = arb(34).exp()
    exact = [
        2 * size * arb(-64).exp() / root,
        2 * size**2 * arb(-128).exp() / root,
        18 * size**2 * arb(-128).exp() / root,
    ]
    for bound, value in zip([closure.error, *closure.moments], exact, strict=True):
        assert value <= bound * (1 + arb(2) ** -40)
        assert bound <= value * 1.001
    # What is large, or no number, is left to the panels.
    assert not builder._is_far_out(Tape((f**9, f), VARIABLE), Fraction(32), Fraction(34))
    assert not builder._is_far_out(Tape((1 / (VARIABLE - 33), f), VARIABLE), Fraction(32), Fraction(34))


def test_edges_double_beyond_the_bulk() -> None:
    builder = PanelBuilder(Target(4, 16, arb(1), True, Fraction(3)))
    assert builder._edges(Fraction(-20), Fraction(13)) == [-20, -10, -5, -3, -1, 1, 3, 6, 12, 13]
    assert builder._edges(Fraction(1), Fraction(4)) == [1, 3, 4]
    assert PanelBuilder(Target(4, 16, arb(1), True))._edges(Fraction(0), Fraction(5)) == [0, 2, 4, 5]


def test_the_reach_is_the_bulk_unless_the_bound_begins_later() -> None:
    near = _reach(traits("t^5"), _ONE, 64)
    assert near is not None
    assert near[0] == near[1]
    late = _reach(traits("sqrt(1+(t/10000+1/1000)^2)"), _ONE, 64)
    assert late is not None
    assert late[0] < 40
    assert late[1] > 20_000
    assert _reach(traits("cosh(10*t)"), Fraction(10**6), 64) is None


@pytest.mark.parametrize("x", [(2.5, 0.25), (-2.5, 0.25), (0.1, 0.5), (1000.0, 100.0)])
def test_asinh_on_wide_balls(x: tuple[float, float]) -> None:
    tape = Tape((sympy.asinh(VARIABLE),), VARIABLE)
    middle, radius = x
    value = tape(acb(arb(middle, radius), arb(0, 0.01)))[0]
    assert value.is_finite()
    for at in (middle - radius, middle, middle + radius):
        exact = arb(at).asinh()
        assert value.real.overlaps(exact)
    assert value.real.rad() < 5 * radius
