"""Chebyshev points and transforms in the variable of a norm, w = log(s + shift).

With a shift, the norm 0 lies at a finite w: there E[sigma(s Z)^2] / s^(2p) and all that is normalized by it
are smooth in s (by Taylor's theorem, from the right), and far out they are functions of log s.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from flint import arb, ctx
from numpy.typing import NDArray

from kernelc.fitting.portable import cosine_of_pi

Array = NDArray[np.float64]
_BITS = 160


@dataclass(frozen=True, slots=True)
class NormMap:
    """x(s) = stretch * log(s + shift) - offset, from [low, high] onto [-1, 1]; stretch, offset rounded to doubles."""

    low: float
    high: float
    shift: float
    stretch: float
    offset: float

    def variable(self, s: Array) -> Array:
        """x(s), by balls: the same bits on every processor."""
        with ctx.workprec(_BITS):
            return np.array(
                [float((arb(self.stretch) * (arb(v) + self.shift).log() - self.offset).mid()) for v in s.tolist()]
            )

    def points(self, count: int) -> Array:
        """The norms at the `count` Chebyshev points of the first kind, descending, correctly rounded."""
        found = []
        with ctx.workprec(_BITS):
            for k in range(count):
                x = (arb(2 * k + 1) / (2 * count)).cos_pi()
                found.append(float((((x + self.offset) / self.stretch).exp() - self.shift).mid()))
        return np.array(found)


def norm_map(low: float, high: float, shift: float) -> NormMap:
    """The map of a range; low + shift > 0."""
    with ctx.workprec(_BITS):
        first, last = (arb(low) + shift).log(), (arb(high) + shift).log()
        stretch = float((2 / (last - first)).mid())
        offset = float((arb(stretch) * (first + last) / 2).mid())
    return NormMap(low, high, shift, stretch, offset)


def norm_transform(count: int) -> Array:
    """(count, count): values at `NormMap.points` -> Chebyshev coefficients."""
    cosines = np.array([cosine_of_pi(Fraction(j, 2 * count)) for j in range(4 * count)])
    k = np.arange(count)
    table = cosines[np.outer(k, 2 * k + 1) % (4 * count)] * (2.0 / count)
    table[0] *= 0.5
    return table


def chebyshev_rows(x: Array, count: int) -> Array:
    """T_j(x), shape (len(x), count)."""
    rows = np.ones((len(x), count))
    if count > 1:
        rows[:, 1] = x
    for j in range(2, count):
        rows[:, j] = 2.0 * x * rows[:, j - 1] - rows[:, j - 2]
    return rows


def along_first(table: Array, values: Array) -> Array:
    """table @ values over the first axis of `values`, summed in one fixed order (no BLAS)."""
    shape = values.shape[1:]
    flat = values.reshape(len(values), -1)
    result = np.zeros((len(table), flat.shape[1]))
    for k in range(flat.shape[0]):
        result += table[:, k, None] * flat[k]
    return result.reshape(len(table), *shape)
