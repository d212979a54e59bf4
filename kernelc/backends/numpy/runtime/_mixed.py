# Part of the runtime that kernelc copies, unchanged, into every module it generates whose closed form needs it.
"""T of a small row and one that is not, where a closed form's terms of size 1 would cancel down to the small norm.

With sigma(t) = sum_k plus_k t^k right of 0, sum_k minus_k t^k left of it, u = s (c Z + n W), v = s' Z,

    T = E[sigma(s' Z) sum_k s^k (plus_k E[X^k 1{X > 0}] + minus_k E[X^k 1{X < 0}])],    X = c Z + n W given Z,

by the line's rule in Z; the half moments of X by their recursion.

Part of generated packages whose closed form needs it, copied verbatim; it needs NumPy alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ._activation import Activation
from ._inputs import DoubleArray
from ._line import levels_of, line_rule

#: The share of sqrt(T(q11, q11, q11) T(q22, q22, q22)) by which half of the points may differ from all.
_RESOLVED = 1e-6
#: Pairs in work at a time.
_FEW = 64


@dataclass(frozen=True, slots=True)
class MixedSeries:
    """The value for arrays of one shape (k,), of which min(q11, q22) is small; NaN where no rule resolves it.

    `ndtr`: the normal distribution function.
    """

    activation: Activation
    order: int
    ndtr: Callable[[DoubleArray], DoubleArray]

    def __call__(self, q11: DoubleArray, q12: DoubleArray, q22: DoubleArray) -> DoubleArray:
        result = np.full(q12.shape, np.nan)
        first, second = np.minimum(q11, q22), np.maximum(q11, q22)
        small, large = np.sqrt(first), np.sqrt(second)
        cosine = np.clip(q12 / (small * large), -1.0, 1.0)
        # what this loses next to 1 is felt in its square alone
        sine = np.sqrt((1.0 - cosine) * (1.0 + cosine))
        levels = levels_of(np.maximum(large, 1.0 / np.maximum(sine, 1e-9)))
        for level in np.unique(levels):
            rows = np.flatnonzero(levels == level)
            for start in range(0, rows.size, _FEW):
                part = rows[start : start + _FEW]
                result[part] = self._values(small[part], large[part], cosine[part], sine[part], int(level))
        return result

    def _values(
        self, small: DoubleArray, large: DoubleArray, cosine: DoubleArray, sine: DoubleArray, level: int
    ) -> DoubleArray:
        """T over small^order, then multiplied by it: powers of a tiny norm underflow."""
        total, coarse, square = (np.zeros(small.shape) for _ in range(3))
        for sign in (1.0, -1.0):
            kinks = [sign * point for point in self.activation.breakpoints if sign * point > 0.0]
            z, (weights, others) = line_rule(kinks, [large], level, 1)
            value = self.activation.at(large, sign * z)
            product = value * self._given(small, sign * cosine[:, None] * z, sine[:, None])
            total += np.einsum("ij,ij->i", weights, product)
            coarse += np.einsum("ij,ij->i", others, product)
            square += np.einsum("ij,ij,ij->i", weights, value, value)
        resolved = np.abs(total - coarse) <= _RESOLVED * np.sqrt(square)
        return np.where(resolved, total, np.nan) * small**self.order

    def _given(self, small: DoubleArray, mean: DoubleArray, spread: DoubleArray) -> DoubleArray:
        """E[sigma(small X)] / small^order of X of this mean and standard deviation."""
        ratio = np.divide(mean, spread, out=np.copysign(np.inf, mean), where=spread > 0.0)
        edge = spread * np.exp(-0.5 * ratio * ratio) / np.sqrt(2.0 * np.pi)
        total = np.zeros(mean.shape)
        for side, coefficients in ((1.0, self.activation.plus), (-1.0, self.activation.minus)):
            before = self.ndtr(side * ratio)
            moment = mean * before + side * edge
            scale = np.ones(small.shape)
            for power in range(1, len(coefficients)):
                if power > 1:
                    before, moment = moment, mean * moment + (power - 1) * spread * spread * before
                if power >= self.order:
                    total += (coefficients[power] * scale)[:, None] * moment
                    scale = scale * small
        return total
