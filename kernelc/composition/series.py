"""Truncated power series with coefficients >= 0 in balls: composition, and what truncating the outer one costs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from flint import arb, arb_poly

from kernelc.model import SeriesExpansion

_RADII = tuple(2.0 ** (-i / 4) for i in range(1, 160))


@dataclass(frozen=True, slots=True)
class Kept:
    """A series cut after some degree: coefficients that enclose numbers in [0, the true coefficients].

    `shortfalls[i]` bounds the sum, over the degrees up to `degrees[i]`, of true coefficient minus enclosed number.
    """

    polynomial: arb_poly
    degrees: tuple[int, ...]
    shortfalls: tuple[arb, ...]

    @property
    def length(self) -> int:
        """Terms from rho^length on are cut off."""
        return max(self.degrees) + 1


def total(values: Sequence[arb]) -> arb:
    """The sum of balls."""
    result = arb(0)
    for value in values:
        result += value
    return result


def composed(outer: Sequence[arb], inner: arb_poly, length: int) -> arb_poly:
    """sum_k outer[k] inner^k without the terms from rho^length on, by Paterson and Stockmeyer's scheme (1973)."""
    step = max(1, math.isqrt(len(outer)))
    powers = [arb_poly([1])]
    for _ in range(step):
        powers.append((powers[-1] * inner).truncate(length))
    result = arb_poly([0])
    for start in reversed(range(0, len(outer), step)):
        result = (result * powers[step]).truncate(length)
        for coefficient, power in zip(outer[start : start + step], powers, strict=False):
            result = result + power * coefficient
    return result.truncate(length)


def tail(series: SeriesExpansion) -> arb:
    """An upper bound of all coefficients beyond the computed ones."""
    after = series.tail_is_zero_after
    if after is not None and after < len(series.coefficients):
        return arb(0)
    upper = (series.moment - total(series.coefficients)).upper()
    return upper if upper > 0 else arb(0)


def effective(series: SeriesExpansion) -> Sequence[arb]:
    """The coefficients without the last ones that are exactly zero."""
    length = len(series.coefficients)
    while length > 1 and series.coefficients[length - 1].is_zero():
        length -= 1
    return series.coefficients[:length]


def compose_kept(outer: SeriesExpansion, inner: Kept) -> Kept:
    """outer(inner(rho)), where the whole of inner is at most 1 at rho = 1.

    With g the true inner series and G(r) >= its terms up to degree n at r <= 1, a dropped outer term c_k g^k adds
    at most c_k sum_{j <= n} [g^k]_j <= c_k r^-n G(r)^k to the degrees up to n (every coefficient is >= 0: Chernoff's
    bound); a shortfall d of g costs at most c_k k d.
    """
    coefficients = effective(outer)
    slope = total([k * c for k, c in enumerate(coefficients)])
    rest, power = tail(outer), len(outer.coefficients)
    shortfalls = tuple(
        (slope * missing + rest * _reach(inner.polynomial, missing, power, degree)).upper()
        for degree, missing in zip(inner.degrees, inner.shortfalls, strict=True)
    )
    return Kept(composed(coefficients, inner.polynomial, inner.length), inner.degrees, shortfalls)


def _reach(inner: arb_poly, missing: arb, power: int, degree: int) -> arb:
    """A bound of sum_{j <= degree} [g^k]_j for all k >= power: min_r r^-degree G(r)^power, at most 1."""
    low = inner.truncate(degree + 1)
    doubles = [float(c.mid()) for c in low.coeffs()]
    if missing.is_zero() and power > degree and (not doubles or low.coeffs()[0].is_zero()):
        return arb(0)

    def exponent(r: float) -> float:
        value = math.fsum(c * r**j for j, c in enumerate(doubles))
        return power * math.log(max(value, 1e-300)) - degree * math.log(r)

    r = arb(min(_RADII, key=exponent))
    value = (low(r) + missing).upper()
    bound = (value**power / r**degree).upper()
    return bound if value < 1 and bound < 1 else arb(1)


def scale_kept(kept: Kept, factor: arb) -> Kept:
    """The series times a number > 0."""
    return Kept(kept.polynomial * factor, kept.degrees, tuple((s * factor).upper() for s in kept.shortfalls))


def product_kept(first: Kept, second: Kept, first_at_one: arb, second_at_one: arb) -> Kept:
    """The product; `first_at_one` and `second_at_one` are the whole series at rho = 1."""
    shortfalls = tuple(
        (a * second_at_one + first_at_one * b).upper() for a, b in zip(first.shortfalls, second.shortfalls, strict=True)
    )
    return Kept((first.polynomial * second.polynomial).truncate(first.length), first.degrees, shortfalls)


def sum_kept(first: Kept, second: Kept) -> Kept:
    """The sum."""
    shortfalls = tuple((a + b).upper() for a, b in zip(first.shortfalls, second.shortfalls, strict=True))
    return Kept(first.polynomial + second.polynomial, first.degrees, shortfalls)
