"""Local majorants, panels and expansions against their definitions, in exact arithmetic or mpmath.

Balls are made wide on purpose (few bits, large radii), so that a lost error term shows at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

import mpmath
import pytest
import sympy
from flint import acb, arb, ctx
from mpmath import mpf

from kernelc.balls.local import EndPoint, LocalBounds, Term, integrable, integral, squared
from kernelc.balls.tape import Tape
from kernelc.errors import CertificationError, UnsupportedError
from kernelc.expansion import expand, hermite
from kernelc.expansion.hermite import _assembled, _expand_at, _Sums, _tail
from kernelc.expansion.panels import _MEHLER, PanelBuilder, Target, _rule_error, tail_beyond
from kernelc.model import VARIABLE, Growth, HermiteExpansion, SeriesExpansion
from tests.trust.exactness import high, low, number, traits

_ONE = Fraction(1)


# Local majorants


@pytest.mark.parametrize(
    ("exponent", "logs"), [(Fraction(-1, 2), 0), (Fraction(1, 3), 2), (Fraction(0), 1), (Fraction(-9, 10), 3)]
)
def test_integrals_of_majorants(exponent: Fraction, logs: int) -> None:
    width = Fraction(1, 16)
    bound = integral((Term(Fraction(3), exponent, logs),), width)
    with mpmath.workdps(30):
        e, w = mpf(exponent.numerator) / exponent.denominator + 1, mpf(1) / 16
        # Substituted: x = w exp(-s).
        exact = 3 * w**e * mpmath.quad(lambda s: mpmath.exp(-e * s) * (s - mpmath.log(w)) ** logs, [0, 5, 20, 80, 400])
        assert number(bound) >= exact * (1 - mpf(10) ** -12)
        assert number(bound) <= exact * (1 + mpf(10) ** -9)


def test_what_is_not_integrable_is_infinite() -> None:
    assert not integrable((Term(_ONE, Fraction(-1), 0),))
    assert integral((Term(_ONE, Fraction(-1), 0),), Fraction(1, 16)) == arb.pos_inf()
    assert integrable((Term(_ONE, Fraction(-99, 100), 0),))


def test_squares_of_majorants_multiply_all_parts() -> None:
    found = squared((Term(Fraction(2), Fraction(-1, 4), 1), Term(Fraction(3), Fraction(1), 0)))
    assert set(found) == {
        Term(Fraction(4), Fraction(-1, 2), 2),
        Term(Fraction(6), Fraction(3, 4), 1),
        Term(Fraction(9), Fraction(2), 0),
    }


@pytest.mark.parametrize(
    ("f", "order"),
    [(1 - sympy.cos(VARIABLE), 2), (VARIABLE - sympy.sin(VARIABLE), 3), (sympy.exp(VARIABLE) - 1, 1)],
)
def test_a_logarithm_counts_the_order_of_its_zero(f: sympy.Expr, order: int) -> None:
    end = EndPoint(sympy.Integer(0), Fraction(0), Fraction(0), 1, Fraction(1, 16))
    found = LocalBounds(VARIABLE, end).majorant(sympy.log(f))
    assert found is not None
    with mpmath.workdps(80):
        for x in (mpf("1e-20"), mpf("1e-6"), mpf("0.01"), mpf(1) / 16):
            claimed = mpmath.fsum(
                mpf(t.scale.numerator) / t.scale.denominator * mpmath.log(1 / x) ** t.logs for t in found
            )
            exact = abs(mpmath.log(mpf(sympy.N(f.subs(VARIABLE, sympy.Float(str(x), 75)), 70))))
            assert exact <= claimed <= exact + 2 * order


# Panels


@pytest.mark.parametrize("rho", [Fraction(8, 5), Fraction(5), Fraction(12)])
@pytest.mark.parametrize("nodes", [8, 32])
def test_the_error_of_the_rule_is_trefethens(rho: Fraction, nodes: int) -> None:
    exact = Fraction(64, 15) * rho ** (-2 * nodes) / (1 - rho**-2)
    with ctx.workprec(200):
        assert exact <= high(_rule_error(rho, nodes)) <= exact * (1 + Fraction(1, 2**100))


GROWTHS = [
    (Fraction(1), Fraction(0), Fraction(0), Fraction(0), 1, 3),
    (Fraction(3, 2), Fraction(2), Fraction(0), Fraction(0), 1, 4),
    (Fraction(2), Fraction(1, 2), Fraction(1), Fraction(0), 1, 6),
    (Fraction(1), Fraction(1), Fraction(1, 2), Fraction(1, 8), 1, 12),
    (Fraction(1), Fraction(3), Fraction(0), Fraction(1, 40), 2, 14),
    (Fraction(5), Fraction(-1), Fraction(0), Fraction(0), 1, 3),
]


@pytest.mark.parametrize(("scale", "power", "linear", "quadratic", "s", "r"), GROWTHS)
def test_tails_are_bounded_and_not_by_much(
    scale: Fraction, power: Fraction, linear: Fraction, quadratic: Fraction, s: int, r: int
) -> None:
    bound = tail_beyond(scale, power, linear, quadratic, arb(s), arb(r))
    with mpmath.workdps(25):

        def square(z: mpf) -> mpf:
            t = s * z
            size = (
                float(scale)
                * (1 + t) ** float(max(power, Fraction(0)))
                * mpmath.exp(float(quadratic) * t * t + float(linear) * t)
            )
            return 2 * size**2 * mpmath.npdf(z)

        start = mpf(r) / s
        exact = mpmath.quad(square, [start, start + 1, start + 3, start + 8, start + 30])
        assert exact <= number(bound) <= mpf("1.35") * exact


def test_tails_are_infinite_where_the_hypotheses_fail() -> None:
    zero = Fraction(0)
    assert tail_beyond(_ONE, zero, zero, Fraction(1, 4), arb(1), arb(5)) == arb.pos_inf()
    assert tail_beyond(_ONE, zero, Fraction(10), zero, arb(1), arb(5)) == arb.pos_inf()
    growth = Growth(_ONE, zero, zero, zero, Fraction(7))
    assert _tail(growth, arb(1), Fraction(6)) == arb.pos_inf()
    assert _tail(growth, arb(1), Fraction(7)).is_finite()


def hermite_at(k: int, z: mpmath.mpc) -> mpmath.mpc:
    before, now = mpmath.mpc(0), mpmath.mpc(1)
    for j in range(k):
        before, now = now, (z * now - mpmath.sqrt(j) * before) / mpmath.sqrt(j + 1)
    return now


@pytest.mark.parametrize("s", [1, 2])
@pytest.mark.parametrize(("centre", "half"), [(0, 1), (3, 1), (-2, Fraction(1, 2))])
@pytest.mark.parametrize("rho", [Fraction(2), Fraction(5)])
def test_bounds_on_an_ellipse_hold_on_all_of_it(s: int, centre: int, half: Fraction, rho: Fraction) -> None:
    """tanh-like growth in the complex plane: exp(t/2) + t, and its slope, against every Hermite function."""
    expression = sympy.exp(VARIABLE / 2) + VARIABLE
    degree = 12
    tape = Tape((expression, sympy.diff(expression, VARIABLE)), VARIABLE)
    builder = PanelBuilder(Target(degree, 64, arb(s), True))
    found = builder._bounds(tape, Fraction(centre), Fraction(half), rho)
    assert found is not None
    largest = [mpf(0), mpf(0), mpf(0)]
    with mpmath.workdps(20):
        for step in range(48):
            w = mpf(rho.numerator) / rho.denominator * mpmath.expjpi(mpf(step) / 24)
            t = (
                centre
                + mpf(half.numerator if isinstance(half, Fraction) else half)
                / (half.denominator if isinstance(half, Fraction) else 1)
                * (w + 1 / w)
                / 2
            )
            z = t / s
            phi = mpmath.exp(-z * z / 2) / mpmath.sqrt(2 * mpmath.pi) / s
            f, slope = mpmath.exp(t / 2) + t, mpmath.exp(t / 2) / 2 + 1
            basis = max(abs(hermite_at(k, z)) for k in range(degree + 1))
            for i, value in enumerate((abs(f * phi) * basis, abs(f * f * phi), abs(slope * slope * phi))):
                largest[i] = max(largest[i], value)
        for bound, value in zip(found, largest, strict=True):
            assert number(bound) >= value


@pytest.mark.parametrize("degree", [0, 12, 60])
@pytest.mark.parametrize(("x", "y"), [(0, 1), (3, 2), (7, 4)])
def test_the_weight_of_hermite_functions_is_mehlers(degree: int, x: int, y: int) -> None:
    """The least over r of his formula, and with it not less than any h_k on the circle of that size."""
    found = number(PanelBuilder(Target(degree, 64, arb(1), True))._hermite_weight(arb(x * x), arb(y * y)))
    with mpmath.workdps(30):
        claims = []
        for r in map(mpf, _MEHLER):
            exponent = -mpf(x * x) / (2 * (1 + r)) + mpf(y * y) / (2 * (1 - r))
            factor = r ** (-mpf(degree) / 2) * (1 - r * r) ** (-mpf(1) / 4)
            claims.append(factor * mpmath.exp(exponent) / mpmath.sqrt(2 * mpmath.pi))
        assert min(claims) * (1 - mpf(10) ** -12) <= found <= min(claims) * (1 + mpf(10) ** -6)
        z = mpmath.mpc(x, y)
        phi = abs(mpmath.exp(-z * z / 2)) / mpmath.sqrt(2 * mpmath.pi)
        assert all(abs(hermite_at(k, z)) * phi <= found for k in range(degree + 1))


def test_no_bound_across_a_branch_cut() -> None:
    root = sympy.sqrt(VARIABLE**2 + sympy.Rational(1, 4))
    tape = Tape((root, sympy.diff(root, VARIABLE)), VARIABLE)
    builder = PanelBuilder(Target(4, 64, arb(1), True))
    assert builder._bounds(tape, Fraction(0), _ONE, Fraction(5)) is None
    assert builder._bounds(tape, Fraction(3), _ONE, Fraction(3, 2)) is not None


# Expansions in few bits

FORMULAS = (
    "tanh(2*t)",
    "relu(t-1/3)",
    "abs(t)^(3/2)",
    "abs(t-1/3)^(3/4)",
    "log(abs(t))",
    "exp(t)",
    "1/(1+t^2)",
    "Heaviside(t-1/7)*exp(t/2)",
    "max(t, exp(t)-2)",
)


@pytest.mark.parametrize("text", FORMULAS)
def test_balls_of_few_bits_hold_the_truth(text: str) -> None:
    """The cut of the line, the rule's error and the slivers at breakpoints are then all far above rounding."""
    found = traits(text)
    truth = _expand_at(found, _ONE, 8, 200)
    for bits in (6, 12, 24):
        rough = _expand_at(found, _ONE, 8, bits)
        with ctx.workprec(400):
            pairs = [(rough.kappa.moment, truth.kappa.moment), *zip(rough.hermite, truth.hermite, strict=True)]
            if rough.kappa_dot is not None and truth.kappa_dot is not None:
                pairs += [(rough.kappa_dot.moment, truth.kappa_dot.moment)]
                pairs += zip(rough.kappa_dot.coefficients, truth.kappa_dot.coefficients, strict=True)
            assert all(a.overlaps(b) for a, b in pairs), (text, bits)
            assert all(a.rad() < 1 for a, _ in pairs)


