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
import operator
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal, SupportsFloat, SupportsIndex

import numpy as np

from ._inputs import DoubleArray, FloatArray
from ._judged import ASSUMED_DIMENSION, Pairs, isotropic_pairs
from ._polysketch import PolySketchMap, PolySketchPlanner, embedding_features, inner_dimension, levels
from ._powers import PowerDesign, PowerMap, PowerPlanner
from ._radial import RadialSeries
from ._recentre import Centre
from ._tensorsketch import TensorSketchMap, TensorSketchPlanner
from ._zonal import ZonalMap
from ._zonal_plan import ZonalDraw, ZonalPlanner, zonal_flops, zonal_guarantee

SketchName = Literal["zonal", "polysketch", "tensorsketch"]
SKETCHES: tuple[SketchName, ...] = ("zonal", "polysketch", "tensorsketch")

#: Features where nothing is said, and the largest seed.
DEFAULT_FEATURES, _MOST_SEED = 4096, 2**64 - 1
#: The most features a plan for an error proposes.
MOST_FEATURES = 65536
#: Errors are planned from squares: kernels above this, and below its inverse, have none.
_LARGEST = 1e140
#: An operation of a transform takes about as long as this many of a matrix product (measured, NumPy, float32).
_SLOWER = 8


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


def _as_count(name: str, value: SupportsIndex, least: int) -> int:
    if isinstance(value, (bool, np.bool_)):
        raise ValueError(f"{name}: expected an integer of at least {least}, got {value!r}")
    try:
        count = operator.index(value)
    except TypeError:
        raise ValueError(f"{name}: expected an integer of at least {least}, got {value!r}") from None
    if count < least:
        raise ValueError(f"{name}: expected an integer of at least {least}, got {count}")
    return count


def make_request(
    columns: SupportsIndex,
    features: SupportsIndex | None,
    epsilon: SupportsFloat | None,
    seed: SupportsIndex,
    sketch: str,
    draws: str,
    pairs: str,
    normalise: bool,
) -> Request:
    """Checked options of a plan; 4096 features where neither features nor epsilon is given.

    Raises:
        ValueError: naming the argument.
    """
    if features is not None and epsilon is not None:
        raise ValueError("features, epsilon: give the number of features, or the error that chooses it, not both")
    for name, value, known in (
        ("sketch", sketch, ("auto", *SKETCHES)),
        ("draws", draws, ("auto", "independent")),
        ("pairs", pairs, ("unknown", "isotropic", "sample")),
    ):
        if value not in known:
            raise ValueError(f"{name}: expected one of {', '.join(known)}, got {value!r}")
    goal = None
    if epsilon is not None:
        try:
            goal = float(epsilon)
        except (TypeError, ValueError):
            raise ValueError(f"epsilon: expected a number in (0, 1), got {epsilon!r}") from None
        if not 0.0 < goal < 1.0:
            raise ValueError(f"epsilon: expected a number in (0, 1), got {goal!r}")
        count = None
    else:
        count = _as_count("features", DEFAULT_FEATURES if features is None else features, 1)
    number = _as_count("seed", seed, 0)
    if number > _MOST_SEED:
        raise ValueError(f"seed: expected an integer below 2^64, got {number}")
    return Request(
        columns=_as_count("dim", columns, 1),
        features=count,
        epsilon=goal,
        seed=number,
        sketch=sketch,  # type: ignore[arg-type]
        draws=draws,  # type: ignore[arg-type]
        normalise=bool(normalise),
        pairs=pairs,  # type: ignore[arg-type]
    )


@dataclass(frozen=True, slots=True)
class PowerDraw:
    """All that a PolySketch or TensorSketch is drawn from."""

    kind: SketchName
    design: PowerDesign
    factors: tuple[DoubleArray, ...]
    at_one: DoubleArray
    columns: int
    features: int
    seed: int

    def draw(self, dtype: np.dtype[Any]) -> PowerMap:
        """The map."""
        made = PolySketchMap if self.kind == "polysketch" else TensorSketchMap
        return made(self.design, list(self.factors), self.columns, self.seed, dtype)

    def masses(self, radial: DoubleArray) -> DoubleArray:
        """(degrees, n): what each kept degree contributes at rho = 1."""
        rows = [
            np.sum((radial @ part.T)[:, : None if degree <= self.design.exact else 1] ** 2, axis=1)
            for degree, part in enumerate(self.factors[: self.design.top + 1])
        ]
        return np.array(rows)

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
    source: ZonalDraw | PowerDraw
    series: RadialSeries
    centre: Centre | None = None

    def draw(self, dtype: np.dtype[Any]) -> ZonalMap | PowerMap:
        """The random map for rows of one dtype."""
        return self.source.draw(dtype)

    def split(self, unit: FloatArray, norms: DoubleArray) -> tuple[FloatArray, DoubleArray]:
        """(directions, interpolation weights (n, J)) as the map takes them, of unit rows and their norms."""
        if self.centre is not None:
            unit, norms = self.centre.split(unit)
        return unit, self.series.weights(norms)

    def nugget(self, unit: FloatArray, norms: DoubleArray) -> DoubleArray:
        """What is missing of the kernel at rho = 1, g left out, for unit rows and their norms."""
        return self.source.nugget(self.split(unit, norms)[1])


