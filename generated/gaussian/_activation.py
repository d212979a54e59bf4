# Part of the runtime that kernelc copies, unchanged, into every module it generates.
"""An activation itself, piece by piece: what the distance of sigma(s t) and sigma(s' t) is taken from.

Part of every generated package, copied verbatim; it needs NumPy alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ._inputs import DoubleArray

#: t^power exp(quadratic t^2 + linear t) (cosine cos(frequency t) + sine sin(frequency t)), in this order; with two more
#: numbers a, b it is also multiplied by the normal distribution function of a t + b
Term = tuple[int, float, float, float, float, float] | tuple[int, float, float, float, float, float, float, float]


@dataclass(frozen=True, slots=True)
class Activation:
    """sigma(t) is the sum of `terms[i]` for ends[i - 1] <= t < ends[i].

    `plus`, `minus`: its Taylor coefficients at 0 from either side where its terms cancel there; they serve standard
    deviations whose square is at most `below`. `ndtr`: the normal distribution function, where a term asks for it.
    """

    ends: tuple[float, ...]
    terms: tuple[tuple[Term, ...], ...]
    plus: tuple[float, ...] = ()
    minus: tuple[float, ...] = ()
    below: float = -1.0
    ndtr: Callable[[DoubleArray], DoubleArray] | None = None

    @property
    def breakpoints(self) -> tuple[float, ...]:
        """Where one piece ends and another begins."""
        return self.ends[:-1]

    def at(self, s: DoubleArray, z: DoubleArray) -> DoubleArray:
        """sigma(s z), s (k,) and z (k, m); float64, a few roundings of the largest term."""
        t = s[:, None] * z
        result = np.zeros(t.shape)
        small = s * s <= self.below
        if bool(small.any()):
            result[small] = self._near_zero(t[small])
        if not bool(small.all()):
            result[~small] = self._by_pieces(t[~small])
        return result

    def _near_zero(self, t: DoubleArray) -> DoubleArray:
        plus, minus = (np.polynomial.polynomial.polyval(t, np.array(side)) for side in (self.plus, self.minus))
        return np.asarray(np.where(t < 0.0, minus, plus))

    def _by_pieces(self, t: DoubleArray) -> DoubleArray:
        result, start = np.zeros(t.shape), -np.inf
        for end, terms in zip(self.ends, self.terms, strict=True):
            inside = (t >= start) & (t < end)
            here = t[inside]
            total = np.zeros(here.shape)
            for power, quadratic, linear, frequency, cosine, sine, *gate in terms:
                value = here**power
                if gate and self.ndtr is not None:
                    value = value * self.ndtr(gate[0] * here + gate[1])
                if quadratic or linear:
                    value = value * np.exp((quadratic * here + linear) * here)
                wave = cosine * np.cos(frequency * here) if cosine and frequency else cosine
                total += value * (wave + sine * np.sin(frequency * here) if sine else wave)
            result[inside] = total
            start = end
        return result
