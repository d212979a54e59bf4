"""Run a float program in NumPy: the meaning of every operation, and what printed code must equal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

import numpy as np
from numpy.typing import ArrayLike

from kernelc.numerics._arithmetic import Array, difference_of_products, quotient
from kernelc.numerics._normal import dawson, erf, ndtr, quadrant_excess, scaled_ndtr, scaled_quadrant
from kernelc.program import FloatProgram, Instruction


def run(program: FloatProgram, q11: ArrayLike, q12: ArrayLike, q22: ArrayLike) -> tuple[Array, Array]:
    """The value at (q11, q12, q22), and the sum of the summands' sizes (what cancellation is measured by).

    Arguments broadcast; q11, q22 >= 0 and |q12| <= sqrt(q11 q22) are the caller's to ensure.
    """
    inputs = dict(zip(("q11", "q12", "q22"), np.broadcast_arrays(q11, q12, q22), strict=True))
    arrays = {name: np.asarray(a, dtype=np.float64) for name, a in inputs.items()}
    values: list[Array] = []
    with np.errstate(all="ignore"):
        for instruction in program.instructions:
            values.append(_step(instruction, [values[i] for i in instruction.arguments], arrays))
        total = np.zeros_like(arrays["q12"])
        size = np.zeros_like(total)
        for index in program.summands:
            total = total + values[index]
            size = size + np.abs(values[index])
    return total, size


def _step(instruction: Instruction, a: Sequence[Array], inputs: dict[str, Array]) -> Array:
    match instruction.operation:
        case "input":
            return inputs[instruction.name]
        case "const":
            return np.asarray(instruction.value)
        case "add":
            return np.asarray(a[0] + a[1])
        case "sub":
            return np.asarray(a[0] - a[1])
        case "mul":
            return np.asarray(a[0] * a[1])
        case "div":
            return quotient(*a)
        case "neg":
            return np.asarray(-a[0])
        case "abs":
            return np.abs(a[0])
        case "sign":
            return np.where(a[0] >= 0, 1.0, -1.0)
        case "max":
            return np.maximum(a[0], a[1])
        case "sqrt":
            return np.sqrt(np.maximum(a[0], 0.0))
        case "exp":
            return np.exp(a[0])
        case "expm1":
            return np.expm1(a[0])
        case "log":
            return np.log(a[0])
        case "log1p":
            return np.log1p(a[0])
        case "sin":
            return np.sin(a[0])
        case "cos":
            return np.cos(a[0])
        case "atan2":
            return np.arctan2(a[0], a[1])
        case "diff_of_products":
            return difference_of_products(*a)
        case "erf":
            return erf(a[0])
        case "ndtr":
            return ndtr(a[0])
        case "scaled_ndtr":
            return scaled_ndtr(*a)
        case "dawson":
            return dawson(a[0])
        case "scaled_quadrant":
            return scaled_quadrant(*a)
        case "quadrant_excess":
            return quadrant_excess(*a)
        case _:
            assert_never(instruction.operation)
