"""sigma and sigma' as piecewise Chebyshev interpolants in doubles, made from ball values.

What quadrature in two dimensions needs is millions of values of sigma to full double precision, for
any activation the formula language can express: 32 points a panel, split until the coefficients
have decayed, give that from a few thousand ball evaluations.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import sympy
from flint import acb, arb, ctx
from numpy.typing import NDArray

from kernelc.balls.tape import Tape, arb_of
from kernelc.errors import UnsupportedError
from kernelc.fitting.portable import cosine_of_pi, product
from kernelc.model import VARIABLE, ActivationTraits, Piece

Array = NDArray[np.float64]
POINTS = 32
_BITS = 96
#: Where panels stop shrinking towards a singular point: at 0; elsewhere, relative to it, where doubles end.
_SMALLEST, _SPACING = Fraction(1, 2**130), Fraction(1, 2**50)
_RESOLVED = 2e-15
#: Roundings of t and of a series, relative to the panel's largest value, when a wide panel is looked at again.
_AGREED = 2e-14
#: Shares of the integral of f^2: of a panel that need not be resolved, and of one that cannot be.
_SLIGHT, _LOST = 1e-20, 1e-9
_MAX_PANELS = 4000
_FINE = 0.1
_LARGEST = arb(10) ** 100


@dataclass(frozen=True, slots=True)
class Proxy:
    """f on [edges[0], edges[-1]] (in units of standard deviations), and where it is not smooth.

    Panel i has Chebyshev coefficients `values[i]` of sigma and `slopes[i]` of sigma' on
    [edges[i], edges[i+1]]; `breaks` are the breakpoints, `singular` whether one is not a plain kink.
    `cuts` are the edges between which sigma is smooth but for singular ends: panels that shrink towards
    a singular breakpoint are one cell of it.
    """

    edges: Array
    values: Array
    slopes: Array
    breaks: Array
    cuts: Array
    singular: bool

    def reflected(self) -> Proxy:
        """t -> f(-t); the slopes become those of sigma', at -t, not of the reflected function."""
        return Proxy(
            -self.edges[::-1],
            _mirrored(self.values),
            _mirrored(self.slopes),
            np.sort(-self.breaks),
            np.sort(-self.cuts),
            self.singular,
        )


def _mirrored(table: Array) -> Array:
    result: Array = (table * (-1.0) ** np.arange(table.shape[1]))[::-1]
    return result


def panel_of(f: Proxy, at: Array) -> NDArray[np.intp]:
    """The panel that holds each point; the nearest one beyond the ends."""
    return np.clip(np.searchsorted(f.edges, at, side="right") - 1, 0, len(f.edges) - 2)


def at_points(f: Proxy, at: Array, terms: int) -> tuple[Array, Array]:
    """sigma and sigma' at points of any shape; no panel has more terms that count."""
    flat = at.ravel()
    order = np.argsort(flat, kind="stable")
    index = panel_of(f, flat[order])
    low, high = f.edges[index], f.edges[index + 1]
    local = np.clip((2 * flat[order] - low - high) / (high - low), -1.0, 1.0)
    found = []
    for table in (f.values[:, :terms], f.slopes[:, :terms]):
        sorted_values = np.empty_like(flat)
        sorted_values[order] = _clenshaw_rows(table, index, local)
        found.append(sorted_values.reshape(at.shape))
    return found[0], found[1]


def _clenshaw_rows(table: Array, index: NDArray[np.intp], x: Array) -> Array:
    """sum_k table[index, k] T_k(x), one panel a point; points of one panel lie side by side."""
    result = np.empty_like(x)
    starts = np.concatenate([[0], np.flatnonzero(np.diff(index)) + 1, [len(index)]])
    for a, b in itertools.pairwise(starts):
        result[a:b] = np.polynomial.chebyshev.chebval(x[a:b], table[index[a]])
    return result


