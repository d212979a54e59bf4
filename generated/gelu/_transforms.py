# Part of the runtime that kernelc copies, unchanged, into every module it generates.
"""Random streams and fast transforms that the sketches share.

Part of every generated package, copied verbatim; it needs NumPy alone.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from ._inputs import FloatArray

#: Each use of randomness has its own stream, so that no choice of one sketch moves the draws of another.
_STREAMS = ("zonal directions", "count sketch", "tensor sketch", "tensor srht", "final srht", "sample")
#: Hadamard matrices up to this size are applied as one matrix product.
_DENSE = 64


def stream(seed: int, purpose: str, index: int = 0) -> np.random.Generator:
    """The generator of one purpose: Philox with the key (seed, purpose and index), equal on every machine."""
    key = (index << 8) | _STREAMS.index(purpose)
    return np.random.Generator(np.random.Philox(key=np.array([seed, key], dtype=np.uint64)))


def next_power_of_two(value: int) -> int:
    """The least power of two that is at least `value`."""
    return 1 << max(value - 1, 0).bit_length()


@lru_cache(maxsize=32)
def _hadamard_matrix(size: int, dtype: str) -> npt.NDArray[Any]:
    matrix = np.ones((1, 1))
    while len(matrix) < size:
        matrix = np.block([[matrix, matrix], [matrix, -matrix]])
    result = matrix.astype(dtype)
    result.flags.writeable = False
    return result


def hadamard_columns(rows: FloatArray) -> FloatArray:
    """Hadamard's transform of each row (n, 2^k), not normalised, its entries in a fixed order of their own.

    As matrix products of H_a and H_b, 2^k = a b: in NumPy faster than butterflies. Between the two the matrix of a
    row is transposed in place of a second stride, so entry (i, j) of the result stands at j a + i: an order that
    random signs and sampling do not see, and that is the same for every row.
    """
    count, size = rows.shape
    if size <= _DENSE:
        small: FloatArray = rows @ _hadamard_matrix(size, rows.dtype.char)
        return small
    inner = 1 << (int(math.log2(size)) // 2)
    inner = min(inner, _DENSE)
    outer = size // inner
    first = rows.reshape(count * outer, inner) @ _hadamard_matrix(inner, rows.dtype.char)
    turned = np.ascontiguousarray(np.swapaxes(first.reshape(count, outer, inner), 1, 2))
    return hadamard_columns(turned.reshape(count * inner, outer)).reshape(count, size)


def hadamard_order(size: int) -> npt.NDArray[np.intp]:
    """Which entry of the transform in natural order stands where in that of `hadamard_columns`.

    It moves the bits of an entry's number alone, so that a transform of moved entries is the moved transform.
    """
    if size <= _DENSE:
        return np.arange(size)
    inner = min(1 << (int(math.log2(size)) // 2), _DENSE)
    outer = hadamard_order(size // inner)
    order: npt.NDArray[np.intp] = (outer[None, :] * inner + np.arange(inner)[:, None]).ravel()
    return order
