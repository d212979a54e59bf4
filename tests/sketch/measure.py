"""Measure what the sketches promise: `python -m tests.sketch.measure [SECTION ...]`, all sections by default.

Sections: unbiased, ratios, digits, time, sparse, ridge, large, gallery. Modules are compiled into a temporary folder.
Times are best of many repeats in processor time of one thread (start it with OPENBLAS_NUM_THREADS=1): on a shared
machine compare ratios of one run only.
"""

from __future__ import annotations

import importlib
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
from scipy import special

import kernelc
from kernelc.writer import compiled_names
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
    """The error of the average over 200 seeds against the kept degrees' kernel, beside one seed's over sqrt(200)."""
    rows = isotropic(60, 20)
    for sketch in (*SKETCHES, "zonal, default draws"):
        options = {} if "," in sketch else INDEPENDENT
        fitted = modules["relu"].Sketch(depth=3, features=512, sketch=sketch.split(",")[0], **options).fit(rows)
        truth = _kept(modules["relu"], rows, fitted.plan)
        total, errors = np.zeros_like(truth), []
        for seed in range(200):
            matrix = gram(redrawn(fitted, seed).transform(rows))
            total += matrix / 200
            errors.append(relative(matrix, truth))
        one = float(np.sqrt(np.mean(np.square(errors))))
        print(
            f"  {sketch:21} one {one:.4f}  mean of 200 {relative(total, truth):.5f}  one/sqrt(200) {one / 200**0.5:.5f}"
        )


def _kept(module: ModuleType, rows: Rows, plan: Any) -> Rows:
    """The NTK of depth 3 without the harmonics that a zonal plan drops; other plans leave out next to nothing here."""

    def value(rho: Rows) -> Rows:
        pairs = np.stack([rho, np.sqrt(1.0 - rho * rho)], axis=1)
        return np.asarray(module.ntk(np.array([[1.0, 0.0]]), pairs, depth=3)[0])

    kept, rho = [*plan["degrees_exact"], *plan["degrees_sketched"]], rows @ rows.T
    if plan["sketch"] != "zonal":
        return np.asarray(module.ntk(rows, depth=3))
    order = (rows.shape[1] - 2) / 2
    nodes, weights = special.roots_gegenbauer(200, order)
    result = np.zeros_like(rho)
    for degree in kept:
        basis = special.eval_gegenbauer(degree, order, nodes)
        share = (weights @ (value(nodes) * basis)) / (weights @ basis**2)
        result += share * special.eval_gegenbauer(degree, order, rho)
    return result


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
    """Accuracy of ridge classification on digits with 8192 features against the exact kernel, 20 splits."""
    rows, labels = load_digits()
    targets = np.eye(10)[labels] - 0.1
    for name, depth in (("relu", 3), ("gelu", 1)):
        matrix, losses = modules[name].ntk(rows, depth=depth), []
        fitted = modules[name].Sketch(depth=depth, features=8192).fit(rows)
        for split in range(20):
            order = np.random.default_rng(split).permutation(len(rows))
            train, test = order[:1200], order[1200:]
            dual = np.linalg.solve(matrix[np.ix_(train, train)] + 1e-2 * np.eye(1200), targets[train])
            exact = np.mean((matrix[np.ix_(test, train)] @ dual).argmax(axis=1) == labels[test])
            found = fitted.ridge(rows[train], targets[train], ridge=1e-2).predict(rows[test])
            losses.append(exact - np.mean(found.argmax(axis=1) == labels[test]))
        print(
            f"  {name} depth {depth}: points lost against the exact kernel: mean {100 * np.mean(losses):.3f}, "
            f"worst {100 * max(losses):.2f} (one of 597 test rows is 0.17)"
        )


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


def gallery(modules: dict[str, ModuleType]) -> None:
    """Predicted / measured of every generated module over its whole range of norms, independent draws.

    Rows are isotropic, their norms even in the plan's logarithm; where the plan speaks of the kernel over its
    size, so does the measurement. The modules are those in generated/: compile them again where the features changed.
    """
    del modules
    for name in compiled_names(Path("generated")):
        module = importlib.import_module(f"generated.{name}")
        for dimension, features in ((20, 512), (64, 2048)):
            for kernel in ("ntk", "nngp"):
                try:
                    fitted = module.Sketch(kernel=kernel, features=features, **INDEPENDENT)
                except ValueError as error:
                    print(f"  {name:20} {kernel} refused: {str(error)[:80]}")
                    continue
                series, rows = fitted._series, isotropic(300, dimension)
                if series.power is None:
                    low, high = np.log(series.low + series.shift), np.log(series.high + series.shift)
                    norms = np.exp(np.random.default_rng(1).uniform(low, high, 300)) - series.shift
                    rows = rows * np.clip(norms, series.low, series.high)[:, None]
                fitted.fit(rows)
                truth = getattr(module, kernel)(rows)
                size = np.ones_like(truth)
                if "over its size" in fitted.plan["predicted_for"]:
                    size = np.sqrt(np.outer(np.diag(truth), np.diag(truth)))
                squares = [
                    relative(gram(redrawn(fitted, seed).transform(rows)) / size, truth / size) ** 2 for seed in range(4)
                ]
                predicted, measured = fitted.plan["predicted_relative_error"], float(np.mean(squares)) ** 0.5
                print(
                    f"  {name:20} {kernel:4} d={dimension} m={features:4} predicted {predicted:.4f} "
                    f"measured {measured:.4f} ratio {predicted / measured:.2f}",
                    flush=True,
                )


SECTIONS: dict[str, Callable[[dict[str, ModuleType]], None]] = {
    "unbiased": unbiased,
    "ratios": ratios,
    "digits": digits,
    "time": timing,
    "sparse": sparse,
    "ridge": ridge,
    "large": large,
    "gallery": gallery,
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