def make_proxy(
    traits: ActivationTraits,
    variance: Fraction,
    radius: float,
    sizes: tuple[float, float],
    lost: float = _LOST,
    level: bool = False,
) -> Proxy:
    """The proxy on [-radius, radius] standard deviations.

    `sizes` are the root mean squares of sigma and sigma', below 1e-17 of which detail does not count;
    a size of 0 leaves sigma' out. `lost` is the share of their squares that may go unresolved next to a point off 0.
    `level`: where sigma and sigma' keep their size, panels may be wider than a Gaussian is smooth.

    Raises:
        UnsupportedError: sigma varies too fast for so many panels, or for doubles.
    """
    with ctx.workprec(_BITS):
        scale = float(arb_of(variance).sqrt().mid())
    # The Gaussian itself must be smooth on a panel, too.
    rule = _Rule(Fraction(min(4.0, 4.0 * scale)), level, sizes, lost)
    edges: list[float] = []
    values: list[Array] = []
    slopes: list[Array] = []
    for piece in traits.pieces:
        for a, b, f, g in _piece_panels(piece, Fraction(radius * scale), rule):
            edges.append(float(a) / scale)
            values.append(f)
            slopes.append(g)
            last = float(b) / scale
    inner = [float(p) / scale for p in traits.breakpoints]
    breaks = np.array([b for b in inner if abs(b) < radius], dtype=np.float64)
    singular = any(p.kind in ("singular", "unknown") for p in traits.breakpoints)
    every = np.array([*edges, last])
    tables = _trimmed(np.array(values), sizes[0]), _trimmed(np.array(slopes), sizes[1])
    return Proxy(every, *tables, breaks, _cuts(every, breaks, singular), singular)


def _trimmed(table: Array, scale: float) -> Array:
    """Without the columns that are rounding noise in every row."""
    row_size = np.maximum(np.max(np.abs(table), axis=1, keepdims=True), scale)
    used = np.flatnonzero(np.any(np.abs(table) > 3e-17 * row_size, axis=0))
    return table[:, : int(used[-1]) + 1] if len(used) else table[:, :1]


def _cuts(edges: Array, breaks: Array, singular: bool) -> Array:
    if not singular:
        return edges
    wide = np.diff(edges) > _FINE
    kept = np.concatenate([[True], wide[:-1] & wide[1:], [True]])
    return np.unique(np.concatenate([edges[kept], breaks]))


@dataclass(frozen=True, slots=True)
class _Rule:
    """What a panel must be; the last three as `make_proxy` has them."""

    widest: Fraction
    level: bool
    sizes: tuple[float, float]
    lost: float

    def is_met(self, f: Array, g: Array, width: Fraction) -> bool:
        """Whether a panel with these coefficients will do."""
        both = tuple(zip((f, g), self.sizes, strict=True))
        if width > self.widest and not (self.level and all(_is_level(c, size) for c, size in both)):
            return False
        return all(_is_settled(c, size, float(width)) for c, size in both)


def _piece_panels(piece: Piece, reach: Fraction, rule: _Rule) -> list[tuple[Fraction, Fraction, Array, Array]]:
    a = -reach if piece.left is None else max(-reach, piece.left.upper)
    b = reach if piece.right is None else min(reach, piece.right.lower)
    if a >= b:
        return []
    sizes = rule.sizes
    tape = Tape((piece.expression, piece.derivative if sizes[1] else sympy.Integer(0)), VARIABLE)
    stack = [(a, b)]
    done: list[tuple[Fraction, Fraction, Array, Array]] = []
    with ctx.workprec(_BITS):
        while stack:
            x, y = stack.pop()
            if len(done) > _MAX_PANELS:
                raise UnsupportedError("the activation varies too fast for its kernel to be tabulated")
            f, g = _interpolated(tape, x, y)
            width = float(y - x)
            at_zero = y - x < _SMALLEST
            least = at_zero or y - x < _SPACING * min(abs(x), abs(y))
            share = _LOST if at_zero else rule.lost
            if least and not (_is_slight(f, sizes[0], width, share) and _is_slight(g, sizes[1], width, share)):
                at = 0.0 if at_zero else float(x)
                raise UnsupportedError(
                    f"next to t = {at:.6g} the activation varies too fast for its kernel to be tabulated in doubles; "
                    "a weaker singular point there would do"
                )
            if least or (rule.is_met(f, g, y - x) and _holds_within(tape, (x, y), (f, g), rule)):
                done.append((x, y, f, g))
            else:
                middle = Fraction(float((x + y) / 2)) if y - x > Fraction(1, 2**40) else (x + y) / 2
                stack += [(middle, y), (x, middle)]
    return done


