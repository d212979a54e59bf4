"""Compiled packages as parameters: modules can be neither copied nor pickled, and need not be."""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any, Self

from sklearn.base import clone

from kernelc.kernel import Kernel
from kernelc.loading import Source


class KeepsModules:
    """Cloning keeps a compiled package or kernel as the same object; pickling a package keeps its files."""

    def __sklearn_clone__(self) -> Self:
        parameters = self.get_params(deep=False)  # type: ignore[attr-defined]
        return type(self)(**{name: _cloned(value) for name, value in parameters.items()})

    def __getstate__(self) -> dict[str, Any]:
        parent = getattr(super(), "__getstate__", None)
        state = dict(parent() if parent is not None else self.__dict__)
        module = state.get("activation")
        if isinstance(module, ModuleType):
            state["activation"] = _Packed(module.__name__)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        packed = state.get("activation")
        if isinstance(packed, _Packed):
            state = {**state, "activation": importlib.import_module(packed.name)}
        parent = getattr(super(), "__setstate__", None)
        if parent is not None:
            parent(state)
        else:
            self.__dict__.update(state)


class _Packed:
    """A module by its name."""

    def __init__(self, name: str) -> None:
        self.name = name


def _cloned(value: Any) -> Any:
    return value if isinstance(value, ModuleType | Kernel | Source) else clone(value, safe=False)
