"""Observed errors: direct evaluations sampled, and the cut series' distance from them."""

from __future__ import annotations

import math

import pytest
from flint import arb, ctx

from kernelc.certificate.samples import INTERVALS, observe
from kernelc.model import DirectDual
from kernelc.program import PowerSeries, ThetaChebyshev

DEGREES = (0, 1, 3, 8)


def geometric(ratio: float, terms: int) -> list[arb]:
    """sum (ratio rho)^k."""
    return [arb(ratio) ** k for k in range(terms)]


def test_observed_error_of_a_geometric_series_is_its_tail_at_one() -> None:
    with ctx.workprec(128):
        terms = geometric(0.5, 90)
        direct = DirectDual(
            PowerSeries(tuple(float(c.mid()) for c in terms), "none"), 2.0, 2 / 3, 1e-16, proved=True, checks=0
        )
        found = observe(direct, terms, DEGREES)
    assert [d for d, _ in found["observed_by_degree"]] == list(DEGREES)
    for degree, error in found["observed_by_degree"]:
        assert error == pytest.approx(0.5**degree, rel=1e-12)


def test_samples_are_the_direct_evaluation_at_both_ends_and_between() -> None:
    with ctx.workprec(128):
        # theta^2 / pi^2 on [0, pi] as a Chebyshev series in x = 2 theta / pi - 1
        direct = DirectDual(
            ThetaChebyshev((0.0, math.pi), ((0.375, 0.5, 0.125),)), 0.0, 1.0, 1e-16, proved=False, checks=1
        )
        found = observe(direct, geometric(0.5, 9), DEGREES)
    rho, value = found["samples"]["rho"], found["samples"]["value"]
    assert len(rho) == len(value) == INTERVALS + 1
    assert rho[0] == -1.0
    assert rho[-1] == 1.0
    assert 0.0 in rho
    assert rho == sorted(rho)
    for x, y in zip(rho, value, strict=True):
        assert y == pytest.approx((math.acos(x) / math.pi) ** 2, abs=1e-15)


def test_a_wrong_last_coefficient_is_seen() -> None:
    with ctx.workprec(128):
        terms = geometric(0.5, 9)
        direct = DirectDual(
            PowerSeries(tuple(float(c.mid()) for c in terms), "none"),
            sum(0.5**k for k in range(9)),
            sum((-0.5) ** k for k in range(9)),
            1e-16,
            proved=True,
            checks=0,
        )
        assert observe(direct, terms, (8,))["observed_by_degree"][0][1] < 1e-15
        terms[8] += arb(1e-9)
        (_, error) = observe(direct, terms, (8,))["observed_by_degree"][0]
    assert error == pytest.approx(1e-9, rel=1e-6)


def test_panels_meet_at_their_edges() -> None:
    with ctx.workprec(128):
        edges = (0.0, 1.0, math.pi)
        # theta itself, panel by panel
        tables = ((0.5, 0.5), ((1.0 + math.pi) / 2, (math.pi - 1.0) / 2))
        direct = DirectDual(ThetaChebyshev(edges, tables), 0.0, math.pi, 1e-16, proved=False, checks=1)
        found = observe(direct, geometric(0.5, 9), DEGREES)["samples"]
    for x, y in zip(found["rho"], found["value"], strict=True):
        assert y == pytest.approx(math.acos(x), abs=1e-14)
