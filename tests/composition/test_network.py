"""Certificates of composed kernels against references in mpmath: sound at every rho, tight at rho = 1."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

import mpmath
import pytest
from flint import arb, ctx
from mpmath import mpf

from kernelc.analysis import analyse
from kernelc.certificate.network import certify_network
from kernelc.composition import compose
from kernelc.errors import InputError, UnsupportedError
from kernelc.expansion import expand
from kernelc.model import (
    CompileOptions,
    DirectDual,
    HermiteExpansion,
    NetworkDirect,
    NetworkExpansion,
    NetworkLayer,
    SeriesExpansion,
)
from kernelc.networks import Layered, expand_network
from kernelc.parse import parse_activation
from kernelc.program import PowerSeries
from tests.composition.layers import ACTIVATIONS, network

DIGITS = 50
UNUSED = DirectDual(PowerSeries.of((0.0,)), 0.0, 0.0, 0.0, True, 0)


def layers_of(formula: str, depth: int, degree: int) -> tuple[tuple[NetworkLayer, ...], NetworkExpansion]:
    spec = parse_activation(formula, name="tested", parameters={}, source=None)
    traits = analyse(spec, Fraction(1))
    expansion = expand(traits, Fraction(1), degree, 512 if traits.breakpoints else 256, None)

    def again(outer: int, bits: int) -> HermiteExpansion:
        return expand(traits, Fraction(1), 0, outer, bits)

    first = Layered(spec, traits, expansion, again)
    return expand_network(first, CompileOptions("tested", depth=depth), degree)


def statement_of(layers: tuple[NetworkLayer, ...], degree: int) -> tuple[dict[str, Any], NetworkExpansion]:
    composed = compose(layers, degree, max(degree, 48))
    direct = NetworkDirect(UNUSED, None if composed.ntk is None else UNUSED)
    return certify_network(composed, direct).statement, composed


def _series(coefficients: list[float], rho: mpf) -> mpf:
    return mpmath.fsum(mpf(c) * rho**k for k, c in enumerate(coefficients))


@pytest.mark.parametrize("name", ["relu", "erf", "sin", "half_exponential", "step", "hard_tanh"])
def test_bounds_are_sound_and_tight_at_every_depth(name: str) -> None:
    activation = ACTIVATIONS[name]
    # exp grows from layer to layer: 4 layers reach variance 1e4.
    depth = {"half_exponential": 4, "hard_tanh": 2}.get(name, 10)
    layers, _ = layers_of(activation.formula, depth, activation.degree)
    for number in sorted({1, 2, 3, 5, depth}):
        if number > depth:
            break
        statement, _ = statement_of(layers[:number], activation.degree)
        assert statement["depth"] == number
        assert statement["status"] == "certified"
        with mpmath.workdps(DIGITS if name != "hard_tanh" else 20):
            for rho, shrunk in ((mpf(1), None), (-mpf(1), None), (mpf("0.9"), "0.9"), (-mpf("0.5"), "0.5")):
                for kernel, true in zip(("nngp", "ntk"), network(activation.layer, number, rho), strict=True):
                    facts = statement[kernel]
                    if true is None:
                        assert "jumps" in facts["refused"]
                        continue
                    error = abs(true - _series(facts["coefficients"], rho))
                    rounding, tail = facts["literal_rounding_bound"], facts["truncation_bound"]
                    allowed = tail if shrunk is None else facts["truncation_bound_at"][shrunk]
                    assert error <= allowed + rounding + mpf(10) ** -17, (number, rho, kernel)
                    if rho == 1:
                        assert tail <= mpf("1.01") * (error + rounding), (number, kernel)
                        assert tail > 1e-13


def _taylor(f: Callable[[mpf], mpf], terms: int) -> list[mpf]:
    return [mpf(c) for c in mpmath.taylor(f, 0, terms)]


@pytest.mark.parametrize("name", ["half_exponential", "erf"])
@pytest.mark.parametrize("depth", [2, 3])
def test_coefficients_are_the_taylor_coefficients(name: str, depth: int) -> None:
    activation = ACTIVATIONS[name]
    _, composed = layers_of(activation.formula, depth, 8)
    with mpmath.workdps(60):
        for index, kernel in enumerate((composed.nngp, composed.ntk)):
            assert kernel is not None

            def value(rho: mpf, index: int = index) -> mpf:
                return network(activation.layer, depth, rho)[index]

            true = _taylor(value, 8)
            for k, coefficient in enumerate(true):
                found = kernel.series.coefficients[k]
                gap = abs(mpf(found.mid().str(50, radius=False)) - coefficient)
                assert gap <= mpf(found.rad().str(10, radius=False)) + kernel.shortfall + mpf(10) ** -28


def test_value_at_one_is_exact() -> None:
    """Every normalised Hermite polynomial of degree 2 keeps variance 1: K = 1, Theta = 1 + 2 Theta."""
    layers, composed = layers_of("(t**2 - 1)/sqrt(2)", 6, 64)
    assert composed.ntk is not None
    for ball, true in ((composed.nngp.series.moment, 1), (composed.ntk.series.moment, 2**7 - 1)):
        assert ball.overlaps(arb(true))
        assert float(ball.rad()) < 1e-30
    # rho^(2^6) and nothing beyond
    assert composed.nngp.series.tail_is_zero_after == 64
    statement, _ = statement_of(layers, 64)
    assert statement["nngp"]["truncation_bound"] == 0.0
    assert statement["nngp"]["coefficients"][64] == pytest.approx(1.0, abs=1e-15)


def test_homogeneous_layers_are_the_first_one_rescaled() -> None:
    _, composed = layers_of("Max(t, 0)**2", 3, 16)
    assert composed.homogeneous_degree == 8
    # E[relu(sZ)^4] = 3 s^4 / 2
    for before, after in zip(composed.variances, composed.variances[1:], strict=False):
        assert (after - arb(3) / 2 * before * before).contains(0)


def _cut(series: SeriesExpansion) -> SeriesExpansion:
    return replace(series, coefficients=series.coefficients[:8])


def test_dropped_outer_terms_are_inside_the_bound() -> None:
    """Outer series cut at a low degree over an inner one with a constant term: every coefficient falls short."""
    activation = ACTIVATIONS["half_exponential"]
    layers, _ = layers_of(activation.formula, 2, 5)
    cut = []
    for layer in layers:
        dot = layer.expansion.kappa_dot
        assert dot is not None
        assert isinstance(layer.expansion, HermiteExpansion)
        expansion = replace(layer.expansion, kappa=_cut(layer.expansion.kappa), kappa_dot=_cut(dot))
        cut.append(NetworkLayer(layer.variance, layer.traits, expansion))
    composed, whole = compose(cut, 5, 7), compose(layers, 5, 7)
    assert composed.ntk is not None
    assert whole.ntk is not None
    for short, full in ((composed.nngp, whole.nngp), (composed.ntk, whole.ntk)):
        missing = sum(
            (a - b for a, b in zip(full.series.coefficients[:6], short.series.coefficients[:6], strict=True)), arb(0)
        )
        assert missing > 0
        assert missing <= short.shortfall
        # of the size of what is missing, not of the whole kernel
        assert short.shortfall < 1e-3 * short.series.moment
        with ctx.workprec(composed.precision):
            tail = short.series.moment - sum(short.series.coefficients[:6], arb(0))
            assert tail > full.series.moment - sum(full.series.coefficients[:6], arb(0))


@pytest.mark.parametrize("formula", ["Heaviside(t - 1)", "Max(-1, Min(1, t))", "tanh(t)"])
def test_expansion_at_a_ball_holds_at_every_variance_in_it(formula: str) -> None:
    spec = parse_activation(formula, name="tested", parameters={}, source=None)
    traits = analyse(spec, Fraction(3, 4))
    radius = Fraction(1, 10**7)
    middle = Fraction(1, 2)
    ball = arb(arb(0.5), arb(1e-7))
    wide = expand(traits, ball, 0, 40, None)
    for variance in (middle - radius * Fraction(9, 10), middle, middle + radius * Fraction(9, 10)):
        exact = expand(traits, variance, 0, 40, None)
        assert wide.kappa.moment.contains(exact.kappa.moment)
        for k, a in enumerate(exact.hermite):
            assert wide.hermite[k].contains(a), k
            # within the bound (2k + 2) ds sqrt(E[sigma^2]) / s, s = 2^-1/2, ds = 1e-7 / (2 s), and never much wider
            assert float(wide.hermite[k].rad()) <= (2 * k + 2) * 1.01e-7


def test_networks_that_cannot_be_expanded_are_refused_by_layer() -> None:
    with pytest.raises((InputError, UnsupportedError), match="hidden layer 3"):
        layers_of("exp(t)", 3, 8)
