"""Proved bounds of a function next to a point where it, or its derivative, may be unbounded.

For x = |t - r| in (0, width], width <= 1/8, a `Majorant` states |f| <= sum_i C_i x^e_i L^m_i with
L = log(1/x) >= 1. It is what closes an integral at an algebraic or logarithmic singular point.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import factorial

import sympy
from flint import acb, arb, ctx

from kernelc.balls.approach import Approach, Order
from kernelc.balls.tape import Tape, arb_of
from kernelc.errors import UnsupportedError
from kernelc.functions import BY_HEAD
from kernelc.functions.envelope import Envelope, fraction_of, round_up

_MAX_ORDER = 8
_PRECISION = 192
_SIMPLIFY_LIMIT = 120


@dataclass(frozen=True, slots=True)
class Term:
    """scale x^exponent log(1/x)^logs."""

    scale: Fraction
    exponent: Fraction
    logs: int


Majorant = tuple[Term, ...]


@dataclass(frozen=True, slots=True)
class EndPoint:
    """The end r of a cell, seen from inside it: the cell is r + side (0, width]."""

    exact: sympy.Expr | None
    lower: Fraction
    upper: Fraction
    side: int
    width: Fraction
    zero_of: tuple[sympy.Expr, ...] = ()

    def hull(self) -> acb:
        """The closed cell as a real ball."""
        low = self.lower if self.side > 0 else self.lower - self.width
        high = self.upper + self.width if self.side > 0 else self.upper
        return acb(arb(arb_of((low + high) / 2), arb_of((high - low) / 2).upper()))


def _upper(value: acb) -> Fraction:
    return round_up(fraction_of(value.abs_upper().upper()))


class LocalBounds:
    """Derives majorants of expressions on one cell."""

    def __init__(self, t: sympy.Symbol, end: EndPoint) -> None:
        self._t = t
        self._end = end

    def majorant(self, f: sympy.Expr) -> Majorant | None:
        """A majorant of f on the cell, None where none could be derived.

        One of powers and their logarithms where that is square integrable; else by what f does as r is approached;
        else both of f over one denominator, where terms that cancel are one.
        """
        f = sympy.sympify(f)
        found = self._nearer(f)
        if (found is None or not integrable(squared(found))) and f.has(sympy.Add) and f.count_ops() < _SIMPLIFY_LIMIT:
            merged = sympy.together(f)
            return found if merged == f else self._nearer(merged) or found
        return found

    def tends_to_zero(self, f: sympy.Expr) -> bool:
        """Whether f is proved to vanish at r, like some power of x at least."""
        found = self.majorant(f)
        if found is not None and least_exponent(found) > 0:
            return True
        with ctx.workprec(_PRECISION):
            try:
                nearer = self._approach().size(sympy.sympify(f))
            except (UnsupportedError, RecursionError):
                return False
        return nearer is not None and nearer[1] > 0

    def has_no_zero(self, f: sympy.Expr) -> bool:
        """Whether f is proved to vanish nowhere on the cell."""
        with ctx.workprec(_PRECISION):
            try:
                return self._approach().has_no_zero(sympy.sympify(f))
            except (UnsupportedError, RecursionError):
                return False

    def _nearer(self, f: sympy.Expr) -> Majorant | None:
        with ctx.workprec(_PRECISION):
            try:
                found = self._derive(f)
                if found is not None and integrable(squared(found)):
                    return found
                nearer = self._approach().size(f)
            except (UnsupportedError, RecursionError):
                return None
        return found if nearer is None else (Term(*nearer),)

    def _approach(self) -> Approach:
        return Approach(self._end.width, self.order, self._value, self._t)

    def _value(self, f: sympy.Expr) -> acb:
        return Tape((f,), self._t)(self._end.hull())[0]

    def _vanishes(self, f: sympy.Expr) -> bool:
        """Whether f(r) = 0 is certain."""
        if f in self._end.zero_of or -f in self._end.zero_of:
            return True
        return self._end.exact is not None and vanishes_at(f, self._t, self._end.exact)

    def order(self, f: sympy.Expr) -> Order | None:
        """How f vanishes at r, or does not, by Taylor's theorem there. None: unknown."""
        derivative = f
        for k in range(_MAX_ORDER + 1):
            value = self._value(derivative)
            if not value.is_finite():
                return None
            if not self._vanishes(derivative):
                low = fraction_of(value.abs_lower().lower()) / factorial(k)
                sign = 1 if value.real > 0 else -1 if value.real < 0 else 0
                return Order(k, low, _upper(value) / factorial(k), sign * self._end.side**k) if low > 0 else None
            derivative = sympy.diff(derivative, self._t)
        return None

    def _vanishing_factor(self, f: sympy.Expr) -> Majorant | None:
        """|f| <= high x^k for the largest k that Taylor's theorem gives; k = 0 is a constant."""
        best: Majorant | None = None
        derivative = f
        for k in range(_MAX_ORDER + 1):
            value = self._value(derivative)
            if not value.is_finite():
                break
            best = (Term(_upper(value) / factorial(k), Fraction(k), 0),)
            if not self._vanishes(derivative):
                break
            derivative = sympy.diff(derivative, self._t)
        return best

    def _derive(self, f: sympy.Expr) -> Majorant | None:
        smooth = self._vanishing_factor(f)
        structural = self._structural(f)
        if smooth is None or structural is None:
            return smooth if structural is None else structural
        return max(smooth, structural, key=least_exponent)

    def _structural(self, f: sympy.Expr) -> Majorant | None:
        if isinstance(f, sympy.Add):
            parts = [self._derive(a) for a in f.args]
            return None if any(p is None for p in parts) else tuple(term for p in parts if p for term in p)
        if isinstance(f, sympy.Mul):
            return self._product([self._derive(a) for a in f.args])
        if isinstance(f, sympy.Pow):
            return self._power(f)
        if isinstance(f, sympy.log):
            return self._logarithm(f)
        record = BY_HEAD.get(f.func)
        span = None if record is None else record.envelope([Envelope() for _ in f.args]).constant_range()
        return None if span is None else (Term(max(abs(span[0]), abs(span[1])), Fraction(0), 0),)

    def leading_exponent(self, f: sympy.Expr) -> Fraction | None:
        """e where low x^e <= |f| is proved for some low > 0."""
        with ctx.workprec(_PRECISION):
            try:
                found = self._leading(f)
                return self._approach().exponent(f) if found is None else found
            except (UnsupportedError, RecursionError):
                return None

    def _leading(self, f: sympy.Expr) -> Fraction | None:
        """Of products of powers of what has an order."""
        if isinstance(f, sympy.Mul):
            parts = [self._leading(a) for a in f.args]
            return None if any(p is None for p in parts) else sum((p for p in parts if p is not None), Fraction(0))
        if isinstance(f, sympy.Pow) and isinstance(f.args[1], sympy.Rational):
            inner = self._leading(f.args[0])
            return None if inner is None else inner * Fraction(int(f.args[1].p), int(f.args[1].q))
        found = self.order(f)
        return None if found is None else Fraction(found.power)

    def _product(self, parts: Sequence[Majorant | None]) -> Majorant | None:
        total: Majorant = (Term(Fraction(1), Fraction(0), 0),)
        for part in parts:
            if part is None:
                return None
            total = tuple(
                Term(round_up(a.scale * b.scale), a.exponent + b.exponent, a.logs + b.logs) for a in total for b in part
            )
        return total

    def _power(self, f: sympy.Expr) -> Majorant | None:
        base, exponent = f.args
        if not isinstance(exponent, sympy.Rational):
            return None
        p = Fraction(int(exponent.p), int(exponent.q))
        found = self.order(base)
        if found is not None:
            k, low, high, _ = found
            edge = arb_of(high if p > 0 else low) ** arb_of(p)
            return (Term(round_up(fraction_of(edge.upper())), k * p, 0),)
        if p.denominator == 1 and 0 < p <= 4:
            return self._product([self._derive(base)] * int(p))
        return None

    def _logarithm(self, f: sympy.Expr) -> Majorant | None:
        found = self.order(f.args[0])
        if found is None:
            return None
        k, low, high, _ = found
        largest = max(_upper(acb(arb_of(low).log())), _upper(acb(arb_of(high).log())))
        return (Term(Fraction(k), Fraction(0), 1), Term(largest, Fraction(0), 0))


