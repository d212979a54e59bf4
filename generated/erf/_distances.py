# Part of the runtime that kernelc copies, unchanged, into every module it generates.
"""1 - T / (R R') of single pairs of rows as half a squared distance, for activations that are at hand.

It is half the squared distance of sigma(u) / R and sigma(v) / R': that of sigma(s Z) / R and sigma(s' Z) / R', and what
the angle adds, as dT / dtheta = -s s' sin(theta) Tdot:

    E[(sigma(s Z) / R - sigma(s' Z) / R')^2] / 2 + s s' / (R R') int_0^theta Tdot(s, s', phi) sin(phi) dphi.

Neither cancels, where 1 - T / (R R') leaves an angle of the next layer that is off by the root of a rounding. Of an
error of R its square alone is felt. Through jumps, where there is no Tdot, the latter is T(s, s', 0) - T; where they
all lie at 0, it is theta times a smooth function of theta, which greater angles tell.

Part of every generated package, copied verbatim; it needs NumPy alone.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt

from ._activation import Activation
from ._inputs import DoubleArray
from ._line import levels_of, line_rule
from ._pairs import LOW_AT_JUMPS, NEAR, REACH, ClosedPairs, barycentric, open_grid, relative

Mask = npt.NDArray[np.bool_]

#: Norms, in distances of kinks, that are small.
TINY = 1e-2
#: Gaps, and angles of rows that are not small, below which they are taken so: beyond, what 1 - tau loses is not felt.
_FELT, _NARROW = 2e-3, 0.2
#: By how much both may differ, in units of what a norm makes of roundings.
_SAME = 1e-13
#: What R^2 may miss beyond the line; by which share half of the points may differ from all, else the line's parts are
#: halved, so many times.
_BEYOND, _RESOLVED, _HALVINGS = 1e-12, 1e-6, 4
#: The square of a few roundings: such a distance is as good as none.
_ROUNDING = 1e-29
#: The angle, cut at powers of 1/4: points of each part. The integrand is sin(phi) times what is smooth but next to 0.
_TURN = (16, 14, 12, 10)
#: Pairs in work at a time; with all points of the line.
_CHUNK, _FEW = 1024, 128


def distance_gaps(
    pairs: ClosedPairs, one: DoubleArray, other: DoubleArray, theta: DoubleArray, gap: DoubleArray
) -> DoubleArray:
    """The gaps of pairs, (k,), with a small relative error; NaN where `gap` = 1 - tau serves, or no distance does.

    Error: about 1e-15 in the root, an estimate. The line's share is taken where half of its points agree; the angle's
    has no such test: their sum agrees with the closed form within what that rounds.
    """
    result = np.full(theta.shape, np.nan)
    sigma = pairs.dual.activation
    if sigma is None:
        return result
    rows = np.flatnonzero(_felt(pairs, one, other, theta, gap))
    for start in range(0, rows.size, _CHUNK):
        part = rows[start : start + _CHUNK]
        left, right, angle = one[part], other[part], theta[part]
        sizes = pairs.sizes(left), pairs.sizes(right)
        scale = sizes[0] * sizes[1]
        found = _turned(pairs, left, right, angle, scale) + _parallel(sigma, (left, right), sizes)
        direct = 1.0 - relative(pairs.raw(pairs.dual, left, right, angle), scale)
        agreed = (scale > 0.0) & (np.abs(found - direct) <= _SAME * (10.0 + np.maximum(left, right)))
        result[part] = np.where(agreed, found, np.nan)
    return result


def _felt(pairs: ClosedPairs, one: DoubleArray, other: DoubleArray, theta: DoubleArray, gap: DoubleArray) -> Mask:
    """Which pairs are taken so."""
    top = np.maximum(one, other)
    near = (gap < _FELT) & (top > 0.0)
    if not pairs.jumps:
        return near & ((theta < _NARROW) | (top < TINY * pairs.apart))
    near &= (theta < _NARROW) & (one > 0.0) & (other > 0.0)
    if pairs.moving:
        # a ray in both leads to 0, and T(s, s', 0) - T has a layer that is as narrow as the jumps are apart
        rows = np.flatnonzero(near)
        apart = np.abs(np.log(one[rows] / other[rows]))
        near[rows] = np.maximum(theta[rows], apart) >= NEAR * pairs.reach(one[rows], other[rows])
    return near


def _turned(
    pairs: ClosedPairs, one: DoubleArray, other: DoubleArray, theta: DoubleArray, scale: DoubleArray
) -> DoubleArray:
    """What the angle adds to the gap: dT / dtheta = -s s' sin(theta) Tdot."""
    if pairs.dual_dot is None:
        return relative(_dropped(pairs, one, other, theta), scale)
    angle = theta[:, None] * TURN_NODES
    left, right = (np.broadcast_to(norm[:, None], angle.shape) for norm in (one, other))
    slopes = pairs.raw(pairs.dual_dot, left, right, angle, closest=False)
    total = (slopes * np.sin(angle)) @ TURN_WEIGHTS
    return relative(total * theta * one * other, scale)


