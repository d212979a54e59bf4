"""Features and kernel matrices of dask arrays, a block of rows at a time."""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction
from types import ModuleType
from typing import Any

import dask.array as da
import numpy as np
from dask.delayed import delayed
from numpy.typing import NDArray

from kernelc.backends.numpy.runtime._inputs import as_depth, as_scale
from kernelc.errors import InputError
from kernelc.kernel import Kernel
from kernelc.loading import Source, source_of

Activation = str | Kernel | ModuleType
Matrix = NDArray[np.floating[Any]]


def features(
    activation: Activation,
    x: da.Array,
    *,
    kernel: str = "ntk",
    depth: int = 1,
    features: int = 4096,
    seed: int = 0,
    sketch: str = "auto",
    parameters: Mapping[str, Any] | None = None,
) -> da.Array:
    """Random features of each row of x (n, d): (n, m), lazy, in x's blocks of rows.

    The same numbers as `features` of the compiled package on all rows at once: a row's features depend on the row,
    the arguments and d alone. `activation` is a formula, a gallery name, a `kernelc.compile` result or a compiled
    package.

    Raises:
        InputError: x is no dask array of rows; computing it raises what the package's `features` raises.
    """
    rows = _rows("x", x)
    source = source_of(activation, parameters)
    options = {"kernel": kernel, "depth": depth, "features": features, "seed": seed, "sketch": sketch}
    apply: Any = _features_of
    width = _features_of(_one_row(source, rows.shape[1]), source, options).shape[1]
    return rows.map_blocks(
        apply,
        source,
        options,
        chunks=(rows.chunks[0], (width,)),
        dtype=rows.dtype if rows.dtype == np.float32 else np.float64,
        meta=np.empty((0, 0), rows.dtype if rows.dtype == np.float32 else np.float64),
    )


def kernel_matrix(
    activation: Activation,
    x: da.Array,
    y: da.Array | None = None,
    *,
    kernel: str = "ntk",
    depth: int = 1,
    w_std: float = 1.0,
    b_std: float = 0.0,
    parameters: Mapping[str, Any] | None = None,
) -> da.Array:
    """The NTK or NNGP of x (n, d) with y (m, d), or with itself: (n, m), lazy, a block for each pair of row blocks.

    Of x with itself a block below the diagonal is the transpose of the one above it: the matrix is exactly
    symmetric, and half the work is done.

    Raises:
        InputError: x or y is no dask array of rows, `kernel` is neither "ntk" nor "nngp", or `depth`, `w_std` or
            `b_std` is out of range; computing it raises what the package raises for its rows.
    """
    if kernel not in ("ntk", "nngp"):
        raise InputError(f"kernel: expected 'ntk' or 'nngp', got {kernel!r}")
    left = _rows("x", x)
    right = left if y is None else _rows("y", y)
    if right.shape[1] != left.shape[1]:
        raise InputError(f"y: expected {left.shape[1]} columns as in x, got {right.shape[1]}")
    options = _network(depth, w_std, b_std)
    source = source_of(activation, parameters)
    dtype = np.result_type(left.dtype, right.dtype)
    shared = delayed(source)
    first, second = left.to_delayed()[:, 0], right.to_delayed()[:, 0]

    def block(i: int, j: int) -> da.Array:
        shape = (left.chunks[0][i], right.chunks[0][j])
        if y is None and i > j:
            return block(j, i).T
        other = None if y is None and i == j else second[j]
        made = delayed(_kernel_of, pure=True)(shared, kernel, first[i], other, options)
        return da.from_delayed(made, shape, dtype=dtype if dtype == np.float32 else np.float64)

    grid = [[block(i, j) for j in range(len(second))] for i in range(len(first))]
    return da.block(grid)


def _rows(name: str, value: Any) -> da.Array:
    """`value` in blocks of whole rows."""
    if not isinstance(value, da.Array) or value.ndim != 2:
        raise InputError(f"{name}: expected a two-dimensional dask array, one row an input, got {type(value).__name__}")
    if any(np.isnan(value.shape)) or 0 in value.shape:
        raise InputError(
            f"{name}: its shape is {value.shape}; compute_chunk_sizes() finds unknown sizes, and there must be rows"
        )
    return value.rechunk({1: -1})


def _network(depth: int, w_std: float, b_std: float) -> dict[str, Any]:
    """The network's arguments, checked before a cluster is asked for anything."""
    try:
        return {
            "depth": as_depth("depth", depth),
            "w_std": as_scale("w_std", w_std, zero=False),
            "b_std": as_scale("b_std", b_std, zero=True),
        }
    except ValueError as error:
        raise InputError(str(error)) from None


def _one_row(source: Source, columns: int) -> Matrix:
    """A row at the compiled norm: it tells how many features there are."""
    row = np.zeros((1, columns))
    row[0, 0] = math.sqrt(Fraction(source.module().CERTIFICATE["variance"]))
    return row


def _features_of(rows: Matrix, source: Source, options: Mapping[str, Any]) -> Matrix:
    made: Matrix = source.module().features(rows, **options)
    return made


def _kernel_of(source: Source, kernel: str, x: Matrix, y: Matrix | None, options: Mapping[str, Any]) -> Matrix:
    made: Matrix = getattr(source.module(), kernel)(x, y, **options)
    return made
