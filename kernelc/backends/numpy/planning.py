"""Plans for a kernel that is not on disk: the emitted tables and the runtime's own planner, as they are written."""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any

from kernelc.backends.numpy.runtime._features import compute_plan
from kernelc.backends.numpy.runtime._plan import Plan

_RUNTIME = "kernelc.backends.numpy.runtime"


def _module(name: str, text: str) -> ModuleType:
    """An emitted file of tables, its relative imports taken from the runtime inside kernelc."""
    module = ModuleType(f"{_RUNTIME}.{name}")
    module.__package__ = _RUNTIME
    exec(compile(text, f"{name}.py", "exec"), module.__dict__)
    return module


def plan_features(files: Mapping[str, str], dim: int, **options: Any) -> Plan:
    """The plan that the emitted package `files` would make; options are those of its `plan`.

    Raises:
        ValueError: naming the argument; RefusedError where the NTK is infinite.
    """
    tables = _module("_tables", files["_tables.py"]).TABLES
    norms = _module("_norm_tables", files["_norm_tables.py"]).NORMS if "_norm_tables.py" in files else None
    return compute_plan(tables, norms, dim, **options)
