# Part of the runtime that kernelc copies, unchanged, into every module it generates.
"""The planner: which sketch, which degrees, how many features, and the error to expect, before anything is run.

From the series, the number of columns and either the number of features or the error aimed at. The predicted error is

    sqrt((E[bias^2] + E[V] / directions) / E[kappa^2])                 over pairs of different rows,

with V in closed form (see each sketch's file): for independent draws the ratio to what is measured is near 1; the
default draws (orthogonal, normalised rows) err less. Part of every generated package; it needs NumPy alone.
"""

from __future__ import annotations

import html
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from ._inputs import DoubleArray
from ._pairs import ASSUMED_DIMENSION, Pairs, isotropic_pairs, kernel_at, slope_at
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

SketchName = Literal["zonal", "polysketch", "tensorsketch"]
SKETCHES: tuple[SketchName, ...] = ("zonal", "polysketch", "tensorsketch")

#: The most features a plan for an error proposes.
MOST_FEATURES = 65536
#: Rows of more columns than this are first brought to that many buckets by a CountSketch, in time that follows the
#: non-zeros (Charikar, Chen, Farach-Colton 2002), and made unit vectors again; a cosine then has variance
#: (1 - rho^2)^2 / buckets.
FRONT_COLUMNS, FRONT_BUCKETS = 8192, 4096
_LAST_EXACT = 3
#: Designs with a predicted error within this factor of the least are equals: the cheapest is taken.
_NEAR = 1.03


class Plan(dict[str, Any]):
    """A plan as data: JSON-ready keys and values; `str(plan)` reads as text, notebooks show it as a table."""

    def __str__(self) -> str:
        width = max(map(len, self))
        return "\n".join(f"{key.replace('_', ' '):{width}}  {_shown(value)}" for key, value in self.items())

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><th style='text-align:left'>{html.escape(key.replace('_', ' '))}</th>"
            f"<td style='text-align:left'>{html.escape(_shown(value))}</td></tr>"
            for key, value in self.items()
        )
        return f"<table>{rows}</table>"

    def json(self) -> str:
        """The plan as JSON text."""
        return json.dumps(self, indent=2, allow_nan=False) + "\n"


def _shown(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list):
        return ", ".join(map(_shown, value)) or "none"
    if isinstance(value, dict):
        return "; ".join(f"{key} {_shown(inner)}" for key, inner in value.items())
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "-" if value is None else str(value)


