"""Pair integrals of damped truncated powers against graded double quadrature of their definition."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from kernelc.numerics._knots import Knots
from tests.backends.measure_norms import expectations

_KNOTS = Knots(0.3, (1.4, -0.7), ((0.0, 0.8, 0.4, 0.1, 1.2), (0.0, -0.5, 0.2, 0.1, 0.3)))
#: The corner of the quadrant of two knots at 0 is the origin, where distances to the sides say nothing of its angle.
_AT_ZERO = Knots(0.3, (-1.0, 0.0), ((0.0, 1.0, 0.5), (0.0, -2.0, 0.4, -3.8)))
_STEP = Knots(0.3, (1.4,), ((0.5, -0.5, 0.2),))


def _at(evaluate: Callable[..., Any], *q: Any) -> Any:
    """Scalars and arrays as arrays of one shape."""
    return evaluate(*(np.asarray(v, dtype=np.float64) for v in np.broadcast_arrays(*q)))


def _power(knots: Knots, t: Any, *, slope: bool) -> Any:
    """s or s' by its definition."""
    total = np.zeros_like(t)
    for point, row in zip(knots.points, knots.weights, strict=True):
        sign = 1.0 if point >= 0 else -1.0
        x = np.maximum(sign * (t - point), 0.0)
        damp = np.exp(-0.5 * knots.damping * x * x)
        value = sum(w * x**q / math.factorial(q) for q, w in enumerate(row)) * damp
        if slope:
            rising = sum(w * x ** (q - 1) / math.factorial(q - 1) for q, w in enumerate(row) if q) * damp
            value = sign * (rising - knots.damping * x * value)
        total += np.where(x > 0, value, 0.0)
    return total


def _exact(knots: Knots, q: tuple[float, float, float], *, slope: bool) -> float:
    one, other = math.sqrt(q[0]), math.sqrt(q[2])
    theta = math.acos(q[1] / (one * other))

    def product(u: Any, v: Any) -> Any:
        return _power(knots, u, slope=slope) * _power(knots, v, slope=slope)

    return float(expectations([product], one, other, theta, (knots.points, knots.points))[0])


@pytest.mark.parametrize("q", [(1.0, 0.3, 2.0), (4.0, -3.0, 5.0), (900.0, 300.0, 400.0)])
@pytest.mark.parametrize("slope", [False, True])
@pytest.mark.parametrize("knots", [_KNOTS, _AT_ZERO], ids=["off_zero", "at_zero"])
def test_pair_integrals(knots: Knots, q: tuple[float, float, float], slope: bool) -> None:
    evaluate = knots.dual_dot if slope else knots.dual
    size = np.sqrt(float(_at(evaluate, q[0], q[0], q[0])) * float(_at(evaluate, q[2], q[2], q[2])))
    assert abs(float(_at(evaluate, *q)) - _exact(knots, q, slope=slope)) <= 2e-14 * size


def test_a_jump() -> None:
    q = (1.0, 0.4, 2.0)
    assert abs(float(_at(_STEP.dual, *q)) - _exact(_STEP, q, slope=False)) <= 1e-14


def test_the_slope_is_the_derivative_in_the_covariance() -> None:
    first, cross, second = 1.3, np.array([-0.9, 0.1, 0.4, 0.8]), 0.9
    step = 1e-5
    secant = (_at(_KNOTS.dual, first, cross + step, second) - _at(_KNOTS.dual, first, cross - step, second)) / (
        2 * step
    )
    np.testing.assert_allclose(_at(_KNOTS.dual_dot, first, cross, second), secant, atol=1e-10)


@pytest.mark.parametrize("knots", [_KNOTS, _AT_ZERO], ids=["off_zero", "at_zero"])
def test_equal_and_opposite_inputs_are_limits(knots: Knots) -> None:
    q = np.array([1e-4, 0.5, 2.0, 100.0])
    for sign in (1.0, -1.0):
        there = knots.dual(q, sign * q, q)
        near = knots.dual(q, sign * q * (1.0 - 1e-9), q)
        np.testing.assert_allclose(there, near, rtol=1e-6, atol=1e-14)
        assert np.isfinite(knots.dual_dot(q, sign * q, q)).all()


def test_zero_variances_give_zero() -> None:
    np.testing.assert_array_equal(_KNOTS.dual(np.array([0.0, 1.0, 0.0]), np.zeros(3), np.array([1.0, 0.0, 0.0])), 0.0)
