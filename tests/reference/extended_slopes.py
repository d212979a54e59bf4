"""Activations and derivatives of the extended registry that take more than one line."""

from __future__ import annotations

from mpmath import mp

from tests.reference.quadrature import Real


def indicator(condition: bool) -> Real:
    """1 where the condition holds, else 0."""
    return mp.mpf(1) if condition else mp.mpf(0)


def mish(t: Real) -> Real:
    """t tanh(log(1 + e^t)) = t w / (w + 2) with w = e^t (e^t + 2)."""
    e = mp.exp(t)
    w = e * (e + 2)
    return t * w / (w + 2)


def mish_slope(t: Real) -> Real:
    """d/dt mish."""
    e = mp.exp(t)
    w = e * (e + 2)
    return w / (w + 2) + t * 4 * e * (e + 1) / (w + 2) ** 2


def atan_slope(t: Real) -> Real:
    """1/(1+t^2)."""
    return 1 / (1 + t * t)


def sinc(t: Real) -> Real:
    """sin(t)/t, t != 0."""
    return mp.sin(t) / t


def sinc_slope(t: Real) -> Real:
    """(t cos t - sin t)/t^2; the few digits lost near 0 are covered by the working precision."""
    return (t * mp.cos(t) - mp.sin(t)) / (t * t)


def selu(t: Real) -> Real:
    """Klambauer et al. 2017, constants as published with 32 digits."""
    scale, alpha = mp.mpf("1.0507009873554804934193349852946"), mp.mpf("1.6732632423543772848170429916717")
    return scale * (t if t > 0 else alpha * mp.expm1(t))


def selu_slope(t: Real) -> Real:
    """d/dt selu."""
    scale, alpha = mp.mpf("1.0507009873554804934193349852946"), mp.mpf("1.6732632423543772848170429916717")
    return scale if t > 0 else scale * alpha * mp.exp(t)


def hard_swish(t: Real) -> Real:
    """t min(max(t + 3, 0), 6) / 6."""
    return t * max(min(t + 3, mp.mpf(6)), mp.mpf(0)) / 6


def hard_swish_slope(t: Real) -> Real:
    """d/dt hard_swish."""
    if abs(t) >= 3:
        return indicator(t > 0)
    return (2 * t + 3) / 6


def spliced_sine(t: Real) -> Real:
    """sin t below 1, its tangent plus (t - 1)^2 above."""
    if t < 1:
        return mp.sin(t)
    return mp.sin(1) + mp.cos(1) * (t - 1) + (t - 1) ** 2


def spliced_sine_slope(t: Real) -> Real:
    """d/dt spliced_sine."""
    return mp.cos(t) if t < 1 else mp.cos(1) + 2 * (t - 1)
