"""NNGP and NTK of a pair of rows through three activations by formulas at 50 digits, nearly parallel rows included.

Hard tanh: T at angle 0 in closed form, from there dT / dtheta = -s s' sin(theta) Tdot, and dTdot / dtheta from the
densities at the corners. The others are closed forms throughout; any other activation by the formulas that are derived.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import numpy.typing as npt
import sympy
from mpmath import mpf

from kernelc.closedform import Q11, Q12, Q22, ClosedForm

DIGITS = 50
#: (T, Tdot) at (s, s', theta)
Pair = Callable[[mpf, mpf, mpf], tuple[mpf, mpf]]


def network(
    pair: Pair, x: npt.NDArray[np.float64], y: npt.NDArray[np.float64], depth: int, w_std: float, b_std: float
) -> tuple[float, float]:
    """NNGP and NTK; the angle is taken from |u - v|^2."""
    with mpmath.workdps(DIGITS):
        w, b = mpf(w_std) ** 2, mpf(b_std) ** 2
        u, v = ([mpf(float(value)) for value in row] for row in (x, y))
        q11, q12, q22 = (w * mpmath.fdot(a, c) + b for a, c in ((u, u), (u, v), (v, v)))
        tangent = q12
        for _ in range(depth):
            s, t = mpmath.sqrt(q11), mpmath.sqrt(q22)
            half = ((q11 + q22 - 2 * q12) - (s - t) ** 2) / (4 * s * t)
            value, slope = pair(s, t, 2 * mpmath.asin(mpmath.sqrt(max(half, mpf(0)))))
            tangent = w * value + b + w * slope * tangent
            q11, q22 = (w * pair(side, side, mpf(0))[0] + b for side in (s, t))
            q12 = w * value + b
        return float(q12), float(tangent)


def of_form(form: ClosedForm) -> Pair:
    """The derived formulas, which the compiler has compared with quadrature."""
    found = [sympy.lambdify((Q11, Q12, Q22), formula, "mpmath") for formula in (form.dual, form.dual_dot)]

    def pair(s: mpf, t: mpf, theta: mpf) -> tuple[mpf, mpf]:
        with mpmath.workdps(2 * DIGITS):
            # next to theta = 0, where the formulas are 0 / 0
            cosine = mpmath.cos(theta) if theta else 1 - mpf(10) ** (-DIGITS - 20)
            value, slope = (mpmath.re(function(s * s, s * t * cosine, t * t)) for function in found)
        return value, slope

    return pair


def leaky_sin(s: mpf, t: mpf, theta: mpf) -> tuple[mpf, mpf]:
    """Max(t, t/10) + sin(t) = 9/10 relu(t) + t/10 + sin(t)."""
    a, b, cosine = mpf(9) / 10, mpf(1) / 10, mpmath.cos(theta)
    q, means = s * t * cosine, mpmath.exp(-s * s / 2) + mpmath.exp(-t * t / 2)
    both, turn = mpmath.exp(-(s * s + t * t) / 2), mpmath.pi - theta
    rectified = s * t * (mpmath.sin(theta) + turn * cosine) / (2 * mpmath.pi)
    value = a * a * rectified + (a * b + b * b + (a / 2 + b) * means) * q + both * mpmath.sinh(q)
    slope = a * a * turn / (2 * mpmath.pi) + a * b + b * b + (a / 2 + b) * means + both * mpmath.cosh(q)
    return value, slope


def raised_line(s: mpf, t: mpf, theta: mpf) -> tuple[mpf, mpf]:
    """Heaviside(t) + t/10, whose NTK is infinite."""
    a, q = mpf(1) / 10, s * t * mpmath.cos(theta)
    mixed = a * q * (1 / s + 1 / t) / mpmath.sqrt(2 * mpmath.pi)
    return (mpmath.pi - theta) / (2 * mpmath.pi) + mixed + a * a * q, mpf(0)


def hard_tanh(s: mpf, t: mpf, theta: mpf) -> tuple[mpf, mpf]:
    """Min(Max(t, -1), 1)."""
    s, t = max(s, t), min(s, t)
    value, slope = _parallel(s, t), _inside(1 / s)
    if theta == 0:
        return value, slope
    layer, width = mpmath.log(s / t) / max(s, mpf(1)), 1 / mpmath.sqrt(s * t)
    places = [layer * share for share in (0.1, 0.3, 1, 3, 10, 100)] + [width * share for share in (0.1, 1, 10)]
    places = sorted({mpf(0), theta, *(place for place in (*places, mpf(1)) if 0 < place < theta)})

    def change(angle: mpf) -> mpf:
        return -2 * s * t * mpmath.sin(angle) * (_density(s, t, angle, 1) - _density(s, t, angle, -1))

    found = slope + mpmath.quad(change, places)
    # int Tdot sin = (1 - cos) Tdot at theta - int (1 - cos) dTdot
    rest = mpmath.quad(lambda angle: (1 - mpmath.cos(angle)) * change(angle), places)
    return value - s * t * ((1 - mpmath.cos(theta)) * found - rest), found


def _inside(a: mpf) -> mpf:
    """P(|Z| < a)."""
    return mpmath.erf(a / mpmath.sqrt(2))


def _parallel(s: mpf, t: mpf) -> mpf:
    """E[sigma(s Z) sigma(t Z)], s >= t: both linear, one, none."""
    a, b = 1 / s, 1 / t
    square = _inside(a) - 2 * a * mpmath.npdf(a)
    return s * t * square + 2 * t * (mpmath.npdf(a) - mpmath.npdf(b)) + 1 - _inside(b)


def _density(s: mpf, t: mpf, angle: mpf, sign: int) -> mpf:
    """Of (u, v) at (1, sign)."""
    turn = mpmath.sin(angle / 2) if sign > 0 else mpmath.cos(angle / 2)
    determinant = (s * t * mpmath.sin(angle)) ** 2
    form: Any = ((s - t) ** 2 + 4 * s * t * turn**2) / determinant
    return mpmath.exp(-form / 2) / (2 * mpmath.pi * mpmath.sqrt(determinant))
