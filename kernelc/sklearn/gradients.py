"""Derivatives of a kernel by log w_std and log b_std: exact where the layers' recursion has them, else differences."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from fractions import Fraction
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.floating[Any]]

#: Step of the differences in log w_std and log b_std: beside it what rounding leaves is near 1e-11.
_STEP = 1e-3
#: The two orders of a difference may be this far apart, relative to the largest entry, before it is said.
_DOUBTFUL = 1e-6


def exponent(module: ModuleType, depth: int) -> float:
    """e: the kernel of a homogeneous activation without bias is proportional to w_std^e."""
    total = 2.0
    for _ in range(depth):
        total = 2.0 + float(Fraction(module.CERTIFICATE["homogeneous_degree"])) * total
    return total


def homogeneous_nngp(module: ModuleType, rows: Any, depth: int, w_std: float, b_std: float) -> tuple[Matrix, Matrix]:
    """Both derivatives of the NNGP (n, n) of a homogeneous activation whose kappa_dot is finite.

    The layers' recursion K' = w^2 T(K) + b^2 is differentiated: dT/dq12 = Tdot, and as T is homogeneous of degree p
    in (sqrt(q11), sqrt(q22)) at a fixed correlation, dT/dq11 = (p T - q12 Tdot) / (2 q11).
    """
    power = float(Fraction(module.CERTIFICATE["homogeneous_degree"]))
    x = np.asarray(rows, dtype=float)
    weight, bias = w_std**2, b_std**2
    gram = x @ x.T
    covariance = weight * gram + bias
    slopes = [2.0 * weight * gram, np.full_like(gram, 2.0 * bias)]
    for _ in range(depth):
        size = np.diagonal(covariance).copy()
        # equal rows are exactly so, and no rounding takes a correlation beyond 1
        reach = np.sqrt(size[:, None] * size[None, :])
        covariance = np.clip(covariance, -reach, reach)
        value = module.dual(size[:, None], covariance, size[None, :])
        slope = module.dual_dot(size[:, None], covariance, size[None, :])
        by_size = (power * value - covariance * slope) / 2.0
        for place, own in enumerate((2.0 * weight * value, 2.0 * bias)):
            change = slopes[place]
            growth = np.divide(np.diagonal(change), size, out=np.zeros_like(size), where=size > 0.0)
            slopes[place] = own + weight * (by_size * (growth[:, None] + growth[None, :]) + slope * change)
        covariance = weight * value + bias
    return slopes[0], slopes[1]


def difference(at: Callable[[float], Matrix]) -> Matrix:
    """The derivative at 0 of `at`, by differences of sixth order.

    Two differences of fourth order, of which one has twice the step of the other, say how far to trust it: an
    estimate, not a bound.

    Warns:
        RuntimeWarning: they differ by more than 1e-6 of the largest entry.
    """
    pairs = [at(_STEP * factor) - at(-_STEP * factor) for factor in (1, 2, 4)]
    fine, coarse = ((8.0 * pairs[i] - pairs[i + 1]) / (12.0 * _STEP * 2**i) for i in (0, 1))
    doubt, size = float(np.max(np.abs(fine - coarse))), float(np.max(np.abs(fine)))
    if doubt > _DOUBTFUL * size:
        warnings.warn(
            f"the kernel's gradient may be off by {doubt / size:.1e} of its largest entry: the kernel varies fast "
            "here; the search for hyper-parameters may stop early",
            RuntimeWarning,
            stacklevel=4,
        )
    return fine + (fine - coarse) / 15.0
