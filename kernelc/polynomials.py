"""Exact rational manipulation of polynomials: every emitted literal is rounded once.

A double is a rational number, so Chebyshev tables are converted and divided without any rounding.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Literal


def chebyshev_to_monomial(coefficients: Sequence[Fraction]) -> tuple[Fraction, ...]:
    """The monomial coefficients of sum_j coefficients[j] T_j(z), exactly."""
    result = [Fraction(0)] * max(1, len(coefficients))
    previous, current = [1], [0, 1]
    for index, coefficient in enumerate(coefficients):
        if index == 0:
            polynomial = previous
        elif index == 1:
            polynomial = current
        else:
            doubled = [0, *(2 * value for value in current)]
            for position, value in enumerate(previous):
                doubled[position] -= value
            previous, current = current, doubled
            polynomial = current
        for position, value in enumerate(polynomial):
            result[position] += coefficient * value
    return tuple(result)


def monomial_to_chebyshev(coefficients: Sequence[Fraction], shifted: bool = False) -> tuple[Fraction, ...]:
    """The Chebyshev coefficients of sum_k coefficients[k] z^k, exactly; in y = 2 z - 1 where `shifted`.

    Horner's rule, with y T_j = (T_{j-1} + T_{j+1}) / 2 and z = (1 + y) / 2.
    """
    halvings, count = 2 if shifted else 1, max(1, len(coefficients))
    # integers over one denominator: every halving below is exact
    scale = math.lcm(*(value.denominator for value in coefficients)) << (halvings * count)
    result = [0]
    for coefficient in reversed(coefficients):
        product = [value >> 1 for value in result] if shifted else [0] * len(result)
        product.append(0)
        for index, value in enumerate(result):
            part = value >> halvings
            product[index + 1] += part if index else 2 * part
            if index:
                product[index - 1] += part
        product[0] += coefficient.numerator * (scale // coefficient.denominator)
        result = product
    return tuple(Fraction(value, scale) for value in result[:count])


def chebyshev_at(coefficients: Sequence[Fraction], end: Literal[-1, 1]) -> Fraction:
    """The value of a Chebyshev series at z = 1 or z = -1."""
    return sum(
        (value if end == 1 or not index % 2 else -value for index, value in enumerate(coefficients)), Fraction(0)
    )


def divide_chebyshev_at_left(coefficients: Sequence[Fraction]) -> tuple[Fraction, ...]:
    """q with (p(z) - p(-1)) = (1 + z) q(z), both in Chebyshev form.

    From (1 + z) T_j = T_j + (T_{j-1} + T_{j+1}) / 2 and (1 + z) T_0 = T_0 + T_1, solved from the top:
    p_j = q_{j-1} (1/2, or 1 for j = 1) + q_j + q_{j+1} / 2.
    """
    degree = len(coefficients) - 1
    quotient = [Fraction(0)] * (degree + 2)
    for index in range(degree, 0, -1):
        rest = coefficients[index] - quotient[index] - quotient[index + 1] / 2
        quotient[index - 1] = rest if index == 1 else 2 * rest
    return tuple(quotient[:degree]) if degree else (Fraction(0),)


def tail_sums(coefficients: Sequence[Fraction]) -> tuple[Fraction, ...]:
    """d with p(1) - p(z) = (1 - z) sum_m d_m z^m: d_m = sum_{k > m} coefficients[k]."""
    sums: list[Fraction] = []
    total = Fraction(0)
    for coefficient in reversed(coefficients[1:]):
        total += coefficient
        sums.append(total)
    return tuple(reversed(sums)) or (Fraction(0),)
