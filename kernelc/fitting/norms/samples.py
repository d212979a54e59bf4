"""C(s1, s2, theta) = T / (n(s1) n(s2)) and its slope's twin, for all pairs of norms of a grid at once.

Where the power series in rho of the kept degree has converged it is summed. Near theta = 0 and pi,

    T(s1, s2, theta) = int sigma(s1 z) phi(z) g(s2, z) dz,   g(s2, z) = E[sigma(s2 (z cos theta + y sin theta))]

with g from one inner rule of Gauss and Legendre on panels cut at the edges of sigma's own panels. The outer
panels are common to all norms, so a breakpoint of sigma must be at 0.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from kernelc.fitting.norms.activation import ScaledActivation, evaluate, profile
from kernelc.fitting.portable import cosine_sine, gaussian, legendre_rule

Array = NDArray[np.float64]
#: What the power series may leave out, of the value at rho = 1.
_LEFT_OUT = 2e-15
#: Where a power of rho no longer matters, and where 1 - sum a_k^2 is rounding alone.
_VANISHED = 1e-18
_RESOLVED = 4e-15
_DEGREES = (300, 500, 800, 1200, 2000, 4000)
#: Products of coefficients that are kept: 64 MB.
_PRODUCTS = 2**23
#: Where 16 points resolve a panel, a function analytic about it, 8 do on a quarter of it and 5 on a 32nd.
Rules = tuple[tuple[float, tuple[Array, Array]], ...]
OUTER_RULES: Rules = ((0.25, legendre_rule(16)), (1.0 / 32.0, legendre_rule(8)), (0.0, legendre_rule(5)))
_INNER_NODES, _INNER_WEIGHTS = legendre_rule(14)
#: Cuts of the inner Gaussian, in standard deviations.
_SPLITS = np.array([-8.6, -4.0, 0.0, 4.0, 8.6])
_CHUNK = 20_000
#: Gauss-Hermite for a standard normal, 18 points (computed to 40 digits from the roots of He_18), and the width of
#: its window in units of sigma's features where it is exact to double precision.
_HALF_NODES = np.array(
    [
        0.3652457555076976,
        1.0983955180915013,
        1.8397799215086454,
        2.5958336889112403,
        3.374736535778091,
        4.1880202316294035,
        5.05407268544274,
        6.0077459113595975,
        7.139464849146479,
    ]
)
_HALF_WEIGHTS = np.array(
    [
        0.2727832346542879,
        0.16068530389351263,
        0.054896632480222626,
        0.010516517751941342,
        0.001065484796291652,
        5.1798961441162064e-05,
        1.0215523976369812e-06,
        5.905488478836596e-09,
        4.416588769358705e-12,
    ]
)
_HERMITE_NODES = np.concatenate([-_HALF_NODES[::-1], _HALF_NODES])
_HERMITE_WEIGHTS = np.concatenate([_HALF_WEIGHTS[::-1], _HALF_WEIGHTS])
_LOCAL = 0.15


class PairSampler:
    """theta -> array (kernels, n, n) of the normalized T and (with a slope) Tdot between the norms `s` (n,)."""

    def __init__(self, activation: ScaledActivation, s: Array, parity: str) -> None:
        self._activation = activation
        self._s = s
        self._parity = parity
        last = _degree(activation, s)
        profiles = [profile(activation, float(v), last) for v in s]
        #: (n, kernels, degree + 1) and (n, kernels)
        self.coefficients = np.array([p.coefficients for p in profiles])
        self.moments = np.array([p.moments for p in profiles])
        degree = self.coefficients.shape[2] - 1
        tail = float(_tails(self.coefficients).max())
        # Rounded, so that a last bit of the power function decides nothing.
        self._reach = 1.0 if tail <= _RESOLVED else round((_LEFT_OUT / tail) ** (1.0 / degree), 6)
        self._upper = np.triu_indices(len(s))
        #: a_k(s), (degree + 1, kernels, n); a_k(s1) a_k(s2) of all pairs, (degree + 1, kernels, pairs), if they are few
        self._by_degree = np.ascontiguousarray(self.coefficients.transpose(2, 1, 0))
        self._prepare()
        few = self._by_degree.shape[0] * self._by_degree.shape[1] * len(self._upper[0]) <= _PRODUCTS
        self._products = self._pairs(slice(None)) if few else None
        self._known: dict[float, Array] = {}

    def __call__(self, theta: float) -> Array:
        """The values at one theta in [0, pi], remembered."""
        if theta > np.pi / 2 and self._parity != "none":
            # sigma even: T even, Tdot odd in rho; sigma odd: the other way round
            sign = 1.0 if self._parity == "even" else -1.0
            values: Array = self(float(np.pi - theta)) * np.array([sign, -sign])[: self.moments.shape[1], None, None]
            return values
        # pi - (pi - theta) is theta up to a rounding
        key = round(theta, 15)
        if key not in self._known:
            self._known[key] = self.by_series(theta) if self.covers(theta) else self.by_quadrature(max(theta, 0.0))
        return self._known[key]

    def _prepare(self) -> None:
        """What a sampler of a part of T needs beside sigma's coefficients."""

    def covers(self, theta: float) -> bool:
        """Whether the power series is exact to double precision at theta."""
        return bool(abs(cosine_sine(theta)[0]) <= self._reach)

    def by_series(self, theta: float) -> Array:
        """The power series."""
        rho = cosine_sine(theta)[0]
        kernels, count = self.moments.shape[1], len(self._s)
        length = len(self._by_degree)
        if abs(rho) < 1.0:
            length = min(length, 2 if rho == 0.0 else math.ceil(math.log(_VANISHED) / math.log(abs(rho))) + 1)
        total = np.zeros((kernels, len(self._upper[0])))
        for k in range(length - 1, -1, -1):
            total *= rho
            total += self._pairs(k) if self._products is None else self._products[k]
        rows, columns = self._upper
        result = np.empty((kernels, count, count))
        result[:, rows, columns] = total
        result[:, columns, rows] = total
        return result

    def _pairs(self, degrees: int | slice) -> Array:
        """a_k(s1) a_k(s2) of all pairs of norms."""
        rows, columns = self._upper
        chosen = self._by_degree[degrees]
        products: Array = chosen[..., rows] * chosen[..., columns]
        return products

    def by_quadrature(self, theta: float) -> Array:
        """The double integral, for theta near 0 or pi."""
        mirrored = theta > np.pi / 2
        angle = float(np.pi) - theta if mirrored else theta
        z, weight = outer_rule(*self._outer_panels(angle))
        side = -1.0 if mirrored else 1.0
        kernels = self.moments.shape[1]
        outer = np.empty((kernels, len(self._s), z.size))
        inner = np.empty_like(outer)
        for i, s in enumerate(self._s.tolist()):
            for j in range(kernels):
                outer[j, i] = evaluate(self._activation.proxy, s * z, bool(j)) * weight
            inner[:, i] = self._inner(s, side * z, angle)
        scale = 1.0 / np.sqrt(self.moments.T)
        result = np.array([outer_product(outer[j], inner[j]) for j in range(kernels)])
        normalized: Array = result * scale[:, :, None] * scale[:, None, :]
        return normalized

    @property
    def _within(self) -> ScaledActivation:
        """What the inner integral is of."""
        return self._activation

    def _breaks(self, s: float) -> Array:
        """Where that is not smooth, as a function of z."""
        return np.zeros(1)

    def _outer_panels(self, angle: float) -> tuple[Array, Array]:
        """Panels in z for every norm: sigma's own at the largest norm, and the scale of theta about 0.

        Near theta = pi the inner function has sigma's own mirrored.
        """
        radius, high = self._activation.radius, float(self._s.max())
        cuts = self._activation.coarse_edges / high
        steps = np.array([1.0, 2.0, 3.5, 5.5, 9.0]) * angle
        grid = np.arange(-int(radius), int(radius) + 1) * 1.0
        edges = np.unique(np.concatenate([grid, cuts, -cuts, steps, -steps, [-radius, radius]]))
        edges = edges[np.abs(edges) <= radius]
        keep = np.concatenate([[True], np.diff(edges) > 1e-12])
        edges = edges[keep]
        return edges[:-1], edges[1:]

    def _inner(self, s: float, z: Array, angle: float) -> Array:
        """g(s, z) for sigma and sigma', shape (kernels, len(z))."""
        proxy, kernels = self._within.proxy, self.moments.shape[1]
        if angle == 0.0:
            return np.array([evaluate(proxy, s * z, bool(j)) for j in range(kernels)])
        cosine, sine = cosine_sine(angle)
        found = np.zeros((kernels, z.size))
        middle = z * cosine
        # away from breakpoints a window in which sigma is a short polynomial needs one rule of Gauss and Hermite
        smooth = np.all(np.abs(middle - self._breaks(s)[:, None]) > -_SPLITS[0] * sine, axis=0)
        if s * sine <= _LOCAL * self._activation.feature and bool(smooth.any()):
            v = s * (middle[smooth, None] + sine * _HERMITE_NODES)
            for j in range(kernels):
                found[j, smooth] = np.sum(evaluate(proxy, v, bool(j)) * _HERMITE_WEIGHTS, axis=1)
            if bool(smooth.all()):
                return found
            rest = ~smooth
            found[:, rest] = self._windows(s, middle[rest], sine)
            return found
        return self._windows(s, middle, sine)

    def _windows(self, s: float, middle: Array, sine: float) -> Array:
        """The same about any middles, by panels."""
        proxy, kernels = self._within.proxy, self.moments.shape[1]
        found = np.zeros((kernels, middle.size))
        starts, ends, owners = _inner_panels(self._activation.coarse_edges / s, middle, sine)
        half, centre = 0.5 * (ends - starts), 0.5 * (ends + starts)
        for first in range(0, len(starts), _CHUNK):
            part = slice(first, first + _CHUNK)
            v = centre[part, None] + half[part, None] * _INNER_NODES
            density = gaussian((v - middle[owners[part], None]) / sine) * (half[part, None] * _INNER_WEIGHTS / sine)
            for j in range(kernels):
                sums = np.sum(evaluate(proxy, s * v, bool(j)) * density, axis=1)
                found[j] += np.bincount(owners[part], sums, middle.size)
        return found


