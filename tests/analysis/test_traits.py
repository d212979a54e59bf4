"""What analysis finds of sigma: parity, homogeneity, breakpoints and their kinds, refusals with their reasons."""

from __future__ import annotations

import re
from fractions import Fraction
from itertools import pairwise

import mpmath
import pytest
import sympy
from hypothesis import HealthCheck, given, settings
from mpmath import mpf

from kernelc.analysis import analyse
from kernelc.certificate.oracle import mpmath_function
from kernelc.errors import InputError, KernelcError, NotSquareIntegrableError
from kernelc.model import VARIABLE, ActivationTraits
from kernelc.parse import parse_activation
from tests.strategies import Formula, OutOfRangeError, formulas

Q = sympy.Rational


def traits(text: str, variance: Fraction = Fraction(1)) -> ActivationTraits:
    return analyse(parse_activation(text, name="f"), variance)


@pytest.mark.parametrize(
    ("text", "parity"),
    [
        ("t^2", "even"),
        ("t^3 - t", "odd"),
        ("t^2 + t", "none"),
        ("abs(t)", "even"),
        ("sign(t)*abs(t)^(3/2)", "odd"),
        ("relu(t)", "none"),
        ("tanh(t)", "odd"),
        ("exp(-t^2)", "even"),
        ("t*sigmoid(t) - t/2", "even"),
        ("abs(t^2-1)", "even"),
        ("max(-1, min(1, t))", "odd"),
        ("max(-1, min(2, t))", "none"),
        ("abs(t-1) + abs(t+1)", "even"),
        ("abs(t-1) - abs(t+1)", "odd"),
        ("abs(t-1) + abs(t+2)", "none"),
        ("abs(sin(t))", "even"),
        ("5 + t*0", "even"),
        ("abs(t-1) + abs(t+1) + t/10^9", "none"),
        ("exp(t) + exp(-t)", "even"),
        ("cbrt(t)", "odd"),
    ],
)
def test_parity(text: str, parity: str) -> None:
    assert traits(text).parity == parity


@pytest.mark.parametrize(
    ("text", "degree"),
    [
        ("t", 1),
        ("relu(t)", 1),
        ("relu(t)^3", 3),
        ("abs(t)^(3/2)", Q(3, 2)),
        ("max(t, t/10)", 1),
        ("sign(t)*t^2", 2),
        ("Heaviside(t)", 0),
        ("t^2 - t*abs(t)", 2),
        ("t^2 + t", None),
        ("relu(t) + 1", None),
        ("relu(t-1)", None),
        ("tanh(t)", None),
        ("relu(t) + relu(-t)^2", None),
        ("abs(t)^(1/3)", Q(1, 3)),
        ("t*log(abs(t))", None),
        ("3", 0),
        ("max(0, t-1000)+t", None),
    ],
)
def test_homogeneous_degree(text: str, degree: sympy.Expr | None) -> None:
    assert traits(text).homogeneous_degree == degree


@pytest.mark.parametrize(
    ("text", "points"),
    [
        ("relu(t)", [("0", "kink")]),
        ("Heaviside(t-1)", [("1", "jump")]),
        ("t if abs(t) > 1/2 else 0", [("-1/2", "jump"), ("1/2", "jump")]),
        ("t*abs(t)", [("0", "smooth")]),
        ("relu(t)^2", [("0", "smooth")]),
        ("abs(t)^(3/2)", [("0", "singular")]),
        ("sqrt(abs(t))", [("0", "singular")]),
        ("log(abs(t))", [("0", "unknown")]),
        ("elu(t)", [("0", "smooth")]),
        ("elu(t, 2)", [("0", "kink")]),
        ("max(-1, min(1, t))", [("-1", "kink"), ("1", "kink")]),
        ("abs(t^2 - 2)", [("-sqrt(2)", "kink"), ("sqrt(2)", "kink")]),
        ("max(0, exp(t) - 2)", [("log(2)", "kink")]),
        ("max(0, 1/2 - erf(t))", [(None, "kink")]),
        ("sin(t) if t < 1 else sin(1) + cos(1)*(t-1)", [("1", "smooth")]),
        ("t*sign(t-1) - sign(t-1)", [("1", "kink")]),
        ("sign(t) + t", [("0", "jump")]),
        ("abs(1 - cos(t))", []),
        ("abs(t)^2", []),
        ("max(t, t)", []),
        ("t + abs(1 + t^2)", []),
    ],
)
def test_breakpoints_and_their_kinds(text: str, points: list[tuple[str | None, str]]) -> None:
    found = traits(text)
    assert [p.kind for p in found.breakpoints] == [kind for _, kind in points]
    for point, (exact, _) in zip(found.breakpoints, points, strict=True):
        assert point.lower <= point.upper
        assert point.upper - point.lower < Fraction(1, 2**1500)
        if exact is not None:
            value = sympy.N(sympy.sympify(exact), 60)
            assert abs(sympy.N(sympy.Rational(point.lower.numerator, point.lower.denominator), 60) - value) < Q(
                1, 10**50
            )
    assert len(found.pieces) == len(points) + 1
    assert [p.right for p in found.pieces[:-1]] == list(found.breakpoints)
    assert all(a.right == b.left for a, b in pairwise(found.pieces))


