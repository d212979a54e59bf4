"""kernelc: a symbolic-numeric compiler for neural kernels.

import kernelc
kernel = kernelc.compile("t/2*(1+erf(t/sqrt(2)))", name="gelu", degree=32)
print(kernel.report())
kernel.write("generated")
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from kernelc._version import __version__
from kernelc.errors import (
    CertificationError,
    InputError,
    KernelcError,
    NotSquareIntegrableError,
    UnsupportedError,
)

if TYPE_CHECKING:
    from kernelc.kernel import Kernel as Kernel
    from kernelc.pipeline import compile_activation as compile

__all__ = [
    "CertificationError",
    "InputError",
    "Kernel",
    "KernelcError",
    "NotSquareIntegrableError",
    "UnsupportedError",
    "__version__",
    "compile",
]

# Resolved on first use, so that `kernelc --help` does not wait for SymPy.
_LAZY = {"compile": ("kernelc.pipeline", "compile_activation"), "Kernel": ("kernelc.kernel", "Kernel")}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'kernelc' has no attribute {name!r}")
    module, attribute = _LAZY[name]
    return getattr(importlib.import_module(module), attribute)
