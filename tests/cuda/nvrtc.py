"""NVRTC from its wheel: compiles CUDA C to machine code, without a device and without CUDA's headers."""

from __future__ import annotations

import ctypes
import importlib.util
from functools import cache
from pathlib import Path
from typing import Any

#: Compute capabilities: A100 and H100/H200.
ARCHITECTURES = ("sm_80", "sm_90")


def wheel_file(pattern: str) -> Path:
    """A file of one of NVIDIA's wheels."""
    found = importlib.util.find_spec("nvidia")
    for folder in () if found is None else found.submodule_search_locations or ():
        for path in sorted(Path(folder).glob(pattern)):
            return path
    raise AssertionError(f"no {pattern}: pip install nvidia-cuda-nvrtc nvidia-cuda-nvdisasm")


@cache
def _library() -> Any:
    return ctypes.CDLL(str(wheel_file("*/lib/libnvrtc.so.*")))


def compile_cubin(source: str, options: tuple[str, ...]) -> tuple[bytes, str]:
    """The cubin (empty where it does not compile) and the compiler's log (empty where it has nothing to say)."""
    library, program, size = _library(), ctypes.c_void_p(), ctypes.c_size_t()
    assert library.nvrtcCreateProgram(ctypes.byref(program), source.encode(), b"_kernels.cu", 0, None, None) == 0
    try:
        passed = (ctypes.c_char_p * len(options))(*(option.encode() for option in options))
        failed = library.nvrtcCompileProgram(program, len(options), passed) != 0
        library.nvrtcGetProgramLogSize(program, ctypes.byref(size))
        log = ctypes.create_string_buffer(size.value)
        library.nvrtcGetProgramLog(program, log)
        if failed:
            return b"", log.value.decode()
        library.nvrtcGetCUBINSize(program, ctypes.byref(size))
        cubin = ctypes.create_string_buffer(size.value)
        library.nvrtcGetCUBIN(program, cubin)
        return cubin.raw, log.value.decode()
    finally:
        library.nvrtcDestroyProgram(ctypes.byref(program))
