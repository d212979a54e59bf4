"""The second road: it agrees with what is right, sees what is wrong, and says where it cannot tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

import mpmath
import pytest
from flint import arb, ctx
from mpmath import mpf

from kernelc.analysis import analyse
from kernelc.certificate import check_expansion, check_given, kappa_by_quadrature, oracle
from kernelc.certificate.oracle import OracleResult, _compared, _projections, _sinc_derivative, _values, cells
from kernelc.dualkernel import analyse_dual, expand_dual
from kernelc.errors import CertificationError, InputError
from kernelc.expansion import expand
from kernelc.model import SeriesExpansion
from kernelc.parse import parse_activation, parse_dual

_ONE = Fraction(1)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cells that are not made too narrow for a test."""
    monkeypatch.setattr(oracle, "_CELLS", (2.125, 1.0625))


def checked(text: str, *, coefficient: float = 0.0, moment: float = 0.0, slope: float = 0.0) -> OracleResult:
    """The check of an expansion that is off by these."""
    spec = parse_activation(text, name="f")
    traits = analyse(spec, _ONE)
    found = expand(traits, _ONE, 5, 5, 64)
    with ctx.workprec(128):
        hermite = (*found.hermite[:3], found.hermite[3] + arb(coefficient), *found.hermite[4:])
        kappa = replace(found.kappa, moment=found.kappa.moment + arb(moment))
        dot = None if found.kappa_dot is None else replace(found.kappa_dot, moment=found.kappa_dot.moment + arb(slope))
    wrong = replace(found, hermite=hermite, kappa=kappa, kappa_dot=dot)
    return check_expansion(spec.expression, traits, wrong, _ONE, 5, digits=10)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(("text", "samples"), [("tanh(t)+t^2", 7), ("Heaviside(t-1/3)*t", 6), ("abs(t-50)", 7)])
def test_the_check_agrees_with_what_is_right(text: str, samples: int) -> None:
    found = checked(text)
    assert found.agrees
    assert found.samples == samples
    assert found.max_observed_error < 1e-8


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("wrong", ["coefficient", "moment", "slope"])
def test_the_check_sees_what_is_wrong(wrong: str) -> None:
    with pytest.raises(CertificationError, match=r"mpmath finds .* nothing is emitted"):
        checked("tanh(t)+t^2", **{wrong: 1e-5})


@pytest.mark.usefixtures("quick")
def test_what_oscillates_too_fast_is_left_out_and_said_so() -> None:
    assert checked("sin(60*t)").notes


