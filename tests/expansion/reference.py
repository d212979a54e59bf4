"""Moments and Hermite coefficients by mpmath's tanh-sinh, on a splitting of its own; nothing of the expansion."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import mpmath
from flint import arb
from mpmath import mpf
from mpmath.calculus.quadrature import TanhSinh

_PLACES = ("-15.3", "-7.7", "-3.1", "-0.9", "1.3", "4.2", "8.8", "15.3")
#: A degree of mpmath's rule that gives 20 digits on cells of these lengths.
_DEGREE = 5


def exact(ball: arb) -> tuple[mpf, mpf]:
    """(middle, radius) of a ball."""
    (m, e), (r, s) = ball.mid().man_exp(), ball.rad().man_exp()
    return mpmath.ldexp(int(m), int(e)), mpmath.ldexp(int(r), int(s))


def misses(ball: arb, value: mpf, slack: mpf) -> bool:
    """Whether the value is certainly outside of the ball; `slack` is what the value itself may err by."""
    middle, radius = exact(ball)
    return bool(abs(middle - value) > radius + slack)


def hermite(k: int, z: mpf) -> mpf:
    """h_k(z) = He_k(z) / sqrt(k!), by mpmath's physicists' polynomials."""
    return mpmath.hermite(k, z / mpmath.sqrt(2)) * mpf(2) ** (-mpf(k) / 2) / mpmath.sqrt(mpmath.factorial(k))


def gaussian_rule(cuts: Sequence[mpf]) -> list[tuple[mpf, mpf]]:
    """(z, weight) with E[f(Z)] = sum weight f(z) for f smooth between the cuts, to about 20 digits at 26 in use."""
    reach = mpf(_PLACES[-1])
    places = sorted({mpf(c) for c in cuts if abs(c) < reach} | {mpf(x) for x in _PLACES})
    rule = TanhSinh(mpmath.mp)
    # mpmath's rule of one degree holds only the nodes that are new in it, for a step of 2^-degree.
    return [
        (z, mpmath.ldexp(w, -_DEGREE) * mpmath.npdf(z))
        for a, b in pairwise(places)
        for degree in range(1, _DEGREE + 1)
        for z, w in rule.get_nodes(a, b, degree, mpmath.mp.prec)
        if a < z < b
    ]
