# Part of the runtime that kernelc copies, unchanged, into every module it generates.
"""Chebyshev interpolation at call time: where rows have norms that no compiled table was made for.

Part of every generated package, copied verbatim; it needs NumPy alone.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ._evaluation import ThetaTable
from ._inputs import DoubleArray

#: Samples of one polynomial over all angles, and of one panel.
_WHOLE, _PANEL = 48, 28
#: No more panels than this, and none narrower.
_MAX_PANELS, _MIN_WIDTH = 48, 1e-7
#: Where half a panel is no better than this share of the whole, and both are within so many tolerances, it is noise.
_STALLED, _NOISE = 0.5, 30.0
#: A panel that ends at 0 or pi is also looked at so near to that end, in its width; so many tolerances count as one.
_BESIDE, _SEEN = 10.0 ** -np.arange(0.5, 7.5), 20.0
#: Fits that leave more tolerances than this are not to be used.
_MOST_LEFT = 300.0
#: (1 + sqrt(2))^k / 2 is about the sum of |monomial coefficients| of T_k; Horner's rule is used where
#: that makes the coefficients no larger than this many times the Chebyshev ones.
_BASIS_GROWTH, HORNER_GROWTH = 1.0 + math.sqrt(2.0), 8.0
#: What dropped coefficients may add up to, relative to all: above the noise of samples in float64.
_SLACK = {np.dtype(np.float64): 3e-15, np.dtype(np.float32): 7.5e-9}
#: Nodes and weights of Gauss and Legendre on [-1, 1], for integrals over an angle.
_GAUSS = np.polynomial.legendre.leggauss(12)

#: Rows from which functions of one norm are interpolated, at how many norms, over what ratio of norms at most; how
#: many of the last coefficients have to be within the function's own roundings.
_MANY_ROWS, _ROW_NODES, _MOST_WIDE, _LAST, _ROUNDING = 1024, 96, 256.0, 6, 8e-15

#: theta (k,) -> the values of two functions of theta, (2, k).
Sampler = Callable[[DoubleArray], DoubleArray]


def nodes(low: float, high: float, count: int) -> DoubleArray:
    """The `count` Chebyshev points of the first kind on [low, high], descending; no digit is lost near low = 0."""
    half = np.pi * (np.arange(count) + 0.5) / (2 * count)
    points: DoubleArray = low + (high - low) * np.cos(half) ** 2
    return points


def transform(count: int) -> DoubleArray:
    """The matrix from values at `nodes` to Chebyshev coefficients, (count, count)."""
    order = np.arange(count)
    # whole turns are taken off before anything is rounded
    turns = np.outer(order, 2 * order + 1) % (4 * count)
    matrix: DoubleArray = np.cos(np.pi * turns / (2 * count)) * (2.0 / count)
    matrix[0] *= 0.5
    return matrix


def basis(low: float, high: float, points: DoubleArray, count: int) -> DoubleArray:
    """T_0 .. T_{count - 1} at `points` of [low, high], (len(points), count)."""
    span = high - low
    local = np.clip((2.0 * points - low - high) / span, -1.0, 1.0) if span > 0.0 else np.zeros_like(points)
    values: DoubleArray = np.asarray(np.polynomial.chebyshev.chebvander(local, count - 1), dtype=np.float64)
    return values


def of_rows(function: Callable[[DoubleArray], DoubleArray], scales: DoubleArray) -> DoubleArray:
    """`function` of every s (n,), smooth and positive: interpolated in log s where there are many rows.

    The interpolant is taken where its last coefficients are no more than the function's own roundings, relative to its
    least value, so that every value has a small relative error.
    """
    positive = scales > 0.0
    if np.count_nonzero(positive) < _MANY_ROWS:
        return function(scales)
    low, high = float(scales[positive].min()), float(scales.max())
    if high > _MOST_WIDE * low or low == high:
        return function(scales)
    logs = math.log(low), math.log(high)
    values = function(np.exp(nodes(*logs, _ROW_NODES)))
    coefficients = transform(_ROW_NODES) @ values
    least = float(values.min())
    if not np.abs(coefficients[-_LAST:]).max() <= _ROUNDING * least:
        return function(scales)
    short = coefficients[: kept(np.abs(coefficients), _ROUNDING * least)]
    local = (2.0 * np.log(np.where(positive, scales, low)) - logs[0] - logs[1]) / (logs[1] - logs[0])
    result: DoubleArray = np.empty_like(scales)
    result[:] = np.polynomial.chebyshev.chebval(np.clip(local, -1.0, 1.0), short)
    zero = np.flatnonzero(~positive)
    if zero.size:
        result[zero] = function(scales[zero])
    return result


def kept(sizes: DoubleArray, tolerance: float) -> int:
    """How many terms are needed where those dropped, of these sizes, may add up to `tolerance`."""
    tail = np.cumsum(sizes[::-1])[::-1]
    return max(1, int(np.count_nonzero(tail > tolerance)))


def to_monomial(coefficients: DoubleArray) -> DoubleArray:
    """Chebyshev coefficients along the first axis as coefficients of powers."""
    count = len(coefficients)
    matrix = np.eye(count)
    for degree in range(2, count):
        # T_k = 2 z T_{k-1} - T_{k-2}
        matrix[1:, degree] = 2.0 * matrix[:-1, degree - 1]
        matrix[:, degree] -= matrix[:, degree - 2]
    result: DoubleArray = np.tensordot(matrix, coefficients, 1)
    return result


def monomial_is_safe(sizes: DoubleArray) -> bool:
    """Whether Horner's rule loses no more than Clenshaw's recurrence for coefficients of these sizes."""
    growth = float(np.sum(sizes * _BASIS_GROWTH ** np.arange(len(sizes))))
    return growth <= 2.0 * HORNER_GROWTH * float(np.sum(sizes))


@dataclass(frozen=True, slots=True)
class ThetaFit:
    """f, g and their common panels: rows[i] (2, k) are Chebyshev coefficients on [edges[i], edges[i + 1]].

    `left`: the largest of the last coefficients, in tolerances.
    """

    edges: tuple[float, ...]
    rows: tuple[DoubleArray, ...]
    left: float

    @property
    def serves(self) -> bool:
        """Whether it is as close as its samples, or nearly."""
        return self.left <= _MOST_LEFT

    def table(self, which: int, dtype: np.dtype[Any]) -> ThetaTable:
        """f (0) or g (1) as the tiles evaluate it."""
        return as_table(self.edges, [row[which] for row in self.rows], dtype, rooted=False)


def as_table(edges: tuple[float, ...], rows: list[DoubleArray], dtype: np.dtype[Any], *, rooted: bool) -> ThetaTable:
    """Chebyshev rows as a table in the cheaper basis that is safe."""
    slack = _SLACK[dtype]
    short = [row[: kept(np.abs(row), slack * float(np.abs(row).sum()))] for row in rows]
    safe = all(monomial_is_safe(np.abs(row)) for row in short)
    chosen = [to_monomial(row) for row in short] if safe else short
    literals = tuple(tuple(float(value) for value in row) for row in chosen)
    return ThetaTable(edges, literals, "monomial" if safe else "chebyshev", rooted)


def _sampled(sample: Sampler, low: float, high: float, count: int) -> DoubleArray:
    """Chebyshev coefficients (2, count)."""
    rows: DoubleArray = sample(nodes(low, high, count)) @ transform(count).T
    return rows


def fit_theta(sample: Sampler, tolerance: DoubleArray, bulk: tuple[float, float]) -> ThetaFit:
    """Both functions on [0, pi]: one polynomial where that converges, else panels, one of them `bulk`.

    `tolerance` (2,): what the last coefficients may still be. The worst panel is halved, towards the ends by more,
    until all converge or show the samples' noise alone; what is left where they are too many is in `left`.
    """
    whole = _sampled(sample, 0.0, np.pi, _WHOLE)
    worst = _excess(sample, 0.0, np.pi, whole, tolerance)
    if worst <= 1.0:
        return ThetaFit((0.0, np.pi), (whole,), worst)
    low, high = bulk
    cuts = [0.0, *(cut for cut in (low, high) if 0.05 < cut < np.pi - 0.05), np.pi]
    panels: list[_Panel] = []
    waiting: list[_Panel] = []

    def add(left: float, right: float, before: float) -> None:
        row = _sampled(sample, left, right, _PANEL)
        excess = _excess(sample, left, right, row, tolerance)
        noise = excess <= _NOISE and excess > _STALLED * before
        done = excess <= 1.0 or noise or right - left < _MIN_WIDTH
        (panels if done else waiting).append(_Panel(left, right, row, excess))

    for left, right in itertools.pairwise(cuts):
        add(left, right, np.inf)
    while waiting and len(panels) + len(waiting) < _MAX_PANELS:
        panel = waiting.pop(max(range(len(waiting)), key=lambda i: waiting[i].excess))
        share = 0.3 if panel.left == 0.0 else 0.7 if panel.right == np.pi else 0.5
        cut = panel.left + share * (panel.right - panel.left)
        add(panel.left, cut, panel.excess)
        add(cut, panel.right, panel.excess)
    panels = sorted([*panels, *waiting], key=lambda panel: panel.left)
    edges = (0.0, *(panel.right for panel in panels))
    return ThetaFit(edges, tuple(panel.row for panel in panels), max(panel.excess for panel in panels))


@dataclass(frozen=True, slots=True)
class _Panel:
    """[left, right], both functions' coefficients on it, and the largest of the last ones in tolerances."""

    left: float
    right: float
    row: DoubleArray
    excess: float


