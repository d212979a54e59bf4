"""Measure what the sketches promise: `python -m tests.sketch.measure [SECTION ...]`, all sections by default.

Sections: unbiased, ratios, digits, time, sparse, ridge, large, speedup. Modules are compiled into a temporary folder.
Times are best of many repeats in processor time of one thread (start it with OPENBLAS_NUM_THREADS=1): on a shared
machine compare ratios of one run only.
"""

from __future__ import annotations

import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

import kernelc
from tests.backends.conftest import import_folder
from tests.sketch.errors import gram, redrawn, relative

Rows = npt.NDArray[np.float64]
SKETCHES = ("zonal", "polysketch", "tensorsketch")
INDEPENDENT: dict[str, Any] = {"draws": "independent", "normalise": False}


def compiled(name: str, folder: Path) -> ModuleType:
    """The emitted module of a gallery activation."""
    return import_folder(kernelc.compile(name, name=name).write(folder), f"measured_{name}")


def isotropic(n: int, d: int, seed: int = 0) -> Rows:
    """n rows uniform on the sphere."""
    rows = np.random.default_rng(seed).standard_normal((n, d))
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))


def load_digits() -> tuple[Rows, npt.NDArray[np.intp]]:
    """scikit-learn's digits at norm 1, and their labels."""
    from sklearn.datasets import load_digits as load  # noqa: PLC0415 - one section needs it

    data = load()
    return np.asarray(data.data / np.linalg.norm(data.data, axis=1, keepdims=True)), data.target


def best_time(work: Callable[[], object], repeats: int = 15) -> float:
    """Seconds of processor time, the best of several."""
    best = float("inf")
    for _ in range(repeats):
        start = time.process_time()
        work()
        best = min(best, time.process_time() - start)
    return best


def unbiased(modules: dict[str, ModuleType]) -> None:
    """The error of the average over 200 seeds against one seed's over sqrt(200)."""
    rows = isotropic(60, 20)
    truth = modules["relu"].ntk(rows, depth=3)
    for sketch in (*SKETCHES, "zonal, default draws"):
        options = {} if "," in sketch else INDEPENDENT
        fitted = modules["relu"].Sketch(depth=3, features=512, sketch=sketch.split(",")[0], **options).fit(rows)
        total, errors = np.zeros_like(truth), []
        for seed in range(200):
            matrix = gram(redrawn(fitted, seed).transform(rows))
            total += matrix / 200
            errors.append(relative(matrix, truth))
        one = float(np.sqrt(np.mean(np.square(errors))))
        print(
            f"  {sketch:21} one {one:.4f}  mean of 200 {relative(total, truth):.5f}  one/sqrt(200) {one / 200**0.5:.5f}"
        )


def ratios(modules: dict[str, ModuleType]) -> None:
    """Predicted over measured, isotropic rows, independent draws."""
    for dimension in (20, 64, 256):
        rows = isotropic(500, dimension)
        truth = modules["relu"].ntk(rows, depth=3)
        for sketch in SKETCHES:
            for features in (512, 2048, 8192):
                fitted = modules["relu"].Sketch(depth=3, features=features, sketch=sketch, **INDEPENDENT).fit(rows)
                errors = [relative(gram(redrawn(fitted, s).transform(rows)), truth) for s in range(4)]
                predicted, measured = fitted.plan["predicted_relative_error"], float(np.mean(errors))
                print(
                    f"  d={dimension:3} m={features:4} {sketch:12} predicted {predicted:.4f} measured {measured:.4f} "
                    f"ratio {predicted / measured:.2f}"
                )
    for pairs in ("unknown", "isotropic", "sample"):
        rows = isotropic(1000, 20)
        truth = modules["relu"].ntk(rows, depth=3)
        fitted = modules["relu"].Sketch(depth=3, features=2048, pairs=pairs).fit(rows)
        print(f"  d=20 m=2048 pairs={pairs}: {relative(gram(fitted.transform(rows.astype(np.float32))), truth):.5f}")


