# Part of the runtime that kernelc copies, unchanged, into every module it generates.
"""The polynomial of `_bulk`, fitted at call time to the network itself at pairs of chosen norms and angles.

Part of every generated package, copied verbatim; it needs NumPy alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ._bulk import SIDE, Bulk
from ._inputs import DoubleArray, FloatArray
from ._interpolation import basis, kept, monomial_is_safe, nodes, to_monomial, transform
from ._layers import LayerRows, Network, RowState, common_value, hidden_layers
from ._sources import Source, common_scale

#: Samples of a pilot in each variable; with more terms than the limits there is no polynomial.
_PILOT, _MOST_NORMS, _MOST_TERMS = 48, 44, 40
#: A few norms and angles at which the pilot runs along the other variable.
_LINES = 3
#: What dropped terms may add up to, and what the finished polynomial may differ by from the network at points
#: between its nodes, both relative to the diagonal.
_DROPPED = {np.dtype(np.float64): 2e-14, np.dtype(np.float32): 1e-8}
_ALLOWED = {np.dtype(np.float64): 2e-13, np.dtype(np.float32): 1e-7}
#: z is at most this at the ends of its range, so that its powers stay in the range of float32.
_LEAST = 0.125
#: In every layer the angles keep this distance from 0 and pi, where a kinked sigma is not smooth in rho.
_APART = 0.05
#: arccos costs as much as this many terms.
_ARCCOS = 4
#: Pairs of the matrix for which one sample of one layer may be spent on functions of the norms.
_PAIRS_A_SAMPLE = 64

#: s, s', rho (k,) of pairs -> K over the geometric mean of its diagonal's leading factors, (k,), or None.
Sampler = Callable[[DoubleArray, DoubleArray, DoubleArray], DoubleArray | None]


@dataclass(frozen=True, slots=True)
class _Range:
    """Where pairs lie: z = rho - middle or theta - middle in [-half, half]."""

    low: float
    high: float
    angular: bool

    @property
    def ends(self) -> tuple[float, float]:
        """The range of rho or theta, widened to a symmetric or not too narrow one."""
        low, high = (math.acos(self.high), math.acos(self.low)) if self.angular else (self.low, self.high)
        if not self.angular and low < 0.0 < high and max(-low, high) < 1.25 * 0.5 * (high - low):
            high = max(-low, high)
            low = -high
        middle, half = 0.5 * (low + high), max(0.5 * (high - low), _LEAST)
        return middle - half, middle + half

    def nodes(self, count: int) -> DoubleArray:
        """Chebyshev points as rho."""
        points = nodes(*self.ends, count)
        return np.cos(points) if self.angular else points

    def basis(self, rho: DoubleArray, count: int) -> DoubleArray:
        """T_0 .. T_{count - 1} at rho (k,), (k, count)."""
        return basis(*self.ends, np.arccos(rho) if self.angular else rho, count)


def make_bulk(
    source: Source,
    network: Network,
    left: RowState,
    right: RowState,
    angles: tuple[float, float],
    homogeneous: bool,
    dtype: np.dtype[Any],
) -> Bulk | None:
    """The polynomial for pairs with theta in `angles`; None where none is short and exact enough.

    `homogeneous`: the network of rows of any norms is one function of rho times the rows' own weights.
    """
    low, high = math.cos(min(angles[1], math.pi - _APART)), math.cos(max(angles[0], _APART))
    if not low < high:
        return None
    one, other = (state.layers[0].scales for state in (left, right))
    common = 1.0 if homogeneous else common_scale(one, other, dtype)
    if common == 0.0:
        return None
    symmetric = left is right
    if common is not None:
        return _one_norm(source, network, common, (low, high), left, right, dtype)
    scales = np.concatenate([one, other])
    for norms in _norm_ranges(scales[scales > 0.0]):
        fit = _many_norms(source, network, norms, (low, high), one.size * other.size, dtype)
        if fit is not None:
            break
    else:
        return None
    factor = math.sqrt(source.unit)
    rows = fit.rows(one) * (left.last * factor)[:, None]
    columns = rows if symmetric else fit.rows(other) * (right.last * factor)[:, None]
    inside = [(s >= norms[0]) & (s <= norms[1]) for s in (one, other)]
    return Bulk(
        low=low,
        high=high,
        angular=fit.range.angular,
        middle=fit.middle,
        split=fit.split,
        even=tuple(core.astype(dtype) for core in fit.even),
        odd=tuple(core.astype(dtype) for core in fit.odd),
        left=_padded(rows, dtype),
        right=np.ascontiguousarray(_padded(columns, dtype).T),
        left_inside=inside[0],
        right_inside=inside[1],
        symmetric=symmetric,
    )


def _padded(rows: DoubleArray, dtype: np.dtype[Any]) -> FloatArray:
    """(n, r) with zero rows up to a whole number of squares."""
    result = np.zeros((-(-len(rows) // SIDE) * SIDE, rows.shape[1]), dtype=dtype)
    result[: len(rows)] = rows
    return result


def _norm_ranges(scales: DoubleArray) -> list[tuple[float, float]]:
    """Ranges of s to be tried: all of them, then without the farthest rows."""
    if not scales.size:
        return []
    middle = float(np.median(scales))
    low, high = float(scales.min()), float(scales.max())
    narrow = max(low, middle / 4.0), min(high, middle * 4.0)
    return [(low, high)] if narrow == (low, high) else [(low, high), narrow]


def _sampler(source: Source, network: Network) -> Sampler:
    """K / (w^2 R_i R_j) of single pairs of first-layer scales, without b^2, through all layers in float64."""

    def sample(one: DoubleArray, other: DoubleArray, rho: DoubleArray) -> DoubleArray | None:
        scales, where = np.unique(np.concatenate([one, other]), return_inverse=True)
        ratio, value = rho, np.zeros_like(rho)
        for index, rows in enumerate(hidden_layers(source, network, scales)):
            a, b = (_chosen(rows, part) for part in (where[: one.size], where[one.size :]))
            theta = np.arccos(np.clip(rho, -1.0, 1.0))
            if not bool(((theta > 0.5 * _APART) & (theta < np.pi - 0.5 * _APART)).all()):
                return None
            value, slope = source.pair_values(a, b, theta, network.tangent)
            if index + 1 < network.depth:
                turn = np.cos(a.angles) * np.cos(b.angles)
                rho = turn * value + np.sin(a.angles) * np.sin(b.angles)
                ratio = turn * slope * ratio + rho
        return value + slope * ratio if network.tangent else value

    return sample


def _chosen(rows: LayerRows, where: npt.NDArray[np.intp]) -> LayerRows:
    return LayerRows(rows.scales[where], rows.powers[where], rows.slopes[where], rows.angles[where])


def _diagonal(source: Source, network: Network, scales: DoubleArray) -> DoubleArray:
    """What the sampler's function is at rho = 1 and equal scales."""
    layers = hidden_layers(source, network, scales)
    if not network.tangent:
        return np.ones_like(scales)
    ratio = np.ones_like(scales)
    for layer in layers[:-1]:
        ratio = 1.0 + np.cos(layer.angles) ** 2 * (layer.slopes / source.unit) * ratio
    return 1.0 + layers[-1].slopes / source.unit * ratio


