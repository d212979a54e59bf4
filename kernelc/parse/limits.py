"""What the parser accepts at most, so that no text can make it run long or fill the memory."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from kernelc.errors import InputError


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on the text, on its tree, and on what SymPy makes of it.

    `text_length` in characters; `nesting` in levels (a sum or product of many terms is one level);
    `nodes` of the text's tree; `digits` and `decimal_exponent` of a literal; `power`: the largest
    |n| in x**n with a variable x other than an exponential; `bits` of any integer that arises (2048
    bits: 616 digits); `size` of the SymPy tree in nodes, every repetition counted; `extremes`: the
    arguments of one Max or Min, nested ones included (SymPy compares each with each); `spread`: terms
    that any part of something not plainly real multiplies out to (SymPy multiplies out to split it);
    `seconds` of wall-clock time, checked between nodes.
    """

    text_length: int = 4096
    nesting: int = 64
    nodes: int = 2000
    digits: int = 60
    decimal_exponent: int = 300
    power: int = 256
    bits: int = 2048
    size: int = 5000
    extremes: int = 16
    spread: int = 200
    name_length: int = 64
    seconds: float = 5.0


#: |constant argument| at most, by function: beyond it SymPy or mpmath would compute huge integers or
#: sum slowly. Functions that are not named here take any constant in the double range.
CONSTANT_ARGUMENT: Mapping[str, int] = MappingProxyType(
    {
        "gamma": 170,
        "loggamma": 170,
        "digamma": 170,
        "besselj": 1000,
        "besseli": 1000,
        "airyai": 1000,
    }
)


@dataclass(slots=True)
class Deadline:
    """A wall-clock limit, looked at between steps that are each bounded by `Limits`."""

    seconds: float
    _start: float = field(default_factory=time.monotonic)

    def check(self, column: int | None) -> None:
        """Raise InputError at `column` (1-based, None where unknown) once the time is spent."""
        if time.monotonic() - self._start > self.seconds:
            raise InputError(
                f"reading the formula took longer than {self.seconds:g} s; write a simpler one", column=column
            )
