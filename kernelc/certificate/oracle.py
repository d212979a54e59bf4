"""The second road: moments and coefficients again by mpmath, with nothing shared but the formula.

Tanh-sinh quadrature in mpmath at its own precision, on another splitting of the line, of the SymPy
formula as it was typed (switches and all) instead of the analytic pieces. It checks; it proves nothing.
"""

from __future__ import annotations

import contextlib
import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import mpmath
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
    """What the second road found: decimal digits used, quantities compared, the largest difference."""

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


def tanh_sinh(low: mpf, high: mpf, digits: int, step: mpf) -> list[tuple[mpf, mpf]]:
    """Nodes and weights of the double exponential rule on (low, high), ends never touched."""
    half = (high - low) / 2
    rule: list[tuple[mpf, mpf]] = []
    k = 0
    while True:
        t = step * k
        u = mpmath.pi / 2 * mpmath.sinh(t)
        weight = half * step * mpmath.pi / 2 * mpmath.cosh(t) / mpmath.cosh(u) ** 2
        # The distance to the end, without cancellation.
        gap = half * 2 / (1 + mpmath.exp(2 * u))
        if weight < mpf(10) ** (-digits - 3) or gap == 0:
            return rule
        rule.append((high - gap, weight))
        if k:
            rule.append((low + gap, weight))
        k += 1


def _sampled(
    traits: ActivationTraits,
    expression: sympy.Expr,
    variance: Fraction,
    digits: int,
    step: mpf,
    wide: float,
    width: float,
) -> tuple[list[tuple[mpf, mpf, mpf]], list[mpf]]:
    """(z, weight * phi, sigma(s z)) at all nodes, and sigma'(s z)."""
    f = mpmath_function(expression)
    slope = mpmath_function(sympy.diff(expression, VARIABLE)) if traits.derivative_refused is None else None
    s = mpmath.sqrt(mpf(variance.numerator) / variance.denominator)
    nodes, slopes = [], []
    for low, high in cells(traits, s, wide, width):
        for z, w in tanh_sinh(low, high, digits, step):
            weight = w * mpmath.exp(-z * z / 2) / mpmath.sqrt(2 * mpmath.pi)
            nodes.append((z, weight, mpmath.mpf(mpmath.re(f(s * z)))))
            if slope is not None:
                slopes.append(mpmath.mpf(mpmath.re(slope(s * z))))
    return nodes, slopes


def _quantities(nodes: Sequence[tuple[mpf, mpf, mpf]], slopes: Sequence[mpf], degrees: Sequence[int]) -> list[mpf]:
    """E[sigma^2], E[sigma'^2] (where there is one) and a_k for the degrees asked for."""
    moments = [mpmath.fsum(w * f * f for _, w, f in nodes)]
    if slopes:
        moments.append(mpmath.fsum(w * g * g for (_, w, _), g in zip(nodes, slopes, strict=True)))
    found = {k: mpf(0) for k in degrees}
    top = max(degrees)
    roots = [mpmath.sqrt(k) for k in range(top + 2)]
    for z, w, f in nodes:
        before, now = mpf(0), w * f
        for k in range(top + 1):
            if k in found:
                found[k] += now
            before, now = now, (z * now - roots[k] * before) / roots[k + 1]
    return moments + [found[k] for k in degrees]


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
    wide = 2 * linear + (4.0 * 2.303 * (digits + 4) / slack) ** 0.5 + 1.0
    wide = min(wide, _WIDEST)
    # What the cut leaves out, where the rule cannot reach as far as the integrand does.
    cut = math.exp(-slack * max(wide - 2 * linear - 1.0, 0.0) ** 2 / 4)
    with mpmath.workdps(digits + 6):
        balls = [expansion.kappa.moment]
        if traits.derivative_refused is None:
            assert expansion.kappa_dot is not None
            balls.append(expansion.kappa_dot.moment)
        balls += [expansion.hermite[k] for k in degrees]

        def checked(width: float) -> OracleResult:
            coarse, fine = (
                _quantities(*_sampled(traits, expression, variance, digits, step, wide, width), degrees)
                for step in (2 * _STEP, _STEP)
            )
            return _compared(balls, fine, coarse, digits, 100 * cut)

        for width in _CELLS[:-1]:
            # A feature much narrower than a cell fools both step sizes alike: look closer before crying wolf.
            with contextlib.suppress(CertificationError):
                result = checked(width)
                if not result.notes:
                    return result
        return checked(_CELLS[-1])


def _compared(
    balls: Sequence[arb], fine: Sequence[mpf], coarse: Sequence[mpf], digits: int, cut: float
) -> OracleResult:
    worst, doubtful = mpf(0), 0
    for ball, value, rough in zip(balls, fine, coarse, strict=True):
        scale = 1 + abs(value)
        own_error = abs(value - rough) / scale
        with ctx.workprec(256):
            middle = mpf(ball.mid().str(digits + 10, radius=False))
            radius = mpf(ball.rad().str(10, radius=False))
        gap = max(abs(value - middle) - radius, mpf(0)) / scale
        # The double exponential rule converges quadratically: the fine error is far below `own_error`.
        if own_error > mpf(10) ** -4:
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
