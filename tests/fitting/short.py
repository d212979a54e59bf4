"""Economised series in rational arithmetic."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from kernelc.backends.numpy.runtime._evaluation import ShortTable
from kernelc.program import ShortSeries


def polynomial(coefficients: Sequence[float | Fraction], z: Fraction) -> Fraction:
    """sum_k coefficients[k] z^k."""
    total = Fraction(0)
    for value in reversed(coefficients):
        total = total * z + Fraction(value)
    return total


def short_value(series: ShortSeries | ShortTable, rho: Fraction) -> Fraction:
    """The series at one rho, as its docstring has it."""
    y = 2 * rho * rho - 1 if series.squared else rho
    rest = polynomial(series.rest, y) * (1 + rho if series.rising else 1)
    return polynomial(series.head, rho) + rho ** len(series.head) * rest
