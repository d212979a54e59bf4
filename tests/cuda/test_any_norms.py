"""Kernel matrices of rows of any norms by the closed form, in the CUDA kernels run on a CPU."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from tests.backends.closed_forms import derived
from tests.backends.conftest import import_folder
from tests.backends.jumps import hard_shrink_nngp
from tests.backends.test_any_norms import REFERENCES, small_rows, spread_rows
from tests.cuda.conftest import forget
from tests.cuda.nvrtc import compile_cubin
from tests.cuda.variants import variants

Load = Callable[[str], ModuleType]
#: Relative to sqrt(K(x, x) K(y, y)).
GOAL = {"float64": 1e-12, "float32": 1e-5}


@pytest.fixture
def network_of(cupy: ModuleType, tmp_path: Path) -> Iterator[Load]:
    """Packages with closed forms; their tables at the compiled variance 1 are stand-ins and must not be met."""
    loaded: list[str] = []

    def load(name: str) -> ModuleType:
        for path, text in derived(name).files().items():
            (tmp_path / path).write_text(text, encoding="utf-8", newline="\n")
        loaded.append(f"device_network_{name}")
        return import_folder(tmp_path, loaded[-1])

    yield load
    forget(loaded)


@pytest.mark.parametrize("name", sorted(REFERENCES))
def test_against_the_recursion(network_of: Load, cupy: ModuleType, name: str) -> None:
    package = network_of(name)
    for case, kernel in ((case, kernel) for case in REFERENCES[name] for kernel in ("nngp", "ntk")):
        settings = {key: case[key] for key in ("depth", "w_std", "b_std")}
        x = np.array(case["rows"])
        truth = np.zeros((len(x), len(x)))
        for i, row in enumerate(case[kernel]):
            truth[i, i:] = truth[i:, i] = [float(value) for value in row]
        truth[np.abs(truth) < 1e-35] = 0.0  # the reference takes 1e-80 for a variance of 0, 1e-40 for its root
        scale = np.sqrt(np.diag(truth))
        result = getattr(package, kernel)(cupy.asarray(x), cupy.asarray(x.copy()), **settings).get()
        assert (np.abs(result - truth) <= GOAL["float64"] * np.multiply.outer(scale, scale)).all()


@pytest.mark.parametrize("name", ["gelu", "elu", "hard_tanh", "hard_shrink", "leaky_sin"])
@pytest.mark.parametrize("settings", [{}, {"depth": 3, "w_std": 1.2, "b_std": 0.3}])
def test_as_for_numpy_arrays(network_of: Load, cupy: ModuleType, name: str, settings: dict[str, Any]) -> None:
    package = network_of(name)
    for dtype in (np.float64, np.float32):
        x = spread_rows(40, 6, 0.3, 4.0).astype(dtype)
        for kernel in ("nngp",) if derived(name).dual_dot is None else ("nngp", "ntk"):
            expected = getattr(package, kernel)(x, **settings)
            result = getattr(package, kernel)(cupy.asarray(x), **settings).get()
            assert result.dtype == dtype
            np.testing.assert_array_equal(result, result.T)
            scale = np.sqrt(np.diag(expected).astype(float))
            error = np.abs(result.astype(float) - expected) / np.multiply.outer(scale, scale)
            assert (error < GOAL[np.dtype(dtype).name] / 10).all()


@pytest.mark.parametrize("size", [1e-8, 5e-3, 0.02])
def test_small_rows_as_for_numpy_arrays(network_of: Load, cupy: ModuleType, size: float) -> None:
    package, x = network_of("raised_relu"), small_rows(size)
    expected = package.ntk(x, depth=2)
    result = package.ntk(cupy.asarray(x), depth=2).get()
    assert np.abs(result - expected).max() <= GOAL["float64"] * expected.max()


def test_large_rows_as_for_numpy_arrays(network_of: Load, cupy: ModuleType) -> None:
    """Nearly parallel and antiparallel: one q12 has rounded their angles."""
    x = 10.0 * spread_rows(40, 6, 1.0, 4.0)
    x[1], x[3], x[5] = 1e-3 * x[2] - x[0], x[4] + 1e-6 * x[2], 1.1 * x[4] + 1e-3 * x[2]
    for depth in (1, 3):
        expected = network_of("hard_tanh").ntk(x, depth=depth, w_std=1.1, b_std=0.2)
        result = network_of("hard_tanh").ntk(cupy.asarray(x), depth=depth, w_std=1.1, b_std=0.2).get()
        scale = np.sqrt(np.diag(expected))
        assert (np.abs(result - expected) <= GOAL["float64"] * np.multiply.outer(scale, scale)).all()


@pytest.mark.parametrize("name", ["elu", "hard_tanh", "leaky_sin", "gated_relu", "raised_line", "hard_shrink"])
def test_rows_of_all_sizes_as_for_numpy_arrays(network_of: Load, cupy: ModuleType, name: str) -> None:
    """Small and large ones, multiples and near-duplicates: no pair loses its digits to another's size."""
    # through jumps the smallest angle of the inputs is seen: these multiples have none
    x = spread_rows(24, 6, 1e-7 if derived(name).dual_dot is not None else 2.0, 30.0)
    x[1], x[2], x[4] = 1024.0 * x[0], 2.0 * x[0], x[20] * (1.0 + 1e-15)
    x[6] = x[21] + 1e-6 * x[3] / np.linalg.norm(x[3])
    for depth in (1, 3):
        kernel = network_of(name).nngp if derived(name).dual_dot is None else network_of(name).ntk
        expected, result = kernel(x, depth=depth), kernel(cupy.asarray(x), depth=depth).get()
        scale = np.sqrt(np.diag(expected))
        assert (np.abs(result - expected) <= 1e-13 * np.multiply.outer(scale, scale)).all()


