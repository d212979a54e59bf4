# Part of the runtime that kernelc copies, unchanged, into every module it generates that has a closed form.
"""Error functions, Dawson's integral and the bivariate normal probability in NumPy alone, vectorised.

Errors stated here are observed against mpmath (tests), not proved. All functions take and return
float64 arrays (scalars broadcast) and never warn. Part of generated packages whose closed form needs it,
copied verbatim. Small arrays count: a call of NumPy costs as much as hundreds of elements, so that loops over
nodes are arrays and what is wanted at several arguments is asked for once.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from ._arithmetic import Array, difference_of_products
from ._normal_tables import ERF, ERFCX, NODES_14, NODES_36, WEIGHTS_14, WEIGHTS_36

_SQRT_HALF = 0.7071067811865476
_TWO_PI = 6.283185307179586
#: Entries of a rule's nodes times its arguments, and quadrants, in work at a time: such arrays stay in the cache.
_ENTRIES, _QUADRANTS = 2**15, 4096

#: Nodes (m, 1) of a rule on [0, 1] and arguments (n,) -> numerator and denominator of an integrand, new (m, n) arrays.
Integrand = Callable[[Array, tuple[Array, ...]], tuple[Array, Array]]


def _clenshaw(coefficients: tuple[float, ...], t: Array) -> Array:
    """A Chebyshev sum on [-1, 1]."""
    twice = 2.0 * t
    first, second, spare = np.zeros_like(twice), np.zeros_like(twice), np.empty_like(twice)
    for coefficient in coefficients[:0:-1]:
        np.multiply(twice, first, out=spare)
        np.subtract(spare, second, out=spare)
        np.add(spare, coefficient, out=spare)
        first, second, spare = spare, first, second
    return t * first - second + coefficients[0]


def _integrals(
    integrand: Integrand, nodes: tuple[float, ...], weights: tuple[float, ...], arguments: tuple[Array, ...]
) -> Array:
    """sum_k weights[k] integrand(nodes[k], ...) for arguments (n,) each, (n,), added in this order of k."""
    total = np.zeros_like(arguments[0])
    step = _ENTRIES // len(nodes)
    columns = np.array([nodes, weights])[:, :, None]
    for start in range(0, total.size, step):
        part = slice(start, start + step)
        values, below = integrand(columns[0], tuple(argument[part] for argument in arguments))
        np.multiply(values, columns[1], out=values)
        np.divide(values, below, out=values)
        # row by row: a reduction's order of summation would depend on the number of arguments
        out = total[part]
        for row in values:
            np.add(out, row, out=out)
    return total


def _square_exponential(x: Array) -> Array:
    """exp(-x^2) to full relative precision: x^2 is split so that its rounding does not count."""
    x = np.minimum(np.abs(x), 28.0)  # exp(-28^2) is 0
    coarse = np.round(x * 16.0) / 16.0
    return np.exp(-coarse * coarse) * np.exp(-(x - coarse) * (x + coarse))


def erfcx(x: ArrayLike) -> Array:
    """exp(x^2) erfc(x) for x >= 0; observed relative error below 4e-16."""
    x = np.asarray(x, dtype=np.float64)
    t = np.where(np.isinf(x), 1.0, (x - 3.75) / np.where(np.isinf(x), 1.0, x + 3.75))
    return _clenshaw(ERFCX, t) / (1.0 + 2.0 * x)


def erfc(x: ArrayLike) -> Array:
    """The complementary error function; observed relative error below 8e-16 where it is a normal number."""
    x = np.asarray(x, dtype=np.float64)
    tail = _square_exponential(x) * erfcx(np.abs(x))
    return np.asarray(np.where(np.abs(x) < 0.5, 1.0 - erf(x), np.where(x > 0, tail, 2.0 - tail)))


def erf(x: ArrayLike) -> Array:
    """The error function; observed relative error below 4e-16."""
    x = np.asarray(x, dtype=np.float64)
    small = np.clip(x, -1.0, 1.0)
    tail = 1.0 - _square_exponential(x) * erfcx(np.abs(x))
    return np.asarray(
        np.where(np.abs(x) <= 1.0, small * _clenshaw(ERF, 2.0 * small * small - 1.0), np.copysign(tail, x))
    )


def ndtr(z: ArrayLike) -> Array:
    """The normal distribution function; relative error of a few 1e-16, in the lower tail too."""
    z = np.asarray(z, dtype=np.float64)
    # exp(-z^2/2) = exp(-(z/sqrt 2)^2) would square a rounded quotient
    scaled = np.minimum(np.abs(z), 40.0)  # exp(-40^2/2) is 0
    coarse = np.round(scaled * 16.0) / 16.0
    density = np.exp(-0.5 * coarse * coarse) * np.exp(-0.5 * (scaled - coarse) * (scaled + coarse))
    tail = 0.5 * density * erfcx(np.abs(z) * _SQRT_HALF)
    return np.asarray(np.where(z < 0, tail, 1.0 - tail))


def scaled_ndtr(z: ArrayLike, exponent: ArrayLike, tail: ArrayLike) -> Array:
    """exp(exponent) P(Z <= z) with tail = exponent - z^2/2 given apart."""
    z, exponent, tail = (np.asarray(v, dtype=np.float64) for v in (z, exponent, tail))
    below = z < 0
    lower = np.exp(np.where(below, tail, -np.inf)) * 0.5 * erfcx(np.abs(z) * _SQRT_HALF)
    if below.all():
        return np.asarray(lower)
    return np.where(below, lower, np.exp(np.where(below, -np.inf, exponent)) * ndtr(np.abs(z)))


def dawson(x: ArrayLike) -> Array:
    """exp(-x^2) int_0^x exp(s^2) ds; observed relative error below 2e-15 (Rybicki, Comput. Phys. 3 (1989), 85)."""
    x = np.asarray(x, dtype=np.float64)
    size = np.abs(x)
    step = 0.25  # sampling error exp(-(pi/2h)^2) = 7e-18
    with np.errstate(invalid="ignore", over="ignore"):
        bounded = np.minimum(size, 1e8)
        even = 2.0 * np.round(bounded / (2.0 * step))
        offset = bounded - even * step
        total = np.zeros_like(size)
        for odd in range(-27, 28, 2):
            total += np.exp(-((offset - odd * step) ** 2)) / (even + odd)
        series, term = np.ones_like(size), np.ones_like(size)
        small = np.minimum(size, 0.5)
        for k in range(1, 20):
            term = term * (-2.0 * small * small) / (2 * k + 1)
            series = series + term
        value = np.where(size < 0.5, small * series, total / np.sqrt(np.pi))
    return np.asarray(np.copysign(np.where(size > 1e8, 0.5 / np.maximum(size, 1.0), value), x))


def _close_side(h: Array, b: Array) -> Array:
    """Q(h)/2 + T(h, b/h) for h >= 0: Owen's T by its integral where |b| < h, its reflection elsewhere.

    h = b = +-0 counts as b/h = +-infinity: that is the limit at correlations of +-1.
    """
    size = np.abs(b)
    swap = size >= h
    near, far = np.where(swap, size, h), np.where(swap, h, size)
    slope = far / np.where(near > 0, near, 1.0)
    total = _integrals(_owen, NODES_14, WEIGHTS_14, (slope, -0.5 * near * near))
    total *= slope / _TWO_PI
    upper, other = ndtr(-np.stack((h, size)))
    total = np.where(swap, 0.5 * (upper + other) - upper * other - total, total)
    return np.asarray(0.5 * upper + np.where(np.signbit(b), -total, total))


def _owen(node: Array, arguments: tuple[Array, ...]) -> tuple[Array, Array]:
    """exp(square (1 + y^2)) and 1 + y^2, y = slope node."""
    slope, square = arguments
    secant = _secant(node, slope)
    value = square * secant
    return np.exp(value, out=value), secant


def _secant(node: Array, slope: Array) -> Array:
    """1 + (slope node)^2."""
    value = slope * node
    np.multiply(value, value, out=value)
    return np.add(value, 1.0, out=value)


def _far_tail(h: Array, c: Array) -> Array:
    """(1/2 pi) int_0^inf h exp(-c y - y^2/2)/(h^2 + (c + y)^2) dy for h, c >= 0, h^2 + c^2 large."""
    length = 78.0 / (c + np.sqrt(c * c + 78.0))
    total = _integrals(_far, NODES_36, WEIGHTS_36, (length, c, h * h))
    return total * length * h / _TWO_PI


def _far(node: Array, arguments: tuple[Array, ...]) -> tuple[Array, Array]:
    """exp(-c y - y^2/2) and square + (c + y)^2, y = length node."""
    length, c, square = arguments
    y = length * node
    value = 0.5 * y
    np.add(value, c, out=value)
    np.multiply(value, y, out=value)
    np.negative(value, out=value)
    np.exp(value, out=value)
    np.add(y, c, out=y)
    np.multiply(y, y, out=y)
    return value, np.add(y, square, out=y)


def _sides(h: Array, b: Array, growth: Array, edge: Array, corner: Array) -> Array:
    """exp(tilt) times the winding of one side of a quadrant, sum of which is 1 minus its probability.

    (1/2 pi) int_{-inf}^b h exp(tilt - (h^2 + y^2)/2)/(h^2 + y^2) dy, with growth = exp(tilt), edge = tilt - h^2/2
    and corner = tilt - (h^2 + b^2)/2 given apart, so that no large exponentials meet.
    """
    sign = np.where(np.signbit(h), -1.0, 1.0)
    close = h * h + b * b < 6.25
    value = np.empty_like(h)
    if close.any():
        value[close] = growth[close] * _close_side(np.abs(h[close]), b[close])
    if not close.all():
        far = ~close
        value[far] = _outer_side(np.minimum(np.abs(h[far]), 1e150), b[far], edge[far], corner[far])
    return sign * value


def _outer_side(size: Array, b: Array, edge: Array, corner: Array) -> Array:
    """`_sides` of |h| where the end of the side is far from the origin: a tail, or the whole line less a tail."""
    tail = np.exp(corner) * _far_tail(size, np.minimum(np.abs(b), 1e150))
    below = b < 0
    if below.all():
        return tail
    whole = np.exp(np.where(below, -np.inf, edge)) * 0.5 * erfcx(size * _SQRT_HALF)
    return np.asarray(np.where(below, tail, whole - tail))


def scaled_quadrant(
    h: ArrayLike,
    k: ArrayLike,
    bh: ArrayLike,
    bk: ArrayLike,
    tilt: ArrayLike,
    edge_h: ArrayLike,
    edge_k: ArrayLike,
    corner: ArrayLike,
) -> Array:
    """exp(tilt) P(X <= h, Y <= k), accurate where the exponential is huge and the probability tiny.

    bh = (k - r h)/sqrt(1 - r^2), bk = (h - r k)/sqrt(1 - r^2); edge_h = tilt - h^2/2, edge_k =
    tilt - k^2/2, corner = tilt - (h^2 + bh^2)/2. The probability is 1{origin inside} minus the
    integral of exp(-radius^2/2)/(2 pi) over the angle along both sides (divergence theorem in polar
    coordinates); near the origin each is Owen's T (Ann. Math. Statist. 27 (1956), 1075-1090).
    Observed error 3e-16 for tilt 0; about 1e-15 relative to the largest of 1{inside} exp(tilt),
    exp(edge) and exp(corner) otherwise. Where h, k, bh and bk all vanish (r = +-1 is reached with the
    corner at the origin) the signs of bh and bk tell the two apart: they differ where r = 1.
    """
    arrays = np.broadcast_arrays(h, k, bh, bk, tilt, edge_h, edge_k, corner)
    shape = arrays[0].shape
    h, k, bh, bk, tilt, edge_h, edge_k, corner = (np.atleast_1d(np.asarray(a, dtype=np.float64)) for a in arrays)
    with np.errstate(over="ignore", invalid="ignore", under="ignore", divide="ignore"):
        inside = ~(np.signbit(h) | np.signbit(k))
        growth = np.exp(tilt)
        both = ((h, k), (bh, bk), (growth, growth), (edge_h, edge_k), (corner, corner))
        first, second = np.split(_sides(*(np.concatenate(pair) for pair in both)), 2)
        value = np.where(inside, growth, 0.0) - (first + second)
        corners = (h == 0.0) & (k == 0.0) & (bh == 0.0) & (bk == 0.0)
        if corners.any():
            half = np.where(np.signbit(bh) == np.signbit(bk), 0.0, 0.5)
            value = np.where(corners, half * growth, value)
        return np.asarray(value).reshape(shape)


def scaled_quadrants(*quadrants: tuple[ArrayLike, ...]) -> tuple[Array, ...]:
    """`scaled_quadrant` of several sets of its arguments, all of one shape or scalars, evaluated together."""
    shape = np.broadcast_shapes(*(np.shape(argument) for quadrant in quadrants for argument in quadrant))
    stack = np.empty((8, len(quadrants), *shape))
    for index, quadrant in enumerate(quadrants):
        for place, argument in enumerate(quadrant):
            stack[place, index] = argument
    flat = stack.reshape(8, -1)
    value = np.empty(flat.shape[1])
    pieces = max(1, -(-value.size // _QUADRANTS))
    for out, part in zip(np.array_split(value, pieces), np.array_split(flat, pieces, axis=1), strict=True):
        out[:] = scaled_quadrant(*part)
    return tuple(value.reshape(-1, *shape))


def quadrant_excess(h: ArrayLike, k: ArrayLike, bh: ArrayLike, bk: ArrayLike) -> Array:
    """P(X <= h, Y <= k) - P(X <= 0, Y <= 0) for |h|, |k| <= 1, to a few 1e-16 of |h| + |k|.

    bh, bk as in `scaled_quadrant`, of any size. The angles of the two sides add up to that of the
    quadrant, so they drop out and only the differences from them are integrated.
    """
    arrays = np.broadcast_arrays(h, k, bh, bk)
    h, k, bh, bk = (np.asarray(a, dtype=np.float64).reshape(-1) for a in arrays)
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        first, second = np.split(_excesses(np.concatenate((h, k)), np.concatenate((bh, bk))), 2)
        return np.asarray(first + second).reshape(arrays[0].shape)


def _excesses(h: Array, b: Array) -> Array:
    """sign(h) (1/4 - Q(|h|)/2 + atan(b/|h|)/(2 pi) - T(|h|, b/|h|))."""
    size, reach = np.abs(h), np.abs(b)
    swap = reach >= size
    near, far = np.where(swap, reach, size), np.where(swap, size, reach)
    slope = far / np.where(near > 0, near, 1.0)
    total = -_integrals(_owen_excess, NODES_14, WEIGHTS_14, (slope, -0.5 * near * near))
    total *= slope / _TWO_PI
    half, other = 0.5 * erf(np.stack((size, reach)) * _SQRT_HALF)
    total = np.where(swap, half * other - total, total)
    total = np.where(np.signbit(b), -total, total)
    return np.asarray(np.where(np.signbit(h), -1.0, 1.0) * (0.5 * half + total))


def _owen_excess(node: Array, arguments: tuple[Array, ...]) -> tuple[Array, Array]:
    """exp(square (1 + y^2)) - 1 and 1 + y^2, y = slope node."""
    slope, square = arguments
    secant = _secant(node, slope)
    value = square * secant
    return np.expm1(value, out=value), secant


def bivariate_normal(h: ArrayLike, k: ArrayLike, r: ArrayLike) -> Array:
    """P(X <= h, Y <= k) for standard normals of correlation r in [-1, 1]; observed error below 1e-15.

    Given as r alone, a correlation within 1e-16 of +-1 is +-1.
    """
    h, k, r = (np.asarray(a, dtype=np.float64) for a in np.broadcast_arrays(h, k, r))
    spread = np.sqrt(np.maximum((1.0 - r) * (1.0 + r), 0.0))
    with np.errstate(divide="ignore", invalid="ignore"):
        bh, bk = (_ratio(difference_of_products(a, 1.0, r, b), spread) for a, b in ((k, h), (h, k)))
        zero = np.zeros_like(h)
        corner = -0.5 * (h * h + bh * bh)
        value = scaled_quadrant(h, k, bh, bk, zero, -0.5 * h * h, -0.5 * k * k, corner)
    # about the origin the angle of the quadrant is all there is
    return np.where((h == 0.0) & (k == 0.0), 0.25 + np.arctan2(r, spread) / _TWO_PI, value)


def _ratio(numerator: Array, denominator: Array) -> Array:
    """numerator/denominator with 0/0 = 0."""
    return np.where(numerator == 0, 0.0, numerator / np.where(numerator == 0, 1.0, denominator))
