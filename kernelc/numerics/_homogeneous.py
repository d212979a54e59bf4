# Part of the runtime that kernelc copies, unchanged, into every module it generates that has a closed form.
"""A dual kernel at small variances, by the two Taylor series of the activation at 0, left and right.

With sigma(t) = sum_k plus_k t^k for t > 0 and sum_k minus_k t^k for t < 0,

    T = sum_{a, b} (plus_a plus_b + (-1)^{a+b} minus_a minus_b) M_ab(q12)
                 + ((-1)^a minus_a plus_b + (-1)^b plus_a minus_b) M_ab(-q12),

M_ab = E[u^a v^b 1{u > 0, v > 0}]. Every M_ab is of size q11^(a/2) q22^(b/2): nothing cancels, where a
closed form's terms of size 1 would cancel down to the variance. What breakpoints away from 0 add is
below the rounding for variances up to `below` (`below` is chosen so). Part of
generated packages whose closed form needs it, copied verbatim; it needs NumPy alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import factorial, pi, sqrt

import numpy as np

from ._arithmetic import Array, difference_of_products


@dataclass(frozen=True, slots=True)
class HomogeneousSeries:
    """Taylor coefficients at 0 from the right and from the left; for max(q11, q22) <= below."""

    plus: tuple[float, ...]
    minus: tuple[float, ...]
    below: float

    @property
    def order(self) -> int:
        """The first power that occurs."""
        return next(k for k, pair in enumerate(zip(self.plus, self.minus, strict=True)) if any(pair))

    def __call__(self, q11: Array, q12: Array, q22: Array) -> Array:
        """T at small variances (arrays of one shape); 0 <= q11, q22, clipped at 1e-150."""
        q11, q22 = np.maximum(q11, 1e-150), np.maximum(q22, 1e-150)
        total = np.zeros_like(q12)
        degree, limit = len(self.plus) - 1, len(self.plus) - 1 + self.order
        straight, mirrored = (_quadrant_moments(q11, sign * q12, q22, degree, limit) for sign in (1.0, -1.0))
        for a, b in sorted(straight, key=sum, reverse=True):
            pa, pb, ma, mb = self.plus[a], self.plus[b], self.minus[a], self.minus[b]
            same = pa * pb + (-1) ** (a + b) * ma * mb
            opposite = (-1) ** a * ma * pb + (-1) ** b * pa * mb
            if same or opposite:
                total = total + (same * straight[a, b] + opposite * mirrored[a, b])
        return total


def half_moment(power: int) -> float:
    """E[Z^power 1{Z > 0}] = 2^(power/2 - 1) Gamma((power + 1)/2)/sqrt(pi)."""
    if power % 2 == 0:
        return factorial(power) / (2.0 ** (power // 2 + 1) * factorial(power // 2))
    return 2.0 ** ((power - 1) // 2) * factorial((power - 1) // 2) / sqrt(2 * pi)


def _quadrant_moments(q11: Array, q12: Array, q22: Array, degree: int, limit: int) -> Mapping[tuple[int, int], Array]:
    """E[u^a v^b 1{u > 0, v > 0}], a, b <= degree, a + b <= limit, by Stein's identity."""
    determinant = np.maximum(difference_of_products(q11, q22, q12, q12), 0.0)
    spread = np.sqrt(determinant / q11), np.sqrt(determinant / q22)  # of v given u = 0, of u given v = 0
    edge = np.sqrt(q11) / sqrt(2 * pi), np.sqrt(q22) / sqrt(2 * pi)
    table: dict[tuple[int, int], Array] = {(0, 0): 0.25 + np.arctan2(q12, np.sqrt(determinant)) / (2 * pi)}
    for total in range(1, limit + 1):
        for a in range(max(0, total - degree), min(degree, total) + 1):
            table[a, total - a] = _moment(table, (a, total - a), (q11, q12, q22), spread, edge)
    return table


def _moment(
    table: Mapping[tuple[int, int], Array],
    powers: tuple[int, int],
    q: tuple[Array, Array, Array],
    spread: tuple[Array, Array],
    edge: tuple[Array, Array],
) -> Array:
    """One step down: Stein's identity in u where a > 0, in v otherwise."""
    a, b = powers
    if a == 0:
        flipped = {(y, x): value for (x, y), value in table.items() if x <= 1}
        return _moment(flipped, (b, a), (q[2], q[1], q[0]), spread[::-1], edge[::-1])
    inward = (a - 1) * q[0] * table[a - 2, b] if a >= 2 else edge[0] * half_moment(b) * spread[0] ** b
    if b >= 1:
        return np.asarray(inward + b * q[1] * table[a - 1, b - 1])
    return np.asarray(inward + q[1] / (2 * pi * edge[1]) * half_moment(a - 1) * spread[1] ** (a - 1))
