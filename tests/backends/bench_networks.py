"""Time of the kernel matrices over the time of x @ x.T in the same run, and their memory, as a Markdown table.

    python -m tests.backends.bench_networks [--rows 4000] [--columns 256] [--repeats 5] [--packages FOLDER] [NAME ...]

Not a test. Activations are compiled first, or found in --packages, a folder of compiled ones. A row is one
activation and dtype; a cell is the best time of a kernel over the best time of the product, measured in turns, each
after a pause: BLAS keeps its threads spinning for a tenth of a second after a product, on the cores of what is timed.
Memory is the growth of a fresh process's peak beyond its inputs and its result, at twice the rows.
"""

from __future__ import annotations

import argparse
import importlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType

import numpy as np
import numpy.typing as npt

import kernelc
from tests.backends.programs import unit_rows

FORMULAS = {"hard_tanh": "Max(-1, Min(1, t))"}
NAMES = ("gelu", "relu", "tanh", "silu", "elu", "hard_tanh")
HEADINGS = ("nngp", "ntk", "ntk, norms 1/2 to 2", "ntk, depth 3", "ntk, depth 3, norms", "memory, MB")
Rows = npt.NDArray[np.floating]
#: Seconds after which no thread of BLAS spins any more.
_PAUSE = 0.15

_MEMORY = """
import importlib, resource, sys
import numpy as np
sys.path.insert(0, sys.argv[1])
package = importlib.import_module(sys.argv[2])
n, d, dtype = int(sys.argv[3]), int(sys.argv[4]), np.dtype(sys.argv[5])
package.ntk(np.eye(600, d, dtype=dtype) * 1.3)
x = np.random.default_rng(0).standard_normal((n, d)).astype(dtype)
x *= (np.linspace(0.5, 2.0, n) / np.linalg.norm(x, axis=1))[:, None].astype(dtype)
out = np.zeros((n, n), dtype)
out += 1.0
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
package.ntk(x, out=out)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


def compiled(folder: Path, name: str) -> None:
    """The package of `name` in `folder`, compiled where it is not there."""
    if not (folder / name).exists():
        kernelc.compile(FORMULAS.get(name, name), name=name).write(str(folder))


def runs(package: ModuleType, x: Rows) -> list[Callable[[], object]]:
    """What is timed, in the order of the headings; `x` has unit rows."""
    w_std = float(1.0 / package.kappa(1.0) ** 0.5)
    spread = np.asarray(x * np.linspace(0.5, 2.0, len(x))[:, None], dtype=x.dtype)
    steady = np.asarray(x / w_std, dtype=x.dtype)
    return [
        partial(package.nngp, x),
        partial(package.ntk, x),
        partial(package.ntk, spread),
        partial(package.ntk, steady, depth=3, w_std=w_std),
        partial(package.ntk, spread, depth=3, w_std=w_std),
    ]


def ratios(calls: list[Callable[[], object]], product: Callable[[], object], repeats: int) -> tuple[float, list[float]]:
    """The best time of the product, and each call's best over it; they take turns, so that noise meets all."""
    best = [float("inf")] * (len(calls) + 1)
    for _ in range(repeats):
        for index, call in enumerate([product, *calls]):
            for _ in range(2 if index == 0 else 1):
                time.sleep(_PAUSE)
                start = time.perf_counter()
                call()
                best[index] = min(best[index], time.perf_counter() - start)
    return best[0], [value / best[0] for value in best[1:]]


def memory(folder: Path, name: str, rows: int, columns: int, dtype: str) -> float:
    """Megabytes beyond inputs and result."""
    command = [sys.executable, "-c", _MEMORY, str(folder), name, str(rows), str(columns), dtype]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=4000)
    parser.add_argument("--columns", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--packages", type=Path)
    parser.add_argument("names", nargs="*", default=NAMES)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.packages or Path(temporary)
        sys.path.insert(0, str(folder))
        print(f"| activation | dtype | x @ x.T, ms | {' | '.join(HEADINGS)} |")
        print(f"|{'---|' * (len(HEADINGS) + 3)}")
        double = unit_rows(options.rows, options.columns, 0)
        for name in options.names:
            compiled(folder, name)
            package = importlib.import_module(name)
            for x in (double, double.astype(np.float32)):
                product, found = ratios(runs(package, x), partial(np.matmul, x, x.T), options.repeats)
                extra = memory(folder, name, 2 * options.rows, options.columns, x.dtype.name)
                cells = " | ".join([f"{ratio:.1f}" for ratio in found] + [f"{extra:.0f}"])
                print(f"| {name} | {x.dtype.name} | {product * 1e3:.0f} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
