"""sigma and sigma' as piecewise polynomials that keep a small relative error next to t = 0, and their 1-D integrals.

All is normalized: a_k(s) / n(s) with n(s)^2 = E[sigma(s Z)^2], b_k(s) / m(s) with m(s)^2 = E[sigma'(s Z)^2].
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
import sympy
from numpy.typing import NDArray

from kernelc.fitting.portable import gaussian, legendre_rule
from kernelc.fitting.proxy import Proxy, make_proxy
from kernelc.model import ActivationTraits, Breakpoint, Piece

Array = NDArray[np.float64]
_POINTS = 24
NODES, WEIGHTS = legendre_rule(_POINTS)
#: Panels in z: half a wave of h_k for k = 2000 is 0.07 long, and the rule has 24 points.
_STEP = 0.25
#: Up to this degree twice as long: half a wave of h_k is then 0.14 or longer.
_WIDE_DEGREE, _WIDE_STEP = 500, 0.5
#: Panels shrink by 4 towards t = 0, so that sigma(s z) / s keeps its digits for small s.
_GRADES = 8
_GRADED = 0.25
_SIZE = 1e-4
_ZERO = 1e-30
#: log of what is negligible: |sigma(s z)| exp(-z^2/4) against its norm.
_NEGLIGIBLE = -80.0
#: Points in work at a time: a few arrays of them stay in the cache.
_POINTS_AT_ONCE = 8192
_FOURTH_ROOT = (2.0 * math.pi) ** 0.25
_HALF_ROOT = math.sqrt(0.5)


@dataclass(frozen=True, slots=True)
class ScaledActivation:
    """sigma (and sigma' where `with_slope`) on [-reach, reach], as polynomials on `proxy`'s panels in t."""

    proxy: Proxy
    radius: float
    with_slope: bool

    @property
    def coarse_edges(self) -> Array:
        """The panels' edges without those that only keep digits next to t = 0."""
        edges = self.proxy.edges
        kept: Array = edges[(np.abs(edges) > _GRADED) | (edges == 0.0)]
        return kept

    @property
    def feature(self) -> float:
        """The least width of those panels: what sigma can do on a shorter one is a short polynomial."""
        return float(np.min(np.diff(self.coarse_edges)))


@dataclass(frozen=True, slots=True)
class Profile:
    """One norm's normalized coefficients, shape (2, degree + 1) for sigma and sigma', and E[sigma^2], E[sigma'^2]."""

    coefficients: Array
    moments: Array


def scaled_activation(traits: ActivationTraits, high: float) -> ScaledActivation | None:
    """The polynomials that serve all norms up to `high`; None where sigma reaches too far out for doubles."""
    radius = _radius(traits, high)
    if radius is None or radius * high > float(traits.range_limit):
        return None
    with_slope = traits.derivative_refused is None
    graded = replace(traits, pieces=tuple(part for piece in traits.pieces for part in _graded(piece)))
    proxy = make_proxy(graded, Fraction(1), radius * high, (_SIZE, _SIZE if with_slope else 0.0), lost=0.0, level=True)
    # a breakpoint at 0 that was found, not solved for, is a tiny interval
    edges = np.where(np.abs(proxy.edges) < _ZERO, 0.0, proxy.edges)
    return ScaledActivation(replace(proxy, edges=edges), radius, with_slope)


def _graded(piece: Piece) -> list[Piece]:
    """A piece cut at +-4^-k and at 0."""
    grades = [Fraction(1, 4**k) for k in range(_GRADES + 1)]
    cuts = sorted([Fraction(0), *grades, *(-g for g in grades)])
    low = piece.left.upper if piece.left is not None else None
    high = piece.right.lower if piece.right is not None else None
    inside = [c for c in cuts if (low is None or low < c) and (high is None or c < high)]
    ends = [Breakpoint(sympy.Rational(c.numerator, c.denominator), c, c, "smooth") for c in inside]
    bounds = [piece.left, *ends, piece.right]
    return [replace(piece, left=a, right=b) for a, b in itertools.pairwise(bounds)]


def _radius(traits: ActivationTraits, s: float) -> float | None:
    """Standard deviations beyond which |sigma(s z)| exp(-z^2/4) is negligible against its norm; None beyond reach."""
    radius = 13.0
    for growth in (traits.growth, traits.derivative_growth):
        if growth is None:
            continue
        linear, quadratic = float(growth.linear), float(growth.quadratic)
        power = float(max(growth.power, Fraction(0)))
        if quadratic > 0.0 and 4.0 * quadratic * s * s >= 0.9:
            return None
        decay = 0.5 - 2.0 * quadratic * s * s
        # the weighted square peaks where its logarithm's derivative vanishes
        peak = 2.0 * linear * s / (2.0 * (decay + 0.5))
        top = 2.0 * linear * s * peak - 0.5 * peak * peak
        while radius < 60.0:
            t = s * radius
            value = 2.0 * quadratic * t * t + 2.0 * linear * t - radius * radius / 2.0 - max(top, 0.0)
            if value + 2.0 * power * math.log1p(radius) < _NEGLIGIBLE:
                break
            radius += 0.5
        else:
            return None
    return radius


def evaluate(proxy: Proxy, t: Array, slopes: bool) -> Array:
    """sigma (or sigma') at any points, shape kept."""
    flat = t.reshape(-1)
    columns = np.ascontiguousarray((proxy.slopes if slopes else proxy.values).T)
    result = np.empty_like(flat)
    for start in range(0, flat.size, _POINTS_AT_ONCE):
        part = flat[start : start + _POINTS_AT_ONCE]
        index = np.clip(np.searchsorted(proxy.edges, part, side="right") - 1, 0, len(proxy.edges) - 2)
        low, high = proxy.edges[index], proxy.edges[index + 1]
        x = np.clip((2.0 * part - low - high) / (high - low), -1.0, 1.0)
        result[start : start + _POINTS_AT_ONCE] = _clenshaw(columns, index, x)
    return result.reshape(t.shape)


def on_panels(proxy: Proxy, middle: Array, t: Array, slopes: bool) -> Array:
    """The same for t of shape (panels, points), each row inside the proxy's panel that holds middle[i].

    A little beyond the panel its polynomial is continued.
    """
    index = np.clip(np.searchsorted(proxy.edges, middle, side="right") - 1, 0, len(proxy.edges) - 2)
    low, high = proxy.edges[index, None], proxy.edges[index + 1, None]
    x = np.clip((2.0 * t - low - high) / (high - low), -1.0, 1.0)
    table = proxy.slopes if slopes else proxy.values
    return _clenshaw(np.ascontiguousarray(table.T)[:, :, None], index, x)


def _clenshaw(columns: Array, index: NDArray[np.intp], x: Array) -> Array:
    """sum_k columns[k][index] T_k(x), in place."""
    twice = 2.0 * x
    first, second, spare = np.zeros_like(x), np.zeros_like(x), np.empty_like(x)
    for k in range(len(columns) - 1, 0, -1):
        np.multiply(twice, first, out=spare)
        spare -= second
        spare += columns[k][index]
        first, second, spare = spare, first, second
    np.multiply(x, first, out=spare)
    spare -= second
    spare += columns[0][index]
    return spare


def line_panels(activation: ScaledActivation, s: float, degree: int) -> tuple[Array, Array]:
    """Left and right ends of panels in z that resolve sigma(s z) and the Hermite functions up to a degree."""
    radius, step = activation.radius, _WIDE_STEP if degree <= _WIDE_DEGREE else _STEP
    cuts = activation.proxy.edges / s
    grid = np.arange(-math.ceil(radius / step), math.ceil(radius / step) + 1) * step
    edges = np.unique(np.concatenate([grid, cuts[np.abs(cuts) < radius]]))
    edges = edges[np.abs(edges) <= radius]
    return edges[:-1], edges[1:]


def profile(activation: ScaledActivation, s: float, degree: int) -> Profile:
    """a_k(s), b_k(s) for k <= degree and the moments, by one rule of Gauss and Legendre on `line_panels`."""
    left, right = line_panels(activation, s, degree)
    half, middle = 0.5 * (right - left), 0.5 * (right + left)
    z = middle[:, None] + half[:, None] * NODES
    weight = (half[:, None] * WEIGHTS).reshape(-1)
    which = (False, True) if activation.with_slope else (False,)
    values = [on_panels(activation.proxy, s * middle, s * z, slopes).reshape(-1) for slopes in which]
    flat = z.reshape(-1)
    # sqrt(phi), which both h_k and sigma are weighted with: nothing overflows
    root = gaussian(flat * _HALF_ROOT) * (2.0 * math.pi) ** 0.5 / _FOURTH_ROOT
    moments = np.array([np.sum(weight * (v * root) ** 2) for v in values])
    with np.errstate(invalid="ignore"):  # a moment may vanish: the caller looks at it
        weighted = np.array([v * root * weight / np.sqrt(m) for v, m in zip(values, moments, strict=True)])
    found, products = np.empty((len(values), degree + 1)), np.empty_like(weighted)
    before, now, after = np.zeros_like(flat), root, np.empty_like(flat)
    for k in range(degree + 1):
        np.multiply(weighted, now, out=products)
        np.add.reduce(products, axis=1, out=found[:, k])
        # (z h_k - sqrt(k) h_{k-1}) / sqrt(k + 1), in place
        np.multiply(flat, now, out=after)
        before *= math.sqrt(k)
        after -= before
        after /= math.sqrt(k + 1)
        before, now, after = now, after, before
    return Profile(found, moments)
