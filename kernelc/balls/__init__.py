"""Ball arithmetic on expressions: evaluation tapes, certified real roots. Used by several stages."""

from __future__ import annotations

from kernelc.balls.tape import Tape, constant_ball

__all__ = ["Tape", "constant_ball"]
