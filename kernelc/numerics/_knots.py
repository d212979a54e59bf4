# Part of the runtime that kernelc copies, unchanged, into every module it generates whose tables need it.
"""E[s(u) s(v)] and E[s'(u) s'(v)] of a sum s of damped truncated powers, in NumPy alone, vectorised.

A summand is x_+^p / p! exp(-b x^2 / 2) in the distance x beyond a knot, away from 0. With U = +-u, V = +-v of
covariance S = (q11, r; r, q22) and knots h, k >= 0 the damping leaves a Gaussian measure, of covariance
S' = (1 + b S)^-1 S and knots H, K = (1 + b S)^-1 (h, k), and a factor. Its moments follow by integration by parts,

    p M_pq = -H M_(p-1)q + q11' M_(p-2)q + r' M_(p-1)(q-1),

from M_00 = P(U > H, V > K) (its angle over 2 pi where both knots are at 0) and, where an index would be -1, the density
at the knot times the moment of the other variable given that one. Variances q' are at most 1 / b, so that nothing grows
and little cancels at any norm. Errors are observed against mpmath (tests), not proved: about 1e-15 of the root of both
moments. Copied verbatim into generated packages.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ._arithmetic import Array, difference_of_products, quotient
from ._normal import ndtr, scaled_quadrant

_ROOT_TWO_PI = 2.5066282746310002
#: Variances below this are raised to it, so that no ratio of them is 0/0.
_SMALLEST = 1e-150


@dataclass(frozen=True, slots=True)
class Knots:
    """s(t) = sum_iq weights[i][q] x^q / q! exp(-damping x^2 / 2), x > 0 how far t is beyond points[i], away from 0."""

    damping: float
    points: tuple[float, ...]
    weights: tuple[tuple[float, ...], ...]

    def dual(self, q11: Array, q12: Array, q22: Array) -> Array:
        """E[s(u) s(v)] at arrays of one shape, |q12| <= sqrt(q11 q22); 0 where a variance is 0."""
        return self._sum(q11, q12, q22, self._sides())

    def dual_dot(self, q11: Array, q12: Array, q22: Array) -> Array:
        """E[s'(u) s'(v)], the derivative of `dual` in q12 (where s has no jumps), at arrays of one shape."""
        return self._sum(q11, q12, q22, [side.derivative(self.damping) for side in self._sides()])

    def _sum(self, q11: Array, q12: Array, q22: Array, sides: list[_Side]) -> Array:
        first, cross, second = (np.asarray(q, dtype=np.float64) for q in (q11, q12, q22))
        total = np.zeros(np.broadcast_shapes(first.shape, cross.shape, second.shape))
        with np.errstate(all="ignore"):
            variances = np.maximum(first, _SMALLEST), np.maximum(second, _SMALLEST)
            for one in sides:
                for other in sides:
                    total += _pair(self.damping, one, other, (variances[0], cross, variances[1]))
        return np.where((first == 0.0) | (second == 0.0), 0.0, total)

    def _sides(self) -> list[_Side]:
        rows = zip(self.points, self.weights, strict=True)
        return [_Side(1.0 if point >= 0.0 else -1.0, abs(point), weights) for point, weights in rows]


@dataclass(frozen=True, slots=True)
class _Side:
    """sum_p weights[p] x_+^p / p! exp(-damping x^2 / 2), x = sign t - height."""

    sign: float
    height: float
    weights: tuple[float, ...]

    def derivative(self, damping: float) -> _Side:
        """That of t, without the jump at the knot."""
        after, before = (*self.weights[1:], 0.0, 0.0), (0.0, *self.weights)
        slopes = [self.sign * (a - damping * q * b) for q, (a, b) in enumerate(zip(after, before, strict=True))]
        return _Side(self.sign, self.height, tuple(slopes))


def _pair(damping: float, one: _Side, other: _Side, covariance: tuple[Array, Array, Array]) -> Array:
    """The sum over both sides' powers."""
    q11, q12, q22 = covariance
    cross = q12 if one.sign == other.sign else -q12
    counts, heights = (len(one.weights), len(other.weights)), (one.height, other.height)
    moments = _moments(damping, counts, heights, (q11, cross, q22))
    total = np.zeros_like(cross)
    for p, weight in enumerate(one.weights):
        for q, factor in enumerate(other.weights):
            if weight * factor != 0.0:
                total += (weight * factor) * moments[p][q]
    return total


