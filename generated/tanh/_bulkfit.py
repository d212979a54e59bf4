# Part of the runtime that kernelc copies, unchanged, into every module it generates.
"""The polynomial of `_bulk`, fitted at call time to the network itself at pairs of chosen norms and angles.

Part of every generated package, copied verbatim; it needs NumPy alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ._bulk import PRODUCT, SIDE, Bulk
from ._inputs import DoubleArray, FloatArray
from ._interpolation import basis, kept, monomial_is_safe, nodes, to_monomial, transform
from ._layers import Network, RowState, common_value, hidden_layers
from ._sources import LayerRows, Source, common_scale

#: Samples of a pilot in each variable; with more terms than the limits there is no polynomial.
_PILOT, _MOST_NORMS, _MOST_TERMS = 44, 40, 40
#: A few norms at which the pilot runs along the angles; norms and angles at which it runs along the norms.
_LINES, _COLUMNS = 3, (5, 4)
#: With no more terms than this in rho, theta is not tried.
_FEW_TERMS = 14
#: No coefficient of a power of z may be larger.
_LARGEST = 1e30
#: What dropped terms may add up to, and what the finished polynomial may differ by from the network at points
#: between its nodes, both relative to the diagonal.
_DROPPED = {np.dtype(np.float64): 4e-14, np.dtype(np.float32): 2e-8}
_ALLOWED = {np.dtype(np.float64): 3e-13, np.dtype(np.float32): 2e-7}
#: z is at most this at the ends of its range, so that its powers stay in the range of float32.
_LEAST = 0.125
#: In every layer the angles keep this distance from 0 and pi, where a kinked sigma is not smooth in rho.
_APART = 0.05
#: arccos costs as much as this many terms.
_ARCCOS = 4
#: Pairs of the matrix for which one sample of one layer may be spent on functions of the norms.
_PAIRS_A_SAMPLE = 64

Indices = npt.NDArray[np.intp]
#: Both rows and rho (k,) of pairs -> K / (w^2 R_i R_j), (k,), or None where that is not smooth or not finite.
Sampler = Callable[[Indices, Indices, DoubleArray], DoubleArray | None]


@dataclass(frozen=True, slots=True)
class _Range:
    """Where pairs lie: z = rho - middle or theta - middle in [-half, half]."""

    low: float
    high: float
    angular: bool

    @property
    def served(self) -> tuple[float, float]:
        """All rho that the polynomial is good at."""
        low, high = self.ends
        return (math.cos(high), math.cos(low)) if self.angular else (low, high)

    @property
    def ends(self) -> tuple[float, float]:
        """The range of rho or theta, widened to a symmetric or not too narrow one where there is room."""
        low, high = (math.acos(self.high), math.acos(self.low)) if self.angular else (self.low, self.high)
        if not self.angular and low < 0.0 < high and max(-low, high) < 1.25 * 0.5 * (high - low):
            high = max(-low, high)
            low = -high
        middle, half = 0.5 * (low + high), 0.5 * (high - low)
        least, most = (_APART, math.pi - _APART) if self.angular else (-math.cos(_APART), math.cos(_APART))
        half = min(max(half, _LEAST), max(half, min(middle - least, most - middle)))
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
        low=fit.range.served[0],
        high=fit.range.served[1],
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


def _sampler(source: Source, network: Network, scales: DoubleArray) -> Sampler:
    """K without b^2 of single pairs of rows with these first-layer `scales`, through all layers in float64."""
    # the rows' own slopes are not needed
    layers = hidden_layers(source, replace(network, tangent=False), scales)

    def sample(one: Indices, other: Indices, rho: DoubleArray) -> DoubleArray | None:
        ratio, value = rho, np.zeros_like(rho)
        for index, rows in enumerate(layers):
            a, b = _chosen(rows, one), _chosen(rows, other)
            theta = np.arccos(np.clip(rho, -1.0, 1.0))
            if not bool(((theta > 0.5 * _APART) & (theta < np.pi - 0.5 * _APART)).all()):
                return None
            value, slope = source.pair_values(a, b, theta, network.tangent)
            if index + 1 < network.depth:
                turn = np.cos(a.angles) * np.cos(b.angles)
                rho = turn * value + np.sin(a.angles) * np.sin(b.angles)
                ratio = turn * slope * ratio + rho
        result = value + slope * ratio if network.tangent else value
        return result if bool(np.isfinite(result).all()) else None

    return sample


def _chosen(rows: LayerRows, where: Indices) -> LayerRows:
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
    scales = np.array([scale])
    sample = _sampler(source, network, scales)
    rows = np.zeros(_PILOT, dtype=np.intp)
    largest = float(_diagonal(source, network, scales)[0])
    found: dict[bool, DoubleArray] = {}
    for angular in (False, True):
        values = sample(rows, rows, _Range(*reach, angular).nodes(_PILOT))
        if values is None:
            return None
        coefficients = transform(_PILOT) @ values
        count = kept(np.abs(coefficients), max(_DROPPED[dtype], source.noise) * largest)
        found[angular] = coefficients[:count]
    better = _choose({key: len(row) for key, row in found.items()})
    if better is None:
        return None
    where, row = _Range(*reach, better), found[better]
    if not monomial_is_safe(np.abs(row)):
        return None
    rho = reach[0] + (reach[1] - reach[0]) * _spread_shares()[0]
    truth = sample(rows, rows, rho)
    allowed = max(_ALLOWED[dtype], 10.0 * source.noise) * largest
    if truth is None or not float(np.abs(where.basis(rho, len(row)) @ row - truth).max()) <= allowed:
        return None
    return _finished(source, network, where, row, (left, right), _DROPPED[dtype] * largest)


def _finished(
    source: Source,
    network: Network,
    where: _Range,
    row: DoubleArray,
    states: tuple[RowState, RowState],
    dropped: float,
) -> Bulk | None:
    """Chebyshev coefficients of one function of rho as powers of z, with the rows' weight and b^2 where it is one."""
    left, right = states
    low, high = where.ends
    middle, half = 0.5 * (low + high), 0.5 * (high - low)
    split = _splits([abs(value) for value in row], middle, dropped)
    if split:
        row = _parity(row, dropped)
    powers = to_monomial(row) / half ** np.arange(len(row))
    weight = common_value(left.last, right.last)
    powers = powers * source.unit * (1.0 if weight is None else weight * weight)
    if weight is not None:
        powers[0] += network.bias**2
    if not float(np.abs(powers).max()) < _LARGEST:
        return None
    literals = [float(value) for value in powers]
    even, odd = (literals[::2], literals[1::2]) if split else (literals, [])
    everywhere = [np.ones(len(state.last), dtype=np.bool_) for state in states]
    return Bulk(
        low=where.served[0],
        high=where.served[1],
        angular=where.angular,
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
        result = np.empty((len(scales), self.combine.shape[1]))
        # in pieces for which BLAS starts no threads: they keep a core busy for a while when they are done
        step = max(1, PRODUCT // self.combine.size)
        for start in range(0, len(scales), step):
            part = basis(
                math.log(self.norms[0]), math.log(self.norms[1]), logs[start : start + step], len(self.combine)
            )
            np.matmul(part, self.combine, out=result[start : start + step])
        return result


@dataclass(frozen=True, slots=True)
class _Checks:
    """The network at points between the nodes of a fit, (k,) each."""

    one: DoubleArray
    other: DoubleArray
    rho: DoubleArray
    truth: DoubleArray

    def agree(self, fit: _Fit, core: DoubleArray, allowed: float) -> bool:
        """Whether the fit is the network there."""
        rows, columns = fit.rows(self.one), fit.rows(self.other)
        found = np.einsum("kab,na,nb,nk->n", core, rows, columns, fit.range.basis(self.rho, len(core)))
        return bool(float(np.abs(found - self.truth).max()) <= allowed * max(1.0, float(np.abs(self.truth).max())))


def _many_norms(
    source: Source,
    network: Network,
    norms: tuple[float, float],
    reach: tuple[float, float],
    entries: int,
    dtype: np.dtype[Any],
) -> _Fit | None:
    """A function of rho and two norms."""
    grid = nodes(math.log(norms[0]), math.log(norms[1]), _PILOT)
    shares = _spread_shares()
    between = [norms[0] * (norms[1] / norms[0]) ** share for share in shares[:2]]
    sample = _sampler(source, network, np.concatenate([np.exp(grid), *between]))
    dropped = max(_DROPPED[dtype], source.noise)
    pilot = _pilot(sample, reach, dropped)
    if pilot is None:
        return None
    angular, terms, combine = pilot
    rank = combine.shape[1]
    if rank * (rank + 1) // 2 * terms * network.depth * _PAIRS_A_SAMPLE > entries:
        return None
    where = _Range(*reach, angular)
    # F is interpolated at as many norms as there are functions, and looked at between all nodes
    functions = basis(-1.0, 1.0, nodes(-1.0, 1.0, _PILOT), len(combine)) @ combine
    chosen = _pivots(functions)
    row, column = np.triu_indices(rank)
    places = _PILOT + np.arange(_PILOT)
    rho = where.low + (where.high - where.low) * shares[2]
    values = sample(
        np.append(np.repeat(chosen[row], terms), places),
        np.append(np.repeat(chosen[column], terms), places + _PILOT),
        np.append(np.tile(where.nodes(terms), row.size), rho),
    )
    if values is None:
        return None
    cube = np.empty((rank, rank, terms))
    cube[row, column] = values[: -places.size].reshape(-1, terms)
    cube[column, row] = cube[row, column]
    inverse = np.linalg.inv(functions[chosen])
    core: DoubleArray = inverse @ np.moveaxis(cube @ transform(terms).T, 2, 0) @ inverse.T
    checks = _Checks(between[0], between[1], rho, values[-places.size :])
    return _reduced(checks, where, norms, combine, core, dropped, max(_ALLOWED[dtype], 10.0 * source.noise))


def _spread_shares() -> list[DoubleArray]:
    """Three shares in [0, 1) of as many points as the pilot has: multiples of irrational numbers fill a cube evenly."""
    steps = np.arange(1, _PILOT + 1)
    return [np.fmod(steps * math.sqrt(factor), 1.0, dtype=np.float64) for factor in (2.0, 3.0, 5.0)]


def _pilot(sample: Sampler, reach: tuple[float, float], dropped: float) -> tuple[bool, int, DoubleArray] | None:
    """The better variable of the angle, how many terms it needs, and functions U of the norm; None for too many.

    U (m, r): Chebyshev coefficients in log s of functions that span those of one norm at a few others and angles.
    """
    few, columns = (np.linspace(0, _PILOT - 1, count).astype(np.intp) for count in (_LINES, _COLUMNS[0]))
    row, column = np.triu_indices(_LINES)
    lines = np.repeat(few[row], _PILOT), np.repeat(few[column], _PILOT)
    grids = np.meshgrid(np.arange(_PILOT), columns, nodes(*reach, _COLUMNS[1]), indexing="ij")
    one, other, across = (grid.reshape(-1) for grid in grids)
    values = sample(
        np.append(lines[0], one),
        np.append(lines[1], other),
        np.append(np.tile(_Range(*reach, False).nodes(_PILOT), row.size), across),
    )
    if values is None:
        return None
    split = lines[0].size
    sizes = {False: _terms(values[:split], dropped)}
    sizes[True] = sizes[False]
    if sizes[False] > _FEW_TERMS:
        again = sample(*lines, np.tile(_Range(*reach, True).nodes(_PILOT), row.size))
        sizes[True] = _MOST_TERMS + 1 if again is None else _terms(again, dropped)
    angular = _choose(sizes)
    coefficients = transform(_PILOT) @ values[split:].reshape(_PILOT, -1)
    m = kept(np.abs(coefficients).max(axis=1), dropped)
    vectors, singular, _ = np.linalg.svd(coefficients[:m], full_matrices=False)
    rank = kept(singular, 0.5 * dropped)
    if angular is None or m > _MOST_NORMS or rank >= coefficients.shape[1]:
        return None
    return angular, sizes[angular] + 1, vectors[:, :rank]


def _terms(values: DoubleArray, dropped: float) -> int:
    """How many Chebyshev terms values at the pilot's nodes need, line after line."""
    return kept(np.abs(values.reshape(-1, _PILOT) @ transform(_PILOT).T).max(axis=0), 2.0 * dropped)


def _pivots(functions: DoubleArray) -> Indices:
    """Rows of (n, r) at which interpolation by the columns is stable: one by one where the rest is largest."""
    rest, chosen = functions.copy(), []
    for index in range(functions.shape[1]):
        row = int(np.abs(rest[:, index]).argmax())
        chosen.append(row)
        share = rest[row, index + 1 :] / rest[row, index]
        rest[:, index + 1 :] -= np.multiply.outer(rest[:, index], share)
    return np.array(chosen)


def _reduced(
    checks: _Checks,
    where: _Range,
    norms: tuple[float, float],
    combine: DoubleArray,
    core: DoubleArray,
    dropped: float,
    allowed: float,
) -> _Fit | None:
    """The fit without terms that do not matter; None where it does not agree with the network."""
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
    if not checks.agree(fit, core, allowed):
        return None
    powers = to_monomial(core) / (half ** np.arange(len(core)))[:, None, None]
    if not float(np.abs(powers).max()) < _LARGEST:
        return None
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
