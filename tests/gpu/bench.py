"""The speed of the CuPy backend: python tests/gpu/bench.py [--rows 20000] [--columns 256] [--features 4096].

Needs NumPy, CuPy, a GPU.

For each activation, float32, one hidden layer, x against itself: the elementwise stage by CUDA events, what it
moves over the copy bandwidth measured beside it, the whole NTK over the sum of the product and that traffic's
floor, and over the same call on this machine's CPU (at fewer rows, scaled by their square). The same of rows of norms
from 1/2 to 2, by a closed form and by tables of norms, without the floor: it is arithmetic that takes the time there.
Then features of the NTK of those rows by each sketch: over the time in which a copy writes as much, and over this
machine's CPU.
"""

from __future__ import annotations

import argparse
import importlib
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.gpu.agreement import missing

#: Closed form, kink, and one without a closed form.
ACTIVATIONS = ("gelu", "relu", "tanh")
#: A closed form, and tables of norms.
NORM_ACTIVATIONS = ("gelu", "tanh")
REPEATS, CPU_ROWS = 20, 4000
SKETCHES = ("zonal", "polysketch", "tensorsketch")


def milliseconds(cupy: ModuleType, work: Callable[[], object], before: Callable[[], object] = lambda: None) -> float:
    """The median time of `work` by events on the current stream; `before` is not counted."""
    times = []
    for attempt in range(REPEATS + 3):
        before()
        start, end = cupy.cuda.Event(), cupy.cuda.Event()
        start.record()
        work()
        end.record()
        end.synchronize()
        if attempt >= 3:
            times.append(float(cupy.cuda.get_elapsed_time(start, end)))
    return statistics.median(times)


def cpu_milliseconds(work: Callable[[], object]) -> float:
    """The time of what NumPy does, the best of three."""
    times = []
    for _ in range(3):
        start = time.perf_counter()
        work()
        times.append(1e3 * (time.perf_counter() - start))
    return min(times)


def unit_rows(rows: int, columns: int) -> Any:
    """Random rows of norm 1 in float32."""
    x = np.random.default_rng(0).standard_normal((rows, columns)).astype(np.float32)
    x /= np.linalg.norm(x, axis=1)[:, None]
    return x


def measure(cupy: ModuleType, name: str, rows: int, columns: int) -> list[float]:
    """copy GB/s, product ms, elementwise ms, its share of the copy bandwidth, NTK ms, over the floor, over the CPU."""
    package = importlib.import_module(f"generated.{name}")
    x = unit_rows(rows, columns)
    small = x[: min(rows, CPU_ROWS)]
    cpu = cpu_milliseconds(lambda: package.ntk(small)) * (rows / len(small)) ** 2
    device = cupy.asarray(x)
    package.ntk(device[:2])
    plan = importlib.import_module(f"generated.{name}._cupy").plan("ntk", device, None, (1, 1.0, 0.0))
    correlations = plan.product()
    matrix = cupy.empty_like(correlations)
    size = correlations.size * correlations.dtype.itemsize
    copy = milliseconds(cupy, lambda: cupy.copyto(matrix, correlations))
    product = milliseconds(cupy, plan.product)
    stage = milliseconds(cupy, lambda: plan.finish(matrix), lambda: cupy.copyto(matrix, correlations))
    # the upper triangle is read, both are written
    moved, bandwidth = 1.5 * size, 2.0 * size / copy
    whole = milliseconds(cupy, lambda: package.ntk(device))
    floor = product + moved / bandwidth
    return [bandwidth / 1e6, product, stage, moved / bandwidth / stage, whole, whole / floor, cpu / whole]


def table(cupy: ModuleType, rows: int, columns: int) -> list[str]:
    """The lines of the table, in Markdown."""
    heads = (
        "copy GB/s",
        "product ms",
        "stage ms",
        "stage: share of copy bandwidth",
        "NTK ms",
        "NTK / floor",
        "CPU / NTK",
    )
    lines = [f"n = {rows}, d = {columns}, float32", "", f"| activation | {' | '.join(heads)} |", f"|{'---|' * 8}"]
    for name in ACTIVATIONS:
        numbers = measure(cupy, name, rows, columns)
        lines.append(f"| {name} | {' | '.join(f'{number:.3g}' for number in numbers)} |")
    return lines


