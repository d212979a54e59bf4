"""One hidden layer of networks whose kernels are known in closed form, in mpmath: the second road to every depth.

ReLU: Cho and Saul 2009. erf: Williams 1997. sin, exp: E[exp(s u + t v)] = exp(var / 2). Hard-tanh: one integral of
the conditional expectation over u. Step: Sheppard 1899.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import mpmath
from mpmath import mpf

#: (q, rho) -> (T, Tdot) at variances q, q and correlation rho; Tdot is None where it is infinite at rho = 1.
Layer = Callable[[mpf, mpf], tuple[mpf, mpf | None]]


def relu(q: mpf, rho: mpf) -> tuple[mpf, mpf]:
    """Max(t, 0)."""
    theta = mpmath.acos(rho)
    value = q * (mpmath.sin(theta) + (mpmath.pi - theta) * rho) / (2 * mpmath.pi)
    return value, (mpmath.pi - theta) / (2 * mpmath.pi)


def erf(q: mpf, rho: mpf) -> tuple[mpf, mpf]:
    """erf(t)."""
    value = 2 / mpmath.pi * mpmath.asin(2 * q * rho / (1 + 2 * q))
    return value, 4 / mpmath.pi / mpmath.sqrt((1 + 2 * q) ** 2 - (2 * q * rho) ** 2)


def sine(q: mpf, rho: mpf) -> tuple[mpf, mpf]:
    """sin(t)."""
    return mpmath.exp(-q) * mpmath.sinh(q * rho), mpmath.exp(-q) * mpmath.cosh(q * rho)


def half_exponential(q: mpf, rho: mpf) -> tuple[mpf, mpf]:
    """exp(t/2)."""
    value = mpmath.exp(q * (1 + rho) / 4)
    return value, value / 4


def normalized_gaussian(q: mpf, rho: mpf) -> tuple[mpf, mpf]:
    """No activation: the dual kernel |x| |y| exp(rho - 1)."""
    value = mpmath.exp(rho - 1)
    return q * value, value


def step(q: mpf, rho: mpf) -> tuple[mpf, None]:
    """Heaviside(t)."""
    return mpf(1) / 4 + mpmath.asin(rho) / (2 * mpmath.pi), None


def _clipped_mean(mean: mpf, deviation: mpf) -> mpf:
    """E[clip(mean + deviation Z, -1, 1)]."""
    low, high = (-1 - mean) / deviation, (1 - mean) / deviation
    density = mpmath.npdf(low) - mpmath.npdf(high)
    inside = mpmath.ncdf(high) - mpmath.ncdf(low)
    return mean * inside + deviation * density - mpmath.ncdf(low) + mpmath.ncdf(-high)


def hard_tanh(q: mpf, rho: mpf) -> tuple[mpf, mpf]:
    """Max(-1, Min(1, t))."""
    s = mpmath.sqrt(q)
    if abs(rho) == 1:
        inside = mpmath.erf(1 / (s * mpmath.sqrt(2)))
        second = q * (inside - 2 / s * mpmath.npdf(1 / s)) + (1 - inside)
        return rho * second, inside
    deviation = s * mpmath.sqrt(1 - rho * rho)

    def kappa(u: mpf) -> mpf:
        return max(-1, min(1, u)) * _clipped_mean(rho * u, deviation) * mpmath.npdf(u, 0, s)

    def slope(u: mpf) -> mpf:
        inside = mpmath.ncdf((1 - rho * u) / deviation) - mpmath.ncdf((-1 - rho * u) / deviation)
        return inside * mpmath.npdf(u, 0, s)

    reach = 14 * s
    value = mpmath.quad(kappa, [-reach, -4 * s, -1, 0, 1, 4 * s, reach])
    return value, mpmath.quad(slope, [-1, -mpf(1) / 2, 0, mpf(1) / 2, 1])


@dataclass(frozen=True)
class Activation:
    """A formula for kernelc and its layer for mpmath."""

    formula: str
    layer: Layer
    degree: int


#: `degree` leaves a tail that the references resolve.
ACTIVATIONS = {
    "relu": Activation("Max(t, 0)", relu, 24),
    "erf": Activation("erf(t)", erf, 24),
    "sin": Activation("sin(t)", sine, 9),
    "half_exponential": Activation("exp(t/2)", half_exponential, 5),
    "step": Activation("Heaviside(t)", step, 24),
    "hard_tanh": Activation("Max(-1, Min(1, t))", hard_tanh, 16),
}


def network(layer: Layer, depth: int, rho: mpf) -> tuple[mpf, mpf | None]:
    """(K_L, Theta_L) at input variance 1 and correlation rho; at rho = 1 both are the exact values."""
    q, correlation, tangent = mpf(1), rho, rho
    for _ in range(depth):
        (at_one, _), (value, slope) = layer(q, mpf(1)), layer(q, correlation)
        tangent = None if slope is None or tangent is None else value + slope * tangent
        q, correlation = at_one, value / at_one
    return value, tangent
