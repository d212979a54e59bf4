"""The trapezoidal rule against closed forms and the adaptive rule, and where it gives up."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

import mpmath
import numpy as np
import pytest

from kernelc.analysis import analyse
from kernelc.fitting.lattice import SmoothPair
from kernelc.fitting.proxy import Proxy, make_proxy
from kernelc.fitting.quadrature import PairIntegral
from kernelc.parse import parse_activation

_ONE = Fraction(1)
_ANGLES = (0.0, 0.0007, 0.02, 0.19, 0.201, 0.77, math.pi / 2)


def proxy(text: str, variance: Fraction = _ONE) -> Proxy:
    return make_proxy(analyse(parse_activation(text, name="f"), variance), variance, 13.0, (1e-4, 1e-4))


def wave(frequency: int) -> Callable[[float], tuple[float, float]]:
    """E[sin(a u) sin(a w)] = exp(-a^2) sinh(a^2 rho), and a^2 exp(-a^2) cosh(a^2 rho)."""

    def exact(theta: float) -> tuple[float, float]:
        square, rho = mpmath.mpf(frequency) ** 2, mpmath.cos(mpmath.mpf(theta))
        value = mpmath.exp(-square) * mpmath.sinh(square * rho)
        return float(value), float(square * mpmath.exp(-square) * mpmath.cosh(square * rho))

    return exact


@pytest.mark.parametrize("frequency", [1, 3, 7, 12, 20])
def test_waves(frequency: int) -> None:
    """Steps of which one is twice the other take some of these for the same slower wave, and agree on a wrong value."""
    f, exact = proxy(f"sin({frequency}*t)"), wave(frequency)
    scale = np.array(exact(0.0))
    pair = SmoothPair(f, f)
    for theta in _ANGLES:
        found = pair(theta / 2, scale)
        assert found is not None
        # nodes and theta are doubles: their last bits count as often as the value turns
        allowed = 2e-15 + 3e-16 * frequency**2
        assert np.all(np.abs(np.array(found) - exact(theta)) <= allowed * scale)


@pytest.mark.parametrize("text", ["t*sigmoid(t)", "tanh(3*t)", "exp(t^2/40)", "cos(t)*exp(t)", "sin(7*t)*tanh(t)"])
def test_it_agrees_with_the_adaptive_rule(text: str) -> None:
    one, other = proxy(text), proxy(text, Fraction(1, 4))
    scale = np.sqrt(np.array(PairIntegral(one, np.ones(2))(0.0)) * PairIntegral(other, np.ones(2))(0.0))
    pair = PairIntegral(one, scale, other)
    adaptive = PairIntegral(one, scale, other)
    adaptive._lattices = None
    assert pair._lattices is not None
    for theta in np.array([0.0, 0.05, 0.4, 1.5, 2.0, 2.9, math.pi]):
        assert np.all(np.abs(np.array(pair(theta)) - adaptive(theta)) <= 3e-15 * scale)


def test_what_varies_too_fast_is_left_to_the_adaptive_rule() -> None:
    f = proxy("tanh(200*t)")
    assert SmoothPair(f, f)(0.4, np.ones(2)) is None
    assert SmoothPair(f, f)(0.01, np.ones(2)) is None
    steep = PairIntegral(f, np.array([1.0, 100.0]))
    # sign(t) but for a layer of width 1/200
    assert steep(1.0)[0] == pytest.approx(1.0 - 2.0 / math.pi, abs=1e-2)


def test_a_kink_has_no_lattice() -> None:
    assert PairIntegral(proxy("abs(t)"), np.ones(2))._lattices is None
    assert PairIntegral(proxy("tanh(t)"), np.ones(2), proxy("abs(t)"))._lattices is None
