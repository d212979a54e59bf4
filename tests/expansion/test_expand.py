"""Hermite coefficients and moments in balls, against closed forms and against mpmath on another splitting."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import mpmath
import pytest
import sympy
from flint import arb, ctx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mpmath import mpf

from kernelc.analysis import analyse
from kernelc.certificate.oracle import mpmath_function
from kernelc.expansion import expand
from kernelc.expansion.panels import tail_beyond
from kernelc.model import VARIABLE, ActivationTraits, HermiteExpansion
from kernelc.parse import parse_activation
from tests.expansion.reference import exact, gaussian_rule, hermite, misses

_ONE = Fraction(1)


def specified(text: str, variance: Fraction = _ONE) -> tuple[sympy.Expr, ActivationTraits]:
    spec = parse_activation(text, name="f")
    return spec.expression, analyse(spec, variance)


def assert_expansion(
    text: str, variance: Fraction, found: HermiteExpansion, degrees: tuple[int, ...], digits: int
) -> None:
    """Moments and coefficients lie in their balls, to `digits` digits of mpmath's."""
    f, traits = specified(text, variance)
    with mpmath.workdps(26):
        s = mpmath.sqrt(mpf(variance.numerator) / variance.denominator)
        middles = [(p.lower + p.upper) / 2 for p in traits.breakpoints]
        nodes = gaussian_rule([mpf(p.numerator) / p.denominator / s for p in middles])
        value, slope = mpmath_function(f), mpmath_function(sympy.diff(f, VARIABLE))
        values = [(z, w, mpmath.re(value(s * z))) for z, w in nodes]
        quantities = [("E[f^2]", found.kappa.moment, mpmath.fsum(w * x * x for _, w, x in values))]
        if found.kappa_dot is not None:
            squares = mpmath.fsum(w * mpmath.re(slope(s * z)) ** 2 for z, w in nodes)
            quantities.append(("E[f'^2]", found.kappa_dot.moment, squares))
        for k in degrees:
            quantities.append((f"a_{k}", found.hermite[k], mpmath.fsum(w * x * hermite(k, z) for z, w, x in values)))
        for name, ball, expected in quantities:
            slack = mpf(10) ** -digits * (1 + abs(expected))
            assert not misses(ball, expected, slack), f"{name} of {text}: {expected} {ball}"
            assert exact(ball)[1] <= mpf(10) ** -20 * (1 + abs(expected)), f"{name} of {text} is too wide"


@pytest.mark.parametrize(
    ("text", "variance"),
    [
        ("relu(t)", "1"),
        ("t*sigmoid(t)", "2"),
        ("abs(t)^(3/2)", "1"),
        ("log(abs(t))", "1/2"),
        ("abs(t)^(-1/5)", "1"),
        ("Heaviside(t-1)*t", "9/4"),
        ("exp(t^2/9)", "1"),
        ("sqrt(abs(cos(t)-t))", "1"),
        ("max(0, exp(t)-2)", "1"),
        ("t*log(abs(t))", "1/4"),
        ("acos(max(-1,min(1,t)))", "1"),
    ],
)
def test_singular_and_smooth_activations_by_another_road(text: str, variance: str) -> None:
    q = Fraction(variance)
    found = expand(specified(text, q)[1], q, 8, 8, 128)
    assert found.proved
    # Next to a singular point that is not 0, mpmath's nodes themselves are only so exact.
    assert_expansion(text, q, found, (0, 3, 8), 10 if text in ("abs(t)^(-1/5)", "sqrt(abs(cos(t)-t))") else 17)


_OUTER = st.sampled_from(
    [
        "{}",
        "tanh({})",
        "sin({})",
        "exp(-({})^2)",
        "relu({})",
        "abs({})",
        "erf({})",
        "sigmoid({})",
        "softplus({})",
        "1/(1+({})^2)",
        "cos({})",
        "elu({})",
    ]
)
_LINES = st.sampled_from(["t", "2*t-1", "t/3+1/2", "1-t", "t^2/4-1", "3*t/2"])
_TERMS = st.builds(lambda outer, line: outer.format(line), _OUTER, _LINES)
_ACTIVATIONS = st.builds(
    lambda a, b, join: join.format(a, b),
    _TERMS,
    _TERMS,
    st.sampled_from(["{0}", "{0}+{1}", "({0})*({1})", "{0}-t*({1})", "max({0},{1})"]),
)


