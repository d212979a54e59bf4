"""Outward conversions to doubles, and bounds of rounding errors in emitted code."""

from __future__ import annotations

from collections.abc import Sequence

from flint import arb

from kernelc.balls.doubles import double_above as double_above
from kernelc.balls.doubles import nearest_double as nearest_double
from kernelc.program import ShortSeries

UNIT = {"float32": arb(2) ** -24, "float64": arb(2) ** -53}
_SMALLEST = {"float32": arb(2) ** -149, "float64": arb(2) ** -1074}


def total(values: Sequence[arb]) -> arb:
    """The sum of balls."""
    result = arb(0)
    for value in values:
        result += value
    return result


def gamma(operations: int, unit: arb) -> arb:
    """gamma_n = n u / (1 - n u): (1 + d_1)...(1 + d_n) differs from 1 by at most this
    (Higham, Accuracy and Stability of Numerical Algorithms, Lemma 3.1); infinite where n u >= 1.
    """
    n = operations * unit
    return n / (1 - n) if n < 1 else arb.pos_inf()


def roundings(degree: int) -> int:
    """At most this many rounded operations touch any one term of a power series of this degree.

    Horner in rho, or in rho^2 with a last factor rho: two operations a step, and a rounded rho^2
    enters up to degree/2 times; Paterson-Stockmeyer and blocked schemes stay below it as well.
    """
    return 3 * degree + 4


def evaluation_bound(coefficients: Sequence[float], dtype: str) -> arb:
    """A bound, for |rho| <= 1, of the rounding error of evaluating a series with these coefficients >= 0.

    gamma_n sum |c_k| with n from `roundings`; for float32 the coefficients are themselves rounded,
    one more operation; underflow costs at most one smallest subnormal an operation.
    """
    unit = UNIT[dtype]
    n = roundings(len(coefficients) - 1) + (1 if dtype == "float32" else 0)
    size = total([abs(arb(c)) for c in coefficients])
    return gamma(n, unit) * size + n * len(coefficients) * _SMALLEST[dtype]


def short_evaluation_bound(series: ShortSeries) -> arb:
    """The same in float64 of an economised series, as it is printed: Horner's rule in y, then in rho.

    The printed code may leave out leading terms below 2^-59 of the coefficients' sum.

    With |rho| <= 1 the computed y is off by at most 3 u (1 + u), so |y| <= 1 + 4 u and y^j by at most
    3 u j (1 + gamma_(4 j + 1)); what operates on any one term is counted in gamma.
    """
    unit, degree, ends = UNIT["float64"], len(series.rest) - 1, 2 * len(series.head)
    sizes = [abs(arb(c)) for c in series.rest]
    moved = total([3 * unit * j * size for j, size in enumerate(sizes)]) if series.squared else arb(0)
    size = total(sizes) + total([abs(arb(c)) for c in series.head])
    operations = 2 * degree + ends + 2
    carried = 1 + gamma(operations + 4 * degree + 1, unit)
    underflow = operations * (len(series.rest) + ends) * _SMALLEST["float64"]
    return (gamma(operations, unit) * size + moved) * carried + underflow + size * arb(2) ** -59
