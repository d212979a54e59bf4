"""Signs and values of constants that came out of a formula, decided exactly or not at all."""

from __future__ import annotations

import sympy
from flint import acb, arb, ctx

from kernelc.balls import Tape
from kernelc.errors import UnsupportedError

_BITS = 256
_SIMPLIFIED = 200
_INFINITE = (sympy.zoo, sympy.oo, -sympy.oo, sympy.nan)


def is_plain(value: sympy.Expr) -> bool:
    """Whether it is free of infinities and of NaN."""
    return not value.has(*_INFINITE)


def real_ball(value: sympy.Expr) -> arb | None:
    """A ball about a constant, None where it is not a finite real number (or not known to be one)."""
    if not is_plain(value):
        return None
    try:
        with ctx.workprec(_BITS):
            ball = Tape((value,), sympy.Dummy())(acb(0))[0]
    except UnsupportedError:
        return None
    if not ball.is_finite() or not ball.imag.contains(0) or ball.imag.rad() > arb(2) ** -64:
        return None
    return ball.real


def sign_of(value: sympy.Expr) -> int | None:
    """-1, 0 or 1, None where it cannot be decided."""
    ball = real_ball(value)
    if ball is None:
        return None
    if not ball.contains(0):
        return 1 if ball > 0 else -1
    if value == 0 or (value.count_ops() <= _SIMPLIFIED and sympy.simplify(value) == 0):
        return 0
    return None


def is_nonnegative(value: sympy.Expr) -> bool:
    """Whether it is proved to be >= 0."""
    return sign_of(value) in (0, 1)
