# Part of the runtime that kernelc copies, unchanged, into every module it generates.
"""The tables for a range of norms, and what of them depends on one norm or on the angle alone.

Part of every generated package, copied verbatim; it needs NumPy alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, Protocol

import numpy as np

from ._inputs import DoubleArray

Parity = Literal["even", "odd", "none"]

#: Pairs in work at a time where each has its own norms.
PAIRS = 4096


@dataclass(frozen=True, slots=True)
class MomentTable:
    """E[f(s Z)^2] = s^(2 power) exp(sum_j coefficients[j] T_j(x))."""

    power: int
    coefficients: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class TensorTable:
    """sum_m T_p(m)(z) sum_ij layers[m][i][j] T_i(x1) T_j(x2), symmetric: rows j <= i, without zeros at their ends.

    p(m) = m, 2 m or 2 m + 1 for parity none, even, odd in rho.
    """

    parity: Parity
    layers: tuple[tuple[tuple[float, ...], ...], ...]


@dataclass(frozen=True, slots=True)
class OneNormTable:
    """sum_m T_p(m)(z) sum_j rows[m][j] T_j(x), p(m) as for `TensorTable`: both norms of a pair are the same."""

    parity: Parity
    rows: tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True)
class OneNormTables:
    """T and (None where it is refused) Tdot over their moments; `error`: estimated, relative to these."""

    dual: OneNormTable
    dual_dot: OneNormTable | None
    error: float


class PairPart(Protocol):
    """E[s(u) s(v)] and E[s'(u) s'(v)] of a part s of sigma, at arrays of variances and covariances."""

    def dual(self, q11: DoubleArray, q12: DoubleArray, q22: DoubleArray) -> DoubleArray:
        """E[s(u) s(v)]."""

    def dual_dot(self, q11: DoubleArray, q12: DoubleArray, q22: DoubleArray) -> DoubleArray:
        """E[s'(u) s'(v)]."""


@dataclass(frozen=True, eq=False, slots=True, weakref_slot=True)
class NormTables:
    """Tables for standard deviations s in `norms`, ends included.

    x(s) = stretch log(s + shift) - offset, z(theta) = log((theta + grade) / (pi + grade - theta)) over its value at pi.
    `hermite[k]`: Chebyshev coefficients of a_k(s) / n(s). `aligned`: normalized T at theta = 0, as a layer of a
    tensor; None where there are no tables of T, or with `knots`: `dual` and `dual_dot` are then what is to be added to
    theirs, see `_knotted`. `dual_dot`: normalized Tdot, None (with `slope_moment`) where it
    is refused. `dual`: normalized T, None where it is the integral of Tdot. `origin`, with `knots`: sigma(0), and
    sigma'(0) where Tdot is not refused, for s = 0 beside `norms`. `one_norm`, with `knots`: what `dual` and `dual_dot`
    are between rows of one norm, closer.
    """

    norms: tuple[float, float]
    shift: float
    stretch: float
    offset: float
    grade: float
    moment: MomentTable
    slope_moment: MomentTable | None
    hermite: tuple[tuple[float, ...], ...]
    aligned: tuple[tuple[float, ...], ...] | None
    dual: TensorTable | None
    dual_dot: TensorTable | None
    knots: PairPart | None = None
    origin: tuple[float, ...] | None = None
    one_norm: OneNormTables | None = None


def norm_variable(tables: NormTables, s: DoubleArray) -> DoubleArray:
    """x(s), in [-1, 1]."""
    x: DoubleArray = tables.stretch * np.log(s + tables.shift) - tables.offset
    return np.clip(x, -1.0, 1.0)


def chebyshev_rows(x: DoubleArray, count: int) -> DoubleArray:
    """T_j(x) for j < count, shape (len(x), count)."""
    rows = np.ones((count, x.size))
    if count > 1:
        rows[1] = x
    for j in range(2, count):
        rows[j] = 2.0 * x * rows[j - 1] - rows[j - 2]
    return np.ascontiguousarray(rows.T)


def root(table: MomentTable, s: DoubleArray, x: DoubleArray) -> DoubleArray:
    """sqrt(E[f(s Z)^2]) to about 1e-14."""
    logarithm = np.polynomial.chebyshev.chebval(x, np.array(table.coefficients))
    root: DoubleArray = s**table.power * np.exp(0.5 * logarithm)
    return root


def moments(tables: NormTables, s: DoubleArray) -> tuple[DoubleArray, DoubleArray | None]:
    """E[sigma(s Z)^2] and E[sigma'(s Z)^2] (None where refused) for s (n,) in `tables.norms`, float64, to 1e-13."""
    x = norm_variable(tables, s)
    slope = None if tables.slope_moment is None else root(tables.slope_moment, s, x) ** 2
    return root(tables.moment, s, x) ** 2, slope


def hermite_rows(tables: NormTables, s: DoubleArray, degree: int) -> DoubleArray:
    """a_k(s) = E[sigma(s Z) h_k(Z)] for k <= degree, signed, shape (len(s), degree + 1), float64.

    s (n,) in `tables.norms`; degree < len(tables.hermite). The error is about 1e-13 sqrt(E[sigma(s Z)^2]).

    Raises:
        ValueError: for a degree that is not tabulated.
    """
    if not 0 <= degree < len(tables.hermite):
        raise ValueError(f"degree: Hermite coefficients are tabulated to degree {len(tables.hermite) - 1}")
    x = norm_variable(tables, s)
    chosen = tables.hermite[: degree + 1]
    count = max(map(len, chosen))
    columns = np.zeros((count, degree + 1))
    for k, column in enumerate(chosen):
        columns[: len(column), k] = column
    rows: DoubleArray = (chebyshev_rows(x, count) @ columns) * root(tables.moment, s, x)[:, None]
    return rows


def serves(tables: NormTables) -> bool:
    """Whether there are tables of T (and of Tdot, where it is not refused), not of moments and a_k alone."""
    return tables.aligned is not None or tables.knots is not None


def angle_width(tables: NormTables) -> float:
    """log((pi + grade) / grade): z is divided by it."""
    return float(np.log((np.pi + tables.grade) / tables.grade))


def angle_variable(tables: NormTables, theta: DoubleArray) -> DoubleArray:
    """z(theta)."""
    z: DoubleArray = np.log((theta + tables.grade) / (np.pi + tables.grade - theta)) / angle_width(tables)
    return z


def progression(parity: str) -> tuple[int, int]:
    """First degree in z and step of a series of this parity in rho."""
    return {"even": (0, 2), "odd": (1, 2)}.get(parity, (0, 1))


@lru_cache(maxsize=8)
def _one_norm_columns(tables: NormTables, which: Literal["dual", "dual_dot"]) -> DoubleArray:
    """Coefficients of T_j(x) T_m(z), (norms, degrees)."""
    assert tables.one_norm is not None
    table = tables.one_norm.dual if which == "dual" else tables.one_norm.dual_dot
    assert table is not None
    start, step = progression(table.parity)
    columns = np.zeros((max(map(len, table.rows)), start + step * len(table.rows)))
    for m, row in enumerate(table.rows):
        columns[: len(row), start + step * m] = row
    return columns


def evaluate_one_norm(
    tables: NormTables, which: Literal["dual", "dual_dot"], s: DoubleArray, theta: DoubleArray
) -> DoubleArray:
    """T or Tdot (without what knots add) between rows of the same norm s, elementwise over float64 arrays (k,).

    `tables` has `one_norm`, and every s is in `tables.norms`.
    """
    moment = tables.moment if which == "dual" else tables.slope_moment
    assert moment is not None
    # many pairs may have the same norm, at other angles
    norms, index = np.unique(s, return_inverse=True)
    x = norm_variable(tables, norms)
    columns = _one_norm_columns(tables, which)
    series = (chebyshev_rows(x, len(columns)) @ columns).T * root(moment, norms, x) ** 2
    z, chosen = angle_variable(tables, theta), index.reshape(-1)
    result = np.empty(theta.size)
    for first in range(0, theta.size, PAIRS):
        part = slice(first, first + PAIRS)
        result[part] = np.polynomial.chebyshev.chebval(z[part], series[:, chosen[part]], tensor=False)
    return result