def _dropped(pairs: ClosedPairs, one: DoubleArray, other: DoubleArray, theta: DoubleArray) -> DoubleArray:
    """T(s, s', 0) - T(s, s', theta) through jumps."""
    start = pairs.raw(pairs.dual, one, other, np.zeros(theta.shape))
    result: DoubleArray = start - pairs.raw(pairs.dual, one, other, theta)
    if pairs.moving:
        return result
    reach = REACH * pairs.reach(one, other)
    rows = np.flatnonzero(theta < LOW_AT_JUMPS * reach)
    grid = open_grid(jumps=True)
    angle = reach[rows, None] * grid
    left, right = (np.broadcast_to(norm[rows, None], angle.shape) for norm in (one, other))
    drops = start[rows, None] - pairs.raw(pairs.dual, left, right, angle)
    result[rows] = theta[rows] * barycentric(grid, drops / angle, theta[rows] / reach[rows])
    return result


def _parallel(
    sigma: Activation, norms: tuple[DoubleArray, DoubleArray], sizes: tuple[DoubleArray, DoubleArray]
) -> DoubleArray:
    """E[(sigma(s Z) / R - sigma(s' Z) / R')^2] / 2, (k,); NaN where no rule resolves it."""
    one, other = norms
    result = np.zeros(one.shape)
    levels = np.where(one != other, levels_of(np.maximum(one, other)), -1)
    for level in np.unique(levels[levels >= 0]):
        left = np.flatnonzero(levels == level)
        for halvings in range(_HALVINGS + 1):
            for start in range(0, left.size, _FEW):
                part = left[start : start + _FEW]
                sides = [(norm[part], size[part]) for norm, size in zip(norms, sizes, strict=True)]
                result[part] = _half_square(sigma, sides, int(level), halvings)
            left = left[np.isnan(result[left])]
    return result


def _half_square(
    sigma: Activation, sides: list[tuple[DoubleArray, DoubleArray]], level: int, halvings: int
) -> DoubleArray:
    """The same of pairs for which the line is cut down to 2^-level / 4, each part 2^halvings times; `sides`: (s, R)."""
    shape = sides[0][0].shape
    total, coarse, squares = np.zeros(shape), np.zeros(shape), [np.zeros(shape) for _ in sides]
    for sign in (1.0, -1.0):
        kinks = [sign * point for point in sigma.breakpoints if sign * point > 0.0]
        z, weights = line_rule(kinks, [s for s, _ in sides], level, halvings)
        values = [sigma.at(s, sign * z) / size[:, None] for s, size in sides]
        for square, value in zip(squares, values, strict=True):
            square += np.einsum("ij,ij,ij->i", weights[0], value, value)
        apart = (values[0] - values[1]) ** 2
        total += np.einsum("ij,ij->i", weights[0], apart)
        coarse += np.einsum("ij,ij->i", weights[1], apart)
    resolved = np.abs(total - coarse) <= _RESOLVED * total + _ROUNDING
    for square in squares:
        resolved &= np.abs(square - 1.0) <= _BEYOND
    return np.where(resolved, 0.5 * total, np.nan)


def _turn_rule() -> tuple[DoubleArray, DoubleArray]:
    """Nodes and weights on [0, 1]."""
    edges = [*(0.25**k for k in range(len(_TURN))), 0.0]
    nodes, weights = [], []
    for count, (high, low) in zip(_TURN, pairwise(edges), strict=True):
        points, shares = np.polynomial.legendre.leggauss(count)
        nodes.append(low + 0.5 * (high - low) * (1.0 + points))
        weights.append(0.5 * (high - low) * shares)
    return np.concatenate(nodes), np.concatenate(weights)


TURN_NODES, TURN_WEIGHTS = _turn_rule()
