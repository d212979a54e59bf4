# Part of the runtime that kernelc copies, unchanged, into every module it generates.
"""T and Tdot at any two norms of a range, from Chebyshev tables in both norms and the angle.

With n(s)^2 = E[sigma(s Z)^2] and z = 2 theta / pi - 1,

    T(s1, s2, theta) = n(s1) n(s2) sum_m T_m(z) P_m(s1, s2),

each P_m a symmetric matrix of Chebyshev coefficients in x(s1), x(s2). Its eigenvalues fall fast, so on a tile
P_m is a product of two thin matrices, and the sum over m is Clenshaw's recurrence.

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

#: A tile's rows job[0]:job[1] and columns job[2]:job[3].
Job = tuple[int, int, int, int]

#: Entries in work at a time: they stay in the cache, and their products are too small for BLAS to start threads.
_CHUNK = 8192

#: Rows and columns of a tile are padded to a multiple of this.
_SIDE = 32

#: Eigenvalues of P_m below this are left out; what they add up to is below the tables' own error.
_SMALLEST = {np.dtype(np.float64): 3e-14, np.dtype(np.float32): 2e-8}

#: Gauss-Legendre on [0, 1], exact to degree 7: close pairs have theta below 0.15, where Tdot is smooth.
_GAPS = (0.06943184420297371, 0.33000947820757187, 0.6699905217924281, 0.9305681557970262)
_WEIGHTS = (0.17392742256872692, 0.32607257743127307, 0.32607257743127307, 0.17392742256872692)

#: Pairs in work at a time where each has its own two norms.
_PAIRS = 4096


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

    parity: Literal["even", "odd", "none"]
    layers: tuple[tuple[tuple[float, ...], ...], ...]


@dataclass(frozen=True, eq=False, slots=True, weakref_slot=True)
class NormTables:
    """Tables for standard deviations s in `norms`, ends included; x(s) = stretch log(s + shift) - offset.

    `hermite[k]`: Chebyshev coefficients of a_k(s) / n(s). `dual`, `dual_dot`: normalized T and Tdot; None
    where there is no table. `slope_moment` is None where Tdot is refused.
    """

    norms: tuple[float, float]
    shift: float
    stretch: float
    offset: float
    moment: MomentTable
    slope_moment: MomentTable | None
    hermite: tuple[tuple[float, ...], ...]
    dual: TensorTable | None
    dual_dot: TensorTable | None


@dataclass(frozen=True, slots=True)
class _Compressed:
    """P_m = vectors[m] diag(signs[m]) vectors[m].T in the Chebyshev basis of `count` functions."""

    parity: Literal["even", "odd", "none"]
    count: int
    vectors: tuple[DoubleArray, ...]
    signs: tuple[DoubleArray, ...]


@dataclass(frozen=True, slots=True)
class _Factors:
    """P_m n n on all pairs: left[m] (n1, r) @ right[m] (r, n2), both padded with zeros; or one number each."""

    parity: Literal["even", "odd", "none"]
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


def _variable(tables: NormTables, s: DoubleArray) -> DoubleArray:
    """x(s), in [-1, 1]."""
    x: DoubleArray = tables.stretch * np.log(s + tables.shift) - tables.offset
    return np.clip(x, -1.0, 1.0)


def _basis(x: DoubleArray, count: int) -> DoubleArray:
    """T_j(x) for j < count, shape (len(x), count)."""
    rows = np.ones((count, x.size))
    if count > 1:
        rows[1] = x
    for j in range(2, count):
        rows[j] = 2.0 * x * rows[j - 1] - rows[j - 2]
    return np.ascontiguousarray(rows.T)


def _root(table: MomentTable, s: DoubleArray, x: DoubleArray) -> DoubleArray:
    """sqrt(E[f(s Z)^2]) to about 1e-14."""
    logarithm = np.polynomial.chebyshev.chebval(x, np.array(table.coefficients))
    root: DoubleArray = s**table.power * np.exp(0.5 * logarithm)
    return root


def moments(tables: NormTables, s: DoubleArray) -> tuple[DoubleArray, DoubleArray | None]:
    """E[sigma(s Z)^2] and E[sigma'(s Z)^2] (None where refused) for s (n,) in `tables.norms`, float64, to 1e-13."""
    x = _variable(tables, s)
    slope = None if tables.slope_moment is None else _root(tables.slope_moment, s, x) ** 2
    return _root(tables.moment, s, x) ** 2, slope


def hermite_rows(tables: NormTables, s: DoubleArray, degree: int) -> DoubleArray:
    """a_k(s) = E[sigma(s Z) h_k(Z)] for k <= degree, signed, shape (len(s), degree + 1), float64.

    s (n,) in `tables.norms`; degree < len(tables.hermite). The error is about 1e-13 sqrt(E[sigma(s Z)^2]).

    Raises:
        ValueError: for a degree that is not tabulated.
    """
    if not 0 <= degree < len(tables.hermite):
        raise ValueError(f"degree: Hermite coefficients are tabulated to degree {len(tables.hermite) - 1}")
    x = _variable(tables, s)
    chosen = tables.hermite[: degree + 1]
    count = max(map(len, chosen))
    columns = np.zeros((count, degree + 1))
    for k, column in enumerate(chosen):
        columns[: len(column), k] = column
    rows: DoubleArray = (_basis(x, count) @ columns) * _root(tables.moment, s, x)[:, None]
    return rows


@lru_cache(maxsize=32)
def _compressed(table: TensorTable, dtype: np.dtype[Any]) -> _Compressed:
    """The layers' eigenvectors, scaled by the roots of their eigenvalues."""
    count = max(len(layer) for layer in table.layers)
    vectors, signs = [], []
    for layer in table.layers:
        matrix = np.zeros((len(layer), len(layer)))
        for i, row in enumerate(layer):
            matrix[i, : len(row)] = row
            matrix[: len(row), i] = row
        values, basis = np.linalg.eigh(matrix)
        kept = np.abs(values) > _SMALLEST[dtype]
        wide = np.zeros((count, int(np.count_nonzero(kept))))
        wide[: len(layer)] = basis[:, kept] * np.sqrt(np.abs(values[kept]))
        vectors.append(wide)
        signs.append(np.sign(values[kept]))
    return _Compressed(table.parity, count, tuple(vectors), tuple(signs))


def _padded(rows: DoubleArray, dtype: np.dtype[Any]) -> FloatArray:
    """`rows` in `dtype` with zero rows appended up to a multiple of the side of a tile's pieces."""
    n = rows.shape[0]
    result = np.zeros((-(-n // _SIDE) * _SIDE, rows.shape[1]), dtype)
    result[:n] = rows
    return result


def _factors(
    tables: NormTables, which: Literal["dual", "dual_dot"], left: DoubleArray, right: DoubleArray, dtype: np.dtype[Any]
) -> _Factors:
    table = tables.dual if which == "dual" else tables.dual_dot
    moment = tables.moment if which == "dual" else tables.slope_moment
    assert table is not None
    assert moment is not None
    plan = _compressed(table, dtype)
    same = left is right or (left.shape == right.shape and bool(np.array_equal(left, right)))
    one = bool((left == left[0]).all()) and bool((right == right[0]).all())
    sides = []
    for s in (left[:1] if one else left,) if same else ((left[:1], right[:1]) if one else (left, right)):
        x = _variable(tables, s)
        basis = _basis(x, plan.count) * _root(moment, s, x)[:, None]
        sides.append([basis @ vectors for vectors in plan.vectors])
    first, second = sides[0], sides[-1]
    if one:
        numbers = tuple(float(a[0] * sign @ b[0]) for a, b, sign in zip(first, second, plan.signs, strict=True))
        return _Factors(plan.parity, (), (), numbers)
    return _Factors(
        plan.parity,
        tuple(_padded(rows * sign, dtype) for rows, sign in zip(first, plan.signs, strict=True)),
        tuple(np.ascontiguousarray(_padded(rows, dtype).T) for rows in second),
        None,
    )


def bind(
    tables: NormTables, s_left: DoubleArray, s_right: DoubleArray, dtype: np.dtype[Any], with_dot: bool
) -> NormFactors:
    """What every tile of one layer needs, from the standard deviations s of its rows and columns (float64, 1-D).

    `tables.dual` (and `tables.dual_dot` for `with_dot`) must be there, and every s in `tables.norms`.
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
        np.multiply(theta[part], 2.0 / np.pi, out=z)
        np.subtract(z, 1.0, out=z)
        twice = scratch.get("norm_twice", z.shape, _CHUNK)
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

    parity: Literal["even", "odd", "none"]
    coefficients: DoubleArray

    def full(self) -> DoubleArray:
        """The Chebyshev coefficients in z, degree first: (degrees, pairs)."""
        start, step = {"even": (0, 2), "odd": (1, 2), "none": (0, 1)}[self.parity]
        result = np.zeros((start + step * self.coefficients.shape[1], len(self.coefficients)))
        result[start::step] = self.coefficients.T
        return result


def _pair_series(
    tables: NormTables, which: Literal["dual", "dual_dot"], s1: DoubleArray, s2: DoubleArray, *, scaled: bool
) -> _PairSeries:
    """The series in theta of pairs of norms s1, s2 (k,), times n(s1) n(s2) where `scaled`."""
    table = tables.dual if which == "dual" else tables.dual_dot
    moment = tables.moment if which == "dual" else tables.slope_moment
    assert table is not None
    assert moment is not None
    plan = _compressed(table, np.dtype(np.float64))
    stacked = np.concatenate(plan.vectors, axis=1)
    sides = []
    for s in (s1, s2):
        norms, index = np.unique(s, return_inverse=True)
        x = _variable(tables, norms)
        basis = _basis(x, plan.count)
        if scaled:
            basis *= _root(moment, norms, x)[:, None]
        sides.append((basis @ stacked)[index.reshape(-1)])
    products = sides[0] * sides[1] * np.concatenate(plan.signs)
    widths = np.array([vectors.shape[1] for vectors in plan.vectors])
    result = np.zeros((s1.size, len(widths)))
    filled = np.flatnonzero(widths)
    if filled.size:
        starts = np.concatenate([[0], np.cumsum(widths)[:-1]])[filled]
        result[:, filled] = np.add.reduceat(products, starts, axis=1)
    return _PairSeries(plan.parity, result)


def evaluate_pairs(
    tables: NormTables, which: Literal["dual", "dual_dot"], s1: DoubleArray, s2: DoubleArray, theta: DoubleArray
) -> DoubleArray:
    """T or Tdot, elementwise over 1-D arrays of one shape, float64; s1, s2 in `tables.norms`."""
    result = np.empty(theta.size)
    for start in range(0, theta.size, _PAIRS):
        part = slice(start, start + _PAIRS)
        series = _pair_series(tables, which, s1[part], s2[part], scaled=True)
        z = 2.0 / np.pi * theta[part] - 1.0
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
    for start in range(0, theta.size, _PAIRS):
        part = slice(start, start + _PAIRS)
        s1, s2 = factors.left[rows[part]], factors.right[columns[part]]
        result[part] = _norm_gap(tables, s1, s2) + _angle_gap(tables, s1, s2, theta[part])
    return result


def _norm_gap(tables: NormTables, s1: DoubleArray, s2: DoubleArray) -> DoubleArray:
    """1 - C(s1, s2, 0): half the quadratic form of P at theta = 0 on T_j(x1) - T_j(x2), j = 0, 1, ..."""
    assert tables.dual is not None
    plan = _compressed(tables.dual, np.dtype(np.float64))
    ends = _ends(plan.parity, len(plan.vectors))
    matrix = np.zeros((plan.count, plan.count))
    for end, vectors, signs in zip(ends, plan.vectors, plan.signs, strict=True):
        matrix += end * (vectors * signs) @ vectors.T
    x1, x2 = _variable(tables, s1), _variable(tables, s2)
    # x1 - x2 without cancellation; the differences of T_j are divided by it and grow by the same recurrence
    step = tables.stretch * np.log1p((s1 - s2) / (s2 + tables.shift))
    values, quotients = _basis(x2, plan.count), np.zeros((s1.size, plan.count))
    if plan.count > 1:
        quotients[:, 1] = 1.0
    for j in range(2, plan.count):
        quotients[:, j] = 2.0 * (x1 * quotients[:, j - 1] + values[:, j - 1]) - quotients[:, j - 2]
    half: DoubleArray = 0.5 * step**2 * np.einsum("ij,ij->i", quotients @ matrix, quotients)
    return half


def _ends(parity: str, terms: int) -> DoubleArray:
    """T_p(m)(-1)."""
    if parity == "none":
        return np.where(np.arange(terms) % 2 == 0, 1.0, -1.0)
    return np.full(terms, -1.0 if parity == "odd" else 1.0)


def _angle_gap(tables: NormTables, s1: DoubleArray, s2: DoubleArray, theta: DoubleArray) -> DoubleArray:
    """C(s1, s2, 0) - C(s1, s2, theta)."""
    total = np.zeros(theta.size)
    if tables.dual_dot is None:
        derivative = np.polynomial.chebyshev.chebder(_pair_series(tables, "dual", s1, s2, scaled=False).full())
        for node, weight in zip(_GAPS, _WEIGHTS, strict=True):
            z = 2.0 / np.pi * node * theta - 1.0
            total -= weight * np.polynomial.chebyshev.chebval(z, derivative, tensor=False)
        slope: DoubleArray = 2.0 / np.pi * theta * total
        return slope
    series = _pair_series(tables, "dual_dot", s1, s2, scaled=True).full()
    for node, weight in zip(_GAPS, _WEIGHTS, strict=True):
        angle = node * theta
        value = np.polynomial.chebyshev.chebval(2.0 / np.pi * angle - 1.0, series, tensor=False)
        total += weight * value * np.sin(angle)
    size = _root(tables.moment, s1, _variable(tables, s1)) * _root(tables.moment, s2, _variable(tables, s2))
    scale = np.divide(s1 * s2, size, out=np.zeros_like(size), where=size > 0.0)
    drop: DoubleArray = scale * theta * total
    return drop
