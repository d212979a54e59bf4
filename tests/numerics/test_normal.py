"""The NumPy normal functions against mpmath."""

from __future__ import annotations

import math
from collections.abc import Callable

import mpmath
import numpy as np
import pytest

from kernelc.closedform.special import bivariate_normal as bivariate_normal_in_mpmath
from kernelc.numerics._arithmetic import difference_of_products
from kernelc.numerics._normal import (
    bivariate_normal,
    dawson,
    erf,
    erfc,
    erfcx,
    ndtr,
    quadrant_excess,
    scaled_quadrant,
    scaled_quadrants,
)

RANDOM = np.random.default_rng(7)
POINTS = np.concatenate([RANDOM.uniform(0, 6, 120), 10 ** RANDOM.uniform(-9, 1.3, 120)])
BOTH = np.concatenate([POINTS, -POINTS])


@pytest.mark.parametrize(
    ("function", "exact", "points", "allowed"),
    [
        (erf, mpmath.erf, BOTH, 4e-16),
        (erfc, mpmath.erfc, BOTH[np.abs(BOTH) < 26], 8e-16),
        (erfcx, lambda x: mpmath.exp(x * x) * mpmath.erfc(x), POINTS, 8e-16),
        (ndtr, mpmath.ncdf, BOTH[BOTH > -37], 8e-16),
        (dawson, lambda x: mpmath.sqrt(mpmath.pi) / 2 * mpmath.exp(-x * x) * mpmath.erfi(x), BOTH, 2e-15),
    ],
)
def test_relative_error(
    function: Callable[[np.ndarray], np.ndarray],
    exact: Callable[[mpmath.mpf], mpmath.mpf],
    points: np.ndarray,
    allowed: float,
) -> None:
    with mpmath.workdps(40):
        values = function(points)
        for x, value in zip(points, values, strict=True):
            truth = exact(mpmath.mpf(float(x)))
            assert abs(mpmath.mpf(float(value)) - truth) <= allowed * abs(truth), x


def test_ends_of_the_line() -> None:
    infinite = np.array([-np.inf, np.inf])
    assert np.array_equal(ndtr(infinite), [0.0, 1.0])
    assert np.array_equal(erf(infinite), [-1.0, 1.0])
    assert np.array_equal(erfc(infinite), [2.0, 0.0])
    assert ndtr(-44721.0) == 0.0
    assert erfcx(np.inf) == 0.0
    assert ndtr(0.0) == 0.5