def measure_norms(cupy: ModuleType, name: str, rows: int, columns: int) -> list[float]:
    """Elementwise ms, NTK ms, how many times the CPU's time, of rows of different norms."""
    package = importlib.import_module(f"generated.{name}")
    x = unit_rows(rows, columns) * np.exp2(np.linspace(-1, 1, rows, dtype=np.float32))[:, None]
    small = np.ascontiguousarray(x[:: max(1, rows // CPU_ROWS)])
    cpu = cpu_milliseconds(lambda: package.ntk(small)) * (rows / len(small)) ** 2
    device = cupy.asarray(x)
    plan = importlib.import_module(f"generated.{name}._cupy").plan("ntk", device, None, (1, 1.0, 0.0))
    correlations = plan.product()
    matrix = cupy.empty_like(correlations)
    stage = milliseconds(cupy, lambda: plan.finish(matrix), lambda: cupy.copyto(matrix, correlations))
    whole = milliseconds(cupy, lambda: package.ntk(device))
    return [stage, whole, cpu / whole]


def norm_table(cupy: ModuleType, rows: int, columns: int) -> list[str]:
    """The lines of the table of different norms, in Markdown."""
    lines = [f"n = {rows}, d = {columns}, float32, norms 1/2 to 2", ""]
    lines += ["| activation | stage ms | NTK ms | CPU / NTK |", f"|{'---|' * 4}"]
    for name in NORM_ACTIVATIONS:
        numbers = measure_norms(cupy, name, rows, columns)
        lines.append(f"| {name} | {' | '.join(f'{number:.3g}' for number in numbers)} |")
    return lines


def measure_features(cupy: ModuleType, name: str, sketch: str, rows: int, columns: int, features: int) -> list[float]:
    """ms, of that the part in which a copy would write the result, how many times the CPU's time."""
    x = unit_rows(rows, columns)
    fitted = importlib.import_module(f"generated.{name}").Sketch(features=features, sketch=sketch).fit(x)
    small = x[: min(rows, CPU_ROWS)]
    fitted.transform(small[:2])
    cpu = cpu_milliseconds(lambda: fitted.transform(small)) * (rows / len(small))
    device = cupy.asarray(x)
    result = fitted.transform(device)
    target = cupy.empty_like(result)
    # a copy reads as much as it writes
    write = milliseconds(cupy, lambda: cupy.copyto(target, result)) / 2
    whole = milliseconds(cupy, lambda: fitted.transform(device))
    return [whole, write / whole, cpu / whole]


def feature_table(cupy: ModuleType, rows: int, columns: int, features: int) -> list[str]:
    """The lines of the features' table, in Markdown."""
    lines = [f"n = {rows}, d = {columns}, {features} features, float32", ""]
    lines += ["| activation | sketch | ms | share of copy bandwidth | over the CPU |", f"|{'---|' * 5}"]
    for name in ACTIVATIONS:
        for sketch in SKETCHES:
            numbers = measure_features(cupy, name, sketch, rows, columns, features)
            lines.append(f"| {name} | {sketch} | {' | '.join(f'{number:.3g}' for number in numbers)} |")
    return lines


def main() -> int:
    """Print the table; 2 where there is no GPU."""
    parser = argparse.ArgumentParser(description="The speed of the CuPy backend on this machine's GPU.")
    parser.add_argument("--rows", type=int, default=20000)
    parser.add_argument("--columns", type=int, default=256)
    parser.add_argument("--features", type=int, default=4096)
    options = parser.parse_args()
    reason = missing()
    if reason is not None:
        print(f"error: nothing was measured: {reason}", file=sys.stderr)
        return 2
    cupy = importlib.import_module("cupy")
    name = cupy.cuda.runtime.getDeviceProperties(0)["name"].decode()
    print(name, *table(cupy, options.rows, options.columns), sep="\n")
    print("", *norm_table(cupy, options.rows, options.columns), sep="\n")
    print("", *feature_table(cupy, options.rows, options.columns, options.features), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