def outer_rule(
    left: Array, right: Array, shares: Array | None = None, rules: Rules = OUTER_RULES
) -> tuple[Array, Array]:
    """Nodes of Gauss and Legendre on panels, and their weights times the normal density.

    `shares`: the panels' widths in those of panels that need all nodes, where they are cut further; `rules`: above
    which share which rule is taken.
    """
    half, middle = 0.5 * (right - left), 0.5 * (right + left)
    part = np.ones(len(left)) if shares is None else shares
    nodes, weights = [], []
    for above, (points, rule) in rules:
        chosen = part > above
        part = np.where(chosen, 0.0, part)
        nodes.append((middle[chosen, None] + half[chosen, None] * points).reshape(-1))
        weights.append((half[chosen, None] * rule).reshape(-1))
    z = np.concatenate(nodes)
    return z, np.concatenate(weights) * gaussian(z)


def _degree(activation: ScaledActivation, s: Array) -> int:
    """The first degree whose series converges at the largest and the smallest norm; the last where none does."""
    norms = sorted({float(s.min()), float(s.max())})
    for degree in _DEGREES[:-1]:
        ends = np.array([profile(activation, v, degree).coefficients for v in norms])
        if float(_tails(ends).max()) <= _RESOLVED:
            return degree
    return _DEGREES[-1]


