# Part of the runtime that kernelc copies, unchanged, into every module it generates.
"""T and Tdot at any two norms of a range, from Chebyshev tables in both norms and the angle.

With n(s)^2 = E[sigma(s Z)^2] and z(theta) = log((theta + grade) / (pi + grade - theta)), scaled to [-1, 1],

    T(s1, s2, theta) = n(s1) n(s2) sum_m T_m(z) P_m(s1, s2),

each P_m a symmetric matrix of Chebyshev coefficients in x(s1), x(s2). Its eigenvalues fall fast, so on a tile
P_m is a product of two thin matrices, and the sum over m is Clenshaw's recurrence. Tdot has the same form, and
T is its integral: dT / dtheta = -s1 s2 Tdot sin(theta), with T = E[sigma(u)] E[sigma(v)] at theta = pi / 2.

Part of every generated package, copied verbatim; it needs NumPy alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ._evaluation import Scratch
from ._inputs import DoubleArray, FloatArray
from ._normseries import (
    PAIRS,
    NormTables,
    Parity,
    angle_variable,
    angle_width,
    chebyshev_rows,
    hermite_rows,
    norm_variable,
    progression,
    root,
)

#: A tile's rows job[0]:job[1] and columns job[2]:job[3].
Job = tuple[int, int, int, int]

_Kind = Literal["value", "slope", "integral"]

#: Entries in work at a time: they stay in the cache, and their products are too small for BLAS to start threads.
_CHUNK = 8192

#: Rows and columns of a tile are padded to a multiple of this.
_SIDE = 32

#: Eigenvalues of P_m below this are left out; what they add up to is below the tables' own error.
_SMALLEST = {np.dtype(np.float64): 3e-14, np.dtype(np.float32): 2e-8}

#: Gauss-Legendre on [0, 1], exact to degree 7: close pairs have theta below 0.15, where Tdot is smooth.
_GAPS = (0.06943184420297371, 0.33000947820757187, 0.6699905217924281, 0.9305681557970262)
_WEIGHTS = (0.17392742256872692, 0.32607257743127307, 0.32607257743127307, 0.17392742256872692)


@dataclass(frozen=True, slots=True)
class Compressed:
    """P_m = vectors[m] diag(signs[m]) vectors[m].T in the Chebyshev basis of `count` functions.

    `kind` says what a row's Chebyshev functions are multiplied by: n(s), m(s), or s m(s) where T is the integral
    of Tdot, m(s)^2 = E[sigma'(s Z)^2]; a_0(s1) a_0(s2) is then to be added.
    """

    kind: _Kind
    parity: Parity
    count: int
    vectors: tuple[DoubleArray, ...]
    signs: tuple[DoubleArray, ...]


@dataclass(frozen=True, slots=True)
class _Factors:
    """P_m n n on all pairs: left[m] (n1, r) @ right[m] (r, n2), both padded with zeros; or one number each."""

    parity: Parity
    left: tuple[FloatArray, ...]
    right: tuple[FloatArray, ...]
    numbers: tuple[float, ...] | None


@dataclass(frozen=True, slots=True)
class NormFactors:
    """What the tiles of one layer share: T, Tdot (None where not asked for), and the norms of both sets of rows."""

    tables: NormTables
    dual: _Factors
    dual_dot: _Factors | None
    left: DoubleArray
    right: DoubleArray


def symmetric(rows: tuple[tuple[float, ...], ...], count: int) -> DoubleArray:
    """The (count, count) matrix of which rows j <= i are given."""
    matrix = np.zeros((count, count))
    for i, row in enumerate(rows):
        matrix[i, : len(row)] = row
        matrix[: len(row), i] = row
    return matrix


def _integral(tables: NormTables, degrees: int) -> DoubleArray:
    """(more, degrees): Chebyshev coefficients in z of f -> -int f(theta) sin(theta) dtheta from pi / 2 on.

    f sin(theta) dtheta / dz is interpolated with so many points that this is exact to rounding.
    """
    count, width = degrees + 96, angle_width(tables)
    points = np.pi * (np.arange(count) + 0.5) / count
    ratio = np.exp(width * np.cos(points))
    span = np.pi + 2.0 * tables.grade
    theta, slope = span * ratio / (1.0 + ratio) - tables.grade, span * width * ratio / (1.0 + ratio) ** 2
    values = np.cos(np.outer(points, np.arange(degrees))) * (np.sin(theta) * slope)[:, None]
    coefficients = (2.0 / count) * (np.cos(np.outer(np.arange(count), points)) @ values)
    coefficients[0] *= 0.5
    return np.asarray(-np.polynomial.chebyshev.chebint(coefficients, lbnd=0.0, axis=0), dtype=np.float64)


def _layers(tables: NormTables, which: Literal["dual", "dual_dot"]) -> tuple[_Kind, Parity, DoubleArray]:
    """The kind, the parity and the matrices P_m (terms, count, count)."""
    table = tables.dual_dot if which == "dual_dot" or tables.dual is None else tables.dual
    assert table is not None
    count = max(len(layer) for layer in table.layers)
    stack = np.array([symmetric(layer, count) for layer in table.layers])
    if which == "dual_dot" or table is tables.dual:
        return "slope" if which == "dual_dot" else "value", table.parity, stack
    start, step = progression(table.parity)
    degrees = start + step * len(stack)
    full = np.zeros((degrees, count * count))
    full[start::step] = stack.reshape(len(stack), -1)
    result = (_integral(tables, degrees) @ full).reshape(-1, count, count)
    parity: Parity = "none"
    if table.parity != "none":
        parity = "odd" if table.parity == "even" else "even"
    start, step = progression(parity)
    return "integral", parity, result[start::step]


@lru_cache(maxsize=32)
def compressed(tables: NormTables, which: Literal["dual", "dual_dot"], dtype: np.dtype[Any]) -> Compressed:
    """The layers' eigenvectors, scaled by the roots of their eigenvalues."""
    kind, parity, stack = _layers(tables, which)
    vectors, signs = [], []
    for layer in stack:
        large = np.flatnonzero(np.abs(layer).max(axis=1) > 1e-3 * _SMALLEST[dtype])
        size = int(large[-1]) + 1 if large.size else 1
        values, basis = np.linalg.eigh(layer[:size, :size])
        kept = np.abs(values) > _SMALLEST[dtype]
        wide = np.zeros((stack.shape[1], int(np.count_nonzero(kept))))
        wide[:size] = basis[:, kept] * np.sqrt(np.abs(values[kept]))
        vectors.append(wide)
        signs.append(np.sign(values[kept]))
    while len(vectors) > 1 and vectors[-1].shape[1] == 0:
        vectors.pop()
        signs.pop()
    return Compressed(kind, parity, stack.shape[1], tuple(vectors), tuple(signs))


def _padded(rows: DoubleArray, dtype: np.dtype[Any]) -> FloatArray:
    """`rows` in `dtype` with zero rows appended up to a multiple of the side of a tile's pieces."""
    n = rows.shape[0]
    result = np.zeros((-(-n // _SIDE) * _SIDE, rows.shape[1]), dtype)
    result[:n] = rows
    return result


def basis_size(tables: NormTables, plan: Compressed, s: DoubleArray, x: DoubleArray) -> DoubleArray:
    """What a row's Chebyshev functions of x(s) are multiplied by before they are combined to factors, (n,)."""
    moment = tables.moment if plan.kind == "value" else tables.slope_moment
    assert moment is not None
    size = root(moment, s, x)
    return size * s if plan.kind == "integral" else size


def _row_factors(tables: NormTables, plan: Compressed, s: DoubleArray) -> list[DoubleArray]:
    """One side of every P_m for rows of norms s, (n, r) each; the first ends in a column a_0(s) for an integral."""
    x = norm_variable(tables, s)
    basis = chebyshev_rows(x, plan.count) * basis_size(tables, plan, s, x)[:, None]
    rows = [basis @ vectors for vectors in plan.vectors]
    if plan.kind == "integral" and plan.parity != "odd":
        rows[0] = np.concatenate([rows[0], hermite_rows(tables, s, 0)], axis=1)
    return rows


def factor_signs(plan: Compressed) -> list[DoubleArray]:
    """The signs of the products, as `_row_factors` has their columns."""
    signs = list(plan.signs)
    if plan.kind == "integral" and plan.parity != "odd":
        signs[0] = np.append(signs[0], 1.0)
    return signs


def _factors(
    tables: NormTables, which: Literal["dual", "dual_dot"], left: DoubleArray, right: DoubleArray, dtype: np.dtype[Any]
) -> _Factors:
    plan = compressed(tables, which, dtype)
    same = left is right or (left.shape == right.shape and bool(np.array_equal(left, right)))
    one = bool((left == left[0]).all()) and bool((right == right[0]).all())
    sides = []
    for s in (left[:1] if one else left,) if same else ((left[:1], right[:1]) if one else (left, right)):
        sides.append(_row_factors(tables, plan, s))
    first, second, signs = sides[0], sides[-1], factor_signs(plan)
    if one:
        numbers = tuple(float(a[0] * sign @ b[0]) for a, b, sign in zip(first, second, signs, strict=True))
        return _Factors(plan.parity, (), (), numbers)
    return _Factors(
        plan.parity,
        tuple(_padded(rows * sign, dtype) for rows, sign in zip(first, signs, strict=True)),
        tuple(np.ascontiguousarray(_padded(rows, dtype).T) for rows in second),
        None,
    )


def bind(
    tables: NormTables, s_left: DoubleArray, s_right: DoubleArray, dtype: np.dtype[Any], with_dot: bool
) -> NormFactors:
    """What every tile of one layer needs, from the standard deviations s of its rows and columns (float64, 1-D).

    `tables` must serve T (and have `dual_dot` for `with_dot`), and every s be in `tables.norms`.
    """
    return NormFactors(
        tables,
        _factors(tables, "dual", s_left, s_right, dtype),
        _factors(tables, "dual_dot", s_left, s_right, dtype) if with_dot else None,
        s_left,
        s_right,
    )


def evaluate_tile(
    factors: NormFactors,
    job: Job,
    rho: FloatArray,
    theta: FloatArray,
    out: FloatArray,
    out_dot: FloatArray | None,
    scratch: Scratch,
) -> None:
    """out = T(s_i, s_j, theta), out_dot = Tdot, for the tile's pairs: rows from job[0], columns from job[2].

    The arrays are contiguous and distinct, of one shape (rows, columns) padded to multiples of 32. `rho` is not
    read. Error: that of the tables, and some tens of roundings of sqrt(T_ii T_jj).
    """
    rows, columns = theta.shape
    step = max(1, _CHUNK // columns)
    folded = factors.dual.parity != "none"
    targets = [(factors.dual, out)]
    if factors.dual_dot is not None and out_dot is not None:
        targets.append((factors.dual_dot, out_dot))
    for first in range(0, rows, step):
        part = slice(first, min(first + step, rows))
        z = scratch.get("norm_z", theta[part].shape, _CHUNK)
        twice = scratch.get("norm_twice", z.shape, _CHUNK)
        np.subtract(np.pi + factors.tables.grade, theta[part], out=twice)
        np.add(theta[part], factors.tables.grade, out=z)
        np.divide(z, twice, out=z)
        np.log(z, out=z)
        np.multiply(z, 1.0 / angle_width(factors.tables), out=z)
        if folded:
            np.multiply(z, z, out=twice)
            np.multiply(twice, 4.0, out=twice)
            np.subtract(twice, 2.0, out=twice)
        else:
            np.add(z, z, out=twice)
        for source, target in targets:
            _chunk(source, (job[0] + part.start, job[0] + part.stop, job[2]), z, twice, target[part], scratch)


def _chunk(
    source: _Factors,
    place: tuple[int, int, int],
    z: FloatArray,
    twice: FloatArray,
    out: FloatArray,
    scratch: Scratch,
) -> None:
    """Clenshaw's recurrence b_m = P_m + 2 w b_(m+1) - b_(m+2), w = z or 2 z^2 - 1 by parity."""
    top, bottom, left = place
    newer, older, spare, layer = (
        scratch.get(name, z.shape, _CHUNK) for name in ("norm_newer", "norm_older", "norm_spare", "norm_layer")
    )
    newer.fill(0.0)
    older.fill(0.0)
    numbers = source.numbers
    for m in range((len(source.left) if numbers is None else len(numbers)) - 1, -1, -1):
        np.multiply(twice, newer, out=spare)
        np.subtract(spare, older, out=older)
        if numbers is not None:
            np.add(older, numbers[m], out=older)
        elif source.left[m].shape[1]:
            np.matmul(source.left[m][top:bottom], source.right[m][:, left : left + z.shape[1]], out=layer)
            np.add(older, layer, out=older)
        newer, older = older, newer
    # newer = b_0, older = b_1
    if source.parity == "odd":
        np.subtract(newer, older, out=out)
        np.multiply(out, z, out=out)
        return
    np.multiply(twice, older, out=spare)
    np.multiply(spare, 0.5, out=spare)
    np.subtract(newer, spare, out=out)


@dataclass(frozen=True, slots=True)
class _PairSeries:
    """Coefficients in theta of chosen pairs, shape (pairs, terms), and their parity."""

    parity: Parity
    coefficients: DoubleArray

    def full(self) -> DoubleArray:
        """The Chebyshev coefficients in z, degree first: (degrees, pairs)."""
        start, step = progression(self.parity)
        result = np.zeros((start + step * self.coefficients.shape[1], len(self.coefficients)))
        result[start::step] = self.coefficients.T
        return result


def _pair_series(
    tables: NormTables, which: Literal["dual", "dual_dot"], s1: DoubleArray, s2: DoubleArray
) -> _PairSeries:
    """The series in theta of T or Tdot at pairs of norms s1, s2 (k,)."""
    plan = compressed(tables, which, np.dtype(np.float64))
    signs, sides, places = factor_signs(plan), [], []
    for s in (s1, s2):
        norms, index = np.unique(s, return_inverse=True)
        sides.append(np.concatenate(_row_factors(tables, plan, norms), axis=1))
        places.append(index.reshape(-1))
    # many pairs may have the same two norms, at other angles
    pairs, where = np.unique(places[0] * len(sides[1]) + places[1], return_inverse=True)
    one, other = np.divmod(pairs, len(sides[1]))
    products = sides[0][one] * sides[1][other] * np.concatenate(signs)
    widths = np.array([sign.size for sign in signs])
    result = np.zeros((pairs.size, len(widths)))
    filled = np.flatnonzero(widths)
    if filled.size:
        starts = np.concatenate([[0], np.cumsum(widths)[:-1]])[filled]
        result[:, filled] = np.add.reduceat(products, starts, axis=1)
    return _PairSeries(plan.parity, result[where.reshape(-1)])


def evaluate_pairs(
    tables: NormTables, which: Literal["dual", "dual_dot"], s1: DoubleArray, s2: DoubleArray, theta: DoubleArray
) -> DoubleArray:
    """T or Tdot (without what knots add), elementwise over float64 arrays (k,); s1, s2 in `tables.norms`."""
    result = np.empty(theta.size)
    for start in range(0, theta.size, PAIRS):
        part = slice(start, start + PAIRS)
        series = _pair_series(tables, which, s1[part], s2[part])
        z = angle_variable(tables, theta[part])
        result[part] = np.polynomial.chebyshev.chebval(z, series.full(), tensor=False)
    return result


def gap(
    factors: NormFactors, rows: npt.NDArray[np.intp], columns: npt.NDArray[np.intp], theta: DoubleArray
) -> DoubleArray:
    """1 - T / sqrt(T_ii T_jj) of chosen pairs with small theta, with a small relative error; float64, 1-D.

    It is the sum of what different norms and what the angle take away: |f_i - f_j|^2 / 2 with f = sigma(s .) / n(s)
    as functions, and the integral of s_i s_j Tdot sin(t) / (n_i n_j) over t in [0, theta].
    """
    tables, result = factors.tables, np.empty(theta.size)
    for start in range(0, theta.size, PAIRS):
        part = slice(start, start + PAIRS)
        s1, s2 = factors.left[rows[part]], factors.right[columns[part]]
        result[part] = _norm_gap(tables, s1, s2) + _angle_gap(tables, s1, s2, theta[part])
    return result


def _norm_gap(tables: NormTables, s1: DoubleArray, s2: DoubleArray) -> DoubleArray:
    """1 - C(s1, s2, 0): half the quadratic form of `aligned` on T_j(x1) - T_j(x2), j = 0, 1, ..."""
    assert tables.aligned is not None
    count = len(tables.aligned)
    matrix = symmetric(tables.aligned, count)
    x1, x2 = norm_variable(tables, s1), norm_variable(tables, s2)
    # x1 - x2 without cancellation; the differences of T_j are divided by it and grow by the same recurrence
    step = tables.stretch * np.log1p((s1 - s2) / (s2 + tables.shift))
    values, quotients = chebyshev_rows(x2, count), np.zeros((s1.size, count))
    if count > 1:
        quotients[:, 1] = 1.0
    for j in range(2, count):
        quotients[:, j] = 2.0 * (x1 * quotients[:, j - 1] + values[:, j - 1]) - quotients[:, j - 2]
    half: DoubleArray = 0.5 * step**2 * np.einsum("ij,ij->i", quotients @ matrix, quotients)
    return half


def _angle_gap(tables: NormTables, s1: DoubleArray, s2: DoubleArray, theta: DoubleArray) -> DoubleArray:
    """C(s1, s2, 0) - C(s1, s2, theta)."""
    total = np.zeros(theta.size)
    size = root(tables.moment, s1, norm_variable(tables, s1)) * root(tables.moment, s2, norm_variable(tables, s2))
    series: DoubleArray = _pair_series(tables, "dual" if tables.dual_dot is None else "dual_dot", s1, s2).full()
    if tables.dual_dot is None:
        series, size = np.asarray(np.polynomial.chebyshev.chebder(series), dtype=np.float64), -size
    else:
        size = np.divide(size, s1 * s2, out=np.zeros_like(size), where=s1 * s2 > 0.0)
    for node, weight in zip(_GAPS, _WEIGHTS, strict=True):
        angle = node * theta
        value = weight * np.polynomial.chebyshev.chebval(angle_variable(tables, angle), series, tensor=False)
        if tables.dual_dot is None:
            ends = 1.0 / (angle + tables.grade) + 1.0 / (np.pi + tables.grade - angle)
            total += value * ends / angle_width(tables)
        else:
            total += value * np.sin(angle)
    drop: DoubleArray = np.divide(theta * total, size, out=np.zeros_like(size), where=size != 0.0)
    return drop
