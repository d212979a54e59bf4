# Part of the runtime that kernelc copies, unchanged, into every module it generates with the cupy backend.
"""Rows of a CuPy array or of a CSR matrix of CuPy's, as unit vectors and norms, a block at a time, on the device.

Part of generated packages with the cupy backend, copied verbatim; it needs NumPy and CuPy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cupy
import numpy as np
import numpy.typing as npt

from ._device import SINGLE, THREADS, as_floats, current_device, kernel
from ._inputs import DoubleArray, require_rows
from ._rows import CountSketch, DeviceSource

#: As in `_sketch.cu`: threads that share a row.
_LANES = 64


def sketch_kernel(name: str, dtype: np.dtype[Any], *options: str) -> Any:
    """A kernel of `_sketch.cu` for rows of one dtype."""
    return kernel("_sketch.cu", name, f"-DSINGLE={int(dtype == SINGLE)}", *options)


@dataclass(frozen=True, slots=True)
class Hashed:
    """The tables of a CountSketch on a device: of each column its bucket and sign, of each bucket its columns."""

    buckets: int
    places: Any
    signs: Any
    order: Any
    starts: Any

    @classmethod
    def of(cls, sketch: CountSketch) -> Hashed:
        """Columns of a bucket in ascending order, which is that of additions on the host."""
        order = np.argsort(sketch.places, kind="stable")
        starts = np.searchsorted(sketch.places[order], np.arange(sketch.buckets + 1))
        tables = (cupy.asarray(part.astype(np.int32)) for part in (sketch.places, order, starts))
        places, columns, begins = tables
        return cls(sketch.buckets, places, cupy.asarray(sketch.signs), columns, begins)


@dataclass(frozen=True, slots=True)
class DeviceRows(DeviceSource):  # type: ignore[misc]
    """Rows (n, d) on a device with their norms (n,), there and, as `known`, on the host.

    `parts`: the array, or data, indices and indptr of a CSR matrix without repeated entries.
    """

    parts: tuple[Any, ...]
    shape: tuple[int, int]
    dtype: np.dtype[Any]
    device: int
    norms: Any
    known: DoubleArray

    def plain(self, start: int, stop: int) -> Any:
        """Rows start..stop - 1, dense."""
        return self._dense(start, stop, 0) if len(self.parts) > 1 else self.parts[0][start:stop]

    def unit(self, start: int, stop: int) -> Any:
        """The same over their norms; zero rows stay zero."""
        if len(self.parts) > 1:
            return self._dense(start, stop, 1)
        unit = cupy.empty((stop - start, self.shape[1]), self.dtype)
        arguments = (self.parts[0][start:stop], self.norms[start:stop], np.int32(self.shape[1]), unit)
        sketch_kernel("directions", self.dtype)((stop - start,), (THREADS,), arguments)
        return unit

    def _dense(self, start: int, stop: int, scaled: int) -> Any:
        data, indices, indptr = self.parts
        none = (indptr, data, np.int32(0))
        return self._scattered(start, stop, scaled, (data, indices, indptr[start : stop + 1]), none, self.shape[1])

    def _scattered(
        self, start: int, stop: int, scaled: int, parts: tuple[Any, ...], tables: tuple[Any, ...], columns: int
    ) -> Any:
        out = cupy.empty((stop - start, columns), self.dtype)
        arguments = (*parts, self.norms[start:stop], np.int32(scaled), *tables, np.int32(columns), out)
        sketch_kernel("scattered", self.dtype)((stop - start,), (THREADS,), arguments)
        return out

    def counted(self, start: int, stop: int, hashed: Hashed) -> Any:
        """The CountSketch of the unit rows start..stop - 1."""
        if len(self.parts) > 1:
            data, indices, indptr = self.parts
            buckets = (hashed.places, hashed.signs, np.int32(1))
            parts = (data, indices, indptr[start : stop + 1])
            return self._scattered(start, stop, 1, parts, buckets, hashed.buckets)
        out = cupy.empty((stop - start, hashed.buckets), self.dtype)
        tables = (hashed.order, hashed.starts, hashed.signs, np.int32(self.shape[1]), np.int32(hashed.buckets))
        arguments = (self.parts[0][start:stop], self.norms[start:stop], *tables, out)
        sketch_kernel("counted", self.dtype)((stop - start,), (THREADS,), arguments)
        return out

    def take(self, rows: npt.NDArray[np.intp]) -> DoubleArray:
        """The chosen rows, dense, in float64, on the host."""
        if len(self.parts) == 1:
            chosen: DoubleArray = cupy.take(self.parts[0], cupy.asarray(rows), axis=0).get().astype(np.float64)
            return chosen
        starts = self.parts[2].get()
        lengths = starts[rows + 1] - starts[rows]
        result = np.zeros((len(rows), self.shape[1]))
        if int(lengths.sum()):
            places = np.concatenate([np.arange(starts[row], starts[row + 1]) for row in rows])
            data, indices = (cupy.take(part, cupy.asarray(places), axis=0).get() for part in self.parts[:2])
            result[np.repeat(np.arange(len(rows)), lengths), indices] = data
        return result


def row_norms(rows: Any) -> Any:
    """The norms of dense rows, on the device."""
    count, columns = rows.shape
    norms = cupy.empty(count, np.float64)
    arguments = (rows, np.int32(count), np.int32(columns), norms)
    sketch_kernel("row_norms", rows.dtype)((count,), (_LANES,), arguments)
    return norms


def as_device_rows(name: str, value: Any) -> DeviceRows:
    """A CuPy array, or a sparse matrix of CuPy's, as rows. The host waits for their norms, and for nothing later.

    Raises:
        ValueError: naming `name`, for NaN, infinity, wrong shapes and empty input.
    """
    if hasattr(value, "tocsr"):
        parts, shape = _sparse_parts(name, value)
        norms = cupy.empty(shape[0], np.float64)
        sketch_kernel("sparse_norms", parts[0].dtype)((shape[0],), (_LANES,), (parts[0], parts[2], norms))
    else:
        array = as_floats(name, value)
        require_rows(name, array.shape)
        parts, shape, norms = (array,), (array.shape[0], array.shape[1]), row_norms(array)
    known: DoubleArray = norms.get()
    if bool(np.isnan(known).any()):
        raise ValueError(f"{name}: contains NaN or infinity")
    return DeviceRows(parts, shape, parts[0].dtype, current_device(), norms, known)


def _sparse_parts(name: str, value: Any) -> tuple[tuple[Any, ...], tuple[int, int]]:
    matrix = value.tocsr()
    if len(matrix.shape) != 2 or min(matrix.shape) < 1:
        raise ValueError(f"{name}: expected at least one row and one column, got shape {tuple(matrix.shape)}")
    if not matrix.has_canonical_format:
        matrix = matrix.copy()
        matrix.sum_duplicates()
    indices, indptr = (part.astype(np.int32, copy=False) for part in (matrix.indices, matrix.indptr))
    return (as_floats(name, matrix.data), indices, indptr), (int(matrix.shape[0]), int(matrix.shape[1]))
