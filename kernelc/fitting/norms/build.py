"""Tables for a range of norms: how many points they need, the tables, and their comparison with other roads.

Everything here is fitted in doubles and compared, not proved: the error is an estimate.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from flint import ctx
from numpy.typing import NDArray

from kernelc.errors import UnsupportedError
from kernelc.fitting.norms.activation import ScaledActivation, profile, scaled_activation
from kernelc.fitting.norms.check import compared, compared_one_norm, largest_difference
from kernelc.fitting.norms.grid import AngleMap, NormMap, along_first, angle_map, norm_map, norm_transform
from kernelc.fitting.norms.knotted import knotted_tensors
from kernelc.fitting.norms.one_norm import one_norm_series
from kernelc.fitting.norms.origin import origin_of
from kernelc.fitting.norms.samples import PairSampler
from kernelc.fitting.norms.tensor import (
    DROPPED,
    MIRRORED,
    Tensors,
    full_tensor,
    layer_count,
    matrix_coefficients,
    sampled,
    theta_coefficients,
    truncated,
)
from kernelc.model import ActivationTraits, HermiteExpansion, NormFit, NormTail
from kernelc.program import NormMoment, NormProgram

Array = NDArray[np.float64]
Report = Callable[[str], None]

#: The tables are emitted where their estimated error, relative to the square root of both moments, is below this.
ACCEPTED = 1e-10
#: And tables of rows of one norm, which the others would serve too.
_ONE_NORM_ACCEPTED = 5e-13
#: How many numbers the tables of T and Tdot may hold, and where there is a closed form too.
_MOST_NUMBERS, _MOST_BESIDE_A_FORM = 60_000, 12_000
#: Degree of a_k(s) that is tabulated, at least.
HERMITE_DEGREE = 64
_COUNTS = (24, 32, 40, 48, 64, 80, 96, 128, 160, 192, 224, 256)
#: How many norms are tried, of which the least of `_COUNTS` that would have done is taken.
_PROBED = (48, 80, 128)
#: And of a sigma with breakpoints off zero after that: they come and go with the norm.
_PROBED_OFF_ZERO = (192, 256)
_DEGREES = (32, 40, 48, 56, 64, 80, 96, 128)
_PROBE_DEGREE = 200
_SETTLED = 2e-14
#: x = log(s + 1/4) reaches the norm 0 with the points that [1/4, 4] alone would take; the best of these is chosen.
_SHIFTS = (0.25, 0.5, 1.0)
#: Room above the declared range: rounded norms, and layers whose variance grows.
_ROOM = 1.25
_TAIL_POINTS = 9
#: Dropped coefficients have no common sign: their sum is a few times the root of the sum of their squares.
_MARGIN = 6.0
#: T is kept apart from Tdot where the integral would lose more than this.
_LARGEST_GROWTH = 30.0


@dataclass(frozen=True, slots=True)
class _Scales:
    """The map, the powers of s that the moments of sigma and sigma' vanish with, and the norms of the grid."""

    map: NormMap
    powers: tuple[int, ...]
    points: Array
    angles: AngleMap


