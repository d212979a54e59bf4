"""A dual kernel at small variances, by the two Taylor series of the activation at 0, left and right.

With sigma(t) = sum_k plus_k t^k for t > 0 and sum_k minus_k t^k for t < 0,

    T = sum_{a, b} (plus_a plus_b + (-1)^{a+b} minus_a minus_b) M_ab(q12)
                 + ((-1)^a minus_a plus_b + (-1)^b plus_a minus_b) M_ab(-q12),

M_ab = E[u^a v^b 1{u > 0, v > 0}]. Every M_ab is of size q11^(a/2) q22^(b/2): nothing cancels, where a
closed form's terms of size 1 would cancel down to the variance. What breakpoints away from 0 add is
below the rounding for variances up to `below` (chosen so in `expand`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import factorial, pi, sqrt

import mpmath
import numpy as np
import sympy

from kernelc.closedform.normal import Array, difference_of_products
from kernelc.closedform.terms import Term, Terms

_HIGHEST = 26
_COUNT = _HIGHEST + 1
#: relative size of what is cut off
_NEGLIGIBLE = 2e-17
_LARGEST = 1.0 / 64


@dataclass(frozen=True, slots=True)
class HomogeneousSeries:
    """Taylor coefficients at 0 from the right and from the left; for max(q11, q22) <= below."""

    plus: tuple[float, ...]
    minus: tuple[float, ...]
    below: float

    @property
    def order(self) -> int:
        """The first power that occurs."""
        return next(k for k, pair in enumerate(zip(self.plus, self.minus, strict=True)) if any(pair))

    def __call__(self, q11: Array, q12: Array, q22: Array) -> Array:
        """T at small variances (arrays of one shape); 0 <= q11, q22, clipped at 1e-150."""
        q11, q22 = np.maximum(q11, 1e-150), np.maximum(q22, 1e-150)
        total = np.zeros_like(q12)
        degree, limit = len(self.plus) - 1, len(self.plus) - 1 + self.order
        straight, mirrored = (_quadrant_moments(q11, sign * q12, q22, degree, limit) for sign in (1.0, -1.0))
        for a, b in sorted(straight, key=sum, reverse=True):
            pa, pb, ma, mb = self.plus[a], self.plus[b], self.minus[a], self.minus[b]
            same = pa * pb + (-1) ** (a + b) * ma * mb
            opposite = (-1) ** a * ma * pb + (-1) ** b * pa * mb
            if same or opposite:
                total = total + (same * straight[a, b] + opposite * mirrored[a, b])
        return total


def half_moment(power: int) -> float:
    """E[Z^power 1{Z > 0}] = 2^(power/2 - 1) Gamma((power + 1)/2)/sqrt(pi)."""
    if power % 2 == 0:
        return factorial(power) / (2.0 ** (power // 2 + 1) * factorial(power // 2))
    return 2.0 ** ((power - 1) // 2) * factorial((power - 1) // 2) / sqrt(2 * pi)


def _quadrant_moments(q11: Array, q12: Array, q22: Array, degree: int, limit: int) -> Mapping[tuple[int, int], Array]:
    """E[u^a v^b 1{u > 0, v > 0}], a, b <= degree, a + b <= limit, by Stein's identity."""
    determinant = np.maximum(difference_of_products(q11, q22, q12, q12), 0.0)
    spread = np.sqrt(determinant / q11), np.sqrt(determinant / q22)  # of v given u = 0, of u given v = 0
    edge = np.sqrt(q11) / sqrt(2 * pi), np.sqrt(q22) / sqrt(2 * pi)
    table: dict[tuple[int, int], Array] = {(0, 0): 0.25 + np.arctan2(q12, np.sqrt(determinant)) / (2 * pi)}
    for total in range(1, limit + 1):
        for a in range(max(0, total - degree), min(degree, total) + 1):
            table[a, total - a] = _moment(table, (a, total - a), (q11, q12, q22), spread, edge)
    return table


def _moment(
    table: Mapping[tuple[int, int], Array],
    powers: tuple[int, int],
    q: tuple[Array, Array, Array],
    spread: tuple[Array, Array],
    edge: tuple[Array, Array],
) -> Array:
    """One step down: Stein's identity in u where a > 0, in v otherwise."""
    a, b = powers
    if a == 0:
        flipped = {(y, x): value for (x, y), value in table.items() if x <= 1}
        return _moment(flipped, (b, a), (q[2], q[1], q[0]), spread[::-1], edge[::-1])
    inward = (a - 1) * q[0] * table[a - 2, b] if a >= 2 else edge[0] * half_moment(b) * spread[0] ** b
    if b >= 1:
        return np.asarray(inward + b * q[1] * table[a - 1, b - 1])
    return np.asarray(inward + q[1] / (2 * pi * edge[1]) * half_moment(a - 1) * spread[1] ** (a - 1))


