# Part of the runtime that kernelc copies, unchanged, into every module it generates.
"""Zonal polynomials of the unit sphere in R^d: what turns a power series in rho = <x, y> into random features.

P_l is the Gegenbauer polynomial of degree l with P_l(1) = 1, N_l the dimension of the spherical harmonics of
degree l and p_l = sqrt(N_l) P_l. With a = (d - 2) / 2 (Dai, Xu, "Approximation Theory and Harmonic Analysis on
Spheres and Balls", 2013, section 1.2),

    rho P_l = ((l + 2a) P_{l+1} + l P_{l-1}) / (2 (l + a)),
    E_w[p_k(<w, x>) p_l(<w, y>)] = [k = l] P_l(<x, y>)          for w uniform on the sphere.

Part of every generated package, copied verbatim; it needs NumPy alone.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ._inputs import DoubleArray, FloatArray

#: Points of the quadrature over t = <w, x>; the integrands are polynomials clipped at 4 standard deviations.
GRID_POINTS = 2048
#: The grid reaches this many standard deviations 1 / sqrt(d); beyond lies less than 1e-30.
_GRID_REACH = 12.0


def last_degree(degree: int, dimension: int) -> int:
    """The last degree at most `degree` that has spherical harmonics: on the two points of R^1 that is 1."""
    return min(degree, 1) if dimension == 1 else degree


def gegenbauer_of_powers(degree: int, dimension: int) -> DoubleArray:
    """M (degree + 1, degree + 1) with rho^k = sum_l M[k, l] P_l(rho); all entries are >= 0, rows add up to 1."""
    half = (dimension - 2) / 2
    order = np.arange(degree + 1, dtype=np.float64)
    # a degree that has no harmonics (d = 1, l >= 2) is never reached: its weight l + 2a is 0 before it
    below = np.where(order + half > 0.0, 2.0 * (order + half), 1.0)
    up, down = (order + 2.0 * half) / below, order / below
    up[0], down[0] = 1.0, 0.0
    matrix = np.zeros((degree + 1, degree + 1))
    matrix[0, 0] = 1.0
    for k in range(degree):
        matrix[k + 1, 1:] = up[:-1] * matrix[k, :-1]
        matrix[k + 1, :-1] += down[1:] * matrix[k, 1:]
    return matrix


def zonal_values(degree: int, dimension: int, rho: DoubleArray) -> DoubleArray:
    """P_0..P_degree at `rho` (n,): (degree + 1, n). For d = 1 the degree is at most 1."""
    half = (dimension - 2) / 2
    values = np.empty((degree + 1, rho.size))
    values[0] = 1.0
    if degree:
        values[1] = rho
    for order in range(1, degree):
        ahead = 2.0 * (order + half) * rho * values[order] - order * values[order - 1]
        values[order + 1] = ahead / (order + 2.0 * half)
    return values


def _jacobi(degree: int, dimension: int) -> DoubleArray:
    """beta_1..beta_degree of z p_l = beta_{l+1} p_{l+1} + beta_l p_{l-1} in z = sqrt(d) t."""
    half = (dimension - 2) / 2
    order = np.arange(1.0, degree + 1.0)
    squared = np.ones(degree)
    ahead = order[1:]
    squared[1:] = dimension * ahead * (ahead - 1.0 + 2.0 * half) / (4.0 * (ahead - 1.0 + half) * (ahead + half))
    roots: DoubleArray = np.sqrt(squared)
    return roots


def orthonormal_coefficients(degree: int, dimension: int) -> DoubleArray:
    """Q (degree + 1, degree + 1) with p_l(z / sqrt(d)) = sum_j Q[l, j] z^j: near Hermite's polynomials for large d."""
    table = np.zeros((degree + 1, degree + 1))
    table[0, 0] = 1.0
    beta = _jacobi(degree, dimension)
    for order in range(degree):
        table[order + 1, 1:] = table[order, :-1]
        if order:
            table[order + 1] -= beta[order - 1] * table[order - 1]
        table[order + 1] /= beta[order]
    return table


def orthonormal_values(degree: int, dimension: int, z: DoubleArray) -> DoubleArray:
    """p_0..p_degree at t = z / sqrt(d): (degree + 1, n)."""
    values = np.empty((degree + 1, z.size))
    values[0] = 1.0
    beta = _jacobi(degree, dimension)
    for order in range(degree):
        ahead = z * values[order]
        if order:
            ahead -= beta[order - 1] * values[order - 1]
        values[order + 1] = ahead / beta[order]
    return values


