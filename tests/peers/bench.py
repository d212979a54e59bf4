"""kernelc and neural-tangents side by side, in one run: `python -m tests.peers.bench`.

Accuracy against the stored references of 30 digits; time and peak memory of the NTK matrix of n rows with itself,
the best of k repeats, the two sides taking turns in processes of their own (whichever waits is idle). Rows have one
norm, and w_std keeps every layer at the compiled variance, unless --spread asks for norms from 1/2 to 2. Where the
peer has no closed form it runs its `ElementwiseNumerical` with 25 nodes, on fewer rows (it needs the memory of some 600
results there).

Prints Markdown: the machine, a table of errors, a table of times. Options: --rows, --numerical-rows, --columns,
--repeats, --env FOLDER (default: in the user's cache), names of activations.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
from mpmath import mpf

import kernelc
from tests.peers.cases import BY_NAME, CASES, Case
from tests.peers.environment import default_folder, peer_python

ROOT = Path(__file__).resolve().parents[2]
REFERENCES = ROOT / "tests" / "reference" / "kappa_references.json"
DTYPES = ("float64", "float32")
DEPTHS = (1, 3)
#: One side is called better where it is by more than this.
MARGIN = 1.05
#: A round that takes longer is made twice only.
SLOW_SECONDS = 4.0


@dataclass(frozen=True)
class Options:
    """What the command line says."""

    rows: int
    numerical_rows: int
    columns: int
    repeats: int
    spread: bool
    environment: Path
    cases: tuple[Case, ...]


class Process:
    """One side, as a process that answers requests."""

    def __init__(self, command: Sequence[str | Path]) -> None:
        quiet = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "JAX_PLATFORMS": "cpu"}
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=ROOT,
            env=quiet,
        )

    def __call__(self, **request: Any) -> dict[str, Any]:
        """The answer to one request."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self._process.args!r} ended with status {self._process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


@contextmanager
def both_sides(python: Path) -> Iterator[tuple[Process, Process]]:
    """(kernelc, the peer), each in a fresh process."""
    sides = (
        Process([sys.executable, "-m", "tests.peers.kernelc_side"]),
        Process([python, "-m", "tests.peers.peer_side"]),
    )
    try:
        yield sides
    finally:
        for side in sides:
            side.close()


def compiled(case: Case, folder: Path) -> Path:
    """The folder that holds the case's module: the committed one, or one compiled now."""
    if case.formula is None:
        return ROOT / "generated"
    if not (folder / case.name).exists():
        kernelc.compile(case.formula, name=case.name).write(folder)
    return folder


def references() -> dict[str, dict[str, Any]]:
    """The stored values at variance 1 by name."""
    table = json.loads(REFERENCES.read_text(encoding="utf-8"))
    return {entry["name"]: entry for entry in table["entries"] if entry["variance"] == "1"}


def errors(case: Case, dtype: str, sides: Sequence[Process], folder: Path, entry: dict[str, Any]) -> list[str]:
    """Largest error of NNGP and NTK of either side over the stored correlations, relative to the value at rho = 1.

    Both get the same rows (rho, sqrt(1 - rho^2)), rounded to the dtype: what that moves rho by is in both.
    """
    rhos = [mpf(text) for text in entry["kappa"]["values"]]
    pairs = [[float(rho), float(mpmath.sqrt(1 - rho * rho))] for rho in rhos]
    kappa, slope = ([mpf(v) for v in entry[key]["values"].values()] for key in ("kappa", "kappa_dot"))
    true = {"nngp": kappa, "ntk": [k + r * d for k, d, r in zip(kappa, slope, rhos, strict=True)]}
    request = {"do": "values", "name": case.name, "folder": str(folder), "dtype": dtype, "columns": 2, "depth": 1}
    cells = []
    for side in sides:
        found = side(**request, w_std=1.0, x1=[[1.0, 0.0]], x2=pairs)
        for kernel in ("nngp", "ntk"):
            scale = abs(true[kernel][rhos.index(mpf(1))])
            gaps = [abs(mpf(x) - y) / scale for x, y in zip(found[kernel], true[kernel], strict=True)]
            cells.append(f"{float(max(gaps)):.0e}" if all(mpmath.isfinite(gap) for gap in gaps) else "NaN")
    return cells


def accuracy(options: Options, python: Path, folder: Path) -> Iterator[str]:
    """The table of errors."""
    stored = references()
    yield "| activation | dtype | kernelc NNGP | kernelc NTK | peer NNGP | peer NTK |"
    yield "|---|---|---|---|---|---|"
    with both_sides(python) as sides, mpmath.workdps(40):
        for case in options.cases:
            for dtype in DTYPES:
                cells = errors(case, dtype, sides, compiled(case, folder), stored[case.reference])
                yield f"| {case.name} | {dtype} | {' | '.join(cells)} |"


