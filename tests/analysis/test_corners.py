"""What analysis does where it cannot decide, and where a formula is at the edge of what it takes."""

from __future__ import annotations

import re
import time
from fractions import Fraction

import mpmath
import pytest
import sympy

from kernelc.analysis import analyse, pieces
from kernelc.analysis.growth import _tail_begins, derive_growth, nonzero_beyond
from kernelc.analysis.pieces import Cell, Cut, Resolver, _holder
from kernelc.analysis.traits import _is_removable, _with_slope
from kernelc.balls import roots
from kernelc.balls.roots import RealRoot
from kernelc.errors import InputError, KernelcError, NotSquareIntegrableError, UnsupportedError
from kernelc.functions.heads import LambertW0
from kernelc.model import VARIABLE, ActivationSpec, ActivationTraits
from kernelc.parse import parse_activation

t = VARIABLE
_ONE = Fraction(1)
#: 0, which balls cannot tell from a small number
_HIDDEN_ZERO = sympy.sqrt(2) + sympy.sqrt(3) - sympy.sqrt(5 + 2 * sympy.sqrt(6))

#: 0 as well, which SymPy does not find either: nobody told it anything of this function
_HARD_ZERO = LambertW0(2 * sympy.exp(2)) - 2


def traits(f: str | sympy.Expr, variance: Fraction = _ONE) -> ActivationTraits:
    if isinstance(f, str):
        return analyse(parse_activation(f, name="f"), variance)
    return analyse(ActivationSpec("f", str(f), f, (), None), variance)


# Growth


def test_a_leading_coefficient_that_may_be_zero_bounds_but_has_no_sign() -> None:
    f = _HARD_ZERO * t**3 + t
    growth = derive_growth(f)
    assert growth is not None
    assert growth.power >= 1
    assert nonzero_beyond(f) is None


def test_a_zero_very_far_out_is_not_looked_for() -> None:
    f = t / 10**9 + 1
    assert derive_growth(f) is not None
    assert nonzero_beyond(f) is None


@pytest.mark.parametrize(
    ("condition", "power"),
    [
        (sympy.Not(sympy.And(t > 0, t < 1)), 1),
        (sympy.Not(sympy.Or(t > 0, t < -1)), 0),
        (sympy.Ne(t, 3), 2),
    ],
)
def test_conditions_far_out(condition: sympy.Basic, power: int) -> None:
    f = sympy.Piecewise((t, condition), (t**power if power != 1 else sympy.exp(t**4), True))
    growth = derive_growth(f)
    assert growth is not None
    assert growth.power == max(power, 0 if power == 0 else 1)


@pytest.mark.parametrize(
    "f", [t**2 - 7 * t - 1, -(t**2) / 100 + t, t**3 / 1000 + 9 * t**2 + 27 * t, 1 - t**5 / 10**4, 10**6 * t + 3, t**7]
)
def test_where_the_leading_term_rules(f: sympy.Expr) -> None:
    coefficients = [Fraction(int(c.p), int(c.q)) for c in reversed(sympy.Poly(f, t).all_coeffs())]
    degree, lead = len(coefficients) - 1, abs(coefficients[-1])
    for reach in (Fraction(8), Fraction(1, 1000)):
        begins = _tail_begins([(c, c) for c in coefficients], lead, reach)
        for x in (begins, 2 * begins, 50 * begins):
            others = sum((abs(c) * x**k for k, c in enumerate(coefficients[:-1])), Fraction(0))
            assert (2 if degree <= 2 else 4) * others <= lead * x**degree
            assert degree <= 2 or 4 * reach * x**2 <= lead * x**degree
    beyond = nonzero_beyond(f)
    assert beyond is not None
    assert all(abs(r) < sympy.Rational(beyond.numerator, beyond.denominator) for r in sympy.Poly(f, t).real_roots())


def test_a_bound_that_needs_to_begin_far_out_does() -> None:
    f = sympy.Piecewise((t, t > 300_000), (-t, t < -300_000), (sympy.exp(t**4), True))
    growth = derive_growth(f)
    assert growth is not None
    assert growth.beyond > 300_000
    assert growth.power == 1


@pytest.mark.parametrize(
    ("f", "g", "holds"),
    [
        (sympy.Max(1, t), sympy.log(sympy.Max(1, t)), True),
        (sympy.Min(-1, t - 30), sympy.log(-sympy.Min(-1, t - 30)), True),
        (sympy.exp(t) - sympy.exp(-t), sympy.log(sympy.Max(sympy.exp(t), sympy.exp(-t)) - 3), False),
    ],
)
def test_which_of_two_is_larger_far_out(f: sympy.Expr, g: sympy.Expr, holds: bool) -> None:
    assert derive_growth(f) is not None
    assert (derive_growth(g) is not None) is holds