def fit_norms(
    traits: ActivationTraits,
    expansion: HermiteExpansion,
    variance: float,
    norms: tuple[float, float],
    degree: int,
    formed: bool = False,
    report: Report = lambda message: None,
) -> NormFit:
    """The tables for all norms s = sqrt(E[u^2]) in `norms` (and beyond, where that costs nothing).

    `degree`: a_k(s) is tabulated up to it, and to 64; `formed`: whether a closed form serves other norms too, so that
    long tables are not worth their place.
    `expansion` at `variance` is one of the roads that the tables are compared with. Where there are no tables the
    reason says why.
    """
    if traits.homogeneous_degree is not None:
        return _none(norms, "sigma is homogeneous: one kernel serves every norm")
    try:
        activation = scaled_activation(traits, norms[1] * _ROOM)
    except UnsupportedError as error:
        return _none(norms, str(error))
    if activation is None:
        return _none(norms, f"sigma(s Z)^2 reaches too far out at norm {norms[1]:g} to be integrated in doubles")
    report("tabulating the Hermite coefficients against the norm")
    last = max(degree, HERMITE_DEGREE)
    centred = all(float(point) == 0.0 for point in traits.breakpoints)
    scales = _scales(traits, activation, norms, last, centred)
    if scales is None:
        return _none(norms, "its Hermite coefficients vary too fast with the norm to be tabulated")
    program = _one_dimensional(activation, scales, _served(traits, scales.map), last)
    report("tabulating the kernel against two norms and the angle")
    if centred:
        found = _tensors(traits, activation, scales, _MOST_BESIDE_A_FORM if formed else _MOST_NUMBERS)
    elif formed:
        found = "a breakpoint of sigma is not at 0, and a closed form serves other norms"
    else:
        found = knotted_tensors(traits, activation, scales.map, scales.angles)
    if isinstance(found, str):
        return _finished(traits, activation, expansion, variance, norms, program, 0.0, found)
    # without knots tables reach 0, or vary too fast with the angle
    origin = origin_of(traits) if found.knots is not None and program.norms[0] > 0.0 else None
    whole = replace(
        program, aligned=found.aligned, dual=found.dual, dual_dot=found.dual_dot, knots=found.knots, origin=origin
    )
    if found.knots is not None:
        report("tabulating the kernel of rows of one norm")
        series = one_norm_series(traits, activation, found.knots, scales.map, scales.angles)
        whole = replace(whole, one_norm=series)
    report("comparing the tables with other roads")
    finished = _finished(traits, activation, expansion, variance, norms, whole, found.error, None)
    if finished.program is None and whole.knots is not None:
        return _finished(traits, activation, expansion, variance, norms, program, 0.0, finished.reason)
    return finished


def _none(norms: tuple[float, float], reason: str) -> NormFit:
    return NormFit(norms, None, None, reason, 0, 0, ())


def _served(traits: ActivationTraits, chosen: NormMap) -> tuple[float, float]:
    """The range of norms, with 0 where the limit there is the value there."""
    jumps = any(float(p) == 0.0 and p.kind not in ("kink", "smooth") for p in traits.breakpoints)
    low = float(np.finfo(np.float64).tiny) if chosen.low == 0.0 and jumps else chosen.low
    return low, chosen.high


def _scales(
    traits: ActivationTraits, activation: ScaledActivation, norms: tuple[float, float], last: int, centred: bool
) -> _Scales | None:
    """The first map and the fewest norms on which all that depends on one norm is resolved."""
    high = norms[1] * _ROOM
    to_zero = [norm_map(0.0, high, shift) for shift in _SHIFTS]
    probe = _Probe(activation, last, centred)
    candidates = (to_zero, [norm_map(norms[0] / _ROOM, high, 0.0)])
    for counts in (_PROBED, () if centred else _PROBED_OFF_ZERO):
        for maps, most in itertools.product(candidates, counts):
            tried = [probe.run(chosen, most) for chosen in maps]
            enough = [run.enough for run in tried if run is not None and run.enough is not None]
            if not enough:
                continue
            # as many as the series say, or as many as were tried where that does not hold
            best = [run for run in tried if run is not None and run.enough == min(enough)]
            fewer = probe.run(best[0].map, min(enough)) if min(enough) < most else None
            found = fewer if fewer is not None and fewer.enough is not None else best[0]
            return _Scales(found.map, found.powers, found.points, angle_map(min(activation.feature, 1.0) / high))
    return None


@dataclass(frozen=True, slots=True)
class _Run:
    """Series on so many norms: the least of `_COUNTS` after which nothing is left of them, None where something is."""

    map: NormMap
    points: Array
    powers: tuple[int, ...]
    enough: int | None


