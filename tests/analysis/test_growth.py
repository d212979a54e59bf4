"""The growth certificate: a bound that is claimed holds wherever mpmath looks; hunting for a false one."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import mpmath
import pytest
import sympy
from hypothesis import HealthCheck, given, settings
from mpmath import mpf
from mpmath.libmp import NoConvergence

from kernelc.analysis.growth import derive_growth, nonzero_beyond
from kernelc.certificate.oracle import mpmath_function
from kernelc.errors import KernelcError
from kernelc.model import VARIABLE, Growth
from kernelc.parse import parse_activation
from tests.strategies import Formula, formulas

_FACTORS = ("1", "1.0625", "1.5", "4", "37.5", "900")
_OFFSETS = ("0.0078125", "0.40625", "2.71875", "5")


def exact(x: Fraction) -> mpf:
    return mpf(x.numerator) / x.denominator


def log_bound(growth: Growth, t: mpf) -> mpf:
    """The logarithm of the certified bound at t; minus infinity where the scale is 0."""
    if growth.scale == 0:
        return -mpmath.inf
    x = abs(t)
    return (
        mpmath.log(exact(growth.scale))
        + exact(growth.power) * mpmath.log1p(x)
        + exact(growth.quadratic) * x * x
        + exact(growth.linear) * x
    )


def points(growth: Growth) -> list[mpf]:
    beyond = exact(growth.beyond)
    places = [beyond * mpf(f) for f in _FACTORS] + [beyond + mpf(o) for o in _OFFSETS]
    return [sign * x for x in places for sign in (1, -1)]


def assert_bounded(f: sympy.Expr, growth: Growth) -> int:
    """How many points were looked at; mpmath's failures (overflow, no convergence) say nothing."""
    function, seen = mpmath_function(f), 0
    with mpmath.workdps(40):
        for t in points(growth):
            try:
                value: Any = mpmath.re(function(t))
            except (OverflowError, ZeroDivisionError, NoConvergence, ValueError):
                continue
            if not mpmath.isfinite(value) or value == 0:
                continue
            seen += 1
            assert mpmath.log(abs(value)) <= log_bound(growth, t) + mpf(10) ** -15, f"{f} at t = {t}: {growth}"
    return seen


#: Formulas for which a bound must be found for sigma and sigma'.
BOUNDED = (
    "t",
    "t^7 - 40*t^6",
    "t/2*(1+erf(t/sqrt(2)))",
    "t*sigmoid(t)",
    "tanh(3*t) - t",
    "softplus(5*t)",
    "elu(t)",
    "exp(t)",
    "exp(-t)",
    "exp(t^2/8)",
    "exp(t^2/8 - 3*t)",
    "exp(-t^2)*t^3",
    "exp(-t^4)",
    "exp(t - t^3*t)",
    "sinh(2*t)",
    "cosh(t)*exp(-t)",
    "sin(exp(t))",
    "cos(t^2/10)",
    "1/(1+t^2)",
    "t/(1+t^2)^2",
    "t^5/(3+t^4)",
    "1/(2+sin(t))",
    "t/(1+abs(t))",
    "abs(t)^(3/2)",
    "abs(t^2-7)^(1/3)*t",
    "sqrt(1+t^2)",
    "1/sqrt(1+t^2)",
    "log(1+t^2)",
    "log(3+abs(t))*t",
    "log(1+exp(t))^2",
    "t*log(1+t^2)",
    "asinh(t)",
    "asinh(t^2)",
    "atan(t)*t",
    "acos(tanh(t)/2)",
    "asin(max(-1/2,min(1/2,t)))",
    "erfi(t/4)",
    "erfc(-t)*t",
    "erfi(t/5-1)",
    "besselj(0,t)",
    "besselj(1,2*t)*t",
    "besseli(0,t)",
    "besseli(2,t/2)",
    "airyai(t)",
    "airyai(-t)*t",
    "airyai(t^2/9)",
    "lambertw(t^2)",
    "lambertw(exp(-t^2))",
    "digamma(1+t^2)",
    "sinc(t)*t^2",
    "max(t,-t/100)",
    "max(t, t^2/50 - 3)",
    "min(t^3, exp(t))",
    "max(exp(t/2), t^2)",
    "min(1, max(-1, t))",
    "t if t > 2 else exp(t)",
    "exp(-t) if t > 0 else 1/(1+t^2)",
    "t^2 if abs(t) < 5 else t/7",
    "relu(t)^3 - relu(-t)",
    "relu(t-3)*exp(t/5)",
    "2^t",
    "3^(t/4)*t",
    "(1+t^2)^(1/7)",
    "(1+abs(t))^(-5/2)",
    "(2+tanh(t))^t",
    "sqrt(2+tanh(t))",
    "atanh(tanh(t)/3)",
    "tan(atan(t)/2)",
    "gamma(2+tanh(t))",
    "exp(sin(t))",
    "exp(max(t, -t/3))",
    "exp(abs(t))*exp(-t^2/9)",
    "t^4*exp(-abs(t))",
    "sign(t)*abs(t)^(5/4)",
    "cbrt(t)^5",
    "acosh(2+t^2)",
    "exp(-1/(1+t^2))",
    "exp(t)/(1+exp(t))^2",
    "exp(t^2/9)/(1+t^2)",
    "exp(t^2/8)*sin(t)",
    "(t-1)*(t-2)*(t-300)",
    "-t^3 + 1000*t^2",
    "t*tanh(softplus(t))",
    "1/(1+exp(-7*t+3))",
    "exp(-(t-4)^2)",
    "exp(t^2/10)*erfc(t)",
)