def _excess(sample: Sampler, left: float, right: float, rows: DoubleArray, tolerance: DoubleArray) -> float:
    """The last coefficients in tolerances; where a panel ends at 0 or pi, also what it misses next to that end.

    At large norms all that happens may lie closer to the end than the first node.
    """
    # what the rounding of theta alone is worth: no fit is closer, and no value
    points = nodes(left, right, rows.shape[1])
    curves = [np.polynomial.chebyshev.chebval((2.0 * points - left - right) / (right - left), row) for row in rows]
    steepest = np.abs(np.diff(curves, axis=1) / np.diff(points)).max(axis=1)
    allowed = tolerance + float(np.finfo(np.float64).eps) * right * steepest
    excess = float((np.abs(rows[:, -3:]).max(axis=1) / allowed).max())
    beside = [_BESIDE * right] if left == 0.0 else []
    beside += [np.pi - _BESIDE * (np.pi - left)] if right == np.pi else []
    if beside:
        theta = np.concatenate(beside)
        local = np.clip((2.0 * theta - left - right) / (right - left), -1.0, 1.0)
        missed = np.abs(sample(theta) - [np.polynomial.chebyshev.chebval(local, row) for row in rows]).max(axis=1)
        excess = max(excess, float((missed / (_SEEN * allowed)).max()))
    return excess


