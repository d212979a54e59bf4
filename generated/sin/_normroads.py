# Part of the runtime that kernelc copies, unchanged, into every module it generates.
"""Rows of different norms where there is no closed form: one layer by the tables of a range of norms.

Part of every generated package, copied verbatim; it needs NumPy alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ._evaluation import Scratch
from ._inputs import DoubleArray, FloatArray
from ._norms import NormFactors, bind, evaluate_tile, gap
from ._normseries import NormTables
from ._roads import Job, Pairs

#: Gaps below this are taken from `gap`, where a kinked sigma needs their relative error.
_SMALL_GAP = 1e-3


@dataclass(frozen=True, slots=True)
class NormRoad:
    """One layer; `left`, `right` (n,): 1 / R of rows and columns, `left_slope`, `right_slope`: s / R."""

    factors: NormFactors
    smooth: bool
    symmetric: bool
    left: FloatArray
    right: FloatArray
    left_slope: FloatArray
    right_slope: FloatArray
    unit: float = 1.0
    gain: float = 1.0

    @property
    def folded(self) -> bool:
        """Everything is read at theta."""
        return True

    def read(self, pairs: Pairs, job: Job, value: FloatArray, slope: FloatArray | None, scratch: Scratch) -> None:
        """value, and slope where it is wanted."""
        evaluate_tile(self.factors, job, pairs.rho, pairs.theta, value, slope, scratch)
        _scale(value, self.left, self.right, job)
        if slope is not None:
            _scale(slope, self.left_slope, self.right_slope, job)

    def read_drop(self, pairs: Pairs, job: Job, drop: FloatArray, slope: FloatArray | None, scratch: Scratch) -> None:
        """1 - value with a small relative error where sigma is kinked, and slope."""
        self.read(pairs, job, drop, slope, scratch)
        np.subtract(1.0, drop, out=drop)
        if self.smooth:
            return
        rows, columns = job[1] - job[0], job[3] - job[2]
        small = drop[:rows, :columns] < _SMALL_GAP
        if self.symmetric and job[0] == job[2]:
            np.fill_diagonal(small, False)
            np.fill_diagonal(drop[:rows, :rows], 0.0)
        row, column = np.nonzero(small)
        if row.size:
            angle = pairs.theta[row, column].astype(np.float64)
            drop[row, column] = np.maximum(gap(self.factors, row + job[0], column + job[2], angle), 0.0)


def _scale(tile: FloatArray, left: FloatArray, right: FloatArray, job: Job) -> None:
    """tile *= left_i right_j over the tile's own pairs."""
    part = tile[: job[1] - job[0], : job[3] - job[2]]
    np.multiply(part, left[job[0] : job[1], None], out=part)
    np.multiply(part, right[job[2] : job[3]], out=part)


def norm_road(
    tables: NormTables,
    smooth: bool,
    left: tuple[DoubleArray, DoubleArray],
    right: tuple[DoubleArray, DoubleArray],
    tangent: bool,
    dtype: np.dtype[Any],
) -> NormRoad:
    """The road for rows of scales and sizes `left` and `right`."""
    factors = bind(tables, left[0], right[0], dtype, tangent)
    one, other = _weights(*left, dtype), _weights(*right, dtype)
    return NormRoad(factors, smooth, left is right, one[0], other[0], one[1], other[1])


def _weights(scales: DoubleArray, sizes: DoubleArray, dtype: np.dtype[Any]) -> tuple[FloatArray, FloatArray]:
    """1 / R and s / R, 0 where R is 0."""
    flat = np.divide(1.0, sizes, out=np.zeros_like(sizes), where=sizes > 0.0)
    return flat.astype(dtype), (scales * flat).astype(dtype)
