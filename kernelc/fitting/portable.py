"""Arithmetic that gives the same bits on every machine: what is fitted ends up in emitted literals.

NumPy's exp, log, cos, its powers with arrays of exponents and its matrix products differ in the last bit between
processors. Sums, products and quotients do not, and constants come from balls, correctly rounded.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from flint import arb, ctx
from numpy.typing import NDArray

Array = NDArray[np.float64]
_BITS = 160
_LOG2_E = 1.4426950408889634
# ln 2 in two parts; the first has so few bits that n * _LN2_HIGH is exact for |n| < 2^20.
_LN2_HIGH = float(Fraction(round(Fraction(0.6931471805599453) * 2**32), 2**32))


def _ln2_low() -> float:
    with ctx.workprec(_BITS):
        return float((arb.const_log2() - arb(_LN2_HIGH)).mid())


_LN2_LOW = _ln2_low()
_INVERSE_FACTORIALS = tuple(float(Fraction(1, int(np.prod(np.arange(1, k + 1), dtype=object)))) for k in range(15))


def cosine_of_pi(x: Fraction) -> float:
    """cos(pi x), correctly rounded."""
    with ctx.workprec(_BITS):
        return float((arb(x.numerator) / x.denominator).cos_pi().mid())


def cosine_sine(angle: float) -> tuple[float, float]:
    """(cos, sin) of a double, correctly rounded."""
    with ctx.workprec(_BITS):
        sine, cosine = arb(angle).sin_cos()
        return float(cosine.mid()), float(sine.mid())


def legendre_rule(points: int) -> tuple[Array, Array]:
    """Gauss-Legendre nodes (ascending) and weights on [-1, 1], correctly rounded."""
    with ctx.workprec(_BITS):
        rule = [arb.legendre_p_root(points, i, weight=True) for i in range(points)]
        nodes = [float(x.mid()) for x, _ in reversed(rule)]
        weights = [float(w.mid()) for _, w in reversed(rule)]
    return np.array(nodes), np.array(weights)


def gaussian(x: Array) -> Array:
    """exp(-x^2/2)/sqrt(2 pi), to about two units in the last place; 0 beyond |x| = 38."""
    exponent = -0.5 * np.minimum(x * x, 1444.0)
    n = np.rint(exponent * _LOG2_E)
    r = exponent - n * _LN2_HIGH
    r -= n * _LN2_LOW
    series = np.full_like(r, _INVERSE_FACTORIALS[-1])
    for c in reversed(_INVERSE_FACTORIALS[:-1]):
        series *= r
        series += c
    result: Array = np.ldexp(series, n.astype(np.int64)) * 0.3989422804014327
    return result


def product(table: Array, values: Array) -> Array:
    """table @ values for values of shape (k,) or (k, n), summed in one fixed order."""
    if values.ndim == 1:
        result: Array = np.sum(table * values, axis=1)
        return result
    return np.stack([np.sum(table * values[:, j], axis=1) for j in range(values.shape[1])], axis=1)


def graded_rule(points: int, power: int) -> tuple[Array, Array, Array]:
    """Nodes, weights and distances 1 + node on [-1, 1], under a change of variable flat to `power` at both ends.

    It removes algebraic and logarithmic end-point singularities up to a high order; the distances are
    exact where the node itself rounds to -1.
    """
    t, w = legendre_rule(points)
    density = np.polynomial.Polynomial([1.0, 0.0, -1.0]) ** power
    primitive = density.integ()
    total = primitive(1.0) - primitive(-1.0)
    # The distance to the nearer end, computed without cancellation from that end's expansion.
    s = 1.0 - np.abs(t)
    shifted = density(np.polynomial.Polynomial([1.0, -1.0])).integ()
    near = 2.0 * shifted(s) / total
    x = np.where(t < 0, near - 1.0, 1.0 - near)
    return x, w * density(t) * 2.0 / total, np.where(t < 0, near, 2.0 - near)