def drop_table(fit: ThetaFit, factor: float, dtype: np.dtype[Any]) -> ThetaTable:
    """factor * int_0^theta sin(phi) g(phi) dphi, theta times a polynomial on the first panel.

    With T' = -s^2 sin(theta) Tdot this is 1 - T / T(theta = 0), with a small relative error as theta -> 0.
    """
    points, weights = _GAUSS
    rows: list[DoubleArray] = []
    reached = 0.0
    for index, row in enumerate(fit.rows):
        left, right = fit.edges[index], fit.edges[index + 1]
        count = row.shape[1] + 4
        wanted = np.append(nodes(left, right, count), right)
        # one Gauss rule between neighbouring nodes, summed from the left
        ends = np.append(left, np.sort(wanted))
        half = 0.5 * np.diff(ends)
        inner = ends[:-1, None] + half[:, None] * (1.0 + points)
        slopes = np.polynomial.chebyshev.chebval((2.0 * inner - left - right) / (right - left), row[1])
        pieces = factor * half * ((np.sin(inner) * slopes) @ weights)
        totals = reached + np.cumsum(pieces)
        values = totals[:-1][::-1]
        if index == 0:
            values = values / wanted[:-1]
        rows.append(transform(count) @ values)
        reached = float(totals[-1])
    return as_table(fit.edges, rows, dtype, rooted=True)


def drop_of_values(fit: ThetaFit, at_one: float, dtype: np.dtype[Any]) -> ThetaTable:
    """1 - f / at_one where f(0) = at_one and its slope is not known: theta times a polynomial on the first panel."""
    rows: list[DoubleArray] = []
    for index, row in enumerate(fit.rows):
        left, right = fit.edges[index], fit.edges[index + 1]
        count = row.shape[1]
        wanted = nodes(left, right, count)
        local = (2.0 * wanted - left - right) / (right - left)
        values = 1.0 - np.polynomial.chebyshev.chebval(local, row[0]) / at_one
        rows.append(transform(count) @ (values / wanted if index == 0 else values))
    return as_table(fit.edges, rows, dtype, rooted=True)
