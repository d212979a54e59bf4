"""Every formula of the certifying code against its definition, in exact arithmetic or mpmath.

Balls are made wide on purpose (few bits, large radii), so that a lost error term shows at once.
"""

from __future__ import annotations

import importlib
import math
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
from flint import arb

from kernelc.balls.doubles import double_above, nearest_double
from kernelc.certificate import CertificateInputs, OracleResult, certify, degree_for_tolerance
from kernelc.certificate.rounding import evaluation_bound, gamma, roundings, short_evaluation_bound
from kernelc.certificate.series import certify_series, degree_for, tail_after, tails
from kernelc.errors import InputError
from kernelc.functions.envelope import fraction_of
from kernelc.model import (
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
from kernelc.program import PowerSeries, ShortSeries
from tests.trust.exactness import high, low, traits

_ONE = Fraction(1)
#: The radius of a ball has 30 bits, rounded up at every step.
_SLACK = Fraction(1, 10**6)


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


def all_roundings_up(series: ShortSeries) -> Fraction:
    """The value at rho = 1 as it is printed, every operation of which errs by u in the same direction."""
    up, zero = 1 + Fraction(1, 2**53), Fraction(0)
    y = (2 * up - 1) * up if series.squared else Fraction(1)
    value = Fraction(series.rest[-1])
    for coefficient in reversed(series.rest[:-1]):
        value = (value * y * up + Fraction(coefficient)) * up
    for coefficient in reversed(series.head):
        value = (value * up + Fraction(coefficient)) * up
    return value - sum(map(Fraction, (*series.head, *series.rest)), zero)


SHORT = [
    ShortSeries((0.5, 0.25), tuple(0.6**k for k in range(20)), True),
    ShortSeries((), (*(0.0,) * 39, 1.0), True),
    ShortSeries((0.125,), (*(0.0,) * 39, 1.0), False),
    ShortSeries((0.5, 0.0, 0.25), (1.0,), True),
]


@pytest.mark.parametrize("series", SHORT)
def test_an_economised_series_errs_by_no_more_than_its_bound(series: ShortSeries) -> None:
    worst, bound = all_roundings_up(series), low(short_evaluation_bound(series))
    assert worst <= bound
    assert bound <= 6 * worst


@pytest.mark.parametrize("series", SHORT)
def test_the_statement_of_an_economised_series(series: ShortSeries) -> None:
    direct = DirectDual(series, 1.25, 0.25, 1e-15, True, 0)
    statement = certify_series(wide_series(), 4, direct, proved=True).statement
    rounding = low(short_evaluation_bound(series)) / Fraction(statement["moment"])
    assert statement["direct"]["method"] == "economised_series"
    assert Fraction(statement["direct"]["error_bound"]) >= Fraction(1e-15) + rounding


def test_what_economisation_leaves_out_comes_to_the_error(monkeypatch: pytest.MonkeyPatch) -> None:
    series = SeriesExpansion(arb(2), (arb(1), arb(0.5), arb(0.5)), 2)
    fit = importlib.import_module("kernelc.fitting.fit")
    monkeypatch.setattr(fit, "shortest", lambda kept: (PowerSeries.of(kept), arb(0.125)))
    dual = fit.series_dual(series, 8, 128, proved=True)
    assert dual is not None
    assert dual.error >= 0.125 / 2


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
