"""The certificate of a truncated series: never below the truth, tight at rho = 1, least degrees, honest words."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import mpmath
import pytest
from flint import arb, ctx
from mpmath import mpf

from kernelc.analysis import analyse
from kernelc.certificate import degree_for_tolerance
from kernelc.certificate.series import certify_series, degree_for, tail_after, tails
from kernelc.errors import InputError
from kernelc.expansion import expand
from kernelc.model import DirectDual, HermiteExpansion, SeriesExpansion
from kernelc.parse import parse_activation
from kernelc.program import PowerSeries

_ONE = Fraction(1)
_DIRECT = DirectDual(PowerSeries((1.0,), "even"), 1.0, 1.0, 1e-15, True, 0)


def expanded(text: str, degree: int, last: int) -> HermiteExpansion:
    return expand(analyse(parse_activation(text, name="f"), _ONE), _ONE, degree, last, None)


def _relu(k: int) -> mpf:
    if k < 2:
        return 1 / (2 * mpmath.pi) if k == 0 else mpf(1) / 4
    if k % 2:
        return mpf(0)
    m = (k - 2) // 2
    return mpmath.factorial(2 * m) / (4**m * mpmath.factorial(m) ** 2 * 2 * mpmath.pi * k * (k - 1))


def _erf(k: int) -> mpf:
    """asin(2 rho/3) 2/pi."""
    if k % 2 == 0:
        return mpf(0)
    m = (k - 1) // 2
    return 2 / mpmath.pi * mpmath.binomial(2 * m, m) / (4**m * k) * (mpf(2) / 3) ** k


KNOWN: list[tuple[str, Callable[[int], mpf], Callable[[], mpf]]] = [
    ("relu(t)", _relu, lambda: mpf(1) / 2),
    ("erf(t)", _erf, lambda: 2 / mpmath.pi * mpmath.asin(mpf(2) / 3)),
    ("exp(t)", lambda k: mpmath.e / mpmath.factorial(k), lambda: mpmath.exp(2)),
]


@pytest.mark.parametrize(("text", "coefficient", "moment"), KNOWN)
def test_truncation_bounds_over_degrees(text: str, coefficient: Callable[[int], mpf], moment: Callable[[], mpf]) -> None:
    found = expanded(text, 256, 256)
    with mpmath.workdps(800), ctx.workprec(found.precision + 64):
        remaining = moment()
        for degree in range(257):
            remaining -= coefficient(degree)
            if degree not in (0, 1, 2, 3, 7, 16, 31, 64, 100, 255, 256):
                continue
            facts = certify_series(found.kappa, degree, _DIRECT, proved=True)
            bound = mpf(facts.statement["truncation_bound"])
            assert bound >= remaining
            assert bound <= mpf("1.01") * remaining or bound < mpf(10) ** -290
            for rho, at in facts.statement["truncation_bound_at"].items():
                # The error at rho is at most the tail times rho^(degree+1), and at least its first term.
                assert mpf(at) >= coefficient(degree + 1) * mpf(rho) ** (degree + 1)
                assert mpf(at) <= bound * mpf(rho) ** (degree + 1) * (1 + mpf(10) ** -14) + mpf(2) ** -1073
            assert len(facts.literals) == degree + 1
            for k, ball in enumerate(facts.literals):
                assert abs(mpf(ball.mid) - coefficient(k)) <= mpf(ball.rad)
                # Narrow but for what is exactly 0 without being known to be.
                assert ball.rad <= max(abs(ball.mid) * 2.0**-52, 1e-60)
            literal = mpmath.fsum(abs(mpf(b.mid) - coefficient(k)) for k, b in enumerate(facts.literals))
            assert mpf(facts.statement["literal_rounding_bound"]) >= literal
            total = facts.statement["total_bound"]
            for dtype, evaluation in facts.statement["evaluation_bound"].items():
                assert Fraction(total[dtype]) >= Fraction(facts.statement["truncation_bound"]) * (1 - Fraction(1, 2**50)) + Fraction(evaluation)


def test_the_table_by_degree_falls_and_is_what_each_degree_would_certify() -> None:
    found = expanded("relu(t)", 64, 64)
    with ctx.workprec(found.precision):
        statement = certify_series(found.kappa, 8, _DIRECT, proved=True).statement
        table = statement["bound_by_degree"]
        assert [d for d, _ in table] == [0, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64]
        assert all(a[1] > b[1] for a, b in zip(table, table[1:], strict=False) if b[0] % 2 == 0)
        for degree, bound in table:
            assert bound == certify_series(found.kappa, degree, _DIRECT, proved=True).statement["truncation_bound"]
        assert dict(table)[8] == statement["truncation_bound"]


def test_words_are_earned() -> None:
    found = expanded("tanh(t)", 8, 8)
    with ctx.workprec(found.precision):
        proved = certify_series(found.kappa, 8, _DIRECT, proved=True).statement
        guessed = certify_series(found.kappa, 8, _DIRECT, proved=False).statement
    assert not any("estimate" in key for key in proved)
    assert not any("bound" in key for key in guessed)
    assert guessed["truncation_estimate"] == proved["truncation_bound"]
    unproved = DirectDual(PowerSeries((1.0,), "even"), 1.0, 1.0, 1e-15, False, 3)
    with ctx.workprec(found.precision):
        assert certify_series(found.kappa, 8, _DIRECT, proved=True).statement["direct"]["status"] == "certified"
        statement = certify_series(found.kappa, 8, unproved, proved=True).statement["direct"]
    assert statement["status"] == "estimated"
    assert "error_bound" not in statement


def test_a_wide_ball_widens_the_bound() -> None:
    """A coefficient known only to 1e-3 moves the bound by as much: radii are not lost."""
    exact = SeriesExpansion(arb(2), (arb(1), arb("0.5")))
    wide = SeriesExpansion(arb(2), (arb(1), arb("0.5", "0.001")))
    assert tail_after(exact, 1) == arb("0.5")
    assert tail_after(wide, 1) > arb("0.50099")
    assert float(tails(wide)[1]) == float(tail_after(wide, 1))
    assert tail_after(SeriesExpansion(arb(1, "0.25"), (arb(1),)), 0) >= arb("0.25")
    statement = certify_series(wide, 1, _DIRECT, proved=True).statement
    assert statement["literal_rounding_bound"] >= 0.001
    assert statement["coefficient_radii"][1] >= 0.001


def test_a_polynomials_tail_is_exactly_zero() -> None:
    series = SeriesExpansion(arb(2, "1e-20"), (arb(1), arb(0), arb(1), arb(0)), 2)
    assert tail_after(series, 2).is_zero()
    assert tail_after(series, 3).is_zero()
    assert tail_after(series, 1) > arb("0.99")
    assert [float(x) for x in tails(series)[2:]] == [0.0, 0.0]


@pytest.mark.parametrize("tolerance", [1e-1, 3e-2, 1e-3, 2e-5])
def test_tol_picks_the_least_degree(tolerance: float) -> None:
    found = expanded("relu(t)", 0, 512)
    degree = degree_for_tolerance(found, tolerance)
    with mpmath.workdps(40):
        tail = [mpf(1) / 2]
        for k in range(degree + 1):
            tail.append(tail[-1] - _relu(k))
        assert tail[degree + 1] <= tolerance < tail[degree]


def test_a_tolerance_out_of_reach_says_what_is_reached() -> None:
    found = expanded("relu(t)", 0, 64)
    with pytest.raises(InputError, match=r"degree 64 reaches ([0-9.e-]+); ask for --tol ([0-9.e-]+)") as caught:
        degree_for_tolerance(found, 1e-9)
    offered = float(str(caught.value).rsplit("--tol ", 1)[1].split()[0])
    assert degree_for_tolerance(found, offered) <= 64


def test_the_degree_for_a_tolerance() -> None:
    by_degree = [arb(1) / (k + 1) ** 2 for k in range(101)]
    assert degree_for(by_degree, 1e-3) == {"degree": 31, "kind": "proved"}
    assert degree_for(by_degree, 1e-3, "estimate") == {"degree": 31, "kind": "estimate"}
    far = degree_for(by_degree, 1e-6)
    assert far is not None
    assert far["kind"] == "asymptotic_estimate"
    assert far["degree"] == pytest.approx(1000, rel=0.1)
    assert degree_for([arb(1)] * 20, 1e-3) is None
    assert degree_for([arb(2) ** -k for k in range(30)], 2.0**-7) == {"degree": 7, "kind": "proved"}


def test_nothing_finite_is_claimed_of_what_is_not() -> None:
    assert tail_after(SeriesExpansion(arb.pos_inf(), (arb(1),)), 0) == arb.pos_inf()
