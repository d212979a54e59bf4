"""What the tests and the measurements of sketches share."""

from __future__ import annotations

import copy
from dataclasses import replace
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.floating[Any]]


def relative(approximation: Matrix, truth: Matrix) -> float:
    """Frobenius distance off the diagonal, relative to the truth's norm there."""
    apart = ~np.eye(len(truth), dtype=bool)
    return float(np.linalg.norm((approximation - truth)[apart]) / np.linalg.norm(truth[apart]))


def gram(features: Matrix) -> Matrix:
    """features @ features.T in float64."""
    wide = features.astype(np.float64)
    return wide @ wide.T


def redrawn(sketch: Any, seed: int) -> Any:
    """The same plan with another seed's random matrices: what a new fit would give, without planning again."""
    other = copy.copy(sketch)
    planned = sketch._fitted()
    other._planned = replace(planned, seed=seed, source=replace(planned.source, seed=seed))
    other._maps = {}
    return other


def network(module: ModuleType, rows: Matrix, kernel: str, depth: int) -> Matrix:
    """The exact NNGP or NTK by layers of the module's dual kernels at any variances."""
    covariance = rows @ rows.T
    tangent = covariance.copy()
    for _ in range(depth):
        scale = np.sqrt(np.diag(covariance))
        limit = np.outer(scale, scale)
        variances = np.broadcast_to(scale[:, None] ** 2, covariance.shape)
        cross = np.clip(covariance, -limit, limit)
        slope = module.dual_dot(variances, cross, variances.T)
        covariance = module.dual(variances, cross, variances.T)
        tangent = covariance + slope * tangent
    return np.asarray(tangent if kernel == "ntk" else covariance)
