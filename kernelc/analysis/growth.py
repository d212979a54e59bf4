"""The growth certificate: how fast sigma and sigma' may grow, derived from the formula's structure.

Each side of the real line is taken in turn (t = x, t = -x, x >= X >= 1). The rules are those of
`kernelc.functions.envelope`; a node for which nothing is proved poisons what is built on it, and
the answer is then None, never a guess.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

import sympy
from sympy.logic.boolalg import And, BooleanTrue, Not, Or

from kernelc.balls.tape import constant_ball
from kernelc.errors import KernelcError
from kernelc.functions import envelope as env
from kernelc.functions.envelope import Envelope, Quadratic, Size, fraction_of, round_down, round_up
from kernelc.functions.structure import from_parts
from kernelc.model import VARIABLE, Growth

_QUADRATIC_REACH = Fraction(8)
_FARTHEST = Fraction(10**6)
_NEARER = tuple(Fraction(4**k) for k in range(3, 10))


class _Side:
    """Envelopes of the nodes of one expression on one side of the real line."""

    def __init__(self, sign: int, beyond: Fraction, farthest: Fraction) -> None:
        self.sign = sign
        self.beyond = beyond
        self._farthest = farthest
        self._known: dict[sympy.Basic, Envelope] = {}

    def of(self, f: sympy.Expr) -> Envelope:
        if f not in self._known:
            self._known[f] = self._derive(f)
        return self._known[f]

    def _derive(self, f: sympy.Expr) -> Envelope:
        if not f.has(VARIABLE):
            return _constant(f)
        if f.is_polynomial(VARIABLE):
            return self._polynomial(f)
        if isinstance(f, (sympy.Abs, sympy.sign, sympy.Heaviside, sympy.Max, sympy.Min, sympy.Piecewise)):
            return self._switch(f)
        if isinstance(f, sympy.DiracDelta):
            return env.constant(Fraction(0), Fraction(0))
        return from_parts(f, self.of)

    def _polynomial(self, f: sympy.Expr) -> Envelope:
        """Exact up to degree 2; above it, the leading term rules from some X on."""
        coefficients = [_enclosed(c) for c in reversed(sympy.Poly(f, VARIABLE).all_coeffs())]
        signed = [(lo, hi) if self.sign > 0 or k % 2 == 0 else (-hi, -lo) for k, (lo, hi) in enumerate(coefficients)]
        degree = len(signed) - 1
        size = Size(round_up(sum((max(abs(lo), abs(hi)) for lo, hi in signed), Fraction(0))), Fraction(degree))
        if degree <= 2:
            padded = signed + [(Fraction(0), Fraction(0))] * (2 - degree)
            lower = Quadratic(padded[2][0], padded[1][0], padded[0][0]).rounded_down()
            upper = Quadratic(padded[2][1], padded[1][1], padded[0][1]).rounded_up()
            return self._with_tail_sign(Envelope(lower, upper, size).completed(), signed)
        return self._with_tail_sign(Envelope(size=size), signed)

    def _with_tail_sign(self, e: Envelope, signed: list[tuple[Fraction, Fraction]]) -> Envelope:
        """For x >= X: |p| >= |lead| x^n / 2 >= its value's sign; degree > 2 beats 8 x^2, or less."""
        lead = min(abs(signed[-1][0]), abs(signed[-1][1]))
        degree = len(signed) - 1
        if degree == 0 or lead == 0 or signed[-1][0] * signed[-1][1] <= 0:
            return e
        reach = _QUADRATIC_REACH
        if degree > 2:
            reach = min(reach, round_down(lead / 4 * self._farthest ** (degree - 2)))
        needed = _tail_begins(signed, lead, reach)
        if needed > self._farthest:
            return e
        self.beyond = max(self.beyond, needed)
        floor_scale = lead / 2 * self.beyond**degree
        floor = Size(round_down(min(floor_scale, Fraction(2) ** 60)))
        if degree <= 2:
            return replace(e, floor=floor)  # the quadratics are the polynomial itself
        least = Quadratic(a2=reach)
        positive = signed[-1][0] > 0
        return Envelope(least if positive else None, None if positive else -least, e.size, floor)

    def _switch(self, f: sympy.Expr) -> Envelope:
        if isinstance(f, sympy.Abs):
            return env.absolute(self.of(f.args[0]))
        if isinstance(f, (sympy.sign, sympy.Heaviside)):
            inner = self.of(f.args[0])
            low = Fraction(-1) if isinstance(f, sympy.sign) else Fraction(0)
            if inner.floor is not None and inner.nonnegative:
                low = Fraction(1)
            high = low if inner.floor is not None and inner.nonpositive and low < 1 else Fraction(1)
            return env.constant(low, high)
        if isinstance(f, sympy.Piecewise):
            live = [self.of(e) for e, c in f.args if self._decided(c) is not False]
            first = next((i for i, (_, c) in enumerate(f.args) if self._decided(c) is True), None)
            if first is not None and all(self._decided(c) is False for _, c in f.args[:first]):
                return self.of(f.args[first][0])
            return self._hull(live)
        return self._extremum(f)

    @staticmethod
    def _hull(parts: list[Envelope]) -> Envelope:
        total = parts[0]
        for part in parts[1:]:
            total = env.hull(total, part)
        return total

    def _extremum(self, f: sympy.Expr) -> Envelope:
        parts = [self.of(a) for a in f.args]
        if isinstance(f, sympy.Min):
            parts = [env.negated(p) for p in parts]
        for i, p in enumerate(f.args):
            gaps = [p - q if isinstance(f, sympy.Max) else q - p for q in f.args if q is not p]
            if all(self._stays(g, 1) for g in gaps):
                return self.of(f.args[i])
        total = self._hull(parts)
        lowers = [p.lower for p in parts if p.lower is not None]
        lower = max(lowers, key=lambda q: (q.a2, q.a1, q.a0), default=None)
        total = Envelope(lower, total.upper, total.size).completed()
        return env.negated(total) if isinstance(f, sympy.Min) else total

    def _decided(self, condition: sympy.Basic) -> bool | None:
        """Whether a condition holds for all x >= X, fails for all of them, or None."""
        if isinstance(condition, BooleanTrue):
            return True
        if isinstance(condition, Not):
            inner = self._decided(condition.args[0])
            return None if inner is None else not inner
        if isinstance(condition, (And, Or)):
            parts = [self._decided(c) for c in condition.args]
            decisive = isinstance(condition, Or)
            if decisive in parts:
                return decisive
            return None if None in parts else not decisive
        if isinstance(condition, (sympy.Gt, sympy.Ge, sympy.Lt, sympy.Le)):
            gap = condition.gts - condition.lts
            if self.of(gap).floor is not None:
                return True if self._stays(gap, 1) else False if self._stays(gap, -1) else None
        return None

    def _stays(self, f: sympy.Expr, sign: int) -> bool:
        """Whether f >= 0 (<= 0) is proved for all x >= X."""
        e = self.of(f)
        if e.nonnegative if sign > 0 else e.nonpositive:
            return True
        return e.floor is not None and self._positive_tail(f, sign)

    def _positive_tail(self, f: sympy.Expr, sign: int) -> bool:
        """Whether the polynomial f has this sign for x >= X (its floor is proved already)."""
        if not f.is_polynomial(VARIABLE):
            return False
        point = sympy.Rational(self.sign * (int(self.beyond) + 1))
        value = constant_ball(f.subs(VARIABLE, point), 128)
        return bool(value > 0) if sign > 0 else bool(value < 0)


