"""What the compiler knows of one elementary function, in one record."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import sympy
from flint import acb

from kernelc.functions.envelope import Envelope

#: Evaluates a function on complex balls. With `analytic` set the result must not be finite unless
#: the function is analytic on the whole of the arguments' boxes (it becomes NaN there).
BallRule = Callable[[Sequence[acb], bool], acb]
EnvelopeRule = Callable[[Sequence[Envelope]], Envelope]
Domain = Callable[[Sequence[sympy.Expr]], tuple[sympy.Expr, ...]]


def nowhere(_args: Sequence[sympy.Expr]) -> tuple[sympy.Expr, ...]:
    """The empty list of conditions."""
    return ()


@dataclass(frozen=True, slots=True)
class ParserEntry:
    """The part of a record that the parser reads: `build(*args)` makes the SymPy expression.

    `build` gets SymPy expressions that are already parsed (never text) and may raise `InputError`.
    """

    names: tuple[str, ...]
    min_args: int
    max_args: int
    build: Callable[..., sympy.Expr]
    summary: str


@dataclass(frozen=True, slots=True)
class AnalyticFunction:
    """A SymPy head that is analytic wherever its conditions hold, and how to evaluate and bound it.

    `at_least_zero(args)`: expressions that must be >= 0 for a real value (log x: x; asin x: 1 - x,
    1 + x). Their zeros are where the function stops being analytic on the real line.
    `nonzero(args)`: expressions whose zeros are poles. `envelope` bounds it given its arguments'
    bounds. `mpmath_name` is its name in mpmath, which the second road uses.
    `check_points` are arguments in its domain at which the conformance test compares the two roads.
    """

    head: type[sympy.Function]
    ball: BallRule
    envelope: EnvelopeRule
    mpmath_name: str
    check_points: tuple[tuple[str, ...], ...]
    at_least_zero: Domain = nowhere
    nonzero: Domain = nowhere