@dataclass(frozen=True, slots=True)
class _Probe:
    """Whether series in x resolve all that depends on one norm.

    `last`: up to which k single a_k must be resolved; where sigma is `centred` it is the root of the sum over k, which
    T inherits.
    """

    activation: ScaledActivation
    last: int
    centred: bool

    def run(self, chosen: NormMap, count: int) -> _Run | None:
        """On `count` norms of a map; None where a moment vanishes or has no power of s there."""
        points = chosen.points(count)
        degree = _PROBE_DEGREE if self.centred else self.last + 1
        profiles = [profile(self.activation, float(s), degree) for s in points]
        moments = np.array([p.moments for p in profiles])
        if not bool(np.all(np.isfinite(moments) & (moments > 0.0))):
            return None
        powers = _powers(points, moments) if chosen.low == 0.0 else (0,) * moments.shape[1]
        if powers is None:
            return None
        transform = norm_transform(count)
        values = np.array([p.coefficients for p in profiles])
        table = along_first(transform, values if self.centred else values[:, :1, : self.last + 1])
        sizes = np.sqrt(np.sum(table * table, axis=2)) if self.centred else np.max(np.abs(table), axis=2)
        logs = np.abs(along_first(transform, _log_moments(points, moments, powers)))
        # the last three of a series, the largest of the two kernels
        left = np.maximum(sizes.max(axis=1), 0.1 * logs.max(axis=1)) > _SETTLED
        needed = int(np.flatnonzero(left)[-1]) + 4 if bool(left.any()) else 4
        return _Run(chosen, points, powers, next((c for c in _COUNTS if needed <= c <= count), None))


def _powers(points: Array, moments: Array) -> tuple[int, ...] | None:
    """p with E[f(s Z)^2] ~ s^(2 p) as s -> 0, None where it is no whole number."""
    ratio = np.log(moments[-1] / moments[-2]) / (2.0 * np.log(points[-1] / points[-2]))
    whole = np.rint(ratio)
    return tuple(int(p) for p in whole) if bool(np.all(np.abs(ratio - whole) < 0.02)) else None


def _log_moments(points: Array, moments: Array, powers: tuple[int, ...]) -> Array:
    """log(E[f(s Z)^2] / s^(2 p)), by balls."""
    # products, not a power: NumPy's pow differs in the last bit between processors
    sizes = [np.prod(np.tile(points, (2 * p, 1)), axis=0) for p in powers]
    return _logarithms(moments / np.stack(sizes, axis=1))


def _logarithms(values: Array) -> Array:
    mapped = norm_map(1.0, 2.0, 0.0)
    flat = NormMap(mapped.low, mapped.high, 0.0, 1.0, 0.0).variable(values.reshape(-1))
    return flat.reshape(values.shape)


def _one_dimensional(
    activation: ScaledActivation, scales: _Scales, served: tuple[float, float], last: int
) -> NormProgram:
    """The tables of what depends on one norm: moments and Hermite coefficients."""
    profiles = [profile(activation, float(s), last) for s in scales.points]
    transform = norm_transform(len(scales.points))
    moments = np.array([p.moments for p in profiles])
    logs = along_first(transform, _log_moments(scales.points, moments, scales.powers))
    hermite = along_first(transform, np.array([p.coefficients[0] for p in profiles]))
    columns = [NormMoment(p, _rounded(logs[:, j], 1e-16, 17)) for j, p in enumerate(scales.powers)]
    return NormProgram(
        served,
        scales.map.shift,
        scales.map.stretch,
        scales.map.offset,
        scales.angles.grade,
        columns[0],
        columns[1] if len(columns) > 1 else None,
        tuple(_rounded(column, 2e-15, 16) for column in hermite.T),
        None,
        None,
        None,
    )


def _rounded(column: Array, unit: float, decimals: int) -> tuple[float, ...]:
    """Without what lies below `unit` at the end, each rounded to a few digits more than count."""
    large = np.flatnonzero(np.abs(column) > unit)
    length = int(large[-1]) + 1 if len(large) else 1
    return tuple(round(float(v), decimals) for v in column[:length])


