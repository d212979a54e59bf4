"""What a certificate states of networks and of tables against the norm."""

from __future__ import annotations

import pytest
from flint import arb, ctx

import kernelc
from kernelc.certificate.norms import norm_statement
from kernelc.certificate.series import certify_series
from kernelc.model import DirectDual, NormFit, NormTail, SeriesExpansion
from kernelc.program import NormMoment, NormProgram, ThetaChebyshev


def test_a_network_is_certified_beside_its_layers() -> None:
    """sigma(t) = t: every kernel is rho, the NTK of two hidden layers 3 rho."""
    kernel = kernelc.compile("t", name="f", degree=3, depth=2)
    found = kernel.certificate["network"]
    assert found["depth"] == 2
    assert found["status"] == "certified"
    for name, size in (("nngp", 1.0), ("ntk", 3.0)):
        statement = found[name]
        with ctx.workprec(64):
            assert statement["coefficients"] == [0.0, size, 0.0, 0.0]
            assert statement["truncation_bound"] == 0.0
            assert statement["moment"] == size


@pytest.mark.parametrize("shortfall", [None, arb("1e-9")])
def test_a_series_in_the_angle_is_stated_with_its_checks(shortfall: arb | None) -> None:
    table = ThetaChebyshev((0.0, 1.5, 3.2), ((0.5, 0.25), (0.25, 0.125)))
    direct = DirectDual(table, 1.0, 0.0, 3e-15, False, 11)
    series = SeriesExpansion(arb(1), (arb(0.5), arb(0.25)), None)
    found = certify_series(series, 1, direct, proved=True, shortfall=shortfall).statement
    assert found["direct"]["method"] == "theta_chebyshev"
    assert (found["direct"]["terms"], found["direct"]["panels"], found["direct"]["checked_at"]) == (2, 2, 11)
    assert found["direct"]["error_estimate"] == 3e-15
    assert ("shortfall_bound" in found) is (shortfall is not None)
    # Only what is beyond the degree shrinks with rho.
    least = 0.25 * 0.5**2 + (0.0 if shortfall is None else 1e-9)
    assert found["truncation_bound_at"]["0.5"] == pytest.approx(least, rel=1e-12)
    assert found["truncation_bound_at"]["0.5"] >= least


def fit(program: NormProgram | None, reason: str | None, tails: tuple[NormTail, ...]) -> NormFit:
    return NormFit((0.25, 4.0), program, None if program is None else 1e-12, reason, 7, 3, tails)


def test_tables_are_stated_with_what_they_hold() -> None:
    nothing = norm_statement(fit(None, "not asked for", ()))
    assert nothing == {"declared": [0.25, 4.0], "served": None, "reason": "not asked for"}
    program = NormProgram(
        (0.25, 4.0), 0.0, 1.0, 0.0, 1.0, NormMoment(0, (0.0,)), None, ((1.0,), (0.5,)), None, None, None
    )
    alone = norm_statement(fit(program, "a kink off 0", (NormTail(0.25, 3.456e-5, None), NormTail(4.0, 1e-17, 0.0))))
    assert alone["served"] is None
    assert alone["hermite_served"] == [0.25, 4.0]
    assert alone["hermite_degree"] == 1
    assert "double integrals" not in alone["checked"]["how"]
    tails = alone["truncation_at"]
    assert [tails[0][key] for key in ("s", "kappa_estimate", "kappa_dot_estimate")] == [0.25, 3.46e-5, None]
    assert tails[1]["kappa_estimate"] == 1e-14