def test_a_condition_that_is_no_polynomial_decides_by_its_bounds_alone() -> None:
    def chosen(condition: sympy.Basic) -> bool:
        return derive_growth(sympy.Piecewise((t, condition), (sympy.exp(t**4), True))) is not None

    assert chosen(sympy.exp(t) + 1 > 0)
    assert not chosen(sympy.exp(t) + 1 < 0)
    assert not chosen(sympy.sinh(t) > 0)
    # a floor of |f| whose sign no rule tells
    assert not chosen(1 / sympy.exp(t) * (2 + sympy.sin(t)) * t**3 > 0)


def test_a_constant_that_is_no_number_is_refused() -> None:
    with pytest.raises(KernelcError, match="not a finite real number"):
        derive_growth(t / _HIDDEN_ZERO)


# Pieces


def test_more_pieces_than_are_worth_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "_MAX_CELLS", 2)
    assert len(traits("abs(t)").pieces) == 2
    with pytest.raises(UnsupportedError, match="more than 2 pieces"):
        traits("abs(t) + abs(t-1)")


def test_close_breakpoints_are_told_apart() -> None:
    found = traits("abs(t-1/1000) + abs(t-1/999)")
    assert [p.exact for p in found.breakpoints] == [sympy.Rational(1, 1000), sympy.Rational(1, 999)]
    assert [p.expression.coeff(t) for p in found.pieces] == [-2, 0, 2]


def _cut(low: int, high: int) -> Cut:
    return Cut(RealRoot(None, Fraction(low), Fraction(high), True), ())


def test_breakpoints_that_overlap_are_refused() -> None:
    with pytest.raises(UnsupportedError, match="too close together"):
        Resolver(Fraction(8))._sample(_cut(0, 2), _cut(1, 3))
    cells = [Cell(None, _cut(0, 2), (t,)), Cell(_cut(0, 2), None, (-t,))]
    assert _holder(cells, Fraction(3)).values == (-t,)
    with pytest.raises(UnsupportedError, match="too close together"):
        _holder(cells, Fraction(1))


def test_one_point_where_two_conditions_change() -> None:
    found = traits("max(t, t^2, t^3)")
    assert [p.exact for p in found.breakpoints] == [0, 1]
    assert [p.expression for p in found.pieces] == [t**2, t, t**3]


def test_a_breakpoint_beyond_the_range_leaves_facts_of_the_whole_line_unclaimed() -> None:
    found = traits("t + Heaviside(t - 10^7)")
    assert found.parity == "none"
    assert found.homogeneous_degree is None
    assert found.polynomial_degree is None
    assert found.derivative_refused is not None
    with pytest.raises(InputError, match="t = 1e"):
        traits("sqrt(10^7 - t)")


def test_a_sign_that_cannot_be_decided_is_refused() -> None:
    def resolved(f: sympy.Expr) -> list[Cell]:
        return Resolver(Fraction(8)).cells(f)

    assert len(resolved(sympy.Max(t + _HIDDEN_ZERO, t, evaluate=False))) == 1
    with pytest.raises(UnsupportedError, match=r"sign of .* could not be decided"):
        resolved(sympy.Max(t + _HARD_ZERO, t, evaluate=False))
    with pytest.raises(UnsupportedError, match=r"sign of .* could not be decided"):
        resolved(sympy.Max(t + sympy.asin(2), t, evaluate=False))


