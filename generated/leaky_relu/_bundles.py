# Part of the runtime that kernelc copies, unchanged, into every module it generates.
"""Polynomials of one variable evaluated together, with one small matrix product for their inner sums.

Paterson and Stockmeyer (1973), "On the number of nonscalar multiplications necessary to evaluate
polynomials": p(z) = sum_i Q_i(z) y^i with y = z^m, each Q_i of degree below m; here the Q_i of all
polynomials are one product of their coefficients with the powers of z. In the Chebyshev basis y is
T_m(z), from T_{im+j} = 2 T_i(y) T_j(z) - T_{im-j}(z).

Part of every generated package, copied verbatim; it needs NumPy alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from ._evaluation import PowerTable, Scratch, ShortTable, Table, ThetaTable, add_head, evaluate, short_variable
from ._inputs import FloatArray

#: Fewer passes over the data than this are not worth a matrix product (measured, both dtypes).
_WORTH_IT = 160

#: Entries a small product spans; every tile is a whole number of them.
_SPAN = 1024

#: Bytes of an array in work at a time: few enough for several to stay in the cache, and enough for the time
#: outside the interpreter's lock to hide the time in it. A product's multiplications at most, so that BLAS
#: starts no threads.
_CHUNK_BYTES, _PRODUCT = 2**18, 2**18


@dataclass(frozen=True, slots=True)
class Bundle:
    """Tables evaluated together; `matrix` (len(tables) * blocks, inner) holds the rows of all Q_i.

    `matrix` is None where the tables do not share a variable, or are short: each then goes its own way.
    """

    tables: tuple[Table, ...]
    matrix: FloatArray | None
    basis: Literal["monomial", "chebyshev"]
    inner: int
    blocks: int


def _variable(table: Table) -> tuple[object, ...] | None:
    """What two tables must have in common to be evaluated together; None for several panels."""
    if isinstance(table, PowerTable):
        return ("rho", table.parity != "none")
    if isinstance(table, ShortTable):
        return ("shifted", table.squared)
    return ("theta", table.edges, table.basis) if len(table.rows) == 1 else None


def _row(table: Table) -> tuple[float, ...]:
    if isinstance(table, ShortTable):
        return table.rest
    return table.coefficients if isinstance(table, PowerTable) else table.rows[0]


def chebyshev_blocks(row: tuple[float, ...], inner: int, blocks: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """d (blocks, inner) with sum_k row[k] T_k(z) = sum_i T_i(T_inner(z)) sum_j d[i, j] T_j(z)."""
    rest = np.zeros(inner * blocks)
    rest[: len(row)] = row
    result = np.zeros((blocks, inner))
    for degree in range(inner * blocks - 1, -1, -1):
        outer, remainder = divmod(degree, inner)
        if outer and remainder:
            result[outer, remainder] += 2.0 * rest[degree]
            rest[outer * inner - remainder] -= rest[degree]
        else:
            result[outer, remainder] += rest[degree]
    return result


def bundle(tables: tuple[Table, ...], dtype: np.dtype[Any]) -> Bundle:
    """The plan for evaluating `tables` together in `dtype`."""
    variables = {_variable(table) for table in tables}
    basis: Literal["monomial", "chebyshev"] = "monomial"
    if isinstance(tables[0], ThetaTable):
        basis = tables[0].basis
    longest = max(len(_row(table)) for table in tables)
    passes = (3 if basis == "chebyshev" else 2) * longest * len(tables)
    if len(variables) > 1 or None in variables or passes < _WORTH_IT:
        return Bundle(tables, None, basis, 0, 0)
    inner = 8 if longest <= 40 else 12
    blocks = -(-longest // inner)
    parts = []
    for table in tables:
        if basis == "chebyshev":
            parts.append(chebyshev_blocks(_row(table), inner, blocks))
        else:
            padded = np.zeros(inner * blocks)
            padded[: len(_row(table))] = _row(table)
            parts.append(padded.reshape(blocks, inner))
    return Bundle(tables, np.concatenate(parts).astype(dtype), basis, inner, blocks)


def evaluate_bundle(
    plan: Bundle, rho: FloatArray, theta: FloatArray, outs: tuple[FloatArray, ...], scratch: Scratch
) -> None:
    """outs[i] = the value of table i; all arrays contiguous, distinct, of one shape."""
    piece = _CHUNK_BYTES // rho.dtype.itemsize
    if plan.matrix is None:
        flat_rho, flat_theta = rho.reshape(-1), theta.reshape(-1)
        for start in range(0, flat_rho.size, piece):
            part = slice(start, start + piece)
            for table, out in zip(plan.tables, outs, strict=True):
                evaluate(table, flat_rho[part], flat_theta[part], out.reshape(-1)[part], scratch)
        return
    z, first = scratch.get("z", rho.shape), plan.tables[0]
    if isinstance(first, ThetaTable):
        left, right = first.edges
        np.multiply(theta, 2.0 / (right - left), out=z)
        np.subtract(z, (left + right) / (right - left), out=z)
    elif isinstance(first, ShortTable):
        short_variable(first, rho, z)
    elif first.parity == "none":
        z = rho
    else:
        np.multiply(rho, rho, out=z)
    flat, targets = z.reshape(-1), [out.reshape(-1) for out in outs]
    for start in range(0, flat.size, piece):
        part = slice(start, start + piece)
        _chunk(plan, plan.matrix, flat[part], [out[part] for out in targets], scratch)
    for table, out in zip(plan.tables, outs, strict=True):
        if isinstance(table, PowerTable):
            if table.parity == "odd":
                np.multiply(out, rho, out=out)
        elif isinstance(table, ShortTable):
            add_head(table, rho, out, scratch)
        elif table.rooted:
            np.multiply(out, theta, out=out)


def _chunk(plan: Bundle, matrix: FloatArray, z: FloatArray, outs: list[FloatArray], scratch: Scratch) -> None:
    """The bundle on a chunk that stays in cache."""
    span = _SPAN
    while len(matrix) * plan.inner * span > _PRODUCT and span > 1 and z.size % (span // 2) == 0:
        span //= 2
    stack = z.size // span
    powers = scratch.get("powers", (stack, plan.inner, span), z.size * plan.inner)
    inner_sums = scratch.get("inner_sums", (stack, len(matrix), span), z.size * len(matrix))
    top = _fill_basis(plan, z.reshape(stack, span), powers, scratch)
    np.matmul(matrix, powers, out=inner_sums)
    for index, out in enumerate(outs):
        rows = inner_sums[:, index * plan.blocks : (index + 1) * plan.blocks]
        if plan.basis == "monomial":
            _outer_horner(rows, top, out.reshape(stack, span))
        else:
            _outer_clenshaw(rows, top, out.reshape(stack, span), scratch)


def _fill_basis(plan: Bundle, z: FloatArray, powers: FloatArray, scratch: Scratch) -> FloatArray:
    """powers[:, j] = z^j or T_j(z) for j < inner; returns the next one."""
    top = scratch.get("top", z.shape)
    powers[:, 0] = 1.0
    powers[:, 1] = z
    if plan.basis == "monomial":
        for degree in range(2, plan.inner + 1):
            target = top if degree == plan.inner else powers[:, degree]
            np.multiply(powers[:, degree // 2], powers[:, degree - degree // 2], out=target)
        return top
    twice = scratch.get("twice", z.shape)
    np.add(z, z, out=twice)
    for degree in range(2, plan.inner + 1):
        target = top if degree == plan.inner else powers[:, degree]
        np.multiply(twice, powers[:, degree - 1], out=target)
        np.subtract(target, powers[:, degree - 2], out=target)
    return top


def _outer_horner(rows: FloatArray, y: FloatArray, out: FloatArray) -> None:
    """out = sum_i rows[:, i] y^i."""
    count = rows.shape[1]
    out[:] = rows[:, count - 1]
    for index in range(count - 2, -1, -1):
        np.multiply(out, y, out=out)
        np.add(out, rows[:, index], out=out)


def _outer_clenshaw(rows: FloatArray, y: FloatArray, out: FloatArray, scratch: Scratch) -> None:
    """out = sum_i rows[:, i] T_i(y), Clenshaw's recurrence; `rows` is overwritten."""
    count = rows.shape[1]
    if count == 1:
        out[:] = rows[:, 0]
        return
    twice = scratch.get("twice", y.shape)
    np.add(y, y, out=twice)
    for index in range(count - 2, 0, -1):
        # b_i = rows_i + 2 y b_{i+1} - b_{i+2}, each kept in the place of its row
        np.multiply(twice, rows[:, index + 1], out=out)
        np.add(rows[:, index], out, out=rows[:, index])
        if index + 2 < count:
            np.subtract(rows[:, index], rows[:, index + 2], out=rows[:, index])
    np.multiply(y, rows[:, 1], out=out)
    np.add(out, rows[:, 0], out=out)
    if count > 2:
        np.subtract(out, rows[:, 2], out=out)
