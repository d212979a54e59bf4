# Part of the runtime that kernelc copies, unchanged, into every module it generates.
"""One name for every kind of array: CuPy arrays go to the package's CUDA kernels, all else to NumPy.

CuPy is not imported here: where an array of it comes, it has been. Part of every generated package, copied
verbatim; it needs NumPy alone.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import wraps
from types import ModuleType
from typing import Any, ParamSpec

Parameters = ParamSpec("Parameters")


def on_device(value: object) -> bool:
    """Whether `value` is an array of CuPy (or of its sparse matrices)."""
    return type(value).__module__.partition(".")[0] in ("cupy", "cupyx")


def on_host(value: Any) -> Any:
    """`value`, or what an array of CuPy holds as a NumPy array."""
    return value.get() if on_device(value) else value


def by_array(function: Callable[Parameters, Any]) -> Callable[Parameters, Any]:
    """`function`, or its namesake in the package's `_cupy` where an argument is a CuPy array."""

    @wraps(function)
    def dispatched(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Any:
        if any(map(on_device, args)) or any(map(on_device, kwargs.values())):
            return getattr(device_module(function.__module__, "_cupy"), function.__name__)(*args, **kwargs)
        return function(*args, **kwargs)

    return dispatched


def device_module(package: str, name: str) -> ModuleType:
    """A module of the package that works on CuPy arrays.

    Raises:
        ValueError: where it was compiled without one.
    """
    try:
        return importlib.import_module(f".{name}", package)
    except ModuleNotFoundError as error:
        if error.name != f"{package}.{name}":
            raise
        raise ValueError(
            f"{package} was compiled for NumPy alone and cannot take CuPy arrays: recompile it with --backend numpy "
            "--backend cupy, or pass cupy.asnumpy(...)"
        ) from None
