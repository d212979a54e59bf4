"""Envelopes of sums, products, powers and known functions, from those of their parts."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from functools import reduce

import sympy

from kernelc.functions import BY_HEAD
from kernelc.functions import envelope as env
from kernelc.functions.complement import without_cancelling
from kernelc.functions.envelope import Envelope, Size
from kernelc.functions.heads import LambertW0


def from_parts(f: sympy.Expr, of: Callable[[sympy.Expr], Envelope]) -> Envelope:
    """The envelope of f by the rule of its head, those of its arguments given by `of`."""
    if isinstance(f, sympy.Add):
        total = reduce(env.added, [of(a) for a in f.args])
        other = without_cancelling(f)
        return total if other is None else env.either(total, of(other))
    if isinstance(f, sympy.Mul):
        product = reduce(env.multiplied, [of(a) for a in f.args])
        tame = _without_overflow(f) if product.size is None else None
        return product if tame is None else env.either(product, of(tame))
    if isinstance(f, sympy.Pow):
        return _power(f, of)
    if isinstance(f, sympy.log):
        return _logarithm(f.args[0], of)
    record = BY_HEAD.get(f.func)
    found = Envelope() if record is None else record.envelope([of(a) for a in f.args]).completed()
    if isinstance(f, LambertW0) and found.size is None and of(f.args[0]).nonnegative:
        # W(x) <= log(1 + x)
        return replace(found, size=_log_size(1 + f.args[0], of)).completed()
    return found


def _logarithm(g: sympy.Expr, of: Callable[[sympy.Expr], Envelope]) -> Envelope:
    """The envelope of log(g)."""
    found = env.logarithm(of(g))
    if isinstance(g, sympy.Add) and sympy.S.One in g.args:
        found = env.no_less_than_log1p(found, of(g - 1))
    return found if found.size is not None else replace(found, size=_log_size(g, of)).completed()


def _log_size(g: sympy.Expr, of: Callable[[sympy.Expr], Envelope]) -> Size | None:
    """A bound of |log(g)|, where an exponential in g may grow faster than any envelope says: log(1 + exp(x^3))."""
    if isinstance(g, (sympy.exp, sympy.cosh)):
        return of(g.args[0]).size  # 0 <= log(cosh(h)) <= |h|
    if not isinstance(g, (sympy.Add, sympy.Mul)):
        return env.logarithm(of(g)).size
    sizes = [_log_size(a, of) for a in g.args]
    known = [size for size in sizes if size is not None]
    if len(known) < len(sizes):
        return None
    if isinstance(g, sympy.Mul):
        return reduce(operator.add, known)
    if not all(of(a).nonnegative for a in g.args):
        return None
    # n terms: each of them <= their sum <= n times the largest
    spread = env.log_up(Fraction(len(known)))
    return None if spread is None else reduce(Size.union, known) + Size(spread)


def _without_overflow(f: sympy.Mul) -> sympy.Expr | None:
    """exp(h) / (c + k exp(h))^p as 1 / (c exp(-h) + k) / (c + k exp(h))^(p - 1), c and k numbers; None without one."""
    for grown in (a for a in f.args if isinstance(a, sympy.exp)):
        for divisor in (a for a in f.args if isinstance(a, sympy.Pow) and a.exp.is_Integer and a.exp < 0):
            constant, rest = divisor.base.as_coeff_Add()
            factor, power = rest.as_coeff_Mul()
            if constant != 0 and power == grown:
                others = [a for a in f.args if a not in (grown, divisor)]
                steady = (constant * sympy.exp(-grown.args[0]) + factor) ** -1
                return sympy.Mul(*others, divisor.base ** (divisor.exp + 1), steady)
    return None


def _power(f: sympy.Pow, of: Callable[[sympy.Expr], Envelope]) -> Envelope:
    base, exponent = f.args
    if isinstance(exponent, sympy.Rational):
        p = Fraction(int(exponent.p), int(exponent.q))
        grown = env.positive_power(of(base), abs(p)) if p else env.constant(Fraction(1), Fraction(1))
        return grown if p > 0 else env.reciprocal(grown)
    return env.exponential(env.multiplied(of(exponent), env.logarithm(of(base))))
