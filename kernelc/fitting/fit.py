"""Fitting: the best way to evaluate kappa and kappa_dot on all of [-1, 1] in doubles.

A power series whose proved truncation is below 2e-15 of kappa(1) is taken where 256 terms reach it, economised to a
shorter polynomial where there is one.
Otherwise the kernel is sampled in theta = arccos(rho) and interpolated: by the certified series where
its tail is negligible at that rho, by two-dimensional quadrature near theta = 0 and pi.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np
from flint import arb, ctx, fmpq
from numpy.typing import NDArray

from kernelc.balls.doubles import double_above, nearest_double
from kernelc.balls.tape import arb_of
from kernelc.economy import shortened
from kernelc.errors import CertificationError
from kernelc.fitting import chebyshev
from kernelc.fitting.homogeneous import HomogeneousPair
from kernelc.fitting.portable import cosine_sine
from kernelc.fitting.proxy import make_proxy
from kernelc.fitting.quadrature import PairIntegral
from kernelc.model import (
    ActivationTraits,
    DirectDual,
    DirectEvaluation,
    Expansion,
    GivenExpansion,
    HermiteExpansion,
    Parity,
    SeriesExpansion,
)
from kernelc.program import PowerSeries, ShortSeries

Array = NDArray[np.float64]
#: theta -> (kappa, kappa_dot) at rho = cos(theta), by the slow road
Values = Callable[[float], tuple[float, float]]
SERIES_ERROR = 2e-15
#: What an economised series may leave out, of the sum of its coefficients.
LEFT_OUT = 2.0**-59
SERIES_DEGREE = 256
LONG_SERIES_DEGREE = 1024
INTERPOLATION = 1e-14
AGREEMENT = 1e-9
CHECKS = (1.6e-8, 1.1e-5, 0.0021, 0.031, 0.17, 0.56, 1.3, 1.9, 2.7, 3.0, 3.12)


def fit(
    traits: ActivationTraits,
    expansion: HermiteExpansion,
    variance: Fraction,
    report: Callable[[str], None] = lambda message: None,
) -> DirectEvaluation:
    """The direct evaluations of kappa and (where it exists) kappa_dot.

    Raises:
        CertificationError: the two roads to the samples disagree.
    """
    grows = traits.growth is not None and traits.growth.quadratic > 0
    longest = LONG_SERIES_DEGREE if grows else SERIES_DEGREE

    def pair(scale: Array) -> Values:
        if traits.homogeneous_degree is not None:
            return HomogeneousPair(traits, variance)
        roots = [float(np.sqrt(size)) for size in scale]
        both = np.array([scale[0], scale[1] if len(scale) > 1 else np.inf])
        sizes = (roots[0], roots[1] if len(roots) > 1 else 0.0)
        return PairIntegral(make_proxy(traits, variance, _radius(traits, variance), sizes), both)

    return _fitted(expansion, traits.parity, longest, pair, report)


def fit_given(
    parity: Parity,
    expansion: GivenExpansion,
    values: Values,
    report: Callable[[str], None] = lambda message: None,
) -> DirectEvaluation:
    """The same for a dual kernel of which `values` gives (kappa, kappa_dot) at rho = cos(theta).

    `parity` is that of kappa in rho.

    Raises:
        CertificationError: the power series and the kernel itself disagree.
    """
    return _fitted(expansion, parity, SERIES_DEGREE, lambda scale: values, report)


def _fitted(
    expansion: Expansion,
    parity: Parity,
    longest: int,
    pair: Callable[[Array], Values],
    report: Callable[[str], None],
) -> DirectEvaluation:
    series = [expansion.kappa] + ([expansion.kappa_dot] if expansion.kappa_dot is not None else [])
    found = [series_dual(s, longest, expansion.precision, proved=expansion.proved) for s in series]
    if any(dual is None for dual in found):
        sampler = _Sampler(expansion, series, parity, pair)
        tabulated = _tabulated(sampler, report)
        found = [dual if dual is not None else tabulated[i] for i, dual in enumerate(found)]
    kappa, *rest = (dual for dual in found if dual is not None)
    return DirectEvaluation(kappa, rest[0] if rest else None)


def _sum(values: tuple[arb, ...]) -> arb:
    total = arb(0)
    for v in values:
        total += v
    return total


def series_dual(series: SeriesExpansion, longest: int, precision: int, *, proved: bool) -> DirectDual | None:
    """The shortest power series that is good to 2e-15 of its value at 1, with the proof; None beyond `longest`."""
    with ctx.workprec(precision):
        moment, total = series.moment, arb(0)
        for k, c in enumerate(series.coefficients[: longest + 1]):
            total += c
            exact = series.tail_is_zero_after is not None and k >= series.tail_is_zero_after
            tail = arb(0) if exact else moment - total
            if not tail.upper() <= SERIES_ERROR * moment.lower():
                continue
            kept = tuple(nearest_double(x) for x in series.coefficients[: k + 1])
            alternating = _sum(tuple(x if j % 2 == 0 else -x for j, x in enumerate(series.coefficients)))
            literals = _sum(tuple(abs(x - arb(y)) for x, y in zip(series.coefficients, kept, strict=False)))
            evaluation, left_out = shortest(kept)
            wrong = tail.upper() + literals + left_out
            return DirectDual(
                evaluation,
                float(moment.mid()),
                float(alternating.mid()),
                0.0 if moment.is_zero() else double_above(wrong / moment.lower()),
                proved,
                0,
            )
    return None


def shortest(kept: tuple[float, ...]) -> tuple[PowerSeries | ShortSeries, arb]:
    """The series of these coefficients, or a shorter polynomial and how far that may be off on [-1, 1]."""
    series = PowerSeries.of(kept)
    found = shortened(series, LEFT_OUT)
    if found is None:
        return series, arb(0)
    short, wrong = found
    return short, arb(fmpq(wrong.numerator, wrong.denominator))


class _Sampler:
    """theta -> (kappa, kappa_dot) at cos(theta), by whichever road is exact to double precision there."""

    def __init__(
        self,
        expansion: Expansion,
        series: list[SeriesExpansion],
        parity: Parity,
        pair: Callable[[Array], Values],
    ) -> None:
        with ctx.workprec(expansion.precision):
            self.scale = np.array([float(s.moment.mid()) for s in series])
            self._coefficients = [np.array([float(c.mid()) for c in s.coefficients]) for s in series]
            tails = [float((s.moment - _sum(s.coefficients)).abs_upper()) for s in series]
        degree = len(self._coefficients[0])
        ratio = max(t / m for t, m in zip(tails, self.scale, strict=True))
        # |rho|^(degree) tail <= 2e-17 of the value at 1.
        # Rounded, so that a last bit of the power function decides nothing.
        self._reach = round(min(1.0, (2e-17 / max(ratio, 2e-17)) ** (1.0 / degree)), 6)
        self.parity = parity
        self._pair = pair(self.scale)
        self._known: dict[float, Array] = {}

    def __call__(self, theta: float) -> Array:
        """The values at one theta, remembered."""
        if theta <= 0.0:
            return self.scale
        if theta > np.pi / 2 and self.parity != "none":
            # sigma even: kappa even, kappa_dot odd in rho; sigma odd: the other way round.
            sign = 1.0 if self.parity == "even" else -1.0
            mirrored: Array = self(float(np.pi - theta)) * np.array([sign, -sign])[: len(self.scale)]
            return mirrored
        if theta not in self._known:
            self._known[theta] = self.by_series(theta) if self.covers(theta) else self.by_quadrature(theta)
        return self._known[theta]

    def covers(self, theta: float) -> bool:
        """Whether the certified series alone is exact to double precision at theta."""
        return bool(abs(cosine_sine(theta)[0]) <= self._reach)

    def by_series(self, theta: float) -> Array:
        """The kept series, which is exact to double precision where `covers`."""
        return np.array([np.polynomial.polynomial.polyval(cosine_sine(theta)[0], c) for c in self._coefficients])

    def by_quadrature(self, theta: float) -> Array:
        """Two-dimensional quadrature, good at every theta."""
        return np.array(self._pair(theta)[: len(self.scale)])


def _radius(traits: ActivationTraits, variance: Fraction) -> float:
    """R in standard deviations beyond which sigma^2 and sigma'^2 count for less than 1e-32."""
    s = float(arb_of(variance).sqrt().mid())
    radius = 12.0
    for growth in (traits.growth, traits.derivative_growth):
        if growth is None:
            continue
        while radius < 60.0:
            t = s * radius
            log_square = 2 * float(growth.quadratic) * t * t + 2 * float(growth.linear) * t - radius * radius / 2
            if log_square + 2 * float(max(growth.power, Fraction(0))) * math.log1p(t) < -62.0:
                break
            radius += 0.5
    return min(radius, float(traits.range_limit) / s)