@settings(max_examples=5, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(_ACTIVATIONS, st.sampled_from([Fraction(1), Fraction(1, 4), Fraction(9, 4)]))
def test_random_activations(text: str, variance: Fraction) -> None:
    try:
        _, traits = specified(text, variance)
    except ValueError:
        return
    found = expand(traits, variance, 0, 4, 96)
    assert_expansion(text, variance, found, (1, 4), 15)


@pytest.mark.parametrize("bits", [96, 200])
def test_closed_forms(bits: int) -> None:
    """exp: a_k = s^k e^(s^2/2)/sqrt(k!); ReLU, |t|, Heaviside: half-integer Gamma values; sin and cos by exp."""
    q = Fraction(9, 4)
    cases: list[tuple[str, Callable[[int], mpf], mpf]] = []
    with mpmath.workdps(90):
        s = mpf(3) / 2
        root = mpmath.sqrt(2 * mpmath.pi)
        cases.append(
            ("exp(t)", lambda k: s**k * mpmath.exp(s * s / 2) / mpmath.sqrt(mpmath.factorial(k)), mpmath.exp(2 * s * s))
        )
        cases.append(
            (
                "cos(t)",
                lambda k: mpf((1, 0, -1, 0)[k % 4]) * s**k * mpmath.exp(-s * s / 2) / mpmath.sqrt(mpmath.factorial(k)),
                (1 + mpmath.exp(-2 * s * s)) / 2,
            )
        )
        cases.append(
            (
                "Heaviside(t)",
                lambda k: mpf(1) / 2 if k == 0 else hermite(k - 1, mpf(0)) / mpmath.sqrt(k) / root,
                mpf(1) / 2,
            )
        )
        cases.append(
            (
                "relu(t)",
                lambda k: (
                    s / root
                    if k == 0
                    else s / 2
                    if k == 1
                    else s * hermite(k - 2, mpf(0)) / mpmath.sqrt(k * (k - 1)) / root
                ),
                s * s / 2,
            )
        )
        for text, coefficient, moment in cases:
            found = expand(specified(text, q)[1], q, 20, 20, bits)
            tiny = mpf(10) ** -80
            assert not misses(found.kappa.moment, moment, tiny)
            assert len(found.kappa.coefficients) == 21
            for k in range(21):
                assert not misses(found.hermite[k], coefficient(k), tiny), f"a_{k} of {text}"
                assert not misses(found.kappa.coefficients[k], coefficient(k) ** 2, tiny)
                assert exact(found.hermite[k])[1] < mpf(2) ** (8 - bits)


def test_high_degrees_of_a_known_series() -> None:
    """ReLU to degree 300: c_k = h_{k-2}(0)^2 / (2 pi k (k-1)), in balls that stay narrow."""
    found = expand(specified("relu(t)")[1], _ONE, 300, 300, 128)
    with mpmath.workdps(60):
        for k in (2, 64, 150, 298, 300):
            m = (k - 2) // 2
            square = mpmath.factorial(2 * m) / (4**m * mpmath.factorial(m) ** 2)
            value = square / (2 * mpmath.pi * k * (k - 1))
            assert not misses(found.kappa.coefficients[k], value, mpf(10) ** -58)
            assert exact(found.kappa.coefficients[k])[1] < mpf(10) ** -34
        assert not misses(found.kappa.coefficients[299], mpf(0), mpf(0))


@pytest.mark.parametrize("text", ["t*exp(-t)", "abs(t)^(3/2)"])
def test_the_derivative_series_is_steins(text: str) -> None:
    q = Fraction(3, 2)
    found = expand(specified(text, q)[1], q, 12, 12, 128)
    slope = sympy.diff(specified(text, q)[0], VARIABLE)
    assert found.kappa_dot is not None
    with mpmath.workdps(26):
        s, f = mpmath.sqrt(mpf(3) / 2), mpmath_function(slope)
        for k in (0, 1, 5):
            b = mpmath.fsum(w * f(s * z) * hermite(k, z) for z, w in gaussian_rule([mpf(0)]))
            assert not misses(found.kappa_dot.coefficients[k], b * b, mpf(10) ** -17)


def test_parity_makes_zeros_exact() -> None:
    odd, even = (expand(specified(text)[1], _ONE, 10, 10, 96) for text in ("tanh(t)", "abs(t)"))
    assert all(a.is_zero() for a in odd.hermite[::2])
    assert all(a.is_zero() for a in even.hermite[1::2])
    assert not any(a.contains(0) for a in odd.hermite[1:10:2])
    assert not any(a.contains(0) for a in even.hermite[0:10:2])


def test_a_polynomial_ends() -> None:
    found = expand(specified("t^3 - 2*t + 1")[1], _ONE, 8, 8, 128)
    assert found.kappa.tail_is_zero_after == 3
    assert all(c.is_zero() for c in found.kappa.coefficients[4:])
    assert not found.kappa.coefficients[3].is_zero()
    assert found.kappa_dot is not None
    assert found.kappa_dot.tail_is_zero_after == 2
    # t^3 - 2t + 1 = He_3 + He_1 + 1.
    for k, value in enumerate((1, 1, 0, 6)):
        assert found.kappa.coefficients[k].contains(value)


def test_precision_rises_until_the_tail_is_resolved() -> None:
    found = expand(specified("sin(t)")[1], _ONE, 80, 80, None)
    with ctx.workprec(found.precision):
        tail = found.kappa.moment - sum(found.kappa.coefficients, arb(0))
        assert found.precision > 300
        assert tail > 0
        assert tail.rad() * 300 < tail.mid()
    assert found.precision > 2 * expand(specified("sin(t)")[1], _ONE, 5, 80, None).precision


@pytest.mark.parametrize(
    ("scale", "power", "linear", "quadratic"),
    [
        ("1", "0", "0", "0"),
        ("3", "2", "0", "0"),
        ("1/2", "7/2", "3/2", "0"),
        ("2", "1", "0", "1/5"),
        ("5", "0", "-1", "-3"),
        ("1", "2", "-2", "1/9"),
    ],
)
@pytest.mark.parametrize("radius", ["9", "30"])
@pytest.mark.parametrize("variance", ["1", "1/4"])
def test_the_tail_bound(scale: str, power: str, linear: str, quadratic: str, radius: str, variance: str) -> None:
    """Above E[f^2; |sZ| > R] for the largest f that the growth allows, and not by more than half."""
    with ctx.workprec(128), mpmath.workdps(40):
        q = Fraction(variance)
        numbers = [Fraction(x) for x in (scale, power, linear, quadratic)]
        c, n, a1, a2 = (mpf(x.numerator) / x.denominator for x in numbers)
        s = mpmath.sqrt(mpf(q.numerator) / q.denominator)

        def log_integrand(z: mpf) -> mpf:
            t = s * z
            return 2 * (mpmath.log(c) + n * mpmath.log1p(t) + a1 * t + a2 * t * t) - z * z / 2

        start = mpf(radius) / s
        top = log_integrand(start)
        value = 2 * mpmath.quad(lambda z: mpmath.exp(log_integrand(z) - top), [start, start + 1, start + 5, start + 40])
        value *= mpmath.exp(top) / mpmath.sqrt(2 * mpmath.pi)
        bound = tail_beyond(
            numbers[0], numbers[1], numbers[2], numbers[3], (arb(q.numerator) / q.denominator).sqrt(), arb(int(radius))
        )
        middle, rad = exact(bound)
        assert value <= middle + rad
        assert middle <= mpf("1.6") * value


def test_the_tail_bound_is_infinite_where_nothing_is_known() -> None:
    one, zero = Fraction(1), Fraction(0)
    assert tail_beyond(one, zero, zero, Fraction(1, 4), arb(1), arb(30)) == arb.pos_inf()
    assert tail_beyond(one, zero, zero, Fraction(1, 3), arb(1), arb(30)) == arb.pos_inf()
    assert tail_beyond(one, zero, Fraction(20), zero, arb(1), arb(30)) == arb.pos_inf()
