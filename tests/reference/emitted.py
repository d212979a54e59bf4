"""Emitted modules for the tests: the gallery's as they are committed, others compiled once a session."""

from __future__ import annotations

import importlib
import tempfile
from functools import cache
from pathlib import Path
from types import ModuleType

import kernelc
from tests.pipeline.loading import load


@cache
def emitted(name: str, formula: str | None = None) -> ModuleType:
    """`generated.NAME`, or the module of `formula` compiled now."""
    if formula is None:
        return importlib.import_module(f"generated.{name}")
    return load(kernelc.compile(formula, name=name, degree=16, norms="99/100,101/100"), Path(tempfile.mkdtemp()))
