# Part of the runtime that kernelc copies, unchanged, into every module it generates.
"""What the polynomials of `_bulk` are fitted to: the network itself at single pairs of rows, in float64.

Part of every generated package, copied verbatim; it needs NumPy alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from ._inputs import DoubleArray, Indices
from ._interpolation import basis, nodes
from ._layers import Network, hidden_layers
from ._sources import LayerRows, Source

#: Samples of a pilot in each variable.
PILOT = 44
#: Between its nodes a fit is compared with the network at so many norms, or angles.
CHECKED = 44
#: No coefficient of a power of z may be larger.
LARGEST = 1e30
#: What dropped terms may add up to, and what the finished polynomial may differ by from the network at points
#: between its nodes, both relative to the diagonal.
DROPPED = {np.dtype(np.float64): 4e-14, np.dtype(np.float32): 2e-8}
ALLOWED = {np.dtype(np.float64): 3e-13, np.dtype(np.float32): 2e-7}
#: In every layer the angles keep this distance from 0 and pi, where a kinked sigma is not smooth in rho.
APART = 0.05
#: With more terms than this there is no polynomial; arccos costs as much as `_ARCCOS` terms.
MOST_TERMS, _ARCCOS = 40, 4
#: z is at most this at the ends of its range, so that its powers stay in the range of float32.
_LEAST = 0.125

#: Both rows and rho (k,) of pairs -> K / (w^2 R_i R_j), (k,), or None where that is not smooth or not finite.
Sampler = Callable[[Indices, Indices, DoubleArray], DoubleArray | None]


@dataclass(frozen=True, slots=True)
class Range:
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
        least, most = (APART, math.pi - APART) if self.angular else (-math.cos(APART), math.cos(APART))
        half = min(max(half, _LEAST), max(half, min(middle - least, most - middle)))
        return middle - half, middle + half

    def nodes(self, count: int) -> DoubleArray:
        """Chebyshev points as rho."""
        points = nodes(*self.ends, count)
        return np.cos(points) if self.angular else points

    def basis(self, rho: DoubleArray, count: int) -> DoubleArray:
        """T_0 .. T_{count - 1} at rho (k,), (k, count)."""
        return basis(*self.ends, np.arccos(rho) if self.angular else rho, count)


def network_sampler(source: Source, network: Network, scales: DoubleArray) -> Sampler:
    """K without b^2 of single pairs of rows with these first-layer `scales`, through all layers in float64."""
    # the rows' own slopes are not needed
    layers = hidden_layers(source, replace(network, tangent=False), scales)

    def sample(one: Indices, other: Indices, rho: DoubleArray) -> DoubleArray | None:
        ratio, value = rho, np.zeros_like(rho)
        for index, rows in enumerate(layers):
            a, b = _chosen(rows, one), _chosen(rows, other)
            theta = np.arccos(np.clip(rho, -1.0, 1.0))
            if not bool(((theta > 0.5 * APART) & (theta < np.pi - 0.5 * APART)).all()):
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


def spread_shares(count: int, factor: float) -> DoubleArray:
    """`count` numbers from 0 to 1, both among them, denser at the ends, where a polynomial errs first."""
    # multiples of an irrational number fill the interval evenly, and independently of those of another
    shares = np.fmod(np.arange(1, count + 1) * math.sqrt(factor), 1.0, dtype=np.float64)
    shares[np.argsort(shares)[[0, -1]]] = 0.0, 1.0
    result: DoubleArray = 0.5 - 0.5 * np.cos(np.pi * shares)
    return result


def better_variable(sizes: dict[bool, int]) -> bool | None:
    """Whether theta is the better variable, from the terms that both need; None where both need too many."""
    angular = sizes[True] + _ARCCOS < sizes[False]
    return angular if sizes[angular] <= MOST_TERMS else None


def splits(sizes: list[float], middle: float, dropped: float) -> bool:
    """Whether even and odd powers apart cost less: about z = 0, where one kind ends early."""
    if middle != 0.0 or len(sizes) < 6:
        return False
    return min(sum(sizes[2::2]) + sizes[0], sum(sizes[3::2])) <= dropped


def one_parity(row: DoubleArray, dropped: float) -> DoubleArray:
    """`row` (k, ...) without what is negligible of one parity."""
    row = row.copy()
    if float(np.abs(row[3::2]).sum()) <= dropped:
        row[3::2] = 0.0
    if float(np.abs(row[::2]).sum()) <= dropped:
        row[::2] = 0.0
    return row
