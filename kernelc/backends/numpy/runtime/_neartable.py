# Part of the runtime that kernelc copies, unchanged, into every module it generates.
"""1 - tau and slope of many nearly parallel rows of nearly one norm: a table made at call time.

A network that forgets angles makes almost every pair such a one. With m = log(s s') / 2, r and x from

    log(s / s') = r sqrt(1 - x^2),    theta = r x,

(1 - tau) / r^2 and slope are smooth functions of (m, r, x) although sigma has kinks, which make them rough in
log(s / s') and theta: every scale of the two alike. Chebyshev polynomials in the three variables, fitted to
single pairs and compared with others, serve a thousand pairs in the time of one.

Part of every generated package, copied verbatim; it needs NumPy alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ._gaps import gaps
from ._inputs import DoubleArray
from ._interpolation import nodes, transform
from ._pairs import ClosedPairs
from ._roads import THREADED

Mask = npt.NDArray[np.bool_]

#: The largest r, and the least that a table reaches to: next to 0 log(s / s') of samples is a few roundings.
_WIDEST, _LEAST = 0.3, 1e-3
#: Samples of a pilot in m, r and x; with more terms than all but so many of these there is no table.
_PILOT, _SPARE = (24, 24, 128), 4
#: Where a pilot in r begins, as a share of the largest: at less single pairs have lost digits that nobody feels.
_START = 1.0 / 16.0
#: The size of terms that are dropped, of r times (1 - tau) / r^2, of which an angle of the next layer feels half, and
#: of slope, relative to the largest value; by how much the table may differ from single pairs.
_DROPPED = {np.dtype(np.float64): (4e-14, 5e-14), np.dtype(np.float32): (1e-9, 1e-8)}
_ALLOWED = {np.dtype(np.float64): (2e-13, 3e-13), np.dtype(np.float32): (5e-8, 2e-7)}
#: Between its nodes a table is compared with single pairs at so many points; the least r among them, as a share.
_CHECKED, _NEXT = 256, 1e-4
#: Single pairs after which a pilot is worth its samples, twice as many each time, and tables that are tried at most.
_PILOT_AFTER, _TABLES = 2048, 8
#: By which share of its width a range is wider than that of the pairs it was made for; how far the next one reaches
#: where one fails.
_WIDER, _NARROWER = 0.1, 0.7
#: The share of all pairs that is asked for before threads share the tables, and how many at most.
_PROBED, _MOST_PROBED = 1.0 / 16.0, 2**17
#: A change of log(s / s') by less than this is a rounding of s and s'.
_ROUNDED = 1e-3
#: Pairs in work at a time; multiplications a product at most, so that BLAS starts no threads.
_CHUNK, _PRODUCT = 1024, 2**18

#: (3, k): m, r, x of pairs.
Places = DoubleArray


@dataclass(frozen=True, slots=True)
class NearTable:
    """Functions of (m, r, x) in the box `low`..`high`, (3,) each.

    `core` (f kx, km kr): Chebyshev coefficients of (1 - tau) / r^2 and, where f = 2, of slope; `terms`: km, kr, kx.
    """

    low: DoubleArray
    high: DoubleArray
    terms: tuple[int, int, int]
    core: DoubleArray

    def serves(self, places: Places) -> Mask:
        """Which pairs lie in the box."""
        inside = (places >= self.low[:, None]) & (places <= self.high[:, None])
        return np.asarray(np.logical_and.reduce(inside))

    def __call__(self, places: Places) -> DoubleArray:
        """The functions at pairs in the box, (f, k)."""
        functions = len(self.core) // self.terms[2]
        result = np.empty((functions, places.shape[1]))
        for start in range(0, places.shape[1], _CHUNK):
            part = slice(start, start + _CHUNK)
            self._block(places[:, part], result[:, part])
        return result

    def _block(self, places: Places, out: DoubleArray) -> None:
        middle, turn, across = (
            _chebyshev(low, high, place, count)
            for low, high, place, count in zip(self.low, self.high, places, self.terms, strict=True)
        )
        size, inner = self.core.shape
        width = max(8, _PRODUCT // (size * inner))
        count = places.shape[1]
        # a whole number of small products; what is beyond is not used
        both = np.zeros((inner, -(-count // width) * width))
        np.multiply(middle[:, None], turn, out=both[:, :count].reshape(len(middle), len(turn), count))
        products = self.core @ both.reshape(inner, -1, width).swapaxes(0, 1)
        lines = products.swapaxes(0, 1).reshape(len(out), len(across), -1)[:, :, :count]
        np.einsum("fkn,kn->fn", lines, across, out=out)


def _chebyshev(low: float, high: float, points: DoubleArray, count: int) -> DoubleArray:
    """T_0 .. T_{count - 1} at `points` of [low, high], (count, k)."""
    local = (2.0 * points - low - high) / (high - low)
    values = np.empty((count, points.size))
    values[0] = 1.0
    if count > 1:
        values[1] = local
    twice = 2.0 * local
    for index in range(2, count):
        np.multiply(twice, values[index - 1], out=values[index])
        values[index] -= values[index - 2]
    return values


class NearTables:
    """The tables of one layer: made when as many pairs as one takes samples have been, or are to be expected.

    What is made depends on the pairs that are asked for first. Where threads work on tiles in no order, a `share` of
    the pairs is asked for before them, and `settle` then lets no more tables be made.

    Error beside that of single pairs: about 3e-13 of slope and of the next layer's angle, an estimate: the table and
    single pairs are compared at 256 places, and it is not used where they differ by more.
    """

    def __init__(self, pairs: ClosedPairs, tangent: bool, dtype: np.dtype[Any], share: float = 1.0) -> None:
        self._pairs, self._tangent, self._dtype, self.share = pairs, tangent, dtype, share
        self._table: NearTable | None = None
        self._widest, self._missed, self._left = _WIDEST, 0, _TABLES
        self._needed = self._least = _PILOT_AFTER

    def values(self, one: DoubleArray, other: DoubleArray, theta: DoubleArray) -> tuple[Mask, DoubleArray]:
        """Which of these pairs (k,) are served, and for those 1 - tau and slope (0 where it is not wanted), (2, l)."""
        places = _places(one, other, theta)
        if self._left:
            self._renew(places)
        table = self._table
        if table is None:
            return np.zeros(theta.shape, dtype=np.bool_), np.zeros((2, 0))
        served = table.serves(places)
        result = np.zeros((2, int(np.count_nonzero(served))))
        found = table(places[:, served])
        result[: len(found)] = found
        result[0] = np.maximum(result[0], 0.0) * places[1, served] ** 2
        return served, result

    def settle(self) -> None:
        """Make no more tables: from here on it may be shared by threads."""
        self._left = 0

    def _renew(self, places: Places) -> None:
        """Make a new table where enough pairs have been missed by the former."""
        missed = self._unserved(places)
        self._missed += int(missed.shape[1] / self.share)
        while self._left and missed.shape[1] and self._missed >= self._needed:
            self._make(missed)
            missed = self._unserved(missed)

    def _unserved(self, places: Places) -> Places:
        """The pairs that a table should serve, and none does."""
        missed = places[:, places[1] <= self._widest]
        return missed if self._table is None else missed[:, ~self._table.serves(missed)]

    def _make(self, places: Places) -> None:
        """A table that serves these pairs too, later where it takes more samples than there have been pairs.

        Where there is none, a narrower one is to be tried next.
        """
        low, high = _box(places, self._table, self._widest)
        fits = _holds(self._pairs, low, high)
        terms = _terms(self._pairs, low, high, self._tangent, self._dtype) if fits else None
        self._needed = max(self._least, math.prod(terms) if terms is not None else 0)
        if terms is not None and self._missed < self._needed:
            return
        self._left -= 1
        self._least *= 2
        table = _fitted(self._pairs, low, high, terms, self._tangent, self._dtype) if terms is not None else None
        if table is not None:
            self._table, self._missed, self._needed = table, 0, max(self._least, self._needed)
        elif high[1] > _LEAST:
            self._widest = max(_LEAST, _NARROWER * high[1])
        else:
            self._left = 0


def probed_share(entries: int) -> float:
    """The share of a matrix's pairs that is asked for first; 1 where one thread works off all."""
    return 1.0 if entries < THREADED else min(_PROBED, _MOST_PROBED / entries)


