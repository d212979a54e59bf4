"""Economised series against the series that they stand for, in rational arithmetic, and their evaluation's rounding."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from kernelc.backends.numpy.runtime._bundles import bundle, evaluate_bundle
from kernelc.backends.numpy.runtime._evaluation import Scratch, ShortTable, evaluate_short, trimmed
from kernelc.certificate.rounding import double_above, short_evaluation_bound
from kernelc.economy import cut, divided_drop, shortened
from kernelc.polynomials import chebyshev_to_monomial, monomial_to_chebyshev
from kernelc.program import PowerSeries, ShortSeries
from tests.fitting.short import polynomial, short_value

DOUBLE, SINGLE = 2.0**-59, 2.0**-30
POINTS = [Fraction(k, 64) for k in range(-64, 65)]
#: Of each parity, and odd to the first degree alone, as GELU's.
SERIES = {
    "none": [0.7**k / (1 + k) for k in range(80)],
    "even": [0.0 if k % 2 else 0.8**k for k in range(120)],
    "odd": [0.8**k / k if k % 2 else 0.0 for k in range(120)],
    "one_odd": [0.08, 0.25, *(0.0 if k % 2 else 0.09 * 0.5**k for k in range(2, 40))],
    "signs": [(-0.6) ** k for k in range(60)],
}
#: Economised and then written in powers of rho, their coefficients would be 1e10 and 1e14 times larger.
SLOW = {
    "slow_even": [0.0 if k % 2 else 0.88**k for k in range(200)],
    "slow_odd": [0.9**k if k % 2 else 0.0 for k in range(240)],
}


def short_of(name: str, slack: float = DOUBLE) -> tuple[ShortSeries, Fraction]:
    found = shortened(PowerSeries.of(tuple((SERIES | SLOW)[name])), slack)
    assert found is not None
    return found


@pytest.mark.parametrize("slack", [DOUBLE, SINGLE])
@pytest.mark.parametrize("name", SERIES)
def test_the_distance_is_bounded(name: str, slack: float) -> None:
    short, wrong = short_of(name, slack)
    errors = [abs(short_value(short, rho) - polynomial(SERIES[name], rho)) for rho in POINTS]
    assert max(errors) <= wrong
    size = math.fsum(map(abs, SERIES[name]))
    assert wrong <= slack * size + 2.0**-53 * math.fsum(map(abs, short.rest))
    # and is no idle figure
    assert max(errors) > wrong / 1000


@pytest.mark.parametrize("name", SERIES)
def test_fewer_terms(name: str) -> None:
    short, _ = short_of(name)
    assert short.squared == (name not in ("none", "signs"))
    assert short.cost < len([c for c in SERIES[name] if c])
    assert short.head[0] == SERIES[name][0]
    if name == "one_odd":
        assert short.head == (0.08, 0.25)
        assert len(short.rest) == 15


@pytest.mark.parametrize("name", SERIES)
def test_cut_for_another_dtype(name: str) -> None:
    short, _ = short_of(name)
    fewer = cut(short, SINGLE)
    assert len(fewer.rest) < len(short.rest)
    size = math.fsum(map(abs, SERIES[name]))
    for rho in POINTS:
        assert abs(short_value(fewer, rho) - short_value(short, rho)) <= 1.01 * SINGLE * size
    assert cut(short, 0.0) == short


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", SERIES)
def test_evaluation_keeps_its_bound(name: str, dtype: type[np.floating]) -> None:
    short, _ = short_of(name)
    table = trimmed(ShortTable(short.head, short.rest, short.squared), np.dtype(dtype))
    assert isinstance(table, ShortTable)
    rho = np.concatenate([np.linspace(-1, 1, 401), [1e-200, 1e-30, -1e-9]]).astype(dtype)
    out = np.empty_like(rho)
    evaluate_short(table, rho, out, Scratch(rho.size, rho.dtype))
    errors = [
        abs(Fraction(float(found)) - short_value(short, Fraction(float(at))))
        for at, found in zip(rho, out, strict=True)
    ]
    bound = double_above(short_evaluation_bound(short))
    if dtype == np.float64:
        assert max(errors) <= bound
        assert max(errors) > bound / 1000
    else:
        assert float(max(errors)) <= 2.0**29 * bound
    # orthogonal inputs: the mean's square, which may be 0
    assert out[200] == dtype(SERIES[name][0])


@pytest.mark.parametrize("name", [*SERIES, *SLOW])
def test_the_divided_drop(name: str) -> None:
    """In powers of rho it would take coefficients larger than the kernel by many powers of ten."""
    short, _ = short_of(name)
    drop = divided_drop(short)
    slope = math.fsum(k * abs(c) for k, c in enumerate((SERIES | SLOW)[name]))
    assert math.fsum(map(abs, (*drop.head, *drop.rest))) <= 8 * slope
    for rho in POINTS:
        expected = short_value(short, Fraction(1)) - short_value(short, rho)
        assert abs((1 - rho) * short_value(drop, rho) - expected) <= 1e-15 * slope * (1 - rho)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", [*SERIES, *SLOW])
def test_the_divided_drop_evaluated(name: str, dtype: type[np.floating]) -> None:
    """Also with the terms left out that a dtype does not need, by both printers; and among other tables."""
    short, _ = short_of(name)
    drop, slack = divided_drop(short), float(np.finfo(dtype).eps) / 128
    rho = np.linspace(-1, 1, 1024).astype(dtype)
    exact = [short_value(drop, Fraction(float(at))) for at in rho]
    allowed = (
        8
        * len(drop.rest)
        * float(np.finfo(dtype).eps)
        * math.fsum(k * abs(c) for k, c in enumerate((SERIES | SLOW)[name]))
    )
    table = ShortTable(drop.head, drop.rest, drop.squared, drop.rising)
    fewer = cut(drop, slack)
    plan = bundle((table, table, table, table), np.dtype(dtype))
    scratch, out = Scratch(rho.size, rho.dtype), np.empty_like(rho)
    for chosen in (trimmed(table, rho.dtype), ShortTable(fewer.head, fewer.rest, fewer.squared, fewer.rising)):
        assert isinstance(chosen, ShortTable)
        evaluate_short(chosen, rho, out, scratch)
        assert max(abs(Fraction(float(a)) - b) for a, b in zip(out, exact, strict=True)) <= allowed
    outs = tuple(np.empty_like(rho) for _ in plan.tables)
    evaluate_bundle(plan, rho, rho, outs, Scratch(rho.size, rho.dtype))
    assert max(abs(Fraction(float(a)) - b) for a, b in zip(outs[-1], exact, strict=True)) <= allowed


@pytest.mark.parametrize("coefficients", [(0.0,), (1.0,), (0.5, 0.5), (1.0, 0.0, 0.0, 0.25), (0.0, 0.0, 1.0)])
def test_nothing_is_gained_by_short_ones(coefficients: tuple[float, ...]) -> None:
    assert shortened(PowerSeries.of(coefficients), DOUBLE) is None


def test_no_series_is_taken_whose_coefficients_grow() -> None:
    """What a power series near a singularity at 1 sums up with small coefficients takes large ones in powers of y."""
    found = shortened(PowerSeries.of(tuple(0.99**k for k in range(1000))), DOUBLE)
    assert found is None or math.fsum(map(abs, found[0].rest)) <= 8 * 100


@pytest.mark.parametrize("shifted", [False, True])
def test_chebyshev_coefficients_are_exact(shifted: bool) -> None:
    coefficients = [Fraction(c) for c in (0.5, -1.25, 3.0, 0.0, 7.5, 0.1)]
    series = monomial_to_chebyshev(coefficients, shifted)
    assert len(series) == len(coefficients)
    back = list(chebyshev_to_monomial(series))
    for z in POINTS[64:]:
        assert polynomial(back, 2 * z - 1 if shifted else z) == polynomial(coefficients, z)
    if not shifted:
        assert back == coefficients
    assert monomial_to_chebyshev([]) == (Fraction(0),)
