# Part of the runtime that kernelc copies, unchanged, into every module it generates.
"""What a layer's T and Tdot are taken from: the compiled tables, or the closed form at any variances.

Part of every generated package, copied verbatim; it needs NumPy alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from ._bundles import bundle
from ._dual import VARIANCE_SLACK_ULPS
from ._evaluation import KernelTables, Scratch, ThetaTable, evaluate, evaluate_theta, trimmed
from ._inputs import DoubleArray
from ._interpolation import ThetaFit, drop_of_values, drop_table, fit_theta
from ._lowrank import mixed_road
from ._normroads import norm_road
from ._norms import NormTables, evaluate_pairs, moments
from ._pairs import ClosedPairs
from ._roads import Road, TableRoad

#: One polynomial with more terms than this is replaced by panels for large matrices.
_LONG = 40
#: Entries from which the panels of a long table are worth making.
_MANY_ENTRIES = 2**18
#: What the last coefficients of a fit may be, relative to its value at theta = 0.
_FIT = {np.dtype(np.float64): 2e-15, np.dtype(np.float32): 2e-9}


@dataclass(frozen=True, slots=True)
class Side:
    """One set of rows before a layer: s (n,), and R / sqrt(unit) (n,)."""

    scales: DoubleArray
    powers: DoubleArray


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

    def slopes(self, scales: DoubleArray) -> DoubleArray:
        """unit E[sigma'(sZ)^2] s^2 / R^2 of rows, (n,)."""

    def sample(self, left: DoubleArray, right: DoubleArray, theta: DoubleArray) -> DoubleArray:
        """T / (R R') of all pairs, (n1, n2)."""

    def road(self, left: Side, right: Side, bulk: tuple[float, float], tangent: bool, dtype: np.dtype[Any]) -> Road:
        """The evaluation of one layer; `left` is `right` for rows with themselves."""


@dataclass(frozen=True, slots=True)
class CompiledSource:
    """The compiled tables: a homogeneous sigma, or rows whose every variance is the compiled one."""

    tables: KernelTables

    @property
    def unit(self) -> float:
        """kappa(1)."""
        return self.tables.kappa.at_one

    @property
    def exact(self) -> bool:
        """The tables are used as they are."""
        return True

    def powers(self, scales: DoubleArray) -> DoubleArray:
        """(s / sqrt(q))^p."""
        degree = self.tables.homogeneous_degree
        powers: DoubleArray = (scales / math.sqrt(self.tables.variance)) ** (0.0 if degree is None else degree)
        return powers

    def slopes(self, scales: DoubleArray) -> DoubleArray:
        """q kappa_dot(1) for every row."""
        dual = self.tables.kappa_dot
        return np.full(scales.shape, 0.0 if dual is None else self.tables.variance * dual.at_one)

    def sample(self, left: DoubleArray, right: DoubleArray, theta: DoubleArray) -> DoubleArray:
        """kappa / kappa(1)."""
        flat = np.ascontiguousarray(theta).reshape(-1)
        out = np.empty_like(flat)
        evaluate(self.tables.kappa.direct, np.cos(flat), flat, out, Scratch(flat.size, flat.dtype))
        return (out / self.unit).reshape(theta.shape)

    def road(self, left: Side, right: Side, bulk: tuple[float, float], tangent: bool, dtype: np.dtype[Any]) -> Road:
        """Both tables together; long ones as panels, one of which is `bulk`."""
        dual = self.tables.kappa_dot if tangent else None
        tables = (self.tables.kappa.direct, *(() if dual is None else (dual.direct,)))
        large = left.scales.size * right.scales.size >= _MANY_ENTRIES
        if large and self.tables.kappa_dot is not None and all(_is_long(table) for table in tables):
            return self._panels(bulk, tangent, dtype)
        slope = () if dual is None else (trimmed(dual.direct, dtype),)
        direct, drop = trimmed(self.tables.kappa.direct, dtype), trimmed(self.tables.drop, dtype)
        together = isinstance(drop, ThetaTable)
        return TableRoad(
            unit=self.unit,
            gain=self.tables.variance,
            ends=bundle((direct, *slope), dtype),
            drops=bundle((drop, *slope) if together else (drop,), dtype),
            slope=bundle(slope, dtype) if slope and not together else None,
        )

    def _panels(self, bulk: tuple[float, float], tangent: bool, dtype: np.dtype[Any]) -> Road:
        dual = self.tables.kappa_dot
        assert dual is not None
        direct = (self.tables.kappa.direct, dual.direct)

        def sample(theta: DoubleArray) -> tuple[DoubleArray, DoubleArray]:
            scratch, values = Scratch(theta.size, np.dtype(np.float64)), np.empty((2, theta.size))
            for table, out in zip(direct, values, strict=True):
                assert isinstance(table, ThetaTable)
                evaluate_theta(table, theta, out, scratch)
            return values, theta

        tolerance = _FIT[dtype] * np.array([self.unit, dual.at_one])
        fit = fit_theta(sample, tolerance, bulk)
        return _table_road(fit, self.unit, self.tables.variance, self.tables.variance, tangent, dtype)


@dataclass(frozen=True, slots=True)
class ClosedSource:
    """The closed form: any norms."""

    pairs: ClosedPairs

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
        return self.pairs.sizes(scales)

    def slopes(self, scales: DoubleArray) -> DoubleArray:
        """E[sigma'^2] s^2 / R^2; 0 for a row that is 0."""
        squares = self.pairs.sizes(scales) ** 2
        slopes = self.pairs.slope_sizes(scales) * scales**2
        return np.divide(slopes, squares, out=np.zeros_like(slopes), where=squares > 0.0)

    def sample(self, left: DoubleArray, right: DoubleArray, theta: DoubleArray) -> DoubleArray:
        """tau."""
        one, other, angle = (a.reshape(-1) for a in np.broadcast_arrays(left[:, None], right, theta))
        return self.pairs.tau(one, other, angle).reshape(theta.shape)

    def road(self, left: Side, right: Side, bulk: tuple[float, float], tangent: bool, dtype: np.dtype[Any]) -> Road:
        """Tables of theta for rows of one norm, of theta and two norms for others."""
        common = common_scale(left.scales, right.scales, dtype)
        if common is None or common <= 0.0:
            one = left.scales, left.powers
            other = one if left is right else (right.scales, right.powers)
            return mixed_road(self.pairs, one, other, bulk, tangent, dtype)
        scale = np.array([common])
        size = float(self.pairs.sizes(scale)[0]) ** 2
        roads = [self.pairs.dual, *([] if self.pairs.dual_dot is None else [self.pairs.dual_dot])]
        ends = np.array([1.0, 1.0 if len(roads) == 1 else float(self.slopes(scale)[0])])

        def sample(theta: DoubleArray) -> tuple[DoubleArray, DoubleArray]:
            rows = np.full(theta.shape, common)
            values = [self.pairs.raw(which, rows, rows, theta) / size for which in roads]
            if len(values) == 2:
                values[1] *= common * common
            else:
                values.append(np.zeros_like(theta))
            return np.array(values), _true_angles(common, theta)

        fit = fit_theta(sample, _FIT[dtype] * ends, bulk)
        return _value_road(fit, dtype) if len(roads) == 1 else _table_road(fit, 1.0, 1.0, 1.0, tangent, dtype)


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

    def slopes(self, scales: DoubleArray) -> DoubleArray:
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

    def road(self, left: Side, right: Side, bulk: tuple[float, float], tangent: bool, dtype: np.dtype[Any]) -> Road:
        """Tables of theta for rows of one norm, of theta and two norms for others."""
        common = common_scale(left.scales, right.scales, dtype)
        if common is None or common <= 0.0:
            one = left.scales, left.powers
            other = one if left is right else (right.scales, right.powers)
            return norm_road(self.norms, not self.tables.breakpoints, one, other, tangent, dtype)
        compiled = math.sqrt(self.tables.variance)
        if abs(common - compiled) <= VARIANCE_SLACK_ULPS * float(np.finfo(dtype).eps) * compiled:
            return self._compiled_road(bulk, tangent, dtype)
        scale = np.array([common])
        size = float(self.powers(scale)[0]) ** 2
        dotted = self.norms.dual_dot is not None
        ends = np.array([1.0, float(self.slopes(scale)[0]) if dotted else 1.0])

        def sample(theta: DoubleArray) -> tuple[DoubleArray, DoubleArray]:
            rows = np.full(theta.shape, common)
            values = np.zeros((2, theta.size))
            values[0] = evaluate_pairs(self.norms, "dual", rows, rows, theta) / size
            if dotted:
                values[1] = evaluate_pairs(self.norms, "dual_dot", rows, rows, theta) * (common * common / size)
            return values, theta

        # the tables have more noise than the closed forms
        fit = fit_theta(sample, 100.0 * _FIT[dtype] * ends, bulk)
        return _table_road(fit, 1.0, 1.0, 1.0, tangent, dtype) if dotted else _value_road(fit, dtype)

    def _compiled_road(self, bulk: tuple[float, float], tangent: bool, dtype: np.dtype[Any]) -> Road:
        """The compiled tables, relative to kappa(1)."""
        kappa, dual = self.tables.kappa, self.tables.kappa_dot
        direct = (kappa.direct, *(() if dual is None else (dual.direct,)))
        factors = (1.0 / kappa.at_one, self.tables.variance / kappa.at_one)

        def sample(theta: DoubleArray) -> tuple[DoubleArray, DoubleArray]:
            scratch, values = Scratch(theta.size, np.dtype(np.float64)), np.zeros((2, theta.size))
            for table, factor, out in zip(direct, factors, values, strict=False):
                evaluate(table, np.cos(theta), theta, out, scratch)
                out *= factor
            return values, theta

        ends = np.array([1.0, 1.0 if dual is None else dual.at_one * factors[1]])
        fit = fit_theta(sample, _FIT[dtype] * ends, bulk)
        return _value_road(fit, dtype) if dual is None else _table_road(fit, 1.0, 1.0, 1.0, tangent, dtype)


def _is_long(table: object) -> bool:
    return isinstance(table, ThetaTable) and len(table.rows) == 1 and len(table.rows[0]) > _LONG


def _true_angles(scale: float, theta: DoubleArray) -> DoubleArray:
    """The angles that the rounded s^2 cos(theta) stands for."""
    q = scale * scale
    cross = scale * scale * np.cos(theta)
    near, far = np.sqrt(np.maximum(q - cross, 0.0) / (2.0 * q)), np.sqrt(np.maximum(q + cross, 0.0) / (2.0 * q))
    angles: DoubleArray = np.where(cross > 0.0, 2.0 * np.arcsin(near), np.pi - 2.0 * np.arcsin(far))
    return angles


def _table_road(
    fit: ThetaFit, unit: float, gain: float, factor: float, tangent: bool, dtype: np.dtype[Any]
) -> TableRoad:
    """Tables of a fit of (value, slope): the drop is the integral of factor sin(theta) slope."""
    value, slope = fit.table(0, dtype), fit.table(1, dtype)
    drop = drop_table(fit, factor, dtype)
    if not tangent:
        return TableRoad(unit, gain, bundle((value,), dtype), bundle((drop,), dtype), None)
    return TableRoad(unit, gain, bundle((value, slope), dtype), bundle((drop, slope), dtype), None)


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
