"""Time of the kernel matrices over the time of x @ x.T, in one run: `python -m tests.backends.bench_networks`.

Not a test: it prints a table. Options: rows, columns (defaults 4000, 256), names of hand-built cases.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType

import numpy as np
import numpy.typing as npt

from tests.backends.programs import all_cases, unit_rows, write_package


def best(call: Callable[[], object], repeats: int) -> float:
    """The shortest of `repeats` wall times, in seconds."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)


def runs(package: ModuleType, x: npt.NDArray[np.floating]) -> dict[str, Callable[[], object]]:
    """What is timed, by the heading of its column."""
    chosen: dict[str, Callable[[], object]] = {"nngp": partial(package.nngp, x)}
    if package.DERIVATIVE_COEFFICIENTS is None:
        return chosen
    chosen["ntk"] = partial(package.ntk, x)
    w_std = float(1.0 / package.kappa(1.0) ** 0.5)
    inputs = x
    if package._tables.TABLES.homogeneous_degree is None:
        inputs = np.asarray(x / w_std, dtype=x.dtype)
    else:
        spread = np.linspace(0.5, 2.0, len(x)).astype(x.dtype)
        chosen["ntk, norms"] = partial(package.ntk, x * spread[:, None])
    chosen["ntk, depth 3"] = partial(package.ntk, inputs, depth=3, w_std=w_std)
    return chosen


def main() -> None:
    """Print one line a case and dtype."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=4000)
    parser.add_argument("--columns", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    cases = all_cases()
    with tempfile.TemporaryDirectory() as folder:
        sys.path.insert(0, folder)
        double = unit_rows(options.rows, options.columns, 0)
        inputs: tuple[npt.NDArray[np.floating], ...] = (double, double.astype(np.float32))
        for x in inputs:
            for name in options.names or cases:
                write_package(Path(folder), cases[name])
                package = importlib.import_module(name)
                product = best(partial(np.matmul, x, x.T), options.repeats + 2)
                cells = [
                    f"{key} {best(call, options.repeats) / product:5.2f}" for key, call in runs(package, x).items()
                ]
                print(f"{name:14s} {x.dtype.name} x@x.T {product * 1e3:6.1f} ms | {' | '.join(cells)}", flush=True)


if __name__ == "__main__":
    main()
