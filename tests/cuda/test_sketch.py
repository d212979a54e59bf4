"""Random features on a device: `_sketch.cu` run on a CPU gives what the NumPy code gives from the same seed."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from kernelc.backends.cupy.printer import sketch_source
from kernelc.backends.numpy.runtime._transforms import hadamard_columns, hadamard_order
from tests.cuda.conftest import forget_device
from tests.cuda.nvrtc import ARCHITECTURES, compile_cubin
from tests.cuda.standin import csr_matrix
from tests.cuda.variants import sketch_variants

sparse = pytest.importorskip("scipy.sparse")
#: ReLU, for rows of any norm, and erf, odd, for a range of norms.
NAMES = ("relu", "erf")
Load = Callable[[str], ModuleType]
#: Of a row's length, in spacings of the dtype: a polynomial of high degree multiplies the rounding of its argument.
ROUNDING = 500
#: The least number above zero: below the normal ones a spacing is no part of a value.
SMALLEST = 5e-324
DTYPES = (np.float64, np.float32)


@pytest.fixture
def package_of(cupy: ModuleType) -> Iterator[Load]:
    """Committed packages; their modules that hold on to the stand-in are forgotten afterwards."""
    yield lambda name: importlib.import_module(f"generated.{name}")
    for name in NAMES:
        forget_device(name)


def rows_of(n: int, d: int, dtype: Any, *, zero: bool) -> Any:
    """Rows of norms from 1/2 to 3/2, one of them zero where asked for."""
    x = np.random.default_rng([n, d]).standard_normal((n, d))
    x *= (np.linspace(0.5, 1.5, n) / np.linalg.norm(x, axis=1))[:, None]
    if zero:
        x[1] = 0.0
    return x.astype(dtype)


def same(result: Any, expected: Any, rounding: float = ROUNDING) -> None:
    found = result.get()
    assert found.dtype == expected.dtype
    assert found.shape == expected.shape
    allowed = rounding * np.finfo(expected.dtype).eps * np.linalg.norm(expected, axis=1).max()
    assert np.abs(found - expected).max() <= max(allowed, SMALLEST)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("sketch", ["zonal", "polysketch", "tensorsketch"])
def test_same_seed_same_features(package_of: Load, cupy: ModuleType, name: str, sketch: str) -> None:
    package = package_of(name)
    # one column, an exact block of degree 3, Haar's directions, Hadamard's, and more than one transform of those
    for d, depth in ((1, 1), (3, 1), (20, 3 if name == "relu" else 1), (260, 1)):
        fitted = package.Sketch(features=400, seed=3, sketch=sketch, depth=depth).fit(np.ones((1, d)))
        for dtype in DTYPES:
            x = rows_of(4, d, dtype, zero=name == "relu")
            expected = fitted.transform(x)
            same(fitted.transform(cupy.asarray(x)), expected)
            same(fitted.transform(csr_matrix(sparse.csr_matrix(x))), expected)


@pytest.mark.parametrize("options", [{"normalise": False}, {"draws": "independent"}, {"kernel": "nngp"}])
def test_options(package_of: Load, cupy: ModuleType, options: dict[str, Any]) -> None:
    for name in NAMES:
        fitted = package_of(name).Sketch(features=500, **options).fit(cupy.asarray(np.ones((1, 30))))
        for dtype in DTYPES:
            x = rows_of(4, 30, dtype, zero=False)
            same(fitted.transform(cupy.asarray(x)), fitted.transform(x))


def test_features_are_those_of_a_sketch(package_of: Load, cupy: ModuleType) -> None:
    package, x = package_of("relu"), rows_of(3, 5, np.float64, zero=True)
    for options in ({"features": 64, "seed": 5}, {"features": 64, "kernel": "nngp", "sketch": "tensorsketch"}):
        same(package.features(cupy.asarray(x), **options), package.features(x, **options))
    whole = sparse.csr_matrix(x)
    same(package.features(csr_matrix(whole), features=64), package.features(whole, features=64))


def test_many_columns(package_of: Load, cupy: ModuleType) -> None:
    """Transforms longer than a block of threads holds, and a CountSketch before them."""
    package = package_of("relu")
    for d, dtype in ((5000, np.float64), (5000, np.float32), (9000, np.float64)):
        x = rows_of(2, d, dtype, zero=False)
        fitted = package.Sketch(features=300).fit(x)
        same(fitted.transform(cupy.asarray(x)), fitted.transform(x))
    wide = sparse.random(4, 20000, density=0.01, format="csr", dtype=np.float32, random_state=1)
    for sketch in ("zonal", "tensorsketch"):
        fitted = package.Sketch(features=300, sketch=sketch).fit(csr_matrix(wide))
        same(fitted.transform(csr_matrix(wide)), fitted.transform(wide))


def test_repeated_entries_of_sparse_rows_add_up(package_of: Load, cupy: ModuleType) -> None:
    parts = ([1.0, 2.0, 3.0], [1, 1, 0], [0, 2, 3])
    fitted = package_of("relu").Sketch(features=64).fit(np.eye(2))
    repeated = csr_matrix(sparse.csr_matrix(parts, shape=(2, 2)))
    same(fitted.transform(repeated), fitted.transform(np.array([[0.0, 3.0], [3.0, 0.0]])))
    assert repeated.data.get().tolist() == parts[0]


@pytest.mark.parametrize("options", [{"recentre": True}, {"nystrom": True}, {"pairs": "sample"}, {}])
def test_plans_from_the_data(package_of: Load, cupy: ModuleType, options: dict[str, Any]) -> None:
    package, count = package_of("relu"), 30 if "nystrom" in options else 300
    rows = rows_of(40, 6, np.float64, zero=False) + 1.0
    held = csr_matrix(sparse.csr_matrix(rows))
    fitted = package.Sketch(features=count, **options).fit(held)
    # a plan about the mean direction takes seconds: one is enough
    given = fitted if "recentre" in options else package.Sketch(features=count, **options).fit(rows)
    assert fitted.plan == given.plan
    for x in (rows, rows.astype(np.float32)):
        expected, scale = given.transform(x), float(np.finfo(x.dtype).eps)
        # k(L, L)^(-1/2) makes more of the kernel's rounding
        same(fitted.transform(cupy.asarray(x)), expected, 4000 if "nystrom" in options else ROUNDING)
        tolerance = 1e4 * scale * float((expected**2).sum(axis=1).max())
        nugget = fitted.nugget(cupy.asarray(x)).get()
        np.testing.assert_allclose(nugget, given.nugget(x), rtol=0, atol=tolerance)
    same(fitted.transform(held), given.transform(rows), 4000 if "nystrom" in options else ROUNDING)


def test_blocks_and_pieces(package_of: Load, cupy: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    package, x = package_of("erf"), rows_of(9, 12, np.float64, zero=False)
    fitted = package.Sketch(features=200).fit(x)
    expected = fitted.transform(x)
    parts = [block.get() for block in fitted.blocks(cupy.asarray(x), 4)]
    assert [len(part) for part in parts] == [4, 4, 1]
    np.testing.assert_allclose(np.concatenate(parts), expected, rtol=0, atol=1e-14)
    monkeypatch.setattr("generated.erf._device_sketch._WORK", 600)
    same(fitted.transform(cupy.asarray(x)), expected)


@pytest.mark.parametrize("outputs", [(), (2,)])
def test_ridge(package_of: Load, cupy: ModuleType, outputs: tuple[int, ...]) -> None:
    package, x = package_of("relu"), rows_of(30, 6, np.float64, zero=True)
    y = np.random.default_rng(0).standard_normal((30, *outputs))
    fitted = package.Sketch(features=60).fit(x)
    expected = fitted.ridge(x, y, ridge=0.1).predict(x)
    for targets in (y, cupy.asarray(y)):
        result = fitted.ridge(cupy.asarray(x), targets, ridge=0.1).predict(cupy.asarray(x))
        np.testing.assert_allclose(result.get(), expected, rtol=0, atol=1e-10)
    with pytest.raises(ValueError, match="y: expected 30 values"):
        fitted.ridge(cupy.asarray(x), y[:3], ridge=0.1)


def test_extreme_norms(package_of: Load, cupy: ModuleType) -> None:
    fitted, x = package_of("relu").Sketch(features=64).fit(np.eye(4)), rows_of(4, 4, np.float64, zero=False)
    for scale in (2.0**-1060, 2.0**400):
        same(fitted.transform(cupy.asarray(x * scale)), fitted.transform(x * scale))


def test_the_same_refusals(package_of: Load, cupy: ModuleType) -> None:
    package = package_of("erf")
    fitted = package.Sketch(features=64).fit(np.eye(3))
    for x in (
        np.eye(2),
        np.full((1, 3), np.nan),
        np.full((1, 3), np.inf),
        np.eye(3) * 9.0,
        np.zeros(3),
        np.eye(3) * 1j,
    ):
        with pytest.raises(ValueError, match=r"^x") as expected:
            fitted.transform(x)
        with pytest.raises(ValueError, match=r"^x") as refused:
            fitted.transform(cupy.asarray(x))
        assert str(refused.value) == str(expected.value)
    with pytest.raises(ValueError, match="x: contains NaN or infinity"):
        fitted.transform(csr_matrix(sparse.csr_matrix(np.array([[np.nan, 0.0, 1.0]]))))
    for options in ({"features": 0}, {"seed": -1}, {"sketch": "none"}, {"kernel": "rbf"}, {"depth": 0}):
        with pytest.raises(ValueError, match=r".") as expected:
            package.features(np.eye(3), **options)
        with pytest.raises(ValueError, match=r".") as refused:
            package.features(cupy.asarray(np.eye(3)), **options)
        assert str(refused.value) == str(expected.value)


@pytest.mark.parametrize("size", [1, 64, 128, 512, 1024, 8192])
def test_the_order_of_hadamards_transform(size: int) -> None:
    order = hadamard_order(size)
    assert sorted(order) == list(range(size))
    if size <= 1024:
        numbers = np.arange(size)
        signs = 1 - 2 * (np.bitwise_count(numbers[:, None] & numbers) % 2).astype(np.float64)
        np.testing.assert_array_equal(hadamard_columns(np.eye(size)), signs[:, order])
    # a move of bits
    bits = 1 << np.arange(size.bit_length() - 1)
    places = np.arange(size)[:, None] & bits > 0
    np.testing.assert_array_equal(order, (places * order[bits]).sum(axis=1))


def test_nvrtc_compiles_every_variant() -> None:
    # each dtype for one architecture; python -m tests.cuda.compile_all takes both
    for options, kernels in sketch_variants().items():
        architecture = ARCHITECTURES["-DSINGLE=1" in options]
        cubin, log = compile_cubin(sketch_source(), (f"-arch={architecture}", *options))
        assert log == ""
        assert all(kernel.encode() in cubin for kernel in kernels)
