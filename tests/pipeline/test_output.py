"""What is written: the same bytes twice, alone in the world but for NumPy, and within the bounds that it states."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any

import mpmath
import numpy as np
import pytest
from mpmath import mpf

import kernelc
from kernelc.kernel import Kernel
from tests.pipeline.loading import load

_REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def kernel() -> Kernel:
    return kernelc.compile("erf(t)", name="k", degree=9)


@pytest.fixture(scope="module")
def module(kernel: Kernel, tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    return load(kernel, tmp_path_factory.mktemp("out"))


def files(folder: Path) -> dict[str, bytes]:
    return {
        p.relative_to(folder).as_posix(): p.read_bytes()
        for p in sorted(folder.rglob("*"))
        if p.is_file() and "__pycache__" not in p.parts
    }


@pytest.mark.parametrize("formula", ["max(B*t, t/10)*A", "A*sin(B*t) + sin(t)*exp(-t^2/B)"])
def test_two_compiles_are_byte_identical(formula: str, tmp_path: Path) -> None:
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONPATH": str(_REPOSITORY), "PYTHONHASHSEED": seed}
        options = ["--param", "A=1/3", "--param", "B=2", "--degree", "12", "--quiet", "--out", str(tmp_path / seed)]
        command = [sys.executable, "-m", "kernelc", "compile", formula, "--name", "k", *options]
        subprocess.run(command, env=environment, cwd=tmp_path, check=True)
    first, second = files(tmp_path / "1"), files(tmp_path / "2")
    assert "k/__init__.py" in first
    assert "k/certificate.json" in first
    assert first == second
    # No trace of where it was made.
    everything = b"".join(first.values())
    assert str(tmp_path).encode() not in everything
    assert str(_REPOSITORY).encode() not in everything


_ALONE = """
import importlib, json, sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"kernelc", "sympy", "flint", "mpmath", "scipy", "click", "rich", "cupy"}:
            raise ImportError(name + " is not here")

sys.meta_path.insert(0, Blocker())
sys.path.insert(0, sys.argv[1])
import numpy as np
k = importlib.import_module("k")
x = np.array([[0.6, 0.8], [1.0, 0.0], [-0.6, 0.8]])
answer = {
    "kappa": float(k.kappa(0.3)), "kappa_dot": float(k.kappa_dot(-0.9)), "series": float(k.kappa_series(0.3)),
    "nngp": k.nngp(x).tolist(), "ntk": k.ntk(x, depth=2).tolist(), "degree": k.CERTIFICATE["degree"],
    "coefficients": [float(c) for c in k.COEFFICIENTS],
    "foreign": sorted(m for m in sys.modules if m.split(".")[0] in {"kernelc", "sympy", "flint", "mpmath", "scipy"}),
}
print(json.dumps(answer))
"""


def test_the_written_folder_works_alone(tmp_path: Path) -> None:
    kernel = kernelc.compile("relu(t)", name="k", degree=6)
    folder = kernel.write(tmp_path / "out")
    result = subprocess.run(
        [sys.executable, "-I", "-c", _ALONE, str(folder.parent)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    answer = json.loads(result.stdout)
    here = load(kernel, tmp_path / "again")
    assert answer["foreign"] == []
    assert answer["degree"] == 6
    assert answer["coefficients"] == [c.mid for c in kernel.coefficients]
    x = np.array([[0.6, 0.8], [1.0, 0.0], [-0.6, 0.8]])
    assert answer["nngp"] == here.nngp(x).tolist()
    assert answer["ntk"] == here.ntk(x, depth=2).tolist()
    theta = np.arccos(0.3)
    assert answer["kappa"] == pytest.approx((np.sin(theta) + (np.pi - theta) * 0.3) / (2 * np.pi), rel=1e-14)
    assert answer["kappa_dot"] == pytest.approx((np.pi - np.arccos(-0.9)) / (2 * np.pi), rel=1e-13)
    assert answer["series"] != answer["kappa"]


def erf_kernel(rho: Any) -> mpf:
    return 2 / mpmath.pi * mpmath.asin(2 * mpf(float(rho)) / 3)


def erf_slope_kernel(rho: Any) -> mpf:
    return 4 / mpmath.pi / mpmath.sqrt(9 - 4 * mpf(float(rho)) ** 2)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("which", ["kappa", "kappa_dot"])
def test_the_emitted_series_keeps_its_total_bound(
    module: ModuleType, kernel: Kernel, which: str, dtype: type[np.floating]
) -> None:
    rho = np.unique(np.concatenate([np.linspace(-1, 1, 201), [1 - 1e-7, 0.999, 1e-20, -1e-3]])).astype(dtype)
    values = getattr(module, f"{which}_series")(rho)
    assert values.dtype == dtype
    statement = kernel.certificate[which]
    total = mpf(statement["total_bound"][dtype.__name__])
    with mpmath.workdps(50):
        truth = erf_kernel if which == "kappa" else erf_slope_kernel
        errors = [abs(mpf(float(v)) - truth(r)) for v, r in zip(values, rho, strict=True)]
        assert max(errors) <= total
        assert total <= mpf("1.01") * max(errors), "the bound is reached at rho = 1"
        for text, bound in statement["truncation_bound_at"].items():
            at = dtype(text)
            error = abs(mpf(float(getattr(module, f"{which}_series")(at))) - truth(at))
            assert (
                error
                <= mpf(bound) * (1 + mpf(10) ** -6)
                + statement["evaluation_bound"][dtype.__name__]
                + statement["literal_rounding_bound"]
            )


@pytest.mark.parametrize("which", ["kappa", "kappa_dot"])
def test_without_its_last_coefficient_the_series_breaks_its_bound(kernel: Kernel, which: str) -> None:
    statement = kernel.certificate[which]
    with mpmath.workdps(50):
        truth = (erf_kernel if which == "kappa" else erf_slope_kernel)(1)
        kept = [mpf(c) for c in statement["coefficients"]]
        while kept and kept[-1] == 0:
            kept.pop()
        assert abs(mpmath.fsum(kept) - truth) <= statement["truncation_bound"] + statement["literal_rounding_bound"]
        assert abs(mpmath.fsum(kept[:-1]) - truth) > statement["total_bound"]["float32"]


def test_the_direct_evaluation_keeps_its_bound(module: ModuleType, kernel: Kernel) -> None:
    direct = kernel.certificate["kappa"]["direct"]
    assert direct["status"] == "certified"
    with mpmath.workdps(40):
        for rho in np.linspace(-1, 1, 101):
            error = abs(mpf(float(module.kappa(rho))) - erf_kernel(rho))
            assert error <= direct["error_bound"] * erf_kernel(1) * (1 + mpf(2) ** -50)
    assert direct["error_bound"] < 1e-12


def test_float32_evaluation_of_long_series(tmp_path: Path) -> None:
    """Exact sums of the emitted doubles at degree 64, against the module in both precisions."""
    kernel = kernelc.compile("relu(t)", name="k", degree=64)
    loaded = load(kernel, tmp_path)
    statement = kernel.certificate["kappa"]
    for dtype in (np.float32, np.float64):
        bound = Fraction(statement["evaluation_bound"][dtype.__name__])
        for rho in np.linspace(-1, 1, 41).astype(dtype):
            exact = Fraction(0)
            for c in reversed(statement["coefficients"]):
                exact = exact * Fraction(float(rho)) + Fraction(c)
            assert abs(Fraction(float(loaded.kappa_series(rho))) - exact) <= bound