@pytest.mark.parametrize(
    ("text", "degree"), [("t^3", 3), ("7", 0), ("t^2*(t-1)", 3), ("abs(t)", None), ("sin(t)", None), ("(t+1)^2-t^2", 1)]
)
def test_polynomial_degree(text: str, degree: int | None) -> None:
    assert traits(text).polynomial_degree == degree


def test_every_kink_on_the_range_is_found() -> None:
    found = traits("abs(sin(3*t))")
    limit = float(found.range_limit)
    expected = 2 * int(3 * limit / 3.141592653589793) + 1
    assert len(found.breakpoints) == expected
    assert {p.kind for p in found.breakpoints} == {"kink"}
    # Kinks go on beyond the range: the pieces end there.
    assert limit < 100


@settings(max_examples=60, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(formulas(max_leaves=6))
def test_pieces_are_the_activation(formula: Formula) -> None:
    """On every piece its expression has the value of the formula, by the strategies' own evaluator."""
    try:
        spec = parse_activation(formula.text, name="f", parameters=dict(formula.parameters))
        found = analyse(spec, Fraction(1))
    except KernelcError:
        return
    for piece in found.pieces:
        low = Fraction(-5) if piece.left is None else piece.left.upper
        high = Fraction(5) if piece.right is None else piece.right.lower
        for part in (Fraction(1, 7), Fraction(1, 2), Fraction(8, 9)):
            t = low + (high - low) * part
            if abs(t) > 6:
                continue
            try:
                value = formula.value(t)
            except OutOfRangeError:
                continue
            with mpmath.workdps(40):
                at = mpmath_function(piece.expression)(mpf(t.numerator) / t.denominator)
                assert abs(mpmath.re(at) - value) <= mpf(10) ** -25 * (1 + abs(value)), f"{formula.text} at {t}"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Heaviside(t-1)", r"jumps at t = 1\b"),
        ("t if abs(t) > 1/2 else 0", r"jumps at t = -1/2"),
        ("sign(t)", r"jumps at t = 0"),
        ("sqrt(abs(t))", r"grows like \|t - r\|\^\(-1/2\) at r = 0"),
        ("log(abs(t))", r"grows like \|t - r\|\^\(-1\) at r = 0"),
        ("abs(t-3)^(1/4)", r"grows like \|t - r\|\^\(-3/4\) at r = 3"),
        ("abs(t^2-1)^(1/2)", r"at r = -1"),
        ("sqrt(abs(cos(t)-t))", r"0\.739085"),
    ],
)
def test_the_ntk_is_refused_with_its_reason(text: str, reason: str) -> None:
    found = traits(text)
    assert found.derivative_refused is not None
    assert re.search(reason, found.derivative_refused)


@pytest.mark.parametrize(
    "text",
    [
        "abs(t)^(3/4)",
        "relu(t)",
        "t*log(abs(t))",
        "abs(t)^(51/100)",
        "acos(max(-1,min(1,t))/2)",
        "exp(t^2/8)",
        "abs(sin(t))",
    ],
)
def test_a_square_integrable_derivative_is_not_refused(text: str) -> None:
    assert traits(text).derivative_refused is None


def test_whether_the_derivative_is_square_integrable_depends_on_the_variance() -> None:
    assert traits("exp(t^2/8)", Fraction(19, 10)).derivative_refused is None
    assert traits("exp(t^2/3)", Fraction(1, 2)).growth is not None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("exp(t^4)", "grows too fast"),
        ("exp(exp(t))", "grows too fast"),
        ("exp(t^2/3 + t^3*exp(t))", "grows too fast"),
        ("1/t", r"\|t - r\|\^\(-1\) at r = 0"),
        ("1/(t-1)^2", r"at r = 1"),
        ("abs(t)^(-1/2)", r"\^\(-1/2\)"),
        ("tan(t)", "tan"),
        ("1/sin(t)", "sin"),
    ],
)
def test_not_square_integrable(text: str, reason: str) -> None:
    with pytest.raises(NotSquareIntegrableError, match=reason):
        traits(text)


@pytest.mark.parametrize(
    "text",
    [
        "sqrt(t)",
        "log(t)",
        "gamma(t)",
        "t^(1/3)",
        "asin(t)",
        "acosh(t)",
        "atanh(t)",
        "sqrt(100-t)",
        "log(1-exp(t))",
        "t^pi",
        "digamma(t)",
    ],
)
def test_complex_or_singular_on_the_line_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"real"):
        traits(text)


def test_an_integrable_pole_is_accepted_without_its_derivative() -> None:
    found = traits("abs(t)^(-1/5)")
    assert found.derivative_refused is not None
    assert found.growth is not None


def test_the_zero_activation_is_refused() -> None:
    with pytest.raises(InputError, match="zero"):
        traits("t - t")
    with pytest.raises(InputError, match="zero"):
        traits("max(t, 0) + max(-t, 0) - abs(t)")


def test_a_piecewise_condition_on_a_curve() -> None:
    found = traits("t if t^3 - t > 0 else -t^2")
    assert [float(p) for p in found.breakpoints] == [-1.0, 0.0, 1.0]
    assert [p.kind for p in found.breakpoints] == ["kink", "kink", "jump"]
    assert [p.expression for p in found.pieces] == [-(VARIABLE**2), VARIABLE, -(VARIABLE**2), VARIABLE]
