"""The tables against other roads: certified balls at the compiled variance, double integrals elsewhere."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np
from flint import arb, ctx
from numpy.typing import NDArray

from kernelc.fitting.norms.activation import ScaledActivation
from kernelc.fitting.norms.grid import AngleMap, NormMap, angle_map, chebyshev_rows
from kernelc.fitting.norms.tensor import PROGRESSION, dense
from kernelc.fitting.portable import cosine_sine, legendre_rule
from kernelc.fitting.proxy import Proxy, make_proxy
from kernelc.fitting.quadrature import PairIntegral
from kernelc.model import ActivationTraits, HermiteExpansion
from kernelc.numerics._knots import Knots
from kernelc.program import NormMoment, NormProgram, NormTensor, OneNormSeries

Array = NDArray[np.float64]
_INTEGRAL_POINTS = 120
_BITS = 160
_NUDGE = 1.0 + 2.0**-51
#: Places in the declared range (0: low, 1: high, in its logarithm) and angles at which the tables are compared:
#: ends, equal norms, near and nearly opposite pairs, and the middle.
_CHECKS = (
    (0.0, 0.0, 0.0),
    (1.0, 1.0, 0.0),
    (0.0, 1.0, 0.0),
    (1.0, 1.0, 0.0007),
    (0.83, 0.81, 0.006),
    (0.37, 0.37, 0.021),
    (0.93, 0.12, 0.055),
    (0.0, 1.0, 0.19),
    (0.71, 0.33, 0.43),
    (0.97, 0.99, 0.77),
    (0.05, 0.62, 1.13),
    (0.49, 0.52, 1.571),
    (1.0, 0.0, 2.03),
    (0.88, 0.76, 2.61),
    (0.21, 0.94, 2.93),
    (1.0, 1.0, 3.1),
    (0.59, 0.57, 3.139),
)
#: The same between rows of one norm.
_ONE_NORM_CHECKS = (
    (0.0, 0.0),
    (1.0, 0.0),
    (0.47, 0.0004),
    (1.0, 0.0071),
    (0.29, 0.013),
    (0.91, 0.034),
    (0.0, 0.12),
    (0.61, 0.27),
    (0.83, 0.66),
    (0.11, 1.1),
    (0.72, 1.571),
    (0.38, 2.2),
    (0.97, 2.87),
    (0.55, 3.08),
    (1.0, 3.135),
)


def _map(program: NormProgram) -> NormMap:
    return NormMap(program.norms[0], program.norms[1], program.shift, program.stretch, program.offset)


def moment(table: NormMoment, s: float, x: float) -> float:
    """E[f(s Z)^2] as the emitted code computes it up to rounding."""
    logarithm = float(np.polynomial.chebyshev.chebval(x, np.array(table.coefficients)))
    return float(s ** (2 * table.power) * arb(logarithm).exp().mid())


def _layer_values(tensor: NormTensor, x: Array) -> Array:
    """Each layer's value at one pair of norms."""
    count = max(len(layer) for layer in tensor.layers)
    rows = chebyshev_rows(x, count)
    return np.array([np.sum(layer * rows[0][:, None] * rows[1]) for layer in dense(tensor, count)])


def _series(tensor: NormTensor, x: Array) -> Array:
    """Chebyshev coefficients in z at one pair of norms."""
    return _spread(tensor.parity, _layer_values(tensor, x))


def _spread(parity: str, terms: Array) -> Array:
    """All Chebyshev coefficients from those that the parity leaves."""
    start, step = PROGRESSION[parity]
    series = np.zeros(start + step * len(terms))
    series[start::step] = terms
    return series


def _normalized(tensor: NormTensor, x: Array, z: float) -> float:
    return float(np.polynomial.chebyshev.chebval(z, _series(tensor, x)))


def _value(program: NormProgram, s: Array, x: Array, theta: float) -> list[float]:
    """T and, where it is not refused, Tdot, not normalized."""
    return _with_knots(program, _tabulated(program, s, x, theta), s, theta)


