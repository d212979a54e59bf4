"""The second road: moments and coefficients again by mpmath, with nothing shared but the formula.

Tanh-sinh quadrature in mpmath at its own precision, on another splitting of the line, of the SymPy
formula as it was typed (switches and all) instead of the analytic pieces. It checks; it proves nothing.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import mpmath
import numpy as np
import sympy
from flint import arb, ctx
from mpmath import mpf

from kernelc.errors import CertificationError
from kernelc.functions import ANALYTIC_FUNCTIONS
from kernelc.model import VARIABLE, ActivationTraits, HermiteExpansion

_DEGREES = (0, 1, 2, 3, 5, 8, 16, 33, 64)
_STEP = mpf(1) / 10
_EDGE_BITS = 40
_CELLS = (2.125, 0.265625, 0.033203125)
_WIDEST = 120.0
_LOW_POWER = 4.0
#: Powers of ten that the root of a moment may have before it takes more digits.
_LARGE = 3
#: Multiples of the working precision that a cell's values may need.
_PRECISIONS = (1, 2, 4, 8, 16, 32)


def _heaviside(x: Any, at_zero: Any = 0.5) -> Any:
    return mpf(x > 0) if x != 0 else mpf(at_zero)


def _sinc_derivative(x: Any) -> Any:
    if abs(x) < mpf(10) ** -6:
        return -x / 3 + x**3 / 30
    return (mpmath.cos(x) - mpmath.sin(x) / x) / x


_OWN: dict[str, Callable[..., Any]] = {
    "kernelc_sinc_derivative": _sinc_derivative,
    "kernelc_airyaiprime": lambda x: mpmath.airyai(x, derivative=1),
    "polygamma": mpmath.polygamma,
}


def _names() -> dict[str, Callable[..., Any]]:
    """What the printed formula's functions mean in mpmath."""
    table: dict[str, Callable[..., Any]] = {
        "Heaviside": _heaviside,
        "sign": mpmath.sign,
        "DiracDelta": lambda *args: mpf(0),
    }
    for f in ANALYTIC_FUNCTIONS:
        table[f.head.__name__] = _OWN.get(f.mpmath_name) or getattr(mpmath, f.mpmath_name)
    return table


def mpmath_function(expression: sympy.Expr, variable: sympy.Symbol = VARIABLE) -> Callable[[Any], Any]:
    """The expression in one variable as a function of an mpf, at whatever precision mpmath has then.

    `lambdify` prints a SymPy object that was built node by node from an allow-list; no typed text gets there.
    """
    made: Callable[[Any], Any] = sympy.lambdify(variable, expression, modules=[_names(), "mpmath"])
    return made


@dataclass(frozen=True, slots=True)
class OracleResult:
    """What the second road found: decimal digits used, quantities compared, the largest difference.

    Differences are relative: of moments to themselves, of coefficients to their root sum of squares, and to 1 more
    where that is larger.
    """

    digits: int
    samples: int
    max_observed_error: float
    agrees: bool
    notes: tuple[str, ...]

    def statement(self) -> dict[str, Any]:
        """For the certificate."""
        return {
            "digits": self.digits,
            "samples": self.samples,
            "max_observed_error": self.max_observed_error,
            "agrees": self.agrees,
            "notes": list(self.notes),
        }


def cells(traits: ActivationTraits, scale: float, reach: float, width: float = _CELLS[0]) -> list[tuple[mpf, mpf]]:
    """[-reach, reach] standard deviations cut at breakpoints and, unlike the first road, at odd places."""
    count = int(reach / width) + 1
    cuts = [mpf(-reach), *(mpf("0.43") + mpf(width) * k for k in range(-count, count)), mpf(reach)]
    cuts = [c for c in cuts if abs(c) <= reach]
    for point in traits.breakpoints:
        exact = (point.lower + point.upper) / 2
        z = mpf(exact.numerator) / mpf(exact.denominator) / scale
        if abs(z) < reach:
            cuts = [c for c in cuts if abs(c - z) > mpf(2) ** -_EDGE_BITS] + [z]
    cuts.sort()
    return list(itertools.pairwise(cuts))


