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

#: Without knowledge of the data a plan weighs inputs spread over this many dimensions against isotropic ones:
#: real data lie near few dimensions whatever the number of columns, and a dropped degree cannot be seen later.
ASSUMED_DIMENSION = 4
_ISOTROPIC_POINTS, _NORM_POINTS = 256, 7
#: A kernel is steep where g grows by this factor from this part of the range's end to the end.
_STEEP, _STEP = 30.0, 0.8
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
    """Independent directions uniform on the sphere of R^dimension, norms spread evenly in log over the range.

    Pairs count by the square of their size, and over a range a kernel's size may run over many orders: the norms are
    those of a Gauss rule that reaches near both ends.
    """
    if len(series.norms) == 1:
        rho, weight = sphere_grid(dimension, _ISOTROPIC_POINTS)
        none = np.zeros(len(rho), np.intp)
        return Pairs(rho, weight, series.norms, none, none, label)
    rho, weight = sphere_grid(dimension, _ISOTROPIC_POINTS // 2)
    place, share = np.polynomial.legendre.leggauss(_NORM_POINTS)
    left, right = math.log(series.low + series.shift), math.log(series.high + series.shift)
    norms = np.exp((left + right) / 2 + (right - left) / 2 * place) - series.shift
    one, other = np.triu_indices(_NORM_POINTS)
    first, second, index = (
        np.repeat(one, len(rho)),
        np.repeat(other, len(rho)),
        np.tile(np.arange(len(rho)), len(one)),
    )
    size = _sizes(series, norms) * share
    each = weight[index] * size[first] * size[second] * np.where(first == second, 1.0, 2.0)
    return Pairs(rho[index], _normalised(each), norms, first, second, _label(series, label))


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
        size = _sizes(series, chosen_norms)
        none = np.zeros(len(rho), np.intp)
        return Pairs(rho, _normalised(size[first] * size[second]), series.norms, none, none, label)
    edges = np.quantile(chosen_norms, (np.arange(_NORM_BINS) + 0.5) / _NORM_BINS)
    nearest = np.abs(chosen_norms[:, None] - edges[None, :]).argmin(axis=1)
    size = np.ones(len(rows)) if series.linear else _sizes(series, chosen_norms)
    return Pairs(
        rho, _normalised(size[first] * size[second]), edges, nearest[first], nearest[second], _label(series, label)
    )


def is_steep(series: RadialSeries) -> bool:
    """Whether the kernel grows so fast over the range that a few rows at its end are all that counts.

    Errors are then predicted of the kernel over its size, K(x, y) / sqrt(K(x, x) K(y, y)).
    """
    if series.logs is None:
        return False
    below, end = series.growth(np.array([max(series.low, _STEP * series.high), series.high]))
    return bool(end > _STEEP * below)


def _label(series: RadialSeries, label: str) -> str:
    return f"{label}, the kernel over its size sqrt(K(x, x) K(y, y))" if is_steep(series) else label


def _sizes(series: RadialSeries, norms: DoubleArray) -> DoubleArray:
    """g(s)^2 relative to the largest: what a row adds to the square of the kernel."""
    if is_steep(series):
        return np.ones_like(norms)
    scale = series.growth(norms)
    largest = float(scale.max())
    sizes: DoubleArray = (scale / largest) ** 2 if largest > 0.0 else scale
    return sizes


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


def missed_at(series: RadialSeries, pairs: Pairs) -> DoubleArray:
    """What the series is wrong by between its nodes at each pair (n,), g left out, all coefficients' errors alike."""
    if series.missed is None:
        return np.zeros_like(pairs.rho)
    powers = np.power(np.abs(pairs.rho)[:, None], np.arange(len(series.missed))[None, :])
    value: DoubleArray = powers @ series.missed
    return value
