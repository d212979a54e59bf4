"""sigma and sigma' at points of a line, to be looked at."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import mpmath
import sympy

from kernelc.certificate.oracle import mpmath_function
from kernelc.model import VARIABLE, ActivationCurve

_DIGITS = 15
_INTERVALS = 160
_REACH = 4.0
#: How near to a breakpoint the two points beside it are drawn, so that a jump is seen as one.
_BESIDE = 1e-6


def activation_curve(
    expression: sympy.Expr, deviation: float, breakpoints: Sequence[float] = (), *, slopes: bool = True
) -> ActivationCurve:
    """sigma (and sigma', where `slopes`) on four standard deviations about 0, each breakpoint seen from both sides.

    `deviation` is the standard deviation of the argument. A breakpoint itself is drawn as a gap.
    """
    reach = _REACH * deviation
    grid = {reach * (2 * i / _INTERVALS - 1) for i in range(_INTERVALS + 1)}
    near = [b for b in breakpoints if abs(b) < reach]
    beside = _BESIDE * deviation
    grid = {t for t in grid if all(abs(t - b) > beside for b in near)}
    grid.update(t for b in near for t in (b - beside, b, b + beside))
    points = sorted(grid)
    holes = set(near)
    with mpmath.workdps(_DIGITS):
        values = _values(mpmath_function(expression), points, holes)
        derivative = mpmath_function(sympy.diff(expression, VARIABLE)) if slopes else None
        found = () if derivative is None else _values(derivative, points, holes)
    return ActivationCurve(tuple(points), values, found)


def _values(function: Callable[[Any], Any], points: Sequence[float], holes: set[float]) -> tuple[float, ...]:
    return tuple(math.nan if t in holes else _value(function, t) for t in points)


def _value(function: Callable[[Any], Any], t: float) -> float:
    try:
        value = float(mpmath.re(function(mpmath.mpf(t))))
    except (ValueError, TypeError, ZeroDivisionError, OverflowError, mpmath.libmp.NoConvergence):
        return math.nan
    return value if math.isfinite(value) else math.nan
