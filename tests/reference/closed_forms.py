"""Closed forms and one-dimensional integrals for kappa and kappa_dot, as functions of (variance q, rho).

Sources are named where a formula is not a line of algebra:
Cho and Saul 2009 (arc-cosine kernels), Williams 1997 (erf), Price 1958 and Plackett 1954
(d/dq12 of a Gaussian expectation), the classical absolute moments of a bivariate normal pair
(Gauss hypergeometric function). Each is confirmed by a quadrature when the table is made.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import count, product
from math import factorial
from typing import TypeAlias

from mpmath import mp

from tests.reference.quadrature import Real

Dual: TypeAlias = Callable[[Real, Real], Real]


def arc_cosine(n: int) -> Dual:
    """E[(u_+)^n (v_+)^n] = q^n J_n(theta) / (2 pi), Cho and Saul 2009, equations (3)-(6); J_3 likewise."""

    def dual(q: Real, rho: Real) -> Real:
        theta = 2 * mp.asin(mp.sqrt((1 - rho) / 2))
        c, s, rest = mp.mpf(rho), mp.sqrt((1 - rho) * (1 + rho)), mp.pi - theta
        j = (
            lambda: rest,
            lambda: s + rest * c,
            lambda: 3 * s * c + rest * (1 + 2 * c * c),
            lambda: 15 * s - 11 * s**3 + rest * (9 * c + 6 * c**3),
        )[n]()
        return q**n * j / (2 * mp.pi)

    return dual


def rectified_slope(n: int) -> Dual:
    """kappa_dot of (t_+)^n, n >= 1."""
    return scaled(n * n, arc_cosine(n - 1))


def scaled(factor: int | Fraction, dual: Dual) -> Dual:
    """factor * dual."""
    ratio = Fraction(factor)
    return lambda q, rho: dual(q, rho) * ratio.numerator / ratio.denominator


def price_slope(kappa: Dual) -> Dual:
    """kappa_dot = (1/q) d kappa / d rho (Price), by mpmath's derivative at raised precision."""
    return lambda q, rho: mp.diff(lambda r: kappa(q, r), rho) / q


def abrelu(a: Fraction, b: Fraction) -> tuple[Dual, Dual]:
    """a Min(t, 0) + b Max(t, 0)."""
    relu, step = arc_cosine(1), arc_cosine(0)
    even, cross = scaled(a * a + b * b, relu), scaled(2 * a * b, relu)
    even_step, cross_step = scaled(a * a + b * b, step), scaled(2 * a * b, step)
    return (
        lambda q, rho: even(q, rho) - cross(q, -rho),
        lambda q, rho: even_step(q, rho) + cross_step(q, -rho),
    )


def absolute_power(p: Fraction) -> Dual:
    """E[|u|^p |v|^p] = (2q)^p Gamma((p+1)/2)^2 / pi * 2F1(-p/2, -p/2; 1/2; rho^2)."""

    def dual(q: Real, rho: Real) -> Real:
        a = mp.mpf(p.numerator) / p.denominator
        return (2 * q) ** a * mp.gamma((a + 1) / 2) ** 2 / mp.pi * mp.hyp2f1(-a / 2, -a / 2, 0.5, rho * rho)

    return dual


def signed_power(p: Fraction) -> Dual:
    """E[sign(u)|u|^p sign(v)|v|^p] = 2 (2q)^p Gamma(p/2+1)^2 / pi * rho 2F1((1-p)/2, (1-p)/2; 3/2; rho^2)."""

    def dual(q: Real, rho: Real) -> Real:
        a = mp.mpf(p.numerator) / p.denominator
        series = mp.hyp2f1((1 - a) / 2, (1 - a) / 2, 1.5, rho * rho)
        return 2 * (2 * q) ** a * mp.gamma(a / 2 + 1) ** 2 / mp.pi * rho * series

    return dual


def log_absolute(q: Real, rho: Real) -> Real:
    """E[log|u| log|v|] = ((log(q/2) - gamma) / 2)^2 + asin(rho)^2 / 2.

    The mean is the logarithmic moment of chi^2_1; the covariance is d/da d/db at a = b = 0 of E[|u|^a |v|^b].
    """
    mean = (mp.log(q) - mp.euler - mp.log(2)) / 2
    return mean**2 + mp.asin(rho) ** 2 / 2


def erf_dual(q: Real, rho: Real) -> Real:
    """E[erf(u) erf(v)], Williams 1997."""
    return 2 / mp.pi * mp.asin(2 * q * rho / (1 + 2 * q))


