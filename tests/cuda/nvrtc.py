"""NVRTC from its wheel: compiles CUDA C to machine code, without a device and without CUDA's headers."""

from __future__ import annotations

import ctypes
import importlib.util
from functools import cache
from pathlib import Path
from typing import Any

#: Compute capabilities: A100 and H100/H200.
ARCHITECTURES = ("sm_80", "sm_90")


@cache
def _library() -> Any:
    found = importlib.util.find_spec("nvidia")
    assert found is not None, "the nvidia-cuda-nvrtc wheel is not installed"
    for folder in found.submodule_search_locations or ():
        for path in sorted(Path(folder).glob("*/lib/libnvrtc.so.*")):
            return ctypes.CDLL(str(path))
    raise AssertionError("the nvidia-cuda-nvrtc wheel holds no libnvrtc")


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
