# Part of the runtime that kernelc copies, unchanged, into every module it generates.
"""Single pairs of rows at any two norms by the closed form, those of nearly parallel rows included.

Every value is relative to the row's own: with R(s)^2 = E[sigma(sZ)^2] the pair (s, s', theta) has

    tau = T / (R R'),    slope = Tdot s s' / (R R').

The closed form reads q12 = s s' cos(theta), which has lost what theta knows where theta is small: a kinked
sigma's Tdot then errs by eps / theta. Such pairs are read off a polynomial along the ray
lambda -> (lambda log(s/s'), lambda theta), or along theta alone: on it Tdot is smooth although it has no
Taylor series in log(s/s') and theta together, its value at lambda = 0 is exact, and the closed form is only
asked where it is exact. `_gaps` has 1 - tau.

Part of every generated package, copied verbatim; it needs NumPy alone.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from ._closed import ClosedDual, evaluate_closed
from ._inputs import DoubleArray

#: Angles (and differences of log s) from which on the closed form itself is exact enough, for s <= 1.
NEAR = 0.02
#: Points of a ray for Tdot; how far one for the gap reaches, and its points.
_POINTS = 9
REACH, _OPEN_POINTS = 0.06, 8
#: Where the latter begin: a gap like lambda^2 has lost more digits near 0 than one like lambda.
_LOW, LOW_AT_JUMPS = 1.0 / 16.0, 1.0 / 32.0
#: A kink off zero moves with log(s/s'); Tdot feels it in the angle from this share of it on.
_FLAT = 16.0
#: Pairs in work at a time.
_CHUNK = 4096
#: q12 is passed this much beyond the boundary where the rows are parallel, so that the determinant is clipped to 0.
_NUDGE, _BELOW = 1.0 + 2.0**-51, 1.0 - 2.0**-52
#: Below this sine two neighbouring q12 are taken together: one alone stands for an angle that is off by a rounding over
#: it.
_NARROW, _PARALLEL = 0.3, 1e-7
_TINIEST = 1e-306
#: Norms that differ by this share count as one: a rounding of q12 passes both of their squares.
_ALIKE = 2e-15
_SPLIT = 2.0**27 + 1.0
#: Below this log(s/s') counts as 0 where Tdot is even and smooth in it.
_EQUAL = 1e-7


@dataclass(frozen=True, slots=True)
class ClosedPairs:
    """T and Tdot by their closed forms.

    `breakpoints`: where sigma is not analytic. Without any, Tdot is smooth in q12 and no ray is needed.
    """

    dual: ClosedDual
    dual_dot: ClosedDual | None
    breakpoints: tuple[float, ...]

    @property
    def smooth(self) -> bool:
        """Whether Tdot is smooth in q12."""
        return not self.breakpoints

    @property
    def moving(self) -> bool:
        """Whether there are kinks off zero, whose places depend on s."""
        return any(self.breakpoints)

    @property
    def jumps(self) -> bool:
        """Whether sigma jumps, so that T is not differentiable where the rows are parallel."""
        return self.dual_dot is None and not self.smooth

    @property
    def apart(self) -> float:
        """How far kinks lie from one another and from 0."""
        points = sorted({0.0, *self.breakpoints})
        return min((b - a for a, b in itertools.pairwise(points)), default=1.0)

    def reach(self, one: DoubleArray, other: DoubleArray) -> DoubleArray:
        """The same in standard deviations, at most 1."""
        reach: DoubleArray = np.minimum(1.0, self.apart / np.sqrt(one * other))
        return reach

    def sizes(self, s: DoubleArray) -> DoubleArray:
        """R(s)."""
        q = s * s
        return np.sqrt(np.maximum(evaluate_closed(self.dual, q, q, q), 0.0))

    def slope_sizes(self, s: DoubleArray) -> DoubleArray:
        """E[sigma'(sZ)^2]."""
        q = s * s
        assert self.dual_dot is not None
        return evaluate_closed(self.dual_dot, q, q, q)

    def raw(
        self,
        which: ClosedDual,
        one: DoubleArray,
        other: DoubleArray,
        theta: DoubleArray,
        sign: float | DoubleArray = 1.0,
        *,
        closest: bool = True,
    ) -> DoubleArray:
        """T or Tdot at the angle theta, or pi - theta where `sign` is -1; all arrays of one shape.

        `closest`: the angle is not that of one q12, which has rounded it.
        """
        alike = np.abs(one - other) <= _ALIKE * other
        middle = np.sqrt(one * other)
        one, other = np.where(alike, middle, one), np.where(alike, middle, other)
        cosine = sign * np.cos(theta)
        q11, cross, q22 = one * one, one * other * cosine, other * other
        if which is self.dual_dot or self.jumps:
            cross = np.where((np.abs(cosine) == 1.0) & (one != other), cross * _NUDGE, cross)
        else:
            # 2 |q12| <= q11 + q22 holds of the rounded numbers too
            limit = 0.5 * (q11 + q22) * _BELOW
            cross = np.where(one != other, np.clip(cross, -limit, limit), cross)
        value = evaluate_closed(which, q11, cross, q22)
        if not closest:
            return value
        sine = np.sin(theta)
        # squares that underflow have no neighbours to speak of
        chosen = (sine < _NARROW) & (np.abs(cross) > _TINIEST) & (np.minimum(q11, q22) > _TINIEST)
        if which is self.dual and not self.jumps:
            # where norms differ, a neighbour may break 2 |q12| <= q11 + q22, and T has nothing to gain
            chosen &= (sine > _PARALLEL) | (one == other)
        narrow = np.flatnonzero(chosen & (sine > 0.0))
        if narrow.size:
            flat = [np.ascontiguousarray(q).reshape(-1)[narrow] for q in (q11, cross, q22, sine)]
            cusped = self.jumps or (which is self.dual_dot and not self.smooth)
            value.reshape(-1)[narrow] = _between(which, flat[0], flat[1], flat[2], flat[3], cusped=cusped)
        return value

    def tau(self, one: DoubleArray, other: DoubleArray, theta: DoubleArray) -> DoubleArray:
        """tau of pairs, (k,); 0 where a row's R is 0. Where sigma jumps, T has the kink that Tdot has elsewhere."""
        value = self._by_rays(self.dual, one, other, theta) if self.jumps else self.raw(self.dual, one, other, theta)
        return relative(value, self.sizes(one) * self.sizes(other))

    def slopes(self, one: DoubleArray, other: DoubleArray, theta: DoubleArray, scale: DoubleArray) -> DoubleArray:
        """slope of pairs, (k,), with a small absolute error at every angle; `scale` is R R'."""
        assert self.dual_dot is not None
        return relative(self._by_rays(self.dual_dot, one, other, theta) * one * other, scale)

    def _by_rays(self, which: ClosedDual, one: DoubleArray, other: DoubleArray, theta: DoubleArray) -> DoubleArray:
        """T or Tdot of pairs, along rays where the closed form alone does not serve."""
        result = np.empty(theta.shape)
        near = self._near(one, other, theta)
        far = np.flatnonzero(~near)
        result[far] = self.raw(which, one[far], other[far], theta[far])
        close = np.flatnonzero(near)
        for start in range(0, close.size, _CHUNK):
            part = close[start : start + _CHUNK]
            result[part] = self._near_values(which, one[part], other[part], theta[part])
        return result

    def _near(
        self, one: DoubleArray, other: DoubleArray, theta: DoubleArray
    ) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
        """Which pairs the closed form alone does not serve."""
        if self.smooth:
            return np.zeros(theta.shape, dtype=np.bool_)
        near = np.zeros(theta.shape, dtype=np.bool_)
        rows = np.flatnonzero((one > 0.0) & (other > 0.0) & ((theta != 0.0) | (one != other)))
        angle = np.minimum(theta[rows], np.pi - theta[rows])
        near[rows] = angle < NEAR * self.reach(one[rows], other[rows])
        return near

    def _near_values(self, which: ClosedDual, one: DoubleArray, other: DoubleArray, theta: DoubleArray) -> DoubleArray:
        """T or Tdot of nearly parallel or antiparallel rows."""
        sign = np.where(theta > 0.5 * np.pi, -1.0, 1.0)
        theta = np.where(sign < 0.0, np.pi - theta, theta)
        apart, share = np.log(one / other), self.reach(one, other)
        reach = NEAR * share
        if not self.moving:
            middle = np.sqrt(one * other)
            one, other = (np.where(np.abs(apart) < _EQUAL, middle, side) for side in (one, other))
        # along theta alone: every kink at zero, or far apart rows whose kinks the angle does not reach
        fixed = np.ones(theta.shape, dtype=np.bool_)
        limit = reach
        if self.moving:
            fixed = (np.abs(apart) >= reach) & (theta <= share * np.abs(apart) / _FLAT)
            limit = np.where(fixed, np.minimum(reach, 2.0 * share * np.abs(apart) / _FLAT), reach)
        size = np.where(fixed, theta, np.maximum(theta, np.abs(apart)))
        direct = ~fixed & (size >= reach)
        # lambda runs over [0, steps]; the pair itself is at 1
        steps = np.where(size > 0.0, limit / np.where(size > 0.0, size, 1.0), 1.0)
        steps = np.where(direct, 1.0, np.maximum(steps, 1.0))
        grid = _lobatto(_POINTS)
        rays = np.where(direct[:, None], 1.0, steps[:, None] * grid)
        bend = np.where(fixed[:, None], 1.0, rays)
        middle, spread = np.sqrt(one * other)[:, None], np.exp(0.5 * apart[:, None] * bend)
        ends = (
            np.where(fixed[:, None], one[:, None], middle * spread),
            np.where(fixed[:, None], other[:, None], middle / spread),
        )
        values = self.raw(which, *ends, rays * theta[:, None], sign[:, None])
        return barycentric(grid, values, 1.0 / steps)


def _between(
    which: ClosedDual, q11: DoubleArray, cross: DoubleArray, q22: DoubleArray, sine: DoubleArray, *, cusped: bool
) -> DoubleArray:
    """The value at an angle of this sine, which lies between those of two neighbouring q12.

    One q12 alone is an angle that is off by a rounding over theta, which a sigma that is steep at large norms sees.
    `cusped`: the value goes like the angle, not like its square.
    """
    target = sine * sine
    for _ in range(2):
        # what is added is a rounding or two: the sum is the nearest double
        cross = cross + 0.5 * (_sine_squared(q11, cross, q22) - target) * (q11 * (q22 / cross))
    first = np.maximum(_sine_squared(q11, cross, q22), 0.0)
    beside = np.nextafter(cross, np.where(first > target, np.copysign(np.inf, cross), 0.0))
    second = np.maximum(_sine_squared(q11, beside, q22), 0.0)
    if cusped:
        first, second, target = np.sqrt(first), np.sqrt(second), sine
    apart = first - second
    share = np.where(apart != 0.0, (first - target) / np.where(apart != 0.0, apart, 1.0), 0.0)
    share = np.clip(share, 0.0, 1.0)
    values = evaluate_closed(which, q11, cross, q22), evaluate_closed(which, q11, beside, q22)
    return (1.0 - share) * values[0] + share * values[1]


def _sine_squared(q11: DoubleArray, cross: DoubleArray, q22: DoubleArray) -> DoubleArray:
    """1 - q12^2 / (q11 q22) with a small relative error, for numbers of any size."""
    (one, first), (other, second), (middle, third) = np.frexp(q11), np.frexp(q22), np.frexp(cross)
    both = first + second
    one = np.where(both % 2 != 0, 2.0 * one, one)
    middle = np.ldexp(middle, third - np.floor_divide(both, 2))
    product, rounding = _product(one, other)
    square, lost = _product(middle, middle)
    result: DoubleArray = ((product - square) + (rounding - lost)) / product
    return result


def _product(one: DoubleArray, other: DoubleArray) -> tuple[DoubleArray, DoubleArray]:
    """The product, and its rounding exactly (Dekker 1971); numbers near 1."""
    product = one * other
    halves = []
    for value in (one, other):
        wide = _SPLIT * value
        high = wide - (wide - value)
        halves.append((high, value - high))
    (a, b), (c, d) = halves
    return product, ((a * c - product) + a * d + b * c) + b * d


def relative(value: DoubleArray, scale: DoubleArray) -> DoubleArray:
    result: DoubleArray = np.divide(value, scale, out=np.zeros_like(value), where=scale > 0.0)
    return result


def _lobatto(count: int) -> DoubleArray:
    """Chebyshev points of the second kind on [0, 1], 0 included."""
    points: DoubleArray = np.sin(0.5 * np.pi * np.arange(count) / (count - 1)) ** 2
    return points


def open_grid(*, jumps: bool) -> DoubleArray:
    """Chebyshev points on [1/16, 1], at a jump on [1/32, 1]: extrapolated to 0, by no more than roundings allow."""
    low = LOW_AT_JUMPS if jumps else _LOW
    angle = np.pi * (np.arange(_OPEN_POINTS) + 0.5) / _OPEN_POINTS
    points: DoubleArray = 0.5 * (1.0 + low) + 0.5 * (1.0 - low) * np.cos(angle)
    return points


def barycentric(grid: DoubleArray, values: DoubleArray, at: DoubleArray) -> DoubleArray:
    """The polynomial through values (k, m) at grid (m,), at one point a row, (k,)."""
    weights = np.array([1.0 / np.prod(point - np.delete(grid, index)) for index, point in enumerate(grid)])
    distance = at[:, None] - grid
    hit = distance == 0.0
    shares = weights / np.where(hit, 1.0, distance)
    shares = np.where(hit.any(axis=1)[:, None], hit.astype(np.float64), shares)
    result: DoubleArray = (shares * values).sum(axis=1) / shares.sum(axis=1)
    return result