def _tabulated(sampler: _Sampler, report: Callable[[str], None]) -> list[DirectDual]:
    report("sampling the kernel near rho = 1")
    tolerance = INTERPOLATION * sampler.scale
    found = chebyshev.interpolate(sampler, tolerance)
    if found is None:
        found = chebyshev.interpolate(sampler, 100 * tolerance)
    if found is None:
        raise CertificationError("the kernel could not be tabulated in theta; please report the formula")
    edges, tables = found
    programs = [chebyshev.as_program(edges, tables, i, float(tolerance[i])) for i in range(len(sampler.scale))]
    errors = np.zeros(len(programs))
    for theta in CHECKS:
        roads = [sampler(theta)] + ([sampler.by_quadrature(theta)] if sampler.covers(theta) else [])
        for values in roads:
            fitted = np.array([chebyshev.evaluate(p, theta) for p in programs])
            errors = np.maximum(errors, np.abs(fitted - values) / sampler.scale)
    if np.max(errors) > AGREEMENT:
        raise CertificationError(f"two roads to the kernel's values differ by {np.max(errors):.1e} of its size")
    ends = sampler(float(np.pi))
    return [
        DirectDual(p, float(sampler.scale[i]), float(ends[i]), float(max(errors[i], 1e-15)), False, len(CHECKS))
        for i, p in enumerate(programs)
    ]
