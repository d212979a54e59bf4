"""Power series with fewer terms: Chebyshev economisation (Lanczos), exact until the coefficients are rounded.

A truncated power series is the best polynomial next to 0; on all of [-1, 1] one of a third as many terms does as well.
The certified series, whose coefficients are what is certified, are not touched: only how kappa is evaluated.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

from kernelc.polynomials import chebyshev_to_monomial, monomial_to_chebyshev
from kernelc.program import PowerSeries, ShortSeries

#: Coefficients of low degree may stand before a series in rho^2 as long as they are no more than this.
_LONGEST_HEAD = 4
#: The coefficients' sizes may add up to this many times those of the power series: rounding grows with them.
_MOST_GROWTH = 8


def shortened(series: PowerSeries, slack: float) -> tuple[ShortSeries, Fraction] | None:
    """A polynomial of fewer multiplications and how far from `series` it is on [-1, 1] at most; None if none is.

    What is left out is at most `slack` times the sum of the series' |coefficients|; then its own are rounded.
    """
    full = list(series.coefficients)
    length, squared = _head(full)
    head, rest = full[:length], full[length :: 2 if squared else 1]
    size = math.fsum(map(abs, full))
    terms = monomial_to_chebyshev([Fraction(value) for value in rest], squared)
    found, wrong = _rounded(tuple(head), terms, squared, Fraction(slack * size))
    growth = math.fsum(map(abs, found.rest))
    plain = len(full) if series.parity == "none" else len(full) // 2 + 2
    return (found, wrong) if found.cost < plain and growth <= _MOST_GROWTH * size else None


def cut(series: ShortSeries, slack: float) -> ShortSeries:
    """The same with fewer terms, for a dtype of larger roundings: at most `slack` of its size is left out."""
    terms = monomial_to_chebyshev([Fraction(value) for value in series.rest])
    size = math.fsum([*map(abs, series.head), *(abs(float(value)) for value in terms)])
    return _rounded(series.head, terms, series.squared, Fraction(slack * size))[0]


def power_series(series: ShortSeries) -> tuple[Fraction, ...]:
    """The coefficients of rho^k, exactly."""
    result = [Fraction(0)]
    for value in reversed(series.rest):
        product = [Fraction(0)] * (len(result) + (2 if series.squared else 1))
        for k, coefficient in enumerate(result):
            # y = 2 rho^2 - 1, or rho
            product[k + (2 if series.squared else 1)] += coefficient * (2 if series.squared else 1)
            if series.squared:
                product[k] -= coefficient
        product[0] += Fraction(value)
        result = product
    return (*map(Fraction, series.head), *result)


def _head(full: Sequence[float]) -> tuple[int, bool]:
    """The least h > 0 from which on every second coefficient is 0, and whether it is not too many; else 1.

    The constant stands before the rest, so that rho = 0, orthogonal inputs, has it exactly.
    """
    for length in range(1, min(_LONGEST_HEAD, len(full)) + 1):
        if not any(full[length + 1 :: 2]):
            return length, True
    return 1, False


def _rounded(
    head: tuple[float, ...], terms: Sequence[Fraction], squared: bool, allowed: Fraction
) -> tuple[ShortSeries, Fraction]:
    """Without the last Chebyshev terms that add up to at most `allowed`, in doubles, and how far that is off."""
    kept, left = list(terms), allowed
    while len(kept) > 1 and abs(kept[-1]) <= left:
        left -= abs(kept.pop())
    exact = chebyshev_to_monomial(kept)[: len(kept)]
    rest = tuple(map(float, exact))
    rounding = sum((abs(Fraction(value) - one) for value, one in zip(rest, exact, strict=True)), Fraction(0))
    return ShortSeries(head, rest, squared), allowed - left + rounding