def _tail_begins(signed: list[tuple[Fraction, Fraction]], lead: Fraction, reach: Fraction) -> Fraction:
    """X beyond which the leading term is twice all others, and above degree 2 four times the others and `reach` x^2."""
    degree = len(signed) - 1
    others = [max(abs(lo), abs(hi)) for lo, hi in reversed(signed[:-1])]
    share = 2 if degree <= 2 else 4
    simple = share * sum(others, Fraction(0)) / lead
    if simple > _NEARER[0]:
        # term by term: share m |a_(n-k)| x^(n-k) <= lead x^n for each of m terms
        count = sum(1 for a in others if a)
        roots = [env.power_up(share * count * a / lead, Fraction(1, k)) for k, a in enumerate(others, 1) if a]
        simple = min(simple, max((simple if x is None else x for x in roots), default=simple))
    if degree <= 2:
        return simple + 1
    root = env.power_up(4 * reach / lead, Fraction(1, degree - 2))
    return max(simple, _FARTHEST * 10 if root is None else root) + 1


def _enclosed(c: sympy.Expr) -> tuple[Fraction, Fraction]:
    if isinstance(c, sympy.Rational):
        exact = Fraction(int(c.p), int(c.q))
        return exact, exact
    ball = constant_ball(c, 128)
    if not ball.is_finite():
        raise KernelcError(f"the constant {c} is not a finite real number")
    return round_down(fraction_of(ball.lower())), round_up(fraction_of(ball.upper()))