def _tails(coefficients: Array) -> Array:
    """1 - sum of squares, at least 0, of normalized coefficients."""
    result: Array = np.maximum(1.0 - np.sum(coefficients * coefficients, axis=2), 0.0)
    return result


def outer_product(first: Array, second: Array) -> Array:
    """first @ second.T for long rows, summed in one fixed order."""
    return np.array([[np.sum(row * other) for other in second] for row in first])


def _inner_panels(edges: Array, middle: Array, sine: float) -> tuple[Array, Array, NDArray[np.intp]]:
    """Panels (start, end, owner) of the windows about `middle`, cut at `edges` and at the Gaussian's own scale."""
    low, high = middle + _SPLITS[0] * sine, middle + _SPLITS[-1] * sine
    low, high = np.maximum(low, edges[0]), np.minimum(high, edges[-1])
    own = np.clip(middle[:, None] + _SPLITS * sine, edges[0], edges[-1])
    first, last = np.searchsorted(edges, low, side="right"), np.searchsorted(edges, high, side="left")
    most = max(int(np.max(last - first)), 0)
    index = first[:, None] + np.arange(most)
    inner = np.where(index < last[:, None], edges[np.minimum(index, len(edges) - 1)], high[:, None])
    cuts = np.sort(np.concatenate([own, inner], axis=1), axis=1)
    starts, ends = cuts[:, :-1].reshape(-1), cuts[:, 1:].reshape(-1)
    owners = np.repeat(np.arange(len(middle)), cuts.shape[1] - 1)
    keep = ends > starts
    return starts[keep], ends[keep], owners[keep]