def _places(one: DoubleArray, other: DoubleArray, theta: DoubleArray) -> Places:
    """m, r, x of pairs; r is infinite where a row is 0."""
    large, small = np.maximum(one, other), np.minimum(one, other)
    with np.errstate(all="ignore"):
        apart = np.log1p((large - small) / small)
        places = np.array([0.5 * (np.log(large) + np.log(small)), np.hypot(apart, theta), np.ones_like(theta)])
    places[1, ~(small > 0.0)] = np.inf
    np.divide(theta, places[1], out=places[2], where=(places[1] > 0.0) & np.isfinite(places[1]))
    return places


def _box(places: Places, before: NearTable | None, widest: float) -> tuple[DoubleArray, DoubleArray]:
    """A box that is wider than these pairs', but for r <= `widest`, and holds that of the former table."""
    low, high = places.min(axis=1), places.max(axis=1)
    if before is not None:
        low, high = np.minimum(low, before.low), np.maximum(high, before.high)
    room = _WIDER * (high - low) + 1e-3
    low, high = low - room, high + room
    high[1], high[2] = min(max(high[1], _LEAST), widest), min(high[2], 1.0)
    low[1], low[2] = 0.0, max(low[2], 0.0)
    return low, high


def _holds(pairs: ClosedPairs, low: DoubleArray, high: DoubleArray) -> bool:
    """Whether the closed form holds at all norms that the samples have."""
    least, most = math.exp(2.0 * low[0] - high[1]), math.exp(2.0 * high[0] + high[1])
    duals = [pairs.dual, *([] if pairs.dual_dot is None else [pairs.dual_dot])]
    return all(dual.variances[0] <= least and most <= dual.variances[1] for dual in duals)


