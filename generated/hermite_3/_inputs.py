# Part of the runtime that kernelc copies, unchanged, into every module it generates.
"""Checks of what a caller passes in: every refusal is a ValueError that names the argument.

Part of every generated package, copied verbatim; it needs NumPy alone.
"""

from __future__ import annotations

import math
import operator
from typing import Any, SupportsFloat, SupportsIndex

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.floating[Any]]
DoubleArray = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]

#: |rho| may exceed 1 by this many spacings of its dtype (rounding of a dot product) and is then clipped.
DOMAIN_SLACK_ULPS = 4


class RefusedError(ValueError):
    """What was asked for does not exist for this activation (an infinite or unproved derivative kernel)."""


def float_type(name: str, dtype: np.dtype[Any]) -> np.dtype[Any]:
    """What an array of `dtype` is computed in: float32 for float32, else float64.

    Raises:
        ValueError: naming `name`, for complex, extended, textual or object data.
    """
    if dtype.kind not in "biuf":
        raise ValueError(f"{name}: expected real numbers, got an array of dtype {dtype}")
    if dtype.kind == "f" and dtype.itemsize > np.dtype(np.float64).itemsize:
        raise ValueError(f"{name}: dtype {dtype} is not supported, convert it to float64")
    single = dtype.kind == "f" and dtype.itemsize == np.dtype(np.float32).itemsize
    return np.dtype(np.float32 if single else np.float64)


def as_floats(name: str, value: npt.ArrayLike) -> FloatArray:
    """`value` as a float32 or float64 array of native byte order; the input is never modified.

    float32 and float64 keep their type; booleans, integers and float16 become float64 (exactly, up
    to 2^53). Extended precision is refused rather than rounded in silence.

    Raises:
        ValueError: naming `name`, for complex, extended, textual, masked or object data, NaN, infinity.
    """
    if isinstance(value, np.ma.MaskedArray):
        raise ValueError(f"{name}: masked arrays are not accepted, fill the masked entries first")
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{name}: not a rectangular array of numbers ({error})") from None
    result: FloatArray = np.asarray(array, dtype=float_type(name, array.dtype))
    if not bool(np.isfinite(result).all()):
        raise ValueError(f"{name}: contains NaN or infinity")
    return result


def as_rows(name: str, value: npt.ArrayLike) -> FloatArray:
    """`value` as an (n, d) float array, n >= 1 and d >= 1, one input a row.

    Raises:
        ValueError: naming `name`, for any other shape and for what `as_floats` refuses.
    """
    rows = as_floats(name, value)
    require_rows(name, rows.shape)
    return rows


def require_rows(name: str, shape: tuple[int, ...]) -> None:
    """Refuse a shape other than (n, d), n >= 1 and d >= 1.

    Raises:
        ValueError: naming `name`.
    """
    if len(shape) != 2:
        raise ValueError(f"{name}: expected a 2-D array of shape (n, d), got shape {shape}")
    if 0 in shape:
        raise ValueError(f"{name}: expected at least one row and one column, got shape {shape}")


def require_values(name: str, shape: tuple[int, ...]) -> None:
    """Refuse an empty array.

    Raises:
        ValueError: naming `name`.
    """
    if 0 in shape:
        raise ValueError(f"{name}: expected at least one value, got shape {shape}")


def as_correlation(name: str, value: npt.ArrayLike) -> FloatArray:
    """`value` as correlations in [-1, 1]; at most 4 spacings outside, which are clipped.

    Raises:
        ValueError: naming `name`, for values outside, none at all, and for what `as_floats` refuses.
    """
    rho = as_floats(name, value)
    require_values(name, rho.shape)
    low, high = float(rho.min()), float(rho.max())
    limit = 1.0 + DOMAIN_SLACK_ULPS * float(np.finfo(rho.dtype).eps)
    if low < -limit or high > limit:
        raise ValueError(f"{name}: correlations lie in [-1, 1], got values in [{low!r}, {high!r}]")
    if low < -1.0 or high > 1.0:
        return np.clip(rho, -1.0, 1.0)
    return rho


def as_depth(name: str, value: SupportsIndex) -> int:
    """A number of hidden layers, at least 1.

    Raises:
        ValueError: naming `name`, where `value` is no integer (booleans are none) or below 1.
    """
    if isinstance(value, (bool, np.bool_)):
        raise ValueError(f"{name}: expected an integer of at least 1, got {value!r}")
    try:
        depth = operator.index(value)
    except TypeError:
        raise ValueError(f"{name}: expected an integer of at least 1, got {value!r}") from None
    if depth < 1:
        raise ValueError(f"{name}: expected an integer of at least 1, got {depth}")
    return depth


def as_scale(name: str, value: SupportsFloat, *, zero: bool) -> float:
    """A standard deviation as a float: finite as is its square, positive (or zero, where `zero` allows it).

    Raises:
        ValueError: naming `name`, for anything else.
    """
    try:
        scale = float(value)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"{name}: expected a real number, got {value!r}") from None
    if not math.isfinite(scale) or scale < 0.0 or (scale == 0.0 and not zero):
        raise ValueError(f"{name}: expected a finite number {'>= 0' if zero else '> 0'}, got {scale!r}")
    if not math.isfinite(scale * scale):
        raise ValueError(f"{name}: the square of {scale!r} overflows float64")
    return scale


def as_output(
    out: FloatArray, shape: tuple[int, int], dtype: np.dtype[Any], inputs: tuple[FloatArray, ...]
) -> FloatArray:
    """`out` where a result of this shape and dtype can be written into it.

    Raises:
        ValueError: naming out, for anything else, and where it shares memory with an input.
    """
    if not isinstance(out, np.ndarray) or out.shape != shape or out.dtype != dtype:
        found = f"{out.dtype} of shape {out.shape}" if isinstance(out, np.ndarray) else type(out).__name__
        raise ValueError(f"out: expected an array of {dtype} of shape {shape}, got {found}")
    if not out.flags.writeable:
        raise ValueError("out: the array is read-only")
    if any(np.may_share_memory(out, array) for array in inputs):
        raise ValueError("out: shares memory with an input")
    return out