def make_plan(series: RadialSeries, request: Request, sample: Pairs | None) -> Planned:
    """The plan that a request asks for.

    Raises:
        ValueError: where no sketch of that kind fits, saying what would; for a kernel whose square no double holds.
    """
    largest = float(np.max(series.at_one))
    if largest > _LARGEST or 0.0 < largest < 1.0 / _LARGEST:
        raise ValueError(
            f"features: errors are planned from squares, and {largest:.3g}, the {series.kernel.upper()} of a row of "
            f"{series.name} with itself, has none among doubles; scale the activation so that it comes near 1"
        )
    pairs = _pairs_of(series, request, sample)
    if request.sketch in ("polysketch", "tensorsketch"):
        return _power_plan(series, request, pairs, request.sketch)
    zonal = _zonal_plan(series, request, pairs)
    if request.sketch == "zonal" or request.epsilon is None or not zonal.plan["epsilon_met"]:
        # at equal features the zonal sketch's variance is the least of the three
        return zonal
    others = [
        _power_plan(series, replace(request, features=zonal.features, epsilon=None), pairs, kind)
        for kind in ("polysketch", "tensorsketch")
        if zonal.features >= 64
    ]
    cheaper = [
        other
        for other in others
        if other.plan["predicted_relative_error"] <= request.epsilon
        and other.plan["flops_per_point"] * _SLOWER < zonal.plan["flops_per_point"]
    ]
    return min(cheaper, key=lambda other: other.plan["flops_per_point"], default=zonal)


def _zonal_plan(series: RadialSeries, request: Request, pairs: tuple[Pairs, Pairs]) -> Planned:
    planner = ZonalPlanner(series, request.columns, request.draws)
    features, goal = request.features, request.epsilon or 0.0
    if features is None:

        def meets(count: int) -> bool:
            design = planner.best(count, pairs, worst=True)
            directions = planner.directions(design, count)
            return all(planner.errors(design, each).relative(directions) <= goal for each in pairs)

        features = _least_features(meets)
    design = planner.best(features, pairs, worst=request.epsilon is not None)
    draw = ZonalDraw(
        design, tuple(planner.factors), series.at_one, planner.columns, features, request.seed, request.normalise
    )
    errors = [planner.errors(design, each).relative(planner.directions(design, features)) for each in pairs]
    directions = planner.directions(design, features)
    plan = _described(series, draw, request, pairs, errors)
    plan.update(
        exact_columns=design.exact_columns(planner.columns, planner.factors),
        directions=directions,
        channels=[name for name, there in zip(("even", "odd"), design.channels(planner.factors), strict=True) if there],
        draws=design.draws,
        count_sketch_buckets=planner.front,
        normalised=request.normalise,
        guarantee=zonal_guarantee(design, request.normalise, planner.front),
        flops_per_point=zonal_flops(planner, design, directions),
    )
    return Planned(
        _closed(plan, request, features), request.columns, features, planner.front, request.seed, draw, series
    )


def _power_plan(series: RadialSeries, request: Request, pairs: tuple[Pairs, Pairs], kind: SketchName) -> Planned:
    planner: PowerPlanner
    planner = (PolySketchPlanner if kind == "polysketch" else TensorSketchPlanner)(series, request.columns)
    features, goal = request.features, request.epsilon or 0.0
    if features is None:

        def meets(count: int) -> bool:
            design = planner.best(count, pairs[0])
            return design is not None and all(planner.error(each, design) <= goal for each in pairs)

        features = _least_features(meets)
    design = planner.best(features, pairs[0])
    if design is None:
        raise ValueError(f"features: {features} are too few for sketch={kind!r}; take at least 32")
    draw = PowerDraw(kind, design, tuple(planner.factors), series.at_one, request.columns, features, request.seed)
    plan = _described(series, draw, request, pairs, [planner.error(each, design) for each in pairs])
    plan.update(
        exact_columns=planner.exact_columns(design.exact),
        guarantee=_POWER_GUARANTEES[kind],
        flops_per_point=planner.flops(design),
    )
    if kind == "polysketch":
        plan.update(
            inner_dimension=inner_dimension(design.spare),
            tree_levels=levels(design.top),
            features_for_embedding={
                f"statistical dimension {size}": embedding_features(design.top, size, 0.5, 0.1) for size in (10, 100)
            },
        )
    return Planned(_closed(plan, request, features), request.columns, features, None, request.seed, draw, series)