def _holds_within(tape: Tape, ends: tuple[Fraction, Fraction], both: tuple[Array, Array], rule: _Rule) -> bool:
    """Whether a panel wider than a Gaussian is smooth agrees with sigma as densely as panels of that width would.

    Its own few points could miss a narrow bump.
    """
    a, b = ends
    count = math.ceil((b - a) / rule.widest)
    if count <= 1:
        return True
    allowed = [max(_AGREED * float(np.max(np.abs(c))), 2e-17 * size) for c, size in zip(both, rule.sizes, strict=True)]
    nodes = np.array(_POINTS)
    for index in range(count):
        part = (a + (b - a) * index / count, a + (b - a) * (index + 1) / count)
        at = -1.0 + (2.0 * index + 1.0 + nodes) / count
        for c, again, most in zip(both, _interpolated(tape, *part), allowed, strict=True):
            difference = np.polynomial.chebyshev.chebval(at, c) - np.polynomial.chebyshev.chebval(nodes, again)
            if not float(np.max(np.abs(difference))) <= most:
                return False
    return True


_POINTS = tuple(cosine_of_pi(Fraction(2 * j + 1, 2 * POINTS)) for j in range(POINTS))
_WEIGHTS = tuple((1.0 if k == 0 else 2.0) / POINTS for k in range(POINTS))
_TO_COEFFICIENTS = np.array(
    [[cosine_of_pi(Fraction(k * (2 * j + 1), 2 * POINTS)) * _WEIGHTS[k] for j in range(POINTS)] for k in range(POINTS)]
)


def _interpolated(tape: Tape, a: Fraction, b: Fraction) -> tuple[Array, Array]:
    # next to a singular point off 0, digits of t are lost where sigma has its own
    lost = math.ceil(math.log2((abs(a) + abs(b)) / (b - a)))
    with ctx.workprec(_BITS + lost):
        centre, half = arb_of((a + b) / 2), arb_of((b - a) / 2)
        samples = [tape(acb(centre + half * x)) for x in _POINTS]
    if any(v.is_finite() and v.abs_lower() > _LARGEST for pair in samples for v in pair):
        raise UnsupportedError("the activation grows too fast for its kernel to be tabulated in doubles")
    return _coefficients([v[0] for v in samples]), _coefficients([v[1] for v in samples])


def _coefficients(samples: Sequence[acb]) -> Array:
    doubles = np.array([float(v.real.mid()) if v.is_finite() else 0.0 for v in samples])
    return product(_TO_COEFFICIENTS, doubles)


def _is_settled(c: Array, scale: float, width: float) -> bool:
    """Whether the coefficients have decayed, or the panel is too slight to matter in an integral of f^2."""
    size, last = float(np.max(np.abs(c))), float(np.max(np.abs(c[-4:])))
    return last <= max(_RESOLVED * size, 1e-17 * scale) or _is_slight(c, scale, width, _SLIGHT)


def _is_level(c: Array, scale: float) -> bool:
    """Whether the panel's least value has a size like its largest, or nothing there counts: no digits are lost."""
    return float(np.sum(np.abs(c[1:]))) <= 0.9 * abs(float(c[0])) or float(np.max(np.abs(c))) <= 1e-17 * scale


def _is_slight(c: Array, scale: float, width: float, share: float) -> bool:
    """Whether the panel is at most that share of an integral of f^2."""
    return width * float(np.max(np.abs(c))) ** 2 <= share * scale * scale