def _sampled(pairs: ClosedPairs, places: Places, tangent: bool) -> DoubleArray:
    """The functions at places, pair by pair, (f, k)."""
    middle, r, x = places
    wanted, theta = r * np.sqrt((1.0 - x) * (1.0 + x)), r * x
    one, other = np.exp(middle + 0.5 * wanted), np.exp(middle - 0.5 * wanted)
    apart = np.log1p((one - other) / other)
    with np.errstate(all="ignore"):
        # norms are rounded: at another r with this x nothing is felt of it
        change = apart / wanted
        theta = np.where(np.abs(change - 1.0) < _ROUNDED, theta * change, theta)
        gap = gaps(pairs, one, other, theta, pairs.tau(one, other, theta), apart) / (apart**2 + theta**2)
        if not tangent:
            return np.asarray(gap[None])
        return np.array([gap, pairs.slopes(one, other, theta, pairs.sizes(one) * pairs.sizes(other))])


def _terms(
    pairs: ClosedPairs, low: DoubleArray, high: DoubleArray, tangent: bool, dtype: np.dtype[Any]
) -> tuple[int, int, int] | None:
    """How many terms each variable needs, from samples along the edges of the box; None for too many."""
    counts = []
    # at r = 0 nothing depends on x
    ends = np.array([[low[0], high[0]], [0.5 * high[1], high[1]], [low[2], high[2]]])
    for axis, count in enumerate(_PILOT):
        first, second = (other for other in range(3) if other != axis)
        edges = np.empty((3, count, 4))
        edges[axis] = nodes(_START * high[1] if axis == 1 else low[axis], high[axis], count)[:, None]
        edges[first], edges[second] = np.repeat(ends[first], 2), np.tile(ends[second], 2)
        values = _sampled(pairs, edges.reshape(3, -1), tangent).reshape(-1, count, 4)
        sizes = np.abs(np.einsum("kn,fne->fke", transform(count), values)).max(axis=2)
        if not bool(np.isfinite(sizes).all()):
            return None
        # one sample that is off is in all terms, the more the fewer there are
        dropped = (np.array(_DROPPED[dtype]) / [high[1], 1.0])[: len(sizes)] * (max(_PILOT) / count)
        large = sizes > (dropped * np.abs(values).max(axis=(1, 2)))[:, None]
        counts.append(1 + int(np.flatnonzero(large.any(axis=0))[-1]))
        if counts[-1] > count - _SPARE:
            return None
    # what the edges do not show
    return counts[0] + 1, counts[1] + 1, counts[2] + 2


def _fitted(
    pairs: ClosedPairs,
    low: DoubleArray,
    high: DoubleArray,
    terms: tuple[int, int, int],
    tangent: bool,
    dtype: np.dtype[Any],
) -> NearTable | None:
    """The table with so many terms, None where it does not agree with single pairs."""
    axes = [nodes(low[axis], high[axis], count) for axis, count in enumerate(terms)]
    grid = np.array(np.meshgrid(*axes, indexing="ij")).reshape(3, -1)
    cube = _sampled(pairs, grid, tangent).reshape(-1, *terms)
    core = np.einsum("fabc,ia,jb,kc->fkij", cube, *(transform(count) for count in terms), optimize=True)
    table = NearTable(low, high, terms, np.ascontiguousarray(core.reshape(-1, terms[0] * terms[1])))
    steps = np.arange(1, _CHECKED + 1)
    # fractions of multiples of irrational numbers fill the box evenly, half of them in log r
    shares = np.array([(steps * math.sqrt(factor)) % 1.0 for factor in (2.0, 3.0, 5.0)])
    shares[1, ::2] = _NEXT ** shares[1, ::2]
    places = low[:, None] + (high - low)[:, None] * shares
    truth = _sampled(pairs, places, tangent)
    missed = np.abs(table(places) - truth) / np.abs(truth).max(axis=1)[:, None]
    missed[0] *= places[1]
    # not finite is not within what is allowed
    return table if bool((missed.max(axis=1) <= np.array(_ALLOWED[dtype])[: len(missed)]).all()) else None
