# Part of the runtime that kernelc copies, unchanged, into every module it generates.
"""Rows of different norms by a closed form: most pairs by a table of low rank made at call time.

On a panel of angles tau(s, s', theta) = sum_k T_k(theta) sum_ab F_kab U_a(s) U_b(s'), with few functions U of
log s common to all k: a small matrix product gives a tile's coefficients, and a polynomial in theta follows.
Pairs outside the panels, and nearly parallel ones, go to the closed form one by one.

Part of every generated package, copied verbatim; it needs NumPy alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ._evaluation import Scratch
from ._gaps import gaps
from ._inputs import DoubleArray, FloatArray, Indices
from ._interpolation import basis, kept, monomial_is_safe, nodes, to_monomial, transform
from ._neartable import NearTables, probed_share
from ._pairs import ClosedPairs
from ._roads import Job, Pairs

#: Samples of a pilot run in each variable; more terms than the limits and a panel is split, or given up.
_PILOT, _MOST_NORMS, _MOST_ANGLES = 56, 44, 40
#: What dropped terms may add up to, and what the finished panel may differ by from the closed form.
_DROPPED = {np.dtype(np.float64): 1e-15, np.dtype(np.float32): 1e-8}
_ALLOWED = {np.dtype(np.float64): 3e-13, np.dtype(np.float32): 2e-7}
#: Panels at most, and the narrowest.
_PANELS, _NARROW = 6, 0.15
#: Fewer entries than this go to the closed form at once; a tile's share from which a panel is worth running.
_FEW_ENTRIES, _SHARE = 2**16, 1.0 / 64
#: Pairs of the matrix for which one sample of the closed form may be spent on panels.
_PAIRS_A_SAMPLE = 8
#: Columns of a tile in work at a time.
_COLUMNS = 128
#: Single pairs in work at a time.
_SINGLE = 2**13
#: Gaps below this are taken from the closed form, where a kinked sigma needs their relative error.
_SMALL_GAP = 1e-3


@dataclass(frozen=True, slots=True)
class Panel:
    """tau (0) and slope (1) for theta in [low, high], |log s| in the range that was fitted.

    `left`, `right` (r, n): the rows' U, zero for rows outside the range; `cores[i]` (k, r, r): F.
    """

    low: float
    high: float
    left: FloatArray
    right: FloatArray
    cores: tuple[FloatArray, ...]
    horner: tuple[bool, ...]


@dataclass(frozen=True, slots=True)
class MixedRoad:
    """One layer of rows of different norms.

    `left`, `right` (n,): s; `left_size`, `right_size`: R; `left_in`, `right_in`: rows whose norm the panels serve.
    `symmetric`: both are the same rows, and the diagonal is not asked for. `near`: tables for nearly parallel rows.
    """

    pairs: ClosedPairs
    left: DoubleArray
    right: DoubleArray
    left_size: DoubleArray
    right_size: DoubleArray
    left_in: npt.NDArray[np.bool_]
    right_in: npt.NDArray[np.bool_]
    symmetric: bool
    panels: tuple[Panel, ...]
    near: NearTables | None
    unit: float = 1.0
    gain: float = 1.0

    @property
    def folded(self) -> bool:
        """Everything is read at theta."""
        return True

    @property
    def unsettled(self) -> bool:
        """Whether tables for nearly parallel rows may yet be made, of the pairs that are read first."""
        return self.near is not None and self.near.share < 1.0

    def settle(self) -> None:
        """Let no more be made."""
        if self.near is not None:
            self.near.settle()

    def read(self, pairs: Pairs, job: Job, value: FloatArray, slope: FloatArray | None, scratch: Scratch) -> None:
        """value, and slope where it is wanted."""
        rest = self._bulk(pairs.theta, job, value, slope, scratch)
        self._single(pairs.theta, job, rest, value, slope, drop=False)

    def read_drop(self, pairs: Pairs, job: Job, drop: FloatArray, slope: FloatArray | None, scratch: Scratch) -> None:
        """1 - value with a small relative error where sigma is kinked, and slope."""
        rest = self._bulk(pairs.theta, job, drop, slope, scratch)
        np.subtract(1.0, drop, out=drop)
        if not self.pairs.smooth:
            rest |= drop < _SMALL_GAP
        self._single(pairs.theta, job, rest, drop, slope, drop=True)

    def _bulk(
        self, theta: FloatArray, job: Job, value: FloatArray, slope: FloatArray | None, scratch: Scratch
    ) -> npt.NDArray[np.bool_]:
        """Run the panels that serve enough of the tile; returns the pairs that are left."""
        left = np.ones(theta.shape, dtype=np.bool_)
        targets = (value,) if slope is None else (value, slope)
        first = True
        for panel in self.panels:
            inside = (theta >= panel.low) & (theta <= panel.high) & left
            if np.count_nonzero(inside) < _SHARE * theta.size:
                continue
            outs = targets if first else tuple(scratch.get(f"panel{i}", theta.shape) for i in range(len(targets)))
            for core, horner, out in zip(panel.cores, panel.horner, outs, strict=False):
                _run(panel, core, horner, theta, job, out, scratch)
            if not first:
                for target, out in zip(targets, outs, strict=True):
                    np.copyto(target, out, where=inside)
            left &= ~inside
            first = False
        rows, columns = job[1] - job[0], job[3] - job[2]
        outside_rows, outside = ~self.left_in[job[0] : job[1]], ~self.right_in[job[2] : job[3]]
        left[:rows, :columns] |= outside_rows[:, None] | outside
        return left

    def _single(
        self,
        theta: FloatArray,
        job: Job,
        rest: npt.NDArray[np.bool_],
        value: FloatArray,
        slope: FloatArray | None,
        drop: bool,
    ) -> None:
        """The pairs of `rest` one by one."""
        rows, columns = job[1] - job[0], job[3] - job[2]
        rest[rows:] = False
        rest[:, columns:] = False
        if self.symmetric and job[0] == job[2]:
            np.fill_diagonal(rest[:rows, :rows], False)
            for tile, end in ((value, 0.0 if drop else 1.0), (slope, 1.0)):
                if tile is not None:
                    np.fill_diagonal(tile[:rows, :rows], end)
        found = np.nonzero(rest)
        for start in range(0, found[0].size, _SINGLE):
            row, column = (places[start : start + _SINGLE] for places in found)
            tau, slopes = self._pair_values(row + job[0], column + job[2], theta[row, column], drop, slope is not None)
            value[row, column] = tau
            if slope is not None:
                slope[row, column] = slopes

    def _pair_values(
        self, row: Indices, column: Indices, theta: FloatArray, drop: bool, tangent: bool
    ) -> tuple[DoubleArray, DoubleArray]:
        """tau, or 1 - tau for `drop`, and slope (0 where it is not wanted) of pairs of rows, (k,) each."""
        angle = theta.astype(np.float64)
        one, other, scale = self.left[row], self.right[column], self.left_size[row] * self.right_size[column]
        result = np.zeros((2, angle.size))
        alone = np.ones(angle.shape, dtype=np.bool_)
        if self.near is not None:
            served, found = self.near.values(one, other, angle)
            result[:, served] = found if drop else np.array([1.0 - found[0], found[1]])
            alone = ~served
        one, other, angle, scale = one[alone], other[alone], angle[alone], scale[alone]
        tau = self.pairs.tau(one, other, angle)
        tau[(angle == 0.0) & (one == other)] = 1.0
        result[0, alone] = gaps(self.pairs, one, other, angle, tau) if drop else tau
        if tangent:
            result[1, alone] = self.pairs.slopes(one, other, angle, scale)
        return result[0], result[1]


def _run(
    panel: Panel, core: FloatArray, horner: bool, theta: FloatArray, job: Job, out: FloatArray, scratch: Scratch
) -> None:
    """One function of a panel on the whole tile."""
    rows, columns = theta.shape
    coefficients = np.matmul(panel.left[:, job[0] : job[0] + rows].T, core)
    scale, shift = 2.0 / (panel.high - panel.low), (panel.low + panel.high) / (panel.high - panel.low)
    for start in range(0, columns, _COLUMNS):
        part = slice(start, min(start + _COLUMNS, columns))
        shape = (rows, part.stop - start)
        right = panel.right[:, job[2] + start : job[2] + part.stop]
        z, total, term = (scratch.get(name, shape) for name in ("mixed0", "mixed1", "mixed2"))
        np.multiply(theta[:, part], scale, out=z)
        np.subtract(z, shift, out=z)
        if horner:
            _horner(coefficients, right, z, total, term)
        else:
            _clenshaw(coefficients, right, z, total, term, scratch.get("mixed3", shape))
        out[:, part] = total


def _horner(coefficients: FloatArray, right: FloatArray, z: FloatArray, total: FloatArray, term: FloatArray) -> None:
    """total = sum_k (coefficients[k] @ right) z^k."""
    np.matmul(coefficients[-1], right, out=total)
    for matrix in coefficients[-2::-1]:
        np.multiply(total, z, out=total)
        np.matmul(matrix, right, out=term)
        np.add(total, term, out=total)


def _clenshaw(
    coefficients: FloatArray, right: FloatArray, z: FloatArray, total: FloatArray, term: FloatArray, older: FloatArray
) -> None:
    """total = sum_k (coefficients[k] @ right) T_k(z)."""
    np.add(z, z, out=z)
    newer = total
    older.fill(0.0)
    np.matmul(coefficients[-1], right, out=newer)
    for matrix in coefficients[-2:0:-1]:
        # b_k = c_k + 2 z b_{k+1} - b_{k+2}
        np.matmul(matrix, right, out=term)
        np.subtract(term, older, out=older)
        np.multiply(z, newer, out=term)
        np.add(older, term, out=older)
        older, newer = newer, older
    np.matmul(coefficients[0], right, out=term)
    np.subtract(term, older, out=older)
    np.multiply(z, newer, out=term)
    np.multiply(term, 0.5, out=term)
    np.add(older, term, out=total)


def mixed_road(
    pairs: ClosedPairs,
    left: tuple[DoubleArray, DoubleArray],
    right: tuple[DoubleArray, DoubleArray],
    bulk: tuple[float, float],
    tangent: bool,
    dtype: np.dtype[Any],
) -> MixedRoad:
    """The road for rows of scales and sizes `left` and `right`, most of whose angles lie in `bulk`."""
    symmetric = left is right
    panels: tuple[Panel, ...] = ()
    inside = [np.zeros(len(side[0]), dtype=np.bool_) for side in (left, right)]
    if left[0].size * right[0].size >= _FEW_ENTRIES:
        scales = np.concatenate([left[0], right[0]])
        for low, high in _ranges(scales[scales > 0.0]):
            fits = _fits(pairs, (low, high), bulk, tangent, dtype, left[0].size * right[0].size // _PAIRS_A_SAMPLE)
            if fits:
                panels = tuple(fit.bind(left[0], right[0], symmetric, dtype) for fit in fits)
                inside = [(side[0] >= low) & (side[0] <= high) for side in (left, right)]
                break
    rough = not pairs.smooth and not pairs.jumps
    near = NearTables(pairs, tangent, dtype, probed_share(left[0].size * right[0].size)) if rough else None
    return MixedRoad(pairs, left[0], right[0], left[1], right[1], inside[0], inside[1], symmetric, panels, near)


def _ranges(scales: DoubleArray) -> list[tuple[float, float]]:
    """Ranges of s to be tried: all of them, then what leaves out the farthest rows."""
    if not scales.size:
        return []
    middle = float(np.median(scales))
    ranges = [(float(scales.min()), float(scales.max()))]
    for width in (16.0, 4.0, 2.0):
        low, high = max(ranges[0][0], middle / width), min(ranges[0][1], middle * width)
        if (low, high) != ranges[-1]:
            ranges.append((low, high))
    return ranges


@dataclass(frozen=True, slots=True)
class _Fit:
    """A panel before it is bound to rows: U as combinations of Chebyshev polynomials in log s, (m, r)."""

    low: float
    high: float
    range: tuple[float, float]
    combine: DoubleArray
    cores: tuple[DoubleArray, ...]

    def rows(self, scales: DoubleArray) -> DoubleArray:
        """U of rows, (r, n)."""
        low, high = np.log(self.range[0]), np.log(self.range[1])
        logs = np.log(np.clip(scales, *self.range))
        values: DoubleArray = (basis(low, high, logs, len(self.combine)) @ self.combine).T
        return values

    def bind(self, left: DoubleArray, right: DoubleArray, symmetric: bool, dtype: np.dtype[Any]) -> Panel:
        """The panel for these rows, padded as the tiles are."""
        one = _padded(self.rows(left), dtype)
        other = one if symmetric else _padded(self.rows(right), dtype)
        cores, horner = [], []
        for core in self.cores:
            sizes = np.abs(core).sum(axis=(1, 2))
            safe = monomial_is_safe(sizes)
            if safe:
                core = to_monomial(core)
            cores.append(core.astype(dtype))
            horner.append(safe)
        return Panel(self.low, self.high, one, other, tuple(cores), tuple(horner))


def _padded(rows: DoubleArray, dtype: np.dtype[Any]) -> FloatArray:
    """(r, n) with zero columns up to a whole number of the tiles' small products."""
    count = -(-rows.shape[1] // 32) * 32
    result = np.zeros((len(rows), count), dtype=dtype)
    result[:, : rows.shape[1]] = rows
    return result


def _fits(
    pairs: ClosedPairs,
    norms: tuple[float, float],
    bulk: tuple[float, float],
    tangent: bool,
    dtype: np.dtype[Any],
    budget: int,
) -> list[_Fit]:
    """Panels over `bulk` for s in `norms`; where one does not converge its halves, or nothing.

    `budget`: samples of the closed form that the panels may cost.
    """
    waiting, found = [bulk], []
    dropped = 10.0 * _DROPPED[dtype]
    while waiting and budget > 0:
        left, right = waiting.pop()
        m, k = _terms(pairs, norms, (left, right), tangent, dropped)
        budget -= _PILOT * _PILOT // 2
        fit = None
        if m <= _MOST_NORMS and k <= _MOST_ANGLES and budget >= m * m * k // 2:
            budget -= m * m * k // 2
            fit = _fit(pairs, norms, (left, right), (m + 2, k + 1), tangent, dtype)
        if fit is not None:
            found.append(fit)
        elif right - left > 2.0 * _NARROW and len(waiting) + len(found) < _PANELS:
            middle = 0.5 * (left + right)
            waiting += [(left, middle), (middle, right)]
    return found


def _values(
    pairs: ClosedPairs, one: DoubleArray, other: DoubleArray, theta: DoubleArray, tangent: bool
) -> list[DoubleArray]:
    """tau, and slope for the NTK, at broadcast arguments."""
    first, second, angle = (np.ascontiguousarray(a) for a in np.broadcast_arrays(one, other, theta))
    scale = pairs.sizes(one) * pairs.sizes(other)
    values = [pairs.raw(pairs.dual, first, second, angle) / scale]
    if tangent:
        assert pairs.dual_dot is not None
        values.append(pairs.raw(pairs.dual_dot, first, second, angle) * (first * second / scale))
    return values


def _terms(
    pairs: ClosedPairs, norms: tuple[float, float], angles: tuple[float, float], tangent: bool, dropped: float
) -> tuple[int, int]:
    """How many Chebyshev terms log s and theta need, from samples along a few lines."""
    s, theta = np.exp(nodes(np.log(norms[0]), np.log(norms[1]), _PILOT)), nodes(*angles, _PILOT)
    few_s = np.exp(np.linspace(np.log(norms[0]), np.log(norms[1]), 4))
    matrix, counts = transform(_PILOT), [1, 1]
    lines = (
        (s[:, None, None], few_s[:, None], np.linspace(*angles, 3)),
        (few_s[:, None], few_s, theta[:, None, None]),
    )
    for which, line in enumerate(lines):
        for values in _values(pairs, *line, tangent):
            sizes = np.abs(np.tensordot(matrix, values, 1)).reshape(_PILOT, -1).max(axis=1)
            counts[which] = max(counts[which], kept(sizes, 4.0 * dropped * max(1.0, float(sizes.max()))))
    return counts[0], counts[1]


def _fit(
    pairs: ClosedPairs,
    norms: tuple[float, float],
    angles: tuple[float, float],
    terms: tuple[int, int],
    tangent: bool,
    dtype: np.dtype[Any],
) -> _Fit | None:
    """One panel with `terms` in log s and in theta, None where it does not agree with the closed form."""
    dropped, (m, k) = _DROPPED[dtype], terms
    s, theta = np.exp(nodes(np.log(norms[0]), np.log(norms[1]), m)), nodes(*angles, k)
    row, column = np.triu_indices(m)
    tensors = []
    for values in _values(pairs, s[row, None], s[column, None], theta, tangent):
        tensor = np.empty((m, m, k))
        tensor[row, column] = values
        tensor[column, row] = values
        over_theta = tensor.reshape(-1, k) @ transform(k).T
        # over each of the two norms in turn; the second comes first by symmetry
        once = (transform(m) @ over_theta.reshape(m, m * k)).reshape(m, m, k).swapaxes(0, 1).reshape(m, m * k)
        tensors.append((transform(m) @ once).reshape(m, m, k).transpose(2, 0, 1))
    stacked = np.concatenate([tensor.transpose(1, 0, 2).reshape(m, -1) for tensor in tensors], axis=1)
    # as many fixed random combinations of the columns as there are rows span what all of them span
    mixture = np.random.default_rng(0).standard_normal((stacked.shape[1], m))
    # rows so small that sigma is 0 there have no tau
    if not bool(np.isfinite(stacked).all()):
        return None
    vectors, sizes, _ = np.linalg.svd(stacked @ mixture)
    combine = vectors[:, : kept(sizes, dropped * float(sizes[0]))]
    cores = []
    for tensor in tensors:
        core = combine.T @ tensor @ combine
        core = 0.5 * (core + core.swapaxes(1, 2))
        weights = np.abs(tensor).sum(axis=(1, 2))
        cores.append(core[: kept(weights, dropped * float(weights.max()))])
    fit = _Fit(*angles, norms, combine, tuple(cores))
    return fit if _agrees(pairs, fit, tangent, _ALLOWED[dtype]) else None


def _agrees(pairs: ClosedPairs, fit: _Fit, tangent: bool, allowed: float) -> bool:
    """Whether the panel is the closed form at points between its nodes."""
    steps = np.arange(1, 41)
    # fractions of multiples of irrational numbers fill the cube evenly
    shares = [(steps * factor) % 1.0 for factor in (np.sqrt(2.0), np.sqrt(3.0), np.sqrt(5.0))]
    one, other = (fit.range[0] * (fit.range[1] / fit.range[0]) ** share for share in shares[:2])
    theta = fit.low + (fit.high - fit.low) * shares[2]
    local = (2.0 * theta - fit.low - fit.high) / (fit.high - fit.low)
    left, right = fit.rows(one), fit.rows(other)
    for core, truth in zip(fit.cores, _values(pairs, one, other, theta, tangent), strict=True):
        coefficients = np.einsum("kab,an,bn->kn", core, left, right)
        found = np.array([np.polynomial.chebyshev.chebval(z, c) for z, c in zip(local, coefficients.T, strict=True)])
        if not float(np.abs(found - truth).max()) <= allowed * max(1.0, float(np.abs(truth).max())):
            return False
    return True
