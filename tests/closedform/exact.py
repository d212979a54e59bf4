"""Closed forms in balls of any precision, bivariate normal probabilities and all: the truth for float64 code."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from typing import Any

import sympy
from flint import acb, arb, ctx

from kernelc.closedform import Q11, Q12, Q22
from kernelc.closedform.special import BivariateNormalCdf, NormalCdf

#: how near the boundary |rho| = 1, relatively, a covariance on it or a rounding beyond it is taken
INSIDE = 2.0**-140


def normal(x: arb) -> arb:
    """P(Z <= x)."""
    return (-x / arb(2).sqrt()).erfc() / 2


def bivariate(h: arb, k: arb, r: arb) -> arb:
    """P(X <= h, Y <= k) at correlation r, without cancellation where it is small.

    For h + k <= 0 it is (1/2 pi) int_{-pi/2}^{asin r} exp(-(h^2 - 2 h k sin t + k^2)/(2 cos^2 t)) dt
    (Plackett, from r = -1 where it is 0); otherwise the quadrant is reflected.
    """
    if h + k > 0:
        if h > k:
            h, k = k, h
        return normal(h) - bivariate(h, -k, -r)
    if not (h.is_finite() and k.is_finite()):
        raise ValueError("not finite")
    end, start = r.asin(), -arb.pi() / 2
    relative = arb(2) ** -(ctx.prec // 4)
    # products, not powers: the library's power of a ball about 0 is not finite
    sum_square, product = (h + k) * (h + k) / 8, h * k / 2
    difference_square = (h - k) * (h - k) / 8

    def density(t: acb, _: bool) -> acb:
        # by half the distance from -pi/2, in the form that has no difference of infinities at the nearer end
        half = (t + acb(arb.pi()) / 2) / 2
        sine, cosine = half.sin() ** 2, half.cos() ** 2
        if t.real < 0:
            return (product / cosine - sum_square / (sine * cosine)).exp()
        return (-product / sine - difference_square / (sine * cosine)).exp()

    # the integrand has one maximum, where k = r h or h = r k
    smaller, larger = (h, k) if abs(h) < abs(k) else (k, h)
    peak = (smaller / larger).mid().asin().mid() if abs(larger.mid()) > abs(smaller.mid()) else end
    samples = [peak if peak < end else end, *(start + (end - start) * j / 16 for j in range(1, 17))]
    sizes = [density(acb(t), False).real.mid() for t in samples]
    tolerance = max((size for size in sizes if size.is_finite()), key=_size) * relative / 2**40
    value = arb(0)
    for left, right in _towards(start, end, peak):
        ends = acb(left), acb(right)
        value += acb.integral(density, *ends, rel_tol=relative, abs_tol=tolerance).real
        rest = left - start
        if left < 0:
            grown = product / (rest / 2).cos() ** 2 if product > 0 else arb(0)
            bound = (grown - sum_square / (rest / 2).sin() ** 2).exp() * rest
            if bound < value * relative:
                break
    return (value + arb(0, bound.upper())) / (2 * arb.pi())


def _size(x: arb) -> arb:
    """`x` as a key, which arb values can be where they are exact."""
    return x


def _towards(start: arb, end: arb, peak: arb) -> Iterator[tuple[arb, arb]]:
    """Panels leftwards from `end`, whose lengths grow from pi/2 and shrink towards `start` = -pi/2, cut at the peak."""
    edges = [end]
    while edges[-1] > 0:
        room = arb.pi() / 2 - edges[-1]
        edges.append(edges[-1] - (room if room < 1 else arb(1)))
    for _ in range(400):
        edges.append(start + (edges[-1] - start) / 2)
    for right, left in pairwise(edges):
        cuts = [left, *(c for c in sorted((peak, arb(0)), key=float) if left < c < right), right]
        yield from reversed(list(pairwise(cuts)))


_RULES: Mapping[type, Callable[..., arb]] = {
    sympy.exp: lambda x: x.exp(),
    sympy.sin: lambda x: x.sin(),
    sympy.cos: lambda x: x.cos(),
    sympy.asin: lambda x: x.asin(),
    sympy.erf: lambda x: x.erf(),
    sympy.erfi: lambda x: x.erfi(),
    NormalCdf: normal,
    BivariateNormalCdf: bivariate,
}


def evaluate(formula: sympy.Expr, values: Mapping[sympy.Symbol, arb]) -> arb:
    """The formula at balls, at the working precision, equal subexpressions once."""
    known: dict[sympy.Basic, arb] = dict(values)

    def value(e: Any) -> arb:
        if e not in known:
            known[e] = compute(e)
        return known[e]

    def compute(e: Any) -> arb:
        if e.is_Rational:
            return arb(int(e.p)) / int(e.q)
        if e is sympy.pi:
            return arb.pi()
        if e is sympy.E:
            return arb.const_e()
        if e.is_Add or e.is_Mul:
            total = value(e.args[0])
            for part in e.args[1:]:
                total = total + value(part) if e.is_Add else total * value(part)
            return total
        if e.is_Pow:
            base, power = value(e.base), e.exp
            if power.is_Integer:
                return base ** int(power)
            if (2 * power).is_Integer:
                return base.sqrt() ** int(2 * power)
            return base ** value(power)
        return _RULES[e.func](*map(value, e.args))

    return value(formula)


def at_doubles(formula: sympy.Expr, q11: float, q12: float, q22: float, bits: int = 500) -> arb:
    """The formula at these very doubles; q12 is moved inside the boundary where it is on it or beyond."""
    while True:
        with ctx.workprec(bits):
            a, b, c = arb(q11), arb(q12), arb(q22)
            limit = (a * c).sqrt() * (1 - arb(INSIDE))
            if not abs(b) < limit:
                b = limit if q12 > 0 else -limit
            found = evaluate(formula, {Q11: a, Q12: b, Q22: c})
            if found.is_finite() and (found.rad() == 0 or found.rel_accuracy_bits() > 60):
                return found
        if bits > 6000:
            return found
        bits *= 2
