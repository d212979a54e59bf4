"""Kernel matrices by the tables of a range of norms, against the trapezoidal rule in two variables."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import kernelc
from tests.backends.conftest import import_folder
from tests.backends.programs import unit_rows

Array = npt.NDArray[np.float64]
#: exp(-pi d / step) is the rule's error, d = pi / (2 s) the distance of tanh's poles: below 1e-16 for s <= 2
STEP = 0.08
NODES = np.arange(-9.2, 9.2 + STEP / 2, STEP)
WEIGHTS = np.exp(-0.5 * NODES**2) * STEP / np.sqrt(2 * np.pi)


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    folder = tmp_path_factory.mktemp("norms")
    kernelc.compile("tanh(t)", name="tanh_norms", degree=8, norms=(0.5, 2.0)).write(str(folder))
    return import_folder(folder / "tanh_norms", "tanh_norms_copied")


def expectation(function: Callable[[Array], Array], q11: float, q12: float, q22: float) -> float:
    """E[f(u) f(v)]."""
    slope = q12 / np.sqrt(q11)
    rest = np.sqrt(max(q22 - slope**2, 0.0))
    second = function(slope * NODES[:, None] + rest * NODES)
    return float(WEIGHTS @ (function(np.sqrt(q11) * NODES) * (second @ WEIGHTS)))


def recursion(x: Array, depth: int, w_std: float, b_std: float) -> tuple[Array, Array]:
    """NNGP and NTK."""
    kernel = w_std**2 * x @ x.T + b_std**2
    tangent = kernel.copy()
    for _ in range(depth):
        value, slope = np.empty_like(kernel), np.empty_like(kernel)
        for i, j in np.ndindex(kernel.shape):
            covariance = kernel[i, i], kernel[i, j], kernel[j, j]
            value[i, j] = expectation(np.tanh, *covariance)
            slope[i, j] = expectation(lambda t: 1 / np.cosh(t) ** 2, *covariance)
        kernel = w_std**2 * value + b_std**2
        tangent = kernel + w_std**2 * slope * tangent
    return kernel, tangent


@pytest.mark.parametrize(("depth", "w_std", "b_std"), [(1, 1.0, 0.0), (1, 1.1, 0.4), (3, 1.2, 0.5)])
@pytest.mark.parametrize("norms", ["different", "one", "compiled"])
def test_against_the_recursion(package: ModuleType, norms: str, depth: int, w_std: float, b_std: float) -> None:
    x = unit_rows(6, 4, 2)
    x[1], x[2], x[3] = x[0], -x[0], x[0] + 1e-6 * x[4]
    x /= np.linalg.norm(x, axis=1)[:, None]
    if norms == "different":
        x *= np.array([1.0, 1.3, 0.6, 1.4, 0.7, 1.2])[:, None]
    else:
        x *= 1.5 if norms == "one" else np.sqrt(1 - b_std**2) / w_std
    nngp, ntk = recursion(x, depth, w_std, b_std)
    for kernel, truth in (("nngp", nngp), ("ntk", ntk)):
        scale = np.sqrt(np.diag(truth))
        for dtype, goal in ((np.float64, 1e-12), (np.float32, 1e-5)):
            result = getattr(package, kernel)(x.astype(dtype), depth=depth, w_std=w_std, b_std=b_std)
            assert result.dtype == dtype
            assert (result == result.T).all()
            assert (np.abs(result - truth) <= goal * np.multiply.outer(scale, scale)).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"x1": [[1.0], [9.0]]},
            r"x1: row 1 has norm .* 9\.0, but tanh_norms holds for norms from 0\.5 to 2\.0; .*--norms",
        ),
        ({"x1": [[1.0]], "x2": [[0.1]]}, r"x2: row 0 has norm .* 0\.1.*--norms LOW,HIGH"),
        ({"x1": [[1.9]], "depth": 2, "w_std": 0.4}, r"depth: row 0 has norm \(before hidden layer 2\) .*--norms"),
    ],
)
def test_norms_outside_the_range_are_refused(package: ModuleType, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        package.ntk(**arguments)