def _choose(sizes: dict[bool, int]) -> bool | None:
    """Whether theta is the better variable, from the terms that both need; None where both need too many."""
    angular = sizes[True] + _ARCCOS < sizes[False]
    return angular if sizes[angular] <= _MOST_TERMS else None


def _one_norm(
    source: Source,
    network: Network,
    scale: float,
    reach: tuple[float, float],
    left: RowState,
    right: RowState,
    dtype: np.dtype[Any],
) -> Bulk | None:
    """One function of rho."""
    sample = _sampler(source, network)
    rows = np.full(_PILOT, scale)
    largest = float(_diagonal(source, network, rows[:1])[0])
    found: dict[bool, DoubleArray] = {}
    for angular in (False, True):
        values = sample(rows, rows, _Range(*reach, angular).nodes(_PILOT))
        if values is None or not bool(np.isfinite(values).all()):
            return None
        coefficients = transform(_PILOT) @ values
        count = kept(np.abs(coefficients), max(_DROPPED[dtype], source.noise) * largest)
        found[angular] = coefficients[:count]
    angular = _choose({key: len(row) for key, row in found.items()})
    if angular is None:
        return None
    where, row = _Range(*reach, angular), found[angular]
    if not monomial_is_safe(np.abs(row)):
        return None
    shares = (np.arange(1, _PILOT + 1) * math.sqrt(2.0)) % 1.0
    rho = reach[0] + (reach[1] - reach[0]) * shares
    truth = sample(rows, rows, rho)
    allowed = max(_ALLOWED[dtype], 10.0 * source.noise) * largest
    if truth is None or not float(np.abs(where.basis(rho, len(row)) @ row - truth).max()) <= allowed:
        return None
    low, high = where.ends
    middle, half = 0.5 * (low + high), 0.5 * (high - low)
    split = _splits([abs(value) for value in row], middle, _DROPPED[dtype] * largest)
    if split:
        row = _parity(row, _DROPPED[dtype] * largest)
    powers = to_monomial(row) / half ** np.arange(len(row))
    weight = common_value(left.last, right.last)
    powers = powers * source.unit * (1.0 if weight is None else weight * weight)
    if weight is not None:
        powers[0] += network.bias**2
    if not float(np.abs(powers).max()) < 1e30:
        return None
    literals = [float(value) for value in powers]
    even, odd = (literals[::2], literals[1::2]) if split else (literals, [])
    everywhere = [np.ones(len(state.last), dtype=np.bool_) for state in (left, right)]
    return Bulk(
        low=reach[0],
        high=reach[1],
        angular=angular,
        middle=middle,
        split=split,
        even=_short(even) if split else tuple(even),
        odd=_short(odd),
        left=None,
        right=None,
        left_inside=everywhere[0],
        right_inside=everywhere[1],
        symmetric=left is right,
    )


