# Part of the runtime that kernelc copies, unchanged, into every module it generates.
"""A dual kernel by its closed form, at any variances: which road serves an element, block by block.

Part of every generated package, copied verbatim; it needs NumPy alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ._activation import Activation
from ._inputs import DoubleArray

Road = Callable[[DoubleArray, DoubleArray, DoubleArray], DoubleArray]

#: Elements a block: the temporaries of straight-line code stay in the cache.
BLOCK = 4096
#: Variances below this power of two are scaled up to it: products of smaller ones underflow.
_LOWEST = -400
_TINY = 2.0**_LOWEST
#: The smaller standard deviation, times the larger where that is below 1, below which terms of size 1 cancel too far.
_MIXED = 3e-3


@dataclass(frozen=True, slots=True)
class ClosedDual:
    """T or Tdot in float64: `program`, but `small` for q11, q22 <= small_below and `wide` for q11, q22 >= wide_above.

    `variances`: where the form holds. `zero_at_origin`: the value is exactly 0 where q11 or q22 is 0.
    `at_origin`: whether the value at a variance of 0 is known. `order`: it goes like this power of either standard
    deviation there, or is smaller. `activation`: sigma itself, where T is at hand with Tdot and needs it. `mixed`: for
    a small row and one that is not, NaN where it does not serve.
    """

    program: Road
    variances: tuple[float, float]
    zero_at_origin: bool
    at_origin: bool
    small: Road | None = None
    small_below: float = -1.0
    wide: Road | None = None
    wide_above: float = np.inf
    order: int = 0
    activation: Activation | None = None
    mixed: Road | None = None


def evaluate_closed(closed: ClosedDual, q11: DoubleArray, q12: DoubleArray, q22: DoubleArray) -> DoubleArray:
    """The value at arrays of one shape; q11, q22 in `variances`, |q12| <= sqrt(q11 q22).

    Error: below 1e-10 of sqrt(T(q11, q11, q11) T(q22, q22, q22)), an estimate (1e-13 observed).
    """
    first, cross, second = (np.ascontiguousarray(q).reshape(-1) for q in (q11, q12, q22))
    value = np.empty(first.size)
    with np.errstate(all="ignore"):
        for start in range(0, first.size, BLOCK):
            part = slice(start, start + BLOCK)
            one, middle, other = first[part], cross[part], second[part]
            if bool(((one < _TINY) & (one > 0.0)).any() or ((other < _TINY) & (other > 0.0)).any()):
                value[part] = _scaled(closed, one, middle, other)
            else:
                _block(closed, one, middle, other, value[part])
    return value.reshape(q12.shape)


def evaluate_homogeneous(
    closed: ClosedDual, power: int, q11: DoubleArray, q12: DoubleArray, q22: DoubleArray
) -> DoubleArray:
    """The value where it is homogeneous of degree `power` in each of (u, v), at any variances.

    They are scaled into [1, 4) by powers of two, which is exact.
    """
    halves = tuple(np.floor_divide(np.frexp(q)[1] - 1, 2) for q in (q11, q22))
    first, second = (np.ldexp(q, -2 * half) for q, half in zip((q11, q22), halves, strict=True))
    # one factor after the other: the two together may overflow where the product does not
    cross = np.ldexp(np.ldexp(q12, -halves[0]), -halves[1])
    value = evaluate_closed(closed, first, cross, second)
    with np.errstate(all="ignore"):
        scaled: DoubleArray = np.ldexp(value, power * (halves[0] + halves[1]))
    return scaled


def _scaled(closed: ClosedDual, q11: DoubleArray, q12: DoubleArray, q22: DoubleArray) -> DoubleArray:
    """The value where variances may be below `_TINY`: there it is its first power, but for a share of 1e-60."""
    halves = [np.where(q > 0.0, np.maximum((_LOWEST + 1 - np.frexp(q)[1]) // 2, 0), 0) for q in (q11, q22)]
    first, second = (np.ldexp(q, 2 * half) for q, half in zip((q11, q22), halves, strict=True))
    value = np.empty(q12.size)
    _block(closed, first, np.ldexp(np.ldexp(q12, halves[0]), halves[1]), second, value)
    return np.asarray(np.ldexp(value, -closed.order * (halves[0] + halves[1])))


def _block(closed: ClosedDual, q11: DoubleArray, q12: DoubleArray, q22: DoubleArray, out: DoubleArray) -> None:
    """out = the value of one block, each element by the road that serves it."""
    small = np.maximum(q11, q22) <= closed.small_below
    large = np.minimum(q11, q22) >= closed.wide_above
    roads = ((small, closed.small), (large, closed.wide), (~(small | large), closed.program))
    for where, road in roads:
        if road is not None and bool(where.all()):
            out[:] = road(q11, q12, q22)
        elif road is not None and bool(where.any()):
            out[where] = road(q11[where], q12[where], q22[where])
    if closed.mixed is not None:
        least, most = np.sqrt(np.minimum(q11, q22)), np.sqrt(np.maximum(q11, q22))
        # the smaller one's series holds where the road of small variances does
        series = ~small & (least > 0.0) & (least * least <= closed.small_below)
        rows = np.flatnonzero(series & (least * np.minimum(most, 1.0) < _MIXED))
        if rows.size:
            value = closed.mixed(q11[rows], q12[rows], q22[rows])
            out[rows] = np.where(np.isnan(value), out[rows], value)
    if closed.zero_at_origin:
        out[(q11 == 0.0) | (q22 == 0.0)] = 0.0