def erf_slope(q: Real, rho: Real) -> Real:
    """E[erf'(u) erf'(v)]."""
    return 4 / mp.pi / mp.sqrt((1 + 2 * q) ** 2 - (2 * q * rho) ** 2)


def gaussian(rate: Fraction) -> tuple[Dual, Dual]:
    """exp(-rate t^2); a negative rate is a growing function."""

    def parts(q: Real, rho: Real) -> tuple[Real, Real]:
        a = 2 * q * rate.numerator / rate.denominator
        return a, 1 / mp.sqrt((1 + a) ** 2 - (a * rho) ** 2)

    def slope(q: Real, rho: Real) -> Real:
        a, value = parts(q, rho)
        return a * a * rho * value**3 / q

    return (lambda q, rho: parts(q, rho)[1]), slope


def exponential(rate: Fraction) -> tuple[Dual, Dual]:
    """exp(rate t)."""
    square = rate * rate

    def kappa(q: Real, rho: Real) -> Real:
        return mp.exp(q * (1 + rho) * square.numerator / square.denominator)

    return kappa, scaled(square, kappa)


def sine(rate: Callable[[], Real], phase: Callable[[], Real], factor: int = 1) -> tuple[Dual, Dual]:
    """sqrt(factor) sin(rate t + phase)."""

    def waves(q: Real, rho: Real) -> tuple[Real, Real]:
        square = rate() ** 2
        difference = mp.exp(-square * q * (1 - rho)) / 2
        return difference, mp.cos(2 * phase()) * mp.exp(-square * q * (1 + rho)) / 2

    def kappa(q: Real, rho: Real) -> Real:
        difference, total = waves(q, rho)
        return factor * (difference - total)

    def slope(q: Real, rho: Real) -> Real:
        difference, total = waves(q, rho)
        return factor * rate() ** 2 * (difference + total)

    return kappa, slope


def gabor(q: Real, rho: Real) -> Real:
    """exp(-t^2) sin t: the Gaussian factors tilt the eigenvalues q(1 +- rho) of the covariance."""
    plus, minus = 1 + 2 * q * (1 + rho), 1 + 2 * q * (1 - rho)
    tilted = mp.exp(-q * (1 - rho) / minus) - mp.exp(-q * (1 + rho) / plus)
    return tilted / (2 * mp.sqrt(plus * minus))


def gelu(q: Real, rho: Real) -> Real:
    """E[u Phi(u) v Phi(v)] by Stein's identity twice, with E[Phi(u) Phi(v)] = 1/4 + asin(.)/(2 pi)."""
    c = q * rho
    density = 1 / (2 * mp.pi * mp.sqrt((1 + q) ** 2 - c * c))
    both = mp.mpf(1) / 4 + mp.asin(c / (1 + q)) / (2 * mp.pi)
    return c * both + density * (c * c * (1 - q) / (1 + q) + q * q)


def t_erf(q: Real, rho: Real) -> Real:
    """t erf(t) = (2 x Phi(x) - x) / sqrt(2) with x = sqrt(2) t, and E[x Phi(x) y] = E[x y] / 2."""
    return 2 * gelu(2 * q, rho) - q * rho


