from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import kernelc


@pytest.fixture(scope="package")
def package(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    """A compiled package on disk that is importable by name, here and in other processes that get the path."""
    folder: Path = tmp_path_factory.mktemp("packages")
    kernelc.compile("Max(t, 0) + A*Min(t, 0)", name="package_of_test", parameters={"A": "1/5"}).write(folder)
    sys.path.insert(0, str(folder))
    yield importlib.import_module("package_of_test")
    sys.path.remove(str(folder))
