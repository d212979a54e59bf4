# Part of the runtime that kernelc copies, unchanged, into every module it generates.
"""What a layer's T and Tdot are taken from: the compiled tables, or the closed form at any variances.

Part of every generated package, copied verbatim; it needs NumPy alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from ._bundles import bundle
from ._dual import VARIANCE_SLACK_ULPS
from ._evaluation import KernelTables, PowerTable, Scratch, ShortTable, Table, ThetaTable, evaluate, trimmed
from ._inputs import DoubleArray
from ._interpolation import ThetaFit, as_table, drop_of_values, drop_table, fit_theta, nodes, of_rows, transform
from ._lowrank import mixed_road
from ._normroads import norm_road
from ._norms import evaluate_pairs
from ._normseries import NormTables, moments
from ._pairs import ClosedPairs
from ._roads import Central, Road, TableRoad

#: Tables with more terms than this get shorter polynomials about most angles, for large matrices.
_LONG = 16
#: Entries from which those are worth making.
_MANY_ENTRIES = 2**18
#: The least angle they serve (a drop needs its relative error below), their samples at least, how many of their last
#: coefficients must be roundings, and their least width.
_CENTRAL_LOW, _CENTRAL_NODES, _SPARE, _NARROW = 0.1, 40, 4, 0.05
#: They must be this much shorter.
_SHORTER = 0.75
#: What the last coefficients of a fit may be, relative to its value at theta = 0.
_FIT = {np.dtype(np.float64): 2e-15, np.dtype(np.float32): 2e-9}
#: See `Source`: of a layer by tables, or by a closed form that is made a table first.
_PAIRS_A_SAMPLE = 64


@dataclass(frozen=True, slots=True)
class Side:
    """One set of rows before a layer: s (n,), and R / sqrt(unit) (n,)."""

    scales: DoubleArray
    powers: DoubleArray


@dataclass(frozen=True, slots=True)
class LayerRows:
    """One set of rows at one hidden layer, all (n,): s before it, R / sqrt(unit), the slope of a row with
    itself times unit, and phi after it."""

    scales: DoubleArray
    powers: DoubleArray
    slopes: DoubleArray
    angles: DoubleArray


class Source(Protocol):
    """T and Tdot of one activation; `unit` is what T is measured in, see `Road`."""

    @property
    def unit(self) -> float:
        """T of a row with itself is unit times its power squared."""

    @property
    def exact(self) -> bool:
        """Whether the compiled tables are used as they are, which may be read at rho."""

    def powers(self, scales: DoubleArray) -> DoubleArray:
        """R(s) / sqrt(unit) of rows, (n,)."""

    def slopes(self, scales: DoubleArray, powers: DoubleArray) -> DoubleArray:
        """unit E[sigma'(sZ)^2] s^2 / R^2 of rows, (n,), which have these `powers`."""

    @property
    def noise(self) -> float:
        """How far `pair_values` may be off, beyond a rounding or two."""

    @property
    def pairs_a_sample(self) -> int:
        """How many pairs of a tile cost as much as one of `pair_values`: a fit is not to cost more than it saves."""

    def sample(self, left: DoubleArray, right: DoubleArray, theta: DoubleArray) -> DoubleArray:
        """T / (R R') of all pairs, (n1, n2)."""

    def pair_values(
        self, left: LayerRows, right: LayerRows, theta: DoubleArray, tangent: bool
    ) -> tuple[DoubleArray, DoubleArray]:
        """T / (R R') and, for the NTK, Tdot s s' / (R R') of pairs, (k,) each; theta away from 0 and pi."""

    def road(self, left: Side, right: Side, bulk: tuple[float, float], tangent: bool, dtype: np.dtype[Any]) -> Road:
        """The evaluation of one layer; `left` is `right` for rows with themselves."""


@dataclass(frozen=True, slots=True)
class CompiledSource:
    """The compiled tables: a homogeneous sigma, or rows whose every variance is the compiled one.

    `central`: most pairs are read off shorter polynomials in theta, made at call time.
    """

    tables: KernelTables
    central: bool

    @property
    def unit(self) -> float:
        """kappa(1)."""
        return self.tables.kappa.at_one

    @property
    def exact(self) -> bool:
        """Whether the tables are used as they are, so that nothing but they needs theta."""
        return not self.central

    def powers(self, scales: DoubleArray) -> DoubleArray:
        """(s / sqrt(q))^p."""
        degree = self.tables.homogeneous_degree
        powers: DoubleArray = (scales / math.sqrt(self.tables.variance)) ** (0.0 if degree is None else degree)
        return powers

    def slopes(self, scales: DoubleArray, powers: DoubleArray) -> DoubleArray:
        """q kappa_dot(1) for every row."""
        dual = self.tables.kappa_dot
        return np.full(scales.shape, 0.0 if dual is None else self.tables.variance * dual.at_one)

    def sample(self, left: DoubleArray, right: DoubleArray, theta: DoubleArray) -> DoubleArray:
        """kappa / kappa(1)."""
        flat = np.ascontiguousarray(theta).reshape(-1)
        out = np.empty_like(flat)
        evaluate(self.tables.kappa.direct, np.cos(flat), flat, out, Scratch(flat.size, flat.dtype))
        return (out / self.unit).reshape(theta.shape)

    @property
    def noise(self) -> float:
        """None but the tables' own."""
        return 0.0

    @property
    def pairs_a_sample(self) -> int:
        """See `Source`."""
        return _PAIRS_A_SAMPLE

    def pair_values(
        self, left: LayerRows, right: LayerRows, theta: DoubleArray, tangent: bool
    ) -> tuple[DoubleArray, DoubleArray]:
        """Both tables, whatever the norms."""
        rho, scratch = np.cos(theta), Scratch(theta.size, theta.dtype)
        value, slope = np.empty_like(theta), np.zeros_like(theta)
        evaluate(self.tables.kappa.direct, rho, theta, value, scratch)
        if tangent and self.tables.kappa_dot is not None:
            evaluate(self.tables.kappa_dot.direct, rho, theta, slope, scratch)
        return value / self.unit, slope * (self.tables.variance / self.unit)

    def road(self, left: Side, right: Side, bulk: tuple[float, float], tangent: bool, dtype: np.dtype[Any]) -> Road:
        """Both tables together; long ones as panels, one of which is `bulk`."""
        dual = self.tables.kappa_dot if tangent else None
        slope = () if dual is None else (trimmed(dual.direct, dtype),)
        direct, drop = trimmed(self.tables.kappa.direct, dtype), trimmed(self.tables.drop, dtype)
        together = isinstance(drop, ThetaTable)
        road = TableRoad(
            unit=self.unit,
            gain=self.tables.variance,
            ends=bundle((direct, *slope), dtype),
            drops=bundle((drop, *slope) if together else (drop,), dtype),
            slope=bundle(slope, dtype) if slope and not together else None,
        )
        return _with_central(road, bulk, dtype) if self.central else road


@dataclass(frozen=True, slots=True)
class ClosedSource:
    """The closed form: any norms. `noise`, `pairs_a_sample`: see `Source`."""

    pairs: ClosedPairs
    noise: float = 0.0
    pairs_a_sample: int = _PAIRS_A_SAMPLE

    @property
    def unit(self) -> float:
        """Everything is relative to the rows' own moments."""
        return 1.0

    @property
    def exact(self) -> bool:
        """Tables are made at call time, all of them in theta."""
        return False

    def powers(self, scales: DoubleArray) -> DoubleArray:
        """R(s)."""
        return of_rows(self.pairs.sizes, scales)

    def slopes(self, scales: DoubleArray, powers: DoubleArray) -> DoubleArray:
        """E[sigma'^2] s^2 / R^2; 0 for a row that is 0."""
        slopes = of_rows(self.pairs.slope_sizes, scales) * scales**2
        return np.divide(slopes, powers**2, out=np.zeros_like(slopes), where=powers > 0.0)

    def sample(self, left: DoubleArray, right: DoubleArray, theta: DoubleArray) -> DoubleArray:
        """tau."""
        one, other, angle = (a.reshape(-1) for a in np.broadcast_arrays(left[:, None], right, theta))
        return self.pairs.tau(one, other, angle).reshape(theta.shape)

    def pair_values(
        self, left: LayerRows, right: LayerRows, theta: DoubleArray, tangent: bool
    ) -> tuple[DoubleArray, DoubleArray]:
        """The closed form itself."""
        one, other, scale = left.scales, right.scales, left.powers * right.powers
        value = self.pairs.raw(self.pairs.dual, one, other, theta) / scale
        if not tangent or self.pairs.dual_dot is None:
            return value, np.zeros_like(value)
        return value, self.pairs.raw(self.pairs.dual_dot, one, other, theta) * (one * other / scale)

    def road(self, left: Side, right: Side, bulk: tuple[float, float], tangent: bool, dtype: np.dtype[Any]) -> Road:
        """Tables of theta for rows of one norm, of theta and two norms for others."""
        common = common_scale(left.scales, right.scales, dtype)
        one = left.scales, left.powers
        other = one if left is right else (right.scales, right.powers)
        if common is None or common <= 0.0:
            return mixed_road(self.pairs, one, other, bulk, tangent, dtype)
        scale = np.array([common])
        powers = self.powers(scale)
        size = float(powers[0]) ** 2
        roads = [self.pairs.dual, *([] if self.pairs.dual_dot is None else [self.pairs.dual_dot])]
        ends = np.array([1.0, 1.0 if len(roads) == 1 else float(self.slopes(scale, powers)[0])])

        def sample(theta: DoubleArray) -> DoubleArray:
            rows = np.full(theta.shape, common)
            values = [self.pairs.raw(which, rows, rows, theta) / size for which in roads]
            if len(values) == 2:
                values[1] *= common * common
            else:
                values.append(np.zeros_like(theta))
            return np.array(values)

        fit = fit_theta(sample, (_FIT[dtype] + self.noise) * ends, bulk)
        if not fit.serves:
            return mixed_road(self.pairs, one, other, bulk, tangent, dtype)
        return _finished(fit, bulk, tangent and len(roads) == 2, len(roads) == 2, _entries(left, right), dtype)


@dataclass(frozen=True, slots=True)
class NormSource:
    """The tables for a range of norms; the compiled ones where all rows are at the compiled variance."""

    tables: KernelTables
    norms: NormTables

    @property
    def unit(self) -> float:
        """Everything is relative to the rows' own moments."""
        return 1.0

    @property
    def exact(self) -> bool:
        """Tables are read at theta."""
        return False

    def powers(self, scales: DoubleArray) -> DoubleArray:
        """R(s)."""
        return np.sqrt(moments(self.norms, scales)[0])

    def slopes(self, scales: DoubleArray, powers: DoubleArray) -> DoubleArray:
        """E[sigma'^2] s^2 / R^2."""
        squares, slopes = moments(self.norms, scales)
        assert slopes is not None
        return np.divide(slopes * scales**2, squares, out=np.zeros_like(slopes), where=squares > 0.0)

    def sample(self, left: DoubleArray, right: DoubleArray, theta: DoubleArray) -> DoubleArray:
        """tau."""
        one, other, angle = (np.ravel(a) for a in np.broadcast_arrays(left[:, None], right, theta))
        scale = np.multiply.outer(self.powers(left), self.powers(right))
        values = evaluate_pairs(self.norms, "dual", one, other, angle).reshape(theta.shape)
        return np.divide(values, scale, out=np.zeros_like(values), where=scale > 0.0)

    @property
    def noise(self) -> float:
        """The last digits of tables that reach over a range of norms."""
        return 1e-13

    @property
    def pairs_a_sample(self) -> int:
        """See `Source`."""
        return _PAIRS_A_SAMPLE

    def pair_values(
        self, left: LayerRows, right: LayerRows, theta: DoubleArray, tangent: bool
    ) -> tuple[DoubleArray, DoubleArray]:
        """The tables."""
        one, other, scale = left.scales, right.scales, left.powers * right.powers
        value = evaluate_pairs(self.norms, "dual", one, other, theta) / scale
        if not tangent:
            return value, np.zeros_like(value)
        return value, evaluate_pairs(self.norms, "dual_dot", one, other, theta) * (one * other / scale)

    def road(self, left: Side, right: Side, bulk: tuple[float, float], tangent: bool, dtype: np.dtype[Any]) -> Road:
        """Tables of theta for rows of one norm, of theta and two norms for others."""
        common = common_scale(left.scales, right.scales, dtype)
        one = left.scales, left.powers
        other = one if left is right else (right.scales, right.powers)
        if common is None or common <= 0.0:
            return norm_road(self.norms, not self.tables.breakpoints, one, other, tangent, dtype)
        compiled = math.sqrt(self.tables.variance)
        if abs(common - compiled) <= VARIANCE_SLACK_ULPS * float(np.finfo(dtype).eps) * compiled:
            return self._compiled_road(bulk, tangent, _entries(left, right), dtype)
        scale = np.array([common])
        powers = self.powers(scale)
        size = float(powers[0]) ** 2
        dotted = self.norms.dual_dot is not None
        ends = np.array([1.0, float(self.slopes(scale, powers)[0]) if dotted else 1.0])

        def sample(theta: DoubleArray) -> DoubleArray:
            rows = np.full(theta.shape, common)
            values = np.zeros((2, theta.size))
            values[0] = evaluate_pairs(self.norms, "dual", rows, rows, theta) / size
            if dotted:
                values[1] = evaluate_pairs(self.norms, "dual_dot", rows, rows, theta) * (common * common / size)
            return values

        # the tables have more noise than the closed forms
        fit = fit_theta(sample, 100.0 * _FIT[dtype] * ends, bulk)
        if not fit.serves:
            return norm_road(self.norms, not self.tables.breakpoints, one, other, tangent, dtype)
        return _finished(fit, bulk, tangent, dotted, _entries(left, right), dtype)

    def _compiled_road(self, bulk: tuple[float, float], tangent: bool, entries: int, dtype: np.dtype[Any]) -> Road:
        """The compiled tables, relative to kappa(1)."""
        kappa, dual = self.tables.kappa, self.tables.kappa_dot
        direct = (kappa.direct, *(() if dual is None else (dual.direct,)))
        factors = (1.0 / kappa.at_one, self.tables.variance / kappa.at_one)

        def sample(theta: DoubleArray) -> DoubleArray:
            scratch, values = Scratch(theta.size, np.dtype(np.float64)), np.zeros((2, theta.size))
            for table, factor, out in zip(direct, factors, values, strict=False):
                evaluate(table, np.cos(theta), theta, out, scratch)
                out *= factor
            return values

        ends = np.array([1.0, 1.0 if dual is None else dual.at_one * factors[1]])
        fit = fit_theta(sample, _FIT[dtype] * ends, bulk)
        return _finished(fit, bulk, tangent, dual is not None, entries, dtype)


def wants_central(tables: KernelTables, tangent: bool, entries: int) -> bool:
    """Whether the compiled tables are long, all of theta or all of rho, and the matrix large."""
    used = [tables.kappa.direct]
    if tangent and tables.kappa_dot is not None:
        used.append(tables.kappa_dot.direct)
    kinds = {isinstance(table, ThetaTable) for table in used}
    return entries >= _MANY_ENTRIES and len(kinds) == 1 and max(map(_length, used)) > _LONG


def _length(table: Table) -> int:
    if isinstance(table, ShortTable):
        return len(table.head) + len(table.rest)
    return len(table.coefficients) if isinstance(table, PowerTable) else max(map(len, table.rows))


def _with_central(road: TableRoad, bulk: tuple[float, float], dtype: np.dtype[Any]) -> TableRoad:
    """`road` with short polynomials on the angles of `bulk`, where they are shorter than its tables."""
    low, high = max(bulk[0], _CENTRAL_LOW), bulk[1]
    if high - low < _NARROW:
        return road
    # as many as a shorter polynomial may have terms, and some to tell whether it has converged
    longest = max(map(_length, road.ends.tables))
    theta = nodes(low, high, max(_CENTRAL_NODES, int(_SHORTER * longest) + _SPARE))
    rho, scratch = np.cos(theta), Scratch(theta.size, theta.dtype)

    def fitted(table: Table, change: float = 0.0) -> ThetaTable:
        values = np.empty_like(theta)
        evaluate(table, rho, theta, values, scratch)
        if change:
            values = change - values
        return as_table((low, high), [transform(theta.size) @ values], dtype, rooted=False)

    value, *slope = (fitted(table) for table in road.ends.tables)
    first = road.drops.tables[0]
    drop = fitted(first) if isinstance(first, ThetaTable) else fitted(road.ends.tables[0], road.unit)
    needed = max(map(_length, (value, drop, *slope)))
    if needed > min(_SHORTER * longest, theta.size - _SPARE):
        return road
    return replace(road, central=Central(low, high, bundle((value, *slope), dtype), bundle((drop, *slope), dtype)))


def _entries(left: Side, right: Side) -> int:
    return left.scales.size * right.scales.size


def _finished(
    fit: ThetaFit, bulk: tuple[float, float], tangent: bool, dotted: bool, entries: int, dtype: np.dtype[Any]
) -> TableRoad:
    """The road of a fit of (tau, slope); `dotted` where it has the slope, whose integral is then the drop."""
    if not dotted:
        road = _value_road(fit, dtype)
    else:
        value, drop = fit.table(0, dtype), drop_table(fit, 1.0, dtype)
        slope = (fit.table(1, dtype),) if tangent else ()
        road = TableRoad(1.0, 1.0, bundle((value, *slope), dtype), bundle((drop, *slope), dtype), None)
    return _with_central(road, bulk, dtype) if entries >= _MANY_ENTRIES else road


def _value_road(fit: ThetaFit, dtype: np.dtype[Any]) -> TableRoad:
    """Tables of a fit whose slope is not known, of rows with tau(0) = 1."""
    drop, direct = drop_of_values(fit, 1.0, dtype), fit.table(0, dtype)
    return TableRoad(1.0, 1.0, bundle((direct,), dtype), bundle((drop,), dtype), None)


def common_scale(left: DoubleArray, right: DoubleArray, dtype: np.dtype[Any]) -> float | None:
    """The one scale of all rows up to the rounding of rows normalised in `dtype`, None where they differ."""
    low, high = min(float(left.min()), float(right.min())), max(float(left.max()), float(right.max()))
    if high - low <= VARIANCE_SLACK_ULPS * float(np.finfo(dtype).eps) * high:
        return 0.5 * (low + high)
    return None
