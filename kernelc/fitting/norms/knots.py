"""What of sigma is not smooth off zero: damped truncated powers at its breakpoints, whose pair integrals are known.

sigma = g + s, where s takes up the jumps of sigma and of its first derivatives at every breakpoint, so that g has that
many continuous ones. A summand of s lives on the side of its breakpoint away from 0, and s vanishes about 0.
"""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import sympy
from flint import acb, arb, ctx
from numpy.typing import NDArray

from kernelc.balls.tape import Tape, arb_of
from kernelc.fitting.norms.activation import ScaledActivation, on_panels
from kernelc.fitting.portable import cosine_of_pi
from kernelc.fitting.proxy import POINTS
from kernelc.model import VARIABLE, ActivationTraits, Breakpoint, Piece
from kernelc.program import NormKnots

Array = NDArray[np.float64]
_BITS = 160
#: Panels so long, and so many of them to either side of a knot, hold a damped power.
_SHORT, _FAR = 4.0, 6
_RADIUS = 1e-9


def knots_of(traits: ActivationTraits, order: int, damping: float) -> NormKnots | None:
    """s with the jumps of derivatives up to `order`; None where one is not finite, or a breakpoint is singular."""
    points, weights = [], []
    for left, right in zip(traits.pieces[:-1], traits.pieces[1:], strict=True):
        at = right.left
        jumps = None if at is None or at.kind in ("singular", "unknown") else _jumps(left, right, at, order)
        if jumps is None and at is not None and at.kind == "smooth" and left.expression == right.expression:
            # A zero over a zero has none. What is only flat there may have some of higher order that no ball shows:
            # the tables' comparison with quadrature decides.
            jumps = [arb(0)] * (order + 1)
        if at is None or jumps is None:
            return None
        points.append(float(at))
        weights.append(_weights(jumps, damping, float(at) >= 0.0))
    return NormKnots(damping, tuple(points), tuple(weights))


def _weights(jumps: list[arb], damping: float, right: bool) -> tuple[float, ...]:
    """The powers' weights: their series times exp(-damping x^2 / 2) is that of the jump, x away from 0."""
    with ctx.workprec(_BITS):
        # left of a point the jump itself is taken away, and x = -(t - c)
        own = [jump if right else -((-1) ** q) * jump for q, jump in enumerate(jumps)]
        # x^(2 j) (damping / 2)^j / j! times x^(q - 2 j) / (q - 2 j)!
        sums = [
            sum(
                (
                    own[q - 2 * j] * (arb(damping) / 2) ** j * math.comb(q, 2 * j) * math.perm(2 * j, j)
                    for j in range(q // 2 + 1)
                ),
                arb(0),
            )
            for q in range(len(own))
        ]
        return tuple(float(value.mid()) for value in sums)


def _jumps(left: Piece, right: Piece, at: Breakpoint, order: int) -> list[arb] | None:
    sides = []
    with ctx.workprec(_BITS):
        for piece in (left, right):
            rows = [piece.expression]
            for _ in range(order):
                rows.append(sympy.diff(rows[-1], VARIABLE))
            sides.append(Tape(tuple(rows), VARIABLE)(acb(arb_of(Fraction(float(at))))))
        found = [(after - before).real for before, after in zip(*sides, strict=True)]
        if not all(jump.is_finite() and float(jump.rad()) < _RADIUS for jump in found):
            return None
    # sigma is continuous at a kink
    return found if at.kind == "jump" else [arb(0), *found[1:]]


def refined(activation: ScaledActivation, knots: NormKnots) -> ScaledActivation:
    """The same on panels that are short where the damped powers are not negligible."""
    proxy = activation.proxy
    around = np.add.outer(np.array(knots.points), _SHORT * np.arange(-_FAR, _FAR + 1)).reshape(-1)
    # a knot and its own panels' edge may differ in the last bits
    new = np.min(np.abs(np.subtract.outer(around, proxy.edges)), axis=1) > _RADIUS
    inside = (around > proxy.edges[0]) & (around < proxy.edges[-1])
    edges = np.unique(np.concatenate([proxy.edges, around[new & inside]]))
    middle, half = 0.5 * (edges[1:] + edges[:-1]), 0.5 * np.diff(edges)
    t = middle[:, None] + half[:, None] * _NODES
    tables = [_series(on_panels(proxy, middle, t, slopes)) for slopes in (False, True)]
    return replace(activation, proxy=replace(proxy, edges=edges, values=tables[0], slopes=tables[1]))


def split(activation: ScaledActivation, knots: NormKnots) -> tuple[ScaledActivation, ScaledActivation]:
    """g and s on the panels of sigma, both as polynomials there."""
    proxy = activation.proxy
    values, slopes = (_on_panels(proxy.edges, knots, weights) for weights in (knots.weights, _slopes(knots)))
    smooth = replace(proxy, values=_wide(proxy.values) - values, slopes=_wide(proxy.slopes) - slopes)
    return replace(activation, proxy=smooth), replace(activation, proxy=replace(proxy, values=values, slopes=slopes))


def _slopes(knots: NormKnots) -> tuple[tuple[float, ...], ...]:
    """The weights of s'."""
    found = []
    for point, row in zip(knots.points, knots.weights, strict=True):
        sign = 1.0 if point >= 0.0 else -1.0
        after, before = (*row[1:], 0.0, 0.0), (0.0, *row)
        slopes = [sign * (a - knots.damping * q * b) for q, (a, b) in enumerate(zip(after, before, strict=True))]
        found.append(tuple(slopes))
    return tuple(found)


def _wide(table: Array) -> Array:
    result = np.zeros((len(table), POINTS))
    result[:, : table.shape[1]] = table
    return result


_NODES = np.array([cosine_of_pi(Fraction(2 * j + 1, 2 * POINTS)) for j in range(POINTS)])
_TRANSFORM = np.array(
    [
        [cosine_of_pi(Fraction(k * (2 * j + 1), 2 * POINTS)) * (2.0 if k else 1.0) / POINTS for j in range(POINTS)]
        for k in range(POINTS)
    ]
)


def _on_panels(edges: Array, knots: NormKnots, weights: tuple[tuple[float, ...], ...]) -> Array:
    """Chebyshev coefficients on every panel of powers with these weights; panels do not reach across a breakpoint."""
    middle, half = 0.5 * (edges[1:] + edges[:-1]), 0.5 * np.diff(edges)
    t = middle[:, None] + half[:, None] * _NODES
    values = np.zeros_like(t)
    for c, row in zip(knots.points, weights, strict=True):
        distance = t - c if c >= 0.0 else c - t
        beyond = (middle > c if c >= 0.0 else middle < c)[:, None]
        power = np.where(beyond, decaying(0.5 * knots.damping * np.where(beyond, distance, 0.0) ** 2), 0.0)
        for q, weight in enumerate(row):
            values += weight * power
            power = power * distance / (q + 1)
    return _series(values)


def _series(values: Array) -> Array:
    """(panels, points) values at every panel's nodes -> its Chebyshev coefficients."""
    result: Array = np.sum(values[:, None, :] * _TRANSFORM, axis=2)
    return result


def decaying(x: Array) -> Array:
    """exp(-x) for x >= 0, by balls: the same bits on every processor."""
    with ctx.workprec(_BITS):
        return np.array([float((-arb(v)).exp().mid()) for v in x.reshape(-1).tolist()]).reshape(x.shape)
