# Part of the runtime that kernelc copies, unchanged, into every module it generates.
"""Ridge regression on features, with the nugget where it belongs.

Kernel ridge solves (K + lambda) a = y. With K ~ Z Z' + diag(nu), nu the nugget of each row, the same predictor is

    w = (1 + Z' D^-1 Z)^-1 Z' D^-1 y,    D = lambda + diag(nu),    f(x) = <phi(x), w>

in one pass over the rows and memory for one m x m matrix; with fewer rows than features by the n x n matrix instead,
w = Z' (Z Z' + D)^-1 y. Part of every generated package; it needs NumPy alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, SupportsFloat

import numpy as np

from ._dispatch import device_module, on_device, on_host
from ._inputs import DoubleArray, as_floats, as_scale

if TYPE_CHECKING:
    from ._features import FeatureSketch

_BLOCK = 4096


@dataclass(frozen=True, slots=True)
class RidgeModel:
    """A fitted predictor: `weights` (m,) or (m, outputs), float64."""

    sketch: FeatureSketch
    weights: DoubleArray

    def predict(self, x: Any) -> DoubleArray:
        """f of each row of x (n, d): (n,) or (n, outputs), float64; on the device for rows that are there.

        Raises:
            ValueError: naming x, as `transform`.
        """
        if on_device(x):
            ridge = device_module(__package__, "_device_ridge")
            return ridge.predictions(self.sketch.blocks(x, _BLOCK), self.weights)  # type: ignore[no-any-return]
        parts = [block @ self.weights.astype(block.dtype) for block in self.sketch.blocks(x, _BLOCK)]
        result: DoubleArray = np.concatenate(parts).astype(np.float64)
        return result


def fit_ridge(sketch: FeatureSketch, x: Any, y: Any, ridge: SupportsFloat) -> RidgeModel:
    """Kernel ridge regression of y (n,) or (n, outputs) on rows x (n, d), with noise variance `ridge` > 0.

    Raises:
        ValueError: naming the argument.
    """
    noise = as_scale("ridge", ridge, zero=False)
    targets = as_floats("y", on_host(y)).astype(np.float64)
    nugget = on_host(sketch.nugget(x))
    if targets.ndim not in (1, 2) or len(targets) != len(nugget):
        raise ValueError(f"y: expected {len(nugget)} values or rows of values, got shape {targets.shape}")
    if len(nugget) < sketch.plan["features"] and not on_device(x):
        rows = np.concatenate(list(sketch.blocks(x, _BLOCK))).astype(np.float64)
        matrix = rows @ rows.T
        matrix[np.diag_indices_from(matrix)] += noise + nugget
        return RidgeModel(sketch, rows.T @ np.linalg.solve(matrix, targets))
    weight, start = 1.0 / (noise + nugget), 0
    if on_device(x):
        solved = device_module(__package__, "_device_ridge").solved
        return RidgeModel(sketch, solved(sketch.blocks(x, _BLOCK), np.sqrt(weight), targets))
    gram: DoubleArray | None = None
    for block in sketch.blocks(x, _BLOCK):
        part = slice(start, start + len(block))
        scaled = block * np.sqrt(weight[part]).astype(block.dtype)[:, None]
        values = targets[part] * (np.sqrt(weight[part]) if targets.ndim == 1 else np.sqrt(weight[part])[:, None])
        if gram is None:
            gram = np.eye(block.shape[1])
            right = np.zeros((block.shape[1], *targets.shape[1:]))
        gram += scaled.T @ scaled
        right += scaled.T @ values
        start = part.stop
    assert gram is not None
    return RidgeModel(sketch, np.linalg.solve(gram, right).astype(np.float64))
