from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from tests.backends.closed_forms import derived
from tests.backends.programs import Case, shared_cases, write_package


@pytest.fixture(scope="session")
def cases() -> dict[str, Case]:
    return shared_cases()


@pytest.fixture(scope="session")
def package_of(
    cases: dict[str, Case], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], ModuleType]]:
    """Imports the emitted package of a case from a folder of its own, under another name than it was compiled with."""
    folder = tmp_path_factory.mktemp("emitted")
    loaded: dict[str, ModuleType] = {}

    def load(name: str) -> ModuleType:
        if name not in loaded:
            target = write_package(folder, cases[name])
            loaded[name] = import_folder(target, f"copied_{name}")
        return loaded[name]

    yield load
    for name in loaded:
        for module in [key for key in sys.modules if key.split(".")[0] == f"copied_{name}"]:
            del sys.modules[module]


def import_folder(folder: Path, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        name, folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def network_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], ModuleType]:
    """Packages with closed forms; their tables at the compiled variance 1 are stand-ins and must not be met."""
    folder = tmp_path_factory.mktemp("networks")
    loaded: dict[str, ModuleType] = {}

    def load(name: str) -> ModuleType:
        if name not in loaded:
            (folder / name).mkdir()
            for path, text in derived(name).files().items():
                (folder / name / path).write_text(text, encoding="utf-8", newline="\n")
            loaded[name] = import_folder(folder / name, f"network_{name}")
        return loaded[name]

    return load
