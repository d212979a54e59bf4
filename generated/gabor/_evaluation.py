# Part of the runtime that kernelc copies, unchanged, into every module it generates.
"""Evaluation of a dual kernel from its tables, in place and in blocks that stay in cache.

kappa(rho) = E[f(u) f(v)] for a centred Gaussian pair of one variance and correlation rho = cos(theta).
Part of every generated package, copied verbatim; it needs NumPy alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ._inputs import FloatArray, RefusedError, as_correlation

Parity = Literal["even", "odd", "none"]

#: Entries a block: a handful of float64 arrays of this length stay in a second-level cache.
BLOCK = 16384


@dataclass(frozen=True, slots=True)
class PowerTable:
    """sum_k c_k rho^k by Horner's rule; of an even or odd series only the non-zero half is stored."""

    coefficients: tuple[float, ...]
    parity: Parity


@dataclass(frozen=True, slots=True)
class ThetaTable:
    """Polynomials in z = (2 theta - a - b) / (b - a), one a panel [a, b] = [edges[i], edges[i+1]].

    `basis` "monomial" is evaluated by Horner's rule, "chebyshev" by Clenshaw's recurrence. `rooted`:
    the first panel's polynomial is multiplied by theta, so that the value vanishes at theta = 0 without
    cancellation.
    """

    edges: tuple[float, ...]
    rows: tuple[tuple[float, ...], ...]
    basis: Literal["monomial", "chebyshev"]
    rooted: bool = False


@dataclass(frozen=True, slots=True)
class ShortTable:
    """sum_{k < h} head[k] rho^k + rho^h sum_j rest[j] y^j, y = 2 rho^2 - 1 where `squared`, else rho.

    A power series with the terms taken out that |rho| <= 1 does not need. `rising`: 1 + rho times the sum over `rest`
    in its place.
    """

    head: tuple[float, ...]
    rest: tuple[float, ...]
    squared: bool
    rising: bool = False


Table = PowerTable | ShortTable | ThetaTable


@dataclass(frozen=True, slots=True)
class DualTables:
    """One dual kernel: the best evaluation, the certified series, the exact ends."""

    direct: Table
    series: PowerTable
    at_one: float
    at_minus_one: float


@dataclass(frozen=True, slots=True)
class KernelTables:
    """All tables of one compiled activation, at variance q = `variance` of its Gaussian argument.

    `homogeneous_degree` p: T(q11, q12, q22) = (sqrt(q11 q22) / q)^p kappa(rho) at every variance; None:
    the tables hold at q alone. `drop` evaluates kappa(1) - kappa(rho) with a small *relative* error as
    rho -> 1: a ThetaTable gives it directly, the others give it divided by 1 - rho. `kappa_dot` is
    None exactly where `derivative_refused` tells why. `breakpoints`: where sigma is not analytic.
    """

    name: str
    variance: float
    homogeneous_degree: float | None
    parity: Parity
    kappa: DualTables
    drop: Table
    kappa_dot: DualTables | None
    derivative_refused: str | None
    breakpoints: tuple[float, ...] = ()


def derivative(tables: KernelTables) -> DualTables:
    """The tables of kappa_dot.

    Raises:
        RefusedError: with the reason, where E[sigma'^2] is not finite or not known to be.
    """
    if tables.kappa_dot is None:
        raise RefusedError(f"{tables.name}: kappa_dot and the NTK are refused: {tables.derivative_refused}")
    return tables.kappa_dot


def _trim(coefficients: tuple[float, ...], allowed: float) -> tuple[float, ...]:
    """Without the last coefficients whose absolute values add up to at most `allowed`."""
    length, total = len(coefficients), 0.0
    while length > 1 and total + abs(coefficients[length - 1]) <= allowed:
        total += abs(coefficients[length - 1])
        length -= 1
    return coefficients[:length]


def trimmed(table: Table, dtype: np.dtype[Any]) -> Table:
    """`table` without what cannot change a result of `dtype`: at most eps / 128 of sum |c|, at |z| <= 1.

    In float32 this halves the work, and keeps subnormal numbers, which are slow, out of the loops.
    """
    slack = float(np.finfo(dtype).eps) / 128
    if isinstance(table, PowerTable):
        allowed = slack * math.fsum(map(abs, table.coefficients))
        return replace(table, coefficients=_trim(table.coefficients, allowed))
    if isinstance(table, ShortTable):
        return replace(table, rest=_trim(table.rest, slack * math.fsum(map(abs, (*table.head, *table.rest)))))
    allowed = slack * max(math.fsum(map(abs, row)) for row in table.rows)
    return replace(table, rows=tuple(_trim(row, allowed) for row in table.rows))


