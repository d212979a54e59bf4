"""sigma and sigma' as they are drawn."""

from __future__ import annotations

import math

import pytest
import sympy

from kernelc.certificate import activation_curve
from kernelc.model import VARIABLE as T


def test_values_and_slopes_are_the_function_and_its_derivative() -> None:
    curve = activation_curve(sympy.sin(T) * sympy.exp(T / 3), 2.0)
    assert (curve.points[0], curve.points[-1]) == (-8.0, 8.0)
    assert list(curve.points) == sorted(curve.points)
    for t, value, slope in zip(curve.points, curve.values, curve.slopes, strict=True):
        assert value == pytest.approx(math.sin(t) * math.exp(t / 3), abs=1e-13)
        assert slope == pytest.approx((math.cos(t) + math.sin(t) / 3) * math.exp(t / 3), abs=1e-13)


def test_a_jump_is_seen_from_both_sides_with_a_gap_between() -> None:
    curve = activation_curve(sympy.Heaviside(T - 1) * T, 1.0, [1.0], slopes=False)
    assert curve.slopes == ()
    middle = curve.points.index(1.0)
    before, at, after = curve.values[middle - 1 : middle + 2]
    assert before == 0.0
    assert math.isnan(at)
    assert after == pytest.approx(1.0, abs=1e-5)
    assert sum(map(math.isnan, curve.values)) == 1


def test_what_is_not_finite_is_a_gap() -> None:
    curve = activation_curve(sympy.log(sympy.Abs(T)), 1.0)
    assert math.isnan(curve.values[curve.points.index(0.0)])
    assert sum(map(math.isfinite, curve.values)) == len(curve.points) - 1
