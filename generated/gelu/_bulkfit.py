# Part of the runtime that kernelc copies, unchanged, into every module it generates.
"""The polynomial of `_bulk`, fitted at call time to the network itself at pairs of chosen norms and angles.

Part of every generated package, copied verbatim; it needs NumPy alone.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ._bulk import SIDE, Bulk
from ._bulknorms import many_norms
from ._bulksamples import (
    ALLOWED,
    APART,
    CHECKED,
    DROPPED,
    LARGEST,
    PILOT,
    Range,
    better_variable,
    network_sampler,
    one_parity,
    splits,
    spread_shares,
)
from ._inputs import DoubleArray, FloatArray
from ._interpolation import kept, monomial_is_safe, to_monomial, transform
from ._layers import Network, RowState, common_value, hidden_layers
from ._sources import Source, common_scale


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
    low, high = math.cos(min(angles[1], math.pi - APART)), math.cos(max(angles[0], APART))
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
        fit = many_norms(source, network, norms, (low, high), one.size * other.size, dtype)
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


def _diagonal(source: Source, network: Network, scales: DoubleArray) -> DoubleArray:
    """What the sampler's function is at rho = 1 and equal scales."""
    layers = hidden_layers(source, network, scales)
    if not network.tangent:
        return np.ones_like(scales)
    ratio = np.ones_like(scales)
    for layer in layers[:-1]:
        ratio = 1.0 + np.cos(layer.angles) ** 2 * (layer.slopes / source.unit) * ratio
    return 1.0 + layers[-1].slopes / source.unit * ratio


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
    sample = network_sampler(source, network, scales)
    rows = np.zeros(PILOT, dtype=np.intp)
    largest = float(_diagonal(source, network, scales)[0])
    found: dict[bool, DoubleArray] = {}
    for angular in (False, True):
        values = sample(rows, rows, Range(*reach, angular).nodes(PILOT))
        if values is None:
            return None
        coefficients = transform(PILOT) @ values
        count = kept(np.abs(coefficients), max(DROPPED[dtype], source.noise) * largest)
        found[angular] = coefficients[:count]
    better = better_variable({key: len(row) for key, row in found.items()})
    if better is None:
        return None
    where, row = Range(*reach, better), found[better]
    if not monomial_is_safe(np.abs(row)):
        return None
    low, high = where.served
    rho = low + (high - low) * spread_shares(CHECKED, 2.0)
    truth = sample(np.zeros(CHECKED, dtype=np.intp), np.zeros(CHECKED, dtype=np.intp), rho)
    allowed = max(ALLOWED[dtype], 10.0 * source.noise) * largest
    if truth is None or not float(np.abs(where.basis(rho, len(row)) @ row - truth).max()) <= allowed:
        return None
    return _finished(source, network, where, row, (left, right), DROPPED[dtype] * largest)


def _finished(
    source: Source,
    network: Network,
    where: Range,
    row: DoubleArray,
    states: tuple[RowState, RowState],
    dropped: float,
) -> Bulk | None:
    """Chebyshev coefficients of one function of rho as powers of z, with the rows' weight and b^2 where it is one."""
    left, right = states
    low, high = where.ends
    middle, half = 0.5 * (low + high), 0.5 * (high - low)
    split = splits([abs(value) for value in row], middle, dropped)
    if split:
        row = one_parity(row, dropped)
    powers = to_monomial(row) / half ** np.arange(len(row))
    weight = common_value(left.last, right.last)
    powers = powers * source.unit * (1.0 if weight is None else weight * weight)
    if weight is not None:
        powers[0] += network.bias**2
    if not float(np.abs(powers).max()) < LARGEST:
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


def _short(values: list[float]) -> tuple[float, ...]:
    """Without zeros at the end."""
    while values and values[-1] == 0.0:
        values = values[:-1]
    return tuple(values)
