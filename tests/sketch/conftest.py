from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import numpy as np
import numpy.typing as npt
import pytest

import kernelc
from tests.backends.conftest import import_folder

Rows = npt.NDArray[np.float64]


@pytest.fixture(scope="session")
def relu(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    """ReLU's emitted module: homogeneous, so that it takes rows of any norm."""
    folder = kernelc.compile("relu", name="relu").write(tmp_path_factory.mktemp("relu"))
    return import_folder(folder, "sketched_relu")


@pytest.fixture(scope="session")
def error_function(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    """erf's emitted module, odd and not homogeneous, for norms from 1/4 to 2."""
    folder = kernelc.compile("erf(t)", name="error", degree=24, norms=(0.25, 2)).write(tmp_path_factory.mktemp("error"))
    return import_folder(folder, "sketched_error")


@pytest.fixture(scope="session")
def digits() -> Rows:
    """Every third of scikit-learn's digits (599 rows, 64 columns), scaled to norm 1."""
    datasets = pytest.importorskip("sklearn.datasets")
    rows = datasets.load_digits().data[::3].astype(np.float64)
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))


@pytest.fixture(scope="session")
def isotropic() -> Callable[[int, int], Rows]:
    """Makes n rows uniform on the sphere of d dimensions, the same on every call."""

    def make(n: int, d: int) -> Rows:
        rows = np.random.default_rng([n, d]).standard_normal((n, d))
        return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))

    return make
