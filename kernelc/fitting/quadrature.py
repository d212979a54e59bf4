"""E[f(u) g(w)] of a Gaussian pair by two-dimensional quadrature in rotated coordinates, in doubles.

u = cos(a) x + sin(a) y, w = cos(a) x - sin(a) y with x, y independent standard normals and
2a = theta <= pi/2; angles beyond are brought there by w -> -w. For fixed y the integral over x is cut
at the images of every panel edge and breakpoint of f and g, so that both factors are polynomials
times a Gaussian on every cell; the integral over y is adaptive. Where both are analytic on the line
the trapezoidal rule of `lattice` is taken instead.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kernelc.fitting.lattice import SmoothPair
from kernelc.fitting.portable import cosine_sine, gaussian, graded_rule, legendre_rule
from kernelc.fitting.proxy import Proxy, at_points, panel_of

Array = NDArray[np.float64]
_INNER, _OUTER = 24, 20
_NODES, _WEIGHTS = legendre_rule(_INNER)
_OUTER_NODES, _OUTER_WEIGHTS = legendre_rule(_OUTER)
_MAX_DEPTH = 30
_TOLERANCE = 1e-15
_BATCH, _SINGULAR_BATCH = 60, 500
#: Coefficients that add up to less, relative to the largest, are the noise of the samples they come from.
_ROUNDING = 4e-16
#: Panels narrower than this (in standard deviations) tell of a place where sigma varies fast; with more such places
#: the adaptive rule meets one wherever it looks.
_NARROW, _MOST_FEATURES, _GRADES = 0.2, 12, 12
#: Cells in work at a time: a few arrays of their nodes stay in the cache.
_CELLS = 512


_GRADED = graded_rule(48, 7)[:2]


class PairIntegral:
    """Values of E[sigma(u) sigma(v)] and E[sigma'(u) sigma'(v)] at unit variances as functions of theta."""

    def __init__(self, proxy: Proxy, scale: Array, other: Proxy | None = None) -> None:
        """`scale`: kappa(1) and kappa_dot(1), to which errors are relative.

        `other` is what is taken of v, where that is not what is taken of u.
        """
        self._proxy = proxy
        self._other = proxy if other is None else other
        self._scale = scale
        self._reflected = self._other.reflected()
        self._lengths = _lengths(proxy)
        self._other_lengths = self._lengths if other is None else _lengths(self._other)
        smooth = not (proxy.singular or self._other.singular or proxy.breaks.size or self._other.breaks.size)
        self._lattices = (SmoothPair(proxy, self._other), SmoothPair(proxy, self._reflected)) if smooth else None
        self._rule = _GRADED if proxy.singular else (_NODES, _WEIGHTS)

    def __call__(self, theta: float) -> tuple[float, float]:
        """(kappa(cos theta), kappa_dot(cos theta)) for theta in [0, pi]."""
        opposite = bool(theta > np.pi / 2)
        angle = (np.pi - theta) / 2 if opposite else theta / 2
        if self._lattices is not None:
            found = self._lattices[opposite](angle, self._scale)
            if found is not None:
                return found
        return self._adaptive(self._reflected if opposite else self._other, angle)

    def _adaptive(self, g: Proxy, angle: float) -> tuple[float, float]:
        c, s = cosine_sine(angle)
        radius = float(max(self._proxy.edges[-1], g.edges[-1]))
        cuts = self._crossings(g, s, radius)
        a, b = cuts[:-1], cuts[1:]
        total = np.zeros(2)
        whole = self._panels(g, c, s, a, b)
        for _ in range(_MAX_DEPTH):
            middle = 0.5 * (a + b)
            halves = self._panels(g, c, s, np.concatenate([a, middle]), np.concatenate([middle, b]))
            left, right = halves[: len(a)], halves[len(a) :]
            settled = np.all(np.abs(left + right - whole) <= _TOLERANCE * self._scale, axis=1)
            total += (left + right)[settled].sum(axis=0)
            if settled.all():
                break
            keep = ~settled
            a, b = np.concatenate([a[keep], middle[keep]]), np.concatenate([middle[keep], b[keep]])
            whole = np.concatenate([left[keep], right[keep]])
        else:
            total += whole.sum(axis=0)
        total *= 2.0 if g is self._proxy else 1.0
        return float(total[0]), float(total[1])

    def _crossings(self, g: Proxy, s: float, radius: float) -> Array:
        """Where in y lines of breakpoints of f and g cross, and a coarse grid."""
        grid = np.linspace(-radius, radius, 2 * int(np.ceil(radius / 2)) + 1)
        if s > 1e-12:
            meets = (self._proxy.breaks[:, None] - g.breaks[None, :]).ravel() / (2 * s)
            near = _about_features(_features(self._proxy), _features(g), s)
            grid = np.concatenate([grid, *(points[np.abs(points) < radius] for points in (meets, near))])
        ordered = np.unique(grid)
        keep = np.concatenate([[True], np.diff(ordered) > 1e-13])
        result: Array = ordered[keep]
        # y -> -y swaps u and w: half the line is enough where f = g.
        return result[result >= 0] if g is self._proxy else result

    def _panels(self, g: Proxy, c: float, s: float, a: Array, b: Array) -> Array:
        """The integral over y in each [a_i, b_i], for sigma and sigma', shape (panels, 2)."""
        half = 0.5 * (b - a)
        y = 0.5 * (a + b)[:, None] + half[:, None] * _OUTER_NODES
        weight = half[:, None] * _OUTER_WEIGHTS * gaussian(y)
        flat = y.ravel()
        batch = _SINGULAR_BATCH if self._proxy.singular else _BATCH
        inner = np.concatenate([self._inner(g, c, s, flat[i : i + batch]) for i in range(0, len(flat), batch)])
        result: Array = np.sum(inner.reshape(*y.shape, 2) * weight[:, :, None], axis=1)
        return result

    def _inner(self, g: Proxy, c: float, s: float, y: Array) -> Array:
        """The integral over x for each y, shape (len(y), 2)."""
        f = self._proxy
        shift = s * y[:, None]
        radius = min(f.edges[-1], g.edges[-1])
        cuts = np.concatenate([(f.cuts - shift) / c, (g.cuts + shift) / c], axis=1)
        reach = np.maximum((radius - np.abs(shift)) / c, 0.0)
        cuts = np.sort(np.clip(cuts, -reach, reach), axis=1)
        half = 0.5 * np.diff(cuts, axis=1)
        middle = 0.5 * (cuts[:, 1:] + cuts[:, :-1])
        # cells beyond the reach are clipped to nothing
        owner, cell = np.nonzero(half)
        half, middle, shift = half[owner, cell], middle[owner, cell], shift[owner, 0]
        # cells of short polynomials together: far out sigma is often a line
        lengths = self._other_lengths if g is self._other else self._other_lengths[::-1]
        one, other = self._lengths[panel_of(f, c * middle + shift)], lengths[panel_of(g, c * middle - shift)]
        order = np.argsort(one + other, kind="stable")
        owner, half, middle, shift = owner[order], half[order], middle[order], shift[order]
        one, other = one[order], other[order]
        sums = np.empty((2, owner.size))
        step = max(owner.size, 1) if f.singular else _CELLS
        for start in range(0, owner.size, step):
            part = slice(start, start + step)
            terms = int(one[part].max()), int(other[part].max())
            sums[:, part] = self._cells(g, c, half[part], middle[part], shift[part], terms)
        return np.stack([np.bincount(owner, row, len(y)) for row in sums], axis=1)

    def _cells(self, g: Proxy, c: float, half: Array, middle: Array, shift: Array, terms: tuple[int, int]) -> Array:
        """The integral over each cell, (2, cells); so many coefficients count."""
        f = self._proxy
        nodes, weights = self._rule
        x = middle[:, None] + half[:, None] * nodes
        density = half[:, None] * weights * gaussian(x)
        x *= c
        u, w = x + shift[:, None], x - shift[:, None]
        if f.singular:
            (values_u, slopes_u), (values_w, slopes_w) = at_points(f, u, terms[0]), at_points(g, w, terms[1])
        else:
            values_u, slopes_u = _on_cells(f, c * middle + shift, u, terms[0])
            values_w, slopes_w = _on_cells(g, c * middle - shift, w, terms[1])
        values_u *= values_w
        slopes_u *= slopes_w
        return np.array([np.sum(product * density, axis=1) for product in (values_u, slopes_u)])


