from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from tests.backends.conftest import import_folder
from tests.backends.programs import Case, shared_cases, write_package
from tests.cuda.standin import cupy_standin


@pytest.fixture(scope="session")
def cases() -> dict[str, Case]:
    return shared_cases()


@pytest.fixture(scope="session")
def kernels_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("kernels")


@pytest.fixture
def cupy(kernels_folder: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The stand-in, entered as `cupy` for the length of a test."""
    module = cupy_standin(kernels_folder)
    monkeypatch.setitem(sys.modules, "cupy", module)
    return module


@pytest.fixture
def device_package_of(
    cases: dict[str, Case], cupy: ModuleType, tmp_path: Path
) -> Iterator[Callable[[str], ModuleType]]:
    """Imports the package of a case, with its CUDA kernels."""
    loaded: set[str] = set()

    def load(name: str) -> ModuleType:
        loaded.add(name)
        return import_folder(write_package(tmp_path, cases[name]), f"device_{name}")

    yield load
    for key in [key for key in sys.modules if key.startswith(tuple(f"device_{name}" for name in loaded))]:
        del sys.modules[key]
