"""What is left of a series with coefficients >= 0 beyond a degree: whether balls tell it."""

from __future__ import annotations

from flint import arb

from kernelc.model import SeriesExpansion

_UNDERFLOW_BITS = 996
_RESOLVED = 400


def tail_is_resolved(series: SeriesExpansion, degree: int) -> bool:
    """Whether the tail beyond `degree` is exactly 0, known to 1/4 %, or below 1e-300."""
    if series.tail_is_zero_after is not None and series.tail_is_zero_after <= degree:
        return True
    total = arb(0)
    for c in series.coefficients[: degree + 1]:
        total += c
    tail = series.moment - total
    if tail.upper() < arb(2) ** -_UNDERFLOW_BITS:
        return True
    return bool(tail > 0) and bool(tail.rad() * _RESOLVED < tail.mid())
