"""Every formula of the certifying code against its definition, in exact arithmetic or mpmath.

Balls are made wide on purpose (few bits, large radii), so that a lost error term shows at once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

import mpmath
import pytest
import sympy
from flint import acb, arb, ctx
from mpmath import mpf

from kernelc.analysis import analyse
from kernelc.balls.doubles import double_above, nearest_double
from kernelc.balls.local import EndPoint, LocalBounds, Term, integrable, integral, squared
from kernelc.balls.tape import Tape
from kernelc.certificate import CertificateInputs, OracleResult, certify, degree_for_tolerance
from kernelc.certificate.rounding import evaluation_bound, gamma, roundings
from kernelc.certificate.series import certify_series, degree_for, tail_after, tails
from kernelc.errors import CertificationError, InputError, UnsupportedError
from kernelc.expansion import hermite
from kernelc.expansion.hermite import _assembled, _expand_at, _Sums, _tail
from kernelc.expansion.panels import PanelBuilder, Target, _rule_error, tail_beyond
from kernelc.functions.envelope import fraction_of
from kernelc.model import (
    VARIABLE,
    ActivationTraits,
    CompileOptions,
    DirectDual,
    DirectEvaluation,
    Growth,
    HermiteExpansion,
    NormFit,
    SeriesExpansion,
)
from kernelc.parse import parse_activation
from kernelc.program import PowerSeries

_ONE = Fraction(1)
#: The radius of a ball has 30 bits, rounded up at every step.
_SLACK = Fraction(1, 10**6)


def traits(text: str, variance: Fraction = _ONE) -> ActivationTraits:
    return analyse(parse_activation(text, name="f"), variance)


def low(x: arb) -> Fraction:
    return fraction_of(x.lower())


def high(x: arb) -> Fraction:
    return fraction_of(x.upper())


def number(x: arb) -> mpf:
    exact = fraction_of(x.mid())
    return mpf(exact.numerator) / exact.denominator


# Rounding


@pytest.mark.parametrize("n", [1, 7, 100, 2**20])
@pytest.mark.parametrize("bits", [24, 53])
def test_gamma_is_highams(n: int, bits: int) -> None:
    u = Fraction(1, 2**bits)
    exact = n * u / (1 - n * u)
    bound = gamma(n, arb(2) ** -bits)
    assert high(bound) >= exact
    assert low(bound) <= exact
    assert gamma(2**bits, arb(2) ** -bits) == arb.pos_inf()


@pytest.mark.parametrize(("dtype", "bits", "smallest", "more"), [("float32", 24, 149, 1), ("float64", 53, 1074, 0)])
def test_the_evaluation_bound_counts_every_operation(dtype: str, bits: int, smallest: int, more: int) -> None:
    for coefficients in ((0.5,), (0.25, 0.0, 1e-3), tuple(1.0 / (k + 1) for k in range(20)), (2.0**-140, 2.0**-140)):
        n = 3 * (len(coefficients) - 1) + 4 + more
        assert roundings(len(coefficients) - 1) + more == n
        u = Fraction(1, 2**bits)
        exact = n * u / (1 - n * u) * sum(map(Fraction, coefficients))
        exact += n * len(coefficients) * Fraction(1, 2**smallest)
        bound = evaluation_bound(coefficients, dtype)
        assert high(bound) >= exact
        assert low(bound) <= exact * (1 + Fraction(1, 10**9))


# Doubles


def test_doubles_are_outward() -> None:
    for x in (arb(1) / 3, arb(2).sqrt(), arb(1, 1e-9), arb("1e-320"), arb(0, "1e-400"), -arb(1) / 3):
        found = double_above(x)
        assert Fraction(found) >= high(x)
        assert Fraction(math.nextafter(found, -math.inf)) < high(x)
    for infinite in (arb.nan(), arb.pos_inf(), arb(0, arb.pos_inf()), arb("1e400")):
        assert double_above(infinite) == math.inf
    assert nearest_double(arb(1e-30, 1e-20)) == 0.0
    assert nearest_double(arb(1) / 3) == 1.0 / 3.0


# One series


def wide_series(after: int | None = None) -> SeriesExpansion:
    """Coefficients 1/2, 1/4, ... with radii, and a moment above their sum."""
    radius = 1e-4
    return SeriesExpansion(arb(1.25, radius), tuple(arb(2.0 ** -(k + 1), radius) for k in range(8)), after)


def test_tails_take_the_worst_of_every_ball() -> None:
    series = wide_series()
    everything = tails(series)
    for degree in range(8):
        kept = sum((low(c) for c in series.coefficients[: degree + 1]), Fraction(0))
        worst = high(series.moment) - kept
        for bound in (tail_after(series, degree), everything[degree]):
            assert Fraction(1) >= fraction_of(bound.lower()) >= worst
            assert high(bound) <= worst + Fraction(1, 10**9)


def test_tails_of_a_polynomial_end_where_it_ends() -> None:
    series = wide_series(after=5)
    assert [tail_after(series, k) == 0 for k in range(8)] == [False] * 5 + [True] * 3
    assert [t == 0 for t in tails(series)] == [False] * 5 + [True] * 3


def test_a_negative_tail_is_zero() -> None:
    series = SeriesExpansion(arb(0.5), (arb(0.5), arb(0.25)), None)
    assert tail_after(series, 1) == 0
    assert tails(series)[1] == 0


@pytest.mark.parametrize("proved", [True, False])
@pytest.mark.parametrize("sure", [True, False])
def test_every_number_of_a_statement_is_on_the_safe_side(proved: bool, sure: bool) -> None:
    series, degree = wide_series(), 4
    direct = DirectDual(PowerSeries((0.75, 0.5), "none"), 1.25, 0.25, 1e-16, sure, 0)
    facts = certify_series(series, degree, direct, proved=proved)
    kind, other = ("bound", "estimate") if proved else ("estimate", "bound")
    statement = facts.statement
    assert not any(f"{part}_{other}" in statement for part in ("truncation", "total", "evaluation", "literal_rounding"))
    truncation = high(series.moment) - sum((low(c) for c in series.coefficients[:5]), Fraction(0))
    rounding = Fraction(0)
    for ball, c, literal in zip(facts.literals, series.coefficients, statement["coefficients"], strict=False):
        gap = max(high(c) - Fraction(literal), Fraction(literal) - low(c))
        rounding += gap
        assert ball.mid == literal
        assert gap <= Fraction(ball.rad) <= gap * (1 + _SLACK)
    assert truncation <= Fraction(statement[f"truncation_{kind}"]) <= truncation * (1 + _SLACK)
    assert rounding <= Fraction(statement[f"literal_rounding_{kind}"]) <= rounding * (1 + _SLACK)
    for dtype in ("float32", "float64"):
        evaluation = high(evaluation_bound(statement["coefficients"], dtype))
        whole = truncation + rounding + evaluation
        assert whole <= Fraction(statement[f"total_{kind}"][dtype]) <= whole * (1 + _SLACK)
        assert evaluation <= Fraction(statement[f"evaluation_{kind}"][dtype])
    for rho, bound in statement[f"truncation_{kind}_at"].items():
        at = truncation * Fraction(rho) ** 5
        assert at <= Fraction(bound) <= at * (1 + _SLACK)
    claim = statement["direct"]
    assert claim["status"] == ("certified" if sure else "estimated")
    assert ("error_bound" in claim) is sure
    own = Fraction(1e-16) + low(evaluation_bound((0.75, 0.5), "float64")) / Fraction(1.25)
    assert (
        own
        <= Fraction(claim["error_bound" if sure else "error_estimate"])
        <= own * (1 + Fraction(1, 1000)) + Fraction(1, 2**58)
    )


def test_a_degree_is_proved_only_where_the_whole_ball_is_below() -> None:
    by_degree = [arb(1.0), arb(0.1, 0.05).upper(), arb(0.01), arb(1e-4)]
    assert degree_for(by_degree, 0.12) == {"degree": 2, "kind": "proved"}
    assert degree_for(by_degree, 0.16) == {"degree": 1, "kind": "proved"}
    assert degree_for(by_degree, 0.01, "estimate") == {"degree": 2, "kind": "estimate"}


def test_a_degree_beyond_all_doubles_is_no_number() -> None:
    slow = [arb(1) - arb(k) / 10**5 for k in range(33)]
    assert degree_for(slow, 1e-9) is None
    steady = [arb(1) / (k + 1) for k in range(65)]
    estimate = degree_for(steady, 1e-3)
    assert estimate is not None
    assert estimate["kind"] == "asymptotic_estimate"
    assert 900 <= estimate["degree"] <= 1200
    assert degree_for([arb(1), arb(1)], 1e-3) is None


# The certificate's words


def expansion_of(series: SeriesExpansion, *, proved: bool = True) -> HermiteExpansion:
    return HermiteExpansion((), series, None, 64, 8, 1, proved)


def test_a_tolerance_is_met_by_the_whole_ball() -> None:
    expansion = expansion_of(wide_series())
    everything = tails(expansion.kappa)
    for degree in range(1, 7):
        reached = double_above(everything[degree])
        assert degree_for_tolerance(expansion, reached) == degree
        assert degree_for_tolerance(expansion, reached * (1 - 1e-9)) == degree + 1
    with pytest.raises(InputError, match="no degree up to 7"):
        degree_for_tolerance(expansion, 1e-3)


def certificate_of(found: ActivationTraits, *, proved: bool) -> dict[str, Any]:
    direct = DirectEvaluation(DirectDual(PowerSeries((0.75, 0.5), "none"), 1.25, 0.25, 1e-16, True, 0), None)
    inputs = CertificateInputs(
        parse_activation("tanh(t)", name="f"),
        CompileOptions("f"),
        found,
        expansion_of(wide_series(), proved=proved),
        direct,
        OracleResult(18, 1, 0.0, True, ()),
        {},
        None,
        None,
        NormFit((0.25, 4.0), None, None, "not asked for", 0, 0, ()),
    )
    return dict(certify(inputs, 4).certificate)


def test_what_is_not_proved_is_not_called_certified() -> None:
    found = traits("tanh(t)")
    certified = certificate_of(found, proved=True)
    assert certified["status"] == "certified"
    assert "truncation_bound" in certified["kappa"]
    for doubtful, why in ((replace(found, growth=None), "growth"), (replace(found, certain=False), "zeros")):
        estimated = certificate_of(doubtful, proved=False)
        assert estimated["status"] == "estimated"
        assert why in estimated["status_reason"]
        assert "truncation_bound" not in estimated["kappa"]
        assert "truncation_estimate" in estimated["kappa"]


def test_the_printed_growth_is_not_below_the_proved_one() -> None:
    scale = _ONE + Fraction(1, 2**53) - Fraction(1, 2**80)
    growth = Growth(scale, Fraction(1), Fraction(1, 3), Fraction(1, 10**7), Fraction(2))
    printed = certificate_of(replace(traits("tanh(t)"), growth=growth), proved=True)["growth"]
    assert Fraction(printed["scale"]) >= scale
    assert Fraction(printed["scale"]) <= scale * (1 + Fraction(1, 2**48))


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


@pytest.mark.parametrize("text", ["t*10^(-150)", "t*10^(-200)"])
def test_kernels_that_doubles_do_not_hold_are_refused(text: str) -> None:
    with pytest.raises(UnsupportedError, match="outside the range of doubles"):
        _expand_at(traits(text), _ONE, 4, 64)


def test_a_complex_value_inside_a_piece_is_a_contradiction() -> None:
    with pytest.raises(CertificationError, match="complex"):
        hermite._real(acb(1, 1))
    assert hermite._real(acb(2, 0)) == 2
