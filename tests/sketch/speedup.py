"""Exact kernel ridge against features at equal accuracy: `python -m tests.sketch.speedup [N ...] [--draw FILE]`.

ReLU's NTK of three hidden layers on rows in 20 dimensions, a teacher network's targets with noise 0.1. The exact side
builds the upper triangle of the kernel matrix, factors it in place (LAPACK, float64: float32 does not carry the
ridge), solves and predicts 2000 rows; the features plan, map, fit and predict the same rows, with the fewest features,
in powers of two, whose error on noisy test targets is within 2% of the exact predictor's. Both in processor time of one
thread: start it with OPENBLAS_NUM_THREADS=1. N = 32000 takes 9 GiB and some 10 minutes. `--draw` writes an SVG.
"""

from __future__ import annotations

import math
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from tests.sketch.measure import compiled, synthetic

Rows = npt.NDArray[Any]

GOAL = 106.0
_RIDGE = 0.05
_BLOCK = 2000
_FEATURES = (128, 256, 512, 1024, 2048, 4096)


@dataclass(frozen=True, slots=True)
class Point:
    """One number of rows: seconds of processor time of both sides, and their errors on noisy test targets."""

    rows: int
    exact: float
    exact_error: float
    features: int
    taken: float
    error: float

    @property
    def times(self) -> float:
        """How many times faster."""
        return self.exact / self.taken


def exact_side(module: ModuleType, rows: Rows, target: Rows, test: Rows) -> tuple[Rows, float, float, float]:
    """(predictions, seconds to build, to solve, to predict)."""
    from scipy.linalg import lapack  # noqa: PLC0415 - this command alone needs it

    count, start = len(rows), time.process_time()
    matrix = np.empty((count, count))
    for left in range(0, count, _BLOCK):
        right = min(left + _BLOCK, count)
        matrix[left:right, left:] = module.ntk(rows[left:right], rows[left:], depth=3)
    matrix[np.diag_indices(count)] += _RIDGE
    built = time.process_time()
    # the upper triangle in rows is the lower one in columns, as LAPACK takes it without a copy
    factor, failed = lapack.dpotrf(matrix.T, lower=1, clean=0, overwrite_a=1)
    if failed:
        raise ArithmeticError(f"the factorisation failed at row {failed}")
    dual, _ = lapack.dpotrs(factor, target, lower=1)
    solved = time.process_time()
    found = module.ntk(test, rows, depth=3) @ dual
    return found, built - start, solved - built, time.process_time() - solved


def features_side(module: ModuleType, rows: Rows, target: Rows, test: Rows, features: int) -> tuple[Rows, float]:
    """(predictions, seconds)."""
    start = time.process_time()
    fitted = module.Sketch(depth=3, features=features, pairs="sample", threads=1).fit(rows)
    found = fitted.ridge(rows, target, ridge=_RIDGE).predict(test)
    return found, time.process_time() - start


def measure(module: ModuleType, count: int) -> Point:
    """Both sides at one number of rows."""
    (rows, target), (test, truth) = synthetic(count, 0), synthetic(2000, 1)

    def error_of(found: Rows) -> float:
        return float(np.sqrt(np.mean((found - truth) ** 2)))

    found, built, solved, predicted = exact_side(module, rows, target, test)
    exact, error, features, taken = error_of(found), math.inf, 0, math.inf
    print(
        f"  n={count}: exact error {exact:.4f}; {built:.2f} s kernel, {solved:.2f} s solve, {predicted:.2f} s predict"
    )
    for features in _FEATURES:
        found, taken = features_side(module, rows, target, test, features)
        error = error_of(found)
        print(f"    m={features}: error {error:.4f} in {taken:.2f} s")
        if error <= 1.02 * exact:
            break
    point = Point(count, built + solved + predicted, exact, features, taken, error)
    equal = "at equal accuracy" if error <= 1.02 * exact else "NOT at equal accuracy"
    print(f"  n={count}: {point.exact:.1f} s against {point.taken:.2f} s: {point.times:.1f} times, {equal}", flush=True)
    return point


def continued(points: list[Point]) -> tuple[float, float]:
    """(slope of log times against log n of the last two points, the n at which that line reaches the goal)."""
    one, two = points[-2:]
    slope = math.log(two.times / one.times) / math.log(two.rows / one.rows)
    return slope, two.rows * (GOAL / two.times) ** (1.0 / slope)


def draw(points: list[Point], target: Path) -> None:
    """An SVG of times faster against n, both in logarithms; dashed where it is continued by its last slope."""
    slope, reached = continued(points)
    last, colour = points[-1], "#0b62a4"
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "kernelc"}):
        figure = Figure(figsize=(7, 4.2), layout="constrained")
        axes = figure.subplots()
        axes.loglog([p.rows for p in points], [p.times for p in points], "o-", color=colour)
        if reached > last.rows:
            times = last.times * (reached / last.rows) ** slope
            axes.loglog([last.rows, reached], [last.times, times], "--", color=colour)
        axes.axhline(GOAL, color="#888888", linestyle=":")
        axes.annotate(f"{GOAL:g}", (points[0].rows, GOAL), (0, 4), textcoords="offset points", color="#555555")
        for point in points:
            note = f"{point.times:.3g} (m = {point.features})"
            axes.annotate(note, (point.rows, point.times), (8, -12), textcoords="offset points")
        axes.set_xticks([p.rows for p in points], [str(p.rows) for p in points])
        axes.set_xticks([], minor=True)
        axes.set_ylim(points[0].times / 1.6, 1.6 * max(GOAL, last.times))
        axes.set_xlim(points[0].rows / 1.3, max(reached, last.rows) * 1.9)
        axes.set(xlabel="rows n (one thread)", ylabel="times faster, at equal test error")
        axes.set_title("Ridge regression on features against the exact kernel")
        figure.savefig(target, format="svg", metadata={"Date": None})


def main(words: list[str]) -> None:
    """Measure, print, and draw where asked to."""
    target = Path(words[words.index("--draw") + 1]) if "--draw" in words else None
    counts = [int(word) for word in words if word.isdigit()] or [2000, 4000, 8000, 16000]
    with tempfile.TemporaryDirectory() as folder:
        relu, points = compiled("relu", Path(folder)), []
        for count in counts:
            points.append(measure(relu, count))
            if len(points) > 1:
                slope, reached = continued(points)
                print(f"  slope n^{slope:.2f}; 106 times at n = {reached:.0f} if it continues", flush=True)
                if target is not None:
                    draw(points, target)


if __name__ == "__main__":
    main(sys.argv[1:])
