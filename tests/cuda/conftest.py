from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
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


def forget(packages: Iterable[str]) -> None:
    """Drop imported packages, which hold on to the stand-in."""
    roots = set(packages)
    for key in [key for key in sys.modules if key.split(".")[0] in roots]:
        del sys.modules[key]


def forget_device(package: str) -> None:
    """Drop the modules of a committed package that hold on to the stand-in."""
    for key in [key for key in sys.modules if key.startswith(f"generated.{package}._")]:
        if key.rpartition(".")[2].startswith(("_cupy", "_device")):
            del sys.modules[key]


@pytest.fixture
def device_package_of(
    cases: dict[str, Case], cupy: ModuleType, tmp_path: Path
) -> Iterator[Callable[[str], ModuleType]]:
    """Imports the package of a case, with its CUDA kernels."""
    loaded: list[str] = []

    def load(name: str) -> ModuleType:
        loaded.append(f"device_{name}")
        return import_folder(write_package(tmp_path, cases[name]), loaded[-1])

    yield load
    forget(loaded)