def test_tiny_variances_as_for_numpy_arrays(network_of: Load, cupy: ModuleType) -> None:
    package = network_of("elu")
    q11, q22 = np.array([1e-200, 1e-200, 1e-130, 1e-6]), np.array([2e-200, 1.0, 3e-130, 4.0])
    q12 = 0.3 * np.sqrt(q11) * np.sqrt(q22)
    for function in (package.dual, package.dual_dot):
        result = function(cupy.asarray(q11), cupy.asarray(q12), cupy.asarray(q22)).get()
        np.testing.assert_allclose(result, function(q11, q12, q22), rtol=1e-13)


@pytest.mark.parametrize("distance", [1e-6, 1e-12])
def test_near_duplicates_through_jumps(network_of: Load, cupy: ModuleType, distance: float) -> None:
    """Each side within the goal of the truth."""
    x = spread_rows(40, 6, 0.3, 4.0)[16:18]
    x[1] = x[0] + distance * x[1]
    truth = hard_shrink_nngp(x, depth=3, w_std=1.2, b_std=0.3)
    for rows in (x, cupy.asarray(x)):
        result = network_of("hard_shrink").nngp(rows, depth=3, w_std=1.2, b_std=0.3)
        result = result if rows is x else result.get()
        assert (np.abs(result - truth) <= GOAL["float64"] * truth[0, 0]).all()


def test_norms_beyond_the_closed_form_are_refused_alike(network_of: Load, cupy: ModuleType) -> None:
    package, x = network_of("gelu"), np.array([[1.0], [1e30]])
    with pytest.raises(ValueError, match="x1: row 1 has norm") as expected:
        package.nngp(x)
    with pytest.raises(ValueError, match="x1: row 1 has norm") as refused:
        package.nngp(cupy.asarray(x))
    assert str(refused.value) == str(expected.value)


@pytest.mark.parametrize(
    ("name", "architecture"), [("hard_tanh", "sm_80"), ("gated_relu", "sm_80"), ("hard_shrink", "sm_90")]
)
def test_nvrtc_compiles_the_closed_forms(name: str, architecture: str) -> None:
    source = derived(name).files()["_kernels.cu"]
    closed = {options: kernels for options, kernels in variants(source).items() if "-DCLOSED=1" in options}
    assert len(closed) == (4 if name == "hard_shrink" else 8)
    for options in list(closed)[1::2]:
        cubin, log = compile_cubin(source, (f"-arch={architecture}", *options))
        assert log == ""
        assert b"pairs" in cubin
