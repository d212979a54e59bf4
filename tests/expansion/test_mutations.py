"""Mutants that must be caught: an `analytic` flag that is dropped, a bound that is not there, a lost coefficient."""

from __future__ import annotations

from fractions import Fraction

import mpmath
import pytest
import sympy
from flint import acb, arb, ctx
from mpmath import mpf

import kernelc.expansion.hermite as expansion_module
from kernelc.analysis import analyse
from kernelc.balls.tape import Tape
from kernelc.certificate.series import tail_after, tails
from kernelc.errors import UnsupportedError
from kernelc.expansion import expand
from kernelc.model import VARIABLE, ActivationTraits, Growth, HermiteExpansion, Piece, SeriesExpansion
from kernelc.parse import parse_activation
from tests.expansion.reference import misses

_ONE = Fraction(1)
_run = Tape.__call__
_rule = expansion_module._legendre


def without_flag(tape: Tape, z: acb, analytic: bool = False) -> tuple[acb, ...]:
    return _run(tape, z, False)


def half_the_nodes(nodes: int, precision: int) -> tuple[tuple[arb, arb], ...]:
    return _rule(nodes // 2, precision)


def traits(text: str) -> ActivationTraits:
    return analyse(parse_activation(text, name="f"), _ONE)


def wrong(found: HermiteExpansion, truth: HermiteExpansion) -> int:
    """How many balls do not even meet those of the truth."""
    with ctx.workprec(600):
        pairs = [(found.kappa.moment, truth.kappa.moment), *zip(found.hermite, truth.hermite, strict=True)]
        return sum(not a.overlaps(b) for a, b in pairs)


#: Finite across their branch cuts, and so is what of their derivatives is used: only the flag sees the cut.
CUT = ("(1+t^2)^(3/2)", "(1+t^2)^(5/2)*t", "sqrt(1+t^2) + Heaviside(t-1/3)", "t*sqrt(1/4+(t-1)^2) + sign(t)")


@pytest.mark.parametrize("text", CUT)
def test_dropping_the_analytic_flag_gives_wrong_balls(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = traits(text)
    truth = expand(found, _ONE, 0, 6, 320)
    assert wrong(expand(found, _ONE, 0, 6, 128), truth) == 0
    monkeypatch.setattr(Tape, "__call__", without_flag)
    assert wrong(expand(found, _ONE, 0, 6, 128), truth) > 0


def one_piece(f: sympy.Expr, slope: sympy.Expr) -> ActivationTraits:
    """Traits that deny a breakpoint: the whole line as one piece, which it is not."""
    linear = Growth(Fraction(1), _ONE, Fraction(0), Fraction(0), _ONE)
    constant = Growth(_ONE, Fraction(0), Fraction(0), Fraction(0), _ONE)
    return ActivationTraits(
        "none", None, (), (Piece(None, None, f, slope),), Fraction(10**6), linear, constant, "denied", None
    )


def test_a_relu_as_one_analytic_piece_is_refused_and_wrong_without_the_flag(monkeypatch: pytest.MonkeyPatch) -> None:
    """ReLU(t - 1/3) as (x + sqrt(x^2))/2: its kink lies inside a panel, and not in the middle of one."""
    x = VARIABLE - sympy.Rational(1, 3)
    # Unevaluated, or SymPy makes it Abs(x).
    root = sympy.Pow(x**2, sympy.Rational(1, 2), evaluate=False)
    f = sympy.Mul(sympy.Rational(1, 2), sympy.Add(x, root, evaluate=False), evaluate=False)
    assert not f.has(sympy.Abs)
    found = one_piece(f, sympy.Integer(0))
    with mpmath.workdps(40):
        c = mpf(1) / 3
        moment = (1 + c * c) * mpmath.ncdf(-c) - c * mpmath.npdf(c)
        mean = mpmath.npdf(c) - c * mpmath.ncdf(-c)
        right = expand(traits("relu(t-1/3)"), _ONE, 0, 4, 128)
        assert not misses(right.kappa.moment, moment, mpf(10) ** -38)
        assert not misses(right.hermite[0], mean, mpf(10) ** -38)
        with pytest.raises(UnsupportedError, match="enclosed"):
            expand(found, _ONE, 0, 4, 128)
        monkeypatch.setattr(Tape, "__call__", without_flag)
        mutant = expand(found, _ONE, 0, 4, 128)
        assert mutant.kappa.moment.rad() < arb(2) ** -60, "the mutant is sure of itself"
        assert misses(mutant.kappa.moment, moment, mpf(10) ** -10)
        assert misses(mutant.hermite[0], mean, mpf(10) ** -10)


@pytest.mark.parametrize("text", ["tanh(2*t)", "t*sigmoid(t)", "relu(t)*exp(-t)", "1/(1+t^2)", "log(1+exp(t))"])
def test_the_quadrature_bound_is_not_idle(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With half the nodes and the same bound the balls miss: the nodes are not simply far too many."""
    found = traits(text)
    truth = expand(found, _ONE, 0, 6, 320)
    assert wrong(expand(found, _ONE, 0, 6, 128), truth) == 0
    monkeypatch.setattr(expansion_module, "_legendre", half_the_nodes)
    assert wrong(expand(found, _ONE, 0, 6, 128), truth) > 0


@pytest.mark.parametrize("text", ["tanh(2*t)", "abs(t)^(3/2)", "relu(t)"])
def test_the_certified_error_of_the_rule_is_needed(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Radii are honest: the ball's middle is off by something, and by less than the radius."""
    found = traits(text)
    truth, rough = expand(found, _ONE, 0, 6, 400), expand(found, _ONE, 0, 6, 96)
    with ctx.workprec(500):
        for a, b in zip(rough.hermite, truth.hermite, strict=True):
            assert abs(a.mid() - b) < a.rad() + b.rad() or a.is_zero()
            assert a.rad() < arb(2) ** -80


def dropped(series: SeriesExpansion, degree: int) -> SeriesExpansion:
    coefficients = tuple(arb(0) if k == degree else c for k, c in enumerate(series.coefficients))
    return SeriesExpansion(series.moment, coefficients, series.tail_is_zero_after)


@pytest.mark.parametrize(("text", "degree"), [("relu(t)", 8), ("tanh(t)", 9), ("exp(t)", 12), ("abs(t)^(3/2)", 40)])
def test_a_dropped_last_coefficient_breaks_the_truncation_bound(text: str, degree: int) -> None:
    """The emitted sum without its last term misses kappa(1) by more than the bound; the tail shows it."""
    found = expand(traits(text), _ONE, degree, degree + 4, None)
    for series, last in ((found.kappa, degree), (found.kappa_dot, degree - 1)):
        assert series is not None
        with ctx.workprec(found.precision):
            bound = tail_after(series, last)
            kept = sum(series.coefficients[: last + 1], arb(0))
            shorter = sum(series.coefficients[:last], arb(0))
            assert series.moment - kept <= bound.upper()
            assert series.moment - shorter > bound
            mutant = dropped(series, last)
            if mutant.tail_is_zero_after is None:
                assert tail_after(mutant, last) > bound
                assert tails(mutant)[last] > bound
