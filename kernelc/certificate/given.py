"""The second road for a dual kernel that is given: Cauchy's integral and finite differences in mpmath.

Nothing is shared with the power series in balls but the formula. It checks; it proves nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import mpmath
from flint import arb, ctx
from mpmath import mpf

from kernelc.certificate.oracle import OracleResult, mpmath_function
from kernelc.errors import CertificationError, InputError
from kernelc.model import RHO, DualKernelTraits, GivenExpansion, SeriesExpansion

_DEGREES = (0, 1, 2, 3, 5, 8, 16, 33, 64)
_NODES = 256
_DIGITS = 15
_WORKING = 80
#: so near rho = 1 that a kernel with a square root there has its value at 1 to more than `_DIGITS`
_GAP = 60
_RHOS = ("-0.8", "-0.3", "0.1", "0.55", "0.9")


def check_given(traits: DualKernelTraits, expansion: GivenExpansion, variance: Fraction, degree: int) -> OracleResult:
    """Compares coefficients, kappa and kappa_dot at sampled rho, and kappa(1), with the balls.

    Raises:
        CertificationError: the coefficients or kappa(1) differ by more than the check's own error.
        InputError: the formula is not the sum of its own power series.
    """
    kappa = mpmath_function(traits.kappa, RHO)
    degrees = [k for k in _DEGREES if k <= degree]
    with mpmath.workdps(_WORKING):
        checks = [
            (f"the coefficient of rho^{k}", expansion.kappa.coefficients[k], value)
            for k, value in zip(degrees, _by_cauchy(kappa, degrees), strict=True)
        ]
        near = mpf(1) - mpf(10) ** -_GAP
        checks.append(("kappa(1)", expansion.kappa.moment, mpmath.re(kappa(near))))
        errors = [_difference(what, ball, value) for what, ball, value in checks]
        for rho in map(mpf, _RHOS):
            errors.append(_outside(expansion.kappa, kappa(rho), rho))
            if expansion.kappa_dot is not None:
                slope = mpmath.diff(kappa, rho) * variance.denominator / variance.numerator
                errors.append(_outside(expansion.kappa_dot, slope, rho))
    return OracleResult(_DIGITS, len(errors), float(max(errors)), True, ())


def _by_cauchy(kappa: Callable[[Any], Any], degrees: Sequence[int]) -> list[mpf]:
    """(1/2 pi i) int kappa(z) z^(-k-1) dz on |z| = 1/2 by the trapezoidal rule: its error is c_(k+256) 2^-256."""
    radius = mpf(1) / 2
    values = [kappa(radius * mpmath.expjpi(mpf(2 * j) / _NODES)) for j in range(_NODES)]
    found = []
    for k in degrees:
        terms = [v * mpmath.expjpi(-mpf(2 * j * k) / _NODES) for j, v in enumerate(values)]
        found.append(mpmath.re(mpmath.fsum(terms)) / _NODES / radius**k)
    return found


def _to_mpf(value: arb) -> mpf:
    mantissa, exponent = value.mid().man_exp()
    return mpmath.ldexp(mpf(int(mantissa)), int(exponent))


def _difference(what: str, ball: arb, value: mpf) -> mpf:
    """How far the value is from the ball, relative to 1 + |value|."""
    with ctx.workprec(300):
        gap = abs(value - _to_mpf(ball)) - _to_mpf(ball.rad())
    gap = max(gap, mpf(0)) / (1 + abs(value))
    if gap > mpf(10) ** -_DIGITS:
        raise CertificationError(
            f"{what}: mpmath finds {mpmath.nstr(value, 15)} where the ball is {ball.str(15)}: nothing is emitted"
        )
    return gap


def _outside(series: SeriesExpansion, value: Any, rho: mpf) -> mpf:
    """How much more than the tail's bound the kernel and its power series differ by, relative to the value at 1."""
    moment = _to_mpf(series.moment)
    coefficients = [_to_mpf(c) for c in series.coefficients]
    tail = max(moment - mpmath.fsum(coefficients), mpf(0)) * abs(rho) ** len(coefficients)
    gap = abs(value - mpmath.polyval(coefficients[::-1], rho)) - tail
    gap = max(gap, mpf(0)) / (moment or mpf(1))
    if gap > mpf(10) ** -_DIGITS:
        raise InputError(
            f"no dual kernel: at rho = {mpmath.nstr(rho, 4)} the formula is not the sum of its power series about 0"
        )
    return gap