@dataclass(frozen=True, slots=True)
class Request:
    """What a plan is asked for: `features` or `epsilon`, never both."""

    columns: int
    features: int | None
    epsilon: float | None
    seed: int = 0
    sketch: Literal["auto", "zonal", "polysketch", "tensorsketch"] = "auto"
    draws: Literal["auto", "independent"] = "auto"
    normalise: bool = True
    pairs: Literal["unknown", "isotropic", "sample"] = "unknown"


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
        squared = pairs.mean(bias**2)
        if self.front is not None:
            squared += pairs.mean(slope_at(self.series, pairs) ** 2 * (1.0 - pairs.rho**2) ** 2) / self.front
        return Errors(squared, pairs.mean(variance), pairs.mean(truth**2))

    def best(self, features: int, pairs: Pairs) -> ZonalDesign:
        """The design with the fewest degrees of those whose predicted error is within 3% of the least."""
        found: list[tuple[float, ZonalDesign]] = []
        for design in self.designs(features):
            directions = self.directions(design, features)
            if directions or not sum(design.channels(self.factors)):
                found.append((self.errors(design, pairs).relative(directions), design))
        if not found:
            raise ValueError(f"features: {features} are too few for {self.series.name}; take at least 3")
        least = min(error for error, _ in found)
        return min((design for error, design in found if error <= least * _NEAR), key=lambda design: design.top)


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


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan and what draws it: picklable, small."""

    plan: Plan
    columns: int
    features: int
    front: int | None
    seed: int
    draw_map: ZonalDraw

    def draw(self, dtype: np.dtype[Any]) -> Any:
        """The random map for rows of one dtype."""
        return self.draw_map.draw(dtype)

    def nugget(self, radial: DoubleArray) -> DoubleArray:
        """What is missing of the kernel at rho = 1, g left out, for rows of interpolation weights radial (n, J)."""
        return self.draw_map.nugget(radial)


def make_plan(series: RadialSeries, request: Request, sample: Pairs | None) -> Planned:
    """The plan that a request asks for.

    Raises:
        ValueError: where no sketch of that kind fits, saying what would.
    """
    planner = ZonalPlanner(series, request.columns, request.draws)
    chosen_for, judged_on = _pairs_of(series, request, sample)
    if request.features is not None:
        features = request.features
    else:
        assert request.epsilon is not None
        features = _features_for(planner, chosen_for, judged_on, request.epsilon)
    design = planner.best(features, chosen_for)
    draw = ZonalDraw(
        design, tuple(planner.factors), series.at_one, planner.columns, features, request.seed, request.normalise
    )
    plan = _describe(planner, design, draw, request, (chosen_for, judged_on))
    return Planned(plan, request.columns, features, planner.front, request.seed, draw)


def _pairs_of(series: RadialSeries, request: Request, sample: Pairs | None) -> tuple[Pairs, Pairs]:
    """(the pairs that choose the degrees, the pairs that the prediction speaks of)."""
    if sample is not None:
        return sample, sample
    everywhere = isotropic_pairs(series, request.columns, f"isotropic inputs in {request.columns} dimensions")
    if request.pairs == "isotropic" or request.columns <= ASSUMED_DIMENSION:
        return everywhere, everywhere
    few = isotropic_pairs(series, ASSUMED_DIMENSION, f"inputs spread over {ASSUMED_DIMENSION} dimensions")
    return few, everywhere


def _features_for(planner: ZonalPlanner, chosen_for: Pairs, judged_on: Pairs, epsilon: float) -> int:
    """The least number of features whose predicted error is at most epsilon on both kinds of pairs."""

    def meets(features: int) -> bool:
        design = planner.best(features, chosen_for)
        count = planner.directions(design, features)
        return all(planner.errors(design, pairs).relative(count) <= epsilon for pairs in (chosen_for, judged_on))

    high = 16
    while not meets(high):
        if high >= MOST_FEATURES:
            return MOST_FEATURES
        high *= 2
    low = high // 2
    while high - low > max(1, high // 64):
        middle = (low + high) // 2
        low, high = (low, middle) if meets(middle) else (middle, high)
    return high


def _describe(
    planner: ZonalPlanner, design: ZonalDesign, draw: ZonalDraw, request: Request, pairs: tuple[Pairs, Pairs]
) -> Plan:
    """The plan as data."""
    series, features = planner.series, draw.features
    directions = planner.directions(design, features)
    middle = series.weights(series.norms[len(series.norms) // 2, None])
    masses, total = draw.masses(middle)[:, 0], float((middle @ series.at_one)[0])
    share = masses / total if total > 0.0 else masses
    chosen, judged = (planner.errors(design, each).relative(directions) for each in pairs)
    kept = [degree for degree in range(design.exact + 1, design.top + 1) if share[degree] > 0.0]
    plan = Plan(
        name=series.name,
        kernel=series.kernel,
        depth=series.depth,
        dim=request.columns,
        features=features,
        sketch="zonal",
        predicted_relative_error=judged,
        predicted_for=pairs[1].label,
    )
    if pairs[0] is not pairs[1]:
        plan["degrees_chosen_for"] = pairs[0].label
        plan["predicted_relative_error_there"] = chosen
    if request.epsilon is not None:
        plan["epsilon"] = request.epsilon
        plan["epsilon_met"] = max(chosen, judged) <= request.epsilon
        if not plan["epsilon_met"]:
            plan["epsilon_reached"] = max(chosen, judged)
    plan.update(
        degrees_exact=list(range(design.exact + 1)),
        degrees_sketched=kept,
        degrees_dropped=f"above {design.top}",
        mass={
            "exact": float(share[: design.exact + 1].sum()),
            "sketched": float(share[design.exact + 1 :].sum()),
            "dropped": float(draw.nugget(middle)[0] / total) if total > 0.0 else 0.0,
        },
        nugget=float(draw.nugget(middle)[0]),
        exact_columns=design.exact_columns(planner.columns, planner.factors),
        directions=directions,
        channels=[name for name, there in zip(("even", "odd"), design.channels(planner.factors), strict=True) if there],
        draws=design.draws,
        count_sketch_buckets=planner.front,
        norms=_norms(series),
        radial_factors=[len(part) for part in planner.factors[: design.exact + 1]] + [1] * min(1, len(kept)),
        normalised=request.normalise,
        guarantee=_guarantee(design, request, planner.front),
        flops_per_point=_flops(planner, design, directions),
        bytes_per_point=4 * (request.columns + features),
        seed=request.seed,
    )
    return plan


def _norms(series: RadialSeries) -> str:
    if series.power is not None:
        return "any (homogeneous)"
    if series.low == series.high:
        return f"{series.low!r} alone"
    return f"{series.low!r} to {series.high!r}"


def _guarantee(design: ZonalDesign, request: Request, front: int | None) -> str:
    parts = ["entrywise: mean and variance of each inner product in closed form"]
    if design.draws == "hadamard":
        parts.append("up to the fast directions' 4/d in fourth moments")
    if request.normalise:
        parts.append("rows are scaled to their exact length, a bias of the size of the variance")
    if front is not None:
        parts.append("after a CountSketch of the rows, whose own variance is part of the prediction")
    return "; ".join(parts) + "; no subspace embedding is claimed"


def _flops(planner: ZonalPlanner, design: ZonalDesign, directions: int) -> int:
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