def sphere_grid(dimension: int, points: int = GRID_POINTS) -> tuple[DoubleArray, DoubleArray]:
    """(t, weights) with E[f(<w, x>)] = sum weights f(t) for w uniform on the sphere of R^d, by the midpoint rule.

    In theta = arccos t the density is sin^(d-2); the rule is exact to rounding for polynomials of degree below
    `points`, and errs by about 1e-6 for the clipped ones. For d = 1 the two points.
    """
    if dimension == 1:
        return np.array([-1.0, 1.0]), np.array([0.5, 0.5])
    reach = min(math.pi / 2, _GRID_REACH / math.sqrt(dimension))
    offset = ((np.arange(points) + 0.5) / points * 2.0 - 1.0) * reach
    weights = np.cos(offset) ** (dimension - 2)
    return np.sin(offset), weights / weights.sum()


@dataclass(frozen=True, slots=True)
class HarmonicTerms:
    """Features weight (prod_k x[index[k]] - constant - sum_k traces[k] x[index[k]]): index (columns, degree)."""

    index: npt.NDArray[np.intp]
    weight: DoubleArray
    constant: DoubleArray
    traces: DoubleArray


@dataclass(frozen=True, slots=True)
class HarmonicBlock:
    """Explicit features h of one degree l <= 3 with <h(x), h(y)> = P_l(<x, y>) on the unit sphere.

    They are the monomials of degree l less their traces: x_i x_j - [i = j] / d, and in degree 3
    x_i x_j x_k - (x_i [j = k] + x_j [i = k] + x_k [i = j]) / (d + 2), each with the square root of its
    multiplicity. `plain`: the monomials themselves, with <h(x), h(y)> = <x, y>^l.
    """

    degree: int
    dimension: int
    plain: bool = False

    @property
    def columns(self) -> int:
        """How many features: C(d + l - 1, l)."""
        return math.comb(self.dimension + self.degree - 1, self.degree)

    def terms(self) -> HarmonicTerms:
        """What each feature is made of."""
        index = np.array(
            list(itertools.combinations_with_replacement(range(self.dimension), self.degree)), dtype=np.intp
        ).reshape(self.columns, self.degree)
        count = len(index)
        weight, constant, traces = np.ones(count), np.zeros(count), np.zeros((count, 3))
        if self.degree == 2:
            same = index[:, 0] == index[:, 1]
            weight = np.where(same, 1.0, math.sqrt(2.0))
            constant = np.where(same, 0.0 if self.plain else 1.0 / self.dimension, 0.0)
        elif self.degree == 3:
            first, second = index[:, 0] == index[:, 1], index[:, 1] == index[:, 2]
            weight = np.sqrt(np.where(first & second, 1.0, np.where(first | second, 3.0, 6.0)))
            # of x_i x_i x_k the trace is x_k; of x_i^3 it is 3 x_i
            share = 0.0 if self.plain else 1.0 / (self.dimension + 2)
            traces = np.stack([second, first & second, first], axis=1) * share
        return HarmonicTerms(index, weight * math.sqrt(self._leading()), constant, traces)

    def values(self, unit: FloatArray) -> FloatArray:
        """(n, columns) of unit rows (n, d), in their dtype."""
        if self.degree == 0:
            return np.ones((len(unit), 1), unit.dtype)
        if self.degree == 1:
            return unit
        terms = self.terms()
        index = terms.index
        product: FloatArray = unit[:, index[:, 0]] * unit[:, index[:, 1]]
        if self.degree == 2:
            product -= terms.constant.astype(unit.dtype)
        else:
            product *= unit[:, index[:, 2]]
            if not self.plain:
                for place in (2, 0, 1):
                    product -= terms.traces[:, place].astype(unit.dtype) * unit[:, index[:, place]]
        product *= terms.weight.astype(unit.dtype)
        return product

    def _leading(self) -> float:
        """The coefficient of rho^l in P_l (1 where `plain`)."""
        d = self.dimension
        if self.plain or self.degree < 2:
            return 1.0
        if d == 1:
            return 0.0
        return d / (d - 1.0) if self.degree == 2 else (d + 2.0) / (d - 1.0)
