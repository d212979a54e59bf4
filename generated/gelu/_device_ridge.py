# Part of the runtime that kernelc copies, unchanged, into every module it generates with the cupy backend.
"""Ridge regression on features that are on a device: its sums, its solution and its predictions there.

Part of generated packages with the cupy backend, copied verbatim; it needs NumPy and CuPy.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import cupy
import numpy as np

from ._inputs import DoubleArray


def solved(blocks: Iterator[Any], roots: DoubleArray, targets: DoubleArray) -> DoubleArray:
    """(1 + Z' D^-1 Z)^-1 Z' D^-1 y for the blocks of Z in order, `roots` (n,) those of D^-1; on the host.

    As for NumPy arrays: products in the features' dtype, sums and solution in float64.
    """
    weighted = targets * (roots if targets.ndim == 1 else roots[:, None])
    gram, right, start = None, None, 0
    for block in blocks:
        part = slice(start, start + len(block))
        scaled = block * cupy.asarray(roots[part].astype(block.dtype))[:, None]
        if gram is None:
            gram = cupy.asarray(np.eye(block.shape[1]))
            right = cupy.zeros((block.shape[1], *targets.shape[1:]), np.float64)
        gram += cupy.matmul(scaled.T, scaled)
        right += cupy.matmul(scaled.T.astype(np.float64), cupy.asarray(weighted[part]))
        start = part.stop
    weights: DoubleArray = cupy.linalg.solve(gram, right).get()
    return weights


def predictions(blocks: Iterator[Any], weights: DoubleArray) -> Any:
    """Z w, (n,) or (n, outputs) float64 on the device."""
    moved = cupy.asarray(weights)
    parts = [cupy.matmul(block, moved.astype(block.dtype, copy=False)).astype(np.float64) for block in blocks]
    return cupy.concatenate(parts)