@pytest.mark.parametrize("variance", [Fraction(1, 4), Fraction(9)])
def test_stein_at_other_variances(variance: Fraction) -> None:
    """b_k = E[sigma'(sZ) h_k(Z)] is sqrt(k+1) a_(k+1) / s: against tanh' = 1 - tanh^2 expanded by itself."""
    found = _expand_at(traits("tanh(t)", variance), variance, 6, 100)
    slope = _expand_at(traits("1-tanh(t)^2", variance), variance, 6, 100)
    assert found.kappa_dot is not None
    with ctx.workprec(200):
        assert found.kappa_dot.moment.overlaps(slope.kappa.moment)
        for a, b in zip(found.kappa_dot.coefficients, slope.kappa.coefficients, strict=True):
            assert a.overlaps(b)
            assert (a - b).abs_upper() < arb(2) ** -60


def sums(moment: arb, coefficients: Sequence[arb], slope: arb) -> _Sums:
    return _Sums(list(coefficients), moment, slope, 0, 0)


def test_a_sum_above_the_moment_is_a_contradiction() -> None:
    found = traits("exp(t)")
    good = sums(arb(1), [arb(0.5), arb(0.5), arb(0.25)], arb(3))
    assert _assembled(found, _ONE, good, 1, 64).proved
    for bad in (
        sums(arb(1), [arb(1), arb(0.5), arb(0.25)], arb(3)),
        sums(arb(1), [arb(0.5), arb(0.5), arb(0.25)], arb(0.1)),
    ):
        with pytest.raises(CertificationError, match="exceed"):
            _assembled(found, _ONE, bad, 1, 64)
    with pytest.raises(CertificationError, match="not finite"):
        _assembled(found, _ONE, sums(arb(1), [arb(0.5)] * 3, arb.pos_inf()), 1, 64)