def _constant(f: sympy.Expr) -> Envelope:
    low, high = _enclosed(f)
    return env.constant(low, high)


def _one_side(f: sympy.Expr, sign: int) -> tuple[Size | None, Fraction]:
    """The size on one side, and the X beyond which it holds.

    X is what must be integrated over: signs of polynomials that show only far out are left alone where the
    size is no worse without them.
    """
    envelope, beyond = _settled(f, sign, _FARTHEST)
    best = envelope.size
    if best is not None:
        for nearer in _NEARER:
            if nearer >= beyond:
                break
            found, at = _settled(f, sign, nearer)
            size = found.size
            if size is not None and size.a2 <= best.a2 and size.a1 <= best.a1 and size.power <= best.power:
                return size, at
    return best, beyond


def _settled(f: sympy.Expr, sign: int, farthest: Fraction) -> tuple[Envelope, Fraction]:
    """The envelope on one side; repeated while rules push X outwards, since all must hold beyond one X.

    It ends: X only grows, and only to what one of the formula's polynomials asks for, whatever X is.
    """
    beyond = Fraction(1)
    while True:
        side = _Side(sign, beyond, farthest)
        envelope = side.of(f)
        if side.beyond == beyond:
            return envelope, beyond
        beyond = side.beyond


def derive_growth(f: sympy.Expr) -> Growth | None:
    """A proved bound |f(t)| <= scale (1+|t|)^power exp(quadratic t^2 + linear |t|) for |t| >= beyond."""
    sides = [_one_side(f, sign) for sign in (1, -1)]
    if any(size is None for size, _ in sides):
        return None
    first, second = (size for size, _ in sides)
    assert first is not None
    assert second is not None
    both = first.union(second)
    return Growth(both.scale, both.power, both.a1, both.a2, beyond=max(beyond for _, beyond in sides))


def nonzero_beyond(f: sympy.Expr) -> Fraction | None:
    """X such that f has no zero with |t| >= X, None where that is not proved."""
    return _holds_beyond(f, lambda e: e.floor is not None)


def nonnegative_beyond(f: sympy.Expr) -> Fraction | None:
    """X such that f >= 0 for |t| >= X, None where that is not proved."""
    return _holds_beyond(f, lambda e: e.nonnegative)


def _holds_beyond(f: sympy.Expr, fact: Callable[[Envelope], bool]) -> Fraction | None:
    """X beyond which a fact of the envelope holds on both sides of the line."""
    sides = [_settled(f, sign, _FARTHEST) for sign in (1, -1)]
    return max(beyond for _, beyond in sides) if all(fact(envelope) for envelope, _ in sides) else None
