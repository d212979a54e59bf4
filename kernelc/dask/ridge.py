"""Ridge regression on more rows than fit in memory, from accumulated normal equations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import dask.array as da
import numpy as np
from dask.delayed import delayed
from numpy.typing import NDArray

from kernelc.errors import InputError

Vector = NDArray[np.float64]
#: Blocks added at a time: the tree of sums is fixed by the number of blocks, never by who computes them.
_FAN_IN = 8


@dataclass(frozen=True, slots=True)
class Ridge:
    """Fitted: `coefficients` (m, k) or (m,), `intercept` (k,) or a number, float64."""

    coefficients: Vector
    intercept: Vector

    def predict(self, features: Any) -> Any:
        """Predictions for features (n, m), a dask or NumPy array: (n, k) or (n,) of the same sort."""
        return features @ self.coefficients + self.intercept


def fit_ridge(features: da.Array, targets: da.Array, *, alpha: float = 1.0) -> Ridge:
    """Least squares of targets (n,) or (n, k) on features (n, m) with penalty alpha |coefficients|^2, and intercept.

    One pass: Z'Z, Z'y and the sums are accumulated in float64 block by block along a fixed tree, so that neither the
    number of workers nor a worker that dies and is replaced changes a bit of the result. Needs m^2 doubles here and
    about that a worker. Solved by Cholesky of Z'Z + alpha I about the mean: the relative error is that of the normal
    equations, about the condition number of Z'Z + alpha I times 1e-16.

    Raises:
        InputError: shapes that do not fit, or alpha that is not positive, or one so small that Z'Z + alpha I is not
            positive definite in float64.
    """
    if not isinstance(alpha, Real) or not alpha > 0 or not np.isfinite(alpha):
        raise InputError(f"alpha: expected a positive number, got {alpha!r}")
    if not isinstance(features, da.Array) or features.ndim != 2:
        raise InputError("features: expected a two-dimensional dask array")
    if not isinstance(targets, da.Array) or targets.ndim not in (1, 2) or targets.shape[0] != features.shape[0]:
        raise InputError(f"targets: expected a dask array with {features.shape[0]} rows, (n,) or (n, k)")
    rows = features.rechunk({1: -1})
    values = targets.reshape(-1, 1) if targets.ndim == 1 else targets
    values = values.rechunk((rows.chunks[0], -1))
    blocks = zip(rows.to_delayed()[:, 0], values.to_delayed()[:, 0], strict=True)
    sums = [delayed(_sums_of, pure=True)(z, y) for z, y in blocks]
    while len(sums) > 1:
        sums = [delayed(_add, pure=True)(sums[i : i + _FAN_IN]) for i in range(0, len(sums), _FAN_IN)]
    coefficients, intercept = _solve(*sums[0].compute(), alpha=float(alpha))
    flat = targets.ndim == 1
    return Ridge(coefficients[:, 0] if flat else coefficients, intercept[0] if flat else intercept)


_Sums = tuple[int, Vector, Vector, Vector, Vector]


def _sums_of(z: Any, y: Any) -> _Sums:
    """Rows, sum z, sum y, Z'Z, Z'Y of one block."""
    # What came over the network may be unaligned, and BLAS would then take another road with other rounding.
    wide, values = (np.require(part, np.float64, ["C", "A"]) for part in (z, y))
    return len(wide), wide.sum(axis=0), values.sum(axis=0), wide.T @ wide, wide.T @ values


def _add(parts: Sequence[_Sums]) -> _Sums:
    count, z, y, zz, zy = parts[0]
    # a worker may still hold the first part: it must not be added into
    z, y, zz, zy = z.copy(), y.copy(), zz.copy(), zy.copy()
    for other in parts[1:]:
        count += other[0]
        z += other[1]
        y += other[2]
        zz += other[3]
        zy += other[4]
    return count, z, y, zz, zy


def _solve(count: int, z: Vector, y: Vector, zz: Vector, zy: Vector, *, alpha: float) -> tuple[Vector, Vector]:
    """Coefficients and intercept from the sums, centred."""
    mean_z, mean_y = z / count, y / count
    gram = zz - count * np.outer(mean_z, mean_z)
    gram[np.diag_indices_from(gram)] += alpha
    try:
        factor = np.linalg.cholesky(gram)
    except np.linalg.LinAlgError:
        raise InputError(f"alpha: {alpha!r} is too small for these features in float64; take a larger one") from None
    half = np.linalg.solve(factor, zy - count * np.outer(mean_z, mean_y))
    coefficients = np.linalg.solve(factor.T, half)
    return coefficients, mean_y - mean_z @ coefficients
