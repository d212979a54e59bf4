"""Panels of a Gauss-Legendre rule on which every Hermite coefficient is integrated at once, with proof.

On a panel, f(t) h_k(t/s) phi(t/s)/s is analytic in a Bernstein ellipse E_rho and bounded there by M,
so the n-point rule errs by at most (w) (64/15) M rho^(-2n) / (1 - rho^(-2)) on a panel of half-width
w (Trefethen, Approximation Theory and Approximation Practice, Thm 19.3; n >= 2). M comes from one ball
evaluation of f on a box about the ellipse, with the `analytic` flag, times

    |h_k(x + iy)| phi <= r^(-k/2) (1-r^2)^(-1/4) (2 pi)^(-1/2) exp(-x^2/(2(1+r)) + y^2/(2(1-r)))

for any 0 < r < 1, which is Mehler's formula at (z, conj z): sum_j r^j |h_j(z)|^2 is its left side.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, inf, log, log2

from flint import acb, arb, ctx

from kernelc.balls.local import EndPoint, LocalBounds, Majorant, integral, squared
from kernelc.balls.tape import Tape, arb_of
from kernelc.model import VARIABLE, Piece

_RADII = (Fraction(12), Fraction(8), Fraction(5), Fraction(7, 2), Fraction(5, 2), Fraction(2), Fraction(8, 5))
_MEHLER = tuple(1 - 2.0**-j for j in range(1, 14))
_NODE_STEP = 8
_MAX_PANELS = 20_000
_LN2 = log(2.0)


@dataclass(frozen=True, slots=True)
class Panel:
    """[centre - half, centre + half] with `nodes` points, and its proved errors.

    `error` bounds the rule's error of every a_k, `moment_errors` those of E[f^2] and E[f'^2].
    """

    tape: Tape
    centre: Fraction
    half: Fraction
    nodes: int
    error: arb
    moment_errors: tuple[arb, arb]

    @property
    def extra_bits(self) -> int:
        """What `extra_bits` says of this panel."""
        return extra_bits(self.half)


@dataclass(frozen=True, slots=True)
class Closure:
    """What a sliver next to a breakpoint, or a stretch far out, contributes at most: to a_k, and to E[f^2], E[f'^2]."""

    error: arb
    moments: tuple[arb, arb]


@dataclass(frozen=True, slots=True)
class Target:
    """What the panels must reach: `degree` K, absolute errors below 2^-bits; s = sqrt(variance).

    Beyond `bulk` (None: nowhere) next to nothing is expected of the integrals.
    """

    degree: int
    bits: int
    scale: arb
    with_derivative: bool
    bulk: Fraction | None = None


class PanelBuilder:
    """Splits pieces of sigma into panels that meet a target."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._scale = float(target.scale.mid())
        self._node_cap = target.bits // 2 + 96
        self.panels: list[Panel] = []
        self.closures: list[Closure] = []

    def add_piece(self, piece: Piece, low: Fraction, high: Fraction) -> None:
        """Covers one piece, clipped to [low, high]."""
        tape = Tape((piece.expression, piece.derivative), VARIABLE)
        a, b = low, high
        left = right = None
        if piece.left is not None and piece.left.upper >= low:
            left = EndPoint(piece.left.exact, piece.left.lower, piece.left.upper, 1, Fraction(0), piece.left_zeros)
            a = piece.left.upper
        if piece.right is not None and piece.right.lower <= high:
            right = EndPoint(
                piece.right.exact, piece.right.lower, piece.right.upper, -1, Fraction(0), piece.right_zeros
            )
            b = piece.right.lower
        if a >= b:
            return
        for x, y in itertools.pairwise(self._edges(a, b)):
            self._cover(piece, tape, x, y, left if x == a else None, right if y == b else None)
        for end in (left, right):
            if end is not None and end.lower != end.upper:
                self._close(piece, end, Fraction(0), required=True)

    def _edges(self, a: Fraction, b: Fraction) -> list[Fraction]:
        """Ends of first panels: even steps in the bulk, each twice as far as the one before beyond it."""
        step = Fraction(max(1, round(4 * self._scale))) / 2
        bulk = self._target.bulk
        edges = [a]
        while edges[-1] < b:
            x = edges[-1]
            beyond = x + step
            if bulk is not None and x < -bulk:
                beyond = min(x / 2, -bulk)
            elif bulk is not None and x >= bulk:
                beyond = 2 * x
            edges.append(min(beyond, b))
        return edges

    def _cover(
        self, piece: Piece, tape: Tape, a: Fraction, b: Fraction, left: EndPoint | None, right: EndPoint | None
    ) -> None:
        stack = [(a, b, left, right)]
        while stack:
            x, y, at_left, at_right = stack.pop()
            if self._is_far_out(tape, x, y):
                continue
            panel = self._panel(tape, x, y)
            if panel is not None:
                self.panels.append(panel)
                if len(self.panels) > _MAX_PANELS:
                    raise ArithmeticError(
                        "too many panels: the activation varies, or grows, too fast to be integrated at this variance"
                    )
                continue
            for end in (at_left, at_right):
                if end is not None and y - x < Fraction(1, 8) and self._close(piece, end, y - x, required=False):
                    break
            else:
                if y - x < Fraction(1, 2**6000):
                    raise ArithmeticError("a panel could not be closed at a singular point")
                middle = (x + y) / 2
                stack += [(middle, y, None, at_right), (x, middle, at_left, None)]

    def _is_far_out(self, tape: Tape, a: Fraction, b: Fraction) -> bool:
        """Bounds what [a, b] contributes by the size of f and f' on it, where that is beyond the bulk and small enough.

        |h_k(z)| phi(z) <= exp(-z^2/4)/sqrt(2 pi) (Indritz, DLMF 18.14.9).
        """
        bulk, s = self._target.bulk, self._target.scale
        if bulk is None or (b > -bulk and a < bulk):
            return False
        f, slope = tape(acb(arb(arb_of((a + b) / 2), arb_of((b - a) / 2).upper())))
        weight = arb_of(b - a) / (s * (2 * arb.pi()).sqrt())
        near = -((arb_of(min(abs(a), abs(b))) / s) ** 2)
        slope_size = slope.abs_upper() if self._target.with_derivative else arb(0)
        sizes = [
            (weight * f.abs_upper() * (near / 4).exp()).upper(),
            (weight * f.abs_upper() ** 2 * (near / 2).exp()).upper(),
            (weight * slope_size**2 * (near / 2).exp()).upper(),
        ]
        if not all(size < self._limit for size in sizes):
            return False
        self.closures.append(Closure(sizes[0], (sizes[1], sizes[2])))
        return True

    @property
    def _limit(self) -> arb:
        """What one closure may leave open."""
        return arb(2) ** (-self._target.bits - 8)

    def _panel(self, tape: Tape, a: Fraction, b: Fraction) -> Panel | None:
        """The cheapest ellipse's panel, None where no ellipse works with few enough nodes."""
        centre, half = (a + b) / 2, (b - a) / 2
        best: tuple[int, Fraction, arb, tuple[arb, arb]] | None = None
        for rho in _RADII:
            bounds = self._bounds(tape, centre, half, rho)
            if bounds is None:
                continue
            need = max(_log2(m) for m in bounds) + log2(float(half)) + 4.1 if half > Fraction(1, 2**900) else 0.0
            nodes = max(8, ceil((need + self._target.bits + 6) / (2 * log2(float(rho)))))
            nodes = -(-nodes // _NODE_STEP) * _NODE_STEP
            if best is None or nodes < best[0]:
                best = (nodes, rho, bounds[0], (bounds[1], bounds[2]))
        if best is None or best[0] > self._node_cap:
            return None
        nodes, rho, main, moments = best
        factor = _rule_error(rho, nodes) * arb_of(half)
        return Panel(tape, centre, half, nodes, (main * factor).upper(), _pair(m * factor for m in moments))

    def _bounds(self, tape: Tape, centre: Fraction, half: Fraction, rho: Fraction) -> tuple[arb, arb, arb] | None:
        """Bounds on the ellipse of f h_k phi/s (all k <= K), f^2 phi/s and f'^2 phi/s."""
        with ctx.workprec(ctx.prec + extra_bits(half)):
            return self._bounds_at(tape, centre, half, rho)

    def _bounds_at(self, tape: Tape, centre: Fraction, half: Fraction, rho: Fraction) -> tuple[arb, arb, arb] | None:
        x_axis = half * (rho + 1 / rho) / 2
        y_axis = half * (rho - 1 / rho) / 2
        box = acb(arb(arb_of(centre), arb_of(x_axis).upper()), arb(0, arb_of(y_axis).upper()))
        f, slope = tape(box, True)
        if not f.is_finite() or (self._target.with_derivative and not slope.is_finite()):
            return None
        size = f.abs_upper()
        slope_size = slope.abs_upper() if self._target.with_derivative else arb(0)
        s = self._target.scale
        x = max(abs(centre) - x_axis, Fraction(0))
        x_squared, y_squared = (arb_of(x) / s) ** 2, (arb_of(y_axis) / s) ** 2
        phi = ((y_squared - x_squared) / 2).exp() / (s * (2 * arb.pi()).sqrt())
        return (
            (size * self._hermite_weight(x_squared, y_squared) / s).upper(),
            (size**2 * phi).upper(),
            (slope_size**2 * phi).upper(),
        )

    def _hermite_weight(self, x_squared: arb, y_squared: arb) -> arb:
        """An upper bound of |h_k phi| for all k <= K; r is chosen in floats, the bound is taken in balls."""
        k, x2, y2 = self._target.degree, float(x_squared.mid()), float(y_squared.mid())

        def exponent(r: float) -> float:
            return -k / 2 * log(r) - log(1 - r * r) / 4 - x2 / (2 * (1 + r)) + y2 / (2 * (1 - r))

        r = arb(min(_MEHLER, key=exponent))
        gaussian = (-x_squared / (2 * (1 + r)) + y_squared / (2 * (1 - r))).exp()
        power = (-arb(k) / 2 * r.log()).exp()
        return (power * (1 - r * r) ** (arb(-1) / 4) * gaussian / (2 * arb.pi()).sqrt()).upper()

    def _close(self, piece: Piece, end: EndPoint, width: Fraction, *, required: bool) -> bool:
        """Bounds the sliver between a breakpoint and the next panel by a majorant, where it is small enough.

        |h_k(z)| phi(z) <= exp(-z^2/4)/sqrt(2 pi) <= 1 (Indritz, DLMF 18.14.9).
        """
        cell = EndPoint(end.exact, end.lower, end.upper, end.side, width + (end.upper - end.lower), end.zero_of)
        if cell.width > Fraction(1, 8):
            raise ArithmeticError("a breakpoint could not be located closely enough")
        bounds = LocalBounds(VARIABLE, cell)
        found = bounds.majorant(piece.expression)
        slope: Majorant | None = bounds.majorant(piece.derivative) if self._target.with_derivative else ()
        if found is None or slope is None:
            if required:
                raise ArithmeticError("sigma could not be bounded next to a breakpoint")
            return False
        weight = 1 / (self._target.scale * (2 * arb.pi()).sqrt())
        contributions = [found, squared(found), squared(slope) if slope else ()]
        sizes = [(integral(m, cell.width) * weight).upper() if m else arb(0) for m in contributions]
        if not required and not all(size < self._limit for size in sizes):
            return False
        self.closures.append(Closure(sizes[0], (sizes[1], sizes[2])))
        return True


def extra_bits(half: Fraction) -> int:
    """Bits by which a panel is narrower than 1: nodes next to a breakpoint that is not 0 need them."""
    return max(0, half.denominator.bit_length() - half.numerator.bit_length())


def _rule_error(rho: Fraction, nodes: int) -> arb:
    r = arb_of(rho)
    return (arb(64) / 15 * r ** (-2 * nodes) / (1 - r**-2)).upper()


def _pair(values: Iterable[arb]) -> tuple[arb, arb]:
    first, second = (v.upper() for v in values)
    return first, second


def _log2(x: arb) -> float:
    """log2 of a magnitude, for choices only (never for a bound)."""
    if not x.is_finite():
        return inf
    if x.is_zero():
        return -1e4
    return float(x.log().mid()) / _LN2


def tail_beyond(scale: Fraction, power: Fraction, linear: Fraction, quadratic: Fraction, s: arb, r: arb) -> arb:
    """A bound of E[f(sZ)^2; |sZ| > R] from |f(t)| <= scale (1+|t|)^power exp(quadratic t^2 + linear |t|).

    With g(z) the logarithm of the integrand, g'' < 0, so g(z) <= g(z0) + g'(z0)(z - z0) and the
    integral beyond z0 = R/s is at most exp(g(z0))/(-g'(z0)); infinite where g'(z0) >= 0.
    """
    n, a1, a2 = (2 * arb_of(x) for x in (max(power, Fraction(0)), linear, quadratic))
    z = r / s
    gamma = arb(1) / 2 - a2 * s * s
    slope = -2 * gamma * z + a1 * s + n * s / (1 + r)
    if not (gamma > 0 and slope < 0):
        return arb.pos_inf()
    g = -gamma * z * z + a1 * r + n * (1 + r).log()
    # Both sides of the line; |f|^2 has scale^2.
    return (2 * arb_of(scale) ** 2 * g.exp() / (-slope) / (2 * arb.pi()).sqrt()).upper()


__all__ = ["Closure", "Panel", "PanelBuilder", "Target", "tail_beyond"]
