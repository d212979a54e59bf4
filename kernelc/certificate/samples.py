"""What is observed of a kernel: its direct evaluation at a few rho, and how far the cut series are from it there.

An observation, not a bound: the direct evaluation is itself off by what its own statement says, and between the
sampled rho nobody looked.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flint import arb

from kernelc.balls.doubles import nearest_double
from kernelc.model import DirectDual
from kernelc.program import PowerSeries, ShortSeries, ThetaChebyshev

#: rho = cos(pi j / 32): both ends, 0, and most points where kernels bend.
INTERVALS = 32


def observe(direct: DirectDual, coefficients: Sequence[arb], degrees: Sequence[int]) -> dict[str, Any]:
    """`samples` of the direct evaluation, and `observed_by_degree`: the largest |series - direct| over them.

    Computed in balls from the emitted literals, so that no processor's rounding shows; at rho = 1 and -1 the value
    is the exact limit that is emitted.
    """
    rhos = [nearest_double((arb.pi() * j / INTERVALS).cos()) for j in range(INTERVALS, -1, -1)]
    rhos[0], rhos[INTERVALS // 2], rhos[-1] = -1.0, 0.0, 1.0
    values = [direct.at_minus_one, *(_direct_value(direct, rho) for rho in rhos[1:-1]), direct.at_one]
    errors = _errors([nearest_double(c) for c in coefficients], degrees, rhos, values)
    return {
        "samples": {"rho": rhos, "value": values},
        "observed_by_degree": [[degree, error] for degree, error in zip(degrees, errors, strict=True)],
    }


def _direct_value(direct: DirectDual, rho: float) -> float:
    evaluation = direct.evaluation
    if isinstance(evaluation, PowerSeries):
        return nearest_double(_horner(evaluation.coefficients, arb(rho)))
    if isinstance(evaluation, ShortSeries):
        x = arb(rho)
        value = _horner(evaluation.rest, 2 * x * x - 1 if evaluation.squared else x)
        return nearest_double(value * x ** len(evaluation.head) + _horner(evaluation.head, x))
    assert isinstance(evaluation, ThetaChebyshev)
    theta = arb(rho).acos()
    last = len(evaluation.tables) - 1
    panel = next((i for i in range(last) if theta < evaluation.edges[i + 1]), last)
    low, high = arb(evaluation.edges[panel]), arb(evaluation.edges[panel + 1])
    return nearest_double(_clenshaw(evaluation.tables[panel], (2 * theta - low - high) / (high - low)))


def _horner(coefficients: Sequence[float], x: arb) -> arb:
    value = arb(0)
    for coefficient in reversed(coefficients):
        value = value * x + coefficient
    return value


def _clenshaw(table: Sequence[float], x: arb) -> arb:
    first, second = arb(0), arb(0)
    for coefficient in reversed(table[1:]):
        first, second = 2 * x * first - second + coefficient, first
    return x * first - second + table[0]


def _errors(
    coefficients: Sequence[float], degrees: Sequence[int], rhos: Sequence[float], values: Sequence[float]
) -> list[float]:
    """For each degree, increasing, the largest difference over all rho; one pass over the coefficients."""
    worst = dict.fromkeys(degrees, 0.0)
    for rho, value in zip(rhos, values, strict=True):
        total, power = arb(0), arb(1)
        for degree, coefficient in enumerate(coefficients[: max(degrees) + 1]):
            total += power * coefficient
            power *= rho
            if degree in worst:
                worst[degree] = max(worst[degree], nearest_double(abs(total - value)))
    return [worst[degree] for degree in degrees]
