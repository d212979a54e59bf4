"""sigma and sigma' at 0: what a kernel at the norm 0 is made of, where the tables do not reach it."""

from __future__ import annotations

import sympy
from flint import acb, ctx

from kernelc.balls.tape import Tape
from kernelc.model import VARIABLE, ActivationTraits, Piece

_BITS = 160
_RADIUS = 1e-30


def origin_of(traits: ActivationTraits) -> tuple[float, ...] | None:
    """sigma(0) and, where sigma' is square integrable, the mean of its one-sided limits at 0, to a rounding.

    None where sigma jumps at 0, or a ball does not tell its value, or whether that is 0.
    """
    pieces = [piece for piece in traits.pieces if _reaches_zero(piece)]
    edges = {at for piece in pieces for at in (piece.left, piece.right) if at is not None and at.lower <= 0 <= at.upper}
    if any(at.exact != 0 or at.kind not in ("kink", "smooth") for at in edges):
        return None
    values = [_at_zero(piece.expression) for piece in pieces]
    # sigma is continuous: both sides have the one value
    if not values or None in values:
        return None
    value = values[0]
    assert value is not None
    if traits.derivative_refused is not None:
        return (value,)
    slopes = [_at_zero(piece.derivative) for piece in pieces]
    known = [slope for slope in slopes if slope is not None]
    return (value, sum(known) / len(known)) if len(known) == len(slopes) else None


def _reaches_zero(piece: Piece) -> bool:
    """Whether 0 lies in the closed interval."""
    return (piece.left is None or piece.left.lower <= 0) and (piece.right is None or piece.right.upper >= 0)


def _at_zero(expression: sympy.Expr) -> float | None:
    with ctx.workprec(_BITS):
        ball = Tape((expression,), VARIABLE)(acb(0))[0].real
        if not ball.is_finite():
            return None
        if ball.is_zero() or expression.subs(VARIABLE, 0).is_zero:
            return 0.0
        return None if ball.contains(0) or float(ball.rad()) > _RADIUS * abs(float(ball.mid())) else float(ball.mid())
