"""Straight-line float programs: what a closed form is lowered to, and all that a printer has to know.

An instruction's arguments are indices of earlier instructions. The operation set is closed; a printer
or interpreter matches on it and ends in `assert_never`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Operation = Literal[
    "input",  # q11, q12 or q22, by `name`
    "const",  # `value`
    "add",
    "sub",
    "mul",
    "div",  # a / b, and a where a is 0 (a signed zero: the side from which a limit is reached)
    "neg",
    "abs",
    "sign",  # 1 where a >= 0, else -1
    "max",
    "sqrt",  # of max(a, 0)
    "exp",
    "expm1",
    "sin",
    "cos",
    "atan2",
    "diff_of_products",  # a b - c d, to about one unit in the last place
    "erf",
    "ndtr",  # P(Z <= a)
    "scaled_ndtr",  # (z, exponent, tail): exp(exponent) P(Z <= z), tail = exponent - z^2/2
    "dawson",
    "scaled_quadrant",  # (h, k, bh, bk, tilt, edge_h, edge_k, corner): see normal.scaled_quadrant
    "quadrant_excess",  # (h, k, bh, bk): see normal.quadrant_excess
]


@dataclass(frozen=True, slots=True)
class Instruction:
    """One operation; `value` for const, `name` for input."""

    operation: Operation
    arguments: tuple[int, ...] = ()
    value: float = 0.0
    name: str = ""


@dataclass(frozen=True, slots=True)
class FloatProgram:
    """A function of (q11, q12, q22) in float64; the summands are listed so that cancellation can be seen.

    The result is the sum of the instructions `summands`.
    """

    instructions: tuple[Instruction, ...]
    summands: tuple[int, ...]
