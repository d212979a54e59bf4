"""Emitted CUDA kernels, run on a CPU through the shim, against the emitted NumPy code."""

from __future__ import annotations

import itertools
import math
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from kernelc.program import NetworkProgram
from tests.backends.conftest import import_folder
from tests.backends.programs import Case, unit_rows, write_package
from tests.backends.test_networks import hard_rows
from tests.cuda.conftest import forget
from tests.cuda.host import HostModule, compilers
from tests.cuda.nvrtc import compile_cubin
from tests.cuda.standin import cupy_standin
from tests.cuda.variants import variants

Load = Callable[[str], ModuleType]
#: Each parity, each kind of table, kappa and kappa_dot read in two ways; and those of them that take any norm.
MIXED = ("exponential_mixed", "bump_mixed", "cube_mixed")
ALL = ("relu_panels", "step", "sign", "signed_square", "erf", "erf_slow", *MIXED)
HOMOGENEOUS = ("relu", "absolute", "signed_square", "cube_mixed")
#: In units of the dtype's spacing, of what they are compared with: sqrt(K(x, x) K(y, y)), or the largest value.
ROUNDING, CROWDED = 24, 240


def same(
    package: ModuleType, cupy: ModuleType, name: str, x: Any, y: Any, rounding: int = ROUNDING, **network: float
) -> None:
    """`package.name` on both kinds of arrays."""
    function = getattr(package, name)
    expected = function(x, y, **network)
    result = function(cupy.asarray(x), None if y is None else cupy.asarray(y), **network).get()
    assert result.dtype == expected.dtype
    left = np.sqrt(np.diag(function(x, **network)).astype(float))
    right = left if y is None else np.sqrt(np.diag(function(y, **network)).astype(float))
    scale = np.maximum(np.multiply.outer(left, right), np.finfo(np.float64).tiny)
    assert (np.abs(result.astype(float) - expected) / scale).max() < rounding * np.finfo(expected.dtype).eps
    if y is None:
        np.testing.assert_array_equal(result, result.T)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", ALL)
def test_functions_of_rho(
    device_package_of: Load, cupy: ModuleType, cases: dict[str, Case], name: str, dtype: type[np.floating]
) -> None:
    package = device_package_of(name)
    eps = float(np.finfo(dtype).eps)
    rho = np.concatenate([np.linspace(-1, 1, 301), [1 - eps, eps / 2 - 1, 1 + 4 * eps, -1 - 4 * eps, 1e-9]])
    for function in ("kappa", "kappa_dot", "kappa_series", "kappa_dot_series"):
        if "dot" in function and cases[name].kappa_dot is None:
            with pytest.raises(package.RefusedError, match="sigma jumps"):
                getattr(package, function)(cupy.asarray(rho))
            continue
        expected = getattr(package, function)(rho.astype(dtype))
        result = getattr(package, function)(cupy.asarray(rho.astype(dtype)))
        assert type(result) is cupy.ndarray
        assert result.dtype == dtype
        np.testing.assert_allclose(result.get(), expected, rtol=0, atol=6 * eps * float(np.abs(expected).max()))
        assert result.get()[300] == expected[300]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", ALL)
def test_one_norm(
    device_package_of: Load, cupy: ModuleType, cases: dict[str, Case], name: str, dtype: type[np.floating]
) -> None:
    package = device_package_of(name)
    for depth, b_std in ((1, 0.0), (1, 0.6), (2, 0.6), (3, 0.0)):
        w_std = math.sqrt((1 - b_std**2) / float(package.kappa(1.0)))
        x = (hard_rows() * (math.sqrt(1 - b_std**2) / w_std)).astype(dtype)
        for kernel in ("nngp", "ntk") if cases[name].kappa_dot is not None else ("nngp",):
            for y in (None, x[::-1].copy()):
                same(package, cupy, kernel, x, y, depth=depth, w_std=w_std, b_std=b_std)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", HOMOGENEOUS)