class Scratch:
    """Numbered work arrays of one thread, made once and handed out as contiguous views."""

    def __init__(self, size: int, dtype: np.dtype[Any]) -> None:
        self._size = size
        self._dtype = dtype
        self._buffers: dict[str, FloatArray] = {}

    def get(self, name: str, shape: tuple[int, ...], size: int | None = None) -> FloatArray:
        """A contiguous array of `shape` (at most `size` entries), the same memory for the same name."""
        length = math.prod(shape)
        if name not in self._buffers or self._buffers[name].size < length:
            self._buffers[name] = np.empty(max(length, self._size if size is None else size), self._dtype)
        return self._buffers[name][:length].reshape(shape)


def _horner(coefficients: Sequence[float], z: FloatArray, out: FloatArray) -> None:
    """out = sum_k coefficients[k] z^k, 2 roundings a degree; `out` and `z` must not overlap."""
    if len(coefficients) < 2:
        out.fill(coefficients[0] if coefficients else 0.0)
        return
    np.multiply(z, coefficients[-1], out=out)
    np.add(out, coefficients[-2], out=out)
    for coefficient in coefficients[-3::-1]:
        np.multiply(out, z, out=out)
        np.add(out, coefficient, out=out)


def _clenshaw(coefficients: Sequence[float], z: FloatArray, out: FloatArray, scratch: Scratch) -> None:
    """out = sum_k coefficients[k] T_k(z) by Clenshaw's recurrence; `out` and `z` must not overlap."""
    if len(coefficients) < 3:
        _horner(coefficients, z, out)
        return
    twice, older, newer = (scratch.get(name, z.shape) for name in ("clenshaw0", "clenshaw1", "clenshaw2"))
    np.add(z, z, out=twice)
    older.fill(coefficients[-1])
    np.multiply(twice, coefficients[-1], out=newer)
    np.add(newer, coefficients[-2], out=newer)
    for coefficient in coefficients[-3:0:-1]:
        np.multiply(twice, newer, out=out)
        np.subtract(out, older, out=older)
        np.add(older, coefficient, out=older)
        older, newer = newer, older
    np.multiply(z, newer, out=out)
    np.subtract(out, older, out=out)
    np.add(out, coefficients[0], out=out)


def evaluate_power(table: PowerTable, rho: FloatArray, out: FloatArray, scratch: Scratch) -> None:
    """out = the power series at `rho`, Horner in rho, or in rho^2 where a parity allows it."""
    if table.parity == "none":
        _horner(table.coefficients, rho, out)
        return
    square = scratch.get("z", rho.shape)
    np.multiply(rho, rho, out=square)
    _horner(table.coefficients, square, out)
    if table.parity == "odd":
        np.multiply(out, rho, out=out)


def short_variable(table: ShortTable, rho: FloatArray, out: FloatArray) -> None:
    """out = 2 rho^2 - 1, or rho."""
    if not table.squared:
        np.copyto(out, rho)
        return
    np.multiply(rho, rho, out=out)
    np.add(out, out, out=out)
    np.subtract(out, 1.0, out=out)


def add_head(table: ShortTable, rho: FloatArray, out: FloatArray, scratch: Scratch) -> None:
    """From the sum over `rest` to the whole, in place."""
    if table.rising:
        factor = scratch.get("rising", rho.shape)
        np.add(rho, 1.0, out=factor)
        np.multiply(out, factor, out=out)
    for coefficient in reversed(table.head):
        np.multiply(out, rho, out=out)
        if coefficient:
            np.add(out, coefficient, out=out)


def evaluate_short(table: ShortTable, rho: FloatArray, out: FloatArray, scratch: Scratch) -> None:
    """out = the polynomial at `rho`, by Horner's rule."""
    z = rho
    if table.squared:
        z = scratch.get("z", rho.shape)
        short_variable(table, rho, z)
    _horner(table.rest, z, out)
    add_head(table, rho, out, scratch)


def _panel(table: ThetaTable, index: int, theta: FloatArray, out: FloatArray, scratch: Scratch) -> None:
    """out = the polynomial of one panel at `theta`."""
    left, right = table.edges[index], table.edges[index + 1]
    z = scratch.get("z", theta.shape)
    np.multiply(theta, 2.0 / (right - left), out=z)
    np.subtract(z, (left + right) / (right - left), out=z)
    if table.basis == "monomial":
        _horner(table.rows[index], z, out)
    else:
        _clenshaw(table.rows[index], z, out, scratch)
    if index == 0 and table.rooted:
        np.multiply(out, theta, out=out)


