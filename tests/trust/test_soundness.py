"""A short soundness campaign, the same activations each time; `python -m tests.trust.campaign` is the long one.

And the campaign's own honesty: its truth against closed forms, and that it would see a bound that is too small.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import islice
from pathlib import Path

import mpmath
import numpy as np
import pytest
from flint import arb, ctx
from mpmath import mpf

from kernelc.analysis import analyse
from kernelc.expansion import expand
from kernelc.model import SeriesExpansion
from kernelc.parse import parse_activation
from tests.strategies import Formula
from tests.trust import soundness
from tests.trust.campaign import cases
from tests.trust.soundness import Case, judge, reason_of
from tests.trust.truth import DIGITS, pair_values, tell

_T = ("name", "t")
_CASES = 25


def test_no_bound_of_random_activations_is_violated(tmp_path: Path) -> None:
    verdicts = []
    for index, case in enumerate(islice(cases(2, 10**9), 1, _CASES)):
        outcome = judge(case, tmp_path / str(index), 30.0)
        assert not outcome.violations, case.request
        assert outcome.verdict in ("certified", "estimated", "refused", "over_budget"), (case.request, outcome.reason)
        if outcome.verdict == "refused":
            assert not reason_of(outcome.reason).startswith("other"), outcome.reason
        verdicts.append((outcome.verdict, outcome.truth))
    assert verdicts.count(("certified", "compared")) > 8
    assert any(verdict == "refused" for verdict, _ in verdicts)


def formula(tree: tuple[object, ...], text: str) -> Formula:
    return Formula(text, (), tree)


#: What the campaign found, and what may not come back.
FOUND = [
    # The degree for a tolerance, extrapolated, was beyond doubles.
    (
        formula(("*", ("call", "Heaviside", ("--", _T, ("number", "0.3"))), ("^", ("call", "Abs", _T), "(3/4)")),
                "Heaviside(t-0.3)*Abs(t)^(3/4)"),
        "1", 16,
    ),
    # kappa(1) is 4e86: float32 held no value of it and returned infinities.
    (formula(("call", "sinh", _T), "sinh(t)"), "100", 24),
    # A bump of width 1/1000 in sigma' left it with a growth bound of exp(300 |t|): kappa_dot(1) was not enclosed.
    (
        formula(("call", "gelu", ("--", ("*", ("number", "1000"), _T), ("number", "0.3"))), "gelu(1000*t-0.3)"),
        "100", 12,
    ),
    # The truth itself was wrong at high degrees: a singular point 13 standard deviations out.
    (
        formula(
            ("*", ("call", "log", ("call", "Abs", ("+", ("*", ("number", "0.1"), _T), ("number", "2")))),
             ("^", ("--", ("*", ("number", "1.5"), _T), ("number", "1.25")), "5")),
            "log(Abs(0.1*t+2))*(1.5*t-1.25)^5",
        ),
        "9/4", 24,
    ),
    # The truth was wrong: cbrt is singular at -1/3000, 1.2e-11 beyond the point where Min leaves it.
    (
        formula(
            ("call", "Min", ("call", "cbrt", ("+", ("*", ("number", "3"), _T), ("number", "0.001"))),
             ("call", "tanh", _T)),
            "Min(cbrt(3*t+0.001), tanh(t))",
        ),
        "1", 12,
    ),
    # The truth was wrong: it did not see that Min changes twice within 7e-5.
    (
        formula(
            ("call", "Min", ("^", ("--", ("*", ("number", "100"), _T), ("number", "1")), "2"),
             ("call", "besselj", ("number", "2"), _T)),
            "Min((100*t-1)^2, besselj(2, t))",
        ),
        "100", 12,
    ),
    # Refused without need: what lies next to a point is no power, a zero over a zero, no floor under a logarithm.
    (
        formula(
            ("call", "exp", ("-", ("^", ("call", "log", ("call", "Abs", ("--", ("*", ("number", "2"), _T),
                                                                           ("number", "3")))), "2"))),
            "exp(-log(Abs(2*t-3))^2)",
        ),
        "9/4", 16,
    ),
    (formula(("/", ("call", "erf", _T), _T), "erf(t)/t"), "1", 16),
    (formula(("/", _T, ("call", "tanh", _T)), "t/tanh(t)"), "4", 16),
    (formula(("call", "log", ("call", "erfc", _T)), "log(erfc(t))"), "1", 16),
    (
        formula(
            ("call", "log", ("call", "Abs", ("*", ("number", "0.25"), ("call", "tanh", _T)))),
            "log(Abs(0.25*tanh(t)))",
        ),
        "100", 16,
    ),
    # Refused without need: balls of 1 + erf(t) and log(1 + exp(t)) lost their sign far out.
    (
        formula(
            ("call", "Min", ("call", "gelu", ("+", ("*", ("number", "0.7"), _T), ("number", "1.25"))),
             ("call", "gelu", ("--", ("*", ("number", "2"), _T), ("number", "0.5")))),
            "Min(gelu(0.7*t + 1.25), gelu(2*t - 0.5))",
        ),
        "9/4", 12,
    ),
    (
        formula(
            ("^", ("call", "softplus", ("+", ("*", ("number", "100"), _T), ("number", "2"))), "(4/3)"),
            "softplus(100*t + 2)^(4/3)",
        ),
        "1", 12,
    ),
    # Refused without need: exp(t^3) has no bound, the logarithm of one more has.
    (formula(("call", "softplus", ("^", _T, "3")), "softplus(t^3)"), "1", 12),
    # Refused without need: the slope of what Min switches by is a sum that cancels.
    (
        formula(("call", "Min", ("call", "silu", _T), ("call", "softplus", _T)), "Min(silu(t), softplus(t))"),
        "1", 8,
    ),
]  # fmt: skip


def test_zeros_next_to_sinc_are_isolated() -> None:
    """It was a traceback, then a refusal: the slope over the bracket holds 0 at a higher precision."""
    found = analyse(parse_activation("Min(sin(10*t - 0.5), sinc(t))", name="f"), Fraction(1))
    t = np.linspace(-40.0, 40.0, 400_001)
    positive = np.sin(10.0 * t - 0.5) > np.sinc(t / np.pi)
    assert found.certain
    assert len(found.breakpoints) == np.count_nonzero(positive[1:] != positive[:-1])
    assert all(point.kind == "kink" for point in found.breakpoints)


@pytest.mark.parametrize(("given", "variance", "degree"), FOUND)
def test_what_the_campaign_found_stays_found(given: Formula, variance: str, degree: int, tmp_path: Path) -> None:
    outcome = judge(Case(given, variance, degree, (0.5, -0.9375), False), tmp_path, 60.0)
    assert outcome.verdict == "certified"
    assert outcome.truth == "compared"
    assert not outcome.violations


@pytest.mark.parametrize(
    ("tree", "variance", "moment", "slope"),
    [
        (("call", "relu", _T), Fraction(2), lambda: mpf(1), lambda: mpf(1) / 2),
        (("call", "exp", _T), Fraction(1, 4), lambda: mpmath.exp(mpf(1) / 2), lambda: mpmath.exp(mpf(1) / 2)),
        (("call", "erf", _T), Fraction(1), lambda: 2 / mpmath.pi * mpmath.asin(mpf(2) / 3), None),
        (("call", "log", ("call", "Abs", _T)), Fraction(2), lambda: (mpmath.pi**2 / 2 + mpmath.euler**2) / 4, None),
        (("call", "sin", ("*", ("number", "3"), _T)), Fraction(1), lambda: (1 - mpmath.exp(-18)) / 2, None),
        (("call", "Max", ("number", "0.3"), _T), Fraction(1), None, lambda: mpmath.ncdf(mpf(-3) / 10)),
    ],
)
def test_the_truth_is_true(tree: tuple[object, ...], variance: Fraction, moment: object, slope: object) -> None:
    found = tell(tree, (), variance, 4, with_slope=slope is not None)
    with mpmath.workdps(DIGITS):
        if callable(moment):
            assert abs(found.moment - moment()) <= max(found.error, mpf(10) ** -30)
        if callable(slope):
            assert abs(found.slope_moment - slope()) <= max(found.slope_error, mpf(10) ** -30)
        assert found.error < mpf(10) ** -20


def test_the_truth_in_two_dimensions_is_true() -> None:
    found = tell(("call", "relu", _T), (), Fraction(1), 4)
    for rho in (-0.9, 0.0, 0.3, 0.97):
        with mpmath.workdps(30):
            angle = mpmath.acos(mpf(rho))
            kappa = (mpmath.sin(angle) + (mpmath.pi - angle) * mpmath.cos(angle)) / (2 * mpmath.pi)
            slope = (mpmath.pi - angle) / (2 * mpmath.pi)
        assert abs(pair_values(found, rho)[0] - kappa) < 1e-14
        assert abs(pair_values(found, rho)[1] - slope) < 1e-14


def test_the_truth_in_two_dimensions_reaches_as_far_as_sigma_does() -> None:
    """exp(t) at variance 25: the integral's mass lies 5 (1 + rho) standard deviations out."""
    found = tell(("call", "exp", _T), (), Fraction(25), 4)
    for rho in (-0.9, 0.3, 0.93484216928482056):
        with mpmath.workdps(30):
            kappa = mpmath.exp(25 * (1 + mpf(rho)))
        assert abs(pair_values(found, rho)[0] - kappa) < 1e-12 * found.moment


@pytest.mark.parametrize("what", ["moment", "coefficient"])
def test_a_wrong_ball_is_seen(what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An expansion that is off by a little more than its radius."""

    def wrong(*arguments: object) -> object:
        found = expand(*arguments)  # type: ignore[arg-type]
        series = found.kappa
        with ctx.workprec(200):
            if what == "moment":
                series = SeriesExpansion(series.moment + arb("1e-20"), series.coefficients, None)
            else:
                shifted = tuple(c + arb("1e-20") if k == 3 else c for k, c in enumerate(series.coefficients))
                series = SeriesExpansion(series.moment, shifted, None)
        return replace(found, kappa=series)

    given = formula(("call", "tanh", _T), "tanh(t)")
    case = Case(given, "1", 8, (0.5,), False)
    assert not judge(case, tmp_path / "right", 60.0).violations
    monkeypatch.setattr(soundness, "expand", wrong)
    assert judge(case, tmp_path / "wrong", 60.0).violations