def polynomial(coefficients: Sequence[Fraction]) -> tuple[Dual, Dual]:
    """sum_n coefficients[n] t^n: t^n = sum_m n! / (2^m m! (n-2m)!) q^m He_{n-2m}, exactly."""

    def dual_of(c: Sequence[Fraction]) -> Dual:
        def dual(q: Real, rho: Real) -> Real:
            total = mp.mpf(0)
            for k in range(len(c)):
                terms = [
                    c[n] * Fraction(factorial(n), 2**m * factorial(m) * factorial(k))
                    for m, n in ((m, k + 2 * m) for m in range((len(c) - 1 - k) // 2 + 1))
                ]
                hermite = sum(
                    (mp.mpf(x.numerator) / x.denominator * mp.mpf(q) ** m for m, x in enumerate(terms)), mp.mpf(0)
                )
                total += hermite**2 * factorial(k) * (q * mp.mpf(rho)) ** k
            return total

        return dual

    return dual_of(coefficients), dual_of([n * c for n, c in enumerate(coefficients)][1:])


def absolute_sine(order: int) -> Dual:
    """|sin t| (order 0) or its derivative (order 1), from the Fourier series of |sin t|; variance q >= 1.

    |sin t| = 2/pi - (4/pi) sum_k cos(2kt) / (4k^2-1), and E of two waves is elementary. At |rho| = 1 the
    series is summed in closed form: E[sin^2] and E[cos^2].
    """

    def dual(q: Real, rho: Real) -> Real:
        p, odd = abs(rho), order == 1
        sign = -1 if odd and rho < 0 else 1
        if p == 1:
            return sign * (1 + (1 if odd else -1) * mp.exp(-2 * q)) / 2
        terms = [mp.mpf(0) if odd else 4 / mp.pi**2]
        if not odd:
            terms += [-16 / mp.pi**2 * mp.exp(-2 * k * k * q) / (4 * k * k - 1) for k in range(1, 12)]
        for k in count(1):
            if 4 * q * k * k * (1 - p) > 120:
                return sign * mp.fsum(terms)
            for m in range(k, k + 10):
                near = mp.exp(-2 * q * ((k - m) ** 2 + 2 * k * m * (1 - p)))
                far = mp.exp(-2 * q * ((k - m) ** 2 + 2 * k * m * (1 + p)))
                weight = (16 if k == m else 32) * (4 * k * m if odd else 1) / (2 * mp.pi**2)
                terms.append(weight * (near - far if odd else near + far) / ((4 * k * k - 1) * (4 * m * m - 1)))
        raise AssertionError("unreachable: the series ends where its terms underflow")

    return dual


@dataclass(frozen=True, slots=True)
class PiecewiseLinear:
    """sigma(t) = constant + slope t + sum_k jumps[k] (t - kinks[k])_+ ."""

    constant: Fraction
    slope: Fraction
    kinks: tuple[Fraction, ...]
    jumps: tuple[Fraction, ...]

    def kappa(self, q: Real, rho: Real) -> Real:
        """(E sigma)^2 + q rho (E sigma')^2 + q^2 int_0^rho (rho - r) E[sigma'' sigma''](r) dr."""
        s = mp.sqrt(q)
        mean = to_real(self.constant) + sum(
            to_real(c) * s * (mp.npdf(to_real(b) / s) - to_real(b) / s * mp.ncdf(-to_real(b) / s))
            for b, c in zip(self.kinks, self.jumps, strict=True)
        )
        inner = self._second(q, rho, lambda r: q * (rho - r))
        return mean**2 + q * rho * self._mean_slope(q) ** 2 + inner

    def kappa_dot(self, q: Real, rho: Real) -> Real:
        """(E sigma')^2 + q int_0^rho E[sigma'' sigma''](r) dr."""
        return self._mean_slope(q) ** 2 + self._second(q, rho, lambda r: 1)

    def _mean_slope(self, q: Real) -> Real:
        terms = (to_real(c) * mp.ncdf(-to_real(b) / mp.sqrt(q)) for b, c in zip(self.kinks, self.jumps, strict=True))
        return to_real(self.slope) + sum(terms)

    def _second(self, q: Real, rho: Real, weight: Callable[[Real], Real]) -> Real:
        """q int_0^rho weight(r) sum_kl jumps_k jumps_l phi2_q(kinks_k, kinks_l; r) dr."""
        pairs = list(zip(self.kinks, self.jumps, strict=True))
        total = mp.mpf(0)
        for (b1, c1), (b2, c2) in product(pairs, pairs):
            total += to_real(c1 * c2) * plackett_integral(to_real(b1), to_real(b2), q, rho, weight)
        return total


def to_real(x: Fraction) -> Real:
    """x at the working precision."""
    return mp.mpf(x.numerator) / x.denominator


def plackett_integral(b1: Real, b2: Real, q: Real, rho: Real, weight: Callable[[Real], Real]) -> Real:
    """q int_0^rho weight(r) phi2(b1, b2; variance q, correlation r) dr, by tanh-sinh in asin(r)."""
    x, y = b1 / mp.sqrt(q), b2 / mp.sqrt(q)

    def integrand(phi: Real) -> Real:
        r, c = mp.sin(phi), mp.cos(phi)
        # the exponent in the form that does not cancel at the nearer end of r = +-1
        gap, rest = (x - y, x * y / (1 + r)) if r >= 0 else (x + y, -x * y / (1 - r))
        if gap == 0:
            return weight(r) * mp.exp(-rest)
        return weight(r) * mp.exp(-rest - (gap / c) ** 2 / 2) if c > 0 else mp.mpf(0)

    end = mp.asin(rho)
    if end == 0:
        return mp.mpf(0)
    return mp.quad(integrand, [end * k / 6 for k in range(7)]) / (2 * mp.pi)


def shifted_step(b: Fraction) -> Dual:
    """E[1{u > b} 1{v > b}] by Plackett's integral from rho = 0."""

    def dual(q: Real, rho: Real) -> Real:
        x = to_real(b)
        return mp.ncdf(-x / mp.sqrt(q)) ** 2 + plackett_integral(x, x, q, rho, lambda r: 1)

    return dual
