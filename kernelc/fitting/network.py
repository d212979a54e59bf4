"""The best evaluation of a network's kernels: their composed series, else Chebyshev in theta of the composed function.

Layer by layer theta goes to arccos of the layer's normalised kernel. It is taken from how far the kernel has
dropped below its value at rho = 1, which is computed without cancellation: the road is as exact near theta = 0 as
the layers' own evaluations are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from flint import arb, arb_poly, ctx
from numpy.typing import NDArray

from kernelc.balls.doubles import double_above, nearest_double
from kernelc.errors import CertificationError, UnsupportedError
from kernelc.fitting import chebyshev
from kernelc.fitting.fit import AGREEMENT, CHECKS, INTERPOLATION, SERIES_DEGREE, fit, series_dual, shortest
from kernelc.functions.envelope import fraction_of
from kernelc.model import (
    ActivationTraits,
    ComposedSeries,
    DirectDual,
    DirectEvaluation,
    HermiteExpansion,
    NetworkDirect,
    NetworkExpansion,
    NetworkLayer,
    SeriesExpansion,
)
from kernelc.program import ThetaChebyshev

Array = NDArray[np.float64]
_BITS = 160
_NEGLIGIBLE = 2.0**-62


def fit_network(
    layers: Sequence[NetworkLayer],
    network: NetworkExpansion,
    first: DirectEvaluation,
    report: Callable[[str], None] = lambda message: None,
) -> NetworkDirect:
    """The direct evaluations of K_L and (where it exists) Theta_L; `first` is the first layer's own.

    Where neither the composed series converges within its computed terms nor the composed function can be
    tabulated, the certified truncation itself serves, with its proved error.

    Raises:
        CertificationError: the two roads to the samples disagree.
    """
    composed = [network.nngp] + ([] if network.ntk is None else [network.ntk])
    series = [c.series for c in composed]
    found = [series_dual(s, SERIES_DEGREE, network.precision, proved=network.proved) for s in series]
    if any(dual is None for dual in found):
        tabulated = _tabulated(layers, composed, first, report)
        if tabulated is None:
            tabulated = [_truncated(s, network) for s in series]
        found = [tabulated[i] if dual is None else dual for i, dual in enumerate(found)]
    nngp, *rest = (dual for dual in found if dual is not None)
    return NetworkDirect(nngp, rest[0] if rest else None)


def _truncated(series: SeriesExpansion, network: NetworkExpansion) -> DirectDual:
    """All computed terms, with what the rest adds at most."""
    with ctx.workprec(network.precision + 64):
        kept = tuple(nearest_double(c) for c in series.coefficients)
        missing, alternating = series.moment, arb(0)
        for k, (c, x) in enumerate(zip(series.coefficients, kept, strict=True)):
            missing += abs(c - arb(x)) - c
            alternating += c if k % 2 == 0 else -c
        evaluation, left_out = shortest(kept)
        error = double_above((missing.upper() + left_out) / series.moment.lower())
        at_one, at_minus_one = float(series.moment.mid()), float(alternating.mid())
    return DirectDual(evaluation, at_one, at_minus_one, error, network.proved, 0)


@dataclass(frozen=True, slots=True)
class _LayerMap:
    """One layer's kernel and its slope as functions of theta, in arb numbers whose radii mean nothing."""

    variance: arb
    kappa: _Road
    kappa_dot: _Road | None


class _Road:
    """theta -> the dual kernel and how far it lies below its value at theta = 0."""

    def __init__(self, at_one: arb, series: SeriesExpansion, direct: DirectDual) -> None:
        self.at_one = at_one
        self.error = direct.error
        self._table = direct.evaluation if isinstance(direct.evaluation, ThetaChebyshev) else None
        self._series = arb_poly([c.mid() for c in series.coefficients])

    def drop(self, theta: arb) -> arb:
        """at_one - value(theta)."""
        if self._table is None:
            return self.at_one - self._series(theta.cos())
        reached = arb(0)
        for (left, right), row in zip(pairwise(self._table.edges), self._table.tables, strict=True):
            if theta < right or right == self._table.edges[-1]:
                return (
                    reached + _chebyshev(row, arb(-1)) - _chebyshev(row, (2 * theta - left - right) / arb(right - left))
                )
            reached += _chebyshev(row, arb(-1)) - _chebyshev(row, arb(1))
        raise AssertionError


def _chebyshev(row: Sequence[float], z: arb) -> arb:
    first, second = arb(0), arb(0)
    for c in reversed(row[1:]):
        first, second = (2 * z * first - second + c).mid(), first
    return (z * first - second + row[0]).mid()


def _layer_map(layer: NetworkLayer, direct: DirectEvaluation) -> _LayerMap:
    expansion, dot = layer.expansion, None
    if expansion.kappa_dot is not None and direct.kappa_dot is not None:
        dot = _Road(expansion.kappa_dot.moment.mid(), expansion.kappa_dot, direct.kappa_dot)
    kappa = _Road(expansion.kappa.moment.mid(), expansion.kappa, direct.kappa)
    return _LayerMap(layer.variance.mid(), kappa, dot)