@functools.lru_cache(maxsize=8)
def _unit_rule(precision: int, digits: int, step: mpf) -> tuple[tuple[mpf, mpf], ...]:
    """(1 - x, weight) of the double exponential rule on (-1, 1) at t = 0, step, 2 step, ..., at this precision."""
    rule: list[tuple[mpf, mpf]] = []
    weight = mpf(1)
    while weight > mpf(10) ** (-digits - 20):
        t = step * len(rule)
        u = mpmath.pi / 2 * mpmath.sinh(t)
        weight = step * mpmath.pi / 2 * mpmath.cosh(t) / mpmath.cosh(u) ** 2
        # The distance to the end, without cancellation.
        rule.append((2 / (1 + mpmath.exp(2 * u)), weight))
    return tuple(rule)


def tanh_sinh(low: mpf, high: mpf, digits: int, step: mpf) -> list[tuple[mpf, mpf]]:
    """Nodes and weights of the double exponential rule on (low, high), ends never touched.

    The middle first, then the two at t = +-step, at t = +-2 step, ...
    """
    half, least = (high - low) / 2, mpf(10) ** (-digits - 3)
    rule: list[tuple[mpf, mpf]] = []
    unit_rule = _unit_rule(mpmath.mp.prec, digits, step)
    for distance, unit in itertools.takewhile(lambda node: half * node[1] >= least, unit_rule):
        gap, weight = half * distance, half * unit
        rule.append((high - gap, weight))
        if len(rule) > 1:
            rule.append((low + gap, weight))
    return rule


@dataclass(frozen=True, slots=True)
class _Samples:
    """Nodes z (standard deviations), weight * phi there, sigma(s z) and, where there is one, sigma'(s z)."""

    z: list[mpf]
    weights: list[mpf]
    values: list[mpf]
    slopes: list[mpf]
    every_second: list[int]

    def coarse(self) -> _Samples:
        """The rule of twice the step: every second node of each cell, weights doubled."""
        take = self.every_second
        slopes = [self.slopes[i] for i in take] if self.slopes else []
        weights = [2 * self.weights[i] for i in take]
        return _Samples([self.z[i] for i in take], weights, [self.values[i] for i in take], slopes, [])


