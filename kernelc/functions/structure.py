"""Envelopes of sums, products, powers and known functions, from those of their parts."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import reduce

import sympy

from kernelc.functions import BY_HEAD
from kernelc.functions import envelope as env
from kernelc.functions.complement import without_cancelling
from kernelc.functions.envelope import Envelope


def from_parts(f: sympy.Expr, of: Callable[[sympy.Expr], Envelope]) -> Envelope:
    """The envelope of f by the rule of its head, those of its arguments given by `of`."""
    if isinstance(f, sympy.Add):
        total = reduce(env.added, [of(a) for a in f.args])
        other = without_cancelling(f)
        return total if other is None else env.either(total, of(other))
    if isinstance(f, sympy.Mul):
        return reduce(env.multiplied, [of(a) for a in f.args])
    if isinstance(f, sympy.Pow):
        return _power(f, of)
    if isinstance(f, sympy.log) and isinstance(f.args[0], sympy.Add) and sympy.S.One in f.args[0].args:
        found = env.logarithm(of(f.args[0]))
        return env.no_less_than_log1p(found, of(f.args[0] - 1))
    record = BY_HEAD.get(f.func)
    return Envelope() if record is None else record.envelope([of(a) for a in f.args]).completed()


def _power(f: sympy.Pow, of: Callable[[sympy.Expr], Envelope]) -> Envelope:
    base, exponent = f.args
    if isinstance(exponent, sympy.Rational):
        p = Fraction(int(exponent.p), int(exponent.q))
        grown = env.positive_power(of(base), abs(p)) if p else env.constant(Fraction(1), Fraction(1))
        return grown if p > 0 else env.reciprocal(grown)
    return env.exponential(env.multiplied(of(exponent), env.logarithm(of(base))))
