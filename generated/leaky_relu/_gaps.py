# Part of the runtime that kernelc copies, unchanged, into every module it generates.
"""1 - T / (R R') of single pairs of rows at any two norms, with a small relative error.

By distances where sigma is at hand, as `_distances` says. Else it is read off a ray: that of nearly parallel rows of
nearly one norm along lambda -> (lambda log(s/s'), lambda theta), on which it is lambda^2 times a smooth function.

Part of every generated package, copied verbatim; it needs NumPy alone.
"""

from __future__ import annotations

import numpy as np

from ._distances import TINY, distance_gaps
from ._inputs import DoubleArray
from ._pairs import NEAR, REACH, ClosedPairs, barycentric, open_grid, relative

#: Gaps below which small rows are taken along a ray to 0; what a rounding is there.
_SMALL, _AGREED = 1e-2, 4e-15
#: R at the ray's end over |sigma(0)|, at most: where sigma(0) is 0, or as good as 0, there is no such limit.
_SETTLED = 1.5
#: Pairs in work at a time.
_CHUNK = 4096


def gaps(
    pairs: ClosedPairs,
    one: DoubleArray,
    other: DoubleArray,
    theta: DoubleArray,
    tau: DoubleArray,
    apart: DoubleArray | None = None,
) -> DoubleArray:
    """1 - tau of pairs, (k,), with a small relative error; `tau` where that is enough.

    `apart`: log(one / other), where it is known better than from both.
    """
    result: DoubleArray = 1.0 - tau
    if pairs.smooth:
        return result
    if apart is None:
        positive = (one > 0.0) & (other > 0.0)
        apart = np.log(np.divide(one, other, out=np.full_like(one, np.e), where=positive))
    found = distance_gaps(pairs, one, other, theta, result)
    rest = np.flatnonzero(np.isnan(found))
    result = np.where(np.isnan(found), result, found)
    if rest.size:
        result[rest] = _by_rays(pairs, one[rest], other[rest], theta[rest], apart[rest], result[rest])
    return result


def _by_rays(
    pairs: ClosedPairs, one: DoubleArray, other: DoubleArray, theta: DoubleArray, apart: DoubleArray, gap: DoubleArray
) -> DoubleArray:
    """`gap` = 1 - tau, mended where a ray leads to rows that agree."""
    result = _tiny_gaps(pairs, one, other, theta, apart, gap)
    close = np.flatnonzero((one > 0.0) & (other > 0.0) & np.isnan(result))
    result = np.where(np.isnan(result), gap, result)
    reach = NEAR * pairs.reach(one[close], other[close])
    close = close[np.maximum(theta[close], np.abs(apart[close])) < reach]
    for start in range(0, close.size, _CHUNK):
        part = close[start : start + _CHUNK]
        result[part] = _near_gaps(pairs, np.sqrt(one[part] * other[part]), apart[part], theta[part])
    return result


def _tiny_gaps(
    pairs: ClosedPairs, one: DoubleArray, other: DoubleArray, theta: DoubleArray, apart: DoubleArray, gap: DoubleArray
) -> DoubleArray:
    """The gaps of rows so small that sigma is nearly sigma(0), NaN for others.

    Along the ray lambda -> (lambda s, lambda s', theta) it is lambda^2 times a smooth function. It goes like the
    square of the rows' distance: nearly equal ones are taken farther apart, where roundings are smaller.
    """
    result = np.full(theta.shape, np.nan)
    top = np.maximum(one, other)
    tiny = (top > 0.0) & (top < TINY * pairs.apart) & (gap < _SMALL) & ((theta != 0.0) | (apart != 0.0))
    rows = np.flatnonzero(tiny) if tiny.any() and _settles(pairs) else np.zeros(0, dtype=np.intp)
    grid = open_grid(jumps=pairs.jumps)
    for start in range(0, rows.size, _CHUNK):
        part = rows[start : start + _CHUNK]
        ends, angle, share = _farther(one[part], other[part], theta[part], apart[part])
        steps = REACH * pairs.apart / top[part]
        rays = steps[:, None] * grid
        left, right = ends[0][:, None] * rays, ends[1][:, None] * rays
        value = pairs.raw(pairs.dual, left, right, np.broadcast_to(angle[:, None], rays.shape))
        drops = 1.0 - relative(value, pairs.sizes(left) * pairs.sizes(right))
        found = share * barycentric(grid, drops / rays**2, 1.0 / steps)
        # sigma may be rougher than the ray: where it is not, both agree to roundings
        agreed = np.abs(found - gap[part]) <= _AGREED
        result[part] = np.where(agreed, np.maximum(found, 0.0), np.nan)
    return result


def _settles(pairs: ClosedPairs) -> bool:
    """Whether sigma(0) is not 0, and R(s) is nearly |sigma(0)| as far as the ray to small rows begins."""
    if not pairs.dual.at_origin:
        return False
    origin, end = pairs.sizes(np.array([0.0, REACH * pairs.apart]))
    return bool(origin > 0.0 and end < _SETTLED * origin)


def _near_gaps(pairs: ClosedPairs, middle: DoubleArray, apart: DoubleArray, theta: DoubleArray) -> DoubleArray:
    """1 - tau of nearly parallel rows of nearly one norm: lambda^2 times a smooth function, lambda at a jump."""
    size = np.maximum(theta, np.abs(apart))
    steps = REACH * pairs.reach(middle, middle) / np.where(size > 0.0, size, 1.0)
    grid = open_grid(jumps=pairs.jumps)
    rays = steps[:, None] * grid
    spread = np.exp(0.5 * apart[:, None] * rays)
    left, right = middle[:, None] * spread, middle[:, None] / spread
    drops = 1.0 - relative(
        pairs.raw(pairs.dual, left, right, rays * theta[:, None]), pairs.sizes(left) * pairs.sizes(right)
    )
    order = 1 if pairs.jumps else 2
    values = drops / rays**order
    result = barycentric(grid, values, 1.0 / steps)
    return np.where(size > 0.0, np.maximum(result, 0.0), 0.0)


def _farther(
    one: DoubleArray, other: DoubleArray, theta: DoubleArray, apart: DoubleArray
) -> tuple[tuple[DoubleArray, DoubleArray], DoubleArray, DoubleArray]:
    """Both norms, the angle, and what the square of the rows' distance is to be multiplied by for that of the given.

    Where log(one / other) = `apart` and theta are both small, they are multiplied by one number.
    """
    size = np.where((one > 0.0) & (other > 0.0), np.maximum(theta, np.abs(apart)), 1.0)
    factor = np.maximum(NEAR / size, 1.0)
    middle, spread = np.sqrt(one * other), np.exp(0.5 * apart * factor)
    wider = factor > 1.0
    ends = np.where(wider, middle * spread, one), np.where(wider, middle / spread, other)
    near, far = (np.sinh(0.5 * apart * f) ** 2 + np.sin(0.5 * theta * f) ** 2 for f in (1.0, factor))
    return ends, theta * factor, np.where(wider, near / np.where(wider, far, 1.0), 1.0)
