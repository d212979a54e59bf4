"""Write a compiled kernel and import what was written, as a user would."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from kernelc.kernel import Kernel
from kernelc.writer import write


def load(kernel: Kernel, out: Path, *, page: bool = False) -> ModuleType:
    """The module that `kernel.write(out)` writes, imported from its folder alone; its page, slow to draw, on demand."""
    folder = kernel.write(out) if page else write(kernel.module, out)
    name = f"loaded_{abs(hash(str(folder)))}_{kernel.name}"
    spec = importlib.util.spec_from_file_location(
        name, folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