def specified(text: str) -> sympy.Expr:
    return parse_activation(text, name="f").expression


@pytest.mark.parametrize("text", BOUNDED)
def test_the_bound_of_sigma_and_of_its_derivative_holds(text: str) -> None:
    f = specified(text)
    growth = derive_growth(f)
    assert growth is not None
    assert assert_bounded(f, growth) >= 4
    slope = sympy.diff(f, VARIABLE)
    derived = derive_growth(slope)
    if derived is not None:
        assert_bounded(slope, derived)


@settings(max_examples=150, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(formulas(max_leaves=6))
def test_a_bound_of_any_formula_holds(formula: Formula) -> None:
    try:
        f = parse_activation(formula.text, name="f", parameters=dict(formula.parameters)).expression
        growth = derive_growth(f)
    except KernelcError:
        return
    if growth is not None:
        assert_bounded(f, growth)


@pytest.mark.parametrize(
    "text", ["exp(t^4)", "exp(abs(t)^3)", "exp(exp(t))", "exp(t*abs(t)^(3/2))", "gamma(1+t^2)", "exp(t^2*log(1+t^2))"]
)
def test_faster_than_a_gaussian_is_not_bounded(text: str) -> None:
    assert derive_growth(specified(text)) is None


@pytest.mark.parametrize(
    ("text", "quadratic", "power"),
    [
        ("exp(t^2/8)", Fraction(1, 8), 0),
        ("exp(t^2/8)*t^2", Fraction(1, 8), 2),
        ("t^3", 0, 3),
        ("sin(t)", 0, 0),
        ("exp(-3*t^2)", -3, 0),
    ],
)
def test_the_bound_is_no_larger_than_it_need_be(text: str, quadratic: Fraction, power: Fraction) -> None:
    growth = derive_growth(specified(text))
    assert growth is not None
    assert (growth.quadratic, growth.power) == (quadratic, power)


def test_cancellation_is_never_assumed() -> None:
    """1/(f - g) with f, g > 0 has no floor, whatever f and g are."""
    for text in ("1/(exp(t) - 3)", "1/(2 + sin(t) - cos(t^2) - 1)", "log(1 + sin(t))", "1/(1+cos(t))"):
        assert derive_growth(specified(text)) is None


@pytest.mark.parametrize(("text", "least"), [("t^2-7", 2.6), ("t^3-1000*t", 31.6), ("exp(t)+1/10", 0), ("t-12", 12)])
def test_there_is_no_zero_beyond(text: str, least: float) -> None:
    beyond = nonzero_beyond(specified(text))
    assert beyond is not None
    assert beyond > least


@pytest.mark.parametrize("text", ["sin(t)", "tanh(t/100)-9/10", "sin(t)+t/10", "exp(t)-3"])
def test_zeros_that_cannot_be_excluded_are_not(text: str) -> None:
    assert nonzero_beyond(specified(text)) is None
