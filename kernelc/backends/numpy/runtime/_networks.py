# Part of the runtime that kernelc copies, unchanged, into every module it generates.
"""NNGP and NTK kernel matrices of fully connected networks, tile by tile, on all cores.

    K_0 = w^2 <x, y> + b^2,          Theta_0 = K_0
    K_l = w^2 T(K_{l-1}) + b^2,      Theta_l = K_l + w^2 Tdot(K_{l-1}) Theta_{l-1}

(Jacot, Gabriel, Hongler 2018.) Part of every generated package, copied verbatim; it needs NumPy alone.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any, Literal, SupportsFloat, SupportsIndex

import numpy as np
import numpy.typing as npt

from ._bundles import bundle
from ._evaluation import KernelTables, Scratch, ThetaTable, derivative, trimmed
from ._inputs import FloatArray, as_depth, as_rows, as_scale
from ._layers import RowState, diagonal, row_state
from ._tiles import TILE_COLUMNS, TILE_ROWS, Job, TilePlan, bind_layers, evaluate_tile, pad_rows

#: Below this many entries threads cost more than they bring.
_THREAD_ENTRIES = 4 * TILE_ROWS * TILE_COLUMNS


@dataclass(frozen=True, slots=True)
class _Output:
    """Where tiles go: the result, and whether its lower triangle mirrors the upper one."""

    matrix: FloatArray
    symmetric: bool

    def store(self, job: Job, tile: FloatArray) -> None:
        """Write one tile, and its mirror image."""
        top, bottom, left, right = job
        block = tile[: bottom - top, : right - left]
        self.matrix[top:bottom, left:right] = block
        if not self.symmetric:
            return
        if left == top:
            square = self.matrix[top:bottom, top:bottom]
            square[:] = np.triu(square) + np.triu(square, 1).T
            self.matrix[bottom:right, top:bottom] = block[:, bottom - top :].T
        else:
            self.matrix[left:right, top:bottom] = block.T


def _jobs(rows: int, columns: int, symmetric: bool) -> list[Job]:
    """The tiles (top, bottom, left, right) that cover the matrix, or its upper triangle."""
    jobs: list[Job] = []
    for top in range(0, rows, TILE_ROWS):
        for left in range(top if symmetric else 0, columns, TILE_COLUMNS):
            jobs.append((top, min(top + TILE_ROWS, rows), left, min(left + TILE_COLUMNS, columns)))
    return jobs


def _workers(jobs: int, entries: int) -> int:
    """How many threads to use: the cores this process may run on, no more than there are tiles."""
    if entries < _THREAD_ENTRIES:
        return 1
    affinity: Callable[[int], set[int]] | None = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity is not None else (os.cpu_count() or 1)
    return max(1, min(cores, jobs))


def _run(plan: TilePlan, jobs: list[Job], output: _Output) -> None:
    """Work off all tiles, each worker with its own scratch memory."""
    queue: SimpleQueue[Job] = SimpleQueue()
    for job in jobs:
        queue.put(job)

    def work(_: int) -> None:
        scratch = Scratch(TILE_ROWS * TILE_COLUMNS, plan.left.dtype)
        with np.errstate(all="ignore"):
            while True:
                try:
                    job = queue.get_nowait()
                except Empty:
                    return
                output.store(job, evaluate_tile(plan, job, scratch))

    workers = _workers(len(jobs), output.matrix.size)
    if workers == 1:
        work(0)
        return
    with ThreadPoolExecutor(workers) as pool:
        try:
            list(pool.map(work, range(workers)))
        except BaseException:
            # an interrupt must not wait for the tiles that nobody wants any more
            while not queue.empty():
                try:
                    queue.get_nowait()
                except Empty:
                    break
            raise


def kernel_matrix(
    tables: KernelTables,
    kernel: Literal["nngp", "ntk"],
    x1: npt.ArrayLike,
    x2: npt.ArrayLike | None,
    depth: SupportsIndex,
    w_std: SupportsFloat,
    b_std: SupportsFloat,
) -> Any:
    """The (n1, n2) NNGP or NTK matrix of x1 (n1, d) against x2 (n2, d), or x1 against itself.

    float32 where both inputs are, float64 otherwise; exactly symmetric where x2 is None or x1 itself,
    with the diagonal from the exact moments.

    Raises:
        RefusedError: for the NTK of an activation whose derivative is not square integrable.
        ValueError: naming the argument, for what is no valid input or not covered by the tables.
    """
    slope = derivative(tables) if kernel == "ntk" else None
    symmetric = x2 is None or x2 is x1
    first = as_rows("x1", x1)
    second = first if x2 is None or x2 is x1 else as_rows("x2", x2)
    if first.shape[1] != second.shape[1]:
        raise ValueError(f"x2: expected {first.shape[1]} columns as in x1, got {second.shape[1]}")
    layers, weight = as_depth("depth", depth), as_scale("w_std", w_std, zero=False)
    bias = as_scale("b_std", b_std, zero=True)
    dtype = np.result_type(first, second)
    left = row_state(tables, "x1", first, layers, weight, bias, dtype)
    right = left if symmetric else row_state(tables, "x2", second, layers, weight, bias, dtype)
    at_one = None if slope is None else slope.at_one
    moments = diagonal(tables, "x1", left.path, bias, at_one, dtype)
    if not symmetric:
        diagonal(tables, "x2", right.path, bias, at_one, dtype)
    plan = _plan(tables, kernel, left, right, bias, dtype)
    output = _Output(np.empty((len(first), len(second)), dtype), symmetric)
    _run(plan, _jobs(len(first), len(second), symmetric), output)
    if symmetric:
        np.fill_diagonal(output.matrix, moments)
    return output.matrix


def _plan(
    tables: KernelTables,
    kernel: Literal["nngp", "ntk"],
    left: RowState,
    right: RowState,
    b_std: float,
    dtype: np.dtype[Any],
) -> TilePlan:
    """All that the tiles share."""
    dual = tables.kappa_dot if kernel == "ntk" else None
    slope = () if dual is None else (trimmed(dual.direct, dtype),)
    direct, drop = trimmed(tables.kappa.direct, dtype), trimmed(tables.drop, dtype)
    angular = any(isinstance(table, ThetaTable) for table in (direct, *slope))
    together = isinstance(drop, ThetaTable)
    layers, last = bind_layers(left.path, right.path, dtype)
    padded = pad_rows(left.unit)
    return TilePlan(
        ends=bundle((direct, *slope), dtype),
        drops=bundle((drop, *slope) if together else (drop,), dtype),
        slope=bundle(slope, dtype) if slope and not together else None,
        tangent=bool(slope),
        at_one=tables.kappa.at_one,
        gain=tables.variance,
        angular=angular,
        parity=tables.parity if angular and layers else "none",
        left=padded,
        right=padded if right is left else pad_rows(right.unit),
        left_source=left.source,
        right_source=right.source,
        layers=layers,
        last=last,
        offset=b_std**2,
    )
