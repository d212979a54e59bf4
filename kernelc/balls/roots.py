"""Certified isolation of the real roots of an analytic function on an interval."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import sympy
from flint import acb, arb, ctx

from kernelc.balls.tape import Tape, arb_of
from kernelc.errors import UnsupportedError
from kernelc.functions.envelope import fraction_of

#: Enclosures of roots that are no short rationals are refined to about this many bits.
ROOT_BITS = 1600
_CLUSTER_BITS = 120
_MAX_ROOTS = 400
_MAX_BOXES = 60_000
_DENOMINATORS = (1, 2, 3, 4, 5, 6, 8, 10)


@dataclass(frozen=True, slots=True)
class RealRoot:
    """lower <= root <= upper; `exact` where the value is known; `simple` where g' is proved nonzero.

    With neither, the enclosure may hold no root or several (a multiple root looks like this).
    """

    exact: sympy.Expr | None
    lower: Fraction
    upper: Fraction
    simple: bool


def enclose_constant(value: sympy.Expr, precision: int = ROOT_BITS) -> tuple[Fraction, Fraction]:
    """Dyadic rationals about a real constant; equal where it is a rational that fits."""
    if isinstance(value, sympy.Rational):
        exact = Fraction(int(value.p), int(value.q))
        if exact.denominator & (exact.denominator - 1) == 0 and exact.denominator.bit_length() < 512:
            return exact, exact
    with ctx.workprec(precision):
        ball = Tape((value,), sympy.Dummy())(acb(0))[0].real
        return fraction_of(ball.lower()), fraction_of(ball.upper())


def _polynomial_roots(g: sympy.Expr, t: sympy.Symbol) -> list[sympy.Expr] | None:
    """The distinct real roots of a polynomial with rational coefficients, None if it is none."""
    poly = sympy.Poly(g, t, domain="EX") if g.is_polynomial(t) else None
    if poly is None:
        return None
    if poly.degree() <= 0:
        return []
    if poly.degree() == 1:
        a, b = poly.all_coeffs()
        return [-b / a]
    if poly.degree() == 2 and not all(c.is_Rational for c in poly.all_coeffs()):
        a, b, c = poly.all_coeffs()
        disc = sympy.simplify(b * b - 4 * a * c)
        if disc.is_negative:
            return []
        if disc.is_zero:
            return [-b / (2 * a)]
        if disc.is_positive:
            return [(-b - sympy.sqrt(disc)) / (2 * a), (-b + sympy.sqrt(disc)) / (2 * a)]
        return None
    if not all(c.is_Rational for c in poly.all_coeffs()):
        return None
    found = sympy.Poly(g, t, domain="QQ").real_roots(multiple=False)
    return [root for root, _ in found]


def _algebraic_enclosure(root: sympy.Expr) -> tuple[Fraction, Fraction]:
    factor, pure = root.as_coeff_Mul()
    if isinstance(pure, sympy.polys.rootoftools.ComplexRootOf):
        middle = factor * pure.eval_rational(n=ROOT_BITS // 3)
        width = Fraction(int(abs(factor).p), int(factor.q)) / 2 ** (ROOT_BITS - 16)
        centre = Fraction(int(middle.p), int(middle.q))
        # eval_rational promises 10^-n; the certificate is a change of sign, checked by the caller's pieces.
        return _dyadic(centre - width, down=True), _dyadic(centre + width, down=False)
    return enclose_constant(root)


def _dyadic(x: Fraction, *, down: bool) -> Fraction:
    scaled = x * 2 ** (ROOT_BITS + 8)
    whole = scaled.numerator // scaled.denominator
    return Fraction(whole if down or whole == scaled else whole + 1, 2 ** (ROOT_BITS + 8))


def isolate_roots(g: sympy.Expr, t: sympy.Symbol, low: Fraction, high: Fraction) -> list[RealRoot]:
    """All real roots of g in [low, high], in order; g must be analytic on the open interval.

    Raises UnsupportedError where there are too many to be worth it, or g is not a number somewhere.
    """
    if not g.has(t):
        return []
    exact = _polynomial_roots(g, t)
    if exact is not None:
        roots = [RealRoot(r, *_algebraic_enclosure(r), True) for r in exact]
        kept = [r for r in roots if r.upper >= low and r.lower <= high]
        return sorted(kept, key=lambda r: r.lower)
    return _named(g, t, _refined(g, t, low, high))


def _hull(a: Fraction, b: Fraction) -> acb:
    middle, radius = (a + b) / 2, (b - a) / 2
    return acb(arb(arb_of(middle), arb_of(radius).upper()))


def _boxes(tape: Tape, low: Fraction, high: Fraction) -> Iterator[tuple[Fraction, Fraction, bool]]:
    """Boxes that may hold roots, left to right; True where g is monotone on the box."""
    stack = [(low, high)]
    visited = 0
    floor_width = Fraction(1, 2**_CLUSTER_BITS)
    while stack:
        a, b = stack.pop()
        visited += 1
        if visited > _MAX_BOXES:
            raise UnsupportedError(
                "the zeros of a condition in the formula could not be isolated: they are too many or too close "
                "together, or it varies too fast or comes too close to zero"
            )
        value, slope = tape(_hull(a, b))
        if value.is_finite() and not value.real.overlaps(arb(0)):
            continue
        if slope.is_finite() and not slope.real.overlaps(arb(0)) and value.is_finite():
            yield a, b, True
        elif b - a < floor_width:
            yield a, b, False
        else:
            middle = (a + b) / 2
            stack += [(middle, b), (a, middle)]


def _sign(tape: Tape, x: Fraction) -> int:
    value = tape(acb(arb_of(x)))[0].real
    return 1 if value > 0 else -1 if value < 0 else 0


def _refined(g: sympy.Expr, t: sympy.Symbol, low: Fraction, high: Fraction) -> list[RealRoot]:
    slope = sympy.diff(g, t)
    try:
        return _found(Tape((g, slope), t), low, high)
    except UnsupportedError:
        # terms that cancel make its balls wide; over one denominator they may have gone
        joined = sympy.together(slope)
        if joined == slope:
            raise
        return _found(Tape((g, joined), t), low, high)


def _found(tape: Tape, low: Fraction, high: Fraction) -> list[RealRoot]:
    """The roots in [low, high], from a tape of g and g'."""
    found: list[RealRoot] = []
    with ctx.workprec(2 * _CLUSTER_BITS + 64):
        for a, b, monotone in _boxes(tape, low, high):
            if monotone:
                left, right = _sign(tape, a), _sign(tape, b)
                if left * right > 0:
                    continue
                if left * right < 0:
                    found.append(_newton(tape, a, b))
                    continue
                a, b = _shrunk_to_end(tape, a, b, left, right)
            # A monotone bracket holds one root at most, and so do two that touch: g' has one sign on both.
            if found and found[-1].upper >= a:
                found[-1] = RealRoot(None, found[-1].lower, b, monotone and found[-1].simple)
            else:
                found.append(RealRoot(None, a, b, monotone))
            if len(found) > _MAX_ROOTS:
                raise UnsupportedError(f"a condition in the formula has more than {_MAX_ROOTS} zeros")
    return found