def _features(f: Proxy) -> Array:
    """(centre, width) of the narrowest panels where f varies fast, (k, 2); none where it does so all over."""
    widths = np.diff(f.edges)
    around = np.concatenate([[np.inf], widths, [np.inf]])
    found = np.flatnonzero((widths < _NARROW) & (widths <= around[:-2]) & (widths <= around[2:]))
    if f.singular or len(found) > _MOST_FEATURES:
        return np.empty((0, 2))
    return np.stack([0.5 * (f.edges[found] + f.edges[found + 1]), widths[found]], axis=1)


def _about_features(one: Array, other: Array, s: float) -> Array:
    """Points in y graded towards where two features meet: panels wider than what happens there would not see it."""
    points = [np.empty(0)]
    for p, h in one:
        for q, k in other:
            steps = np.ldexp(max(h, k) / (2 * s), 2 * np.arange(_GRADES))
            steps = steps[steps < 1.0]
            points.append((p - q) / (2 * s) + np.concatenate([-steps, [0.0], steps]))
    return np.concatenate(points)


def _lengths(f: Proxy) -> NDArray[np.intp]:
    """How many coefficients of each panel's sigma and sigma' count; all, where a cell has many panels."""
    if f.singular:
        return np.full(len(f.values), max(f.values.shape[1], f.slopes.shape[1]))
    return np.maximum(_counting(f.values), _counting(f.slopes))


def _counting(rows: Array) -> NDArray[np.intp]:
    """How many coefficients of each row are more than the rounding of their sum."""
    sizes = np.abs(rows)
    tails = np.cumsum(sizes[:, ::-1], axis=1)[:, ::-1]
    count: NDArray[np.intp] = np.count_nonzero(tails > _ROUNDING * sizes.max(axis=1, keepdims=True), axis=1)
    return np.maximum(count, 1)


def _on_cells(f: Proxy, middle: Array, at: Array, terms: int) -> tuple[Array, Array]:
    """sigma and sigma' at the nodes of cells (cells, nodes) that each lie in one panel."""
    index = panel_of(f, middle)
    low, high = f.edges[index][:, None], f.edges[index + 1][:, None]
    local = np.clip((2 * at - low - high) / (high - low), -1.0, 1.0)
    return _clenshaw(f.values[index, :terms], local), _clenshaw(f.slopes[index, :terms], local)


def _clenshaw(coefficients: Array, x: Array) -> Array:
    """sum_k coefficients[:, k] T_k(x[:, :]), in three buffers."""
    columns = np.ascontiguousarray(coefficients.T)[:, :, None]
    two_x = 2.0 * x
    first, second, spare = np.zeros_like(x), np.zeros_like(x), np.empty_like(x)
    for k in range(len(columns) - 1, 0, -1):
        np.multiply(two_x, first, out=spare)
        spare -= second
        spare += columns[k]
        first, second, spare = spare, first, second
    np.multiply(x, first, out=spare)
    spare -= second
    spare += columns[0]
    return spare
