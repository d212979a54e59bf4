# Part of the runtime that kernelc copies, unchanged, into every module it generates.
"""Rows of a dense or CSR matrix as unit vectors and norms, a block at a time.

Part of every generated package, copied verbatim; it needs NumPy alone: a SciPy CSR matrix is known by its parts.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ._dispatch import device_module, on_device
from ._inputs import DoubleArray, FloatArray, as_floats, as_rows
from ._transforms import stream

#: Beyond these the square of an entry leaves the range of float64.
_SAFE_LOW, _SAFE_HIGH = 1e-140, 1e140


@dataclass(frozen=True, slots=True)
class CountSketch:
    """x -> sum_{j in bucket} signs[j] x_j: inner products kept in the mean, with variance at most 2 / buckets.

    (Charikar, Chen, Farach-Colton 2002; Weinberger et al. 2009.)
    """

    buckets: int
    places: npt.NDArray[np.intp]
    signs: FloatArray

    @classmethod
    def drawn(cls, seed: int, index: int, columns: int, buckets: int, dtype: np.dtype[Any]) -> CountSketch:
        """The sketch number `index` of a seed."""
        generator = stream(seed, "count sketch", index)
        places = (generator.random(columns) * buckets).astype(np.intp)
        return cls(buckets, places, np.where(generator.random(columns) < 0.5, -1.0, 1.0).astype(dtype))


@dataclass(frozen=True, slots=True)
class DenseRows:
    """An (n, d) array."""

    array: FloatArray

    @property
    def shape(self) -> tuple[int, int]:
        """(n, d)."""
        return self.array.shape[0], self.array.shape[1]

    @property
    def dtype(self) -> np.dtype[Any]:
        """float32 or float64."""
        return self.array.dtype

    def block(self, start: int, stop: int) -> FloatArray:
        """Rows start..stop - 1."""
        return self.array[start:stop]

    def counted(self, start: int, stop: int, sketch: CountSketch) -> FloatArray:
        """The CountSketch of rows start..stop - 1."""
        count = stop - start
        flat = (np.arange(count)[:, None] * sketch.buckets + sketch.places[None, :]).ravel()
        values = self.array[start:stop] * sketch.signs
        total = np.bincount(flat, weights=values.ravel(), minlength=count * sketch.buckets)
        return total.astype(self.dtype, copy=False).reshape(count, sketch.buckets)

    def norms(self, start: int, stop: int) -> DoubleArray:
        """Euclidean norms in float64."""
        return unit_rows(self.array[start:stop])[1]

    def take(self, rows: npt.NDArray[np.intp]) -> DoubleArray:
        """The chosen rows, dense, in float64."""
        return self.array[rows].astype(np.float64)


@dataclass(frozen=True, slots=True)
class SparseRows:
    """The three parts of a CSR matrix without repeated entries."""

    data: FloatArray
    indices: npt.NDArray[np.intp]
    indptr: npt.NDArray[np.intp]
    shape: tuple[int, int]

    @property
    def dtype(self) -> np.dtype[Any]:
        """float32 or float64."""
        return self.data.dtype

    def block(self, start: int, stop: int) -> FloatArray:
        """Rows start..stop - 1, dense."""
        begin, end = int(self.indptr[start]), int(self.indptr[stop])
        return self._scattered(start, stop, self.shape[1], self.indices[begin:end], self.data[begin:end])

    def counted(self, start: int, stop: int, sketch: CountSketch) -> FloatArray:
        """The CountSketch of rows start..stop - 1, in time that follows the non-zeros."""
        begin, end = int(self.indptr[start]), int(self.indptr[stop])
        index = self.indices[begin:end]
        values = self.data[begin:end] * sketch.signs[index]
        return self._scattered(start, stop, sketch.buckets, sketch.places[index], values)

    def norms(self, start: int, stop: int) -> DoubleArray:
        """Euclidean norms in float64."""
        begin, end = int(self.indptr[start]), int(self.indptr[stop])
        row = np.repeat(np.arange(stop - start), np.diff(self.indptr[start : stop + 1]))
        wide = self.data[begin:end].astype(np.float64)
        peak = np.zeros(stop - start)
        np.maximum.at(peak, row, np.abs(wide))
        # by powers of two, so that squares stay within range
        exponents = np.frexp(peak)[1]
        squares = np.ldexp(wide, -exponents[row]) ** 2
        norms: DoubleArray = np.ldexp(np.sqrt(np.bincount(row, weights=squares, minlength=stop - start)), exponents)
        return norms

    def _scattered(
        self, start: int, stop: int, columns: int, index: npt.NDArray[np.intp], values: FloatArray
    ) -> FloatArray:
        """Rows (stop - start, columns) with `values` added at the columns `index`."""
        lengths = np.diff(self.indptr[start : stop + 1])
        flat = np.repeat(np.arange(stop - start), lengths) * columns + index
        size = (stop - start) * columns
        total = np.bincount(flat, weights=values, minlength=size)
        rows: FloatArray = total.astype(self.dtype, copy=False).reshape(stop - start, columns)
        return rows

    def take(self, rows: npt.NDArray[np.intp]) -> DoubleArray:
        """The chosen rows, dense, in float64."""
        parts = [self.block(int(row), int(row) + 1) for row in rows]
        return np.concatenate(parts).astype(np.float64)


class DeviceSource(ABC):
    """Rows on a GPU: shape (n, d), dtype float32 or float64, and the number of their device."""

    shape: tuple[int, int]
    dtype: np.dtype[Any]
    device: int

    @abstractmethod
    def take(self, rows: npt.NDArray[np.intp]) -> DoubleArray:
        """The chosen rows, dense, in float64, on the host."""


RowSource = DenseRows | SparseRows
AnyRows = RowSource | DeviceSource


def as_row_source(name: str, value: Any) -> AnyRows:
    """An array, or a sparse matrix of SciPy's kind, of the host or of CuPy, as rows.

    Raises:
        ValueError: naming `name`, for what is neither, and for NaN, infinity, wrong shapes and empty input.
    """
    if isinstance(value, DeviceSource):
        return value
    if on_device(value):
        return device_module(__package__, "_device_rows").as_device_rows(name, value)  # type: ignore[no-any-return]
    if not hasattr(value, "tocsr"):
        return DenseRows(as_rows(name, value))
    matrix = value.tocsr()
    if len(matrix.shape) != 2 or min(matrix.shape) < 1:
        raise ValueError(f"{name}: expected at least one row and one column, got shape {tuple(matrix.shape)}")
    if not getattr(matrix, "has_canonical_format", True):
        matrix = matrix.copy()
        matrix.sum_duplicates()
    data = as_floats(name, matrix.data)
    indices = np.asarray(matrix.indices, dtype=np.intp)
    indptr = np.asarray(matrix.indptr, dtype=np.intp)
    return SparseRows(data, indices, indptr, (int(matrix.shape[0]), int(matrix.shape[1])))


def unit_rows(rows: FloatArray) -> tuple[FloatArray, DoubleArray]:
    """(x / |x| in the dtype of `rows`, |x| in float64) of each row; zero rows stay zero."""
    norms: DoubleArray = np.sqrt(np.einsum("ij,ij->i", rows, rows, dtype=np.float64))
    if not (float(norms.min()) > _SAFE_LOW and float(norms.max()) < _SAFE_HIGH):
        return _extreme_rows(rows)
    wide = rows.dtype == np.float64
    inverse = 1.0 / norms
    if not wide and not (float(norms.min()) > 1e-30 and float(norms.max()) < 1e30):
        return (rows * inverse[:, None]).astype(rows.dtype), norms
    unit: FloatArray = rows * inverse.astype(rows.dtype)[:, None]
    return unit, norms


def _extreme_rows(rows: FloatArray) -> tuple[FloatArray, DoubleArray]:
    """The same where squares could leave float64, and for zero rows: scaled by the largest entry first."""
    wide = rows.astype(np.float64)
    peak = np.abs(wide).max(axis=1)
    safe = np.where(peak > 0.0, peak, 1.0)
    # by powers of two: no digit moves, and subnormal rows do not overflow on the way
    exponents = np.frexp(safe)[1]
    scaled = np.ldexp(wide, -exponents[:, None])
    lengths = np.sqrt(np.einsum("ij,ij->i", scaled, scaled))
    norms: DoubleArray = np.ldexp(lengths, exponents)
    unit = scaled / np.where(lengths > 0.0, lengths, 1.0)[:, None]
    return unit.astype(rows.dtype), norms
