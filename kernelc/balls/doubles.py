"""Balls to doubles."""

from __future__ import annotations

import math

from flint import arb

from kernelc.functions.envelope import fraction_of


def nearest_double(x: arb) -> float:
    """A double nearest to the middle of the ball; 0 where the ball holds 0, so that exact zeros stay zeros.

    The distance to the true value is at most the ball's diameter and half a unit in the last place; who
    needs a bound takes it from the ball.
    """
    return 0.0 if x.contains(0) else float(fraction_of(x.mid()))


def double_above(x: arb) -> float:
    """The least double >= the ball's upper end; infinity where there is none."""
    if not x.is_finite():
        return math.inf
    top = fraction_of(x.upper())
    try:
        value = float(top)
    except OverflowError:
        return math.inf
    return math.nextafter(value, math.inf) if value < top else value