def test_any_norm_and_zero_rows(
    device_package_of: Load, cupy: ModuleType, cases: dict[str, Case], name: str, dtype: type[np.floating]
) -> None:
    degree = cases[name].program.homogeneous_degree
    assert degree is not None
    far = 1e8 if degree == 1 else 1.5
    x = (hard_rows() * np.array([1.0, far, 1.2, 1 / far, 1.0, 0.3, 0.5, 0.0])[:, None]).astype(dtype)
    for depth, b_std in ((1, 0.0), (1, 0.4), (2, 0.4)):
        for kernel in ("nngp", "ntk"):
            same(device_package_of(name), cupy, kernel, x, None, depth=depth, w_std=1.1, b_std=b_std)


@pytest.mark.parametrize("name", ["relu_panels", "erf", "sign"])
def test_composed_kernels_of_a_depth(
    cupy: ModuleType, cases: dict[str, Case], name: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    program = cases[name].program
    composed = NetworkProgram(2, program.kappa, program.kappa_dot, None if program.kappa_dot else "sigma jumps")
    write_package(tmp_path, replace(cases[name], program=replace(program, network=composed)))
    package = import_folder(tmp_path / name, f"device_deep_{name}")
    request.addfinalizer(lambda: forget([f"device_deep_{name}"]))
    for function, single in itertools.product(("network_kappa", "network_series"), (False, True)):
        dtype = np.float32 if single else np.float64
        rho = np.concatenate([np.linspace(-1, 1, 201), [1e-9]]).astype(dtype)
        for kernel in ("nngp", "ntk") if program.kappa_dot else ("nngp",):
            expected = getattr(package, function)(rho, kernel=kernel)
            result = getattr(package, function)(cupy.asarray(rho), kernel=kernel).get()
            assert result.dtype == dtype
            allowed = 4 * float(np.finfo(dtype).eps) * float(np.abs(expected).max())
            np.testing.assert_allclose(result, expected, rtol=0, atol=allowed)
    for bad in ({"rho": np.array(1.5)}, {"rho": np.array(0.5), "kernel": "ntk" if name == "sign" else "rbf"}):
        with pytest.raises(ValueError, match=r".") as wanted:
            package.network_kappa(**bad)
        with pytest.raises(type(wanted.value)) as refused:
            package.network_kappa(**{**bad, "rho": cupy.asarray(bad["rho"])})
        assert str(refused.value) == str(wanted.value)


def test_tiles_cover_the_matrix(device_package_of: Load, cupy: ModuleType) -> None:
    package = device_package_of("relu")
    for rows, columns in ((1, 1), (64, 65), (63, 200), (130, 64)):
        x, y = unit_rows(rows, 70, 2), unit_rows(columns, 70, 3)
        y[-1] = x[0]
        same(package, cupy, "ntk", x, y)
        same(package, cupy, "ntk", y, None, depth=2, b_std=0.1)


def test_extreme_norms(device_package_of: Load, cupy: ModuleType) -> None:
    package, x = device_package_of("relu"), unit_rows(5, 100, 0)
    x[4] = 0.0
    expected = package.ntk(x)
    for scale in (2.0**-500, 2.0**500):
        result = package.ntk(cupy.asarray(x * scale), cupy.asarray(x / scale)).get()
        np.testing.assert_allclose(result, expected, rtol=1e-14, atol=1e-15)


def test_crowded_inputs(device_package_of: Load, cupy: ModuleType) -> None:
    x = 0.05 * unit_rows(60, 8, 7) + np.linspace(1, 2, 8)
    x[11], x[20] = x[3], -x[21]
    x[12, 0] += np.finfo(np.float64).eps
    for dtype in (np.float64, np.float32):
        for depth, b_std in ((1, 0.0), (3, 50.0)):
            # for NumPy arrays the gaps of such a tile come from its centre, which costs a few digits
            package, network = device_package_of("absolute"), {"depth": depth, "b_std": b_std}
            same(package, cupy, "ntk", x.astype(dtype), None, CROWDED, **network)


def test_layouts_and_types(device_package_of: Load, cupy: ModuleType) -> None:
    package = device_package_of("relu")
    x = np.arange(-12, 12).reshape(6, 4)
    expected = package.ntk(cupy.asarray(x.astype(np.float64))).get()
    for variant in (x, x.astype(np.float16), np.asfortranarray(x.astype(float)), x.astype(float)[::-1][::-1]):
        np.testing.assert_array_equal(package.ntk(cupy.asarray(variant)).get(), expected)
    mixed = package.ntk(cupy.asarray(x.astype(np.float32)), cupy.asarray(x))
    assert mixed.dtype == np.float64
    given = cupy.asarray(x.astype(np.float64))
    np.testing.assert_array_equal(package.ntk(given, given).get(), expected)
    np.testing.assert_array_equal(given.get(), x)
    assert package.kappa(cupy.asarray(np.float32(0.5))).shape == ()
    with pytest.raises(ValueError, match="rho: expected at least one value"):
        package.kappa(cupy.asarray(np.zeros((0, 3))))


@pytest.mark.parametrize(
    "arguments",
    [
        {"x1": np.zeros(3)},
        {"x1": np.zeros((0, 3))},
        {"x1": np.zeros((3, 0))},
        {"x1": np.array([[1.0, math.nan]])},
        {"x1": np.array([[1.0, -math.inf]])},
        {"x1": np.array([[1.0, 1j]])},
        {"x1": np.eye(2), "x2": np.eye(3)},
        {"x1": np.eye(2), "x2": np.full((1, 2), math.nan)},
        {"x1": np.eye(2), "depth": 0},
        {"x1": np.eye(2), "depth": True},
        {"x1": np.eye(2), "w_std": 0.0},
        {"x1": np.eye(2), "w_std": "one"},
        {"x1": np.eye(2), "b_std": -1.0},
        {"x1": np.array([[1.0, 0.0], [0.0, 2.0]])},
        {"x1": np.eye(2), "b_std": 0.5},
        {"x1": np.eye(2), "depth": 2},
        {"rho": np.array([0.5, 1.5])},
        {"rho": np.array([math.nan])},
        {"rho": np.array([math.inf])},
        {"rho": np.array([1 + 6e-16, -1 - 1e-15])},
        {"rho": np.array([1j])},
        {"q11": np.array([-1.0]), "q12": np.array(0.0), "q22": np.array(1.0)},
        {"q11": np.array(math.nan), "q12": np.array(0.0), "q22": np.array(1.0)},
        {"q11": np.array(1.0), "q12": np.array([0.0, 1.1]), "q22": np.array(1.0)},
        {"q11": np.array([1.0, 2.0]), "q12": np.array(0.0), "q22": np.array(1.0)},
        {"q11": np.zeros(2), "q12": np.zeros(3), "q22": np.zeros(2)},
    ],
)
def test_the_same_refusals(device_package_of: Load, cupy: ModuleType, arguments: dict[str, Any]) -> None:
    package = device_package_of("erf")
    name = {"x1": "nngp", "rho": "kappa", "q11": "dual"}[next(iter(arguments))]
    with pytest.raises(ValueError, match=r".") as expected:
        getattr(package, name)(**arguments)
    moved = {key: cupy.asarray(value) if isinstance(value, np.ndarray) else value for key, value in arguments.items()}
    with pytest.raises(ValueError, match=r".") as refused:
        getattr(package, name)(**moved)
    assert str(refused.value) == str(expected.value)
    assert type(refused.value) is type(expected.value)


def test_arrays_of_two_kinds(device_package_of: Load, cupy: ModuleType) -> None:
    package = device_package_of("relu")
    with pytest.raises(ValueError, match="x2: expected a CuPy array beside the CuPy arrays, got ndarray"):
        package.ntk(cupy.asarray(np.eye(2)), np.eye(2))
    with pytest.raises(ValueError, match="x1: expected a CuPy array"):
        package.ntk(np.eye(2), x2=cupy.asarray(np.eye(2)))
    value = package.dual(cupy.asarray(np.ones(3)), 0.5, 1)
    np.testing.assert_allclose(value.get(), package.dual(np.ones(3), 0.5, 1), rtol=1e-15)


def test_compiled_without_cuda(cupy: ModuleType, device_package_of: Load, tmp_path: Path) -> None:
    package = device_package_of("relu")
    (tmp_path / "relu" / "_cupy.py").unlink()
    with pytest.raises(ValueError, match=r"was compiled for NumPy alone .* --backend cupy"):
        package.kappa(cupy.asarray(0.5))


@pytest.mark.parametrize("name", ["relu", "erf", "cube_mixed", "step", "signed_square"])
def test_duals(device_package_of: Load, cupy: ModuleType, cases: dict[str, Case], name: str) -> None:
    package = device_package_of(name)
    rng = np.random.default_rng(5)
    free = cases[name].program.homogeneous_degree is not None
    for dtype in (np.float64, np.float32):
        q11, q22 = (np.exp(rng.uniform(-5, 5, 200)) if free else np.ones(200) for _ in range(2))
        if cases[name].program.homogeneous_degree:
            q11[:3] = 0.0
        q12 = np.sqrt(q11 * q22) * np.cos(rng.uniform(0, math.pi, 200))
        q12[3], q12[4] = (sign * np.sqrt(q11[k] * q22[k]) for k, sign in ((3, 1), (4, -1)))
        arguments = [q.astype(dtype) for q in (q11, q12, q22)]
        for function in ("dual", "dual_dot") if cases[name].kappa_dot is not None else ("dual",):
            expected = getattr(package, function)(*arguments)
            result = getattr(package, function)(*map(cupy.asarray, arguments))
            assert result.dtype == expected.dtype
            np.testing.assert_allclose(result.get(), expected, rtol=8 * float(np.finfo(dtype).eps), atol=1e-14)


@pytest.mark.parametrize(("name", "architecture"), [("relu_panels", "sm_80"), ("erf_slow", "sm_90")])
def test_nvrtc_compiles_every_variant(cases: dict[str, Case], name: str, architecture: str, tmp_path: Path) -> None:
    source = (write_package(tmp_path, cases[name]) / "_kernels.cu").read_text(encoding="utf-8")
    for options, kernels in variants(source).items():
        cubin, log = compile_cubin(source, (f"-arch={architecture}", *options))
        assert log == ""
        assert cubin.startswith(b"\x7fELF")
        assert all(kernel.encode() in cubin for kernel in kernels)


def test_nvrtc_refuses_what_is_wrong() -> None:
    cubin, log = compile_cubin("KERNEL nothing() {", ("-arch=sm_90",))
    assert cubin == b""
    assert "error" in log


def test_every_compiler_at_hand_gives_the_same(cases: dict[str, Case], tmp_path: Path) -> None:
    # a machine without a C++ compiler has the one of the wheel
    source = (write_package(tmp_path, cases["relu"]) / "_kernels.cu").read_text(encoding="utf-8")
    rho = np.linspace(-1, 1, 50)
    results: list[npt.NDArray[np.float64]] = []
    for language in compilers():
        module = HostModule(source, ("-DSINGLE=0",), tmp_path, language)
        out, bad = np.empty_like(rho), np.zeros(1, np.int32)
        arguments = (rho, out, np.uint64(rho.size), np.int32(0), bad)
        module.launch("values", (2,), (16,), arguments)
        results.append(out)
    assert len(results) >= 1
    for result in results[1:]:
        np.testing.assert_allclose(result, results[0], rtol=0, atol=1e-16)


def test_cupy_is_not_imported_before_an_array_of_it_comes(
    monkeypatch: pytest.MonkeyPatch, cases: dict[str, Case], tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "cupy", None)  # an import of it fails
    package = import_folder(write_package(tmp_path, cases["relu"]), "hostonly_relu")
    package.ntk(np.eye(2))
    assert "hostonly_relu._cupy" not in sys.modules
    array = cupy_standin(tmp_path).asarray(0.5)
    with pytest.raises(ModuleNotFoundError, match="cupy"):
        package.kappa(array)
