"""Proofs that all Taylor coefficients at 0 are >= 0 and that the series converges to the function.

Closure rules, all of them for coefficients of degree >= 1 ("rises": they are >= 0, "falls": <= 0):

- sums of what rises rise; products of what rises from a value >= 0 rise;
- f(g) rises where f has coefficients >= 0, g rises from g(0) >= 0 and sum |g_k| <= the radius of f:
  on [0, radius) all derivatives of f are >= 0. exp(g) rises wherever g does;
- with h = g(0) - g rising (g falls) and g(1) >= 0, so that sum h_k <= g(0): (g(0) - h)^p rises for p < 0,
  falls for 0 < p < 1, and log(g(0) - h) falls, all by the binomial and the logarithmic series.

"Analytic" means on the open unit disc: sum |g_k| <= radius gives |g(z)| < radius there, since
|g(z) - g(0)| <= |z| sum_{k>=1} |g_k|. With coefficients >= 0 and a finite value at 1, Abel's theorem makes
the series converge to that value, absolutely on the whole closed disc.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sympy

from kernelc.dualkernel.constants import is_nonnegative, is_plain, sign_of
from kernelc.dualkernel.functions import BY_HEAD, SeriesFunction
from kernelc.model import RHO

_ORDERS = 4
_SIMPLIFIED = 150


@dataclass(frozen=True, slots=True)
class Facts:
    """What is proved of the coefficients of degree >= 1, and of analyticity on the open unit disc.

    `size`: sum |c_k| over all degrees is at most this (an exact constant; None: not known).
    """

    rises: bool = False
    falls: bool = False
    analytic: bool = False
    size: sympy.Expr | None = None


@dataclass(frozen=True, slots=True)
class Positivity:
    """All coefficients of degree >= `proved_from` are >= 0; `method` says how that was shown."""

    method: str
    proved_from: int


def prove_positive(expression: sympy.Expr, highest: int) -> Positivity | None:
    """A proof of non-negativity from some degree <= `highest` on, or None.

    Polynomial terms of the sum only touch finitely many coefficients, so they are left to who has these in
    balls; and the coefficients of a function are >= 0 from degree d on where those of its d-th derivative are.
    """
    prover = Prover()
    if not prover.facts(expression).analytic:
        return None
    derivative = expression
    for order in range(_ORDERS):
        for form in _forms(derivative):
            rest, degree = _without_polynomial(form, highest - order)
            if prover.facts(rest).rises:
                by = f"derivative of order {order} is" if order else "kernel is"
                return Positivity(f"the {by} composed of functions with coefficients >= 0", order + degree + 1)
        derivative = sympy.diff(derivative, RHO)
    return None


def _forms(expression: sympy.Expr) -> Sequence[sympy.Expr]:
    """The expression in ways in which its terms may cancel."""
    forms = [expression, sympy.expand(expression)]
    if expression.count_ops() <= _SIMPLIFIED:
        forms.append(sympy.simplify(expression))
    return tuple(dict.fromkeys(forms))


def _without_polynomial(expression: sympy.Expr, highest: int) -> tuple[sympy.Expr, int]:
    """The sum without its polynomial terms of degree <= `highest`, and the largest degree that was dropped."""
    kept, dropped = [], 0
    for term in sympy.Add.make_args(expression):
        degree = sympy.degree(term, RHO) if term.is_polynomial(RHO) and term.has(RHO) else 0
        if term.is_polynomial(RHO) and degree <= highest and not Prover().facts(term).rises:
            dropped = max(dropped, int(degree))
        else:
            kept.append(term)
    return sympy.Add(*kept), dropped


class Prover:
    """Applies the rules; equal subexpressions once."""

    def __init__(self) -> None:
        self._known: dict[sympy.Expr, Facts] = {}

    def facts(self, e: sympy.Expr) -> Facts:
        """All that the rules give."""
        if e not in self._known:
            self._known[e] = self._sized(e, self._facts(e))
        return self._known[e]

    def _sized(self, e: sympy.Expr, facts: Facts) -> Facts:
        """The size of what rises or falls: |f(1) - f(0)| + |f(0)|."""
        if facts.size is not None or not facts.analytic or not (facts.rises or facts.falls):
            return facts
        first, last = _at(e, 0), _at(e, 1)
        if not (is_plain(first) and is_plain(last)):
            return facts
        rise = last - first if facts.rises else first - last
        sign = sign_of(first)
        if sign is None:
            return facts
        return Facts(facts.rises, facts.falls, True, rise + first * (1 if sign >= 0 else -1))

    def _facts(self, e: sympy.Expr) -> Facts:
        if not e.has(RHO):
            sign = sign_of(e)
            return Facts(True, True, True, None if sign is None else e * (1 if sign >= 0 else -1))
        if e == RHO:
            return Facts(rises=True, analytic=True, size=sympy.S.One)
        if e.is_Add:
            return self._sum([self.facts(part) for part in e.args])
        if e.is_Mul:
            return self._product(e)
        if e.is_Pow:
            return self._power(e.base, e.exp)
        if e.func is sympy.log:
            inner = self._logarithmic(e.args[0])
            return Facts(falls=inner.falls, analytic=inner.analytic)
        record = BY_HEAD.get(e.func)
        return Facts() if record is None else self._composition(record, e.args[0])

    def _sum(self, parts: Sequence[Facts]) -> Facts:
        sizes = [part.size for part in parts]
        known = [size for size in sizes if size is not None]
        return Facts(
            all(part.rises for part in parts),
            all(part.falls for part in parts),
            all(part.analytic for part in parts),
            sympy.Add(*known) if len(known) == len(sizes) else None,
        )

    def _product(self, e: sympy.Mul) -> Facts:
        constant, rest = e.as_independent(RHO, as_Add=False)
        factors = sympy.Mul.make_args(rest)
        parts = [self.facts(factor) for factor in factors]
        sizes = [part.size for part in parts]
        size = None
        known = [s for s in sizes if s is not None]
        if len(known) == len(sizes):
            size = self._size_of_constant(constant, sympy.Mul(*known))
        analytic = all(part.analytic for part in parts)
        rises, falls = (parts[0].rises, parts[0].falls) if len(factors) == 1 else self._signed(factors)
        sign = sign_of(constant)
        if sign is None:
            return Facts(analytic=analytic)
        if sign < 0:
            rises, falls = falls, rises
        return Facts(rises, falls, analytic, size)

    def _size_of_constant(self, constant: sympy.Expr, size: sympy.Expr) -> sympy.Expr | None:
        sign = sign_of(constant)
        return None if sign is None else size * constant * (1 if sign >= 0 else -1)

    def _signed(self, factors: Sequence[sympy.Expr]) -> tuple[bool, bool]:
        """Whether a product of factors, each with all coefficients of one sign, rises or falls."""
        negative = False
        for factor in factors:
            facts, first = self.facts(factor), _at(factor, 0)
            if facts.rises and is_nonnegative(first):
                continue
            if not (facts.falls and is_nonnegative(-first)):
                return False, False
            negative = not negative
        return not negative, negative

    def _power(self, base: sympy.Expr, exponent: sympy.Expr) -> Facts:
        if not base.has(RHO):
            return self._composition(BY_HEAD[sympy.exp], exponent * sympy.log(base)) if sign_of(base) == 1 else Facts()
        if exponent.has(RHO):
            return Facts()
        if exponent.is_Integer and exponent > 0:
            rises, falls = self._signed([base] * int(exponent))
            inner = self.facts(base)
            size = None if inner.size is None else inner.size**exponent
            return Facts(rises, falls, inner.analytic, size)
        inner = self._logarithmic(base)
        sign = sign_of(exponent)
        fraction = sign == 1 and sign_of(1 - exponent) == 1
        return Facts(inner.falls and sign == -1, inner.falls and fraction, inner.analytic)

    def _logarithmic(self, base: sympy.Expr) -> Facts:
        """`falls` and `analytic` where the base is g(0) - h with sum |h_k| <= g(0), so that it is never 0 inside."""
        facts, first = self.facts(base), _at(base, 0)
        if not facts.analytic or facts.size is None or sign_of(first) != 1:
            return Facts()
        # the size counts g(0) too
        if not is_nonnegative(2 * first - facts.size):
            return Facts()
        return Facts(falls=facts.falls, analytic=True)

    def _composition(self, record: SeriesFunction, argument: sympy.Expr) -> Facts:
        facts, first = self.facts(argument), _at(argument, 0)
        inside = facts.analytic and (
            record.radius is sympy.oo or (facts.size is not None and is_nonnegative(record.radius - facts.size))
        )
        if not inside:
            return Facts()
        if record.head is sympy.exp:
            return Facts(rises=facts.rises, analytic=True)
        if not record.positive:
            return Facts(analytic=True)
        rises = facts.rises and is_nonnegative(first)
        # an odd function of what has all coefficients <= 0
        falls = record.parity == "odd" and facts.falls and is_nonnegative(-first)
        mirrored = record.parity == "even" and facts.falls and is_nonnegative(-first)
        return Facts(rises or mirrored, falls, analytic=True)


def _at(e: sympy.Expr, point: int) -> sympy.Expr:
    return e.subs(RHO, point)