_POWER_GUARANTEES = {
    "polysketch": "entrywise: mean exact, variance to first order; an estimate of what a subspace embedding of the "
    "kept series' kernel asks for (epsilon 0.5, probability 0.9) is features_for_embedding, as statistical dimension^2",
    "tensorsketch": "entrywise: mean exact, variance up to terms of order 1 / features^2",
}


def _closed(plan: Plan, request: Request, features: int) -> Plan:
    """The plan with what every sketch states last."""
    plan.update(bytes_per_point=4 * (request.columns + features), seed=request.seed)
    return plan


def _pairs_of(series: RadialSeries, request: Request, sample: Pairs | None) -> tuple[Pairs, Pairs]:
    """(the pairs that choose the degrees, the pairs that the prediction speaks of)."""
    if sample is not None:
        return sample, sample
    everywhere = isotropic_pairs(series, request.columns, f"isotropic inputs in {request.columns} dimensions")
    if request.pairs == "isotropic" or request.columns <= ASSUMED_DIMENSION:
        return everywhere, everywhere
    few = isotropic_pairs(series, ASSUMED_DIMENSION, f"inputs spread over {ASSUMED_DIMENSION} dimensions")
    return few, everywhere


def _least_features(meets: Callable[[int], bool]) -> int:
    """The least number of features, to 2%, that meets an error; the most there are where none does."""
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


def _described(
    series: RadialSeries,
    draw: ZonalDraw | PowerDraw,
    request: Request,
    pairs: tuple[Pairs, Pairs],
    errors: list[float],
) -> Plan:
    """What every sketch's plan states first."""
    design = draw.design
    place = series.norms[len(series.norms) // 2 if series.measure is None else int(series.measure.argmax()), None]
    middle = series.weights(place)
    masses, total = draw.masses(middle)[:, 0], float((middle @ series.at_one)[0])
    share = masses / total if total > 0.0 else masses
    kept = [degree for degree in range(design.exact + 1, design.top + 1) if share[degree] > 0.0]
    plan = Plan(
        name=series.name,
        kernel=series.kernel,
        depth=series.depth,
        dim=request.columns,
        features=draw.features,
        sketch=draw.kind if isinstance(draw, PowerDraw) else "zonal",
        predicted_relative_error=errors[1],
        predicted_for=pairs[1].label,
    )
    if pairs[0] is not pairs[1]:
        both = f"{pairs[0].label}, and with half their weight {pairs[1].label}"
        plan["degrees_chosen_for"] = both if isinstance(draw, ZonalDraw) else pairs[0].label
        plan["predicted_relative_error_there"] = errors[0]
    if request.epsilon is not None:
        plan["epsilon"] = request.epsilon
        plan["epsilon_met"] = max(errors) <= request.epsilon
        if not plan["epsilon_met"]:
            plan["epsilon_reached"] = max(errors)
    lacking = float(draw.nugget(middle)[0])
    plan.update(
        degrees_exact=list(range(design.exact + 1)),
        degrees_sketched=kept,
        degrees_dropped=f"above {design.top}",
        mass={
            "exact": float(share[: design.exact + 1].sum()),
            "sketched": float(share[design.exact + 1 :].sum()),
            "dropped": lacking / total if total > 0.0 else 0.0,
        },
        nugget=lacking * (1.0 if series.logs is None else float(series.growth(place)[0]) ** 2),
        norms=describe_norms(series),
        radial_factors=[len(part) for part in draw.factors[: design.exact + 1]] + [1] * min(1, len(kept)),
    )
    return plan


def describe_norms(series: RadialSeries) -> str:
    """The norms that a series holds for, in words."""
    if series.power is not None:
        return "any (homogeneous)"
    if series.low == series.high:
        return f"{series.low!r} alone"
    return f"{series.low!r} to {series.high!r}"
