# Part of the runtime that kernelc copies, unchanged, into every module it generates.
"""Zonal designs: which degrees are exact, sketched and dropped, with the error to expect.

Part of every generated package, copied verbatim; it needs NumPy alone.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from ._inputs import DoubleArray
from ._judged import Pairs, kernel_at, missed_at, slope_at
from ._radial import RadialSeries
from ._zonal import (
    HAAR_DIMENSION,
    TOP_DEGREE,
    Draws,
    ZonalCurves,
    ZonalDesign,
    ZonalMap,
    directions_dimension,
    zonal_factors,
)

#: Rows of more columns than this are first brought to that many buckets by a CountSketch, in time that follows the
#: non-zeros (Charikar, Chen, Farach-Colton 2002), and made unit vectors again; a cosine then has variance
#: (1 - rho^2)^2 / buckets.
FRONT_COLUMNS, FRONT_BUCKETS = 8192, 4096
_LAST_EXACT = 3
#: Designs with a score within this factor of the least are equals: the cheapest is taken.
_NEAR = 1.005
#: Of unknown rows degrees up to this one are kept, whatever dropping them would spare on isotropic ones.
_UNKNOWN_KEEPS = 3
#: An error on isotropic rows below this part of that on rows near few dimensions buys nothing more.
_ISOTROPIC_GAIN = 1.0 / 30.0
#: Where the score has risen above this multiple of the least of one exact block, more degrees are not tried.
_RISING = 1.1


@dataclass(frozen=True, slots=True)
class Errors:
    """Squares of the parts of a prediction: E[bias^2], E[V] of one direction, E[kappa^2]."""

    bias: float
    variance: float
    size: float

    def relative(self, directions: int) -> float:
        """The predicted relative error with that many directions."""
        noise = self.variance / directions if directions else 0.0
        return math.sqrt((self.bias + noise) / self.size) if self.size > 0.0 else 0.0


class ZonalPlanner:
    """Zonal designs for one series and number of columns, judged on pairs."""

    def __init__(self, series: RadialSeries, columns: int, draws: Literal["auto", "independent"]) -> None:
        self.series = series
        self.front = FRONT_BUCKETS if columns > FRONT_COLUMNS else None
        self.columns = columns = self.front or columns
        self.draws: Draws = "independent"
        if draws == "auto":
            self.draws = "haar" if columns <= HAAR_DIMENSION else "hadamard"
        self.dimension = directions_dimension(columns, self.draws)
        self.factors = zonal_factors(series, self.dimension)[: TOP_DEGREE + 1]
        self._curves: dict[int, tuple[Pairs, ZonalCurves, DoubleArray, DoubleArray]] = {}
        self._errors: dict[tuple[int, int, int], Errors] = {}

    def designs(self, features: int) -> Iterator[ZonalDesign]:
        """Every choice of exact block and top degree that fits."""
        last = len(self.factors) - 1
        for exact in range(min(_LAST_EXACT, last) + 1):
            # harmonics of degree 2 and 3 have traces over the real columns alone
            if exact >= 2 and self.dimension != self.columns:
                return
            design = ZonalDesign(exact, last, self.dimension, self.draws)
            if design.exact_columns(self.columns, self.factors) > features:
                return
            for top in range(exact, last + 1):
                yield ZonalDesign(exact, top, self.dimension, self.draws)

    def directions(self, design: ZonalDesign, features: int) -> int:
        """How many directions fit beside the exact block."""
        channels = sum(design.channels(self.factors))
        spare = features - design.exact_columns(self.columns, self.factors)
        return spare // channels if channels else 0

    def errors(self, design: ZonalDesign, pairs: Pairs) -> Errors:
        """The parts of the predicted error on `pairs`; computed once for each."""
        key = (id(pairs), design.exact, design.top)
        if key not in self._errors:
            self._errors[key] = self._computed(design, pairs)
        return self._errors[key]

    def _prepared(self, pairs: Pairs) -> tuple[Pairs, ZonalCurves, DoubleArray, DoubleArray]:
        if id(pairs) not in self._curves:
            weights = self.series.weights(pairs.norms)
            leading = weights @ np.array([part[0] for part in self.factors]).T
            curves = ZonalCurves(leading, self.dimension, pairs.rho, pairs.first, pairs.second)
            parts = curves.exact([weights @ part.T for part in self.factors[: _LAST_EXACT + 1]])
            self._curves[id(pairs)] = (pairs, curves, kernel_at(self.series, pairs), parts)
        return self._curves[id(pairs)]

    def _computed(self, design: ZonalDesign, pairs: Pairs) -> Errors:
        _, curves, truth, exact = self._prepared(pairs)
        kappa, variance = curves.at(design.exact, design.top)
        bias = truth - exact[: design.exact + 1].sum(axis=0) - kappa
        squared = pairs.mean(bias**2) + pairs.mean(missed_at(self.series, pairs) ** 2)
        if self.front is not None:
            squared += pairs.mean(slope_at(self.series, pairs) ** 2 * (1.0 - pairs.rho**2) ** 2) / self.front
        return Errors(squared, pairs.mean(variance), pairs.mean(truth**2))

    def best(self, features: int, pairs: tuple[Pairs, Pairs], worst: bool = False) -> ZonalDesign:
        """The design of the least score, to 0.5%, with the fewest degrees: predicted errors on two pairs, weighed.

        The score is the geometric mean with weights 2 : 1, where an error on the second pairs below a thirtieth of
        that on the first counts as that; with `worst` it is the larger of the two.
        """
        unknown = pairs[0] is not pairs[1]
        kept = min(_UNKNOWN_KEEPS, len(self.factors) - 1) if unknown else 0
        # so few features that these degrees cannot be had take what there is
        found = self._scored(features, pairs, worst, kept) or self._scored(features, pairs, worst, 0)
        if not found:
            enough = next(m for m in itertools.count(features + 1) if self._scored(m, pairs, worst, 0))
            raise ValueError(f"features: {features} are too few for {self.series.name}; take at least {enough}")
        least = min(score for score, _ in found)
        near = [design for score, design in found if score <= least * _NEAR]
        return min(near, key=lambda design: design.top)

    def _scored(
        self, features: int, pairs: tuple[Pairs, Pairs], worst: bool, kept: int
    ) -> list[tuple[float, ZonalDesign]]:
        """The designs worth a look that keep degrees up to `kept`, each with its score."""
        found: list[tuple[float, ZonalDesign]] = []
        block, least, rising = -1, math.inf, False
        for design in self.designs(features):
            if design.exact != block:
                block, least, rising = design.exact, math.inf, False
            directions, sketched = self.directions(design, features), any(design.channels(self.factors))
            if rising or (sketched and not directions) or design.top < kept:
                continue
            first, second = (self.errors(design, each).relative(directions) for each in pairs)
            weighed = first * first * max(second, first * _ISOTROPIC_GAIN)
            score = max(first, second) if worst else weighed ** (1.0 / 3.0)
            found.append((score, design))
            least = min(least, score)
            rising = score > _RISING * least and design.top > design.exact + 8
        return found


@dataclass(frozen=True, slots=True)
class ZonalDraw:
    """All that a zonal map is drawn from."""

    design: ZonalDesign
    factors: tuple[DoubleArray, ...]
    at_one: DoubleArray
    columns: int
    features: int
    seed: int
    normalise: bool

    def draw(self, dtype: np.dtype[Any]) -> ZonalMap:
        """The map."""
        return ZonalMap(self.design, list(self.factors), self.columns, self.features, self.seed, self.normalise, dtype)

    def masses(self, radial: DoubleArray) -> DoubleArray:
        """(degrees, n): what each degree contributes at rho = 1: exact ones by all factors, sketched by one."""
        rows = [
            np.sum((radial @ part.T)[:, : None if degree <= self.design.exact else 1] ** 2, axis=1)
            for degree, part in enumerate(self.factors)
        ]
        return np.array(rows[: self.design.top + 1])

    def nugget(self, radial: DoubleArray) -> DoubleArray:
        """The kernel at rho = 1 less the masses kept, (n,), >= 0."""
        rest: DoubleArray = np.maximum(radial @ self.at_one - self.masses(radial).sum(axis=0), 0.0)
        return rest


def zonal_guarantee(design: ZonalDesign, normalise: bool, front: int | None) -> str:
    parts = ["entrywise: mean and variance of each inner product in closed form"]
    if design.draws == "hadamard":
        parts.append("up to the fast directions' 4/d in fourth moments")
    if normalise:
        parts.append("rows are scaled to their exact length, a bias of the size of the variance")
    if front is not None:
        parts.append("after a CountSketch of the rows, whose own variance is part of the prediction")
    return "; ".join(parts) + "; no subspace embedding is claimed"


def zonal_flops(planner: ZonalPlanner, design: ZonalDesign, directions: int) -> int:
    """Additions and multiplications a point, within a few percent."""
    dimension = design.dimension
    if design.draws == "hadamard":
        sizes = 2 * int(math.sqrt(dimension))
        product = 2 * -(-directions // dimension) * 2 * dimension * sizes
    else:
        product = 2 * dimension * directions
    terms = (design.top // 2 + 1) * 2 + 4
    channels = sum(design.channels(planner.factors))
    return product + channels * directions * terms + 4 * design.exact_columns(planner.columns, planner.factors)
