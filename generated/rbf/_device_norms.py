# Part of the runtime that kernelc copies, unchanged, into every module it generates with the cupy backend.
"""What a kernel matrix of rows of a range of norms reads of each row on the device: the factors of T and Tdot.

Part of generated packages with the cupy backend, copied verbatim; it needs NumPy and CuPy.
"""

from __future__ import annotations

from typing import Any

import cupy
import numpy as np

from ._device import THREADS, TILE, kernel
from ._inputs import DoubleArray
from ._layers import RowPath
from ._norms import Compressed, basis_size, compressed, factor_signs, symmetric
from ._normseries import NormTables, angle_width, hermite_rows, norm_variable
from ._sources import LayerRows

#: As `PARITY` in `_kernels.cu`.
_PARITIES = {"none": 0, "odd": 1, "even": 2}


def serves_on_device(tables: NormTables, smooth: bool, deep: bool) -> bool:
    """Whether the kernels have it: no knots, and for what is not smooth Tdot, whose integral a small gap is."""
    return tables.knots is None and (smooth or not deep or tables.dual_dot is not None)


def norm_arguments(
    tables: NormTables, left: RowPath, right: RowPath, with_dot: bool, dtype: np.dtype[Any]
) -> tuple[Any, ...]:
    """The kernel's last arguments. `left` is `right` for rows with themselves; `with_dot`: Tdot is read."""
    plans = [compressed(tables, "dual", dtype)]
    if with_dot:
        plans.append(compressed(tables, "dual_dot", dtype))
    # the signs of the products stand on the left
    signs = [(True, False)] if left is right else [(True,), (False,)]
    sides = [left] if left is right else [left, right]
    factors = [
        part
        for path, signed in zip(sides, signs, strict=True)
        for part in _factors(tables, plans, path.layers, signed, dtype)
    ]
    scales = [cupy.asarray(np.stack([layer.scales for layer in path.layers])) for path in (left, right)]
    widths = [[sign.size for sign in factor_signs(plan)] for plan in plans]
    ends = cupy.asarray(np.cumsum(np.concatenate(widths)).astype(np.int32))
    numbers = [np.int32(value) for plan, width in zip(plans, widths, strict=True) for value in _facts(plan, width)]
    numbers += [np.int32(0)] * (4 - len(numbers))
    padded = [np.int32(factor.shape[-1]) for factor in factors]
    return (*factors, *scales, _aligned(tables), ends, *numbers, *padded, np.float64(angle_width(tables)))


def _facts(plan: Compressed, width: list[int]) -> tuple[int, int]:
    """How many terms there are, and their parity."""
    return len(width), _PARITIES[plan.parity]


def _factors(
    tables: NormTables,
    plans: list[Compressed],
    layers: tuple[LayerRows, ...],
    signed: tuple[bool, ...],
    dtype: np.dtype[Any],
) -> list[Any]:
    """One side of T / (R R') and then of Tdot s s' / (R R') in every layer, (layers * ranks, n padded).

    For each of `signed` once, with or without the signs of the products.
    """
    parts: list[list[Any]] = [[] for _ in signed]
    for layer in layers:
        flat = np.divide(1.0, layer.powers, out=np.zeros_like(layer.powers), where=layer.powers > 0.0)
        for index, plan in enumerate(plans):
            basis = _basis(tables, plan, layer.scales, flat * layer.scales if index else flat)
            for part, with_signs in zip(parts, signed, strict=True):
                part.append(cupy.matmul(cupy.asarray(_mixture(plan, with_signs)), basis))
    return [cupy.concatenate(part).astype(dtype, copy=False) for part in parts]


def _basis(tables: NormTables, plan: Compressed, s: DoubleArray, weights: DoubleArray) -> Any:
    """What the factors are combined of, times `weights`, (count, n padded); for an integral with a_0(s) at the end."""
    # whole tiles: threads beyond the matrix read what is not used
    x, padded, with_mean = norm_variable(tables, s), -(-s.size // TILE) * TILE, _with_mean(plan)
    lines = [x, basis_size(tables, plan, s, x) * weights]
    if with_mean:
        lines.append(hermite_rows(tables, s, 0)[:, 0] * weights)
    numbers = cupy.asarray(np.stack(lines))
    basis = cupy.empty((plan.count + with_mean, padded), np.float64)
    sizes = (np.int32(s.size), np.int32(padded), np.int32(plan.count), np.int32(with_mean))
    made = kernel("_kernels.cu", "norm_basis", "--fmad=false", "-DSINGLE=0")
    made((-(-padded // THREADS),), (THREADS,), (numbers[0], numbers[1], numbers[-1], *sizes, basis))
    return basis


def _with_mean(plan: Compressed) -> bool:
    return bool(plan.kind == "integral" and plan.parity != "odd")


def _mixture(plan: Compressed, signed: bool) -> DoubleArray:
    """(ranks, count): the factors of all terms, one after the other, as combinations of the basis."""
    blocks = []
    for m, vectors in enumerate(plan.vectors):
        block = vectors
        if _with_mean(plan):
            block = np.pad(vectors, ((0, 1), (0, int(m == 0))))
            if m == 0:
                block[-1, -1] = 1.0
        blocks.append(block)
    mixture = np.concatenate(blocks, axis=1)
    if signed:
        mixture = mixture * np.concatenate(factor_signs(plan))
    return np.ascontiguousarray(mixture.T)


def _aligned(tables: NormTables) -> Any:
    """Normalized T at theta = 0 in the basis of both norms."""
    assert tables.aligned is not None
    return cupy.asarray(symmetric(tables.aligned, len(tables.aligned)))
