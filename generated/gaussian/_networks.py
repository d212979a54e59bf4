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

from ._evaluation import KernelTables, Scratch
from ._inputs import FloatArray, as_depth, as_output, as_rows, as_scale
from ._layers import Network
from ._normseries import NormTables
from ._plans import Closed, Rows, make_plan
from ._roads import THREADED, Job
from ._tileplan import MatrixPlan
from ._tiles import TILE_COLUMNS, TILE_ROWS, evaluate_tile


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


def _jobs(rows: int, columns: int, width: int, symmetric: bool) -> list[Job]:
    """The tiles (top, bottom, left, right), `width` columns each, that cover the matrix, or its upper triangle."""
    jobs: list[Job] = []
    for top in range(0, rows, TILE_ROWS):
        for left in range(top if symmetric else 0, columns, width):
            jobs.append((top, min(top + TILE_ROWS, rows), left, min(left + width, columns)))
    return jobs


def _workers(jobs: int, entries: int) -> int:
    """How many threads to use: the cores this process may run on, no more than there are tiles."""
    if entries < THREADED:
        return 1
    affinity: Callable[[int], set[int]] | None = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity is not None else (os.cpu_count() or 1)
    return max(1, min(cores, jobs))


def _sizes(jobs: list[Job]) -> int:
    """The entries of all tiles."""
    return sum((bottom - top) * (right - left) for top, bottom, left, right in jobs)


class _Report:
    """Calls `progress` with the fraction done, at most about 100 times, from whichever thread called `done` last."""

    def __init__(self, progress: Callable[[float], object], total: int) -> None:
        self._progress = progress
        self._total = total
        self._finished = 0
        self._told = 0

    def done(self, entries: int) -> None:
        """Add finished entries; tell where another hundredth is reached."""
        self._finished += entries
        hundredths = 100 * self._finished // self._total
        if hundredths > self._told:
            self._told = hundredths
            self._progress(self._finished / self._total)


def _drain(queue: SimpleQueue[Any]) -> None:
    while not queue.empty():
        try:
            queue.get_nowait()
        except Empty:
            return


def _run(plan: MatrixPlan, jobs: list[Job], output: _Output, report: _Report | None) -> None:
    """Work off all tiles, each worker with its own scratch memory; progress is told from the calling thread."""
    queue: SimpleQueue[Job] = SimpleQueue()
    for job in jobs:
        queue.put(job)

    def work(finished: Callable[[int], None] | None) -> None:
        scratch = Scratch(TILE_ROWS * TILE_COLUMNS[plan.left.dtype], plan.left.dtype)
        with np.errstate(all="ignore"):
            while True:
                try:
                    job = queue.get_nowait()
                except Empty:
                    return
                output.store(job, evaluate_tile(plan, job, scratch))
                if finished is not None:
                    finished(_sizes([job]))

    workers = _workers(len(jobs), output.matrix.size)
    if workers == 1:
        work(None if report is None else report.done)
        return
    finished: SimpleQueue[int] = SimpleQueue()

    def work_in_thread(_: int) -> None:
        try:
            work(finished.put)
        finally:
            finished.put(-1)

    with ThreadPoolExecutor(workers) as pool:
        try:
            futures = [pool.submit(work_in_thread, index) for index in range(workers)]
            running = workers
            while running:
                entries = finished.get()
                if entries < 0:
                    running -= 1
                elif report is not None:
                    report.done(entries)
            for future in futures:
                future.result()
        except BaseException:
            # an interrupt must not wait for the tiles that nobody wants any more
            _drain(queue)
            raise


def kernel_matrix(
    tables: KernelTables,
    closed: Closed | None,
    norms: NormTables | None,
    kernel: Literal["nngp", "ntk"],
    x1: npt.ArrayLike,
    x2: npt.ArrayLike | None,
    settings: tuple[SupportsIndex, SupportsFloat, SupportsFloat],
    out: FloatArray | None = None,
    progress: Callable[[float], object] | None = None,
) -> Any:
    """The (n1, n2) NNGP or NTK matrix of x1 (n1, d) against x2 (n2, d), or x1 against itself.

    float32 where both inputs are, float64 otherwise; exactly symmetric where x2 is None or x1 itself,
    with the diagonal from the exact moments. `settings`: depth, w_std, b_std.

    Raises:
        RefusedError: for the NTK of an activation whose derivative is not square integrable.
        ValueError: naming the argument, for what is no valid input or not covered by what was compiled.
    """
    symmetric = x2 is None or x2 is x1
    first = Rows("x1", as_rows("x1", x1))
    second = first if x2 is None or x2 is x1 else Rows("x2", as_rows("x2", x2))
    columns = first.values.shape[1]
    if columns != second.values.shape[1]:
        raise ValueError(f"x2: expected {columns} columns as in x1, got {second.values.shape[1]}")
    network = Network(
        kernel == "ntk",
        as_depth("depth", settings[0]),
        as_scale("w_std", settings[1], zero=False),
        as_scale("b_std", settings[2], zero=True),
    )
    dtype = np.result_type(first.values, second.values)
    shape = (len(first.values), len(second.values))
    matrix = np.empty(shape, dtype) if out is None else as_output(out, shape, dtype, (first.values, second.values))
    if progress is not None and not callable(progress):
        raise ValueError(f"progress: expected a function of the fraction done, got {progress!r}")
    plan, moments = make_plan(tables, closed, norms, network, first, second, dtype)
    jobs = _jobs(*shape, TILE_COLUMNS[dtype], symmetric)
    _run(plan, jobs, _Output(matrix, symmetric), None if progress is None else _Report(progress, _sizes(jobs)))
    if symmetric:
        np.fill_diagonal(matrix, moments)
    return matrix