def evaluate_theta(table: ThetaTable, theta: FloatArray, out: FloatArray, scratch: Scratch) -> None:
    """out = the piecewise polynomial at `theta` in [0, pi]; the arrays are contiguous and distinct.

    The panel with the most entries is evaluated in place everywhere; the entries of the others, usually
    few, are gathered and written over what it left there.
    """
    if len(table.rows) == 1:
        _panel(table, 0, theta, out, scratch)
        return
    flat, target = theta.reshape(-1), out.reshape(-1)
    masks: list[npt.NDArray[np.bool_]] = []
    done = np.zeros(flat.size, dtype=np.bool_)
    for edge in table.edges[1:-1]:
        below = flat < edge
        masks.append(below & ~done)
        done = below
    masks.append(~done)
    counts = [int(np.count_nonzero(mask)) for mask in masks]
    common = counts.index(max(counts))
    _panel(table, common, flat, target, scratch)
    for index, (mask, count) in enumerate(zip(masks, counts, strict=True)):
        if count and index != common:
            chosen = np.flatnonzero(mask)
            gathered, values = scratch.get("gathered", (count,)), scratch.get("values", (count,))
            np.take(flat, chosen, out=gathered)
            _panel(table, index, gathered, values, scratch)
            target[chosen] = values


def evaluate(table: Table, rho: FloatArray, theta: FloatArray, out: FloatArray, scratch: Scratch) -> None:
    """out = the table's value; a ThetaTable reads `theta`, the others read `rho`."""
    if isinstance(table, PowerTable):
        evaluate_power(table, rho, out, scratch)
    elif isinstance(table, ShortTable):
        evaluate_short(table, rho, out, scratch)
    else:
        evaluate_theta(table, theta, out, scratch)


def _blockwise(rho: FloatArray, block: Callable[[FloatArray, FloatArray, Scratch], None]) -> Any:
    """`block(rho, out, scratch)` over all of `rho`, in blocks; a 0-d input gives a scalar."""
    flat = np.ascontiguousarray(rho).reshape(-1)
    result = np.empty_like(flat)
    scratch = Scratch(min(BLOCK, flat.size), flat.dtype)
    # a panel's polynomial is also run outside its panel, where its value is not used
    with np.errstate(all="ignore"):
        for start in range(0, flat.size, BLOCK):
            block(flat[start : start + BLOCK], result[start : start + BLOCK], scratch)
    return result.reshape(rho.shape)[()]


def fits(dual: DualTables, dtype: np.dtype[Any]) -> bool:
    """Whether `dtype` holds the kernel's values, and an eighth more: sums on the way are larger than their result."""
    return dual.at_one <= float(np.finfo(dtype).max) / 8


def _correlations(dual: DualTables, name: str, rho: npt.ArrayLike) -> FloatArray:
    """`rho` as correlations, in a dtype that holds every value of the kernel: |kappa| <= kappa(1).

    Raises:
        ValueError: naming `name`, see `as_correlation`; also where the kernel leaves the range of float32.
    """
    checked = as_correlation(name, rho)
    if not fits(dual, checked.dtype):
        raise ValueError(
            f"{name}: the kernel reaches {dual.at_one!r}, which {checked.dtype} does not hold; pass float64"
        )
    return checked


def evaluate_direct(dual: DualTables, name: str, rho: npt.ArrayLike) -> Any:
    """The dual kernel at `rho` by its best evaluation, exact at rho = 1 and rho = -1.

    Raises:
        ValueError: naming `name`, see `_correlations`.
    """

    checked = _correlations(dual, name, rho)
    table = trimmed(dual.direct, checked.dtype)

    def block(part: FloatArray, out: FloatArray, scratch: Scratch) -> None:
        theta = part
        if isinstance(table, ThetaTable):
            theta = scratch.get("theta", part.shape)
            np.arccos(part, out=theta)
        evaluate(table, part, theta, out, scratch)
        out[part == 1.0] = dual.at_one
        out[part == -1.0] = dual.at_minus_one

    return _blockwise(checked, block)


def evaluate_series(dual: DualTables, name: str, rho: npt.ArrayLike) -> Any:
    """The truncated power series at `rho`, the one that the certificate bounds.

    Raises:
        ValueError: naming `name`, see `_correlations`.
    """

    def block(part: FloatArray, out: FloatArray, scratch: Scratch) -> None:
        evaluate_power(dual.series, part, out, scratch)

    return _blockwise(_correlations(dual, name, rho), block)


def full_coefficients(table: PowerTable, length: int) -> npt.NDArray[np.float64]:
    """All `length` coefficients of a series as a read-only float64 array, the zeros left out of the table included."""
    coefficients = np.zeros(length, dtype=np.float64)
    start, step = (0, 1) if table.parity == "none" else (int(table.parity == "odd"), 2)
    coefficients[start::step][: len(table.coefficients)] = table.coefficients
    coefficients.flags.writeable = False
    return coefficients