def _tensors(traits: ActivationTraits, activation: ScaledActivation, scales: _Scales, most: int) -> Tensors | str:
    """T's and Tdot's tables, or why there are none."""
    points = scales.points
    probe = PairSampler(activation, points[[0, len(points) // 2, -1]], traits.parity)
    degree = next((d for d in _DEGREES if _settled(probe, d, scales.angles)), None)
    if degree is None:
        return "the kernel varies too fast with the angle to be tabulated"
    sampler = PairSampler(activation, points, traits.parity)
    values = sampled(sampler, scales.angles.points(degree))
    aligned = truncated(matrix_coefficients(sampler(0.0)[0])[None], "none")[0].layers[0]
    # T by integration inherits Tdot's error times s1 s2 m(s1) m(s2) / (n(s1) n(s2))
    growth = np.inf
    if len(values) > 1:
        growth = float(np.max(points * points * sampler.moments[:, 1] / sampler.moments[:, 0]))
    dual = dual_dot = None
    lost = other = 0.0
    if len(values) > 1:
        loss = min(1.0, 4.0 / growth) if growth <= _LARGEST_GROWTH else 1.0
        dual_dot, lost = truncated(full_tensor(values[1]), MIRRORED[traits.parity], DROPPED * loss)
    if growth > _LARGEST_GROWTH:
        dual, other = truncated(full_tensor(values[0]), traits.parity)
    numbers = sum(layer_count(t) for t in (dual, dual_dot) if t is not None)
    if numbers > most:
        return f"the tables of T and Tdot would hold {numbers} numbers, more than {most}"
    return Tensors(aligned, dual, dual_dot, _MARGIN * max(other, lost * (1.0 if dual else max(growth, 1.0))))


def _settled(probe: PairSampler, degree: int, angles: AngleMap) -> bool:
    values = np.array([probe(x) for x in angles.points(degree).tolist()])
    return float(np.max(np.abs(theta_coefficients(values)[-4:]))) <= 2 * _SETTLED


def _finished(
    traits: ActivationTraits,
    activation: ScaledActivation,
    expansion: HermiteExpansion,
    variance: float,
    norms: tuple[float, float],
    program: NormProgram,
    dropped: float,
    reason: str | None,
) -> NormFit:
    """Compared with the balls at the compiled variance and, where there are tables of T, with double integrals."""
    with ctx.workprec(expansion.precision):
        error = largest_difference(program, expansion, variance)
    checks = len(program.hermite)
    if reason is None and program.one_norm is not None:
        found, count = compared_one_norm(traits, activation, program, norms)
        own, checks = replace(program.one_norm, error=_rounded_up(max(error, found))), checks + count
        program = replace(program, one_norm=own if own.error <= _ONE_NORM_ACCEPTED else None)
    if reason is None:
        found, count = compared(traits, activation, program, norms)
        error, checks = max(error, found, dropped), checks + count
    if not error <= ACCEPTED:
        return _none(norms, f"the tables differ by {error:.0e} from other roads, more than {ACCEPTED:.0e}")
    tails = _tails(activation, norms, expansion)
    return NormFit(norms, program, _rounded_up(error), reason, _count(program), checks, tails)


def _count(program: NormProgram) -> int:
    """How many numbers the tables of T and Tdot hold."""
    tensors = sum(layer_count(t) for t in (program.dual, program.dual_dot) if t is not None)
    own = () if program.one_norm is None else program.one_norm.series
    return tensors + sum(len(row) for series in own for row in series.rows)


def _rounded_up(error: float) -> float:
    """To one digit, upwards: what is stated does not hang on last bits."""
    digits, exponent = f"{max(error, 1e-14):.6e}".split("e")
    return float(f"{math.ceil(float(digits))}e{exponent}")


def _tails(
    activation: ScaledActivation, norms: tuple[float, float], expansion: HermiteExpansion
) -> tuple[NormTail, ...]:
    """The kept power series' part left out, relative to the moment, at norms of the declared range."""
    degree = len(expansion.kappa.coefficients) - 1
    steps = norm_map(norms[0], norms[1], 0.0)
    found = []
    for s in [norms[0], *reversed(steps.points(_TAIL_POINTS - 2).tolist()), norms[1]]:
        squares = profile(activation, s, degree).coefficients ** 2
        tails = [max(float(1.0 - np.sum(row)), 0.0) for row in squares]
        found.append(NormTail(s, *tails) if len(tails) > 1 else NormTail(s, tails[0], None))
    return tuple(found)
