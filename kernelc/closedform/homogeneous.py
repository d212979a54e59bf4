"""The two Taylor series of an activation at 0, left and right, for its dual kernel at small variances."""

from __future__ import annotations

from math import sqrt

import mpmath
import sympy

from kernelc.closedform.terms import Term, Terms
from kernelc.numerics._homogeneous import HomogeneousSeries, half_moment

_HIGHEST = 26
_COUNT = _HIGHEST + 1
#: relative size of what is cut off
_NEGLIGIBLE = 2e-17
_LARGEST = 1.0 / 64


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