def _moments(
    damping: float, counts: tuple[int, int], heights: tuple[float, float], covariance: tuple[Array, Array, Array]
) -> list[list[Array]]:
    """M_pq and its factor for p < counts[0], q < counts[1]."""
    (rows, columns), (h, k), (q11, r, q22) = counts, heights, covariance
    determinant = np.maximum(difference_of_products(q11, q22, r, r), 0.0)
    wide_h, wide_k = q11 + damping * determinant, q22 + damping * determinant
    # det(1 + b S), and the knots and variances of the damped measure
    size = 1.0 + damping * (q11 + wide_k)
    first = (h + damping * difference_of_products(q22, h, r, k)) / size
    second = (k + damping * difference_of_products(q11, k, r, h)) / size
    small_h, small_k, small_r = wide_h / size, wide_k / size, r / size
    # how far the other variable is beyond its knot on average, given that this one is at its own
    over_k, over_h = difference_of_products(h, r, k, q11), difference_of_products(k, r, h, q22)
    reach_k = quotient(over_k, np.sqrt(determinant) * np.sqrt(wide_h))
    reach_h = quotient(over_h, np.sqrt(determinant) * np.sqrt(wide_k))
    tilt = -0.5 * (np.log(size) + damping * (h * first + k * second))
    edge_h = -0.5 * (np.log(size) + (h * h + damping * over_k * over_k / wide_h) / q11)
    edge_k = -0.5 * (np.log(size) + (k * k + damping * over_h * over_h / wide_k) / q22)
    corner = edge_h - 0.5 * reach_k * reach_k
    one, other = np.sqrt(small_h), np.sqrt(small_k)
    if h == 0.0 and k == 0.0:
        # the quadrant's corner is the origin: of the covariance only the angle is left
        start = np.exp(tilt) * (0.25 + np.arctan2(small_r, np.sqrt(determinant / size)) / (2.0 * np.pi))
    else:
        start = scaled_quadrant(-first / one, -second / other, reach_k, reach_h, tilt, edge_h, edge_k, corner)
    at_h = _conditional(
        columns, over_k / wide_h, np.sqrt(determinant / wide_h), reach_k, np.exp(edge_h) / (one * _ROOT_TWO_PI)
    )
    at_k = _conditional(
        rows, over_h / wide_k, np.sqrt(determinant / wide_k), reach_h, np.exp(edge_k) / (other * _ROOT_TWO_PI)
    )
    found: list[list[Array]] = [[start]]
    for q in range(1, columns):
        # the first row by the recurrence in the other index
        below = small_k * (found[0][q - 2] if q > 1 else at_k[0]) + small_r * at_h[q - 1]
        found[0].append((below - second * found[0][q - 1]) / q)
    for p in range(1, rows):
        row: list[Array] = []
        for q in range(columns):
            above = found[p - 2][q] if p > 1 else at_h[q]
            across = found[p - 1][q - 1] if q > 0 else at_k[p - 1]
            row.append((small_h * above + small_r * across - first * found[p - 1][q]) / p)
        found.append(row)
    return found


def _conditional(count: int, mean: Array, deviation: Array, reach: Array, density: Array) -> list[Array]:
    """density E[X_+^q / q!] of a normal X for q < count; `reach` = mean / deviation, of any size."""
    found = [density * ndtr(reach)]
    if count > 1:
        peak = np.exp(-0.5 * reach * reach) / _ROOT_TWO_PI
        found.append(density * (deviation * peak) + mean * found[0])
    for q in range(2, count):
        found.append((mean * found[q - 1] + deviation * deviation * found[q - 2]) / q)
    return found