def _splits(sizes: list[float], middle: float, dropped: float) -> bool:
    """Whether even and odd powers apart cost less: about z = 0, where one kind ends early."""
    if middle != 0.0 or len(sizes) < 6:
        return False
    return min(sum(sizes[2::2]) + sizes[0], sum(sizes[3::2])) <= dropped


def _parity(row: DoubleArray, dropped: float) -> DoubleArray:
    """`row` (k, ...) without what is negligible of one parity."""
    row = row.copy()
    if float(np.abs(row[3::2]).sum()) <= dropped:
        row[3::2] = 0.0
    if float(np.abs(row[::2]).sum()) <= dropped:
        row[::2] = 0.0
    return row


def _short(values: list[float]) -> tuple[float, ...]:
    """Without zeros at the end."""
    while values and values[-1] == 0.0:
        values = values[:-1]
    return tuple(values)


@dataclass(frozen=True, slots=True)
class _Fit:
    """A fit over norms: U as combinations of Chebyshev polynomials in log s, (m, r); cores as in `Bulk`."""

    norms: tuple[float, float]
    range: _Range
    combine: DoubleArray
    middle: float
    split: bool
    even: tuple[DoubleArray, ...]
    odd: tuple[DoubleArray, ...]

    def rows(self, scales: DoubleArray) -> DoubleArray:
        """U of rows, (n, r)."""
        logs = np.log(np.clip(scales, *self.norms))
        return basis(math.log(self.norms[0]), math.log(self.norms[1]), logs, len(self.combine)) @ self.combine


def _lines(sample: Sampler, where: _Range, norms: tuple[float, float]) -> tuple[DoubleArray, DoubleArray] | None:
    """Sizes of Chebyshev terms in log s and in the angle's variable, the largest over a few lines, (pilot,) each."""
    logs = math.log(norms[0]), math.log(norms[1])
    few_s, few_rho = np.exp(np.linspace(*logs, _LINES)), np.linspace(where.low, where.high, _LINES)
    matrix = transform(_PILOT)
    results = []
    for grids in (
        (np.exp(nodes(*logs, _PILOT)), few_s, few_rho),
        (few_s, few_s, where.nodes(_PILOT)),
    ):
        one, other, rho = (np.ravel(grid) for grid in np.meshgrid(*grids, indexing="ij"))
        values = sample(one, other, rho)
        if values is None or not bool(np.isfinite(values).all()):
            return None
        cube = values.reshape([len(grid) for grid in grids])
        axis = 0 if len(results) == 0 else 2
        sizes = np.abs(np.tensordot(matrix, np.moveaxis(cube, axis, 0), 1))
        results.append(sizes.reshape(_PILOT, -1).max(axis=1))
    return results[0], results[1]


def _many_norms(
    source: Source,
    network: Network,
    norms: tuple[float, float],
    reach: tuple[float, float],
    entries: int,
    dtype: np.dtype[Any],
) -> _Fit | None:
    """A function of rho and two norms."""
    sample = _sampler(source, network)
    dropped = max(_DROPPED[dtype], source.noise)
    sizes: dict[bool, int] = {}
    count = 1
    for angular in (False, True):
        lines = _lines(sample, _Range(*reach, angular), norms)
        if lines is None:
            return None
        count = kept(lines[0], 2.0 * dropped)
        sizes[angular] = kept(lines[1], 2.0 * dropped)
        if not angular and sizes[False] <= _ARCCOS + 8:
            sizes[True] = sizes[False]
            break
    chosen = _choose(sizes)
    if chosen is None or count > _MOST_NORMS:
        return None
    m, k = count + 1, sizes[chosen] + 1
    if m * (m + 1) // 2 * k * network.depth * _PAIRS_A_SAMPLE > entries:
        return None
    where = _Range(*reach, chosen)
    tensor = _tensor(sample, where, norms, (m, k))
    if tensor is None:
        return None
    return _reduced(sample, where, norms, tensor, dropped, max(_ALLOWED[dtype], 10.0 * source.noise))