def _sampled(
    traits: ActivationTraits, expression: sympy.Expr, variance: Fraction, digits: int, wide: float, width: float
) -> _Samples:
    """The activation at the nodes of all cells."""
    f = mpmath_function(expression)
    slope = mpmath_function(sympy.diff(expression, VARIABLE)) if traits.derivative_refused is None else None
    s = mpmath.sqrt(mpf(variance.numerator) / variance.denominator)
    samples = _Samples([], [], [], [], [])
    for low, high in cells(traits, s, wide, width):
        rule = tanh_sinh(low, high, digits, _STEP)
        points = [s * z for z, _ in rule]
        samples.every_second.extend(len(samples.z) + k for k in range(len(rule)) if (k + 1) // 2 % 2 == 0)
        samples.z.extend(z for z, _ in rule)
        samples.weights.extend(w * mpmath.exp(-z * z / 2) / mpmath.sqrt(2 * mpmath.pi) for z, w in rule)
        samples.values.extend(_values(f, points, digits))
        if slope is not None:
            samples.slopes.extend(_values(slope, points, digits))
    return samples


def _values(f: Callable[[Any], Any], points: Sequence[mpf], digits: int) -> list[mpf]:
    """f at the nodes of a cell, its middle first, with as many digits more as cancel there: 1 + erf(-9) has lost 36.

    Twice the precision tells, at the middle and near both ends; no number where f has no value.
    """
    near_ends = len(points) // 3  # two that follow one another lie on both sides
    few = (points[0], *points[near_ends : near_ends + 2])
    for factor in _PRECISIONS:
        with mpmath.workprec(factor * mpmath.mp.prec):
            rough = [_value(f, x) for x in few]
        with mpmath.workprec(2 * factor * mpmath.mp.prec):
            better = [_value(f, x) for x in few]
        if all(abs(a - b) <= abs(b) * mpf(10) ** -digits for a, b in zip(rough, better, strict=True)):
            break
    with mpmath.workprec(factor * mpmath.mp.prec):
        return [_value(f, x) for x in points]


def _value(f: Callable[[Any], Any], x: mpf) -> mpf:
    try:
        return mpmath.mpf(mpmath.re(f(x)))
    except (ArithmeticError, ValueError):
        return mpf("nan")


def _quantities(samples: _Samples, degrees: Sequence[int]) -> list[mpf]:
    """E[sigma^2], E[sigma'^2] (where there is one) and a_k for the degrees asked for."""
    rows = [samples.values, samples.slopes] if samples.slopes else [samples.values]
    moments = [mpmath.fsum(w * f * f for w, f in zip(samples.weights, row, strict=True)) for row in rows]
    products = [w * f for w, f in zip(samples.weights, samples.values, strict=True)]
    return moments + _projections(samples.z, products, degrees)


def _projections(z: Sequence[mpf], products: Sequence[mpf], degrees: Sequence[int]) -> list[mpf]:
    """sum_i products_i h_k(z_i) for the degrees asked for; no number where a product is none.

    In integers, each node at a scale of its own: the recursion is most of the work, and mpf is slow at it. Numbers
    have 32 bits more than mpmath's now; what is far out starts small and grows with h_k.
    """
    if not all(mpmath.isfinite(p) for p in products):
        return [mpf("nan")] * len(degrees)
    bits = mpmath.mp.prec + 32
    sizes = [mpmath.mag(p) + 0.37 * float(x) ** 2 if p else -math.inf for x, p in zip(z, products, strict=True)]
    # |h_k(z)| < 1.1 exp(z^2 / 4): the rest adds nothing that counts, and may be too small to be lifted
    least = max(sizes) - 2 * bits
    counts = [size > least for size in sizes]
    parts = [mpmath.frexp(p) for p in itertools.compress(products, counts)]
    now = np.array([int(mpmath.ldexp(m, bits)) for m, _ in parts], dtype=object)
    at = np.array([int(mpmath.ldexp(x, bits)) for x in itertools.compress(z, counts)], dtype=object)
    lowest = min((e for _, e in parts), default=0)
    lifts = np.array([e - lowest for _, e in parts], dtype=object)
    before, found = np.zeros(len(parts), dtype=object), {}
    for k in range(max(degrees) + 1):
        if k in degrees:
            found[k] = mpmath.ldexp(mpf(int(np.sum(now << lifts))), lowest - bits)
        # (z h_k - sqrt(k) h_{k-1}) / sqrt(k + 1)
        root, inverse = (int(mpmath.ldexp(x, bits)) for x in (mpmath.sqrt(k), 1 / mpmath.sqrt(k + 1)))
        before, now = now, (((at * now - root * before) >> bits) * inverse) >> bits
    return [found[k] for k in degrees]


def check_expansion(
    expression: sympy.Expr,
    traits: ActivationTraits,
    expansion: HermiteExpansion,
    variance: Fraction,
    degree: int,
    digits: int = 18,
) -> OracleResult:
    """Compares moments and coefficients with the balls; two step sizes say how exact the check itself is.

    Raises:
        CertificationError: where they differ by more than the check's own error.
    """
    degrees = [k for k in _DEGREES if k <= degree]
    growth = traits.growth
    slack = 1.0 if growth is None else max(1e-6, float(1 - 4 * growth.quadratic * variance))
    linear = 0.0 if growth is None else max(0.0, float(growth.linear)) * float(variance) ** 0.5
    # |f h_k| phi <= |f| exp(-z^2/4) for every k: that decides how far out the rule must reach.
    core = (4.0 * 2.303 * (digits + 4) / slack) ** 0.5
    # high powers of t are largest far out; what low ones are there is in `digits`' margin
    power = 0.0 if growth is None else max(0.0, float(growth.power) - _LOW_POWER)
    for _ in range(4 if power else 0):
        core = (4.0 * (2.303 * (digits + 4) + power * math.log1p(float(variance) ** 0.5 * core)) / slack) ** 0.5
    wide = min(2 * linear + core + 1.0, _WIDEST)
    # What the cut leaves out, where the rule cannot reach as far as the integrand does.
    cut = math.exp(-slack * max(wide - 2 * linear - 1.0, 0.0) ** 2 / 4)
    with mpmath.workdps(digits + 6 + _further_digits(expansion.kappa.moment)):
        balls = [expansion.kappa.moment]
        if traits.derivative_refused is None:
            assert expansion.kappa_dot is not None
            balls.append(expansion.kappa_dot.moment)
        balls += [expansion.hermite[k] for k in degrees]

        def checked(width: float) -> OracleResult:
            samples = _sampled(traits, expression, variance, digits, wide, width)
            fine, coarse = (_quantities(each, degrees) for each in (samples, samples.coarse()))
            return _compared(balls, fine, coarse, len(balls) - len(degrees), digits, 100 * cut)

        for width in _CELLS[:-1]:
            # A feature much narrower than a cell fools both step sizes alike: look closer before crying wolf.
            with contextlib.suppress(CertificationError):
                result = checked(width)
                if not result.notes:
                    return result
        return checked(_CELLS[-1])


def _further_digits(moment: arb) -> int:
    """For coefficients in whose sums terms of sigma's size cancel: those of t^20 are 1e11 times what remains."""
    if not moment > 1:
        return 0
    tens = float(moment.abs_upper().log().upper()) / (2 * math.log(10))
    return max(0, math.ceil(tens) - _LARGE)


def _compared(
    balls: Sequence[arb], fine: Sequence[mpf], coarse: Sequence[mpf], moments: int, digits: int, cut: float
) -> OracleResult:
    worst, doubtful = mpf(0), 0
    with ctx.workprec(256):
        known = [(mpf(b.mid().str(digits + 10, radius=False)), mpf(b.rad().str(10, radius=False))) for b in balls]
    size = mpmath.sqrt(max(fine[0], known[0][0]))
    for index, (ball, value, rough) in enumerate(zip(balls, fine, coarse, strict=True)):
        middle, radius = known[index]
        # of a moment to itself, of a coefficient to sigma's root mean square; of what is large, to 1 as well
        least = size if index >= moments else max(value, middle)
        scale = (abs(value) + min(least, mpf(1))) or mpf(1)
        own_error = abs(value - rough) / scale
        gap = max(abs(value - middle) - radius, mpf(0)) / scale
        # The double exponential rule converges quadratically: the fine error is far below `own_error`.
        if not own_error <= mpf(10) ** -4:
            doubtful += 1
            continue
        if gap > 10 * own_error + cut + mpf(10) ** (-digits + 3):
            raise CertificationError(
                f"mpmath finds {mpmath.nstr(value, 15)} where the ball is {ball.str(15)}: nothing is emitted"
            )
        worst = max(worst, gap)
    notes = (f"{doubtful} quantities oscillate too fast for the check and were left out",) if doubtful else ()
    samples = len(fine) - doubtful
    return OracleResult(digits, samples, float(worst), samples > 0, notes)


def kappa_by_quadrature(
    expression: sympy.Expr, traits: ActivationTraits, variance: Fraction, rho: float, digits: int = 12
) -> mpf:
    """kappa(rho) by a two-dimensional double exponential rule in mpmath, |rho| < 1: slow, independent.

    u = s z, v = s (rho z + sqrt(1 - rho^2) w); the integral over w is cut at the images of the breakpoints.
    """
    f = mpmath_function(expression)
    with mpmath.workdps(digits + 6):
        s = mpmath.sqrt(mpf(variance.numerator) / variance.denominator)
        r, reach = mpf(rho), mpf(9)
        c = mpmath.sqrt(1 - r * r)
        outer = [n for a, b in cells(traits, s, 9.0) for n in tanh_sinh(a, b, digits, mpf(1) / 6)]
        points = [(p.lower + p.upper) / 2 for p in traits.breakpoints]
        breaks = [mpf(p.numerator) / p.denominator / s for p in points]
        total = mpf(0)
        for z, w in outer:
            images = sorted(x for x in ((b - r * z) / c for b in breaks) if abs(x) < reach)
            cuts = [-reach, *images, reach]
            middle = [mpf("-2.4"), mpf("0.3"), mpf("2.9")]
            cuts = sorted([*cuts, *(m for m in middle if all(abs(m - x) > mpf(1) / 100 for x in cuts))])
            inner = mpf(0)
            for a, b in itertools.pairwise(cuts):
                for x, v in tanh_sinh(a, b, digits, mpf(1) / 8):
                    inner += v * mpmath.exp(-x * x / 2) * mpmath.re(f(s * (r * z + c * x)))
            total += w * mpmath.exp(-z * z / 2) * mpmath.re(f(s * z)) * inner
        return total / (2 * mpmath.pi)
