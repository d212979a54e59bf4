# Part of the runtime that kernelc copies, unchanged, into every module it generates.
"""Which pairs of inputs a plan is made for: correlations with weights, and norms.

Part of every generated package, copied verbatim; it needs NumPy alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ._harmonics import sphere_grid
from ._inputs import DoubleArray
from ._radial import RadialSeries
from ._transforms import stream

#: Without knowledge of the data a plan keeps the degrees that inputs spread over this many dimensions call for:
#: real data lie near few dimensions whatever the number of columns, and a dropped degree cannot be seen later.
ASSUMED_DIMENSION = 4
_ISOTROPIC_POINTS = 256
_SAMPLE_ROWS = 400
_SAMPLE_PAIRS = 2000
_NORM_BINS = 8


@dataclass(frozen=True, slots=True)
class Pairs:
    """Correlations rho (n,) with weights that add up to 1, and for each the indices of its two norms in `norms`."""

    rho: DoubleArray
    weight: DoubleArray
    norms: DoubleArray
    first: npt.NDArray[np.intp]
    second: npt.NDArray[np.intp]
    label: str

    def mean(self, values: DoubleArray) -> float:
        """The weighted mean of values (n,)."""
        return float(np.sum(self.weight * values))


def isotropic_pairs(series: RadialSeries, dimension: int, label: str) -> Pairs:
    """Independent directions uniform on the sphere of R^dimension, norms spread evenly in log over the range."""
    rho, weight = sphere_grid(dimension, _ISOTROPIC_POINTS)
    if len(series.norms) == 1:
        none = np.zeros(len(rho), np.intp)
        return Pairs(rho, weight, series.norms, none, none, label)
    share = (np.arange(3) + 0.5) / 3
    left, right = math.log(series.low + series.shift), math.log(series.high + series.shift)
    norms = np.exp(left * (1 - share) + right * share) - series.shift
    first, second, index = (part.ravel() for part in np.meshgrid(range(3), range(3), range(len(rho)), indexing="ij"))
    return Pairs(rho[index], weight[index] / 9, norms, first, second, label)


def sample_pairs(series: RadialSeries, unit: DoubleArray, norms: DoubleArray, seed: int) -> Pairs | None:
    """Pairs of rows of a sample (n, d) of unit rows, with their norms (n,); None where there are no two rows.

    At most 400 rows and 2000 pairs of them are drawn. A row and itself make no pair.
    """
    generator = stream(seed, "sample")
    rows = generator.permutation(len(unit))[:_SAMPLE_ROWS]
    if len(rows) < 2:
        return None
    first, second = np.triu_indices(len(rows), 1)
    if len(first) > _SAMPLE_PAIRS:
        chosen = generator.integers(0, len(first), _SAMPLE_PAIRS)
        first, second = first[chosen], second[chosen]
    chosen_rows, chosen_norms = unit[rows], norms[rows]
    rho = np.clip(np.einsum("ij,ij->i", chosen_rows[first], chosen_rows[second]), -1.0, 1.0)
    label = f"{len(rows)} rows of the sample"
    if len(series.norms) == 1:
        scale = np.ones(len(rows)) if series.power is None else (chosen_norms / series.norms[0]) ** series.power
        weight = (scale[first] * scale[second]) ** 2
        none = np.zeros(len(rho), np.intp)
        return Pairs(rho, _normalised(weight), series.norms, none, none, label)
    edges = np.quantile(chosen_norms, (np.arange(_NORM_BINS) + 0.5) / _NORM_BINS)
    nearest = np.abs(chosen_norms[:, None] - edges[None, :]).argmin(axis=1)
    return Pairs(rho, np.full(len(rho), 1.0 / len(rho)), edges, nearest[first], nearest[second], label)


def _normalised(weight: DoubleArray) -> DoubleArray:
    total = float(weight.sum())
    result: DoubleArray = weight / total if total > 0.0 else np.full(len(weight), 1.0 / len(weight))
    return result


def kernel_at(series: RadialSeries, pairs: Pairs) -> DoubleArray:
    """The kernel at each pair (n,), g left out; what the held degrees lack is counted at its bound."""
    weights = series.weights(pairs.norms)
    table = np.einsum("sa,abk,tb->stk", weights, series.coefficients, weights)
    tail = np.sqrt(np.maximum(weights @ series.tail(), 0.0))
    powers = np.power(pairs.rho[:, None], np.arange(series.degree + 2)[None, :])
    lacking = tail[pairs.first] * tail[pairs.second] * powers[:, -1]
    value: DoubleArray = np.einsum("pk,pk->p", table[pairs.first, pairs.second], powers[:, :-1]) + lacking
    return value


def slope_at(series: RadialSeries, pairs: Pairs) -> DoubleArray:
    """The derivative in rho of the held series at each pair (n,)."""
    weights = series.weights(pairs.norms)
    order = np.arange(1, series.degree + 1)
    table = np.einsum("sa,abk,tb->stk", weights, series.coefficients[..., 1:] * order, weights)
    powers = np.power(pairs.rho[:, None], order[None, :] - 1)
    value: DoubleArray = np.einsum("pk,pk->p", table[pairs.first, pairs.second], powers)
    return value