def expand(terms: Terms) -> HomogeneousSeries | None:
    """The series of an activation in normal form, parameters already numbers; None where none converges."""
    breakpoints = [abs(float(t.gate.threshold)) for t in terms if t.gate is not None and t.gate.sharp]
    nearest = min((b for b in breakpoints if b > 0), default=float("inf"))
    with mpmath.workdps(50):
        sides = [[mpmath.mpf(0)] * _COUNT for _ in (0, 1)]
        for term in terms:
            taylor = _taylor(term)
            for side, direction in ((0, 1), (1, -1)):
                if _open(term, direction):
                    sides[side] = [c + d for c, d in zip(sides[side], taylor, strict=True)]
        sizes = [float(max(abs(p), abs(m))) for p, m in zip(*sides, strict=True)]
        below = min(_LARGEST, nearest**2 / 100)
        for _ in range(12):
            degree = _cut(sizes, below)
            if degree is not None:
                plus, minus = (tuple(_clean(c) for c in side[: degree + 1]) for side in sides)
                return HomogeneousSeries(plus, minus, below)
            below /= 4
    return None


def _clean(value: mpmath.mpf) -> float:
    return 0.0 if abs(value) < mpmath.mpf(10) ** -35 else float(value)


def _open(term: Term, direction: int) -> bool:
    """Whether a sharp gate is open just to the right (1) or to the left (-1) of 0."""
    if term.gate is None or not term.gate.sharp:
        return True
    threshold = term.gate.threshold
    return bool(term.gate.side == direction if threshold == 0 else term.gate.side * threshold < 0)


def _taylor(term: Term) -> list[mpmath.mpf]:
    """Taylor coefficients at 0 of the term without its sharp gate, by products of known series."""
    fields = (term.coefficient, term.quadratic, term.linear, term.frequency, term.phase, term.center)
    scale, quadratic, linear, frequency, phase, center = map(_number, fields)
    series = _gaussian(quadratic, linear)
    if frequency != 0:
        wave = [mpmath.cos(phase + k * mpmath.pi / 2) * frequency**k / mpmath.factorial(k) for k in range(_COUNT)]
        series = _product(series, wave)
    for _ in range(term.power):
        series = _product(series, [-center, mpmath.mpf(1)])
    gate = term.gate
    if gate is not None and not gate.sharp:
        noise, threshold = _number(gate.noise), _number(gate.threshold)
        density = _gaussian(-1 / (2 * noise), threshold / noise)
        peak = gate.side * mpmath.npdf(threshold / mpmath.sqrt(noise)) / mpmath.sqrt(noise)
        start = mpmath.ncdf(-gate.side * threshold / mpmath.sqrt(noise))
        series = _product(series, [start, *(peak * density[k - 1] / k for k in range(1, _COUNT))])
    return [scale * c for c in series]


def _number(value: sympy.Expr) -> mpmath.mpf:
    return mpmath.mpf(sympy.N(value, mpmath.mp.dps))


def _gaussian(quadratic: mpmath.mpf, linear: mpmath.mpf) -> list[mpmath.mpf]:
    """exp(quadratic t^2 + linear t): k c_k = linear c_{k-1} + 2 quadratic c_{k-2}."""
    series = [mpmath.mpf(1), linear]
    for k in range(2, _COUNT):
        series.append((linear * series[k - 1] + 2 * quadratic * series[k - 2]) / k)
    return series


def _product(left: list[mpmath.mpf], right: list[mpmath.mpf]) -> list[mpmath.mpf]:
    return [mpmath.fsum(left[i] * right[k - i] for i in range(k + 1) if k - i < len(right)) for k in range(_COUNT)]


def _cut(sizes: list[float], variance: float) -> int | None:
    """The degree beyond which terms are negligible at this variance (judged by the powers computed)."""
    weights = [c * variance ** (k / 2) * sqrt(_even_moment(2 * k)) for k, c in enumerate(sizes)]
    leading = next((w for w, c in zip(weights, sizes, strict=True) if c > 1e-30), 0.0)
    if leading == 0.0:
        return None
    for degree in range(1, _HIGHEST - 3):
        if sum(weights[degree + 1 :]) < _NEGLIGIBLE * leading:
            return degree
    return None


def _even_moment(power: int) -> float:
    return 2.0 * half_moment(power)
