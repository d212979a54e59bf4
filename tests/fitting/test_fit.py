"""Direct evaluations against closed forms: arc-cosine kernels, erf, steps; two-dimensional quadrature alone too."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
from flint import ctx

from kernelc.analysis import analyse
from kernelc.errors import UnsupportedError
from kernelc.expansion import expand
from kernelc.fitting import chebyshev, fit
from kernelc.fitting.proxy import make_proxy
from kernelc.fitting.quadrature import PairIntegral
from kernelc.model import DirectDual
from kernelc.parse import parse_activation
from kernelc.program import ShortSeries, ThetaChebyshev
from tests.fitting.short import short_value

_ONE = Fraction(1)
_THETAS = (1e-6, 0.003, 0.3, 1.0, math.pi / 2, 2.0, 3.0, 3.14)


def relu(theta: float) -> tuple[float, float]:
    """Cho and Saul 2009, eq. (6): the arc-cosine kernels of degree 1 and 0, halved."""
    c, s = math.cos(theta), math.sin(theta)
    return (s + (math.pi - theta) * c) / (2 * math.pi), (math.pi - theta) / (2 * math.pi)


def squared_relu(theta: float) -> tuple[float, float]:
    """Degree 2: J_2 / (2 pi); its derivative's kernel is four times the kernel of relu."""
    c, s = math.cos(theta), math.sin(theta)
    return (3 * s * c + (math.pi - theta) * (1 + 2 * c * c)) / (2 * math.pi), 4 * relu(theta)[0]


def absolute(theta: float) -> tuple[float, float]:
    c, s = math.cos(theta), math.sin(theta)
    return (2 * s + (math.pi - 2 * theta) * c) / math.pi, 1 - 2 * theta / math.pi


def erf(theta: float) -> tuple[float, float]:
    """Williams 1997 at variance 1."""
    c = math.cos(theta)
    return 2 / math.pi * math.asin(2 * c / 3), 4 / math.pi / math.sqrt(9 - 4 * c * c)


def hard_tanh_like(theta: float) -> tuple[float, float]:
    """|t| + t^2: kappa is the sum, the cross terms being E[|u| v^2] = sqrt(2/pi) (1 + rho^2)."""
    c = math.cos(theta)
    cross = 2 * math.sqrt(2 / math.pi) * (1 + c * c)
    slope_cross = 2 * math.sqrt(2 / math.pi) * 2 * c
    one, two = absolute(theta)
    return one + (1 + 2 * c * c) + cross, two + 4 * c + slope_cross


CLOSED: list[tuple[str, Callable[[float], tuple[float, float]]]] = [
    ("relu(t)", relu),
    ("relu(t)^2", squared_relu),
    ("abs(t)", absolute),
    ("erf(t)", erf),
    ("abs(t) + t^2", hard_tanh_like),
]


@pytest.mark.parametrize(("text", "closed"), CLOSED)
def test_two_dimensional_quadrature(text: str, closed: Callable[[float], tuple[float, float]]) -> None:
    traits = analyse(parse_activation(text, name="f"), _ONE)
    size = np.array(closed(0.0))
    pair = PairIntegral(make_proxy(traits, _ONE, 12.0, (float(size[0]) ** 0.5, float(size[1]) ** 0.5)), size)
    for theta in _THETAS:
        assert np.all(np.abs(np.array(pair(theta)) - closed(theta)) <= 3e-14 * size), f"theta = {theta}"


def test_quadrature_scales_with_the_variance() -> None:
    """T of a homogeneous activation of degree 1 is q times kappa; kappa_dot does not depend on q."""
    q = Fraction(9, 4)
    traits = analyse(parse_activation("relu(t)", name="f"), q)
    pair = PairIntegral(make_proxy(traits, q, 12.0, (1.0, 1.0)), np.array([1.0, 1.0]))
    kappa, kappa_dot = pair(0.7)
    assert kappa == pytest.approx(2.25 * relu(0.7)[0], rel=1e-13)
    assert kappa_dot == pytest.approx(relu(0.7)[1], rel=1e-13)


def value(dual: DirectDual, theta: float) -> float:
    if isinstance(dual.evaluation, ShortSeries):
        return float(short_value(dual.evaluation, Fraction(math.cos(theta))))
    assert isinstance(dual.evaluation, ThetaChebyshev)
    return chebyshev.evaluate(dual.evaluation, theta)


