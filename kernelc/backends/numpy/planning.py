"""Plans for a kernel that is not on disk: the emitted tables and the runtime's own planner, as they are written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import ModuleType

from kernelc.backends.numpy.runtime._features import compute_plan
from kernelc.backends.numpy.runtime._plan import Plan

_RUNTIME, _NUMERICS = "kernelc.backends.numpy.runtime", "kernelc.numerics"


def _module(name: str, text: str) -> ModuleType:
    """An emitted file of tables, its relative imports taken from the runtime and the numerics inside kernelc."""
    text = text.replace("from ._knots import", f"from {_NUMERICS}._knots import")
    module = ModuleType(f"{_RUNTIME}.{name}")
    module.__package__ = _RUNTIME
    exec(compile(text, f"{name}.py", "exec"), module.__dict__)
    return module


def planner_of(files: Mapping[str, str]) -> Callable[..., Plan]:
    """What the emitted package `files` has as `plan`: takes `dim` and its options.

    It raises ValueError, naming the argument, and RefusedError where the NTK is infinite.
    """
    tables = _module("_tables", files["_tables.py"]).TABLES
    norms = _module("_norm_tables", files["_norm_tables.py"]).NORMS if "_norm_tables.py" in files else None
    return partial(compute_plan, tables, norms)