def vanishes_at(f: sympy.Expr, t: sympy.Symbol, point: sympy.Expr) -> bool:
    """Whether f(point) = 0 is found to hold exactly."""
    value = f.subs(t, point)
    return bool(value == 0 or (value.is_number and value.count_ops() < 40 and sympy.simplify(value) == 0))


def squared(f: Majorant) -> Majorant:
    """A majorant of f^2."""
    return tuple(Term(round_up(a.scale * b.scale), a.exponent + b.exponent, a.logs + b.logs) for a in f for b in f)


def least_exponent(f: Majorant) -> Fraction:
    """The exponent that rules as x -> 0, logarithms aside."""
    return min(term.exponent for term in f)


def integrable(f: Majorant) -> bool:
    """Whether the integral of the majorant over (0, width] is finite."""
    return least_exponent(f) > -1


def integral(f: Majorant, width: Fraction) -> arb:
    """An upper bound of the majorant's integral over (0, width]; infinite where it diverges.

    Integral of x^e L^m from 0 to w: w^(1+e) sum_j m!/(m-j)! L_w^(m-j) / (1+e)^(j+1).
    """
    if not integrable(f):
        return arb.pos_inf()
    w = arb_of(width)
    logarithm = -w.log()
    total = arb(0)
    for term in f:
        e = arb_of(term.exponent) + 1
        series = arb(0)
        for j in range(term.logs + 1):
            weight = factorial(term.logs) // factorial(term.logs - j)
            series += weight * logarithm ** (term.logs - j) / e ** (j + 1)
        total += arb_of(term.scale) * w**e * series
    return total.upper()