def test_squares_of_balls_about_zero_are_not_negative() -> None:
    found = hermite._square(arb(0.001, 0.01))
    assert low(found) >= -Fraction(1, 10**9)
    assert high(found) >= Fraction(121, 10**6)
    assert hermite._square(arb(0)).is_zero()


def test_doubts_of_analysis_leave_nothing_proved() -> None:
    found = traits("exp(t)")
    good = sums(arb(1), [arb(0.5), arb(0.5), arb(0.25)], arb(3))
    assert not _assembled(replace(found, certain=False), _ONE, good, 1, 64).proved
    assert not _assembled(replace(found, growth=None), _ONE, good, 1, 64).proved


def test_a_polynomial_keeps_its_last_coefficient_and_nothing_more() -> None:
    found = _expand_at(traits("t^3 + t"), _ONE, 5, 64)
    assert found.kappa_dot is not None
    assert found.kappa.tail_is_zero_after == 3
    assert found.kappa_dot.tail_is_zero_after == 2
    assert found.kappa.coefficients[3] > 5.9
    assert found.kappa_dot.coefficients[2] > 17
    assert found.kappa.coefficients[4].is_zero()
    with ctx.workprec(200):
        assert found.kappa.moment.overlaps(arb(22))
        assert found.kappa_dot.moment.overlaps(arb(34))


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("t*10^(-150)", r"E\[sigma\^2\] is below 1e-280.*up"),
        ("t*10^(-200)", r"E\[sigma\^2\] is below 1e-280.*up"),
        ("Max(1, t/1000)", r"E\[sigma'\^2\] is below 1e-280.*up"),
        ("t*10^145", r"E\[sigma\^2\] is above 1e\+280.*down"),
    ],
)
def test_kernels_that_doubles_do_not_hold_are_refused(text: str, what: str) -> None:
    with pytest.raises(UnsupportedError, match=what + ".*variance"):
        expand(traits(text), _ONE, 4, 6, None)
    hermite._require_doubles("E[sigma^2]", arb(10) ** 279)
    with pytest.raises(UnsupportedError, match="above"):
        hermite._require_doubles("E[sigma^2]", arb(10) ** 281)


def test_a_complex_value_inside_a_piece_is_a_contradiction() -> None:
    with pytest.raises(CertificationError, match="complex"):
        hermite._real(acb(1, 1))
    assert hermite._real(acb(2, 0)) == 2


def test_a_moment_that_is_not_enclosed_is_refused() -> None:
    """Its ball held every double and more, and what followed were values that are no numbers."""
    known = SeriesExpansion(arb(1, 0.25), (arb(0.5),), None)
    unknown = SeriesExpansion(arb(1, 2), (arb(0.5),), None)
    zero = SeriesExpansion(arb(0), (arb(0),), 0)
    found = HermiteExpansion((), known, zero, 64, 8, 1, True)
    hermite._require_enclosed(found)
    hermite._require_enclosed(replace(found, kappa_dot=None))
    with pytest.raises(UnsupportedError, match=r"E\[sigma\^2\] could not be enclosed"):
        hermite._require_enclosed(replace(found, kappa=unknown))
    with pytest.raises(UnsupportedError, match=r"E\[sigma'\^2\] could not be enclosed"):
        hermite._require_enclosed(replace(found, kappa_dot=unknown))
