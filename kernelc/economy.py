"""Power series with fewer terms: Chebyshev economisation (Lanczos), exact until the coefficients are rounded.

A truncated power series is the best polynomial next to 0; on all of [-1, 1] one of a third as many terms does as well.
The certified series, whose coefficients are what is certified, are not touched: only how kappa is evaluated.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

from kernelc.polynomials import chebyshev_to_monomial, monomial_to_chebyshev, tail_sums
from kernelc.program import PowerSeries, ShortSeries

#: Coefficients of low degree may stand before a series in rho^2 as long as they are no more than this.
_LONGEST_HEAD = 4
#: The coefficients' sizes, and those of the divided drop, may add up to this many times what they do for the power
#: series: rounding grows with them.
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
    plain = len(full) if series.parity == "none" else len(full) // 2 + 2
    if found.cost >= plain or math.fsum(map(abs, found.rest)) > _MOST_GROWTH * size:
        return None
    divided, steepest = divided_drop(found), math.fsum(k * abs(value) for k, value in enumerate(full))
    growth = math.fsum([*map(abs, divided.head), *((1 + divided.rising) * abs(value) for value in divided.rest)])
    return (found, wrong) if growth <= _MOST_GROWTH * steepest else None


def divided_drop(series: ShortSeries) -> ShortSeries:
    """(f(1) - f(rho)) / (1 - rho), exact until its coefficients are rounded.

    With P the sum over `rest`, f(1) - f(rho) = sum_k head[k] (1 - rho^k) + P(1) (1 - rho^h) + rho^h (P(1) - P(y)), and
    P(1) - P(y) is 1 - y = 2 (1 - rho) (1 + rho) times a polynomial in y. Powers of rho have no place here: what was
    left out is small in y, and in them can be larger than the kernel.
    """
    rest = [Fraction(value) for value in series.rest]
    head = tail_sums([*map(Fraction, series.head), sum(rest, Fraction(0))])[: len(series.head)]
    factor = 2 if series.squared else 1
    return ShortSeries(
        tuple(map(float, head)),
        tuple(float(factor * value) for value in tail_sums(rest)),
        series.squared,
        rising=series.squared,
    )


def cut(series: ShortSeries, slack: float) -> ShortSeries:
    """The same with fewer terms, for a dtype of larger roundings: at most `slack` of its size is left out."""
    terms = monomial_to_chebyshev([Fraction(value) for value in series.rest])
    size = math.fsum([*map(abs, series.head), *(abs(float(value)) for value in terms)])
    return replace(_rounded(series.head, terms, series.squared, Fraction(slack * size))[0], rising=series.rising)


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