@pytest.mark.parametrize(("text", "closed"), [CLOSED[0], CLOSED[3], CLOSED[4]])
def test_fitted_evaluations(text: str, closed: Callable[[float], tuple[float, float]]) -> None:
    traits = analyse(parse_activation(text, name="f"), _ONE)
    direct = fit(traits, expand(traits, _ONE, 64, 256, None), _ONE)
    assert direct.kappa_dot is not None
    for i, dual in enumerate((direct.kappa, direct.kappa_dot)):
        size = closed(0.0)[i]
        assert dual.at_one == pytest.approx(size, rel=4e-16)
        assert dual.at_minus_one == pytest.approx(closed(math.pi)[i], abs=1e-13 * size)
        for theta in (0.0, *_THETAS, math.pi):
            assert abs(value(dual, theta) - closed(theta)[i]) <= (2e-14 + dual.error) * size
        assert dual.error < 1e-12
        # Only a power series with a proved tail is proved.
        assert dual.proved == isinstance(dual.evaluation, ShortSeries) == (text == "erf(t)")


def test_an_algebraic_singular_point_takes_panels() -> None:
    """|t|^(3/2), against its own series, 512 terms of it, at |rho| <= 0.9."""
    traits = analyse(parse_activation("abs(t)^(3/2)", name="f"), _ONE)
    expansion = expand(traits, _ONE, 64, 512, None)
    direct = fit(traits, expansion, _ONE)
    assert isinstance(direct.kappa.evaluation, ThetaChebyshev)
    assert len(direct.kappa.evaluation.tables) > 1
    with ctx.workprec(expansion.precision):
        doubles = [float(c.mid()) for c in expansion.kappa.coefficients]
    for rho in (-0.9, -0.2, 0.0, 0.6, 0.9):
        series = math.fsum(c * rho**k for k, c in enumerate(doubles))
        assert value(direct.kappa, math.acos(rho)) == pytest.approx(series, abs=1e-12 * direct.kappa.at_one)


@pytest.mark.parametrize("text", ["log(Abs(t+1))", "log(Abs(0.25*t-0.3))", "Abs(t-1)^(-1/10)"])
def test_singular_points_off_0_are_tabulated(text: str) -> None:
    """Panels towards them were halved without end: so near to 1, t - 1 had no digit left."""
    traits = analyse(parse_activation(text, name="f"), _ONE)
    series = expand(traits, _ONE, 8, 100, None).kappa
    size, coefficients = float(series.moment.mid()), [float(c.mid()) for c in series.coefficients]
    pair = PairIntegral(make_proxy(traits, _ONE, 12.0, (size**0.5, 0.0)), np.array([size, np.inf]))
    for theta in (0.8, 1.3, 2.2):
        expected = math.fsum(c * math.cos(theta) ** k for k, c in enumerate(coefficients))
        assert abs(pair(theta)[0] - expected) < 1e-14 * size


def test_what_doubles_cannot_hold_next_to_a_singular_point_is_refused() -> None:
    """A part in 3e7 of E[sigma^2] lies where t is 1 in doubles."""
    traits = analyse(parse_activation("Abs(t-1)^(-1/4)", name="f"), _ONE)
    with pytest.raises(UnsupportedError, match="next to t = 1 "):
        make_proxy(traits, _ONE, 12.0, (1.5, 0.0))


def test_a_small_variance_costs_no_digits() -> None:
    """Panels of the tabulated activation must be narrow for the Gaussian, which is narrow at a small variance."""
    variance = Fraction(1, 10)
    spec = parse_activation("Piecewise((t, t > 0), (exp(t) - 1, True))", name="k", parameters={}, source=None)
    traits = analyse(spec, variance)
    direct = fit(traits, expand(traits, variance, 64, 512, None), variance)
    assert direct.kappa_dot is not None
    assert max(direct.kappa.error, direct.kappa_dot.error) < 1e-14


def test_a_steep_place_is_seen_where_the_kernel_alone_is_asked_for() -> None:
    """sigma's own integral is smooth beside a short stretch of y that no node of a wide panel meets."""
    variance = Fraction(9, 4)
    text = "Piecewise((erf(1000*t + 5), sqrt(1 + t^2) >= 1/1000), (0, True))"
    traits = analyse(parse_activation(text, name="f"), variance)
    proxy = make_proxy(traits, variance, 12.0, (1.0, 0.0))
    alone, with_slope = (PairIntegral(proxy, np.array([1.0, slope]))(1.3)[0] for slope in (np.inf, 1.0))
    assert alone == pytest.approx(0.1723996339750363, abs=1e-14)
    assert with_slope == pytest.approx(alone, abs=1e-14)
