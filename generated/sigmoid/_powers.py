# Part of the runtime that kernelc copies, unchanged, into every module it generates.
"""What the sketches of powers of rho share: factors of each degree, the exact block, the prediction.

    K(x, y) = sum_k sum_r f_kr(|x|) f_kr(|y|) rho^k,    degrees 0..exact explicit, exact + 1..top sketched

Part of every generated package, copied verbatim; it needs NumPy alone.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ._harmonics import HarmonicBlock
from ._inputs import DoubleArray, FloatArray
from ._judged import Pairs, kernel_at
from ._radial import RadialSeries, radial_factors
from ._rows import RowSource

#: The last degree that a tree or a product of CountSketches is made for.
LAST_POWER = 16
_LAST_EXACT = 1
_FACTORS = 3
_FACTOR_TOLERANCE = 1e-7


def power_factors(series: RadialSeries) -> list[DoubleArray]:
    """For each degree k <= 16 the radial factors (r, J), r <= 3: C_k(s_i, s_j) ~ sum_r f_r(s_i) f_r(s_j)."""
    blocks = np.moveaxis(series.coefficients, -1, 0)[: LAST_POWER + 1]
    return radial_factors(series, blocks, _FACTORS, _FACTOR_TOLERANCE)


@dataclass(frozen=True, slots=True)
class PowerDesign:
    """Degrees 0..exact explicit, exact + 1..top sketched in `spare` columns."""

    exact: int
    top: int
    spare: int


class PowerPlanner(ABC):
    """Chooses the degrees of one sketch of powers and predicts its error."""

    def __init__(self, series: RadialSeries, columns: int) -> None:
        self.series, self.columns = series, columns
        self.factors = power_factors(series)
        self._truths: dict[int, tuple[Pairs, DoubleArray]] = {}

    @abstractmethod
    def variance(self, weights: DoubleArray, rho: DoubleArray, design: PowerDesign) -> DoubleArray:
        """The variance of the sketched part at each pair: weights (pairs, degrees) of rho^k, unit rows."""

    @abstractmethod
    def flops(self, design: PowerDesign) -> int:
        """Additions and multiplications a point, roughly."""

    def exact_columns(self, exact: int) -> int:
        """Columns of the explicit monomials."""
        return sum(HarmonicBlock(k, self.columns, True).columns * len(self.factors[k]) for k in range(exact + 1))

    def designs(self, features: int) -> Iterator[PowerDesign]:
        """Every choice that fits, with room for at least 16 sketched columns."""
        for exact in range(_LAST_EXACT + 1):
            if exact >= len(self.factors):
                return
            spare = features - self.exact_columns(exact)
            if spare < 16:
                return
            for top in range(exact, len(self.factors)):
                yield PowerDesign(exact, top, spare)

    def parts(self, pairs: Pairs, design: PowerDesign) -> tuple[DoubleArray, DoubleArray, DoubleArray]:
        """(kernel, kernel - kept, variance) at each pair."""
        if id(pairs) not in self._truths:
            self._truths[id(pairs)] = (pairs, kernel_at(self.series, pairs))
        truth = self._truths[id(pairs)][1]
        rows = self.series.weights(pairs.norms)
        kept, weights = np.zeros_like(truth), np.zeros((len(truth), design.top + 1))
        for degree in range(design.top + 1):
            values = rows @ self.factors[degree].T
            if degree > design.exact:
                values = values[:, :1]
            product = np.sum(values[pairs.first] * values[pairs.second], axis=1)
            kept += product * pairs.rho**degree
            if degree > design.exact:
                weights[:, degree] = product
        return truth, truth - kept, self.variance(weights, pairs.rho, design)

    def error(self, pairs: Pairs, design: PowerDesign) -> float:
        """The predicted relative error over the pairs."""
        truth, bias, variance = self.parts(pairs, design)
        size = pairs.mean(truth**2)
        return math.sqrt(pairs.mean(bias**2 + variance) / size) if size > 0.0 else 0.0

    def best(self, features: int, pairs: Pairs) -> PowerDesign | None:
        """The design with the least predicted error; None where nothing fits."""
        found = [(self.error(pairs, design), design) for design in self.designs(features)]
        return min(found, key=lambda item: item[0])[1] if found else None


class PowerMap(ABC):
    """A drawn sketch of powers: rows of a source in, features out."""

    def __init__(self, design: PowerDesign, factors: list[DoubleArray], columns: int, dtype: np.dtype[Any]) -> None:
        self.design, self.dtype = design, dtype
        self.exact = [(HarmonicBlock(k, columns, True), factors[k]) for k in range(design.exact + 1)]
        self.leading = np.array([part[0] for part in factors[: design.top + 1]])

    @abstractmethod
    def sketch(self, rows: RowSource, start: int, stop: int, inverse: DoubleArray, weights: FloatArray) -> FloatArray:
        """(rows, <= spare) features of sum_k weights[:, k] rho^k; weights (rows, degrees), inverse = 1 / |x|."""

    def transform(
        self,
        rows: RowSource,
        place: tuple[int, int],
        norms: DoubleArray,
        radial: DoubleArray,
        scale: DoubleArray,
        out: FloatArray,
    ) -> None:
        """The features of rows place[0]..place[1] - 1 into out (rows, features)."""
        inverse = np.divide(1.0, norms, out=np.zeros_like(norms), where=norms > 0.0)
        begin = 0
        for block, factors in self.exact:
            dense = rows.block(*place) if block.degree else np.zeros((len(norms), 1), self.dtype)
            values = block.values((dense * inverse[:, None]).astype(self.dtype))
            for factor in factors:
                weight = (radial @ factor * scale).astype(self.dtype)
                np.multiply(values, weight[:, None], out=out[:, begin : begin + values.shape[1]])
                begin += values.shape[1]
        weights = (radial @ self.leading.T * scale[:, None]).astype(self.dtype)
        weights[:, : self.design.exact + 1] = 0.0
        end = begin
        if self.design.top > self.design.exact:
            values = self.sketch(rows, place[0], place[1], inverse, weights)
            end = begin + values.shape[1]
            out[:, begin:end] = values
        out[:, end:] = 0.0
