# Part of the runtime that kernelc copies, unchanged, into every module it generates.
"""The dual kernel T(q11, q12, q22) and its derivative Tdot at variances other than the compiled one.

Part of every generated package, copied verbatim; it needs NumPy alone.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ._closed import ClosedDual, evaluate_closed, evaluate_homogeneous
from ._evaluation import KernelTables, derivative, evaluate_direct
from ._inputs import DoubleArray, FloatArray, as_floats, require_values
from ._knotted import knotted_duals, one_norm_duals
from ._norms import evaluate_pairs
from ._normseries import NormTables, serves

#: How far, in spacings of the dtype, a variance may lie from the compiled one and still be taken for it:
#: the rounding of a row scaled to that norm. What it adds to the relative error is of this size too.
VARIANCE_SLACK_ULPS = 64

#: How far, in spacings of the dtype, |q12| may exceed sqrt(q11 q22); it is then clipped.
COVARIANCE_SLACK_ULPS = 8


def is_constant(tables: KernelTables) -> bool:
    """Whether kappa does not depend on rho, so that sigma is a constant."""
    coefficients = tables.kappa.series.coefficients
    start = 0 if tables.parity == "odd" else 1
    return not any(coefficients[start:])


def require_compiled_variance(tables: KernelTables, name: str, variances: DoubleArray, dtype: np.dtype[Any]) -> None:
    """Refuse variances other than the compiled one, up to the rounding of a row scaled to it.

    Raises:
        ValueError: naming `name`, the worst variance and the compiled one.
    """
    if not variances.size:
        return
    deviation = np.abs(variances - tables.variance)
    if float(deviation.max()) > VARIANCE_SLACK_ULPS * float(np.finfo(dtype).eps) * tables.variance:
        worst = float(variances.reshape(-1)[int(deviation.argmax())])
        raise ValueError(
            f"{name}: {tables.name} holds at variance {tables.variance!r} alone, got {worst!r}; "
            f"recompile with --variance {worst!r}"
        )


def _broadcast(
    q11: npt.ArrayLike, q12: npt.ArrayLike, q22: npt.ArrayLike
) -> tuple[DoubleArray, DoubleArray, DoubleArray, np.dtype[Any]]:
    """The three arguments in float64 and one shape, and the dtype of the answer."""
    arrays: list[FloatArray] = [as_floats("q11", q11), as_floats("q12", q12), as_floats("q22", q22)]
    dtype = np.result_type(*arrays)
    for name, array in zip(("q11", "q12", "q22"), arrays, strict=True):
        require_values(name, array.shape)
        if name != "q12" and float(array.min()) < 0.0:
            raise ValueError(f"{name}: a variance is >= 0, got {float(array.min())!r}")
    try:
        first, cross, second = np.broadcast_arrays(*(array.astype(np.float64) for array in arrays))
    except ValueError:
        shapes = ", ".join(str(array.shape) for array in arrays)
        raise ValueError(f"q11, q12, q22: shapes {shapes} do not broadcast together") from None
    return first, cross, second, dtype


def _require_covariance(limit: DoubleArray, cross: DoubleArray, dtype: np.dtype[Any]) -> None:
    """Refuse |q12| beyond `limit` = sqrt(q11 q22) and the rounding of a covariance."""
    slack = COVARIANCE_SLACK_ULPS * float(np.finfo(dtype).eps)
    if bool(np.any(np.abs(cross) > limit * (1.0 + slack) + float(np.finfo(np.float64).tiny))):
        raise ValueError("q12: |q12| exceeds sqrt(q11 q22), which no covariance does")


def _correlation(first: DoubleArray, cross: DoubleArray, second: DoubleArray, dtype: np.dtype[Any]) -> DoubleArray:
    """rho = q12 / sqrt(q11 q22), clipped to [-1, 1]; 0 where a variance is 0."""
    left, right = np.sqrt(first), np.sqrt(second)
    _require_covariance(left * right, cross, dtype)
    rho = np.zeros_like(cross)
    np.divide(cross, left, out=rho, where=left > 0.0)
    np.divide(rho, right, out=rho, where=right > 0.0)
    rho[(left == 0.0) | (right == 0.0)] = 0.0
    clipped: DoubleArray = np.clip(rho, -1.0, 1.0)
    return clipped


def _finish(name: str, value: DoubleArray, dtype: np.dtype[Any]) -> Any:
    """`value` in the dtype asked for; a 0-d array becomes a scalar."""
    limit = float(np.finfo(dtype).max)
    if value.size and not float(np.abs(value).max()) <= limit:
        raise ValueError(f"q11, q22: {name} overflows {dtype} at these variances")
    return value.astype(dtype)[()]


def _by_closed_form(
    tables: KernelTables,
    closed: ClosedDual,
    orders: int,
    covariance: tuple[DoubleArray, DoubleArray, DoubleArray],
    dtype: np.dtype[Any],
) -> DoubleArray:
    """T (`orders` = 0) or Tdot (1) by its closed form, q12 clipped where it is beyond sqrt(q11 q22)."""
    first, cross, second = covariance
    limit = np.sqrt(first) * np.sqrt(second)
    _require_covariance(limit, cross, dtype)
    # within a rounding in float64 the form itself is exact on either side of the boundary
    beyond = np.abs(cross) > limit * (1.0 + COVARIANCE_SLACK_ULPS * float(np.finfo(np.float64).eps))
    cross = np.where(beyond, np.copysign(limit, cross), cross)
    if not closed.at_origin and bool(np.any((first == 0.0) | (second == 0.0))):
        raise ValueError(f"q11, q22: at variance 0 {tables.name} depends on sigma(0), which was not compiled")
    degree = tables.homogeneous_degree
    if degree is not None:
        return evaluate_homogeneous(closed, round(degree) - orders, first, cross, second)
    _require_range(tables, "q11", first, closed)
    _require_range(tables, "q22", second, closed)
    return evaluate_closed(closed, first, cross, second)


def _by_norms(
    tables: KernelTables,
    norms: NormTables,
    which: Literal["dual", "dual_dot"],
    covariance: tuple[DoubleArray, DoubleArray, DoubleArray],
    dtype: np.dtype[Any],
) -> DoubleArray:
    """T or Tdot by its tables for a range of norms; where all variances are the compiled one, kappa is the better road.

    Raises:
        ValueError: naming the argument, outside the range.
    """
    first, cross, second = covariance
    sides = []
    for name, variances in (("q11", first), ("q22", second)):
        s = np.sqrt(variances)
        low, high = norms.norms
        outside = (s < low) | (s > high)
        if norms.origin is not None:
            outside &= s != 0.0
        if bool(outside.any()):
            worst = float(variances[outside][0])
            raise ValueError(
                f"{name}: {tables.name} is tabulated for variances from {low**2!r} to {high**2!r}, "
                f"got {worst!r}; recompile with a wider --norms LOW,HIGH (a norm is the square root of a variance)"
            )
        sides.append(s.reshape(-1))
    if norms.knots is not None:
        limit = np.sqrt(first) * np.sqrt(second)
        _require_covariance(limit, cross, dtype)
        return _by_knots(norms, which, first, np.clip(cross, -limit, limit), second)
    theta = np.arccos(_correlation(first, cross, second, dtype)).reshape(-1)
    return evaluate_pairs(norms, which, sides[0], sides[1], theta).reshape(cross.shape)


def _by_knots(
    norms: NormTables, which: Literal["dual", "dual_dot"], first: DoubleArray, cross: DoubleArray, second: DoubleArray
) -> DoubleArray:
    """T or Tdot by tables with knots, each element by the closest that serves it: its value is its own."""
    index = 0 if which == "dual" else 1
    value = np.empty(cross.shape)
    duals = one_norm_duals(norms)
    same = (first == second) & (duals is not None)
    for where, roads in ((same, duals), (~same, knotted_duals(norms))):
        if roads is not None and bool(where.any()):
            road = roads[index]
            assert road is not None
            value[where] = evaluate_closed(road, first[where], cross[where], second[where])
    return value


def _is_compiled_variance(tables: KernelTables, *variances: DoubleArray) -> bool:
    """Whether every variance is the compiled one up to the rounding of a row scaled to it."""
    slack = VARIANCE_SLACK_ULPS * float(np.finfo(np.float64).eps) * tables.variance
    return all(bool(np.all(np.abs(q - tables.variance) <= slack)) for q in variances)


def _require_range(tables: KernelTables, name: str, variances: DoubleArray, closed: ClosedDual) -> None:
    """Refuse variances at which the closed form does not hold in float64."""
    low, high = closed.variances
    outside = (variances < low) | (variances > high)
    if closed.zero_at_origin:
        outside &= variances != 0.0
    if bool(outside.any()):
        worst = float(variances[outside][0])
        raise ValueError(
            f"{name}: the closed form of {tables.name} holds for variances from {low!r} to {high!r}, got {worst!r}"
        )


def _by_another_road(
    tables: KernelTables,
    closed: ClosedDual | None,
    norms: NormTables | None,
    name: Literal["dual", "dual_dot"],
    arguments: tuple[DoubleArray, DoubleArray, DoubleArray],
    dtype: np.dtype[Any],
) -> Any | None:
    """The closed form's value, or that of the tables over the norms; None where those of kappa serve.

    Raises:
        ValueError: naming the argument: a variance that nothing serves.
    """
    first, _, second = arguments
    if closed is not None:
        value = _by_closed_form(tables, closed, 0 if name == "dual" else 1, arguments, dtype)
        return _finish(name, value, dtype)
    if norms is not None and serves(norms) and not _is_compiled_variance(tables, first, second):
        return _finish(name, _by_norms(tables, norms, name, arguments, dtype), dtype)
    if tables.homogeneous_degree is None:
        require_compiled_variance(tables, "q11", first, dtype)
        require_compiled_variance(tables, "q22", second, dtype)
    return None


def evaluate_dual(
    tables: KernelTables,
    closed: ClosedDual | None,
    norms: NormTables | None,
    q11: npt.ArrayLike,
    q12: npt.ArrayLike,
    q22: npt.ArrayLike,
) -> Any:
    """T(q11, q12, q22) = E[sigma(u) sigma(v)], elementwise over broadcast arguments.

    Raises:
        ValueError: naming the argument: no covariance, or variances at which T is not compiled.
    """
    first, cross, second, dtype = _broadcast(q11, q12, q22)
    elsewhere = _by_another_road(tables, closed, norms, "dual", (first, cross, second), dtype)
    if elsewhere is not None:
        return elsewhere
    degree = tables.homogeneous_degree
    if degree == 0.0 and not is_constant(tables) and bool(np.any((first == 0.0) | (second == 0.0))):
        raise ValueError(f"q11, q22: at variance 0 {tables.name} depends on sigma(0), which was not compiled")
    rho = _correlation(first, cross, second, dtype)
    value = np.asarray(evaluate_direct(tables.kappa, "q12", rho), dtype=np.float64)
    if degree is not None and degree != 0.0:
        with np.errstate(all="ignore"):
            value = value * _ratio(first, tables, degree) * _ratio(second, tables, degree)
    return _finish("dual", value, dtype)


def evaluate_dual_dot(
    tables: KernelTables,
    closed: ClosedDual | None,
    norms: NormTables | None,
    q11: npt.ArrayLike,
    q12: npt.ArrayLike,
    q22: npt.ArrayLike,
) -> Any:
    """Tdot(q11, q12, q22) = E[sigma'(u) sigma'(v)] = dT/dq12, elementwise over broadcast arguments.

    Where a variance is 0 and the degree of homogeneity is 1, Tdot depends on sigma'(0): rho = 0 is
    taken, which is half of each one-sided slope.

    Raises:
        RefusedError: where sigma' is not square integrable.
        ValueError: naming the argument, as `evaluate_dual`; also where Tdot is infinite.
    """
    dual = derivative(tables)
    first, cross, second, dtype = _broadcast(q11, q12, q22)
    elsewhere = _by_another_road(tables, closed, norms, "dual_dot", (first, cross, second), dtype)
    if elsewhere is not None:
        return elsewhere
    degree = tables.homogeneous_degree
    if degree is not None and 0.0 < degree < 1.0 and bool(np.any((first == 0.0) | (second == 0.0))):
        raise ValueError(f"q11, q22: dual_dot of {tables.name} is infinite at variance 0")
    rho = _correlation(first, cross, second, dtype)
    value = np.asarray(evaluate_direct(dual, "q12", rho), dtype=np.float64)
    if degree is not None and degree not in (0.0, 1.0):
        with np.errstate(all="ignore"):
            value = value * _ratio(first, tables, degree - 1.0) * _ratio(second, tables, degree - 1.0)
    return _finish("dual_dot", value, dtype)


def _ratio(variances: DoubleArray, tables: KernelTables, exponent: float) -> DoubleArray:
    """(q / variance)^(exponent / 2)."""
    ratio: DoubleArray = np.power(np.sqrt(variances / tables.variance), exponent)
    return ratio