@pytest.mark.parametrize(("first", "looks"), [("wrong", 2), ("doubtful", 2), ("right", 1)])
def test_a_second_look_is_taken_before_anything_is_called_wrong(
    first: str, looks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A feature much narrower than a cell fools both step sizes alike, or none."""
    taken: list[int] = []
    right = _compared

    def compared(balls: Sequence[arb], fine: Sequence[mpf], *rest: Any) -> OracleResult:
        taken.append(len(fine))
        found = right(balls, fine, *rest)
        if len(taken) == 1 and first == "wrong":
            raise CertificationError("not seen")
        return replace(found, notes=("not seen",)) if len(taken) == 1 and first == "doubtful" else found

    monkeypatch.setattr(oracle, "_CELLS", (4.25, 2.125))
    monkeypatch.setattr(oracle, "_compared", compared)
    assert not checked("t^2").notes
    assert len(taken) == looks


def test_a_difference_counts_by_the_checks_own_error() -> None:
    ball = [arb(1.0)]
    assert _compared(ball, [mpf(1)], [mpf(1)], 1, 10, 0.0).samples == 1
    doubtful = _compared(ball, [mpf(1)], [mpf(2)], 1, 10, 0.0)
    assert (doubtful.samples, doubtful.agrees) == (0, False)
    assert "1 quantities oscillate too fast" in doubtful.notes[0]
    off = mpf(1) + mpf(10) ** -5
    with pytest.raises(CertificationError, match="mpmath finds"):
        _compared(ball, [off], [off], 1, 10, 0.0)
    assert _compared(ball, [off], [off], 1, 10, 1e-4).agrees
    assert _compared([arb(1.0, 1e-4)], [off], [off], 1, 10, 0.0).agrees
    not_a_number = [mpf("nan")]
    assert _compared(ball, not_a_number, not_a_number, 1, 10, 0.0).samples == 0


def test_differences_are_relative_to_the_activations_size() -> None:
    """E[sigma^2] = 1e-20 and coefficients up to 1e-10: a coefficient of 1e-16 that is none is seen."""
    moment, slope = mpf(10) ** -20, mpf(10) ** -12
    balls = [arb("1e-20"), arb("1e-12"), arb(0)]
    wrong = [moment, slope, mpf(10) ** -16]
    with pytest.raises(CertificationError, match="mpmath finds"):
        _compared(balls, wrong, wrong, 2, 16, 0.0)
    right = [moment, slope, mpf(10) ** -27]
    assert _compared(balls, right, right, 2, 16, 0.0).samples == 3
    off = [moment, slope * (1 + mpf(10) ** -6), mpf(0)]
    with pytest.raises(CertificationError, match="mpmath finds"):
        _compared(balls, off, off, 2, 16, 0.0)


@pytest.mark.parametrize("text", ["log(1+erf(t))", "log(1-erf(t))", "log(1-tanh(t)^2)"])
def test_what_cancels_far_out_is_evaluated_with_more_digits(text: str) -> None:
    """At t = -8 nothing is left of 1 + erf(t) in 24 digits, and a logarithm of 0 was a traceback."""
    found = checked(text)
    assert found.agrees
    assert not found.notes
    assert found.max_observed_error < 1e-13


def test_values_where_there_are_none_are_no_numbers() -> None:
    with mpmath.workdps(24):
        found = _values(lambda x: 1 / x, [mpf(1), mpf(0), mpf(2), mpf(4)], 18)
        assert mpmath.isnan(found[1])
        assert found[2:] == [mpf("0.5"), mpf("0.25")]
        # one digit is left of 24, of both sides' ends alike
        small = mpf(10) ** -23
        for points in ([mpf(1), small, mpf(2)], [mpf(1), mpf(2), small]):
            ends = _values(lambda x: (1 + x) - 1, points, 18)
            assert all(abs(value - x) <= abs(x) * mpf(10) ** -17 for value, x in zip(ends, points, strict=True))


def test_projections_on_hermite_polynomials() -> None:
    """At nodes of every size, in integers, against mpmath's own polynomials."""
    z = [mpf(x) for x in ("-18.3", "-2.75", "0", "0.3", "6.5", "17")]
    with mpmath.workdps(24):
        products = [mpf(x) for x in ("3e-41", "-0.3", "0.7", "1e-90", "2e-6", "-4e-33")]
        found = _projections(z, products, (0, 1, 2, 7, 40))
        with mpmath.workdps(40):
            for k, value in zip((0, 1, 2, 7, 40), found, strict=True):
                scale = mpmath.sqrt(mpf(2) ** k * mpmath.factorial(k))
                terms = [p * mpmath.hermite(k, x / mpmath.sqrt(2)) / scale for x, p in zip(z, products, strict=True)]
                assert abs(value - mpmath.fsum(terms)) <= mpf(10) ** -23 * max(abs(t) for t in terms)
        assert all(mpmath.isnan(x) for x in _projections(z, [*products[:-1], mpf("inf")], (0, 3)))
        assert _projections(z, [mpf(0)] * 6, (0, 3)) == [0, 0]


def test_cells_end_at_the_breakpoints_within_reach() -> None:
    traits = analyse(parse_activation("abs(t-1)+abs(t-12)", name="f"), _ONE)
    ends = [b for _, b in cells(traits, 1.0, 9.0)]
    assert mpf(1) in ends
    assert max(ends) == 9


def test_the_derivative_of_sinc_near_zero() -> None:
    with mpmath.workdps(30):
        for x in (mpf("1e-7"), mpf("-9e-7"), mpf("0.5")):
            exact = (x * mpmath.cos(x) - mpmath.sin(x)) / x**2
            assert abs(_sinc_derivative(x) - exact) < mpf(10) ** -14


def test_kappa_in_two_dimensions() -> None:
    spec = parse_activation("relu(t)", name="f")
    found = kappa_by_quadrature(spec.expression, analyse(spec, _ONE), _ONE, 0.5, digits=2)
    angle = mpmath.pi / 3
    exact = (mpmath.sin(angle) + (mpmath.pi - angle) / 2) / (2 * mpmath.pi)
    assert abs(found - exact) < 1e-4


# A dual kernel that was given


def test_the_check_of_a_given_kernel_sees_what_is_wrong() -> None:
    traits = analyse_dual(parse_dual("exp(rho-1)", name="k"), _ONE)
    found = expand_dual(traits, _ONE, 8, 16, 128)
    assert check_given(traits, found, _ONE, 8).agrees
    with ctx.workprec(128):
        off = tuple(c + arb("1e-9") if k == 3 else c for k, c in enumerate(found.kappa.coefficients))
        wrong = SeriesExpansion(found.kappa.moment, off, None)
    with pytest.raises(CertificationError, match=r"the coefficient of rho\^3"):
        check_given(traits, replace(found, kappa=wrong), _ONE, 8)


def test_a_given_kernel_that_is_not_its_series_is_refused() -> None:
    """Its series about 0 is that of exp(rho - 1): it is another kernel from 1/2 on."""
    traits = analyse_dual(parse_dual("exp(rho-1)", name="k"), _ONE)
    found = expand_dual(traits, _ONE, 8, 16, 128)
    assert found.kappa_dot is not None
    half = SeriesExpansion(found.kappa_dot.moment / 2, tuple(c / 2 for c in found.kappa_dot.coefficients), None)
    with pytest.raises(InputError, match="not the sum of its power series"):
        check_given(traits, replace(found, kappa_dot=half), _ONE, 8)