def _pairs(count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    h, k = (RANDOM.normal(size=count) * 10 ** RANDOM.uniform(-3, 0.8, count) for _ in (0, 1))
    k[::5] = h[::5] * (1 + 1e-6 * RANDOM.normal(size=len(h[::5])))
    k[1::5] = -h[1::5] * (1 + 1e-5 * RANDOM.normal(size=len(h[1::5])))
    near_one = np.sign(RANDOM.normal(size=count)) * (1 - 10 ** RANDOM.uniform(-13, -0.5, count))
    return h, k, np.where(np.arange(count) % 2 == 0, RANDOM.uniform(-1, 1, count), near_one)


def test_bivariate_normal_to_1e_14_with_correlations_next_to_one() -> None:
    h, k, r = _pairs(60)
    values = bivariate_normal(h, k, r)
    with mpmath.workdps(20):
        for point in zip(h, k, r, values, strict=True):
            x, y, c, value = map(float, point)
            assert abs(bivariate_normal_in_mpmath(x, y, c) - value) < 2e-15, point


def test_bivariate_normal_at_correlations_of_one() -> None:
    h, k = np.array([1.0, 1.0, 0.5, -1.0, 0.3]), np.array([2.0, 1.0, 0.5, 2.0, -0.3])
    r = np.array([1.0, 1.0, -1.0, -1.0, -1.0])
    exact = np.concatenate([ndtr([1.0, 1.0]), ndtr([0.5, -1.0]) - ndtr([-0.5, -2.0]), [0.0]])
    assert np.max(np.abs(bivariate_normal(h, k, r) - exact)) < 3e-16


def test_scaled_quadrant_keeps_relative_accuracy_in_the_far_tail() -> None:
    # exp((h, k) R^-1 (h, k)/2) P(X <= h, Y <= k): the bivariate Mills ratio, by quadrature over the quadrant
    with mpmath.workdps(30):
        for h, k, r in ((-30.0, -20.0, 0.3), (-4.0, -9.0, -0.6), (-100.0, -100.0, 0.999), (-1e4, -2e4, 0.0)):
            spread = mpmath.sqrt((1 - mpmath.mpf(r)) * (1 + mpmath.mpf(r)))
            bh, bk = (k - r * h) / spread, (h - r * k) / spread
            form = (h * h + bh * bh) / 2
            value = scaled_quadrant(
                h, k, float(bh), float(bk), float(form), float(form - h * h / 2), float(form - k * k / 2), 0.0
            )
            # x = |h| + s: the outer integral decays over the scale of 1/slope
            slope = (-h + r * k) / (1 - mpmath.mpf(r) ** 2)

            def inner(s: mpmath.mpf, spread: mpmath.mpf = spread, r: float = r, bh: mpmath.mpf = bh) -> mpmath.mpf:
                z = bh + r * s / spread  # of Y given X = h - s
                return mpmath.exp(z * z / 2) * mpmath.ncdf(z) * spread

            def outer(s: mpmath.mpf, r: float = r, slope: mpmath.mpf = slope) -> mpmath.mpf:
                return mpmath.exp(-slope * s - s * s / (2 * (1 - mpmath.mpf(r) ** 2))) * inner(s)

            ends = [mpmath.mpf(j) / slope for j in (0, 1, 4, 12, 40, 90)]
            truth = mpmath.quad(outer, ends) / mpmath.sqrt(2 * mpmath.pi) / spread
            assert abs(value - truth) < 1e-13 * truth


def test_quadrant_excess_is_relative_to_the_thresholds() -> None:
    with mpmath.workdps(40):
        for h, k, r in (
            (1e-6, -3e-7, 0.4),
            (0.2, 0.1, -0.999),
            (1e-4, 1e-4, 1 - 1e-9),
            (-0.5, 0.9, 0.99),
            (0.0, 1e-3, 0.5),
        ):
            spread = mpmath.sqrt((1 - mpmath.mpf(r)) * (1 + mpmath.mpf(r)))
            bh, bk = (k - r * mpmath.mpf(h)) / spread, (h - r * mpmath.mpf(k)) / spread
            truth = bivariate_normal_in_mpmath(h, k, r) - mpmath.mpf(1) / 4 - mpmath.asin(r) / (2 * mpmath.pi)
            value = quadrant_excess(*(float(x) for x in (h, k, bh, bk)))
            assert abs(value - truth) < 4e-16 * (abs(h) + abs(k))


def test_difference_of_products_is_exact_where_plain_arithmetic_is_not() -> None:
    a, b = 1.0 + 2.0**-30, 1.0 - 2.0**-30
    assert difference_of_products(a, b, 1.0, 1.0) == -(2.0**-60)
    assert a * b - 1.0 == 0.0
    assert abs(difference_of_products(3e200, 2e80, 1e200, 1e80) - 5e280) < 1e265


def test_the_quadrant_at_the_origin_is_its_angle() -> None:
    """h = k = 0: every distance vanishes, and the correlation alone decides."""
    for r in (-1.0, -0.3, 0.0, 0.5, 1.0):
        expected = 0.25 + math.asin(r) / (2 * math.pi)
        assert bivariate_normal(0.0, 0.0, r) == pytest.approx(expected, abs=1e-15)
        assert bivariate_normal(-0.0, 0.0, r) == pytest.approx(expected, abs=1e-15)


def test_quadrants_together_are_those_one_by_one() -> None:
    """Bit by bit, whatever is evaluated beside them: scalars, one point, and more than are in work at a time."""
    for shape in ((), (1,), (3000,)):
        sets = [tuple(np.random.default_rng(seed).standard_normal((8, *shape)) * 3.0) for seed in range(4)]
        mixed = [(*arguments[:4], 0.5, *arguments[5:7], 0.0) for arguments in sets]
        for value, arguments in zip(scaled_quadrants(*mixed), mixed, strict=True):
            assert value.shape == shape
            assert np.array_equal(value, scaled_quadrant(*arguments))
            if value.size > 1:
                last = (np.asarray(argument).reshape(-1)[-1] for argument in arguments)
                assert value[-1] == scaled_quadrant(*last)
