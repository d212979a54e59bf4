# Part of the runtime that kernelc copies, unchanged, into every module it generates.
"""Recentring: the same kernel about the mean direction of a sample, where data that point one way differ.

With mu the mean direction, x / |x| = cos(phi) mu + sin(phi) u, u a unit vector orthogonal to mu, so that

    rho = cos(phi) cos(phi') + sin(phi) sin(phi') <u, u'>,
    sum_k c_k rho^k = sum_j C_j(phi, phi') <u, u'>^j,
    C_j(phi, phi') = sum_{k >= j} c_k binom(k, j) (cos phi cos phi')^(k - j) (sin phi sin phi')^j

with every C_j positive semidefinite: the series over a range of "norms" again, phi in the place of the norm, in one
dimension less. Its factors are fitted where the sample's phi lie and stand for all phi (Nystrom's extension), so a
row that points elsewhere is only less well approximated. Part of every generated package; it needs NumPy alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from ._inputs import DoubleArray, FloatArray
from ._radial import RadialSeries

#: Chebyshev nodes over phi in [0, pi]: cos^a sin^b of degree a + b <= 66 are resolved to rounding.
_NODES = 112
#: The share of the measure that is spread evenly over all phi, so that no direction is forgotten.
_EVERYWHERE = 1e-3


@dataclass(frozen=True, slots=True)
class Centre:
    """The reflection that takes the mean direction to the first axis: x - 2 v <v, x>."""

    reflector: DoubleArray

    @classmethod
    def of(cls, unit: DoubleArray) -> Centre:
        """Of a sample of unit rows (n, d).

        Raises:
            ValueError: where the rows have no mean direction.
        """
        mean = unit.mean(axis=0)
        length = float(np.linalg.norm(mean))
        if not length > 1e-12:
            raise ValueError("recentre: the rows have no mean direction, recentring does nothing for them")
        v = mean / length
        v[0] -= 1.0
        size = float(np.linalg.norm(v))
        return cls(v / size if size > 1e-15 else np.zeros_like(v))

    def split(self, unit: FloatArray) -> tuple[FloatArray, DoubleArray]:
        """(u (n, d - 1) in the dtype of the rows, phi (n,)) of unit rows (n, d)."""
        v = self.reflector.astype(unit.dtype)
        turned = unit - (2.0 * (unit @ v))[:, None].astype(unit.dtype) * v
        rest = turned[:, 1:]
        length: DoubleArray = np.sqrt(np.einsum("ij,ij->i", rest, rest, dtype=np.float64))
        inverse = np.divide(1.0, length, out=np.zeros_like(length), where=length > 0.0)
        return rest * inverse.astype(unit.dtype)[:, None], np.arctan2(length, turned[:, 0].astype(np.float64))


def recentred(series: RadialSeries, angles: DoubleArray) -> RadialSeries:
    """The series in phi; `angles` (n,) are the sample's.

    Raises:
        ValueError: where the series itself depends on the norms.
    """
    if len(series.norms) > 1:
        raise ValueError(
            "recentre: it needs a homogeneous activation; with norms in a range, recentre is not available"
        )
    nodes = math.pi / 2 * (1.0 - np.cos((2.0 * np.arange(_NODES) + 1.0) * math.pi / (2 * _NODES)))
    values = series.coefficients[0, 0]
    along, across = np.outer(np.cos(nodes), np.cos(nodes)), np.outer(np.sin(nodes), np.sin(nodes))
    coefficients = np.empty((_NODES, _NODES, len(values)))
    for power in range(len(values)):
        total = np.zeros_like(along)
        for degree in range(len(values) - 1, power - 1, -1):
            total = total * along + values[degree] * math.comb(degree, power)
        coefficients[..., power] = total * across**power
    nearest = np.abs(angles[:, None] - nodes[None, :]).argmin(axis=1)
    counts = np.bincount(nearest, minlength=_NODES) / len(angles)
    return replace(
        series,
        norms=nodes,
        low=0.0,
        high=math.pi,
        coefficients=coefficients,
        at_one=np.full(_NODES, float(series.at_one[0])),
        linear=True,
        measure=(1.0 - _EVERYWHERE) * counts + _EVERYWHERE / _NODES,
    )