def _maps(layers: Sequence[NetworkLayer], first: DirectEvaluation, report: Callable[[str], None]) -> list[_LayerMap]:
    """The layers' own evaluations; of a homogeneous kernel all layers' are one, rescaled."""
    maps = [_layer_map(layers[0], first)]
    for number, layer in enumerate(layers[1:], start=2):
        traits, expansion = layer.traits, layer.expansion
        if traits.homogeneous_degree is not None:
            break
        assert isinstance(traits, ActivationTraits)
        assert isinstance(expansion, HermiteExpansion)
        report(f"fitting hidden layer {number}")
        maps.append(_layer_map(layer, fit(traits, expansion, fraction_of(layer.variance.mid()))))
    return maps


class _NetworkSampler:
    """theta -> (K_L, Theta_L) at cos(theta)."""

    def __init__(
        self, layers: Sequence[NetworkLayer], composed: Sequence[ComposedSeries], maps: list[_LayerMap]
    ) -> None:
        series = [c.series for c in composed]
        self.scale = np.array([float(s.moment.mid()) for s in series])
        self._layers = layers
        self._maps = maps
        self._polynomials = [arb_poly([c.mid() for c in s.coefficients]) for s in series]
        self._tails = [float((s.moment - sum(s.coefficients, arb(0))).abs_upper() / s.moment.mid()) for s in series]
        self._short = [float(c.whole_shortfall / c.series.moment.mid()) for c in composed]
        self._degree = len(series[0].coefficients)
        self.sign = {"even": 1.0, "odd": -1.0, "none": 0.0}[layers[0].traits.parity]
        self._known: dict[float, Array] = {}

    def __call__(self, theta: float) -> Array:
        """The values at one theta in [0, pi], remembered."""
        if theta <= 0.0:
            return self.scale
        if theta > np.pi / 2 and self.sign:
            mirrored: Array = self.sign * self(float(np.pi - theta))
            return mirrored
        if theta not in self._known:
            self._known[theta] = self._by_layers(theta)
        return self._known[theta]

    def by_series(self, theta: float) -> Array | None:
        """The composed series where it is exact to double precision there, else None."""
        with ctx.workprec(_BITS):
            rho = arb(theta).cos()
            missing = max(self._short) + max(self._tails) * abs(float(rho.mid())) ** self._degree
            if missing > _NEGLIGIBLE:
                return None
            return np.array([float(p(rho).mid()) for p in self._polynomials])

    def _by_layers(self, theta: float) -> Array:
        with ctx.workprec(_BITS):
            angle = arb(theta)
            tangent = self._maps[0].variance * angle.cos()
            value, scale = arb(0), arb(1)
            for index, layer in enumerate(self._layers):
                own = self._maps[min(index, len(self._maps) - 1)]
                # A homogeneous layer's map is the first one's: its values scale with the moments.
                moment = layer.expansion.kappa.moment.mid()
                scale = moment / own.kappa.at_one
                drop = own.kappa.drop(angle)
                value = (own.kappa.at_one - drop) * scale
                dot = layer.expansion.kappa_dot
                if own.kappa_dot is not None and dot is not None and len(self.scale) > 1:
                    slope = (own.kappa_dot.at_one - own.kappa_dot.drop(angle)) * (
                        dot.moment.mid() / own.kappa_dot.at_one
                    )
                    tangent = (value + slope * tangent).mid()
                angle = _angle(drop / own.kappa.at_one)
            return np.array([float(value.mid()), float(tangent.mid())][: len(self.scale)])


def _angle(drop: arb) -> arb:
    """arccos(1 - drop), accurate for a small drop."""
    half = (drop / 2).mid()
    if half <= 0:
        return arb(0)
    return arb.pi() if half >= 1 else (2 * half.sqrt().asin()).mid()


def _tabulated(
    layers: Sequence[NetworkLayer],
    composed: Sequence[ComposedSeries],
    first: DirectEvaluation,
    report: Callable[[str], None],
) -> list[DirectDual] | None:
    """Chebyshev in theta, checked by the composed series where it converges; None where it does not settle."""
    try:
        maps = _maps(layers, first, report)
    except UnsupportedError:
        return None
    sampler = _NetworkSampler(layers, composed, maps)
    report("sampling the network's kernels")
    tolerance = INTERPOLATION * sampler.scale
    found = next((f for f in (chebyshev.interpolate(sampler, t * tolerance) for t in (1, 100)) if f is not None), None)
    if found is None:
        return None
    programs = [chebyshev.as_program(*found, i, float(tolerance[i])) for i in range(len(composed))]
    # What the layers' own evaluations err by adds up; the checks see the rest.
    own = [max(m.kappa.error, 0.0 if m.kappa_dot is None else m.kappa_dot.error) for m in maps]
    errors = np.full(len(composed), sum(own) * len(layers) / len(maps))
    for theta in CHECKS:
        fitted = np.array([chebyshev.evaluate(p, theta) for p in programs])
        errors = np.maximum(errors, np.abs(fitted - sampler(theta)) / sampler.scale)
    if np.max(errors) > AGREEMENT:
        return None
    for theta in CHECKS:
        values = sampler.by_series(theta)
        if values is not None:
            errors = np.maximum(errors, np.abs(sampler(theta) - values) / sampler.scale)
    if np.max(errors) > AGREEMENT:
        raise CertificationError(f"two roads to the network's kernels differ by {np.max(errors):.1e} of their size")
    ends = sampler(float(np.pi))
    return [
        DirectDual(p, float(sampler.scale[i]), float(ends[i]), float(max(errors[i], 1e-15)), False, len(CHECKS))
        for i, p in enumerate(programs)
    ]