def timed(
    options: Options, case: Case, depth: int, dtype: str, sides: Sequence[Process], folder: Path
) -> list[dict[str, float]]:
    """Best time and largest memory of either side, taking turns."""
    module_folder = compiled(case, folder)
    moment = json.loads((module_folder / case.name / "certificate.json").read_text(encoding="utf-8"))["kappa"]["moment"]
    w_std = 1.0 if depth == 1 or options.spread else float(moment) ** -0.5
    rows = options.rows if case.numerical is None else options.numerical_rows
    request = {
        "do": "prepare",
        "name": case.name,
        "folder": str(module_folder),
        "dtype": dtype,
        "depth": depth,
        "w_std": w_std,
        "radii": [0.5, 2.0] if options.spread else [1.0 / w_std, 1.0 / w_std],
        "rows": rows,
        "columns": options.columns,
    }
    for side in sides:
        side(**request)
    rounds: list[list[dict[str, float]]] = []
    while len(rounds) < options.repeats and (len(rounds) < 2 or sum(r["seconds"] for r in rounds[-1]) < SLOW_SECONDS):
        rounds.append([side(do="time") for side in sides])
    return [
        {
            "ns": min(one[i]["seconds"] for one in rounds) * 1e9 / rows**2,
            "matrices": max(one[i]["matrices"] for one in rounds),
        }
        for i in range(len(sides))
    ]


def times(options: Options, python: Path, folder: Path, better: list[str]) -> Iterator[str]:
    """The table of times; the cases in which the peer is better are added to `better`."""
    yield "| activation | depth | dtype | rows | kernelc, ns an entry | peer, ns | ratio | its memory | peer's memory |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for case in options.cases:
        with both_sides(python) as sides:
            for depth, dtype in product(DEPTHS, DTYPES):
                own, peer = timed(options, case, depth, dtype, sides, folder)
                what = f"{case.name}, depth {depth}, {dtype}"
                if own["ns"] > MARGIN * peer["ns"]:
                    better.append(f"time of {what}: {own['ns']:.1f} against {peer['ns']:.1f} ns an entry")
                if own["matrices"] > MARGIN * peer["matrices"]:
                    better.append(f"memory of {what}: {own['matrices']:.1f} against {peer['matrices']:.1f} results")
                rows = options.rows if case.numerical is None else options.numerical_rows
                name = case.name if case.numerical is None else f"{case.name} (*)"
                yield (
                    f"| {name} | {depth} | {dtype} | {rows} | {own['ns']:.1f} | {peer['ns']:.1f} | "
                    f"{peer['ns'] / own['ns']:.2g} | {own['matrices']:.1f} | {peer['matrices']:.1f} |"
                )


def machine(python: Path) -> str:
    """What it ran on."""
    model = "unknown processor"
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    script = (
        "import json; from importlib.metadata import version as v; "
        "print(json.dumps({n: v(n) for n in ('neural-tangents', 'jax', 'jaxlib', 'numpy')}))"
    )
    peers = json.loads(subprocess.run([python, "-c", script], capture_output=True, check=True, text=True).stdout)
    load = ", ".join(f"{x:.1f}" for x in os.getloadavg())
    return (
        f"{model}, {len(os.sched_getaffinity(0))} cores, {platform.system()}, Python {platform.python_version()}; "
        f"kernelc {kernelc.__version__} with NumPy {np.__version__}; "
        f"{', '.join(f'{name} {version}' for name, version in peers.items())}; load averages before: {load}"
    )


def parsed(arguments: Sequence[str] | None) -> Options:
    """The options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--numerical-rows", type=int, default=500)
    parser.add_argument("--columns", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--spread", action="store_true", help="rows of norms from 1/2 to 2, w_std = 1")
    parser.add_argument("--env", type=Path, default=default_folder())
    parser.add_argument("names", nargs="*", metavar="NAME")
    found = parser.parse_args(arguments)
    if unknown := sorted(set(found.names) - set(BY_NAME)):
        parser.error(f"unknown activation {unknown[0]}; there are: {', '.join(BY_NAME)}")
    cases = tuple(case for case in CASES if not found.names or case.name in found.names)
    return Options(found.rows, found.numerical_rows, found.columns, found.repeats, found.spread, found.env, cases)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the report."""
    options = parsed(arguments)
    python = peer_python(options.environment)
    print(f"Machine: {machine(python)}.\n", flush=True)
    better: list[str] = []
    with tempfile.TemporaryDirectory() as name:
        for line in accuracy(options, python, Path(name)):
            print(line, flush=True)
        print()
        for line in times(options, python, Path(name), better):
            print(line, flush=True)
    print(
        "\n(*) no closed form there: ElementwiseNumerical with 25 nodes. Ratio: peer's time over kernelc's. Memory: "
        "the peak above what was held before, in results."
    )
    print("\nWhere the peer is better by more than 5 %:", *(better or ["nowhere"]), sep="\n- ")
    return 0


if __name__ == "__main__":
    sys.exit(main())
