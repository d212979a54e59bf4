"""Kernel matrices of rows of a range of norms by tables, in the CUDA kernels run on a CPU, against NumPy's."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import kernelc
from tests.backends.conftest import import_folder
from tests.cuda.conftest import forget
from tests.cuda.nvrtc import compile_cubin
from tests.cuda.standin import cupy_standin
from tests.cuda.variants import variants

Array = npt.NDArray[np.floating]
#: A kink, whose angles of nearly parallel rows need their digits; jumps. Smooth ones are in `generated/`.
ACTIVATIONS = {"kinked": "Max(t, tanh(t))", "jumping": "sign(t)*(1 + tanh(t)**2)"}
NETWORKS: list[dict[str, Any]] = [{}, {"depth": 3, "w_std": 1.2, "b_std": 0.3}, {"depth": 2, "w_std": 1.3}]


@pytest.fixture(scope="module", params=["silu", *ACTIVATIONS])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    if request.param not in ACTIVATIONS:
        return Path(__file__).parents[2] / "generated" / str(request.param)
    path = tmp_path_factory.mktemp("device_norms")
    kernelc.compile(ACTIVATIONS[request.param], name=request.param, degree=8, norms=(0.4, 2.5)).write(str(path))
    return path / str(request.param)


@pytest.fixture
def cupy(kernels_folder: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module = cupy_standin(kernels_folder)
    monkeypatch.setitem(sys.modules, "cupy", module)
    return module


@pytest.fixture
def package(folder: Path, cupy: ModuleType) -> Iterator[ModuleType]:
    name = f"device_norms_{folder.name}"
    yield import_folder(folder, name)
    forget([name])


def rows(seed: int = 0) -> Array:
    """Of different norms, with duplicates, multiples, antipodes, and rows near to one another."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((70, 6))
    x *= (rng.uniform(0.5, 1.8, 70) / np.linalg.norm(x, axis=1))[:, None]
    x[1], x[2], x[3] = x[0], 1.25 * x[0], -x[0]
    x[4], x[5], x[69] = x[0] + 1e-6 * x[7], 1.1 * x[0] + 1e-3 * x[8], x[0] * (1 + 1e-9)
    return x


def refuse(*_: object, **__: object) -> None:
    raise AssertionError("computed on the host")


def same(
    package: ModuleType, cupy: ModuleType, kernel: str, x: Array, y: Array | None, ulps: int = 48, **network: Any
) -> None:
    """Within some roundings of the diagonals' roots."""
    function = getattr(package, kernel)
    expected = function(x, y, **network)
    result = function(cupy.asarray(x), None if y is None else cupy.asarray(y), **network).get()
    assert result.dtype == expected.dtype
    left = np.sqrt(np.diag(function(x, **network)).astype(float))
    right = left if y is None else np.sqrt(np.diag(function(y, **network)).astype(float))
    error = np.abs(result.astype(float) - expected) / np.maximum(np.multiply.outer(left, right), 1e-300)
    assert float(error.max()) < ulps * np.finfo(expected.dtype).eps
    if y is None:
        np.testing.assert_array_equal(result, result.T)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("network", NETWORKS)
def test_as_for_numpy_arrays(
    package: ModuleType,
    cupy: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    dtype: type[np.floating],
    network: dict[str, Any],
) -> None:
    jumps = package.DERIVATIVE_COEFFICIENTS is None
    device = importlib.import_module(f"{package.__name__}._cupy")
    if not (jumps and "depth" in network):
        monkeypatch.setattr(device, "_host", refuse)
    x = rows().astype(dtype)
    for kernel in ("nngp",) if jumps else ("nngp", "ntk"):
        same(package, cupy, kernel, x, None, **network)
        same(package, cupy, kernel, x[:5], x[::-1].copy(), **network)


def test_one_norm_and_norms_beyond(package: ModuleType, cupy: ModuleType) -> None:
    x = rows(1)
    # NumPy fits a table of the angle then, to 2e-13
    same(package, cupy, "nngp", x / np.linalg.norm(x, axis=1)[:, None] * 1.7, None, ulps=2000)
    x[7] *= 9.0
    for argument in (x, cupy.asarray(x)):
        with pytest.raises(ValueError, match=r"x1: row 7 has norm .* holds for norms from .* --norms LOW,HIGH"):
            package.nngp(argument)


def test_nvrtc_compiles_them(package: ModuleType, folder: Path) -> None:
    source = (folder / "_kernels.cu").read_text(encoding="utf-8")
    found = [options for options in variants(source) if "-DNORMS=1" in options]
    assert len(found) == (4 if package.DERIVATIVE_COEFFICIENTS is None else 8)
    for options, architecture in ((found[0], "sm_80"), (found[-1], "sm_90")):
        cubin, log = compile_cubin(source, (f"-arch={architecture}", *options))
        assert log == ""
        assert b"pairs" in cubin