def _shrunk_to_end(tape: Tape, a: Fraction, b: Fraction, left: int, right: int) -> tuple[Fraction, Fraction]:
    """A monotone bracket whose sign is undecided at one end: the root lies next to that end."""
    for _ in range(_CLUSTER_BITS):
        middle = (a + b) / 2
        sign = _sign(tape, middle)
        if left == 0 and sign == right and right:
            b = middle
        elif right == 0 and sign == left and left:
            a = middle
        else:
            break
    return a, b


def _newton(tape: Tape, a: Fraction, b: Fraction) -> RealRoot:
    """Interval Newton from a monotone bracket; the bracket only ever shrinks around the root."""
    precision = 256
    slope = tape(_hull(a, b))[1].real
    while True:
        with ctx.workprec(precision):
            middle = arb_of((a + b) / 2).mid()
            value = tape(acb(middle))[0].real
            # what encloses g' on a bracket does so inside it too, where a special function's ball may be wider
            narrow = tape(_hull(a, b))[1].real
            slope = slope if narrow.overlaps(arb(0)) or not narrow.is_finite() else narrow
            step = middle - value / slope
            if not step.is_finite():
                raise UnsupportedError("a zero of a condition in the formula could not be isolated")
            lo, hi = max(a, fraction_of(step.lower())), min(b, fraction_of(step.upper()))
        if lo > hi:
            raise UnsupportedError("a zero could not be isolated")
        if hi - lo <= Fraction(1, 2**ROOT_BITS):
            return RealRoot(None, lo, hi, True)
        if (hi - lo) * 4 > (b - a):
            middle_sign = _sign(tape, (lo + hi) / 2)
            left_sign = _sign(tape, lo)
            if middle_sign and left_sign and precision >= 2 * ROOT_BITS:
                lo, hi = ((lo + hi) / 2, hi) if middle_sign == left_sign else (lo, (lo + hi) / 2)
            elif precision > 4 * ROOT_BITS:
                return RealRoot(None, lo, hi, True)
        a, b = lo, hi
        precision = min(2 * precision, 4 * ROOT_BITS + 8) if precision < 4 * ROOT_BITS else precision + 64


def _named(g: sympy.Expr, t: sympy.Symbol, roots: list[RealRoot]) -> list[RealRoot]:
    """Exact values where a root is recognised as a short rational or a multiple of pi and g is exactly 0 there."""
    named = []
    for root in roots:
        middle = float((root.lower + root.upper) / 2)
        candidates = [sympy.Rational(round(middle * d), d) for d in _DENOMINATORS]
        candidates += [sympy.Rational(round(middle / 3.141592653589793 * d), d) * sympy.pi for d in (1, 2, 3, 4, 6)]
        exact = next((c for c in candidates if abs(float(c) - middle) < 1e-12 and g.subs(t, c) == 0), None)
        if exact is None:
            named.append(root)
            continue
        lower, upper = enclose_constant(exact)
        if upper < root.lower or lower > root.upper:
            named.append(root)
        elif root.simple:
            named.append(RealRoot(exact, lower, upper, True))
        else:
            # Other roots may share the cluster: its enclosure stays, unless it is a point.
            named.append(RealRoot(exact, min(root.lower, lower), max(root.upper, upper), False))
    return named
