"""What the tables beside knots are between rows of one norm: two variables, so that they can be closer.

Where both norms are the same, breakpoints of both sides meet at theta = 0 and pi alone, whatever the norm: the rest of
T is smooth in the norm, and a series in both converges to roundings with few numbers.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from kernelc.fitting.norms.activation import ScaledActivation
from kernelc.fitting.norms.grid import AngleMap, NormMap, along_first, norm_transform
from kernelc.fitting.norms.knotted import KnottedSampler
from kernelc.fitting.norms.samples import OUTER_RULES
from kernelc.fitting.norms.tensor import MIRRORED, PROGRESSION, theta_coefficients
from kernelc.fitting.portable import legendre_rule
from kernelc.model import ActivationTraits
from kernelc.program import NormKnots, OneNormProgram, OneNormSeries, Parity

Array = NDArray[np.float64]
#: Norms, and degrees in the angle: so many, and so many more for each factor of 25 of the range.
_NORMS, _MORE_NORMS = 16, 48
_ANGLES, _MORE_ANGLES = 72, 24
#: Where the last coefficients are no rounding, once more with so many times as many.
_GROWTH = (1.0, 1.5)
_SETTLED, _LAST = 1e-14, 3
#: Whole panels of the double integrals take more points than elsewhere: with 16 Tdot errs by 7e-14.
_RULES = ((0.25, legendre_rule(20)), *OUTER_RULES[1:])
#: Coefficients below this are dropped from a row's end, and decimals of a literal.
_DROPPED, _DECIMALS = 3e-16, 17


def one_norm_series(
    traits: ActivationTraits, activation: ScaledActivation, knots: NormKnots, norms: NormMap, angles: AngleMap
) -> OneNormProgram | None:
    """The rest of T and of Tdot, its error not known yet; None where no series settles."""
    length = 2.0 / norms.stretch / math.log(25.0)
    for growth in _GROWTH:
        count = 8 * math.ceil(growth * (_NORMS + _MORE_NORMS * length) / 8.0)
        degree = 8 * math.ceil(growth * (_ANGLES + _MORE_ANGLES * length) / 8.0)
        tables = [
            _coefficients(kernel) for kernel in _values(traits, activation, knots, norms.points(count), angles, degree)
        ]
        if all(_settled(table) for table in tables):
            parities = traits.parity, MIRRORED[traits.parity]
            series = [_series(table, parity) for table, parity in zip(tables, parities, strict=False)]
            return OneNormProgram(series[0], series[1] if len(series) > 1 else None, math.inf)
    return None


def _values(
    traits: ActivationTraits,
    activation: ScaledActivation,
    knots: NormKnots,
    norms: Array,
    angles: AngleMap,
    degree: int,
) -> Array:
    """(kernels, degree + 1, len(norms)): each norm by a sampler of its own, whose panels fit it."""
    points = angles.points(degree).tolist()
    columns = []
    for s in norms:
        sampler = KnottedSampler(activation, knots, np.array([s]), traits.parity, _RULES)
        columns.append([sampler(theta)[:, 0, 0] for theta in points])
    return np.array(columns).transpose(2, 1, 0)


def _coefficients(values: Array) -> Array:
    """(degree + 1, norms) values -> coefficients of T_m(z) T_j(x)."""
    over_angles = theta_coefficients(values)
    return np.ascontiguousarray(along_first(norm_transform(values.shape[1]), np.ascontiguousarray(over_angles.T)).T)


def _settled(table: Array) -> bool:
    """Whether nothing is left of the series in either direction."""
    last = max(float(np.abs(table[-_LAST:]).max()), float(np.abs(table[:, -_LAST:]).max()))
    return last <= _SETTLED


def _series(table: Array, parity: Parity) -> OneNormSeries:
    start, step = PROGRESSION[parity]
    rows = [_short(row) for row in table[start::step]]
    while len(rows) > 1 and not rows[-1]:
        rows.pop()
    return OneNormSeries(parity, tuple(rows))


def _short(row: Array) -> tuple[float, ...]:
    large = np.flatnonzero(np.abs(row) > _DROPPED)
    return tuple(round(float(value), _DECIMALS) for value in row[: int(large[-1]) + 1]) if len(large) else ()
