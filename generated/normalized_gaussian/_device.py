# Part of the runtime that kernelc copies, unchanged, into every module it generates with the cupy backend.
"""What all functions for CuPy arrays share: kernels by name, and arrays as the kernels read them.

Part of generated packages with the cupy backend, copied verbatim; it needs NumPy and CuPy.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import cupy
import numpy as np

from ._dispatch import on_device
from ._inputs import float_type

#: Threads a block and blocks at most of the elementwise kernels, which stride over their entries.
THREADS, _BLOCKS = 256, 8192

#: As in `_kernels.cu`: a tile's side.
TILE = 64

SINGLE = np.dtype(np.float32)


def kernel(file: str, name: str, *options: str) -> Any:
    """A kernel of one of the package's CUDA files on the current device."""
    return _loaded(current_device(), file, name, options)


def current_device() -> int:
    """The number of the device on which CuPy works."""
    return int(cupy.cuda.runtime.getDevice())


@cache
def _loaded(device: int, file: str, name: str, options: tuple[str, ...]) -> Any:
    """CuPy binds a kernel to the device that is current when it is made: `device`."""
    source = Path(__file__).with_name(file).read_text(encoding="utf-8")
    return cupy.RawModule(code=source, options=options).get_function(name)


def as_floats(name: str, value: Any) -> Any:
    """`value` as a contiguous float32 or float64 CuPy array; a number becomes one.

    Raises:
        ValueError: naming `name`, for complex data, and for arrays that are on the host.
    """
    if not on_device(value):
        if np.ndim(value):
            raise ValueError(f"{name}: expected a CuPy array beside the CuPy arrays, got {type(value).__name__}")
        value = cupy.asarray(value)
    return contiguous(value.astype(float_type(name, value.dtype), copy=False))


def contiguous(array: Any) -> Any:
    """In C order, in its own shape: a scalar's too."""
    return cupy.ascontiguousarray(array).reshape(array.shape)


def blocks(entries: int) -> int:
    """How many blocks of THREADS an elementwise kernel is launched with."""
    return max(1, min(_BLOCKS, -(-entries // THREADS)))