def _tensor(
    sample: Sampler, where: _Range, norms: tuple[float, float], terms: tuple[int, int]
) -> DoubleArray | None:
    """Chebyshev coefficients (k, m, m) in the angle's variable and both logarithms of norms."""
    m, k = terms
    s, rho = np.exp(nodes(math.log(norms[0]), math.log(norms[1]), m)), where.nodes(k)
    row, column = np.triu_indices(m)
    values = sample(np.repeat(s[row], k), np.repeat(s[column], k), np.tile(rho, len(row)))
    if values is None or not bool(np.isfinite(values).all()):
        return None
    cube = np.empty((m, m, k))
    cube[row, column] = values.reshape(-1, k)
    cube[column, row] = values.reshape(-1, k)
    over_norms, over_angle = transform(m), transform(k)
    return np.einsum("kt,am,bn,mnt->kab", over_angle, over_norms, over_norms, cube, optimize=True)


def _reduced(
    sample: Sampler,
    where: _Range,
    norms: tuple[float, float],
    tensor: DoubleArray,
    dropped: float,
    allowed: float,
) -> _Fit | None:
    """The tensor with few functions of the norms; None where it does not agree with the network."""
    k, m, _ = tensor.shape
    stacked = tensor.transpose(1, 0, 2).reshape(m, -1)
    vectors, sizes, _ = np.linalg.svd(stacked, full_matrices=False)
    combine = vectors[:, : kept(sizes, dropped)]
    core = combine.T @ tensor @ combine
    core = 0.5 * (core + core.swapaxes(1, 2))
    weights = np.abs(core).sum(axis=(1, 2))
    core = core[: kept(weights, dropped)]
    weights = weights[: len(core)]
    if not monomial_is_safe(weights):
        return None
    low, high = where.ends
    middle, half = 0.5 * (low + high), 0.5 * (high - low)
    split = _splits([float(weight) for weight in weights], middle, dropped)
    if split:
        core = _parity(core, dropped)
    fit = _Fit(norms, where, combine, middle, split, (), ())
    if not _agrees(sample, fit, core, allowed):
        return None
    powers = to_monomial(core) / (half ** np.arange(len(core)))[:, None, None]
    cores = [_trimmed(power, dropped * half**-index) for index, power in enumerate(powers)]
    even, odd = (cores[::2], cores[1::2]) if split else (cores, [])
    return _Fit(norms, where, combine, middle, split, _nonzero(even) if split else tuple(even), _nonzero(odd))


def _trimmed(core: DoubleArray, dropped: float) -> DoubleArray:
    """The leading square of a matrix that holds all of it but `dropped`; (1, 1) at least."""
    outer = np.abs(core)
    size = len(core)
    while size > 1 and float(outer[size - 1 :, :].sum() + outer[: size - 1, size - 1 :].sum()) <= dropped:
        size -= 1
    return np.ascontiguousarray(core[:size, :size])


def _nonzero(cores: list[DoubleArray]) -> tuple[DoubleArray, ...]:
    """Without zeros at the end."""
    while cores and not cores[-1].any():
        cores = cores[:-1]
    return tuple(cores)


def _agrees(sample: Sampler, fit: _Fit, core: DoubleArray, allowed: float) -> bool:
    """Whether the fit is the network at points between its nodes."""
    steps = np.arange(1, _PILOT + 1)
    # fractions of multiples of irrational numbers fill the cube evenly
    shares = [(steps * factor) % 1.0 for factor in (math.sqrt(2.0), math.sqrt(3.0), math.sqrt(5.0))]
    one, other = (fit.norms[0] * (fit.norms[1] / fit.norms[0]) ** share for share in shares[:2])
    rho = fit.range.low + (fit.range.high - fit.range.low) * shares[2]
    truth = sample(one, other, rho)
    if truth is None:
        return False
    found = np.einsum("kab,na,nb,nk->n", core, fit.rows(one), fit.rows(other), fit.range.basis(rho, len(core)))
    return bool(float(np.abs(found - truth).max()) <= allowed * max(1.0, float(np.abs(truth).max())))