def digits(modules: dict[str, ModuleType]) -> None:
    """Errors on digits in float32, mean, worst and best of 8 seeds, and predicted / measured."""
    rows, _ = load_digits()
    for name, depth in (("relu", 3), ("gelu", 1)):
        truth = modules[name].ntk(rows, depth=depth)
        for features in (512, 2048, 8192):
            for options in ({}, {"pairs": "sample"}, {"recentre": True}, {"nystrom": True}):
                if name == "gelu" and "recentre" in options:
                    continue
                if "nystrom" in options and features > 1000:
                    continue
                fitted = modules[name].Sketch(depth=depth, features=features, **options).fit(rows)
                seeds = range(1 if "nystrom" in options else 8)
                errors = [relative(gram(redrawn(fitted, s).transform(rows.astype(np.float32))), truth) for s in seeds]
                predicted = fitted.plan["predicted_relative_error"]
                print(
                    f"  {name} depth {depth} m={features:4} {options}: mean {np.mean(errors):.4f} "
                    f"({min(errors):.4f}..{max(errors):.4f}) predicted/measured {predicted / np.mean(errors):.2f}"
                )


def timing(modules: dict[str, ModuleType]) -> None:
    """Microseconds of processor time a point, float32, beside the matrix product with as many directions."""
    relu = modules["relu"]
    for n in (1024, 2048, 4096):
        _time_of(relu, 64, 2048, n, "zonal")
    for dimension in (16, 32, 64, 128, 256, 512, 1024):
        _time_of(relu, dimension, 2048, 1024, "zonal")
    for features in (512, 1024, 2048, 4096, 8192):
        _time_of(relu, 64, features, 1024, "zonal")
    _time_of(relu, 1024, 8192, 512, "zonal")
    for sketch in ("polysketch", "tensorsketch"):
        _time_of(relu, 64, 2048, 512, sketch)


def _time_of(module: ModuleType, dimension: int, features: int, n: int, sketch: str) -> None:
    rows = isotropic(n, dimension).astype(np.float32)
    fitted = module.Sketch(depth=3, features=features, sketch=sketch, threads=1).fit(rows)
    fitted.transform(rows[:256])
    product = np.ones((dimension, fitted.plan.get("directions", 1)), np.float32)
    seconds, floor = best_time(lambda: fitted.transform(rows)), best_time(lambda: rows @ product)
    print(
        f"  d={dimension:4} m={features:4} n={n:4} {sketch:12} {seconds / n * 1e6:7.2f} us a point"
        f"   (dense product alone {floor / n * 1e6:.2f})"
    )


def sparse(modules: dict[str, ModuleType]) -> None:
    """CSR with 20,000 columns: the cost against the number of non-zeros, and against the number of columns."""
    from scipy import sparse as matrices  # noqa: PLC0415 - one section needs it

    for columns, filled in ((20000, 73), (20000, 146), (20000, 292), (20000, 1168), (200000, 73)):
        rows = matrices.random(1024, columns, density=filled / columns, format="csr", dtype=np.float32, random_state=0)
        for sketch in ("auto", "tensorsketch"):
            for features in (2048, 8192):
                fitted = modules["relu"].Sketch(depth=3, features=features, sketch=sketch, threads=1).fit(rows)
                fitted.transform(rows[:128])
                seconds = best_time(lambda: fitted.transform(rows), 5)  # noqa: B023 - called at once
                print(
                    f"  {columns} columns, {filled:4} non-zeros, m={features} {sketch:12} "
                    f"{seconds / 1024 * 1e6:8.1f} us a point"
                )


def ridge(modules: dict[str, ModuleType]) -> None:
    """Accuracy of ridge classification on digits with 8192 features against the exact kernel."""
    rows, labels = load_digits()
    targets = np.eye(10)[labels] - 0.1
    for name, depth in (("relu", 3), ("gelu", 1)):
        for split in range(3):
            order = np.random.default_rng(split).permutation(len(rows))
            train, test = order[:1200], order[1200:]
            matrix = modules[name].ntk(rows, depth=depth)
            dual = np.linalg.solve(matrix[np.ix_(train, train)] + 1e-2 * np.eye(1200), targets[train])
            exact = np.mean((matrix[np.ix_(test, train)] @ dual).argmax(axis=1) == labels[test])
            model = modules[name].Sketch(depth=depth, features=8192).fit(rows[train])
            found = model.ridge(rows[train], targets[train], ridge=1e-2).predict(rows[test])
            accuracy = np.mean(found.argmax(axis=1) == labels[test])
            print(f"  {name} depth {depth} split {split}: exact {exact:.4f} features {accuracy:.4f}")