def test_conditions_that_grow_fast_are_searched_where_they_may_vanish(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a wide range the balls of 1 + sinh(t)^2 far out overlap zero; there a bound shows that it does not vanish."""
    monkeypatch.setattr(roots, "_MAX_BOXES", 500)
    whole = sympy.log(1 + sympy.sinh(t) ** 2)
    assert [cell.values for cell in Resolver(Fraction(32001)).cells(whole)] == [(whole,)]
    far = sympy.Piecewise((whole, t > 10), (t, True))
    assert [cell.values[0] for cell in Resolver(Fraction(32001)).cells(far)] == [t, whole]
    crossing = sympy.exp(t) * (t**2 - 4)
    found = Resolver(Fraction(32001)).cells(sympy.Abs(crossing))
    assert [cell.values[0] for cell in found] == [crossing, (4 - t**2) * sympy.exp(t), crossing]
    with pytest.raises(UnsupportedError, match="too many or too close together"):
        Resolver(Fraction(32001)).cells(sympy.Abs(sympy.sin(t)))


def test_functions_that_nobody_registered_are_refused() -> None:
    with pytest.raises(UnsupportedError, match="besselk"):
        Resolver(Fraction(8)).cells(sympy.besselk(0, t))


@pytest.mark.parametrize(
    ("condition", "kept"),
    [
        (t >= 0, "right"),
        (sympy.Ne(t, 0), "both"),
        (sympy.Eq(t, 0), "neither"),
        (sympy.And(t > -1, t > 0), "right"),
        (sympy.Or(t > 0, t > 1), "right"),
        (sympy.Not(sympy.And(t < 1, t < 0)), "right"),
    ],
)
def test_conditions(condition: sympy.Basic, kept: str) -> None:
    found = Resolver(Fraction(8)).cells(sympy.Piecewise((t, condition), (-t, True)))
    first, last = found[0].values[0], found[-1].values[0]
    assert first == (t if kept in ("left", "both") else -t)
    assert last == (t if kept in ("right", "both") else -t)


def test_a_piecewise_without_a_last_branch_is_refused() -> None:
    with pytest.raises(InputError, match="no branch at t = -"):
        Resolver(Fraction(8)).cells(sympy.Piecewise((t, t > 0)))


# Traits


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("t*sin(1/t)", "could not be shown to be square integrable at t = 0"),
        ("abs(t)*log(abs(t)) + abs(t-5)", "could not be proved continuous at t = 0"),
        ("t if erfc(t) < 1 else 0", "continuous far out"),
        ("sin(exp(t^3))", "no growth bound could be derived for sigma'"),
        ("sin(exp(t^2/3))", r"sigma' grows like exp\(1/3 t\^2\)"),
        ("exp(t) if cos(t) > t else exp(cos(t))", r"could not be proved continuous at t = 0\.739085"),
    ],
)
def test_doubts_about_the_ntk_are_told(text: str, reason: str) -> None:
    found = traits(text)
    assert found.derivative_refused is not None
    assert re.search(reason, found.derivative_refused), found.derivative_refused


@pytest.mark.parametrize(("text", "variance"), [("exp(t^2/4)", "1"), ("exp(t^2/3)", "1"), ("exp(t^2/100)", "25")])
def test_growth_beyond_what_the_variance_allows_is_refused(text: str, variance: str) -> None:
    with pytest.raises(NotSquareIntegrableError, match="lower --variance or damp the growth"):
        traits(text, Fraction(variance))


def test_both_sides_of_a_breakpoint_agree_where_it_is_shown() -> None:
    def jump(gap: sympy.Expr) -> str:
        return traits(sympy.Piecewise((t + gap, t > 0), (2 * t, True))).breakpoints[0].kind

    assert jump(sympy.Integer(0)) == "kink"
    assert jump(_HIDDEN_ZERO) == "kink"
    assert jump(_HARD_ZERO) == "unknown"
    assert jump(sympy.Integer(1)) == "jump"


def test_one_formula_on_both_sides_of_a_point_where_it_is_not_analytic() -> None:
    found = traits("(1-cos(t))^(3/2)")
    assert len(found.breakpoints) > 3
    assert not {p.kind for p in found.breakpoints} & {"jump", "unknown"}


def test_a_slope_with_a_switch_of_its_own() -> None:
    f = sympy.acosh(1 + t**2)
    halves = [_with_slope(cell, Fraction(8)) for cell in Resolver(Fraction(8)).cells(f)]
    assert [sympy.simplify(cell.values[1] * sympy.sqrt(t**2 + 2)) for cell in halves] == [-2, 2]
    whole = Cell(None, None, (f,))
    with pytest.raises(UnsupportedError, match="not one analytic piece"):
        _with_slope(whole, Fraction(8))


@pytest.mark.parametrize(("middle", "parity"), [("exp(t)", "none"), ("t^2", "even"), ("t", "none")])
def test_parity_asks_the_piece_in_the_middle(middle: str, parity: str) -> None:
    assert traits(f"{middle} if abs(t) < 1 else 1").parity == parity


# Singular points


@pytest.mark.parametrize(
    "f",
    [
        "erf(t)/t",
        "sinh(t)/t",
        "(1-exp(-t))/t",
        "t/(exp(t)-1)",
        "t/tanh(t)",
        "(1-cos(t))/t^2",
        "log(1+t^2)/t",
        "tanh(t-1)/(t-1)",
    ],
)
def test_a_zero_over_a_zero_of_no_larger_order_is_no_singularity(f: str) -> None:
    """NTK included: it was refused, sigma' being a difference of two poles."""
    found = traits(f)
    assert [point.kind for point in found.breakpoints] == ["smooth"]
    assert found.derivative_refused is None


@pytest.mark.parametrize("f", ["Abs(sinh(t))/t", "Piecewise((sin(t)/t, t > 0), (2*sin(t)/t, True))"])
def test_a_jump_at_a_zero_over_a_zero_is_not_called_smooth(f: str) -> None:
    found = traits(f)
    assert [point.kind for point in found.breakpoints] == ["unknown"]
    assert found.derivative_refused is not None


@pytest.mark.parametrize("f", ["tanh(t)/t^2", "1/tanh(t)", "(1-cos(t))/t^3"])
def test_a_zero_over_a_zero_of_a_larger_order_is_a_pole(f: str) -> None:
    with pytest.raises(NotSquareIntegrableError, match=re.escape("grows like |t - r|^(-1) at r = 0")):
        traits(f)


def test_only_a_zero_of_no_smaller_order_removes_another() -> None:
    cut = Cut(RealRoot(sympy.Integer(0), Fraction(0), Fraction(0), True), (VARIABLE,))
    for order, removable in ((1, True), (2, True), (3, False)):
        f = (1 - sympy.cos(VARIABLE)) / VARIABLE**order
        assert _is_removable(f, f, cut) == removable


def test_a_zero_over_what_is_not_analytic_is_no_removable_one() -> None:
    found = traits("(sqrt(Abs(t))+t)/(1+sqrt(Abs(t)))")
    assert [point.kind for point in found.breakpoints] == ["unknown"] or found.derivative_refused is not None


@pytest.mark.parametrize(
    ("f", "ntk"),
    [
        ("exp(-1/t^2)", True),
        ("exp(-log(Abs(2*t-3))^2)", True),
        ("3*log(Abs(2*t-2))/(1+Abs(2*t-2)/(2*t-2)^4)", True),
        ("log(1+log(Abs(t-1))^2)", False),
        ("log(Abs(2*t+0.3)^0.1)", False),
        ("cbrt(log(Abs(t/1000+1/1000)))", False),
        ("lambertw(10/Abs(t)^0.1)", False),
        ("cbrt(Abs(sin(t)))/(1+t^2)+1/cbrt(Abs(t))", False),
    ],
)
def test_singular_points_that_powers_do_not_describe(f: str, ntk: bool) -> None:
    """They were refused: nothing but powers and their logarithms was known next to a point."""
    assert (traits(f).derivative_refused is None) == ntk


@pytest.mark.parametrize("f", ["exp(log(3*Abs(t))^2/8)", "exp(1/t^2)", "Abs(t)^(-1/2)*log(Abs(t))"])
def test_what_is_not_square_integrable_at_a_point_is_refused(f: str) -> None:
    with pytest.raises(NotSquareIntegrableError):
        traits(f)


@pytest.mark.parametrize(
    ("f", "beyond"),
    [
        ("log(erfc(t))", 1),
        ("log(Abs(tanh(t)/4))", 1),
        ("log(Abs(sinh(t)))", 1),
        ("log(Abs(asinh(t)))", 1),
        ("log(Abs(exp(t)-1))", 1),
        ("log(besseli(0,t))", 1),
        ("log(1/(1+t^2))", 3),
        ("exp(-t^2/2)/erfc(t/sqrt(2))", 1),
        ("log(log(1+exp(-t)))", 1),
        ("log(1+exp(-exp(t)))", 1),
        ("exp(10*exp(-(2*t+0.001)^2))", 2),
        ("log(100*(t/100-1)^2/((t/100-1)^2+1)^2+1)", 801),
        ("log(Abs(50*exp(Min(0,t))+100*Max(0,t)-50))", 1),
        ("log(acosh(exp(t^2/8))^2+1)", 1),
    ],
)
def test_logarithms_and_quotients_of_what_stays_off_zero_are_bounded(f: str, beyond: int) -> None:
    growth = traits(f).growth
    assert growth is not None
    assert growth.beyond <= beyond
    expression = parse_activation(f, name="f").expression
    function = sympy.lambdify(t, expression, "mpmath")
    with mpmath.workdps(400):
        for x in (-300, -20.5, -3, 3.25, 17, 250):
            most = mpmath.log(mpmath.mpf(growth.scale.numerator) / growth.scale.denominator)
            most += float(growth.power) * mpmath.log1p(abs(x)) + float(growth.linear) * abs(x)
            most += float(growth.quadratic) * x * x
            assert mpmath.log(abs(function(mpmath.mpf(x)))) <= most + 1e-12


def test_zeros_are_not_looked_for_where_there_are_none() -> None:
    """Balls of a Bessel function on wide boxes are loose: it took minutes."""
    start = time.monotonic()
    assert not traits("log(besseli(0,t))").breakpoints
    assert time.monotonic() - start < 60


def test_a_switch_taken_for_the_singular_point_beside_it_leaves_doubt() -> None:
    """The exponential wins within 1.7e-33 of -30: 4e-23 of E[sigma'(10 Z)^2] = 0.01, and the ball held 3e-40."""
    found = analyse(parse_activation("Max(Abs(0.01*t+0.3)^(3/4), exp(-(0.3*t+1.25)^2))", name="f"), Fraction(100))
    assert not found.certain
    for nearer in (
        "Max(relu(t-1)^(3/4), 1e-40)",
        "Max(relu(1-t)^(3/4), 1e-40)",
        "Heaviside(t-1) + 2*Heaviside(t-1-1e-35)",
        "Max(Abs(t-1)^(3/4), exp(-100*t^2))",
        "Max(Abs(t)^(3/4), 1e-30*Abs(t)^(2/3))",
    ):
        assert not analyse(parse_activation(nearer, name="f"), _ONE).certain
    for plain in ("Abs(t-1)^(3/4)", "Max(2*Abs(t-1)^(3/4), 0)", "Max(Abs(t-1)^(3/4), 1/4)"):
        assert analyse(parse_activation(plain, name="f"), _ONE).certain


def test_next_to_a_singular_point_a_sign_is_read_off_what_rules_there() -> None:
    """Balls say nothing there: each of these was taken for a cluster of zeros of the difference, and estimated."""
    for text in (
        "max(atan(t/4-2), log(abs(t/2+2)))",
        "Max(Abs(t)^(3/4), t)",
        "Max(sqrt(Abs(t)), t^2)",
        "Max(Abs(t)^(3/4), Abs(t)^(2/3), sin(t)^2)",
        "Max(Abs(t)^(3/4), 2*Abs(sin(t))^(3/4))",
        "Max(sqrt(Abs(t))*(Abs(t)+1), -2*sqrt(Abs(t))*(sqrt(Abs(t))-1/2))",
    ):
        assert analyse(parse_activation(text, name="f"), _ONE).certain, text


def test_zeros_in_one_enclosure_are_one_only_where_that_is_proved() -> None:
    """They lie 1e-1737 apart: a quarter of E[sigma'(Z)^2] is between them and about them."""
    text = "Abs(exp(t)-2)^(5001/10000) + Abs(exp(t)-2-exp(-2000*exp(t)))^(5001/10000)"
    assert not analyse(parse_activation(text, name="f"), _ONE).certain
    text = "Abs(t-1)^(5001/10000) + Abs(t-1-exp(-2000*t^2))^(5001/10000)"
    assert not analyse(parse_activation(text, name="f"), _ONE).certain
    for text in (
        "Piecewise((0, t < log(2)), (sqrt(exp(t)-2), True))",  # log(2) is a zero of exp(t) - 2
        "Heaviside(2-exp(t))*sqrt(Abs(3*exp(t)-6))",  # powers of one expression
        "Heaviside(t-pi/2)*Abs(cos(t))^(3/4)",
        "Abs(t-sqrt(2))^(3/4) + relu(t^2-2)",  # the same point by name
        "relu(exp(t)-2) + Abs(exp(2*t)-4)",  # nothing singular about it
    ):
        assert analyse(parse_activation(text, name="f"), _ONE).certain, text


def test_what_two_cuts_have_in_common() -> None:
    def cut(point: sympy.Expr | None, g: sympy.Expr) -> Cut:
        return Cut(RealRoot(point, Fraction(0), Fraction(0), True), (g,))

    f = sympy.exp(VARIABLE) - 1
    assert pieces._is_one(cut(None, f), cut(None, 2 * (2 - 2 * sympy.exp(VARIABLE)) ** 3))
    assert pieces._is_one(cut(sympy.Integer(0), VARIABLE), cut(None, f))
    assert pieces._is_one(cut(None, f), cut(sympy.Integer(0), VARIABLE))
    assert not pieces._is_one(cut(None, f), cut(sympy.log(2), VARIABLE - sympy.log(2)))
    assert not pieces._is_one(cut(None, f), cut(None, sympy.sin(VARIABLE)))
    # two roots of one polynomial, which enclosures may not tell apart either
    assert not pieces._is_one(cut(sympy.Integer(1), VARIABLE**2 - 1), cut(sympy.Integer(-1), VARIABLE**2 - 1))
    # neither has a zero that the other has: their base is a number
    assert not pieces._is_one(cut(None, sympy.exp(-1 / VARIABLE)), cut(None, sympy.exp(-1 / (VARIABLE - 1))))