def _with_knots(program: NormProgram, values: list[float], s: Array, theta: float) -> list[float]:
    """The tables' part of both and, where there are knots, theirs."""
    if program.knots is None:
        return values
    powers = Knots(program.knots.damping, program.knots.points, program.knots.weights)
    cross = _cross(s, theta)
    if theta == 0.0 and s[0] != s[1]:
        # beyond the boundary, as emitted code asks, where the determinant is 0: its rounding would be an angle of 1e-8
        cross *= _NUDGE
    covariance = np.array([[s[0] * s[0]], [cross], [s[1] * s[1]]])
    parts = (powers.dual, powers.dual_dot)
    return [value + float(part(*covariance)[0]) for value, part in zip(values, parts, strict=False)]


def _cross(s: Array, theta: float) -> float:
    return float(s[0] * s[1] * cosine_sine(theta)[0])


def _true_angle(s: Array, theta: float) -> float:
    """The angle that the covariance has when it is rounded: near 0 and pi it is farther off than a rounding."""
    if theta == 0.0:
        return theta
    with ctx.workprec(_BITS):
        size = arb(float(s[0] * s[0])).sqrt() * arb(float(s[1] * s[1])).sqrt()
        return float((arb(_cross(s, theta)) / size).acos().mid())


def _one_norm_value(program: NormProgram, s: Array, x: Array, theta: float) -> list[float]:
    """The same from the tables of one norm; s, x: of both rows of the pair."""
    assert program.one_norm is not None
    z = float(angle_map(program.grade).variable(np.array([theta]))[0])
    moments = (program.moment, program.slope_moment)
    values = [
        moment(table, s[0], x[0]) * float(np.polynomial.chebyshev.chebval(z, _one_norm_series(series, x)))
        for series, table in zip(program.one_norm.series, moments, strict=False)
        if table is not None
    ]
    return _with_knots(program, values, s, theta)


def _one_norm_series(series: OneNormSeries, x: Array) -> Array:
    """Chebyshev coefficients in z at one norm."""
    terms = [float(np.polynomial.chebyshev.chebval(x[0], np.array(row))) if row else 0.0 for row in series.rows]
    return _spread(series.parity, np.array(terms))


def _tabulated(program: NormProgram, s: Array, x: Array, theta: float) -> list[float]:
    """The tables' part of both."""
    angles = angle_map(program.grade)
    z = float(angles.variable(np.array([theta]))[0])
    scale = math.sqrt(moment(program.moment, s[0], x[0]) * moment(program.moment, s[1], x[1]))
    if program.dual_dot is None or program.slope_moment is None:
        assert program.dual is not None
        return [scale * _normalized(program.dual, x, z)]
    slope_scale = math.sqrt(moment(program.slope_moment, s[0], x[0]) * moment(program.slope_moment, s[1], x[1]))
    slope = slope_scale * _normalized(program.dual_dot, x, z)
    if program.dual is not None:
        return [scale * _normalized(program.dual, x, z), slope]
    part = slope_scale * _integral(program.dual_dot, x, z, angles)
    means = np.polynomial.chebyshev.chebval(x, np.array(program.hermite[0]))
    return [scale * float(means[0] * means[1]) - float(s[0] * s[1]) * part, slope]


def _integral(tensor: NormTensor, x: Array, z: float, angles: AngleMap) -> float:
    """The integral of the normalized Tdot times sin(theta) over theta from pi / 2 to theta(z)."""
    nodes, weights = legendre_rule(_INTEGRAL_POINTS)
    at = 0.5 * z * (1.0 + nodes)
    theta, slopes = angles.angle(at)
    sines = np.array([cosine_sine(t)[1] for t in theta.tolist()])
    values = np.polynomial.chebyshev.chebval(at, _series(tensor, x))
    return float(np.sum(weights * values * sines * slopes)) * 0.5 * z


