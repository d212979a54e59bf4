"""Chebyshev interpolation in theta, in one panel where that converges, else in panels found by bisection."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from kernelc.fitting.portable import cosine_of_pi, product
from kernelc.program import ThetaChebyshev

Array = NDArray[np.float64]
#: theta -> the values to be interpolated together, shape (n,)
Sampler = Callable[[float], Array]
_DEGREES = (24, 48, 96)
_PANEL_DEGREE = 24
_MAX_PANELS = 120
_MIN_WIDTH = 1e-9


def angles(a: float, b: float, degree: int) -> Array:
    """The degree + 1 Chebyshev points of the second kind on [a, b], ends included, ascending."""
    # a + (b - a) sin^2 keeps the points near a accurate, which is where theta = 0 needs it.
    sines = np.array([cosine_of_pi(Fraction(1, 2) - Fraction(k, 2 * degree)) for k in range(degree + 1)])
    points: Array = a + (b - a) * (sines * sines)
    points[-1] = b
    return points


def coefficients(values: Array) -> Array:
    """Chebyshev coefficients of the interpolant through values at `angles`, shape (degree + 1, n)."""
    degree = len(values) - 1
    weights = np.full(degree + 1, 2.0 / degree)
    weights[[0, -1]] *= 0.5
    cosines = np.array([cosine_of_pi(Fraction(j, degree)) for j in range(2 * degree)])
    k = np.arange(degree + 1)
    table = cosines[np.outer(k, k) % (2 * degree)] * weights
    # The points ascend in theta, so x = cos(pi - ...): the sign of odd coefficients turns.
    result = product(table, values)
    result[[0, -1]] *= 0.5
    result[1::2] *= -1.0
    return result


def interpolate(sample: Sampler, tolerance: Array) -> tuple[Array, Array] | None:
    """(edges, tables) with tables of shape (panels, degree + 1, n); None where it does not converge."""
    for degree in _DEGREES:
        table = coefficients(np.array([sample(x) for x in angles(0.0, np.pi, degree)]))
        if _converged(table, tolerance):
            return np.array([0.0, np.pi]), table[None]
    return _panels(sample, tolerance)


def _converged(table: Array, tolerance: Array) -> bool:
    return bool(np.all(np.max(np.abs(table[-4:]), axis=0) <= tolerance))


def _panels(sample: Sampler, tolerance: Array) -> tuple[Array, Array] | None:
    stack = [(0.0, float(np.pi))]
    done: list[tuple[float, float, Array]] = []
    while stack:
        a, b = stack.pop()
        table = coefficients(np.array([sample(x) for x in angles(a, b, _PANEL_DEGREE)]))
        if _converged(table, tolerance) or b - a < _MIN_WIDTH:
            done.append((a, b, table))
            continue
        if len(done) + len(stack) > _MAX_PANELS:
            return None
        # Panels shrink towards the ends, where the singular points are.
        cut = a + (b - a) * (0.3 if a == 0.0 and b < 3.0 else 0.7 if b > 3.1 and a > 0.0 else 0.5)
        stack += [(cut, b), (a, cut)]
    return np.array([p[0] for p in done] + [done[-1][1]]), np.array([p[2] for p in done])


def as_program(edges: Array, tables: Array, column: int, tolerance: float) -> ThetaChebyshev:
    """One column of the tables as a typed operation, without coefficients that do not matter."""
    chosen = tables[:, :, column]
    large = np.flatnonzero(np.max(np.abs(chosen), axis=0) > tolerance * 0.02)
    keep = int(large[-1]) + 1 if len(large) else 1
    return ThetaChebyshev(tuple(float(e) for e in edges), tuple(tuple(float(c) for c in row[:keep]) for row in chosen))


def evaluate(program: ThetaChebyshev, theta: float) -> float:
    """The value at one theta, as the emitted code computes it up to rounding."""
    edges = np.array(program.edges)
    i = int(np.clip(np.searchsorted(edges, theta, side="right") - 1, 0, len(edges) - 2))
    a, b = edges[i], edges[i + 1]
    local = (2 * theta - a - b) / (b - a)
    return float(np.polynomial.chebyshev.chebval(local, np.array(program.tables[i])))