def synthetic(n: int, seed: int, dimension: int = 20) -> tuple[npt.NDArray[np.float32], Rows]:
    """Rows and a smooth target with noise 0.1: a teacher network of 50 tanh units."""
    generator = np.random.default_rng(seed)
    rows = generator.standard_normal((n, dimension)).astype(np.float32)
    teacher = np.random.default_rng(99)
    hidden = np.tanh(rows @ teacher.standard_normal((dimension, 50)) / 4)
    target = hidden @ teacher.standard_normal(50) / 5
    return rows, target + 0.1 * generator.standard_normal(n)


def large(modules: dict[str, ModuleType]) -> None:
    """200,000 rows: minutes and memory of a fit and its predictions."""
    rows, target = synthetic(200_000, 0)
    test, truth = synthetic(10_000, 1)
    for features in (2048, 4096):
        start = time.perf_counter()
        fitted = modules["relu"].Sketch(depth=3, features=features).fit(rows)
        model = fitted.ridge(rows, target, ridge=0.05)
        middle = time.perf_counter()
        error = float(np.sqrt(np.mean((model.predict(test) - truth) ** 2)))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        print(
            f"  m={features}: fit {middle - start:.0f} s, predict 10,000 in {time.perf_counter() - middle:.1f} s, "
            f"root mean square error {error:.4f} (noise 0.1, spread {np.std(truth):.3f}), peak {peak:.2f} GiB; "
            f"the exact kernel would take {200_000**2 * 8 / 2**30:.0f} GiB"
        )


def speedup(modules: dict[str, ModuleType]) -> None:
    """Exact kernel ridge against features at equal accuracy of the predictor, as n grows; where it passes 106.

    The exact side is fitted and predicts up to n = 8000; beyond, its time is continued by its own cubic and quadratic
    parts. The features are the fewest (in powers of two) whose error is within 2% of the exact predictor's.
    """
    relu, (test, truth), slopes = modules["relu"], synthetic(2000, 1), (0.0, 0.0)
    for n in (1000, 2000, 4000, 8000):
        rows, target = synthetic(n, 0)
        start = time.process_time()
        matrix = relu.ntk(rows, depth=3).astype(np.float64)
        made = time.process_time()
        dual = np.linalg.solve(matrix + 0.05 * np.eye(n), target)
        solved = time.process_time()
        exact = float(np.sqrt(np.mean((relu.ntk(test, rows, depth=3) @ dual - truth) ** 2)))
        whole = time.process_time() - start
        slopes = ((made - start) / n**2, (solved - made) / n**3)
        for features in (64, 128, 256, 512, 1024, 2048, 4096):
            start = time.process_time()
            fitted = relu.Sketch(depth=3, features=features, pairs="sample").fit(rows)
            model = fitted.ridge(rows, target, ridge=0.05)
            error = float(np.sqrt(np.mean((model.predict(test) - truth) ** 2)))
            taken = time.process_time() - start
            if error <= 1.02 * exact:
                break
        print(
            f"  n={n}: exact error {exact:.4f} in {whole:.2f} s; m={features} error {error:.4f} in {taken:.2f} s: "
            f"{whole / taken:.1f} times faster " + "#" * int(whole / taken)
        )
    for n in (16000, 32000, 64000, 128000):
        rows, target = synthetic(n, 0)
        start = time.process_time()
        fitted = relu.Sketch(depth=3, features=features, pairs="sample").fit(rows)
        fitted.ridge(rows, target, ridge=0.05).predict(test)
        taken = time.process_time() - start
        exact = slopes[0] * n**2 + slopes[1] * n**3
        print(f"  n={n}: m={features} in {taken:.2f} s, exact continued to {exact:.0f} s: {exact / taken:.0f} times")


SECTIONS: dict[str, Callable[[dict[str, ModuleType]], None]] = {
    "unbiased": unbiased,
    "ratios": ratios,
    "digits": digits,
    "time": timing,
    "sparse": sparse,
    "ridge": ridge,
    "large": large,
    "speedup": speedup,
}


def main(chosen: list[str]) -> None:
    """Run the chosen sections."""
    print(f"NumPy {np.__version__}, OPENBLAS_NUM_THREADS={os.environ.get('OPENBLAS_NUM_THREADS', 'unset')}")
    with tempfile.TemporaryDirectory() as folder:
        modules = {name: compiled(name, Path(folder)) for name in ("relu", "gelu")}
        for name in chosen or list(SECTIONS):
            print(f"{name}: {(SECTIONS[name].__doc__ or '').splitlines()[0]}", flush=True)
            SECTIONS[name](modules)


if __name__ == "__main__":
    main(sys.argv[1:])