def largest_difference(program: NormProgram, expansion: HermiteExpansion, variance: float) -> float:
    """Moments and a_k at the compiled variance against certified balls, relative to the root of the moment.

    0 where the compiled variance is outside the tables. The caller has set the working precision.
    """
    s = float(np.sqrt(variance))
    if not program.norms[0] <= s <= program.norms[1]:
        return 0.0
    x = _map(program).variable(np.array([s]))
    size = moment(program.moment, s, float(x[0]))
    exact = float(expansion.kappa.moment.mid())
    worst = abs(size / exact - 1.0)
    if program.slope_moment is not None and expansion.kappa_dot is not None:
        slope = float(expansion.kappa_dot.moment.mid())
        worst = max(worst, abs(moment(program.slope_moment, s, float(x[0])) / slope - 1.0))
    for column, ball in zip(program.hermite, expansion.hermite, strict=False):
        value = float(np.polynomial.chebyshev.chebval(float(x[0]), np.array(column)))
        worst = max(worst, abs(value - float((ball / expansion.kappa.moment.sqrt()).mid())))
    return worst


def compared(
    traits: ActivationTraits, activation: ScaledActivation, program: NormProgram, norms: tuple[float, float]
) -> tuple[float, int]:
    """(largest difference, how many) of T and Tdot from double integrals, relative to both moments' roots."""
    return _compared(traits, activation, program, norms, _CHECKS, _value)


def compared_one_norm(
    traits: ActivationTraits, activation: ScaledActivation, program: NormProgram, norms: tuple[float, float]
) -> tuple[float, int]:
    """The same of the tables of rows of one norm."""
    places = tuple((place, place, theta) for place, theta in _ONE_NORM_CHECKS)
    return _compared(traits, activation, program, norms, places, _one_norm_value)


def _compared(
    traits: ActivationTraits,
    activation: ScaledActivation,
    program: NormProgram,
    norms: tuple[float, float],
    places: tuple[tuple[float, float, float], ...],
    evaluate: Callable[[NormProgram, Array, Array, float], list[float]],
) -> tuple[float, int]:
    sizes = (1e-4, 1e-4 if activation.with_slope else 0.0)
    proxy = make_proxy(traits, Fraction(1), activation.radius * norms[1], sizes)
    moments = [m for m in (program.moment, program.slope_moment) if m is not None]
    low, high = arb(norms[0]).log(), arb(norms[1]).log()
    worst, done = 0.0, 0
    for first, second, theta in places:
        s = np.array([float((low + (high - low) * arb(u)).exp().mid()) for u in (first, second)])
        x = _map(program).variable(s)
        scale = [float(np.sqrt(moment(m, s[0], x[0]) * moment(m, s[1], x[1]))) for m in moments]
        sizes_two = np.array([scale[0], scale[1] if len(scale) > 1 else np.inf])
        left = _scaled(proxy, float(s[0]), activation.radius)
        right = left if s[1] == s[0] else _scaled(proxy, float(s[1]), activation.radius)
        pair = PairIntegral(left, sizes_two, right)
        exact = pair(theta if program.knots is None else _true_angle(s, theta))
        for value, true, size in zip(evaluate(program, s, x, theta), exact, scale, strict=False):
            worst, done = max(worst, abs(value - true) / size), done + 1
    return worst, done


def _scaled(proxy: Proxy, s: float, radius: float) -> Proxy:
    """sigma(s z) as a function of z in [-radius, radius], or a panel beyond."""
    edges = proxy.edges / s
    inside = np.flatnonzero((edges > -radius) & (edges < radius))
    first, last = max(int(inside[0]) - 1, 0), min(int(inside[-1]) + 1, len(edges) - 1)
    kept = edges[first : last + 1]
    # cells of at most two standard deviations: the Gaussian must be resolved too
    grid = np.arange(-math.ceil(radius / 2), math.ceil(radius / 2) + 1) * 2.0
    cuts = np.concatenate([proxy.cuts / s, grid])
    cuts = np.unique(np.concatenate([kept[[0, -1]], cuts[(cuts > kept[0]) & (cuts < kept[-1])]]))
    return Proxy(kept, proxy.values[first:last], proxy.slopes[first:last], proxy.breaks / s, cuts, proxy.singular)
